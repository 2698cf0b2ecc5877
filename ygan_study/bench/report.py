"""The whole benchmark: every table is measured, printed, and written to a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from ygan_core.checkpoints import write_atomically
from ygan_study.bench.authors_code import authors_step
from ygan_study.bench.breakdown import breakdown
from ygan_study.bench.captured import captured_against_eager
from ygan_study.bench.cost import cost
from ygan_study.bench.draw import draw_breakdown, draw_cost, draw_training, draw_tried
from ygan_study.bench.extent import EXTENTS, Extent
from ygan_study.bench.inference import inference
from ygan_study.bench.machine import machine
from ygan_study.bench.side_by_side import side_by_side
from ygan_study.bench.training import training
from ygan_study.bench.tried import tried
from ygan_study.engine.precision import convolutions_in
from ygan_study.run.device import resolve_device

STYLE = "ygan_study.report.style"  # the study's style.mplstyle, as Matplotlib names it: importing the figures would be slow
TABLES = ("training", "inference", "cost", "breakdown", "tried", "processes")
Measure = Callable[[Extent, str], pd.DataFrame]  # of an extent and a device
Draw = Callable[[pd.DataFrame], Figure]


def benchmark(
    folder: Path,
    device: str = "auto",
    authors: Path | None = None,
    quick: bool = False,
    threads: int = 1,
    only: Collection[str] = TABLES,
) -> None:
    """Measure, and print the tables. Write each table to `folder` as CSV, some with a picture, and machine.json.

    device: auto, cpu or cuda; authors: a checkout of the authors' public code, which is timed too; quick: measure for a few
    seconds only, for a first look; threads: the threads of a training on a CPU; only: these of TABLES.
    Raises ConfigError if the device is not there or `authors` holds no such code, and RuntimeError if the captured step of a
    GPU computes other losses than the eager one.
    """
    device = resolve_device(device, "paper")
    if authors:  # a wrong folder is refused now, not after minutes
        authors_step(authors, torch.zeros(2, 3, 32, 32), torch.arange(2), permutations=1)
    extent, threads_before = EXTENTS["quick" if quick else device], torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        about = machine(device, threads) | {"quick": quick}
        name = f"{about['gpu'] or about['cpu']}, {about['cores']} cores, {threads} threads, torch {about['versions']['torch']}"
        print(name)
        if device == "cuda":
            largest = captured_against_eager(device)
            print(
                f"captured step against eager, 20 steps: loss terms differ by {largest:.2e} at the most"
            )
        for key, (title, measure, draw) in _tables(authors).items():
            if key not in only:
                continue
            with convolutions_in("float32"):  # a Trainer sets its own
                table = measure(extent, device).assign(machine=name)
            _print(title, table)
            _write(folder, key, table, draw)
        write_atomically(
            folder / "machine.json",
            lambda path: path.write_text(json.dumps(about, indent=2) + "\n"),
        )
    finally:
        torch.set_num_threads(threads_before)


def _tables(authors: Path | None) -> dict[str, tuple[str, Measure, Draw | None]]:
    """The tables by the name of their file: the title, the function that measures, the function that draws, if any."""
    return {
        "training": (
            "Training, 32 px, batch 64",
            partial(training, authors=authors),
            draw_training,
        ),
        "inference": ("Scoring an image", inference, None),
        "cost": ("What it costs to train with other settings", cost, draw_cost),
        "breakdown": ("Where the time of a step goes", breakdown, draw_breakdown),
        "tried": ("Ours with one thing done otherwise", tried, draw_tried),
        "processes": ("Trainings side by side, and their memory", side_by_side, None),
    }


def _print(title: str, table: pd.DataFrame) -> None:
    shown = table.drop(columns="machine").to_string(
        index=False, float_format="{:.4g}".format, na_rep=""
    )
    print(f"\n{title}\n{shown}", flush=True)


def _write(folder: Path, key: str, table: pd.DataFrame, draw: Draw | None) -> None:
    write_atomically(folder / f"{key}.csv", partial(table.to_csv, index=False, float_format="%.6g"))
    if draw:
        with plt.style.context(STYLE):
            fig = draw(table)
            write_atomically(folder / f"{key}.png", fig.savefig)
        plt.close(fig)
