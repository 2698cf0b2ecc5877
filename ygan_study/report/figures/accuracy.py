"""Is the better classifier the better detector? AUC against accuracy on normal images, and what follows from the points."""

from __future__ import annotations

import math
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ygan_study.methods import METHODS
from ygan_study.methods.ablations import ABLATIONS
from ygan_study.plan.jobs import Job
from ygan_study.plan.settings import DATASETS, TENS
from ygan_study.report.figures.base import CLASS_COLOURS
from ygan_study.report.printed import paper_auc
from ygan_study.report.rows import TITLES, trainings_of
from ygan_study.report.spread import count
from ygan_study.report.view import View
from ygan_study.run.folder import Run
from ygan_study.run.store import Study

# Configurations that `accuracy_plot` gives a marker of their own, and what they are called there.
NAMED = {
    "classifier": "Classifier",
    "strong": "Strong classifier",
    "whitened": "Y-GAN on the strong encoder",
}
MARKERS = dict(zip(("full", *ABLATIONS, *NAMED.values()), cycle("o^v<PXdDs*h>"), strict=False))
FEWEST = 5  # networks that a rank correlation is given of
NARROW = 0.05  # accuracies that lie in so small a range say nothing of a slope


def accuracy_plot(runs: list[Run]) -> Figure:
    """AUC against the accuracy of C on held-back normal images. Each point is a training. Is the better classifier the better
    detector, as Vaze et al. found ("Open-set recognition: a good closed-set classifier is all you need?", ICLR 2022)?

    The marker says the method or the variant; widths and lengths differ too. Hollow markers are Y-GAN in a second
    configuration. The line has the slope within the classes held out, by least squares. ρ is Spearman's rank correlation of the
    n points. It is given from five points on; with few points it may be chance. Each panel has its own range of accuracies:
    some are narrow.
    """
    measured = [run for run in runs if {"auc", "normal_accuracy"} <= run.metrics.keys()]
    datasets = list(dict.fromkeys(run.config.dataset for run in measured))
    first = next((run.config.name for run in measured if run.config.method == "ygan"), "")
    rows = math.ceil(len(datasets) / 2)
    fig, axes = plt.subplots(rows, 2, figsize=(9.2, 2.6 * rows + 0.8), sharey=True, squeeze=False)
    for ax, dataset in zip(axes.flat, datasets, strict=False):
        colour = CLASS_COLOURS[DATASETS.index(dataset)]
        own = [run for run in measured if run.config.dataset == dataset]
        points = pd.DataFrame([{"held_out": run.config.held_out, **run.metrics} for run in own])
        for run, accuracy, auc in zip(own, points["normal_accuracy"], points["auc"], strict=True):
            face = colour if run.config.name in (first, *NAMED) else "none"
            ax.plot(
                accuracy,
                auc,
                ls="",
                marker=MARKERS[_kind(run)],
                ms=6,
                mfc=face,
                mec=colour,
                mew=0.8,
                alpha=0.8,
            )
        several, slope = slope_within(points)
        if not math.isnan(slope):
            ends = several["normal_accuracy"].agg(["min", "max"])
            ax.plot(ends, _on_line(several, slope, ends), color="black", lw=0.9, zorder=1)
        ax.axhline(0.5, color="grey", lw=0.8, ls="--", zorder=0)
        ax.margins(0.1)
        rho = rank_correlation(points)
        ax.set_title(
            f"{TITLES[dataset]}, n = {len(own)}"
            + ("" if math.isnan(rho) else f", $\\rho$ = {rho:.2f}")
        )
        ax.tick_params(labelleft=True)
    for ax in axes.flat[len(datasets) :]:
        ax.set_axis_off()
    for ax in axes[-1]:
        ax.set_xlabel("accuracy of $C$ on held-back normal images")
    for ax in axes[:, 0]:
        ax.set_ylabel("AUC")
    grey = dict(ls="", color="dimgrey", mew=0.8, ms=6)
    kinds = {_kind(run) for run in measured}
    names = dict.fromkeys(run.config.name for run in measured if run.config.name not in NAMED)
    own = {"full": "Y-GAN", **{kind: kind for kind in NAMED.values()}}
    labels = {kind: own.get(kind, f"variant {kind}") for kind in MARKERS if kind in kinds}
    handles = [
        plt.Line2D([], [], marker=MARKERS[kind], label=label, **grey)
        for kind, label in labels.items()
    ]
    for name in names if len(names) > 1 else ():
        how, face = ("filled", "dimgrey") if name == first else ("hollow", "none")
        handles.append(plt.Line2D([], [], marker="o", label=f"{how}: {name}", mfc=face, **grey))
    fig.legend(handles=handles, loc="outside lower center", ncols=3)
    return fig


def rank_correlation(points: pd.DataFrame) -> float:
    """Spearman's rank correlation of accuracy and AUC; NaN of fewer than FEWEST points, or where one of them never changes."""
    if len(points) < FEWEST:
        return math.nan
    return float(points[["auc", "normal_accuracy"]].corr(method="spearman").iloc[0, 1])


