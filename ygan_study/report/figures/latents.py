"""Section 5 in pictures: Color-MNIST, Fig. 6 and 7, and t-SNE of the latents of every dataset."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from ygan_core.data import COLOURS, DATASETS, species
from ygan_study.plan.jobs import Job, pictured_at_paper_size
from ygan_study.report.figures import base
from ygan_study.report.figures.base import (
    CLASS_COLOURS,
    SPECIES,
    Picture,
    color_mnist,
    first_of,
    pictured,
)
from ygan_study.run.folder import Run
from ygan_study.run.records import PICTURED_PER_CLASS
from ygan_study.run.store import Study


def color_mnist_samples(runs: list[Run]) -> Figure:
    """Images of Color-MNIST (section 5) that no training saw: a digit in each row, a background
    colour in each column.
    """
    run = pictured(runs)[0]
    pairs = torch.from_numpy(run.test["label"] * len(COLOURS) + run.test["colour"]).long()
    found, rows = np.unique(pairs, return_index=True)  # a small slice may lack some: left white
    images = run.images(rows)
    tiles = images.new_full((10 * len(COLOURS), *images.shape[1:]), 255)
    tiles[torch.from_numpy(found)] = images
    fig, ax = plt.subplots(figsize=(base.WIDTH / 2, base.WIDTH / 2))
    base.show_grid(ax, tiles.unflatten(0, (10, len(COLOURS))))
    ax.set_title(f"{run.config.held_out} is the anomaly, the other digits are normal")
    ax.set_xticks(base.centres(10), list(COLOURS), rotation=40, ha="right")
    ax.set_yticks(base.centres(10), range(10))
    return fig


def fig6a(runs: list[Run]) -> Figure:
    """Fig. 6a, the swap grid: each image inside is `D(z_s, z_r)`, with the `z_s` of the image on
    top of its column and the `z_r` of the image on the left of its row. No training saw these
    images.
    """
    runs = pictured(runs)
    fig, axes = base.panels(len(runs), 2, base.WIDTH / 2)
    for ax, run in zip(axes, runs, strict=True):
        label, colour = run.test["label"], run.test["colour"]
        digits = [digit for digit in range(10) if digit != run.config.held_out]
        tops = [np.flatnonzero(label == digit)[0] for digit in digits]
        normal = [np.flatnonzero(~run.test["anomalous"] & (colour == c)) for c in set(colour)]
        lefts = [rows[12 * i % len(rows)] for i, rows in enumerate(normal)]  # of several digits
        base.swap_grid(ax, run, np.array(tops), np.array(lefts))
        ax.set_title(base.title(run).replace(": ", "\n"))
    return fig


def swaps(runs: list[Run]) -> Figure:
    """Fig. 6a, its first grid alone: the digit follows the image on top, which gives `z_s`, and the
    background the image on the left, which gives `z_r`.
    """
    return fig6a(pictured(runs)[:1])


def fig6b(runs: list[Run]) -> Figure:
    """Fig. 6b, t-SNE of `z_s` and `z_r` of images that no training saw, up to 250 of each digit.
    Each map is coloured twice, by digit and by background; anomalies have a black outline.
    """
    runs = pictured(runs)
    each = [
        np.concatenate(
            [np.flatnonzero(run.test["label"] == digit)[:PICTURED_PER_CLASS] for digit in range(10)]
        )
        for run in runs
    ]
    wanted = [(run, z, rows) for run, rows in zip(runs, each, strict=True) for z in ("z_s", "z_r")]
    points, (fig, axes) = base.maps(wanted), base.panels(4 * len(runs), 4, 1.75)
    ways = ("digit", "label", CLASS_COLOURS), ("background", "colour", base.BACKGROUND_COLOURS)
    for i, ax in enumerate(axes):
        (run, latent, rows), (name, fact, colours) = wanted[i // 2], ways[i % 2]
        anomalous = run.test["anomalous"][rows]
        base.scatter(ax, points[i // 2], run.test[fact][rows], colours, anomalous)
        ax.set_title(f"${latent}$, by {name}")
        if i % 4 == 0:
            ax.set_ylabel(base.title(run).replace(": ", ":\n").replace("s, ", "s,\n"))
    base.legend_below(fig, 5, base.group_marks(range(10), CLASS_COLOURS, runs[0].config.held_out))
    return fig


def fig7(runs: list[Run]) -> Figure:
    """Fig. 7, swaps on CIFAR10 beside the reconstructions of the images, than which no swap can be
    sharper; of each normal class the first unseen image, in turn on top and on the left. Where a
    patch is white or garish, D's tanh is at its limit: no loss asks a hybrid to look real.
    """
    run = pictured(runs)[0]
    normal = [label for label in range(len(run.classes)) if label != run.config.held_out]
    rows = np.array([np.flatnonzero(run.test["label"] == label)[0] for label in normal])
    fig, ax = plt.subplots(figsize=(0.8 * base.WIDTH, 0.75 * base.WIDTH))
    base.swap_grid(ax, run, rows[::2], rows[1::2], reconstructions=True)
    ax.set_title(f"{base.heading(run)}\n{base.title(run)}")
    return fig


def tsne_latents(runs: list[Run]) -> Figure:
    """t-SNE of `z_s` and `z_r` of images that no training saw, up to 250 of each class; of
    PlantVillage, by species, with no more diseased leaves than healthy ones. Anomalies have a black
    outline.
    """
    run = pictured(runs)[0]
    anomalous, leaves = run.test["anomalous"], run.config.held_out < 0
    names = SPECIES if leaves else run.classes
    groups = run.test["label"]
    if leaves:
        groups = np.array([SPECIES.index(name) for name in species(run.classes)])[groups]
    each = [np.flatnonzero(groups == group) for group in range(len(names))]
    normal = [rows[~anomalous[rows]][:PICTURED_PER_CLASS] for rows in each]
    fewest = min(len(rows) for rows in normal if len(rows))  # for species without healthy leaves
    most = [(len(rows) or fewest) if leaves else PICTURED_PER_CLASS for rows in normal]
    anomalies = [rows[anomalous[rows]][:n] for rows, n in zip(each, most, strict=True)]
    rows = np.concatenate([*normal, *anomalies])

    fig, axes = base.panels(2, 2, 3.1)
    colours = [CLASS_COLOURS[group % 10] for group in range(len(names))]
    points = base.maps([(run, "z_s", rows), (run, "z_r", rows)])
    for ax, own, latent in zip(axes, points, ("$z_s$", "$z_r$"), strict=True):
        base.scatter(ax, own, groups[rows], colours, anomalous[rows])
        ax.set_title(latent)
    fig.suptitle(f"{base.heading(run)}, AUC {run.metrics['auc']:.3f}\n{base.title(run)}")
    marks = base.group_marks(names, colours, run.config.held_out)
    marks = [own for own, rows in zip(marks, each, strict=True) if len(rows)]
    marks += [base.mark("diseased", "white", mec="black")] * leaves
    base.legend_below(fig, 6, marks)
    return fig


def _paper_size(study: Study) -> list[Job]:
    return pictured_at_paper_size(study.jobs)


AT_PAPER_SIZE = "CIFAR10, at the paper's own size"
MAPS = "t-SNE of both latents, "
VIEWS = {
    "color_mnist_samples": Picture(color_mnist_samples, color_mnist, "Images of Color-MNIST"),
    "fig6a": Picture(fig6a, color_mnist, "Fig. 6a: the swap grid"),
    "swaps": Picture(swaps, color_mnist, "Fig. 6a: the first grid"),
    "fig6b": Picture(fig6b, color_mnist, "Fig. 6b: t-SNE of both latents"),
    "fig7": Picture(fig7, first_of("cifar10"), "Fig. 7: swaps on CIFAR10"),
    "fig7_paper_size": Picture(fig7, _paper_size, f"Fig. 7: swaps on {AT_PAPER_SIZE}"),
    "tsne_paper_size": Picture(tsne_latents, _paper_size, MAPS + AT_PAPER_SIZE),
    **{
        f"tsne_{name}": Picture(tsne_latents, first_of(name), MAPS + dataset.title)
        for name, dataset in DATASETS.items()
    },
}
