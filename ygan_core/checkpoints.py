"""Files that are complete or absent, and the checkpoints that a stopped training resumes from."""

import os
import zipfile
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
    write_atomically(folder / f"epoch-{epoch:05d}.pt", lambda path: torch.save(state, path))
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
            with zipfile.ZipFile(path) as archive:  # torch.load does not look at its checksums
                if archive.testzip():
                    raise ValueError
            state = torch.load(path, map_location="cpu", weights_only=True)
            if not keys <= set(state) or len(state["history"]) != epoch_of(path):
                raise ValueError
            return state
        except Exception:  # what torch.load raises depends on the damage
            print(f"{path} is damaged or was changed: going on from before it", flush=True)
    return None
