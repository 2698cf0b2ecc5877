"""Which heat map finds a defect? Each kind, and PaDiM's own map, on four datasets."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from ygan_core.data import sub_classes
from ygan_core.scores import to_input
from ygan_detector.defects import DEFECTS, damage, pixel_auroc, pro
from ygan_detector.estimator import YGANDetector
from ygan_study.methods.padim import PaDiM
from ygan_study.plan.images import prepare
from ygan_study.plan.settings import Settings

HELD_OUT = {"mnist": 4, "fmnist": 4, "cifar10": 4, "plantvillage": -1}  # classes not used here
IMAGES = 100  # held-back normal images, to each of which every kind of defect is added


def compare(
    datasets: Iterable[str] = HELD_OUT, per_class: int = 0, source: str = "starter", **params
) -> pd.DataFrame:
    """A row for each dataset, heat map and defect, with pixel_auroc and pro.

    A detector is trained on the normal images of each dataset. per_class: images of each class, 0
    for all; params: of YGANDetector. Raises DataError.
    """
    rows = []
    for dataset in datasets:
        settings = Settings(
            dataset=dataset,
            held_out=HELD_OUT[dataset],
            source=source,
            images_per_class=per_class,
            image_size=64 if dataset == "plantvillage" else 32,
        )
        data, split = prepare(settings)
        images = data.images[split.train]
        labels = sub_classes(data, settings.held_out)[split.train]
        detector = YGANDetector(**params).fit(images, labels.numpy())
        maps = {kind: partial(detector.heat_maps, kind=kind) for kind in detector.heat_scales_}
        maps["PaDiM"] = partial(padim_maps, PaDiM(settings).fit(images))
        for defect in DEFECTS:
            damaged, masks = damage(defect, data.images[split.held_back[:IMAGES]].numpy())
            for kind, make in maps.items():
                heat = make(torch.from_numpy(damaged)).numpy()
                row = {"dataset": dataset, "heat_map": kind, "defect": defect}
                row |= {"pixel_auroc": pixel_auroc(heat, masks), "pro": pro(heat, masks)}
                rows.append(row)
    return pd.DataFrame(rows)


@torch.inference_mode()
def padim_maps(padim: PaDiM, images: Tensor) -> Tensor:
    """PaDiM's own heat maps in the images' size: uint8 (n, C, S, S) -> float32 (n, S, S)."""
    size = images.shape[-1]
    return torch.cat([padim.anomaly_map(to_input(part), size) for part in images.split(32)])
