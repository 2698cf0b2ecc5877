"""Which heat map finds a lesion? Diseased leaves of the starter pack, with rough masks by colour.

The masks are nobody's annotation: a lesion is what is brown or yellow on a green leaf. Each leaf is
measured by itself, and on the pixels of the leaf alone, so a map gains nothing by finding the leaf.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch
from PIL import Image
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from ygan_core.data import sub_classes
from ygan_detector.estimator import YGANDetector
from ygan_detector.pixels import resize
from ygan_study.plan.images import prepare
from ygan_study.plan.settings import Settings

LEAVES = Settings(dataset="plantvillage", held_out=-1, source="starter", image_size=64)
LEAF, LESION = (5, 125), (5, 42)  # hues from 0 to 255, as Pillow has them
SATURATED = 60  # of 255; the background is greyer
COVERED = (0.03, 0.5)  # shares of a leaf that a mask covers; others are not believed
RECIPES = ("features", "balanced", "classifier")
AS_WARM = 0.05  # the share of a leaf whose warmest pixels are looked at


def masks(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the leaf is, and where it is brown or yellow: uint8 (S, S, 3) -> bool (S, S), twice."""
    hue, saturation, _ = np.asarray(Image.fromarray(image).convert("HSV")).transpose(2, 0, 1)
    coloured = (saturation > SATURATED) & (LEAF[0] <= hue) & (hue <= LEAF[1])
    parts, _ = ndimage.label(coloured)
    largest = parts == np.bincount(parts.flat, coloured.flat).argmax()
    leaf = ndimage.binary_erosion(ndimage.binary_fill_holes(largest), iterations=2)
    brown = coloured & (LESION[0] <= hue) & (hue <= LESION[1])
    return leaf, ndimage.binary_opening(leaf & brown)


def diseased_leaves(per_disease: int = 10) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Leaves uint8 (64, 64, 3) and their masks, the first few of each disease that are believed."""
    data, parts = prepare(LEAVES)
    found = {}
    for i in parts.test_anomalous.sort().values.tolist():
        image = data.images[i].permute(1, 2, 0).numpy()
        leaf, lesion = masks(image)
        border = np.concatenate([leaf[[2, -3]].ravel(), leaf[:, [2, -3]].ravel()])
        alone = leaf.mean() > 0.15 and border.mean() < 0.05  # not the background as well
        if alone and COVERED[0] < lesion.sum() / leaf.sum() < COVERED[1]:
            found.setdefault(int(data.labels[i]), []).append((image, leaf, lesion))
    return [example for examples in found.values() for example in examples[:per_disease]]


def compare(recipes: Iterable[str] = RECIPES, **params) -> pd.DataFrame:
    """A row for each recipe and heat map, with the means over the leaves, and a standard error.

    auroc: of the pixels of a leaf, chance is 0.5; on_lesions: how much of the warmest 5 % of a leaf
    is a lesion, chance is `covered`. The detectors are trained on the healthy leaves; params: of
    YGANDetector.
    """
    data, parts = prepare(LEAVES)
    labels, leaves, rows = sub_classes(data, -1)[parts.train], diseased_leaves(), []
    for recipe in recipes:
        detector = YGANDetector(recipe, **params).fit(data.images[parts.train], labels.numpy())
        pixels = np.stack([resize(image, detector.size_, 3) for image, *_ in leaves])
        for kind in detector.model_.heat_maps:
            maps = detector.heat_maps(torch.from_numpy(pixels), kind).numpy()
            each = pd.DataFrame(map(measure, maps, *zip(*(m for _, *m in leaves), strict=True)))
            row = {"recipe": recipe, "heat_map": kind, **each.mean(), "leaves": len(leaves)}
            rows.append(row | {"auroc_error": each["auroc"].sem()})
    return pd.DataFrame(rows)


def measure(heat: np.ndarray, leaf: np.ndarray, lesion: np.ndarray) -> dict[str, float]:
    """How well a heat map (S, S) of any size finds a lesion, both masks bool (64, 64)."""
    small = Image.fromarray(heat).resize(leaf.shape, Image.Resampling.BILINEAR)
    heat, lesion = np.asarray(small)[leaf], lesion[leaf]
    warmest = np.argsort(-heat, kind="stable")[: max(1, round(AS_WARM * len(heat)))]
    return {
        "auroc": roc_auc_score(lesion, heat),
        "on_lesions": lesion[warmest].mean(),
        "covered": lesion.mean(),
    }
