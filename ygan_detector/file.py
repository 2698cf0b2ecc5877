"""A detector as one file in the safetensors format, with JSON in its metadata. No pickle."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ygan_core.checkpoints import write_atomically
from ygan_detector.pixels import DetectorError

FORMAT = "ygan-detector 2"  # the number rises when older files can no longer be read


def write(path: Path, about: dict, tensors: dict[str, Tensor]) -> None:
    """Write a detector atomically. about: plain values."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    metadata = {"format": FORMAT, "about": json.dumps(about, default=np.generic.item)}
    write_atomically(path, partial(save_file, tensors, metadata=metadata))


def read(path: Path) -> tuple[dict, dict[str, Tensor]]:
    """(about, tensors) as `write` took them. Raises DetectorError."""
    if not path.is_file():
        raise DetectorError(f"there is no file {path}: fit a detector and save it first")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") == FORMAT:
                tensors = {name: file.get_tensor(name) for name in file.keys()}
                return json.loads(metadata["about"]), tensors
    except (SafetensorError, OSError, ValueError, KeyError):
        pass
    raise DetectorError(f"{path} is damaged, or no detector of this version: fit and save it anew")
