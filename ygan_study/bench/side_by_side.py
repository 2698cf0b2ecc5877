"""The table of processes: several trainings at once, each in a process of its own, and their memory."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from threading import Barrier

import numpy as np
import pandas as pd
import torch
from joblib import cpu_count

from ygan_core.config import Config
from ygan_study.bench.extent import PLAIN, Extent
from ygan_study.bench.loops import loop
from ygan_study.bench.timing import seconds

WAIT = 600  # seconds until a training gives up waiting for the others


def side_by_side(extent: Extent, device: str) -> pd.DataFrame:
    """Training images per second of all processes together, and the peak memory of the largest one in MB.

    On a CPU it is the memory of the process; `MB_before` is what Python and PyTorch need of it before the training begins.
    On a GPU it is the memory that PyTorch allocated there. A training runs on one thread, or alone on all cores.
    """
    config, rows = Config(width=extent.widths[-1]), []
    several = _processes_and_threads(device)
    for what in extent.alone:
        for processes, threads in several[:1] if what == PLAIN or extent.quick else several:
            rates, before, peak = _train_together(processes, threads, what, config, extent, device)
            row = {"what": what[0], "precision": what[1], "width": config.width}
            row |= {"processes": processes, "threads_each": threads}
            rows.append(
                row
                | {"images_per_s": rates.sum(), "MB_peak": peak.max(), "MB_before": before.max()}
            )
    return pd.DataFrame(rows)


def _processes_and_threads(device: str) -> list[tuple[int, int]]:
    cores = cpu_count()
    several = [(n, 1) for n in (1, 2, 4, 8) if device == "cuda" or n <= cores]
    return several + [(1, cores)] if device == "cpu" and cores > 1 else several


def _train_together(processes: int, threads: int, *training) -> np.ndarray:
    """Images per second, MB before the training, and MB at the peak: (3, processes). training: arguments of `_train`.

    Raises what a training raises.
    """
    context = multiprocessing.get_context("spawn")  # a forked PyTorch may hang
    with context.Manager() as manager, ProcessPoolExecutor(processes, context) as pool:
        everyone = manager.Barrier(processes)
        asked = [pool.submit(_train, everyone, threads, *training) for _ in range(processes)]
        try:
            return np.transpose([answer.result() for answer in as_completed(asked)])
        except Exception:
            everyone.abort()  # the others wait for the one that failed
            raise


def _train(
    everyone: Barrier,
    threads: int,
    what: tuple[str, str],
    config: Config,
    extent: Extent,
    device: str,
) -> tuple[float, float, float]:
    """Train in this process. The measurement begins when every process has trained an epoch to warm up."""
    torch.set_num_threads(threads)
    before, turns = _peak_memory(device), 0
    trained = loop(what, config, extent.steps, device)
    trained.epoch()
    everyone.wait(WAIT)
    start = time.perf_counter()
    while (took := time.perf_counter() - start) < extent.seconds / 4 or not turns:
        seconds(trained.epoch)
        turns += 1
    return turns * extent.steps * config.batch_size / took, before, _peak_memory(device)


def _peak_memory(device: str) -> float:
    """In MB. On a CPU it is known under Linux only, and NaN elsewhere."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    with contextlib.suppress(
        OSError
    ):  # getrusage would not do: a child begins there with its parent's peak
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))
    return np.nan
