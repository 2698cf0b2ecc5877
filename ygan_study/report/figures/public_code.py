"""Batch statistics at test time, as in the authors' public code, measured on the study's own
trainings.
"""

from __future__ import annotations

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from ygan_study.measure.batch_statistics import (
    APART,
    RUNNING,
    SETTINGS,
    SHUFFLED,
    SIZES,
    STATISTICS,
    batches,
    uncertainty,
)
from ygan_study.report.figures import base
from ygan_study.report.figures.base import LABELS, LOOKS, Picture, first_of
from ygan_study.report.printed import paper_auc
from ygan_study.report.rows import TITLES, trainings_of
from ygan_study.report.tables.public_code import deviation_jobs, deviations
from ygan_study.report.view import NotTrained, View
from ygan_study.run.folder import Run

NEIGHBOURS = 14  # of the batch, as many as are shown
WAYS = {RUNNING: "by itself", SHUFFLED: "among shuffled images", APART: "among anomalies"}


def one_image_in_batches(runs: list[Run]) -> Figure:
    """One anomaly and one network, normalised in three ways: by itself, with the running statistics
    of training; in a batch of 64 shuffled images; in a batch of 64 anomalies. It is the anomaly
    whose score moves by the median amount; the thick line is its score among those of the images at
    hand, and the AUC is that of the whole test set.
    """
    run = base.pictured(runs)[0]
    rows = np.flatnonzero(run.test["in_test"])
    images, model, together = run.images(rows), run.model(), {RUNNING: None}
    labels, anomalous = (torch.from_numpy(run.test[name][rows]) for name in ("label", "anomalous"))
    for way in (SHUFFLED, APART):
        together[way] = batches(way, labels, anomalous, 64)
    scores = torch.stack([uncertainty(model, images, batch) for batch in together.values()])
    moved, candidates = scores.amax(0) - scores.amin(0), anomalous.nonzero().flatten()
    chosen = int(candidates[moved[candidates].argsort()[len(candidates) // 2]])

    fig, axes = plt.subplots(3, 3, figsize=(base.WIDTH, 4.4), width_ratios=(1, 3.2, 4))
    for (image, others, right), way, s in zip(axes, together, scores, strict=True):
        base.show_grid(image, images[[chosen]][None])
        base.outline(image, 0, 0)
        others.set_title(WAYS[way])
        if way == RUNNING:
            alone = "no neighbours: the running\nstatistics of training"
            others.text(0.5, 0.5, alone, ha="center", va="center")
            others.set_axis_off()
        else:
            batch = next(batch for batch in together[way] if chosen in batch)
            neighbours = images[batch[batch != chosen][:NEIGHBOURS]]
            base.show_grid(others, base.tiled(neighbours, 2, NEIGHBOURS // 2))
        base.score_histogram(right, s.numpy(), anomalous.numpy())
        right.axvline(s[chosen], color=base.CLASS_COLOURS[3], lw=2.5)
        auc = run.batch_statistics[way, 1 if way == RUNNING else 64]
        above = (s[~anomalous] < s[chosen]).double().mean()
        right.set_title(f"$s$ = {s[chosen]:.2f}, above {above:.0%} of normal; AUC {auc:.3f}")
    right.set_xlabel("$s$ (Eq. 12)")
    base.legend_below(fig, 2)
    fig.suptitle(f"{base.heading(run)}; {base.title(run)}")
    return fig


def batch_statistics(rows: pd.DataFrame) -> Figure:
    """The AUC of the same networks by how they are normalised at test time, and by the size of a
    batch: pale, each held-out class; strong, the mean over the classes. Running statistics score an
    image by itself; sorted batches, in the order of the classes, are the public code's.
    """
    names = [f"{way} batches of {size}" for way, size in SETTINGS]
    trainings = trainings_of(rows, metrics=names)
    datasets = list(trainings["dataset"].unique())
    fig, axes = base.panels(len(datasets), len(datasets), 2.9, sharey=True)
    places = np.array([0, 2.4, 3.7, 5, 7, 8.3, 9.6, 11.6, 12.9, 14.2])
    groups = dict(zip(STATISTICS, np.split(np.arange(len(places)), (1, 4, 7)), strict=True))
    for (dataset, key), own in trainings.groupby(["dataset", "key"], sort=False):
        ax, (colour, marker) = axes[datasets.index(dataset)], LOOKS[key]
        classes = own.groupby("held_out")[names].mean().to_numpy()
        for way, group in groups.items():
            x, aucs = places[group] + 0.2 * (key == "classifier") - 0.1, classes[:, group]
            look, label = dict(color=colour, marker=marker), LABELS[key] if way == RUNNING else None
            ax.plot(x, aucs.T, ls="", ms=2.5, alpha=0.35, **look)
            ax.plot(x, aucs.mean(0), label=label, mec="black", mew=0.5, **look)
        base.reference(ax, paper_auc(dataset, own["held_out"]))
    for ax, dataset in zip(axes, datasets, strict=True):
        ax.set_xticks(places, ["–", *map(str, SIZES * 3)], rotation=90)
        ax.set(title=f"{TITLES[dataset]}\n", xlabel="images in a batch", xlim=(-1.5, 15.2))
        for way, group in groups.items():
            at = dict(ha="center", va="bottom", fontsize=7, transform=ax.get_xaxis_transform())
            ax.text(places[group].mean(), 1.0, way, **at)
    axes[0].set_ylabel("AUC (Eq. 12)")
    base.legend_below(fig, 3)
    return fig


def deviation_dots(rows: pd.DataFrame) -> Figure:
    """Short trainings: filled, the paper's with one difference of the authors' program; hollow, the
    program's without it; the lines are both without a change. C right is the accuracy of C on
    normal images that were not trained on, and L_r is ln 9 = 2.20 where C guesses from z_r.
    """
    table = deviations(rows)
    if table.empty:
        raise NotTrained("no difference between the paper and the public code was trained")
    datasets = list(table.index.unique("dataset"))
    metrics = {"AUC": "AUC", "C right": "C right", "L_s": "$L_s$", "L_r": "$L_r$"}
    names = [n for n in table.index.unique("difference") if n not in ("none", "public_code")]
    height = 0.2 * len(names) + 0.8
    fig, axes = base.panels(len(datasets) * len(metrics), len(metrics), height, sharey=True)
    looks = {"paper": ("none", "o", None, "-"), "public code": ("public_code", "s", "white", "--")}
    marks = {
        start: base.mark(f"{start} {how} it", "black", marker, face=face)
        for (start, (_, marker, face, _)), how in zip(
            looks.items(), ("with", "without"), strict=True
        )
    }
    for ax, (dataset, metric) in zip(axes, product(datasets, metrics), strict=True):
        for start, (whole, marker, face, line) in looks.items():
            here = table.loc[dataset, metric]
            own = here[here.index.get_level_values("start") == start].droplevel("start")
            there = own.reindex(names)
            ax.plot(there, range(len(names)), marker, color="black", mfc=face or "black")
            ax.axvline(own.get(whole, np.nan), ls=line, color="grey", lw=1, zorder=0)
        ax.set(title=f"{dataset}: {metrics[metric]}" if len(datasets) > 1 else metrics[metric])
        ax.grid(axis="y", lw=0.3)
    axes[0].set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    lines = [base.mark(start, "grey", "", ls=look[3]) for start, look in looks.items()]
    base.legend_below(fig, 2, [*marks.values(), *lines])
    return fig


VIEWS = {
    "deviation_dots": View(deviation_dots, deviation_jobs, "Which difference decides?"),
    "one_image_in_batches": Picture(
        one_image_in_batches, first_of("cifar10"), "One image, normalised in three ways"
    ),
    "batch_statistics": View(
        batch_statistics,
        base.both_on_tens,
        "What do batch statistics at test time do?",
        of="batches",
    ),
}
