"""How long something takes: runs in turns, and the spread over the turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

import numpy as np
import torch

from ygan_study.bench.extent import Extent


def seconds(run: Callable[[], object]) -> float:
    """The seconds that `run` takes. The work that it leaves to a GPU is included."""
    _wait_for_gpu()
    start = time.perf_counter()
    run()
    _wait_for_gpu()
    return time.perf_counter() - start


def _wait_for_gpu() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def take_turns(
    runs: dict[Hashable, Callable[[], object]], extent: Extent
) -> dict[Hashable, np.ndarray]:
    """The seconds of each run in each turn: {name: (turns,)}.

    In a turn every run runs once, in the order of `runs`. Before the first turn each runs once to warm up, untimed.
    There are at least `extent.rounds` turns, and they last at least `extent.seconds` together.
    """
    for run in runs.values():
        run()
    start, turns = time.perf_counter(), []
    while len(turns) < extent.rounds or time.perf_counter() - start < extent.seconds:
        turns.append([seconds(run) for run in runs.values()])
    return dict(zip(runs, np.transpose(turns), strict=True))


def spread(name: str, values: np.ndarray) -> dict[str, float]:
    """The columns of a figure: its median, its lowest and its highest value over the turns. values: (turns,)."""
    return {name: np.median(values), f"{name}_low": values.min(), f"{name}_high": values.max()}
