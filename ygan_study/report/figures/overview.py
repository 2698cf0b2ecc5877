"""The study at a glance: the main result, what was trained, what an AUC costs."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from ygan_study.measure.flops import PFLOP
from ygan_study.methods import METHODS
from ygan_study.plan.settings import TENS
from ygan_study.report.figures import base
from ygan_study.report.figures.base import LABELS, LOOKS, PRINTED
from ygan_study.report.printed import NUMBERS, class_names, paper_auc, printed
from ygan_study.report.rows import REAL, TITLES, trainings_of
from ygan_study.report.statistics import estimate, level
from ygan_study.report.tables.beyond import paper_operations
from ygan_study.report.tables.shared import TABLES_1_TO_4, classes_of
from ygan_study.report.view import View, selected

MAIN_METHODS = ("paper", "balanced", "public_code", "classifier", "strong")
WHOLE = {name: 10 if name in TENS else 1 for name in TITLES}  # the paper's held-out classes


def main_result(rows: pd.DataFrame) -> Figure:
    """The mean AUC over ten held-out classes with its 95 % interval over them (on
    PlantVillage, which holds out no class, over seeds): what the paper prints for Y-GAN after 100
    to 200 epochs, and what was measured here. Where fewer classes were trained, all is of these; a
    method that was trained in fewer than the others is hollow.
    """
    trainings = trainings_of(rows)
    keys = [key for key in MAIN_METHODS if key in set(trainings["key"])]
    datasets = [name for name in REAL if name in set(trainings["dataset"])]
    fig, ax = plt.subplots(figsize=(base.WIDTH, 0.8 * len(datasets) + 1.2))
    marks, names, hollow = {PRINTED: base.mark(PRINTED, "black", "*", ms=10)}, [], False
    for key in keys:
        low, high = trainings[trainings["key"] == key]["epochs"].agg(["min", "max"])
        epochs = f"{low} epochs" if low == high else f"{low} to {high} epochs"
        marks[key] = base.mark(f"{LABELS[key]}, {epochs}", *LOOKS[key])
    for place, dataset in enumerate(datasets):
        table, own = printed(NUMBERS[dataset]), trainings[trainings["dataset"] == dataset]
        columns, few = ["auc"], f"\n({own['image_size'].iloc[0]} px)"
        if dataset in TENS:
            columns = np.array(class_names(NUMBERS[dataset]))[sorted(own["held_out"].unique())]
            few = "" if len(columns) == 10 else f"\n({classes_of(own)})"
        names.append(TITLES[dataset] + few)
        paper = table[table["model"] == "Y-GAN"].iloc[0][columns].astype(float)
        found = {PRINTED: estimate(paper)}
        found |= {key: level(group) for key, group in own.groupby("key") if key in keys}
        classes = own.groupby("key")["held_out"].nunique()
        for step, (name, look) in enumerate(marks.items()):
            if name in found:
                some = bool(classes.get(name, classes.max()) < classes.max())
                base.interval(ax, found[name], place + 0.14 * step - 0.3, look, hollow=some)
                hollow |= some
        ax.axhline(place + 0.5, color="lightgrey", lw=0.6)
    base.reference(ax, axis="x")
    ax.set_yticks(range(len(datasets)), names, fontsize=9)
    ax.set(ylim=(len(datasets) - 0.5, -0.5), xlabel="AUC (Eq. 12)")
    note = [base.mark("hollow: some of the classes", face="white")] * hollow
    base.legend_below(fig, 2, [*marks.values(), *note])
    return fig


def coverage(rows: pd.DataFrame) -> Figure:
    """What was trained: dark, every class that the paper holds out; light, some; white, none. The
    numbers are classes, runs in all, and the usual number of epochs.
    """
    trainings = trainings_of(rows)
    kinds = {
        "Y-GAN*, clusters for classes": trainings["labels"] == "weak",
        "Ablations": ~trainings["variant"].isin(["full", "background_only"]),
        "Background only": trainings["pixels"] == "background",
        "Differences of the public code": ~trainings["deviation"].isin(["none", *METHODS]),
    }
    what, methods = trainings["key"].map(LABELS), [*LABELS.values(), *kinds]
    for name, those in kinds.items():
        what = what.mask(those, name)
    fig, ax = plt.subplots(figsize=(base.WIDTH, 0.3 * len(methods) + 0.7))
    shades, found = ["white", *sns.color_palette("Blues", 5)[1::2]], np.zeros((len(methods), 5))
    for (name, dataset), own in trainings.groupby([what, "dataset"]):
        row, column = methods.index(name), list(WHOLE).index(dataset)
        classes, runs = own["held_out"].nunique(), len(own)
        found[row, column] = 1 + (classes >= WHOLE[dataset])
        counted = f"{classes} classes, " * (classes > 1) + f"{runs} run" + "s" * (runs > 1)
        trains = METHODS[own["key"].iloc[0]].trains
        text = counted + f"\n{own['epochs'].mode()[0]} epochs" * trains
        colour = "white" if found[row, column] == 2 else "black"
        how = dict(ha="center", va="center", fontsize=7, linespacing=0.95, color=colour)
        ax.text(column + 0.5, row + 0.5, text, **how)
    ax.pcolormesh(found, cmap=ListedColormap(shades), vmin=0, vmax=2, ec="lightgrey", lw=0.5)
    ax.set_xticks(base.centres(len(WHOLE)), TITLES.values())
    ax.set_yticks(base.centres(len(methods)), methods)
    ax.tick_params(length=0, labelbottom=False, labeltop=True)
    ax.invert_yaxis()
    names = ("not trained", "some classes", "all of the paper's classes")
    squares = dict(zip(names, shades, strict=True)).items()
    base.legend_below(fig, 3, [base.mark(*square, "s", mec="grey", ms=9) for square in squares])
    return fig


def auc_by_cost(rows: pd.DataFrame) -> Figure:
    """The AUC of each method, with its standard deviation over ten held-out classes, by what one of
    its trainings costs: PFLOP, 10^15 operations in convolutions and matrix products. The star is
    the paper's Y-GAN as printed, in 100 epochs with the networks of section 4.3.
    """
    trainings = trainings_of(rows)
    datasets, marks = [name for name in TENS if name in set(trainings["dataset"])], {}
    fig, axes = base.panels(len(datasets), len(datasets), 2.8, sharey=True)
    for ax, dataset in zip(axes, datasets, strict=True):
        own, paper = trainings[trainings["dataset"] == dataset], paper_operations(dataset) / PFLOP
        costs = own["training_operations"] / PFLOP
        edge = min(paper, *costs[costs > 0]) / 3  # of what does none of these operations
        for (key, width, title), group in own.groupby(["key", "width", "title"], sort=False):
            classes = group.groupby("held_out")["auc"].mean()
            mean, cost = classes.mean(), costs[group.index].mean() or edge
            if len(classes) < WHOLE[dataset]:
                ax.plot(cost, mean, ls="", marker="x", color="grey")
                at = dict(xytext=(-3, 5), textcoords="offset points", fontsize=7)
                ax.annotate(title, (cost, mean), **at)
                continue
            wide = bool(width > own[own["key"] == key]["width"].min())
            label = LABELS[key] + f", width {width}" * wide
            marks[label] = base.mark(label, *LOOKS[key], face="white" if wide else None)
            base.bar(ax, marks[label], cost, mean, yerr=classes.std(ddof=0), lw=0.8)
        ax.plot(paper, paper_auc(dataset, range(10)), "k*", ms=10)
        base.reference(ax)
        ax.set(xscale="log", title=TITLES[dataset], xlabel="PFLOP of a training")
    axes[0].set_ylabel("AUC")
    others = [base.mark(PRINTED, "black", "*", ms=10), base.mark("some classes", "grey", "x")]
    base.legend_below(fig, 3, [*marks.values(), *others])
    return fig


TRAINED_ON_TENS = selected(dataset=TENS, group=(*TABLES_1_TO_4, "whitened", "strong_wide"))
VIEWS = {
    "main_result": View(main_result, selected(dataset=REAL, group=MAIN_METHODS), "The main result"),
    "coverage": View(coverage, lambda study: study.jobs, "What was trained"),
    "auc_by_cost": View(auc_by_cost, TRAINED_ON_TENS, "What an AUC costs"),
}
