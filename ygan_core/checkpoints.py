"""Files that are whole or not there at all, and the checkpoints that a stopped training goes on from."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then put it in its place: `path` is never half-written, whatever happens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.{path.name}")  # the ending stays: some writers choose the format by it
    try:
        write(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, oldest first."""
    return sorted(folder.glob("epoch-[0-9]*.pt"))


def save_state(state: dict, folder: Path, epoch: int) -> None:
    """Write the checkpoint of an epoch atomically, and keep the one before it."""
    write_atomically(folder / f"epoch-{epoch:05d}.pt", lambda path: torch.save(state, path))
    for old in checkpoints(folder)[:-2]:
        old.unlink()


def load_newest(folder: Path, keys: set[str] = frozenset()) -> dict | None:
    """The newest checkpoint that can be read and has these keys; a damaged one is named, and the one before it is used."""
    for left in folder.glob(".*.epoch-*.pt"):  # half-written by a process that was killed
        left.unlink()
    for path in reversed(checkpoints(folder)):
        try:
            with zipfile.ZipFile(path) as archive:  # torch.load alone does not notice a flipped byte
                if archive.testzip():
                    raise zipfile.BadZipFile
            state = torch.load(path, map_location="cpu", weights_only=True)
            if not keys <= set(state):
                raise zipfile.BadZipFile
            return state
        except (TypeError, zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError, OSError):
            print(f"{path} is damaged: going on from before it", flush=True)
    return None
