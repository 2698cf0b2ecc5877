"""The cost table: how the speed of training depends on batch size, width and image size."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from ygan_study.bench.extent import OURS, PRECISIONS, Extent
from ygan_study.bench.loops import loop
from ygan_study.bench.timing import spread, take_turns


def cost(extent: Extent, device: str) -> pd.DataFrame:
    """Training images per second of our loop. A row differs from `extent.base` in one setting only; `against` names it."""
    steps = extent.steps if device == "cuda" else 1
    points = [
        (key, value, p)
        for key, values in extent.curves.items()
        for value in values
        for p in PRECISIONS
    ]
    loops = {
        (key, value, p): loop((OURS, p), replace(extent.base, **{key: value}), steps, device)
        for key, value, p in points
    }
    took = take_turns({point: trained.epoch for point, trained in loops.items()}, extent)
    rows = []
    for (key, value, precision), taken in took.items():
        config = loops[key, value, precision].config
        settings = {name: getattr(config, name) for name in ("batch_size", "width", "image_size")}
        speed = spread("images_per_s", steps * config.batch_size / taken)
        rows.append({"against": key, **settings, "precision": precision, **speed})
    return pd.DataFrame(rows)