def slope_within(points: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """The points of classes held out that have several, and by how much the AUC rises with the accuracy within these classes:
    one slope for all, by least squares; NaN where the accuracies lie within NARROW of each other. points: a row a network.
    """
    several = points[points.groupby("held_out")["normal_accuracy"].transform("nunique") > 1]
    if several.empty or np.ptp(several["normal_accuracy"]) < NARROW:
        return several, math.nan
    x, y = _within(several)
    return several, float((x * y).sum() / (x**2).sum())


def verdict(rows: pd.DataFrame) -> str:
    """Does the AUC follow the accuracy on normal images? Which accuracy belongs to the AUC that the paper prints?"""
    lines = []
    for data, group in trainings_of(rows, metrics=("normal_accuracy",)).groupby(
        "dataset", sort=False
    ):
        measured = group.dropna(subset=["auc", "normal_accuracy"])
        if len(measured) >= FEWEST:
            rank = f"{rank_correlation(measured):+.2f} over {len(measured)} networks"
            lines.append(
                f"- {TITLES[data]}: Spearman's rank correlation {rank}."
                + (_of_line(measured, data) + _of_two(measured) if data in TENS else "")
            )
        else:
            lines.append(
                f"- {TITLES[data]}: {count(len(measured), 'network')}, too few for a correlation."
            )
    return "\n".join(lines)


def _within(points: pd.DataFrame) -> list[pd.Series]:
    """How far the accuracy, and the AUC, of each network lie from the mean of its class."""
    return [
        points[name] - points.groupby("held_out")[name].transform("mean")
        for name in ("normal_accuracy", "auc")
    ]


def _on_line(points: pd.DataFrame, slope: float, accuracy: float) -> float:
    """The AUC that belongs to an accuracy, on the line through the mean of the classes."""
    means = points.groupby("held_out")[["normal_accuracy", "auc"]].mean().mean()
    return means["auc"] + slope * (accuracy - means["normal_accuracy"])


def _of_line(measured: pd.DataFrame, dataset: str) -> str:
    several, slope = slope_within(measured)
    if several.empty:
        return ""
    found = several["normal_accuracy"]
    if math.isnan(slope):
        return f" The accuracies lie between {found.min():.3f} and {found.max():.3f}, too near to each other for a slope."
    x, y = _within(several)
    rises = (x * y).groupby(several["held_out"]).sum() > 0
    moves = "rises" if slope > 0 else "falls"
    start = (
        f" Within a class the AUC rises with the accuracy in {rises.sum()} of the {len(rises)} that have several networks. "
        f"With one slope for all of them, by least squares, it {moves} by {abs(slope) / 10:.3f} with each 0.1 of accuracy."
    )
    if slope <= 0:
        return start
    printed_auc = paper_auc(dataset, sorted(set(several["held_out"])))
    at = (printed_auc - _on_line(several, slope, 0)) / slope
    there = (
        ""
        if found.min() <= at <= found.max()
        else f", where no network lies ({found.min():.2f} to {found.max():.2f})"
    )
    where = (
        f"belongs to an accuracy of {at:.2f}{there}"
        if 0 <= at <= 1
        else "is reached by no accuracy"
    )
    what = f"{printed_auc:.3f}, the mean of what the paper prints for these classes,"
    return f"{start} On this line {what} {where}. The line joins several methods and sizes: it is no proof of a cause."


def _of_two(measured: pd.DataFrame) -> str:
    """Two networks that lie near each other: the plain classifier, and Y-GAN in the first configuration, of the usual width."""
    usual = measured[measured["width"] == measured["width"].mode()[0]]
    of_ygan = usual[(usual["title"] == "Y-GAN") & (usual["variant"] == "full")]
    if of_ygan.empty or not (usual["title"] == "Classifier").any():
        return ""
    label = of_ygan["configuration"].iloc[0]
    pair = usual[usual["title"] == "Classifier"], of_ygan[of_ygan["configuration"] == label]
    plain, ygan = (frame.groupby("held_out")[["normal_accuracy", "auc"]].mean() for frame in pair)
    gap = (plain - ygan).dropna()
    righter = gap[gap["normal_accuracy"] > 0]
    return (
        f" The plain classifier is right more often than the C of Y-GAN (`{label}`) in {len(righter)} of {len(gap)} classes; "
        f"in {(righter['auc'] < 0).sum()} of these its AUC is lower."
    )


def _kind(run: Run) -> str:
    return NAMED.get(run.config.name, run.config.variant)


def _with_accuracy(study: Study) -> list[Job]:
    return study.select(
        group=("classifier", *METHODS, "strong_wide", "paper_size", "ablations"),
        score="s",
    )


VIEWS = {
    "accuracy_plot": View(
        accuracy_plot, _with_accuracy, "Is the better classifier the better detector?"
    ),
}
