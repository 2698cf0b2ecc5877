"""The whole benchmark: each table is measured, printed, and written to a folder."""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import partial
from pathlib import Path

import pandas as pd
import seaborn as sns
import torch
from joblib import cpu_count
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from ygan_core.checkpoints import write_atomically
from ygan_study.bench import tables
from ygan_study.bench.authors import held_against
from ygan_study.bench.processes import processes
from ygan_study.engine.precision import convolutions_in
from ygan_study.report.style import style
from ygan_study.run.device import resolve_device
from ygan_study.run.provenance import processor, provenance

TABLES = {
    "training": ("Training, 32 px, batch 64", tables.training),
    "inference": ("Scoring an image", tables.inference),
    "cost": ("Training with other settings", tables.cost),
    "breakdown": ("Where the time of a step goes", tables.breakdown),
    "tried": ("Ours with one thing done in another way", tables.tried),
    "processes": ("Trainings side by side, and their memory", processes),
}
BARS = {  # x, y, and the label of x
    "training": ("images_per_s", "what", "training images/s"),
    "breakdown": ("ms_per_step", "kind", "ms of a step"),
    "tried": ("times_as_it_is", "what", "speed as a multiple of ours as it is"),
}


def benchmark(
    folder: Path,
    device: str = "auto",
    authors: Path | None = None,
    quick: bool = False,
    only: Collection[str] = tuple(TABLES),
) -> None:
    """Measure on one thread and print the tables. Write them to `folder` as CSV, with machine.json,
    and pictures of some.

    device: auto, cpu or cuda; authors: a checkout of the authors' public code, which is timed and
    compared with ours; quick: measure for a few seconds only; only: these of TABLES. Raises
    ConfigError if the device is not there or `authors` holds no such code.
    """
    device, threads = resolve_device(device, "paper"), torch.get_num_threads()
    extent = tables.QUICK if quick else tables.CUDA if device == "cuda" else tables.CPU
    gpu = torch.cuda.get_device_name() if device == "cuda" else ""
    about = {"cpu": processor(), "cores": cpu_count(), "gpu": gpu, "quick": quick, **provenance()}
    name = f"{gpu or processor()}, {cpu_count()} cores, torch {torch.__version__}"
    print(name)
    torch.set_num_threads(1)
    try:
        if authors:
            _keep(folder, "authors", "Ours and the authors' code", held_against(authors))
            speed = tables.authors_speed(authors, extent, device)
            _keep(folder, "authors_speed", "Training at width 64", speed)
        for key in (key for key in TABLES if key in only):
            title, measure = TABLES[key]
            with convolutions_in("float32"):  # a Trainer sets its own
                table = measure(extent, device)
            _keep(folder, key, title, table.assign(machine=name))
    finally:
        torch.set_num_threads(threads)
    text = json.dumps(about, indent=2) + "\n"
    write_atomically(folder / "machine.json", lambda path: path.write_text(text))


def draw(key: str, table: pd.DataFrame) -> Figure | None:
    """The picture of a table, if it has one: medians, with the lowest and the highest turn."""
    options = dict(hue="precision", palette="colorblind", height=2.4)
    if key == "cost":
        grid = sns.FacetGrid(table, col="setting", sharex=False, **options)
        grid.map(plt.fill_between, "value", "images_per_s_low", "images_per_s_high", alpha=0.2)
        grid.map(plt.plot, "value", "images_per_s", marker="o").set(yscale="log")
        for name, ax in grid.axes_dict.items():
            ax.set_xscale("log", base=2)
            ax.set(title=name, xlabel="", ylabel="training images/s")
        return grid.add_legend().figure
    if key not in BARS:
        return None
    x, y, label = BARS[key]
    ends = [end for end in (x, f"{x}_low", f"{x}_high") if end in table]
    turns = pd.concat([table.assign(**{x: table[end]}) for end in ends])
    turns = turns[turns[y] != "matrix product"]
    options |= dict(estimator="median", errorbar=("pi", 100), aspect=2, sharex=False, row="width")
    return sns.catplot(turns, kind="bar", x=x, y=y, **options).set_axis_labels(label, "").figure


def _keep(folder: Path, key: str, title: str, table: pd.DataFrame) -> None:
    named, shown = table.index.name is not None, table.drop(columns="machine", errors="ignore")
    for name in [name.removesuffix("_low") for name in table if name.endswith("_low")]:
        ends = [shown[name], shown.pop(f"{name}_low"), shown.pop(f"{name}_high")]
        shown[name] = [
            f"{m:.4g} [{low:.4g}, {high:.4g}]" for m, low, high in zip(*ends, strict=True)
        ]
    text = shown.to_string(index=named, float_format="{:.4g}".format, na_rep="")
    print(f"\n{title}\n{text}", flush=True)
    write = partial(table.to_csv, index=named, float_format="%.6g")
    write_atomically(folder / f"{key}.csv", write)
    with style(), plt.rc_context({"figure.constrained_layout.use": False}):
        if fig := draw(key, table):
            write_atomically(folder / f"{key}.png", fig.savefig)
            plt.close(fig)
