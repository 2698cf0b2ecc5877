"""Scores in pictures: Fig. 8 with later scores beside it, how each dataset's scores are spread, AUC against accuracy."""

from __future__ import annotations

import math
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ygan_core import config
from ygan_core.data import DATASETS
from ygan_core.study.figures.base import ANOMALOUS, CLASS_COLOURS, NORMAL, title
from ygan_core.study.jobs import Job, Run, Study, View
from ygan_core.study.variants import ABLATIONS

PAPERS = {
    "s_x": "$s_x$ (Eq. 13)",
    "s_z": "$s_z$ (Eq. 14)",
    "s_zs": "$s_{zs}$ (Eq. 15)",
    "s_zp": "$s_{zp}$ (Eq. 16)",
    "s_zw": "$s_{zw}$ (Eq. 17)",
    "s_c": "$s_c$ (Eq. 18)",
    "s": "$s$ (Eq. 12)",
}
LATER = ("max-logit", "energy", "Mahalanobis", "kNN", "ViM")
MARKERS = dict(zip(("full", *ABLATIONS, "Classifier"), cycle("o^v<PXdDs*h>"), strict=False))
NARROWEST = 0.1  # the range of accuracies that a panel of `accuracy_plot` shows at least


def fig8(runs: list[Run]) -> Figure:
    """Fig. 8, AUC of the scores of Eq. 12 to 18, all from the same trained models, and below them of later scores (hollow): the
    mean over the classes held out, its standard deviation over them as a bar where there are several; dashed: chance.

    Each class is first averaged over its seeds. No score is flipped: one below 0.5 ranks normal images above anomalies. A dash:
    not measured.
    """
    datasets = list(dict.fromkeys(run.config.dataset for run in runs))
    names = {**PAPERS, **{name: name for name in LATER}}
    places = [i + (i >= len(PAPERS)) for i in range(len(names))]  # a gap sets the later scores apart
    fig, axes = plt.subplots(1, len(datasets), figsize=(0.9 + 2.1 * len(datasets), 3.7), sharey=True, squeeze=False)
    for ax, dataset in zip(axes.flat, datasets, strict=True):
        own = [run for run in runs if run.config.dataset == dataset]
        found = score_aucs(own)
        mean, spread = found.mean(), found.std()
        for name, place in zip(names, places, strict=True):
            known = not math.isnan(mean[name])
            number = f"{mean[name]:.3f}" if known else "–"
            ax.text(1.02, place, number, fontsize=7, va="center", transform=ax.get_yaxis_transform())
            if known:
                ax.errorbar(
                    mean[name],
                    place,
                    xerr=spread[name] if len(found) > 1 else None,
                    marker="D" if name == "s" else "o",
                    ms=6 if name == "s" else 5,
                    color=CLASS_COLOURS[0],
                    mfc=CLASS_COLOURS[0] if name in PAPERS else "white",
                    lw=1,
                    capsize=2,
                )
        ax.axvline(0.5, color="grey", lw=0.8, ls="--", zorder=0)
        ax.set(xlim=(0, 1), xlabel="AUC")
        ax.set_xticks((0, 0.25, 0.5, 0.75, 1), ("0", ".25", ".5", ".75", "1"))
        ax.grid(axis="y", lw=0.3)
        ax.tick_params(axis="y", length=0)
        ax.set_title(f"{heading(own)}, {title(own[0])}".replace(", ", "\n", 1).replace(": width", ":\nwidth"), fontsize=8)
    axes[0, 0].set_yticks(places, names.values())
    axes[0, 0].set_ylim(places[-1] + 0.6, -0.6)
    return fig


def score_aucs(runs: list[Run]) -> pd.DataFrame:
    """The AUC of each score of PAPERS and LATER (columns) by class held out (rows), the mean over its seeds; NaN: no AUC."""
    rows = [{name: run.metrics.get(f"auc_{name}", math.nan) for name in (*PAPERS, *LATER)} for run in runs]
    return pd.DataFrame(rows, index=[run.config.held_out for run in runs]).groupby(level=0).mean()


