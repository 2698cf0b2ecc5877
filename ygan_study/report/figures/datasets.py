"""The data in pictures: Fig. 4 and 5, and PlantVillage's augmentation. Nothing is picked by hand."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from ygan_core.data import DATASETS, augment, species
from ygan_core.data.augment import OPERATIONS, RANGES
from ygan_core.scores import to_image
from ygan_study.plan.settings import TENS
from ygan_study.report.figures.base import (
    ANOMALOUS,
    SPECIES_COLOURS,
    centres,
    outline,
    pictured,
    show_grid,
    title,
)
from ygan_study.report.figures.scores import first_of
from ygan_study.report.view import View
from ygan_study.run.folder import Run


def fig4(runs: list[Run]) -> Figure:
    """Fig. 4, images of MNIST, FMNIST and CIFAR10 that no training saw. Each row is a class. The class held out, which is the
    anomaly, has a red frame.
    """
    fig, axes = plt.subplots(1, len(TENS), figsize=(9.2, 3.7))
    for ax, name in zip(axes, TENS, strict=True):
        found = [run for run in runs if run.config.dataset == name]
        if not found:
            ax.set_title(f"{DATASETS[name].title}: no run")
            ax.set_axis_off()
            continue
        run, columns = pictured(found)[0], 8
        rows = [
            np.flatnonzero(run.test["label"] == label)[:columns]
            for label in range(len(run.classes))
        ]
        show_grid(ax, _sheet(run, rows, columns))
        outline(ax, 0, run.config.held_out, columns, 1)
        ax.set_xticks([])
        ax.set_yticks(centres(len(run.classes)), run.classes)
        ax.set_title(f"{DATASETS[name].title}\n{run.classes[run.config.held_out]} as the anomaly")
    return fig


def fig5(runs: list[Run]) -> Figure:
    """Fig. 5, leaves of PlantVillage that no training saw. Each row is a species. The diseased leaves are the anomalies and
    have a black outline. Where a species has several diseases, they are shown in turn.
    """
    run, columns = pictured(runs)[0], 3
    plants, label = species(run.classes), run.test["label"]
    names = sorted(set(plants))
    kinds = {
        name: [label_ for label_, plant in enumerate(plants) if plant == name] for name in names
    }
    blocks = np.array_split(np.array(names), 2)
    fig, axes = plt.subplots(1, len(blocks), figsize=(9.2, 0.72 * len(blocks[0]) + 0.6))
    for ax, block in zip(axes, blocks, strict=True):
        rows = []
        for name in block:
            here = np.isin(label, kinds[name])
            healthy = np.flatnonzero(here & ~run.test["anomalous"])[:columns]
            diseases = [
                np.flatnonzero((label == kind) & run.test["anomalous"]) for kind in kinds[name]
            ]
            turns = [
                leaves[turn] for turn in range(columns) for leaves in diseases if turn < len(leaves)
            ][:columns]
            rows.append(
                np.concatenate([healthy, np.full(columns - len(healthy), -1), turns]).astype(int)
            )
            for place in range(columns, columns + len(turns)):
                ax.add_patch(
                    Rectangle(
                        (place + 0.03, len(rows) - 0.97),
                        0.94,
                        0.94,
                        fill=False,
                        ec=ANOMALOUS,
                        lw=1.8,
                        zorder=3,
                    )
                )
            for place, here in ((columns / 2, healthy), (columns * 1.5, turns)):
                if not len(here):
                    ax.text(
                        place,
                        len(rows) - 0.5,
                        "none",
                        ha="center",
                        va="center",
                        fontsize=8,
                        color="dimgrey",
                    )
        show_grid(ax, _sheet(run, rows, 2 * columns))
        ax.set_anchor("N")
        ax.set_xticks([columns / 2, columns * 1.5], ["healthy", "diseased"])
        ax.set_yticks(centres(len(block)), block)
        ax.tick_params(labelbottom=False, labeltop=True)
    size = run.config.image_size
    species_here = f"{len(names)} of its {len(SPECIES_COLOURS)} species"
    fig.suptitle(
        f"PlantVillage: {species_here}, {len(plants)} classes, {size} × {size} pixels", fontsize=9
    )
    return fig


def plantvillage_augmentation(runs: list[Run]) -> Figure:
    """Augmentation of PlantVillage (section 4.2). Top: one leaf after each operation, at its lowest, middle and highest
    strength. The numbers of affine are: the angle in degrees, the growth, the shift to the right, the shift down.

    Below: healthy leaves of five species. The first column shows them as they are. The other columns show them as training
    may see them: each operation is applied or not, at random.
    """
    run, turns = pictured(runs)[0], 7
    plants = np.array(species(run.classes))[run.test["label"]]
    normal = np.flatnonzero(~run.test["anomalous"])
    _, first = np.unique(plants[normal], return_index=True)
    leaves = run.images(normal[np.sort(first)[:5]])

    fig = plt.figure(figsize=(9.2, 10.4))
    top, bottom = fig.subfigures(2, 1, height_ratios=(3.9, len(leaves)))
    axes = top.subplots(3, len(OPERATIONS) + 1)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        plt.setp(ax.spines.values(), visible=False)
    for ax in axes[1:, 0]:
        ax.set_axis_off()
    axes[0, 0].imshow(leaves[0].permute(1, 2, 0))
    axes[0, 0].set_title("as it is")
    leaf = leaves[:1].float() / 255
    for column, (name, operation) in zip(axes.T[1:], OPERATIONS.items(), strict=True):
        low, high = torch.tensor(RANGES[name])
        for ax, strength in zip(column, (low, (low + high) / 2, high), strict=True):
            ax.imshow(to_image(2 * operation(leaf, strength[None]) - 1)[0].permute(1, 2, 0))
            numbers = [f"{value:g}" for value in strength.numpy().round(3)]
            ax.set_xlabel(
                ",\n".join(", ".join(numbers[i : i + 2]) for i in range(0, len(numbers), 2)),
                fontsize=7,
                labelpad=2,
            )
        column[0].set_title(name)
    for ax, strength in zip(axes[:, 1], ("lowest", "middle", "highest"), strict=True):
        ax.set_ylabel(strength)
    many = [leaves] + [to_image(augment(leaves, seed)) for seed in range(turns)]
    ax = bottom.subplots()
    show_grid(ax, torch.stack(many, dim=1))
    ax.set(xticks=[0.5, 1 + turns / 2], yticks=[])
    ax.set_xticklabels(["as they are", "augmented"])
    ax.tick_params(labelbottom=False, labeltop=True)
    at_work = "used" if run.config.augmentation == "leaves" else "not used"
    fig.suptitle(f"{title(run)}; augmentation {at_work}", fontsize=9)
    return fig


def _sheet(run: Run, rows: list[np.ndarray], columns: int) -> Tensor:
    """Images at these rows of `run.test` as tiles uint8 (len(rows), columns, 3, S, S); a row -1, or none, is left white."""
    padded = np.array([np.pad(row, (0, columns - len(row)), constant_values=-1) for row in rows])
    images = run.images(padded[padded >= 0]).expand(-1, 3, -1, -1)
    tiles = torch.full((*padded.shape, *images.shape[1:]), 255, dtype=torch.uint8)
    tiles[torch.from_numpy(padded >= 0)] = images
    return tiles


VIEWS = {
    "fig4": View(fig4, first_of(*TENS), "Fig. 4: MNIST, FMNIST and CIFAR10"),
    "fig5": View(fig5, first_of("plantvillage"), "Fig. 5: PlantVillage"),
    "plantvillage_augmentation": View(
        plantvillage_augmentation, first_of("plantvillage"), "The augmentation of PlantVillage"
    ),
}
