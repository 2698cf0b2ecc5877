"""What stands beside every result: commit, versions, machine."""

import functools
import platform
import subprocess
from importlib.metadata import version

from ygan_core.data.datasets import REPOSITORY

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "matplotlib")


def provenance() -> dict:
    """Commit, versions and machine, for the JSON beside every result."""
    return {
        "commit": _commit(),
        "versions": {"python": platform.python_version(), **{p: version(p) for p in PACKAGES}},
        "machine": platform.machine(),
        "processor": processor(),
    }


def _commit() -> str:
    def git(*command: str) -> str:
        line = ["git", "-C", str(REPOSITORY), *command]
        return subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + " with changes" * bool(git("status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


@functools.cache
def processor() -> str:
    """The processor's name, as the system has it."""
    try:
        with open("/proc/cpuinfo") as lines:
            named = (line for line in lines if line.startswith("model name"))
            return next(named).partition(":")[2].strip()
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
