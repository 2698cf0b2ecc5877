"""Section 5 carried to the real datasets: swaps on CIFAR10 (Fig. 7), t-SNE of both latents as in Fig. 6b."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from ygan_core.data import DATASETS, species
from ygan_core.study.figures.base import CLASS_COLOURS, SPECIES_COLOURS, maps, scatter, swap_grid, title
from ygan_core.study.figures.scores import heading
from ygan_core.study.jobs import Job, Run, Study, View

SHOWN = 250  # images a class, as in Fig. 6b


def fig7(runs: list[Run]) -> Figure:
    """Fig. 7, swaps on CIFAR10: z_s from the image on top, z_r from the image on the left, none of them trained on.

    Each image stands again inside the grid's margin as its own reconstruction, D(z_s, z_r): a swap cannot be sharper than that.
    The images are the first of each normal class.
    """
    run, test = runs[0], runs[0].test
    normal = [label for label in range(len(run.classes)) if label != run.config.held_out]
    rows = np.array([np.flatnonzero((test["label"] == label) & ~test["anomalous"])[0] for label in normal])
    lefts = np.array([np.flatnonzero((test["label"] == label) & ~test["anomalous"])[1] for label in normal[:6]])
    fig, ax = plt.subplots(figsize=(7, 5.6))
    swap_grid(ax, run, rows, lefts, reconstructions=True)
    ax.set_title(f"{heading([run])}\n{title(run)}")
    return fig


def tsne_latents(runs: list[Run]) -> Figure:
    """t-SNE of z_s and z_r, as Fig. 6b has it for Color-MNIST: up to 250 images a class, or a species, that no training saw.

    Coloured by class; the anomalies have the black outline.
    """
    run, test = runs[0], runs[0].test
    leaves = run.config.held_out < 0
    label_names = species(run) if leaves else run.classes
    names = sorted(set(label_names)) if leaves else list(run.classes)
    palette = sns.color_palette([SPECIES_COLOURS[name] for name in names]) if leaves else CLASS_COLOURS
    belongs = np.array([names.index(name) for name in label_names])[test["label"]]
    kinds = [(belongs == g) & (test["anomalous"] == kind) for g in range(len(names)) for kind in (False, True)]
    rows = np.concatenate([np.flatnonzero(kind)[:SHOWN] for kind in kinds])
    colours, anomalous = np.array(palette)[belongs[rows]], test["anomalous"][rows]

    fig, axes = plt.subplots(1, 2, figsize=(9, 4.6))
    for ax, points, latent in zip(axes, maps([(run, "z_s", rows), (run, "z_r", rows)]), ("$z_s$", "$z_r$"), strict=True):
        scatter(ax, points, colours, anomalous)
        ax.set_title(latent)
    fig.suptitle(f"{heading([run])}; {title(run)}; AUC {run.metrics['auc']:.3f}", fontsize=9)
    handles = [
        plt.Line2D([], [], marker="o", ls="", ms=5, mfc=palette[g], mec="black" if g == run.config.held_out else "none")
        for g in range(len(names))
    ]
    shown = [f"{name} (anomalous)" if g == run.config.held_out else name for g, name in enumerate(names)]
    if leaves:
        handles.append(plt.Line2D([], [], marker="o", ls="", ms=5, mfc="white", mec="black"))
        shown.append("diseased")
    fig.legend(handles, shown, loc="outside lower center", ncols=6, handletextpad=0.1, columnspacing=1.0)
    return fig


def _first(dataset: str) -> Callable[[Study], list[Job]]:
    return lambda study: study.select(dataset=dataset, method="ygan", variant="full", labels="true")[:1]


VIEWS = {
    "fig7": View(fig7, _first("cifar10")),
    **{f"tsne_{dataset}": View(tsne_latents, _first(dataset)) for dataset in DATASETS},
}
