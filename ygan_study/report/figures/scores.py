"""Scores in pictures: Fig. 8 with post-hoc scores beside it, how scores are spread, silhouettes."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from ygan_study.measure.numbers import SCORES, SEVEN
from ygan_study.methods import METHODS
from ygan_study.report.figures import base
from ygan_study.report.figures.base import LABELS, LOOKS, NORMAL, Picture
from ygan_study.report.printed import score_name
from ygan_study.report.rows import TITLES, trainings_of
from ygan_study.report.view import View, selected
from ygan_study.run.folder import Run

FEWEST = 10  # trainings that a rank correlation is given of


def fig8(rows: pd.DataFrame) -> Figure:
    """Fig. 8, the AUC of each score of the same trained networks, the mean over the held-out
    classes with their standard deviation: filled, the paper's scores; hollow, post-hoc scores of
    the later literature. No score is flipped: one below 0.5 ranks normal images above anomalies.
    """
    names = {f"auc_{score}": score_name(score, math=True) for score in SCORES}
    trainings = trainings_of(rows, metrics=names)
    datasets = trainings["dataset"].unique()
    fig, axes = base.panels(len(datasets), len(datasets), 3.2, sharey=True)
    places = [place + (place >= len(SEVEN)) for place in range(len(names))]  # a gap between them
    for ax, dataset in zip(axes, datasets, strict=True):
        own = trainings[trainings["dataset"] == dataset]
        classes = own.groupby("held_out")[list(names)].mean()
        for place, (name, mean) in zip(places, classes.mean().items(), strict=True):
            bar = classes[name].std(ddof=0) if len(classes) > 1 else None
            look = dict(color=NORMAL, marker="D" if name == "auc_s" else "o", lw=1)
            face = NORMAL if place < len(SEVEN) else "white"
            ax.errorbar(mean, place, xerr=bar, mfc=face, **look)
            at = dict(va="center", fontsize=7, transform=ax.get_yaxis_transform())
            ax.text(1.02, place, "–" if pd.isna(mean) else f"{mean:.3f}", **at)
        base.reference(ax, axis="x")
        over = f"{len(classes)} classes" if len(classes) > 1 else f"{own['class'].iloc[0]}"
        ax.set_title(f"{TITLES[dataset]}\n{over}, {own['epochs'].iloc[0]} epochs")
        ax.set(xlim=(0, 1), xlabel="AUC", xticks=(0, 0.5, 1))
        ax.grid(axis="y", lw=0.3)
        ax.tick_params(axis="y", length=0)
    axes[0].set_yticks(places, names.values())
    axes[0].set_ylim(places[-1] + 0.6, -0.6)
    first = trainings.iloc[0]
    fig.suptitle(f"{first['title']}, {first['configuration']}, {first['weights']} weights")
    return fig


def score_distributions(runs: list[Run]) -> Figure:
    """The score `s` (Eq. 12) of the images of each test set, by kind: the share of the images in
    each bar, on a scale that is logarithmic above 0.001.
    """
    fig, axes = base.panels(len(runs), 2, 2)
    for ax, run in zip(axes, runs, strict=True):
        tested = run.test["in_test"]
        base.score_histogram(ax, run.scores[tested], run.test["anomalous"][tested])
        about = base.title(run).replace(": ", ":\n")
        ax.set_title(f"{base.heading(run)}: AUC {run.metrics['auc']:.3f}\n{about}")
        ax.set_xlabel("$s = 1 - \\max_i p_i$ (Eq. 12)")
    base.legend_below(fig, 2)
    return fig


def silhouette(runs: list[Run]) -> Figure:
    """The average silhouette of k-means with k clusters (section 6.3), a colour and a mark for each
    held-out class; the dashed line is the number of true classes. The two ways are silhouettes in
    different spaces: compare where they peak, not how high.
    """
    datasets = list(dict.fromkeys(run.config.dataset for run in runs))
    fig, axes = base.panels(len(datasets), max(len(datasets), 2), 2.1)
    for ax, dataset in zip(axes, datasets, strict=True):
        own = [run for run in runs if run.config.dataset == dataset]
        for run in own:
            place = max(run.config.held_out, 0)
            colour, marker = base.CLASS_COLOURS[place], base.MARKS[place]
            for form, face in (("cosine", colour), ("as_written", "white")):
                curve = run.about["weak_labels"]["silhouette"][form]
                look = dict(color=colour, marker=marker, mfc=face, ms=4, lw=0.8)
                ax.plot([int(k) for k in curve], curve.values(), **look)
        ax.axvline(own[0].metrics["classes"], color="grey", lw=0.8, ls="--", zorder=0)
        ax.set(title=base.heading(*own), xlabel="clusters $k$", xticks=range(2, 21, 3))
    axes[0].set_ylabel("average silhouette")
    ways = {"cosine distances, as used here": "dimgrey", "as the section is written": "white"}
    base.legend_below(fig, 1, [base.mark(way, face=face) for way, face in ways.items()])
    return fig


def accuracy_plot(rows: pd.DataFrame) -> Figure:
    """AUC against the accuracy of C on held-back normal images; each mark is a training, and rho is
    Spearman's rank correlation of all of them. Is the better classifier the better detector, as
    Vaze et al. (ICLR 2022) found?
    """
    both = ["auc", "normal_accuracy"]
    measured = trainings_of(rows, metrics=both).dropna(subset=both)
    datasets, marks = measured["dataset"].unique(), {}
    fig, axes = base.panels(len(datasets), 2, 2.1, sharey=True)
    for ax, dataset in zip(axes, datasets, strict=True):
        own = measured[measured["dataset"] == dataset]
        for (key, variant), group in own.groupby(["key", "variant"], sort=False):
            colour, marker = LOOKS[key]
            label = LABELS[key] + f", {variant}" * (variant != "full")
            face = colour if variant == "full" else "white"
            marks[label] = base.mark(label, colour, marker, face)
            look = dict(color=colour, marker=marker, mfc=face, ls="", alpha=0.7)
            ax.plot(group["normal_accuracy"], group["auc"], **look)
        rho = own[both].corr(method="spearman").iloc[0, 1]
        told = f", $\\rho$ = {rho:.2f}" if len(own) >= FEWEST and rho == rho else ""
        ax.set(title=f"{TITLES[dataset]}, {len(own)} runs{told}", ylabel="AUC")
        ax.set_xlabel("accuracy of $C$ on held-back normal images")
        base.reference(ax)
    base.legend_below(fig, 3, list(marks.values()))
    return fig


WITH_ACCURACY = selected(group=(*METHODS, "strong_wide", "paper_size", "ablations"), score="s")
BETTER = "Is the better classifier the better detector?"
VIEWS = {
    "fig8": View(fig8, base.ygan_jobs, "Fig. 8: seven scores, and five post-hoc scores"),
    "score_distributions": Picture(
        score_distributions, base.first_of(), "How the scores are spread"
    ),
    "color_mnist_scores": Picture(
        score_distributions, base.color_mnist, "How the scores of Color-MNIST are spread"
    ),
    "silhouette": Picture(silhouette, selected(group="weak_labels"), "How many clusters?"),
    "accuracy_plot": View(accuracy_plot, WITH_ACCURACY, BETTER),
}
