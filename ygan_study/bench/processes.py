"""The table of processes: several trainings at once, each in a process of its own."""

from __future__ import annotations

import contextlib
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import cpu_count
from torch import multiprocessing
from torch.utils.benchmark import Timer

from ygan_study.bench.tables import Extent
from ygan_study.engine import Trainer
from ygan_study.plan.settings import Settings


def processes(extent: Extent) -> pd.DataFrame:
    """Training images per second of all processes together, and the peak memory of the largest, in
    MB: of the process, or on a GPU what PyTorch allocated there. MB_before: before its training."""
    several = [n for n in (1, 2, 4, 8) if extent.device == "cuda" or n <= cpu_count()]
    wanted, table = product(extent.precisions, several), []
    for precision, n in [("float32", 2)] if extent.quick else wanted:
        rates, before, peak = train_together(n, extent, precision)
        row = {"precision": precision, "width": extent.widths[-1], "processes": n}
        row |= {"images_per_s": rates.sum(), "MB_peak": peak.max(), "MB_before": before.max()}
        table.append(row)
    return pd.DataFrame(table)


def train_together(n: int, extent: Extent, precision: str) -> np.ndarray:
    """Images per second, MB before the training, and MB at the peak of each process: (3, n).

    Raises ProcessRaisedException with the traceback of a training that failed; the others end.
    """
    context = multiprocessing.get_context("spawn")
    found, everyone = context.SimpleQueue(), context.Barrier(n)
    multiprocessing.spawn(_train, (everyone, found, extent, precision), n)
    return np.transpose([found.get() for _ in range(n)])


def _train(number, everyone, found, extent: Extent, precision: str) -> None:
    """Train in this process, measured from when every process has trained an epoch to warm up."""
    before = _peak_memory(extent.device)
    trainer = extent.loop(Trainer, Settings(width=extent.widths[-1]), precision)
    trainer.epoch()
    everyone.wait()
    timer = Timer("epoch()", globals={"epoch": trainer.epoch})
    seconds = timer.blocked_autorange(min_run_time=extent.turns * extent.seconds).mean
    found.put((len(trainer.images) / seconds, before, _peak_memory(extent.device)))


def _peak_memory(device: str) -> float:
    """In MB. On a CPU it is known under Linux only, and NaN elsewhere."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    with contextlib.suppress(OSError):  # getrusage begins in a child with its parent's peak
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))
    return np.nan
