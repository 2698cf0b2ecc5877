"""One image as the networks take it: from a file, a picture or an array to uint8 pixels."""

import base64
import io
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps

from ygan_detector.messages import DetectorError

ROUNDING = 0.5 + 1e-6  # sums that should equal one half differ in their last bits
Source = Path | Image.Image | np.ndarray  # arrays are (H, W, C) with 1 to 4 channels


def header(source: Source) -> tuple[tuple[int, int], bool, bool]:
    """Height and width, whether it is grey, and whether it has several pages or frames.

    Raises DetectorError for EPS, which Pillow would have Ghostscript run, and whatever Pillow
    raises for a file that is no image.
    """
    if isinstance(source, np.ndarray):
        return source.shape[:2], source.shape[-1] < 3, False
    if isinstance(source, Path):
        with Image.open(source) as image:
            if image.format == "EPS":
                raise DetectorError("EPS is a program, not an image: convert it")
            return header(image)
    several = getattr(source, "is_animated", False) and source.format != "MPO"
    return (source.height, source.width), is_grey(source), several


def read(source: Source) -> np.ndarray:
    """uint8 (H, W, 1) if an image is grey, else (H, W, 3).

    It is turned upright as its EXIF data say, and transparent parts are laid on white. Raises
    DetectorError for numbers that `to_uint8` refuses, and whatever Pillow raises for a damaged
    file.
    """
    if isinstance(source, Path):
        with Image.open(source) as image:
            return read(image)
    if isinstance(source, np.ndarray):
        pixels = to_uint8(source)
        mode = {2: "LA", 4: "RGBA"}.get(pixels.shape[-1])
        return read(Image.fromarray(pixels, mode)) if mode else pixels
    image = ImageOps.exif_transpose(source)
    if image.mode == "F":
        return to_uint8(np.asarray(image))[..., None]
    if image.mode.startswith("I"):
        deep = np.asarray(image)
        if deep.min() < 0 or deep.max() > 65_535:
            raise DetectorError(f"pixels from {deep.min()} to {deep.max()} exceed 16 bits")
        return to_uint8(deep.astype(np.uint16))[..., None]
    mode = "L" if is_grey(image) else "RGB"
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.atleast_3d(np.asarray(image.convert(mode)))


def is_grey(image: Image.Image) -> bool:
    """Whether an image has one channel, beside its transparency."""
    return image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")


def to_uint8(values: np.ndarray) -> np.ndarray:
    """bool, uint8, integers from 0 to 255, uint16 (divided by 257), or floats from 0 to 1.

    Raises DetectorError for numbers out of range.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.uint16:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    whole = values.dtype.kind in "iu"
    low, high, top = values.min(), values.max(), 255 if whole else 1
    if not (low >= 0 and high <= top):
        raise DetectorError(
            f"{'integer' if whole else 'floating-point'} pixels lie between 0 and {top}, "
            f"but these go from {low:g} to {high:g}: scale them, or give uint8 or uint16"
        )
    return np.round(values.astype(np.float64) * (255 // top)).astype(np.uint8)


def resize(image: np.ndarray, size: int, channels: int) -> np.ndarray:
    """uint8 (H, W, 1 or 3) -> uint8 (channels, size, size), squeezed to a square.

    Bilinear and antialiased as Pillow's, but rounded only once.
    """
    if image.shape[-1] > channels:
        image = np.asarray(Image.fromarray(image).convert("L"))[..., None]
    planes = [  # one at a time: as float64 a photograph takes eight times its bytes
        F.interpolate(
            torch.from_numpy(plane.astype(np.float64))[None, None],
            size=(size, size),
            mode="bilinear",
            antialias=True,
        )[0, 0]
        for plane in image.transpose(2, 0, 1)
    ]
    small = (torch.stack(planes) + ROUNDING).floor().to(torch.uint8).numpy()
    return np.repeat(small, channels // len(small), axis=0)


def jpeg(picture: Image.Image) -> str:
    """A picture as a JPEG file in base64."""
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=85)
    return base64.b64encode(content.getvalue()).decode()
