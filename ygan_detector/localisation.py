"""Which heat map finds a defect? `python -m ygan_detector localise`: three means beside PaDiM's map, on four datasets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from ygan_core.data.protocol import sub_classes
from ygan_core.scores import to_input
from ygan_detector.defects import DEFECTS, damage, pixel_auroc, pro
from ygan_detector.estimator import YGANDetector
from ygan_detector.heat import heat_maps
from ygan_study.methods.padim import PaDiM
from ygan_study.plan.images import prepare
from ygan_study.plan.settings import Settings

CELLS = {
    "mnist": 4,
    "fmnist": 4,
    "cifar10": 4,
    "plantvillage": -1,
}  # the class held out; it is not looked at here
IMAGES = 100  # held-back normal images that are damaged, the same for each kind of defect


def compare(
    datasets: Iterable[str] = CELLS, per_class: int = 0, source: str = "starter", **settings
) -> pd.DataFrame:
    """A row for each dataset, means and defect: pixel_auroc, pro. A detector is trained on each dataset's normal images.

    per_class: images of each class, 0 for all; settings: of YGANDetector. Raises DataError.
    """
    rows = []
    for dataset in datasets:
        size = 64 if dataset == "plantvillage" else 32
        base = Settings(
            dataset=dataset,
            held_out=CELLS[dataset],
            source=source,
            images_per_class=per_class,
            image_size=size,
        )
        data, split = prepare(base)
        images, labels = data.images[split.train], sub_classes(data, base.held_out)[split.train]
        detector = YGANDetector(**settings).fit(images, labels.numpy())
        padim = PaDiM(replace(base, method="padim")).fit(images)
        normal = data.images[split.held_back[:IMAGES]]
        maps = {
            n: partial(heat_maps, n, detector.model_, mean_z_r=detector.mean_z_r_)
            for n in detector.heat_scales_
        }
        maps["PaDiM"] = partial(padim_maps, padim)
        for kind in DEFECTS:
            damaged, masks = damage(kind, normal.numpy())
            damaged = torch.from_numpy(damaged)
            for name, make in maps.items():
                heat = make(damaged).numpy()
                found = {"pixel_auroc": pixel_auroc(heat, masks), "pro": pro(heat, masks)}
                rows.append({"dataset": dataset, "means": name, "defect": kind, **found})
    return pd.DataFrame(rows)


@torch.inference_mode()
def padim_maps(padim: PaDiM, images: Tensor) -> Tensor:
    """PaDiM's own heat maps, at the images' size: uint8 (n, C, S, S) -> float32 (n, S, S)."""
    return torch.cat(
        [padim.anomaly_map(to_input(part), images.shape[-1]) for part in images.split(32)]
    )
