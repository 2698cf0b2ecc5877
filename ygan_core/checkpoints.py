"""Files that are complete or absent, and the checkpoints that a stopped training resumes from."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import torch


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then rename it: `path` is never half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.{path.name}")  # some writers go by the suffix
    try:
        write(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, oldest first."""
    return sorted(folder.glob("epoch-[0-9][0-9][0-9][0-9][0-9].pt"))


def epoch_of(checkpoint: Path) -> int:
    """The epoch that a checkpoint was written after."""
    return int(checkpoint.stem.removeprefix("epoch-"))


def save_state(state: dict, folder: Path, epoch: int) -> None:
    """Write the checkpoint of an epoch, and keep the one before."""
    # torch.load ignores the checksum, which stands behind the archive.
    write_with_checksum(folder / f"epoch-{epoch:05d}.pt", lambda path: torch.save(state, path))
    for old in checkpoints(folder)[:-2]:
        old.unlink()


def load_newest(folder: Path, keys: set[str] = frozenset()) -> dict | None:
    """The newest checkpoint that is undamaged and has these keys, or None.

    A damaged one is named, and the one before it is used.
    """
    for left in folder.glob(".*.epoch-*.pt"):  # half-written by a process that was killed
        left.unlink()
    for path in reversed(checkpoints(folder)):
        try:
            if not is_whole(path):
                raise ValueError
            state = torch.load(path, map_location="cpu", weights_only=True)
            if not keys <= set(state) or len(state["history"]) != epoch_of(path):
                raise ValueError
            return state
        except Exception:  # what torch.load raises depends on the damage
            print(f"{path} is damaged or was changed: going on from before it", flush=True)
    return None


def write_with_checksum(path: Path, write: Callable[[Path], object]) -> None:
    """As `write_atomically`, with the SHA-256 of the file's content appended to it."""

    def write_both(partial: Path) -> None:
        write(partial)
        found = checksum(partial, partial.stat().st_size)
        with open(partial, "ab") as file:
            file.write(found)

    write_atomically(path, write_both)


def is_whole(path: Path) -> bool:
    """Whether a file of `write_with_checksum` is as it was written."""
    size = path.stat().st_size - hashlib.sha256().digest_size
    with open(path, "rb") as file:
        file.seek(max(size, 0))
        return file.read() == checksum(path, size)


def checksum(path: Path, size: int) -> bytes:
    """SHA-256 of a file's first `size` bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(min(2**20, max(size, 0))):
            digest.update(part)
            size -= len(part)
    return digest.digest()
