"""The training table: images per second of each loop, compared with the plain loop and the matrix product."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ygan_core.config import Config
from ygan_core.train import Trainer
from ygan_study.bench.authors_code import authors_step
from ygan_study.bench.extent import OURS, PLAIN, PRECISIONS, PRODUCT, Extent
from ygan_study.bench.loops import Plain, loop, operations
from ygan_study.bench.machine import matrix_product
from ygan_study.bench.timing import seconds, spread, take_turns
from ygan_study.engine.precision import PRECISIONS as ALL_PRECISIONS

EAGER = "ours, not captured"
AUTHORS_ONE = ("authors' code, 1 permutations", "float32")
AUTHORS_DEFAULT = ("authors' code, 64 permutations", "float32")
AUTHORS_WIDTH = 64  # the authors' code has no other width

What = tuple[str, str]  # the name of a run, and its precision


def training(extent: Extent, device: str, authors: Path | None) -> pd.DataFrame:
    """Training images per second at each width. A row is a run: a loop, a matrix product, or the authors' code.

    times_plain: the speed as a multiple of the plain loop's. of_product: GFLOP_per_s as a share of the matrix product's, in the
    same precision. authors: a checkout of the authors' code, or None.
    """
    return pd.DataFrame(
        [row for width in extent.widths for row in _rows(width, extent, device, authors)]
    )


def _rows(width: int, extent: Extent, device: str, authors: Path | None) -> list[dict]:
    config = Config(width=width)
    loops = _loops(config, extent.steps, device)
    took = _seconds(loops, extent, device, authors if width == AUTHORS_WIDTH else None)
    products = {
        what[1]: 2 * extent.product**3 / took[what] / 1e9 for what in took if what[0] == PRODUCT
    }  # GFLOP per second
    plain = extent.steps * config.batch_size / took[PLAIN]
    rows = []
    for what, taken in took.items():
        row = {"what": what[0], "precision": what[1], "width": width}
        if what[0] == PRODUCT:
            rows.append(row | {"GFLOP_per_s": np.median(products[what[1]])})
            continue
        speed = (
            (extent.steps if what in loops else 1) * config.batch_size / taken
        )  # a run of the authors' code is one step
        row |= spread("images_per_s", speed)
        row |= spread(
            "times_plain", speed / (np.median(plain) if what == AUTHORS_DEFAULT else plain)
        )
        if what in loops:
            GFLOP_per_s = (
                operations(PLAIN if what == PLAIN else (OURS, what[1]), config) * speed / 1e9
            )
            row |= {
                "GFLOP_per_s": np.median(GFLOP_per_s),
                "of_product": np.median(GFLOP_per_s / products[what[1]]),
            }
        rows.append(row)
    return rows


def _precisions(device: str) -> tuple[str, ...]:
    return ALL_PRECISIONS if device == "cuda" else PRECISIONS


def _loops(config: Config, steps: int, device: str) -> dict[What, Plain | Trainer]:
    precisions = _precisions(device)
    loops = {
        what: loop(what, config, steps, device)
        for what in (PLAIN, *((OURS, precision) for precision in precisions))
    }
    if device == "cuda":
        for precision in precisions:
            loops[EAGER, precision] = loop((OURS, precision), config, steps, device, captured=False)
    return loops


def _seconds(
    loops: dict[What, Plain | Trainer], extent: Extent, device: str, authors: Path | None
) -> dict[What, np.ndarray]:
    """The seconds of each run in each turn: (turns,), or (1,) for AUTHORS_DEFAULT."""
    runs = {what: trained.epoch for what, trained in loops.items()}
    for precision in _precisions(device):
        runs[PRODUCT, precision] = matrix_product(extent.product, precision, device)
    if not authors:
        return take_turns(runs, extent)
    plain = loops[PLAIN]
    x, y = plain.x[: plain.config.batch_size], plain.y[: plain.config.batch_size]
    runs[AUTHORS_ONE] = authors_step(authors, x, y, permutations=1)
    took = take_turns(runs, extent)
    # One step with 64 permutations takes a hundred times as long as a step of ours. So it runs once, after the turns.
    return took | {
        AUTHORS_DEFAULT: np.array([seconds(authors_step(authors, x, y, permutations=64))])
    }
