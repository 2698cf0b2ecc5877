"""Section 5 on the real datasets: swaps on CIFAR10 (Fig. 7), t-SNE of both latents as in Fig. 6b."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from ygan_core.data import DATASETS, species
from ygan_study.plan.jobs import Job, pictured_at_paper_size
from ygan_study.report.figures.base import (
    CLASS_COLOURS,
    SPECIES_COLOURS,
    class_legend,
    maps,
    pictured,
    scatter,
    swap_grid,
    title,
)
from ygan_study.report.figures.scores import first_of, heading
from ygan_study.report.view import View
from ygan_study.run.folder import Run
from ygan_study.run.records import SHOWN
from ygan_study.run.store import Study


def fig7(runs: list[Run]) -> Figure:
    """Fig. 7, swaps on CIFAR10. Each image inside is D(z_s, z_r): z_s is that of the image on top, z_r is that of the image on
    the left. No training saw these images. Those on top are the first of each normal class, those on the left the second.

    The second row and the second column show the reconstructions of the images themselves. A swap cannot be sharper than that.
    """
    run = pictured(runs)[0]
    test = run.test
    normal = [label for label in range(len(run.classes)) if label != run.config.held_out]
    rows = np.array(
        [np.flatnonzero((test["label"] == label) & ~test["anomalous"])[0] for label in normal]
    )
    lefts = np.array(
        [np.flatnonzero((test["label"] == label) & ~test["anomalous"])[1] for label in normal[:6]]
    )
    fig, ax = plt.subplots(figsize=(7, 5.6))
    swap_grid(ax, run, rows, lefts, reconstructions=True)
    ax.set_title(f"{heading([run])}\n{title(run)}")
    return fig


def tsne_latents(runs: list[Run]) -> Figure:
    """t-SNE of z_s and z_r, as Fig. 6b has it for Color-MNIST. Each point is an image that no training saw, up to 250 of each
    class. The colour is that of its class, on PlantVillage of its species. Anomalies have a black outline.

    PlantVillage has many more diseased leaves than healthy ones. So of each species at most as many diseased leaves are drawn
    as healthy ones; of a species without healthy leaves, as many as of the species with the fewest.
    """
    run = pictured(runs)[0]
    test, leaves = run.test, run.config.held_out < 0
    label_names = species(run.classes) if leaves else run.classes
    names = sorted(set(label_names)) if leaves else list(run.classes)
    palette = (
        sns.color_palette([SPECIES_COLOURS[name] for name in names]) if leaves else CLASS_COLOURS
    )
    belongs = np.array([names.index(name) for name in label_names])[test["label"]]
    groups = [np.flatnonzero(belongs == g) for g in range(len(names))]
    normal = [rows[~test["anomalous"][rows]][:SHOWN] for rows in groups]
    fewest = min(len(rows) for rows in normal if len(rows))
    most = [(len(rows) or fewest) if leaves else SHOWN for rows in normal]
    anomalies = [
        rows[test["anomalous"][rows]][:count] for rows, count in zip(groups, most, strict=True)
    ]
    rows = np.concatenate([*normal, *anomalies])
    colours, anomalous = np.array(palette)[belongs[rows]], test["anomalous"][rows]

    fig, axes = plt.subplots(1, 2, figsize=(9, 4.6))
    for ax, points, latent in zip(
        axes, maps([(run, "z_s", rows), (run, "z_r", rows)]), ("$z_s$", "$z_r$"), strict=True
    ):
        scatter(ax, points, colours, anomalous)
        ax.set_title(latent)
    fig.suptitle(f"{heading([run])}; {title(run)}; AUC {run.metrics['auc']:.3f}", fontsize=9)
    handles, shown = class_legend(names, palette, run.config.held_out)
    if leaves:
        handles.append(plt.Line2D([], [], marker="o", ls="", ms=5, mfc="white", mec="black"))
        shown.append("diseased")
    fig.legend(
        handles, shown, loc="outside lower center", ncols=6, handletextpad=0.1, columnspacing=1.0
    )
    return fig


def _paper_size(study: Study) -> list[Job]:
    return pictured_at_paper_size(study.jobs)


VIEWS = {
    "fig7": View(fig7, first_of("cifar10"), "Fig. 7: swaps on CIFAR10"),
    "fig7_paper_size": View(fig7, _paper_size, "Fig. 7: swaps on CIFAR10, at the paper's own size"),
    "tsne_paper_size": View(
        tsne_latents, _paper_size, "t-SNE of both latents, CIFAR10, at the paper's own size"
    ),
    **{
        f"tsne_{name}": View(
            tsne_latents, first_of(name), f"t-SNE of both latents, {dataset.title}"
        )
        for name, dataset in DATASETS.items()
    },
}
