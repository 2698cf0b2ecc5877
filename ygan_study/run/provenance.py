"""What stands beside every result: commit, versions, machine."""

from __future__ import annotations

import functools
import platform
import subprocess
from importlib.metadata import version

from ygan_core.data.datasets import REPOSITORY

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "matplotlib")


def provenance() -> dict:
    """Commit, versions and machine, for the JSON beside every result."""
    versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    return {
        "commit": _commit(),
        "versions": versions,
        "machine": platform.machine(),
        "processor": processor(),
    }


def _commit() -> str:
    git = ["git", "-C", str(REPOSITORY)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + (" with changes" if changed else "")


@functools.cache
def processor() -> str:
    """The processor's name, as the system has it."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next(
                line.partition(":")[2].strip() for line in lines if line.startswith("model name")
            )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
