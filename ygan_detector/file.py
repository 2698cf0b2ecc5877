"""A detector as one file: a zip, not compressed, of JSON, safetensors and a sheet of small training images. No pickle."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from torchvision.utils import make_grid

from ygan_core.checkpoints import write_atomically
from ygan_core.data.datasets import sheet_to_tiles
from ygan_detector.pixels import DetectorError

FORMAT, VERSION = "ygan-detector", 1  # raised when older code can no longer read what is written
ABOUT, TENSORS, SHEET = "detector.json", "tensors.safetensors", "training.jpg"
ARRAYS = (
    "calibration_scores",
    "decision_scores",
    "reference_z_s",
    "mean_z_r",
)  # beside the weights, `model.*`
SIDE, COLUMNS = 64, 32  # px of a small image, and how many stand in a row


def thumbnails(pixels: Tensor, which: np.ndarray) -> Tensor:
    """Small colour versions of the images at `which`: uint8 (n, C, S, S) -> uint8 (k, 3, 64, 64)."""
    small = [
        F.interpolate(pixels[i][None].float(), size=(SIDE, SIDE), mode="bilinear", antialias=True)
        for i in which.tolist()
    ]
    return torch.cat(small).round().to(torch.uint8).expand(-1, 3, -1, -1)


def write(path: Path, about: dict, tensors: dict[str, Tensor], small: Tensor) -> None:
    """Write a detector atomically. about: plain values; small: uint8 (k, 3, 64, 64). Raises DetectorError where it cannot."""
    sheet = make_grid(
        F.pad(small, (0, 0, 0, 0, 0, 0, 0, -len(small) % COLUMNS)), nrow=COLUMNS, padding=0
    )
    picture = io.BytesIO()
    Image.fromarray(sheet.permute(1, 2, 0).numpy()).save(picture, "JPEG", quality=85)
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}

    def fill(partial: Path) -> None:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(
                ABOUT,
                json.dumps(
                    {"format": FORMAT, "version": VERSION, **about},
                    indent=1,
                    default=np.generic.item,
                ),
            )
            archive.writestr(TENSORS, save(tensors))
            archive.writestr(SHEET, picture.getvalue())

    try:
        write_atomically(path, fill)
    except OSError as error:
        raise DetectorError(
            f"{path} cannot be written ({error.strerror}): choose another place"
        ) from None


def read(path: Path) -> tuple[dict, dict[str, Tensor], Tensor]:
    """What `write` wrote, its small images as the sheet has them. Raises DetectorError."""
    try:
        with zipfile.ZipFile(path) as archive:
            about = json.loads(archive.read(ABOUT))
            if about["format"] != FORMAT:
                raise ValueError("another format")
            if about["version"] > VERSION:
                raise DetectorError(
                    f"{path} is of format {about['version']}; this version reads up to {VERSION}: update ygan-core"
                )
            with Image.open(io.BytesIO(archive.read(SHEET))) as sheet:
                small = sheet_to_tiles(sheet, SIDE, (sheet.height // SIDE) * COLUMNS)
            return about, load(archive.read(TENSORS)), small
    except FileNotFoundError:
        raise DetectorError(f"there is no {path}: fit a detector and save it first") from None
    except DetectorError:
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        RuntimeError,
        zipfile.BadZipFile,
        SafetensorError,
    ) as error:
        raise DetectorError(
            f"{path} is no detector, or is damaged ({str(error).splitlines()[0][:80]})"
        ) from None
