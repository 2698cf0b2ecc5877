"""What the tests of the detector share: images of three easy classes, and a detector of them."""

import functools
from pathlib import Path

import numpy as np
from PIL import Image

from ygan_detector import YGANDetector

CLASSES = ("round", "square", "stripes")
TINY = dict(recipe="balanced", epochs=2, width=4, image_size=32, device="cpu", verbose=False)


def pictures(n=30, size=32, seed=0):
    """n images of each class: uint8 (3 n, size, size, 3), int64 (3 n,)."""
    random = np.random.RandomState(seed)
    v, u = np.mgrid[:size, :size] / size - 0.5
    shapes = (u**2 + v**2 < 0.1, (np.abs(u) < 0.25) & (np.abs(v) < 0.25), (v * 8 % 2) < 1)
    labels = np.repeat(np.arange(3), n)
    dark = random.randint(0, 80, (3 * n, 1, 1, 3))
    bright = random.randint(150, 255, (3 * n, 1, 1, 3))
    masks = np.stack([shapes[label] for label in labels])[..., None]
    noise = random.randint(0, 20, (3 * n, size, size, 3))
    return (np.where(masks, bright, dark) + noise).clip(0, 255).astype(np.uint8), labels


def write_folder(root: Path, n=30, size=32, ending="png") -> Path:
    """`pictures` as files, a subfolder a class."""
    for i, (image, label) in enumerate(zip(*pictures(n, size), strict=True)):
        (root / CLASSES[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / CLASSES[label] / f"{i:03d}.{ending}")
    return root


@functools.cache
def trained(**changes) -> YGANDetector:
    """A detector fitted on `pictures`; tests do not change it."""
    return YGANDetector(**{**TINY, **changes}).fit(*pictures())
