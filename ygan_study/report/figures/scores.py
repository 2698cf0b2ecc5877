"""Scores in pictures: Fig. 8 with post-hoc scores beside it, how scores are spread, silhouettes."""

from __future__ import annotations

import math
from collections.abc import Callable

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from ygan_study.measure.numbers import POST_HOC
from ygan_study.methods import METHODS
from ygan_study.plan.jobs import Job, pictured
from ygan_study.report.figures.base import CLASS_COLOURS, score_histogram, title
from ygan_study.report.rows import TITLES
from ygan_study.report.view import View
from ygan_study.run.folder import Run
from ygan_study.run.store import Study

PAPERS = {
    "s_x": "$s_x$ (Eq. 13)",
    "s_z": "$s_z$ (Eq. 14)",
    "s_zs": "$s_{zs}$ (Eq. 15)",
    "s_zp": "$s_{zp}$ (Eq. 16)",
    "s_zw": "$s_{zw}$ (Eq. 17)",
    "s_c": "$s_c$ (Eq. 18)",
    "s": "$s$ (Eq. 12)",
}


def fig8(runs: list[Run]) -> Figure:
    """Fig. 8, the AUC of each score of the same trained networks: filled, the paper's scores (Eq. 12 to 18); hollow, post-hoc
    scores of the later literature. The dashed line is chance.

    A dot is the mean over the classes held out. A bar is the standard deviation (population) over these classes, where there
    are several. Each class is first averaged over its seeds. No score is flipped: one below 0.5 ranks normal images above
    anomalies. A dash means: not measured.
    """
    datasets = list(dict.fromkeys(run.config.dataset for run in runs))
    names = {**PAPERS, **{name: name for name in POST_HOC}}
    places = [
        i + (i >= len(PAPERS)) for i in range(len(names))
    ]  # a gap sets the post-hoc scores apart
    fig, axes = plt.subplots(
        1, len(datasets), figsize=(0.9 + 2.1 * len(datasets), 3.7), sharey=True, squeeze=False
    )
    for ax, dataset in zip(axes.flat, datasets, strict=True):
        own = [run for run in runs if run.config.dataset == dataset]
        found = score_aucs(own)
        mean, spread = found.mean(), found.std(ddof=0)
        for name, place in zip(names, places, strict=True):
            known = not math.isnan(mean[name])
            number = f"{mean[name]:.3f}" if known else "–"
            ax.text(
                1.02, place, number, fontsize=7, va="center", transform=ax.get_yaxis_transform()
            )
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
        lines = [
            heading(own).replace(", ", "\n", 1),
            title(*own).replace(": ", ":\n").replace("images, ", "images,\n"),
        ]
        ax.set_title("\n".join(lines), fontsize=8)
    axes[0, 0].set_yticks(places, names.values())
    axes[0, 0].set_ylim(places[-1] + 0.6, -0.6)
    return fig


def score_aucs(runs: list[Run]) -> pd.DataFrame:
    """The AUC of each score of PAPERS and POST_HOC (columns) by class held out (rows), the mean over its seeds; NaN: no AUC."""
    rows = [
        {name: run.metrics.get(f"auc_{name}", math.nan) for name in (*PAPERS, *POST_HOC)}
        for run in runs
    ]
    return pd.DataFrame(rows, index=[run.config.held_out for run in runs]).groupby(level=0).mean()


def score_distributions(runs: list[Run]) -> Figure:
    """The score s (Eq. 12) of the images of each test set, of the first class held out and the first seed. The bars of each
    kind of images add up to 1. Their scale is logarithmic above 0.001.
    """
    fig, axes = plt.subplots(
        math.ceil(len(runs) / 2), 2, figsize=(9.2, 2.5 * math.ceil(len(runs) / 2)), squeeze=False
    )
    for ax in axes.flat[len(runs) :]:
        ax.set_axis_off()
    for ax, run in zip(axes.flat, runs, strict=False):
        score_histogram(
            ax, run.scores[run.test["in_test"]], run.test["anomalous"][run.test["in_test"]]
        )
        ax.set(
            title=f"{heading([run])}: AUC {run.metrics['auc']:.3f}\n{title(run)}",
            xlabel="$s = 1 - \\max_i p_i$ (Eq. 12)",
        )
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles[::-1], names[::-1], loc="outside lower center", ncols=2)
    return fig


def heading(runs: list[Run]) -> str:
    """The dataset of runs, and what counts as anomalous in them."""
    first, held_out = runs[0], {run.config.held_out for run in runs}
    seeds = {(run.config.seed, run.config.split_seed) for run in runs}
    if first.config.held_out < 0:
        what = "diseased leaves"
    elif len(held_out) > 1:
        what = f"{len(held_out)} classes in turn"
    else:
        what = f"{first.classes[first.config.held_out]} held out"
    several = f", {len(runs)} trainings" if len(held_out) > 1 else f", {len(seeds)} seeds"
    return f"{TITLES[first.config.dataset]}, {what}" + several * (len(seeds) > 1)


def ygan_jobs(study: Study) -> list[Job]:
    """Y-GAN in Tables 1-4, in the first of the study's configurations. A group of jobs has the configuration's name."""
    jobs = study.select(group=tuple(METHODS))
    return [job for job in jobs if job.group == jobs[0].group]


def first_of_each(study: Study) -> list[Job]:
    """The job of each dataset that pictures show."""
    return pictured(study.jobs)


def first_of(*datasets: str) -> Callable[[Study], list[Job]]:
    """Of `first_of_each` those of these datasets."""
    return lambda study: [job for job in first_of_each(study) if job.config.dataset in datasets]


def silhouette(runs: list[Run]) -> Figure:
    """How many clusters? The average silhouette of k-means with k clusters (section 6.3).

    Two curves a class held out, in the colour of that class (two more for each further split of the images). Filled: with
    cosine distances, as it is done here. Hollow: as the section is written. These are silhouettes in two different spaces:
    compare where the two curves peak, not how high they are. The dashed line is the number of true classes.
    """
    groups = {}
    for run in runs:
        groups.setdefault(run.config.dataset, []).append(run)
    fig, axes = plt.subplots(
        1, len(groups), figsize=(max(2.3 * len(groups), 4), 2.6), squeeze=False
    )
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
    "fig8": View(fig8, ygan_jobs, "Fig. 8: seven scores, and five post-hoc scores"),
    "score_distributions": View(score_distributions, first_of_each, "How the scores are spread"),
    "silhouette": View(
        silhouette, lambda study: study.select(group="weak_labels"), "How many clusters?"
    ),
}
