"""Section 5 in pictures: Color-MNIST, Fig. 6, and what stands beside it."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
import torch
from matplotlib.figure import Figure

from ygan_core.config import TERMS
from ygan_core.data import COLOURS
from ygan_core.study.figures.base import (
    ANOMALOUS,
    CLASS_COLOURS,
    GROUND_COLOURS,
    NORMAL,
    centres,
    maps,
    scatter,
    show_grid,
    swap_grid,
    title,
)
from ygan_core.study.jobs import Job, Run, Study, View


def color_mnist_samples(runs: list[Run]) -> Figure:
    """Color-MNIST (section 5): every digit, held out or normal, on each of the ten grounds."""
    test = runs[0].test
    fig, ax = plt.subplots(figsize=(4.2, 4.2))
    pairs = test["label"] * len(COLOURS) + test["colour"]
    found, rows = np.unique(pairs, return_index=True)  # the first image of each; a small slice may lack some: left white
    tiles = torch.full((10 * len(COLOURS), *runs[0].images(rows[:1])[0].shape), 255, dtype=torch.uint8)
    tiles[torch.from_numpy(found)] = runs[0].images(rows)
    show_grid(ax, tiles.unflatten(0, (10, len(COLOURS))))
    held_out = runs[0].config.held_out
    ax.set_title(f"Color-MNIST: {held_out} is the anomaly, the others are normal")
    ax.set_xticks(centres(10), list(COLOURS), rotation=40, ha="right")
    ax.set_yticks(centres(10), [f"{digit}" for digit in range(10)])
    return fig


def fig6a(runs: list[Run]) -> Figure:
    """Fig. 6a, the swap grid: z_s from the image on top, z_r from the image on the left, none of them trained on."""
    fig, axes = plt.subplots(1, len(runs), figsize=(4.4 * len(runs), 4.9), squeeze=False)
    for ax, run in zip(axes.flat, runs, strict=True):
        test = run.test
        tops = np.array([_first(test, label=digit) for digit in range(10) if digit != run.config.held_out])
        lefts = np.array([_first(test, colour=ground, skip=12 * ground) for ground in range(len(COLOURS))])
        swap_grid(ax, run, tops, lefts)
        ax.set_title(title(run))
    return fig


def fig6b(runs: list[Run]) -> Figure:
    """Fig. 6b, t-SNE of z_s and z_r: up to 250 images a class that no training saw; z_r once by digit, once by ground."""
    rows = [np.concatenate([np.flatnonzero(run.test["label"] == digit)[:250] for digit in range(10)]) for run in runs]
    shown = [{key: array[which] for key, array in run.test.items()} for run, which in zip(runs, rows, strict=True)]
    flat = maps([(run, z, which) for run, which in zip(runs, rows, strict=True) for z in ("z_s", "z_r")])

    fig, axes = plt.subplots(len(runs), 3, figsize=(9, 3.1 * len(runs)), squeeze=False)
    for row, run, test, map_s, map_r in zip(axes, runs, shown, flat[::2], flat[1::2], strict=True):
        by_digit, by_ground = np.array(CLASS_COLOURS)[test["label"]], GROUND_COLOURS[test["colour"]]
        for ax, points, colours in ((row[0], map_s, by_digit), (row[1], map_r, by_digit), (row[2], map_r, by_ground)):
            scatter(ax, points, colours, test["anomalous"])
        for ax, heading in zip(row, ("$z_s$, by digit", "$z_r$, by digit", "$z_r$, by ground colour"), strict=True):
            ax.set_title(heading)
        row[0].set_ylabel(title(run).replace(": ", ":\n"))
    held_out = runs[0].config.held_out
    handles = [
        plt.Line2D([], [], marker="o", ls="", ms=5, mfc=CLASS_COLOURS[digit], mec="black" if digit == held_out else "none")
        for digit in range(10)
    ]
    names = [f"{digit} (anomalous)" if digit == held_out else f"{digit}" for digit in range(10)]
    fig.legend(handles, names, loc="outside lower center", ncols=10, handletextpad=0.1, columnspacing=1.0)
    return fig


def color_mnist_scores(runs: list[Run]) -> Figure:
    """The score of Eq. 12 over the balanced test set, normal and anomalous, with its AUC."""
    fig, axes = plt.subplots(1, len(runs), figsize=(4.4 * len(runs), 2.6), squeeze=False, sharex=True)
    for ax, run in zip(axes.flat, runs, strict=True):
        test = {key: array[run.test["in_test"]] for key, array in run.test.items()}
        bins = np.linspace(0, 1, 41)
        score = run.scores[run.test["in_test"]]
        normal, anomalous = score[~test["anomalous"]], score[test["anomalous"]]
        sns.histplot(x=normal, bins=bins, color=NORMAL, label="normal", ax=ax, linewidth=0)
        sns.histplot(x=anomalous, bins=bins, color=ANOMALOUS, label="anomalous", ax=ax, fill=False, element="step")
        ax.set(title=f"{title(run)}\nAUC {run.metrics['auc']:.3f}", xlabel="$s = 1 - \\max_i p_i$ (Eq. 12)", ylabel="images")
        ax.set_yscale("symlog", linthresh=10)
        ax.legend()
    return fig


def color_mnist_losses(runs: list[Run]) -> Figure:
    """Every loss term over the epochs, unweighted."""
    fig, axes = plt.subplots(2, 3, figsize=(9, 4.2), sharex=False)
    for ax, term in zip(axes.flat, TERMS, strict=True):
        for run, style in zip(runs, ("-", "--", ":", "-."), strict=False):
            ax.plot(run.losses.index / len(run.losses), run.losses[term], style, label=run.config.label, marker=".", ms=4)
        ax.set_title(f"$L_{{{term[2:]}}}$")
        if term in ("L_s", "L_r"):
            ax.axhline(np.log(9), color="grey", lw=0.6)
            ax.annotate("chance, ln 9", (1, np.log(9)), fontsize=7, ha="right", va="bottom", color="grey")
    for ax in axes[1]:
        ax.set_xlabel("fraction of the training done")
    axes[0, 0].legend()
    return fig


def _jobs(study: Study) -> list[Job]:
    return study.select(dataset="color_mnist")


def _first(test: dict[str, np.ndarray], skip: int = 0, **wanted: int) -> int:
    """The row of an image with the wanted label or colour; a normal one unless its label is asked for."""
    fits = np.ones(len(test["label"]), dtype=bool) if "label" in wanted else ~test["anomalous"]
    for key, value in wanted.items():
        fits &= test[key] == value
    rows = np.flatnonzero(fits)
    return int(rows[skip % len(rows)])


VIEWS = {f.__name__: View(f, _jobs) for f in (color_mnist_samples, fig6a, fig6b, color_mnist_scores, color_mnist_losses)}