def score_distributions(runs: list[Run]) -> Figure:
    """The score of Eq. 12 over each dataset's test set, normal and anomalous, with its AUC. Logarithmic above ten images."""
    fig, axes = plt.subplots(math.ceil(len(runs) / 2), 2, figsize=(9.2, 2.5 * math.ceil(len(runs) / 2)), squeeze=False)
    for ax in axes.flat[len(runs) :]:
        ax.set_axis_off()
    for ax, run in zip(axes.flat, runs, strict=False):
        test, bins = run.test["in_test"], np.linspace(0, 1, 41)
        score, anomalous = run.scores[test], run.test["anomalous"][test]
        sns.histplot(x=score[~anomalous], bins=bins, color=NORMAL, label="normal", ax=ax, linewidth=0)
        sns.histplot(x=score[anomalous], bins=bins, color=ANOMALOUS, label="anomalous", ax=ax, fill=False, element="step")
        ax.set(title=f"{heading([run])}: AUC {run.metrics['auc']:.3f}\n{title(run)}", xlabel="$s = 1 - \\max_i p_i$ (Eq. 12)")
        ax.set(ylabel="images", xlim=(0, 1))
        ax.set_yscale("symlog", linthresh=10)
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles[::-1], names[::-1], loc="outside lower center", ncols=2)
    return fig


def accuracy_plot(runs: list[Run]) -> Figure:
    """AUC against C's accuracy on held-back normal images, a point a training: is the better classifier the better detector, as
    Vaze et al. found ("Open-set recognition: a good closed-set classifier is all you need?", ICLR 2022)? rho: Spearman's rank
    correlation of the n points, given from five on; with so few it may be chance.

    A marker a method or variant; hollow ones are of a configuration that is not the first. Every panel has its own range of
    accuracies, at least NARROWEST wide.
    """
    measured = [run for run in runs if {"auc", "normal_accuracy"} <= run.metrics.keys()]
    datasets = list(dict.fromkeys(run.config.dataset for run in measured))
    first = measured[0].config.name
    fig, axes = plt.subplots(2, 3, figsize=(9.2, 5.2), sharey=True)
    for ax, dataset in zip(axes.flat, datasets, strict=False):
        colour = CLASS_COLOURS[config.DATASETS.index(dataset)]
        own = [run for run in measured if run.config.dataset == dataset]
        for run in own:
            face = colour if run.config.name == first else "none"
            ax.plot(*accuracy_and_auc(run), ls="", marker=MARKERS[_kind(run)], ms=6, mfc=face, mec=colour, mew=0.8, alpha=0.8)
        ax.axhline(0.5, color="grey", lw=0.8, ls="--", zorder=0)
        ax.margins(0.1)
        low, high = ax.get_xlim()
        wider = max(0, NARROWEST - (high - low)) / 2
        ax.set_xlim(low - wider, high + wider)
        rho = rank_correlation(own)
        name = DATASETS[dataset].title if dataset in DATASETS else "Color-MNIST"
        ax.set_title(f"{name}, n = {len(own)}" + ("" if math.isnan(rho) else f", $\\rho$ = {rho:.2f}"))
        ax.tick_params(labelleft=True)
    for ax in axes.flat[len(datasets) :]:
        ax.set_axis_off()
    fig.supxlabel("accuracy of $C$ on held-back normal images", fontsize=9)
    fig.supylabel("AUC", fontsize=9)
    grey = dict(ls="", color="dimgrey", mew=0.8, ms=6)
    kinds, names = {_kind(run) for run in measured}, dict.fromkeys(run.config.name for run in measured)
    labels = {kind: {"full": "Y-GAN", "Classifier": kind}.get(kind, f"variant {kind}") for kind in MARKERS if kind in kinds}
    handles = [plt.Line2D([], [], marker=MARKERS[kind], label=label, **grey) for kind, label in labels.items()]
    for name in names if len(names) > 1 else ():
        how, face = ("filled", "dimgrey") if name == first else ("hollow", "none")
        handles.append(plt.Line2D([], [], marker="o", label=f"{how}: {name}", mfc=face, **grey))
    axes[-1, -1].legend(handles=handles, loc="center", ncols=2)  # five datasets at the most: the sixth place is free
    return fig


