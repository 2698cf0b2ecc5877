"""Images and latents, none picked by hand: Fig. 4 to 7, augmentation, and t-SNE."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from ygan_core.data import COLOURS, DATASETS, augment, species
from ygan_core.data.augment import OPERATIONS, RANGES
from ygan_core.data.datasets import PLANTS
from ygan_core.scores import to_image
from ygan_study.plan.jobs import Job, pictured_at_paper_size
from ygan_study.plan.settings import TENS
from ygan_study.report.figures import base, tsne
from ygan_study.report.figures.base import (
    CLASS_COLOURS,
    Picture,
    color_mnist,
    first_of,
    pictured,
)
from ygan_study.report.rows import TITLES
from ygan_study.run.folder import Run
from ygan_study.run.records import PICTURED_PER_CLASS
from ygan_study.run.store import Study

DIGITS = range(10)


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
    there = f"{len(names)} of its {len(PLANTS)} species, {len(plants)} classes"
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


def color_mnist_samples(runs: list[Run]) -> Figure:
    """Images of Color-MNIST (section 5) that no training saw: a digit in each row, a background
    colour in each column.
    """
    run, colours = pictured(runs)[0], len(COLOURS)
    found, rows = np.unique(run.test["label"] * colours + run.test["colour"], return_index=True)
    images = run.images(rows)
    tiles = images.new_full((10 * colours, *images.shape[1:]), 255)  # what a slice lacks is white
    tiles[torch.from_numpy(found).long()] = images
    fig, ax = plt.subplots(figsize=(base.WIDTH / 2, base.WIDTH / 2))
    base.show_grid(ax, tiles.unflatten(0, (10, colours)))
    ax.set_title(f"{run.config.held_out} is the anomaly, the other digits are normal")
    ax.set_xticks(base.centres(colours), list(COLOURS), rotation=40, ha="right")
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
        tops = [np.flatnonzero(label == digit)[0] for digit in run.normal_classes]
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
    runs, wanted = pictured(runs), []
    for run in runs:
        each = [np.flatnonzero(run.test["label"] == digit)[:PICTURED_PER_CLASS] for digit in DIGITS]
        wanted += [(run, latent, np.concatenate(each)) for latent in ("z_s", "z_r")]
    points, (fig, axes) = tsne.maps(wanted), base.panels(4 * len(runs), 4, 1.75)
    ways = ("digit", "label", CLASS_COLOURS), ("background", "colour", base.BACKGROUND_COLOURS)
    for i, ax in enumerate(axes):
        (run, latent, rows), (name, fact, colours) = wanted[i // 2], ways[i % 2]
        anomalous = run.test["anomalous"][rows]
        base.scatter(ax, points[i // 2], run.test[fact][rows], colours, anomalous)
        ax.set_title(f"${latent}$, by {name}")
        if i % 4 == 0:
            ax.set_ylabel(f"{run.config.configuration},\n{run.config.epochs} epochs")
    marks = base.group_marks(DIGITS, CLASS_COLOURS, runs[0].config.held_out)
    marks += base.group_marks(COLOURS, base.BACKGROUND_COLOURS)
    base.legend_below(fig, 5, marks)
    return fig


def fig7(runs: list[Run]) -> Figure:
    """Fig. 7, swaps on CIFAR10: along the edges the first unseen image of each normal class and,
    inside of it, its reconstruction, which is as sharp as a swap can be. Where a patch is white or
    garish, the output of D is at its limit: no loss asks a hybrid to look real.
    """
    run = pictured(runs)[0]
    first = [np.flatnonzero(run.test["label"] == label)[0] for label in run.normal_classes]
    rows = np.array(first)
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
    names = PLANTS if leaves else run.classes
    groups = run.test["label"]
    if leaves:
        groups = np.array([PLANTS.index(name) for name in species(run.classes)])[groups]
    each = [np.flatnonzero(groups == group) for group in range(len(names))]
    normal = [rows[~anomalous[rows]][:PICTURED_PER_CLASS] for rows in each]
    fewest = min(len(rows) for rows in normal if len(rows))  # for species without healthy leaves
    most = [(len(rows) or fewest) if leaves else PICTURED_PER_CLASS for rows in normal]
    anomalies = [rows[anomalous[rows]][:n] for rows, n in zip(each, most, strict=True)]
    rows = np.concatenate([*normal, *anomalies])

    fig, axes = base.panels(2, 2, 3.1)
    colours = [CLASS_COLOURS[group % 10] for group in range(len(names))]
    points = tsne.maps([(run, "z_s", rows), (run, "z_r", rows)])
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


LEAVES = first_of("plantvillage")
AT_PAPER_SIZE = "CIFAR10, at the paper's own size"
MAPS = "t-SNE of both latents, "
VIEWS = {
    "fig4": Picture(fig4, first_of(*TENS), "Fig. 4: MNIST, FMNIST and CIFAR10"),
    "fig5": Picture(fig5, LEAVES, "Fig. 5: PlantVillage"),
    "plantvillage_augmentation": Picture(
        plantvillage_augmentation, LEAVES, "The augmentation of PlantVillage"
    ),
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
