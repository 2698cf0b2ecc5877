"""The data in pictures: Fig. 4 and 5, and PlantVillage's augmentation. None is picked by hand."""

from __future__ import annotations

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from ygan_core.data import augment, species
from ygan_core.data.augment import OPERATIONS, RANGES
from ygan_core.scores import to_image
from ygan_study.plan.settings import TENS
from ygan_study.report.figures import base
from ygan_study.report.figures.base import Picture, first_of, pictured
from ygan_study.report.rows import TITLES
from ygan_study.run.folder import Run


def fig4(runs: list[Run]) -> Figure:
    """Fig. 4, images of MNIST, FMNIST and CIFAR10 that no training saw, a class in each row. The
    class that was held out, the anomaly, is framed.
    """
    fig, axes = base.panels(len(TENS), 3, 3.4)
    for ax, name in zip(axes, TENS, strict=True):
        found, columns = [run for run in runs if run.config.dataset == name], 6
        ax.set_title(TITLES[name] if found else f"{TITLES[name]}: not trained")
        if not found:
            ax.set_axis_off()
            continue
        run = pictured(found)[0]
        labels = range(len(run.classes))
        first = [np.flatnonzero(run.test["label"] == label)[:columns] for label in labels]
        base.show_grid(
            ax, torch.stack([base.tiled(run.images(rows), 1, columns)[0] for rows in first])
        )
        base.outline(ax, 0, run.config.held_out, columns)
        ax.set_yticks(base.centres(len(run.classes)), run.classes)
    return fig


def fig5(runs: list[Run]) -> Figure:
    """Fig. 5, leaves of PlantVillage that no training saw, a species in each row. The diseased
    leaves are the anomalies and are framed; several diseases of a species are shown in turn.
    """
    run, columns = pictured(runs)[0], 3
    plants, label, anomalous = species(run.classes), run.test["label"], run.test["anomalous"]
    names = sorted(set(plants))
    fig, axes = base.panels(2, 2, 0.55 * -(-len(names) // 2) + 0.4)
    for ax, block in zip(axes, np.array_split(np.array(names), 2), strict=True):
        lines = []
        for line, name in enumerate(block):
            kinds = [kind for kind, plant in enumerate(plants) if plant == name]
            healthy = np.flatnonzero(np.isin(label, kinds) & ~anomalous)[:columns]
            each = [np.flatnonzero((label == kind) & anomalous) for kind in kinds]
            turns = [rows[i] for i in range(columns) for rows in each if i < len(rows)][:columns]
            for place in range(len(turns)):
                base.outline(ax, columns + place, line)
            for rows, place in ((healthy, columns / 2), (turns, columns * 1.5)):
                if not len(rows):
                    ax.text(place, line + 0.5, "none", ha="center", va="center", color="dimgrey")
            both = (np.array(healthy, int), np.array(turns, int))
            lines.append(torch.cat([base.tiled(run.images(rows), 1, columns)[0] for rows in both]))
        base.show_grid(ax, torch.stack(lines))
        ax.set_anchor("N")
        ax.set_xticks([columns / 2, columns * 1.5], ["healthy", "diseased"])
        ax.set_yticks(base.centres(len(block)), block)
        ax.tick_params(labelbottom=False, labeltop=True)
    there = f"{len(names)} of its {len(base.SPECIES)} species, {len(plants)} classes"
    fig.suptitle(f"PlantVillage: {there}, {run.config.image_size} × {run.config.image_size} pixels")
    return fig


def plantvillage_augmentation(runs: list[Run]) -> Figure:
    """Augmentation of PlantVillage (section 4.2): above, a leaf after each operation at three
    strengths; below, healthy leaves as they are and as training may see them. The numbers of
    affine are the angle in degrees, the growth, and the shifts to the right and down.
    """
    run, turns = pictured(runs)[0], 7
    plants = np.array(species(run.classes))[run.test["label"]]
    normal = np.flatnonzero(~run.test["anomalous"])
    _, first = np.unique(plants[normal], return_index=True)
    leaves = run.images(normal[np.sort(first)[:3]])

    fig = plt.figure(figsize=(base.WIDTH, 6.4))
    top, bottom = fig.subfigures(2, 1, height_ratios=(1.35, 1))
    axes = top.subplots(3, len(OPERATIONS) + 1)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        plt.setp(ax.spines.values(), visible=False)
    axes[0, 0].imshow(leaves[0].permute(1, 2, 0))
    axes[0, 0].set_title("as it is")
    leaf = leaves[:1].float() / 255
    for column, (name, operation) in zip(axes.T[1:], OPERATIONS.items(), strict=True):
        column[0].set_title(name)
        low, high = torch.tensor(RANGES[name])
        for ax, strength in zip(column, (low, (low + high) / 2, high), strict=True):
            ax.imshow(to_image(2 * operation(leaf, strength[None]) - 1)[0].permute(1, 2, 0))
            numbers = ", ".join(f"{value:g}" for value in strength.numpy().round(3))
            ax.set_xlabel(textwrap.fill(numbers, 12), fontsize=7)
    for ax, strength in zip(axes[:, 1], ("lowest", "middle", "highest"), strict=True):
        ax.set_ylabel(strength)
    many = [leaves] + [to_image(augment(leaves, seed)) for seed in range(turns)]
    ax = bottom.subplots()
    base.show_grid(ax, torch.stack(many, dim=1))
    ax.set_xticks([0.5, 1 + turns / 2], ["as they are", "augmented"])
    ax.tick_params(labelbottom=False, labeltop=True)
    at_work = "used" if run.config.augmentation == "leaves" else "not used"
    fig.suptitle(f"{base.title(run)}; augmentation {at_work}")
    return fig


LEAVES = first_of("plantvillage")
VIEWS = {
    "fig4": Picture(fig4, first_of(*TENS), "Fig. 4: MNIST, FMNIST and CIFAR10"),
    "fig5": Picture(fig5, LEAVES, "Fig. 5: PlantVillage"),
    "plantvillage_augmentation": Picture(
        plantvillage_augmentation, LEAVES, "The augmentation of PlantVillage"
    ),
}
