"""The checksums of a job's folder are written last: they say that it is whole, and unchanged."""

import functools
import hashlib
import os
from pathlib import Path

from ygan_core.checkpoints import write_atomically

SUMS = "SHA256SUMS"  # as sha256sum -c reads it
SEALED = (".json", ".csv", ".npz", ".safetensors")  # what of a folder has a checksum


def sha256(path: Path) -> str:
    """A file's checksum, in hex. Raises OSError where there is none."""
    return _sha256(path, path.stat().st_mtime_ns, path.stat().st_size)


@functools.lru_cache(maxsize=10_000)
def _sha256(path: Path, changed: int, size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def seal(folder: Path, *others: Path) -> None:
    """Write the checksums of a folder's files, and of `others` that it needs: the job is done."""
    names = sorted(sealed(folder)) + [os.path.relpath(path, folder) for path in others]
    text = "".join(f"{sha256(folder / name)}  {name}\n" for name in names)
    write_atomically(folder / SUMS, lambda path: path.write_text(text))


def sealed(folder: Path) -> set[str]:
    """The names of the files that have a checksum, or should have one."""
    files = (path for path in folder.iterdir() if path.suffix in SEALED)
    return {path.name for path in files if not path.name.startswith(".")}


def sums_of(folder: Path) -> dict[str, str]:
    """The checksum of each file as it was sealed, by name. Raises OSError or ValueError."""
    lines = (folder / SUMS).read_text().splitlines()
    return {name: checksum for checksum, name in (line.split("  ", 1) for line in lines)}


def is_unchanged(folder: Path, *names: str) -> bool:
    """Whether these files of a folder are as they were when it was sealed."""
    try:
        sums = sums_of(folder)
        return all(sums[name] == sha256(folder / name) for name in names)
    except (OSError, ValueError, KeyError):
        return False
