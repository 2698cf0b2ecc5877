"""One image as the networks take it: any kind of file or array -> uint8 of the detector's own size and channels."""

from __future__ import annotations

import functools

import numpy as np
import torch
from PIL import Image, ImageOps
from scipy.sparse import csr_array
from torch import Tensor

LIFT = 1e-6  # added before rounding: sums that should be equal to a half differ in their last bits


class DetectorError(ValueError):
    """Images, settings or a file that the detector cannot use; the message is one line that says what to do."""


def upright(image: Image.Image) -> np.ndarray:
    """A Pillow image of any mode -> uint8 (H, W, 1) if it is grey, else (H, W, 3).

    Turned as its EXIF says. What is transparent is laid on white. 16 bits are scaled by 1/257, whatever range is used.
    Raises DetectorError for floating-point pixels outside [0, 1].
    """
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        return _bytes(np.asarray(image))[..., None]
    if image.mode.startswith("I"):
        deep = np.asarray(image)
        if deep.min() < 0 or deep.max() > 65_535:
            raise DetectorError(
                f"pixels go from {deep.min()} to {deep.max()}, more than 16 bits hold"
            )
        return _bytes(deep.astype(np.uint16))[..., None]
    grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    pixels = np.asarray(image.convert("L" if grey else "RGB"))
    return pixels[..., None] if grey else pixels


def from_array(pixels: np.ndarray) -> np.ndarray:
    """An array (H, W, C) of 1 to 4 channels -> uint8 (H, W, 1) or (H, W, 3), by the rules of `upright`.

    bool, uint8, other whole numbers from 0 to 255, uint16, or floating-point numbers in [0, 1]. Raises DetectorError.
    """
    pixels = _bytes(pixels)
    if pixels.shape[-1] in (2, 4):
        return upright(Image.fromarray(pixels, {2: "LA", 4: "RGBA"}[pixels.shape[-1]]))
    return pixels


def _bytes(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype == np.uint16:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if values.dtype.kind not in "iuf":
        raise DetectorError(f"pixels are numbers; these are of dtype {values.dtype}")
    low, high, top = (values.min(), values.max(), 1 if values.dtype.kind == "f" else 255)
    if not np.isfinite([low, high]).all():
        raise DetectorError(
            "pixels are finite; these hold NaN or inf: repair or leave out these images"
        )
    if low < 0 or high > top:
        kind = "floating-point" if top == 1 else "whole-number"
        mend = "scale them, or give uint8" if top == 1 else "give uint8 or uint16"
        raise DetectorError(
            f"{kind} pixels lie between 0 and {top}; these go from {low:g} to {high:g}: {mend}"
        )
    return (
        values.astype(np.uint8)
        if top == 255
        else np.round(values.astype(np.float64) * 255).astype(np.uint8)
    )


def resampling(source: int, target: int, device: str | torch.device = "cpu") -> Tensor:
    """The linear map of one side of an image from `source` to `target` pixels: float64 (target, source), rows sum to 1.

    Bilinear; where the side shrinks, over all pixels that fall on one (antialiased), as Pillow's BILINEAR. The ONNX file
    computes the same matrix, so that a score does not depend on who resizes.
    """
    pixels = torch.arange(source, dtype=torch.float64, device=device)
    scale = (
        pixels[-1] + 1
    ) / target  # of the tensor, not of `source`: an exporter would take a number for a constant
    centres = (torch.arange(target, dtype=torch.float64, device=device) + 0.5) * scale - 0.5
    away = (pixels - centres[:, None]).abs() / scale.clamp(min=1)
    weights = (1 - away).clamp(min=0)
    return weights / weights.sum(dim=1, keepdim=True)


def rounded(x: Tensor) -> Tensor:
    """float64 pixels to whole ones, halves upwards however their sums were taken."""
    return (x + (0.5 + LIFT)).floor()


def fitted(image: np.ndarray, size: int, channels: int) -> np.ndarray:
    """uint8 (H, W, 1 or 3) -> uint8 (channels, size, size). The image is squeezed to a square, nothing is cut off."""
    if image.shape[-1] > channels:
        image = np.asarray(Image.fromarray(image).convert("L"))[..., None]
    height, width, depth = image.shape
    if (height, width) == (size, size):
        small = image.transpose(2, 0, 1)
    else:
        rows, columns = _sparse(height, size), _sparse(width, size)
        # One channel at a time: as float64 a photograph takes eight times its bytes.
        planes = [columns @ (rows @ image[..., c].astype(np.float64)).T for c in range(depth)]
        small = rounded(torch.from_numpy(np.stack(planes))).to(torch.uint8).numpy().swapaxes(1, 2)
    return np.repeat(small, channels // depth, axis=0)


@functools.lru_cache(maxsize=64)
def _sparse(source: int, target: int) -> csr_array:
    return csr_array(resampling(source, target).numpy())
