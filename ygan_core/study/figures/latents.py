"""Section 5 on real images: the swaps of Fig. 7, and t-SNE of both latents of each benchmark, as in Fig. 6b."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from ygan_core.data import species
from ygan_core.scores import decode
from ygan_core.study.figures.base import (
    CLASS_COLOURS,
    SPECIES_COLOURS,
    first_of,
    latent_maps,
    legend_below,
    scatter,
    show_grid,
    swap_tiles,
    title,
)
from ygan_core.study.figures.scores import heading
from ygan_core.study.jobs import Run, View

CATEGORIES = ("Car", "Horse", "Ship")  # of Fig. 7 the first two that are normal; chosen before any picture was seen


def fig7(runs: list[Run]) -> Figure:
    """Fig. 7, swaps on CIFAR10: z_s from the image on top, all of one category; z_r from the image on the left, of every other
    normal category, the same ones in both panels. None of them was trained on.

    The second row is what D makes of each top image's own z_s and z_r: what it cannot draw there, no swap can show.
    """
    run = runs[0]
    label, held_out = run.test["label"], run.config.held_out
    places = {name: np.flatnonzero(label == i) for i, name in enumerate(run.classes) if i != held_out}
    fig, axes = plt.subplots(1, 2, figsize=(9.2, 5.3))
    for ax, category in zip(axes, [name for name in CATEGORIES if name in places][:2], strict=True):
        tops = places[category][:8]
        lefts = {name: rows[-1] for name, rows in places.items() if name not in CATEGORIES[:2]}
        tiles = swap_tiles(run, tops, np.array(list(lefts.values())))
        rebuilt = decode(run.model(), *(torch.from_numpy(run.test[z][tops]) for z in ("z_s", "z_r")))
        rebuilt = torch.cat([tiles[:1, 0], rebuilt])  # the corner's white, again
        show_grid(ax, torch.cat([tiles[:1], rebuilt[None], tiles[1:]]), gap_after_first=True)
        ax.set_xticks([])
        ax.set_yticks([0.5, *np.arange(1, 2 + len(lefts)) + 0.65], ["", "own $z_r$", *lefts])
        ax.set_title(f"$z_s$ of {category}s")
    axes[0].set_ylabel("$z_r$ of the left image")
    fig.suptitle(f"{heading([run])}; {title(run)}", fontsize=9)
    return fig


def tsne_figure(runs: list[Run]) -> Figure:
    """t-SNE of z_s and z_r, as Fig. 6b: up to 250 images of each class that no training saw, in their classes' colours (the
    leaves of PlantVillage in their species'); the anomalies have a black outline.
    """
    run = runs[0]
    ((test, *maps),) = latent_maps(runs[:1])
    if run.config.held_out < 0:
        plants = species(run)
        names = sorted(set(plants))
        colours = [SPECIES_COLOURS[name] for name in names]
        of_class = np.array([colours[names.index(plant)] for plant in plants])
        names, colours, outlined = [*names, "diseased"], [*colours, "white"], [False] * len(names) + [True]
    else:
        outlined = [label == run.config.held_out for label in range(len(run.classes))]
        names = [f"{name} (anomalous)" if held_out else name for name, held_out in zip(run.classes, outlined, strict=True)]
        colours = of_class = np.array(CLASS_COLOURS)
    fig, axes = plt.subplots(1, 2, figsize=(9.2, 4.9))
    for ax, points, name in zip(axes, maps, ("$z_s$", "$z_r$"), strict=True):
        scatter(ax, points, of_class[test["label"]], test["anomalous"])
        ax.set_title(name)
    legend_below(fig, names, colours, outlined, columns=10 if max(map(len, names)) < 14 else 6)
    fig.suptitle(f"{heading([run])}; {title(run)}; AUC {run.metrics['auc']:.3f}", fontsize=9)
    return fig


VIEWS = {
    "fig7": View(fig7, first_of("cifar10")),
    **{f"tsne_{name}": View(tsne_figure, first_of(name)) for name in ("mnist", "fmnist", "cifar10", "plantvillage")},
}
