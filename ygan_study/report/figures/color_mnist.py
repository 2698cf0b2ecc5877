"""Section 5 in pictures: Color-MNIST, Fig. 6, and four figures of ours beside it."""

from __future__ import annotations

import itertools

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from ygan_core.config import TERMS
from ygan_core.data import COLOURS
from ygan_study.plan.jobs import Job, first_seeds
from ygan_study.report.figures.base import (
    CLASS_COLOURS,
    GROUND_COLOURS,
    centres,
    class_legend,
    maps,
    pictured,
    scatter,
    show_grid,
    swap_grid,
    title,
)
from ygan_study.report.figures.scores import score_distributions
from ygan_study.report.view import View
from ygan_study.run.folder import Run
from ygan_study.run.records import SHOWN
from ygan_study.run.store import Study


def color_mnist_samples(runs: list[Run]) -> Figure:
    """Images of Color-MNIST (section 5). Each row is a digit, each column is one of the ten ground colours. No training saw
    these images.
    """
    run = pictured(runs)[0]
    test = run.test
    fig, ax = plt.subplots(figsize=(4.2, 4.2))
    pairs = test["label"] * len(COLOURS) + test["colour"]
    found, rows = np.unique(
        pairs, return_index=True
    )  # the first image of each; a small slice may lack some: left white
    tiles = torch.full((10 * len(COLOURS), *run.images(rows[:1])[0].shape), 255, dtype=torch.uint8)
    tiles[torch.from_numpy(found).long()] = run.images(rows)
    show_grid(ax, tiles.unflatten(0, (10, len(COLOURS))))
    ax.set_title(f"Color-MNIST: {run.config.held_out} is the anomaly, the others are normal")
    ax.set_xticks(centres(10), list(COLOURS), rotation=40, ha="right")
    ax.set_yticks(centres(10), [f"{digit}" for digit in range(10)])
    return fig


def fig6a(runs: list[Run]) -> Figure:
    """Fig. 6a, the swap grid. Each image inside is D(z_s, z_r): z_s is that of the image on top, z_r is that of the image on
    the left. No training saw these images.
    """
    runs = pictured(runs)
    fig, axes = plt.subplots(1, len(runs), figsize=(4.4 * len(runs), 4.9), squeeze=False)
    for ax, run in zip(axes.flat, runs, strict=True):
        test = run.test
        tops = np.array(
            [_first(test, label=digit) for digit in range(10) if digit != run.config.held_out]
        )
        lefts = np.array(
            [_first(test, colour=ground, skip=12 * ground) for ground in range(len(COLOURS))]
        )
        swap_grid(ax, run, tops, lefts)
        ax.set_title(title(run))
    return fig


def fig6b(runs: list[Run]) -> Figure:
    """Fig. 6b, t-SNE of z_s and z_r. Each point is an image that no training saw, up to 250 of each digit. Each map is coloured
    twice: by digit, and by the colour of the ground. Anomalies have a black outline.
    """
    runs = pictured(runs)
    rows = [
        np.concatenate([np.flatnonzero(run.test["label"] == digit)[:SHOWN] for digit in range(10)])
        for run in runs
    ]
    flat = maps(
        [(run, z, which) for run, which in zip(runs, rows, strict=True) for z in ("z_s", "z_r")]
    )

    fig, axes = plt.subplots(len(runs), 4, figsize=(9.6, 2.5 * len(runs) + 0.4), squeeze=False)
    for row, run, which, map_s, map_r in zip(axes, runs, rows, flat[::2], flat[1::2], strict=True):
        label, colour, anomalous = (
            run.test[key][which] for key in ("label", "colour", "anomalous")
        )
        by_digit, by_ground = np.array(CLASS_COLOURS)[label], GROUND_COLOURS[colour]
        panels = itertools.product(
            (("$z_s$", map_s), ("$z_r$", map_r)), (("digit", by_digit), ("ground", by_ground))
        )
        for ax, ((latent, points), (what, colours)) in zip(row, panels, strict=True):
            scatter(ax, points, colours, anomalous)
            ax.set_title(f"{latent}, by {what}")
        row[0].set_ylabel(title(run).replace(": ", ":\n").replace("s, ", "s,\n"), fontsize=8)
    names = [str(digit) for digit in range(10)]
    legend = class_legend(names, CLASS_COLOURS, runs[0].config.held_out)
    fig.legend(*legend, loc="outside lower center", ncols=10, handletextpad=0.1, columnspacing=1.0)
    return fig


def color_mnist_losses(runs: list[Run]) -> Figure:
    """The mean of each loss term in each epoch, before it is weighted. The epochs are shown as a fraction of the training, so
    that trainings of different lengths can be compared.
    """
    fig, axes = plt.subplots(2, 3, figsize=(9, 4.2), sharex=False)
    for ax, term in zip(axes.flat, TERMS, strict=True):
        for run, style in zip(runs, ("-", "--", ":", "-."), strict=False):
            ax.plot(
                run.losses.index / len(run.losses),
                run.losses[term],
                style,
                label=run.config.configuration,
                marker=".",
                ms=4,
            )
        ax.set_title(f"$L_{{{term[2:]}}}$")
        if term in ("L_s", "L_r"):
            ax.axhline(np.log(9), color="grey", lw=0.6)
            name = ax.annotate(
                "chance, ln 9", (1, np.log(9)), fontsize=7, ha="right", va="bottom", color="dimgrey"
            )
            name.set_path_effects(
                [withStroke(linewidth=2.5, foreground="white")]
            )  # a loss may run through it
    for ax in axes[1]:
        ax.set_xlabel("fraction of the training done")
    axes[0, 0].legend()
    return fig


def _jobs(study: Study) -> list[Job]:
    return first_seeds(study.select(group="color_mnist"))


def _first(test: dict[str, np.ndarray], skip: int = 0, **wanted: int) -> int:
    """The row of an image with the wanted label or colour; a normal one unless its label is asked for."""
    fits = np.ones(len(test["label"]), dtype=bool) if "label" in wanted else ~test["anomalous"]
    for key, value in wanted.items():
        fits &= test[key] == value
    rows = np.flatnonzero(fits)
    return int(rows[skip % len(rows)])


VIEWS = {
    "color_mnist_samples": View(color_mnist_samples, _jobs, "Images of Color-MNIST"),
    "fig6a": View(fig6a, _jobs, "Fig. 6a: the swap grid"),
    "fig6b": View(fig6b, _jobs, "Fig. 6b: t-SNE of both latents"),
    "color_mnist_scores": View(
        score_distributions, _jobs, "How the scores of Color-MNIST are spread"
    ),
    "color_mnist_losses": View(
        color_mnist_losses, _jobs, "The loss terms over the training, Color-MNIST"
    ),
}
