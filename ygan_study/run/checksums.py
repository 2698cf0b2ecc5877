"""The checksums of a job's folder: written last, they say that it is whole; and later, that it is still what it was."""

from __future__ import annotations

import functools
from pathlib import Path

from ygan_core.checkpoints import checksum, write_atomically

SUMS = "SHA256SUMS"  # as sha256sum -c reads it
SEALED = (".json", ".csv", ".npz", ".safetensors")  # what of a folder has a checksum


def sha256(path: Path) -> str:
    """A file's checksum, in hex. Raises OSError where there is none."""
    return _sha256(path, path.stat().st_mtime_ns, path.stat().st_size)


@functools.lru_cache(maxsize=10_000)
def _sha256(path: Path, changed: int, size: int) -> str:
    return checksum(path, size).hex()


def seal(folder: Path) -> None:
    """Write the checksums of a folder's files: the mark of a job that is done."""
    text = "".join(f"{sha256(folder / name)}  {name}\n" for name in sorted(sealed(folder)))
    write_atomically(folder / SUMS, lambda path: path.write_text(text))


def sealed(folder: Path) -> set[str]:
    """The names of the files that have a checksum, or should have one."""
    return {
        path.name
        for path in folder.iterdir()
        if path.suffix in SEALED and not path.name.startswith(".")
    }


def sums_of(folder: Path) -> dict[str, str]:
    """The checksum of each file as it was sealed, by name. Raises OSError, or ValueError where SHA256SUMS is no such list."""
    lines = (folder / SUMS).read_text().splitlines()
    return {name: checksum for checksum, name in (line.split("  ", 1) for line in lines)}


def is_unchanged(folder: Path, *names: str) -> bool:
    """Whether these files of a folder are as they were when it was sealed."""
    try:
        sums = sums_of(folder)
        return all(sums[name] == sha256(folder / name) for name in names)
    except (OSError, ValueError, KeyError):
        return False
