"""The whole benchmark: each table is measured, printed, and written to a folder."""

import json
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from joblib import cpu_count

from ygan_core.checkpoints import write_atomically
from ygan_study.bench import tables
from ygan_study.bench.authors import held_against
from ygan_study.engine.precision import convolutions_in
from ygan_study.engine.threads import one_thread
from ygan_study.run.device import resolve_device
from ygan_study.run.provenance import processor, provenance

TABLES = {
    "training": ("Training, 32 px, batch 64", tables.training),
    "inference": ("Scoring an image", tables.inference),
    "cost": ("Training with other settings", tables.cost),
    "breakdown": ("Where the time of a step goes", tables.breakdown),
    "tried": ("Ours with one thing done in another way", tables.tried),
    "processes": ("Trainings side by side, and their memory", tables.processes),
}
FIGURES = ["images_per_s", "ms_per_image", "times_plain", "of_product", "times_as_it_is"]


@one_thread()
def benchmark(
    folder: Path,
    device: str = "auto",
    authors: Path | None = None,
    quick: bool = False,
    only: Collection[str] = tuple(TABLES),
) -> None:
    """Measure on one thread and print the tables. Write them to `folder` as CSV, with machine.json.

    device: auto, cpu or cuda; authors: a checkout of the authors' public code, which is timed and
    compared with ours; quick: measure for a few seconds only; only: these of TABLES. Raises
    ConfigError if the device is not there or `authors` holds no such code.
    """
    device = resolve_device(device, "paper")
    extent = tables.QUICK if quick else tables.CUDA if device == "cuda" else tables.CPU
    extent = replace(extent, device=device)
    gpu = torch.cuda.get_device_name() if device == "cuda" else ""
    about = {"cpu": processor(), "cores": cpu_count(), "gpu": gpu, "quick": quick, **provenance()}
    name = f"{gpu or processor()}, {cpu_count()} cores, torch {torch.__version__}"
    print(name)
    if authors:
        table = held_against(authors).reset_index()
        _keep(folder, "authors", "Ours and the authors' code", table)
        table = tables.authors_speed(authors, extent)
        _keep(folder, "authors_speed", "Training at width 64", table)
    for key in (key for key in TABLES if key in only):
        title, measure = TABLES[key]
        with convolutions_in("float32"):  # a Trainer sets its own
            table = measure(extent)
        _keep(folder, key, title, table, machine=name)
    text = json.dumps(about, indent=2) + "\n"
    write_atomically(folder / "machine.json", lambda path: path.write_text(text))


def _keep(folder: Path, key: str, title: str, table: pd.DataFrame, **also: str) -> None:
    """Write a table, with further columns; print it, of turns the median, the lowest and the
    highest."""
    figures = [name for name in FIGURES if name in table]
    about = [name for name in table if name not in (*figures, "turn")]
    turns, shown = "turn" in table, table
    if turns:
        shown = table.groupby(about, sort=False, dropna=False)[figures]
        shown = shown.agg(["median", "min", "max"])
    text = shown.to_string(index=turns, float_format="{:.4g}".format, na_rep="")
    print(f"\n{title}\n{text}", flush=True)
    write = partial(table.assign(**also).to_csv, index=False, float_format="%.6g")
    write_atomically(folder / f"{key}.csv", write)
