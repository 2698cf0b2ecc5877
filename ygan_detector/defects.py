"""Synthetic defects with known masks, and how well a heat map finds them: pixel AUROC and PRO."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import RandomState
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage
from sklearn.metrics import roc_auc_score

VISIBLE = 16  # of 255: the change from which on a pixel counts as changed
SMALLEST = 1 / 200  # share of the pixels that a defect has to change
TRIES = 50
PRO_LIMIT = 0.3  # the highest share of false alarms, by PRO's authors


def cut_paste(image: np.ndarray, other: np.ndarray, random: RandomState) -> np.ndarray:
    """A rectangle of another image at another place. image, other: uint8 (S, S, C)."""
    size, damaged = len(image), image.copy()
    height, width = random.randint(size // 8, size // 3, 2)
    (top, left), (y, x) = (random.randint(0, size - np.array([height, width])) for _ in range(2))
    damaged[y : y + height, x : x + width] = other[top : top + height, left : left + width]
    return damaged


def scratch(image: np.ndarray, other: np.ndarray, random: RandomState) -> np.ndarray:
    """A thin crooked line, black or white."""
    size, picture = len(image), _picture(image)
    start, steps = random.uniform(0.15, 0.85, 2), random.normal(0, size / 8, (4, 2))
    points = [tuple(map(float, point)) for point in start * size + np.cumsum(steps, axis=0)]
    fill = int(random.choice([0, 255]))
    ImageDraw.Draw(picture).line(
        points, fill if picture.mode == "L" else (fill,) * 3, width=max(1, size // 32)
    )
    return np.asarray(picture).reshape(image.shape)


def blur(image: np.ndarray, other: np.ndarray, random: RandomState) -> np.ndarray:
    """An ellipse out of focus."""
    soft = _picture(image).filter(ImageFilter.GaussianBlur(len(image) / 12))
    soft = np.asarray(soft).reshape(image.shape)
    return np.where(_ellipse(len(image), random)[..., None], soft, image)


def stain(image: np.ndarray, other: np.ndarray, random: RandomState) -> np.ndarray:
    """A translucent blot of one colour."""
    colour, share = random.randint(0, 256, image.shape[-1]), random.uniform(0.5, 0.9)
    blot = (share * colour + (1 - share) * image).round().astype(np.uint8)
    return np.where(_ellipse(len(image), random)[..., None], blot, image)


def _picture(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)


def _ellipse(size: int, random: RandomState) -> np.ndarray:
    centre, axes = random.uniform(0.2, 0.8, 2) * size, random.uniform(0.08, 0.2, 2) * size
    turn = random.uniform(0, np.pi)
    v, u = np.mgrid[:size, :size] - centre[:, None, None]
    along, across = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
    return (along / axes[0]) ** 2 + (across / axes[1]) ** 2 <= 1


DEFECTS: dict[str, Callable[..., np.ndarray]] = {
    function.__name__: function for function in (cut_paste, scratch, blur, stain)
}


def damage(kind: str, images: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Add a defect to each image: uint8 (n, C, S, S) -> (the same, bool (n, S, S)).

    The masks hold the pixels that changed visibly. A defect that can hardly be seen, such as
    blurred black, is drawn again up to 50 times.
    """
    random, pictures = RandomState(seed), images.transpose(0, 2, 3, 1)
    damaged, masks = np.empty_like(pictures), np.empty(pictures.shape[:-1], dtype=bool)
    for i, image in enumerate(pictures):
        for _ in range(TRIES):
            other = pictures[(i + random.randint(1, max(2, len(images)))) % len(images)]
            damaged[i] = DEFECTS[kind](image, other, random)
            masks[i] = np.abs(damaged[i].astype(int) - image).max(axis=-1) >= VISIBLE
            if masks[i].mean() >= SMALLEST:
                break
    return np.ascontiguousarray(damaged.transpose(0, 3, 1, 2)), masks


def pixel_auroc(maps: np.ndarray, masks: np.ndarray) -> float:
    """Area under the ROC curve over all pixels: maps (n, S, S), masks bool (n, S, S)."""
    return float(roc_auc_score(masks.ravel(), maps.ravel()))


def pro(maps: np.ndarray, masks: np.ndarray, limit: float = PRO_LIMIT, steps: int = 300) -> float:
    """Per-region overlap (Bergmann et al., CVPR 2020): maps (n, S, S), masks bool (n, S, S).

    The share of a defective region that is found, averaged over the regions and over thresholds
    that flag from none to `limit` of the normal pixels. Pixels that touch, corners included, form a
    region. Chance is limit / 2, perfect is 1; without a region it is NaN.
    """
    rates = np.linspace(0, limit, steps + 1)
    thresholds = np.quantile(maps[~masks], 1 - rates)
    overlaps = []
    for heat, mask in zip(maps, masks, strict=True):
        regions, count = ndimage.label(mask, structure=np.ones((3, 3)))
        for region in range(1, count + 1):
            inside = np.sort(heat[regions == region])
            overlaps.append(1 - np.searchsorted(inside, thresholds, side="right") / len(inside))
    if not overlaps:
        return float("nan")
    return float(np.trapezoid(np.mean(overlaps, axis=0), rates) / limit)