def accuracy_and_auc(run: Run) -> tuple[float, float]:
    """A point of `accuracy_plot`."""
    return run.metrics["normal_accuracy"], run.metrics["auc"]


def rank_correlation(runs: list[Run]) -> float:
    """Spearman's, of accuracy and AUC; NaN of fewer than five runs, or where one of the two is the same in all."""
    if len(runs) < 5:
        return math.nan
    return float(pd.DataFrame(map(accuracy_and_auc, runs)).corr(method="spearman").iloc[0, 1])


def heading(runs: list[Run]) -> str:
    """The dataset of runs, and what counts as anomalous in them."""
    first, held_out, seeds = runs[0], {run.config.held_out for run in runs}, {run.config.seed for run in runs}
    if first.config.held_out < 0:
        what = "diseased leaves"
    elif len(held_out) > 1:
        what = f"{len(held_out)} classes in turn"
    else:
        what = f"{first.classes[first.config.held_out]} held out"
    return f"{DATASETS[first.config.dataset].title}, {what}" + (f", {len(seeds)} seeds" if len(seeds) > 1 else "")


def ygan_jobs(study: Study) -> list[Job]:
    """Y-GAN on the four benchmarks, in the first of the study's configurations."""
    jobs = study.select(dataset=tuple(DATASETS), method="ygan", variant="full", labels="true")
    return [job for job in jobs if job.config.name == jobs[0].config.name]


def first_of_each(study: Study) -> list[Job]:
    """The first of `ygan_jobs` of each dataset."""
    first = {}
    for job in ygan_jobs(study):
        first.setdefault(job.config.dataset, job)
    return list(first.values())


def _kind(run: Run) -> str:
    return "Classifier" if run.config.method == "classifier" else run.config.variant


def _with_accuracy(study: Study) -> list[Job]:
    return study.select(method=("ygan", "classifier"), variant=("full", *ABLATIONS), labels="true", score="s")


def silhouette(runs: list[Run]) -> Figure:
    """How many clusters? The average silhouette of k-means with k clusters (section 6.3), a panel a dataset, a line a class
    held out: filled as it is done here, with cosine distances, hollow as the section is written. Dashed: how many true
    classes there are.
    """
    groups = {}
    for run in runs:
        groups.setdefault(run.config.dataset, []).append(run)
    fig, axes = plt.subplots(1, len(groups), figsize=(max(2.3 * len(groups), 4), 2.6), squeeze=False)
    for ax, own in zip(axes.flat, groups.values(), strict=True):
        for run in own:
            colour = CLASS_COLOURS[max(run.config.held_out, 0)]
            for form, face in (("cosine", colour), ("as_written", "white")):
                curve = run.about["weak_labels"]["silhouette"][form]
                k = [int(number) for number in curve]
                ax.plot(k, curve.values(), color=colour, marker="o", ms=4, mfc=face, lw=0.8)
        ax.axvline(own[0].metrics["classes"], color="grey", lw=0.8, ls="--", zorder=0)
        ax.set(title=heading(own), xlabel="clusters $k$")
        ax.set_xticks(range(2, 21, 3))
    axes[0, 0].set_ylabel("average silhouette")
    line = dict(color="dimgrey", marker="o", ms=4, lw=0.8)
    handles = [plt.Line2D([], [], mfc=face, **line) for face in ("dimgrey", "white")]
    fig.legend(handles, ("cosine", "as written"), loc="outside lower center", ncols=2)
    return fig


VIEWS = {
    "fig8": View(fig8, ygan_jobs),
    "score_distributions": View(score_distributions, first_of_each),
    "accuracy_plot": View(accuracy_plot, _with_accuracy),
    "silhouette": View(silhouette, lambda study: study.select(labels="weak")),
}
