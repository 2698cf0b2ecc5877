"""Synthetic defects with known masks, and how well a heat map finds them: pixel AUROC and PRO."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage
from sklearn.metrics import roc_auc_score

VISIBLE = 16  # of 255: a pixel counts as changed from here on
LEAST = 1 / 200  # of the pixels that a defect changes; else it is drawn again
TRIES = 50
LIMIT = 0.3  # PRO's highest share of false alarms, of its authors


def cut_paste(image: np.ndarray, other: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """A rectangle of another image, elsewhere. image, other: uint8 (S, S, C)."""
    size = len(image)
    height, width = random.randint(size // 8, size // 3, 2)
    (top, left), (to, at) = (random.randint(0, size - np.array([height, width])) for _ in range(2))
    damaged = image.copy()
    damaged[to : to + height, at : at + width] = other[top : top + height, left : left + width]
    return damaged


def scratch(image: np.ndarray, other: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """A thin crooked line, darker or brighter than all that it crosses. other is not looked at."""
    size = len(image)
    picture = Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
    points = random.uniform(0.15, 0.85, 2) * size + np.cumsum(
        random.normal(0, size / 8, (4, 2)), axis=0
    )
    colour = int(random.choice([0, 255]))
    fill = colour if picture.mode == "L" else (colour,) * 3
    ImageDraw.Draw(picture).line(
        [tuple(map(float, p)) for p in points], fill=fill, width=max(1, size // 32)
    )
    return np.asarray(picture).reshape(image.shape)


def blur(image: np.ndarray, other: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """An ellipse out of focus. other is not looked at."""
    size = len(image)
    picture = Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(size / 12))).reshape(image.shape)
    return np.where(_ellipse(size, random)[..., None], soft, image)


def stain(image: np.ndarray, other: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """A blot of one colour, through which the image still shows. other is not looked at."""
    colour, share = random.randint(0, 256, image.shape[-1]), random.uniform(0.5, 0.9)
    blot = (share * colour + (1 - share) * image).round().astype(np.uint8)
    return np.where(_ellipse(len(image), random)[..., None], blot, image)


def _ellipse(size: int, random: np.random.RandomState) -> np.ndarray:
    (y, x), (a, b), turn = (
        random.uniform(0.2, 0.8, 2) * size,
        random.uniform(0.08, 0.2, 2) * size,
        random.uniform(0, np.pi),
    )
    v, u = np.mgrid[:size, :size] - np.array([y, x])[:, None, None]
    return ((u * np.cos(turn) + v * np.sin(turn)) / a) ** 2 + (
        (v * np.cos(turn) - u * np.sin(turn)) / b
    ) ** 2 <= 1


DEFECTS: dict[str, Callable[..., np.ndarray]] = {
    f.__name__: f for f in (cut_paste, scratch, blur, stain)
}


def damage(kind: str, images: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A defect in each image: uint8 (n, C, S, S) -> (the same, damaged; bool (n, S, S), the pixels that changed visibly).

    A defect that can hardly be seen, as blurred black is, is drawn again, 50 times at most.
    """
    random, make = np.random.RandomState(seed), DEFECTS[kind]
    damaged, masks = [], []
    for i, image in enumerate(images.transpose(0, 2, 3, 1)):
        for _ in range(TRIES):
            other = images[(i + random.randint(1, max(2, len(images)))) % len(images)].transpose(
                1, 2, 0
            )
            changed = make(image, other, random)
            mask = (np.abs(changed.astype(int) - image).max(axis=-1)) >= VISIBLE
            if mask.mean() >= LEAST:
                break
        damaged.append(changed.transpose(2, 0, 1))
        masks.append(mask)
    return np.stack(damaged), np.stack(masks)


def pixel_auroc(maps: np.ndarray, masks: np.ndarray) -> float:
    """Area under the ROC curve over the pixels of all images: maps (n, S, S), masks bool (n, S, S). Chance is 0.5."""
    return float(roc_auc_score(masks.ravel(), maps.ravel()))


def pro(maps: np.ndarray, masks: np.ndarray, limit: float = LIMIT, steps: int = 300) -> float:
    """Per-region overlap (Bergmann et al., CVPR 2020): the share of a defective region that is found, the mean over regions.

    It is averaged over the thresholds that give false alarms on 0 to `limit` of the normal pixels. maps (n, S, S), masks bool
    (n, S, S); a region is what hangs together, corners included. Chance is limit / 2, perfect is 1.
    """
    rates = np.linspace(0, limit, steps + 1)
    thresholds = np.quantile(maps[~masks], 1 - rates)
    overlaps = []
    for heat, mask in zip(maps, masks, strict=True):
        regions, count = ndimage.label(mask, structure=np.ones((3, 3)))
        for region in range(1, count + 1):
            inside = np.sort(heat[regions == region])
            overlaps.append(1 - np.searchsorted(inside, thresholds, side="right") / len(inside))
    return (
        float(np.trapezoid(np.mean(overlaps, axis=0), rates) / limit) if overlaps else float("nan")
    )
