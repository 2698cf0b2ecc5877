"""The table of processes: several trainings at once, each in a process of its own."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import cpu_count
from torch import multiprocessing

from ygan_study.bench.loops import loop
from ygan_study.bench.tables import Extent
from ygan_study.engine import Trainer
from ygan_study.plan.settings import Settings


def processes(extent: Extent, device: str) -> pd.DataFrame:
    """Training images per second of all processes together, and the peak memory of the largest, in
    MB: of the process, or on a GPU what PyTorch allocated there. MB_before: before its training."""
    several = [n for n in (1, 2, 4, 8) if device == "cuda" or n <= cpu_count()]
    table = []
    for precision in extent.precisions[:1] if extent.quick else extent.precisions:
        for n in several[:1] if extent.quick else several:
            rates, before, peak = train_together(n, extent, device, precision)
            row = {"precision": precision, "width": extent.widths[-1], "processes": n}
            row |= {"images_per_s": rates.sum(), "MB_peak": peak.max(), "MB_before": before.max()}
            table.append(row)
    return pd.DataFrame(table)


def train_together(n: int, extent: Extent, device: str, precision: str) -> np.ndarray:
    """Images per second, MB before the training, and MB at the peak of each process: (3, n).

    Raises ProcessRaisedException with the traceback of a training that failed; the others end.
    """
    context = multiprocessing.get_context("spawn")
    found, everyone = context.SimpleQueue(), context.Barrier(n)
    multiprocessing.spawn(_train, (everyone, found, extent, device, precision), n)
    return np.transpose([found.get() for _ in range(n)])


def _train(number, everyone, found, extent: Extent, device: str, precision: str) -> None:
    """Train in this process, measured from when every process has trained an epoch to warm up."""
    before, epochs = _peak_memory(device), 0
    trainer = loop(Trainer, Settings(width=extent.widths[-1]), extent.steps, device, precision)
    trainer.epoch()
    everyone.wait()
    start = time.perf_counter()
    while (took := time.perf_counter() - start) < extent.turns * extent.seconds or not epochs:
        trainer.epoch()
        epochs += 1
    found.put((epochs * len(trainer.images) / took, before, _peak_memory(device)))


def _peak_memory(device: str) -> float:
    """In MB. On a CPU it is known under Linux only, and NaN elsewhere."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    with contextlib.suppress(OSError):  # getrusage begins in a child with its parent's peak
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))
    return np.nan
