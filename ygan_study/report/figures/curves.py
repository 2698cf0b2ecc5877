"""What changes during a training, and with its length: losses, AUC by epoch, AUC by images seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ygan_core.config import TERMS
from ygan_study.plan.jobs import Job, first_seeds
from ygan_study.plan.profiles import ONE
from ygan_study.plan.settings import TENS
from ygan_study.report.figures import base
from ygan_study.report.figures.base import LABELS, LOOKS, Picture
from ygan_study.report.printed import paper_auc
from ygan_study.report.rows import TITLES, trainings_of
from ygan_study.report.tables.differences import length_jobs
from ygan_study.report.view import NotTrained, View, selected
from ygan_study.run.folder import AVERAGED, LAST, Run
from ygan_study.run.store import Study

CODE = ("paper", "mirrored", "public_code")  # from the printed equations to the program
SMOOTH = 9  # epochs that a strong line is a mean of


def color_mnist_losses(runs: list[Run]) -> Figure:
    """The mean of each loss term in each epoch, before it is weighted, against the share of the
    training that is done. The dashed line is the loss of a classifier that guesses, ln 9.
    """
    fig, axes = base.panels(len(TERMS), 3, 1.7, sharex=True)
    for ax, term in zip(axes, TERMS, strict=True):
        for run in runs:
            colour, marker = LOOKS[run.config.key]
            how = dict(color=colour, marker=marker, label=LABELS[run.config.key])
            ax.plot(run.losses.index / len(run.losses), run.losses[term], **how)
        ax.set_title(f"$L_{{{term[2:]}}}$")
        if term in ("L_s", "L_r"):
            ax.axhline(np.log(9), color="grey", lw=0.8, ls="--", zorder=0)
    for ax in axes[3:]:
        ax.set_xlabel("share of the training")
    base.legend_below(fig, len(runs))
    return fig


def ladder(rows: pd.DataFrame) -> Figure:
    """The AUC after trainings of several lengths, by the images that a training saw; every mark is
    a training of its own, and the line joins those of the first seed. Filled: averaged weights;
    hollow and dashed: the weights of the last step.
    """
    both = pd.concat([trainings_of(rows, weights) for weights in (LAST, AVERAGED)])
    both["seen"] /= 1e6
    several = both.groupby("dataset")["epochs"].transform("nunique") > 1
    both = both[several] if several.any() else both
    datasets = both["dataset"].unique()
    fig, axes = base.panels(len(datasets), len(datasets), 2.5, sharey=True)
    for ax, dataset in zip(axes, datasets, strict=True):
        own = both[both["dataset"] == dataset].sort_values("seen", kind="stable")
        for (key, weights), group in own.groupby(["key", "weights"]):
            colour, marker = LOOKS[key]
            face, line = (colour, "-") if weights == AVERAGED else ("white", "--")
            first = group[(group["seed"] == 0) & (group["split_seed"] == 0)]
            look = dict(color=colour, marker=marker, mfc=face)
            ax.plot(group["seen"], group["auc"], ls="", **look)
            label = f"{LABELS[key]}, {weights} weights"
            ax.plot(first["seen"], first["auc"], ls=line, label=label, **look)
        base.reference(ax, paper_auc(dataset, own["held_out"]) if dataset in TENS else None)
        held_out = f"{own['class'].iloc[0]} held out" if dataset in TENS else "diseased leaves"
        ax.set(xscale="log", xlabel="million images seen", title=f"{TITLES[dataset]}, {held_out}")
        ticks = [tick for tick in (0.1, 0.3, 1) if 0.7 * own["seen"].min() < tick]
        ax.set_xticks(ticks, map(str, ticks))
        ax.minorticks_off()
    axes[0].set_ylabel("AUC (Eq. 12)")
    base.legend_below(fig, 2)
    return fig


def paper_size(runs: list[Run]) -> Figure:
    """Trainings of the paper's own size, 64 filters and 100 epochs, after each epoch: pale, the
    epoch; strong, the mean of nine. Below, averaged weights: in Y-GAN their batch norm statistics
    lag behind the weights for 30 to 75 epochs.
    """
    there = {}
    for run in runs:
        there.setdefault((run.config.dataset, run.config.held_out), []).append(run)
    fig, axes = base.panels(4 * len(there), 2, 1.9, sharex=True, sharey="col")
    kinds = [(own, suffix) for own in there.values() for suffix in ("", "_averaged")]
    for (own, suffix), pair in zip(kinds, axes.reshape(-1, 2), strict=True):
        for ax, measured in zip(pair, ("auc", "normal_accuracy"), strict=True):
            for run in own:
                colour, marker = LOOKS[run.config.key]
                raw = run.losses[f"{measured}{suffix}"]
                smooth = raw.rolling(SMOOTH, center=True, min_periods=1).mean()
                ax.plot(raw, color=colour, lw=0.7, alpha=0.5)
                how = dict(marker=marker, markevery=len(raw) // 8 or 1)
                ax.plot(smooth, color=colour, label=LABELS[run.config.key], **how)
            kind = "averaged weights" if suffix else "weights of the epoch"
            ax.set(title=f"{base.heading(own[0])}; {kind}", xlabel="epoch")
            ax.set_ylabel("AUC (Eq. 12)" if measured == "auc" else "accuracy of $C$")
        base.reference(pair[0], paper_auc(own[0].config.dataset, [own[0].config.held_out]))
    base.legend_below(fig, 2)
    return fig


def best_epoch(runs: list[Run]) -> Figure:
    """AUC on the test set after each epoch: pale, each training, with a ring at its best epoch;
    strong, the mean. Gain: the AUC of the best epoch, which only someone with the labels of the
    test set can choose, less that of the last one, in the mean over the held-out classes.
    """
    there = base.grouped(run for run in runs if "auc" in run.losses)
    datasets, keys = (list(dict.fromkeys(key[i] for key in there)) for i in (0, 1))
    fig, axes = base.panels(len(datasets) * len(keys), len(datasets), 1.9, sharey=True)
    places = [(dataset, key) for key in keys for dataset in datasets]
    for ax, (dataset, key) in zip(axes, places, strict=True):
        own, colour = there.get((dataset, key), []), LOOKS[key][0]
        for auc in (run.losses["auc"] for run in own):
            ax.plot(auc, color=colour, lw=0.6, alpha=0.4)
            ax.plot(auc.idxmax(), auc.max(), "o", mfc="none", color=colour, label="best epoch")
        if own:
            curves = pd.concat([run.losses[["auc", "auc_averaged"]] for run in own])
            mean = curves.groupby("epoch").mean()
            ax.plot(mean["auc"], color=colour, lw=2, label="mean, weights of the epoch")
            ax.plot(mean["auc_averaged"], "k:", label="mean, averaged weights")
            gains = pd.Series([run.losses["auc"].max() - run.losses["auc"].iloc[-1] for run in own])
            gain = gains.groupby([run.config.held_out for run in own]).mean().mean()
            ax.set_title(f"{TITLES[dataset]}, {LABELS[key]}\ngain {gain:+.3f}")
        base.reference(ax)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel="epoch", ylabel="AUC on the test set")
        ax.get_subplotspec().is_first_col() or ax.set_ylabel("")
    base.legend_below(fig, 3)
    return fig


def code_epochs(runs: list[Run]) -> Figure:
    """Y-GAN after each epoch, by the printed equations and as the authors' program trains it; solid
    AUCs score each image by itself, dashed ones class-sorted batches, as the program does. The grey
    line is the loss of guessing, ln 9: where L_r is below it, C reads the class off z_r.
    """
    there = {}
    for run in runs:
        there.setdefault(run.config.dataset, {}).setdefault(run.config.key, run)
    there = {dataset: own for dataset, own in there.items() if {*own} != {"paper"}}
    if not there:
        raise NotTrained("the objective of the public code was not trained")
    columns = {"auc": "AUC", "normal_accuracy": "accuracy of $C$", "L_s": "$L_s$", "L_r": "$L_r$"}
    fig, axes = base.panels(len(columns) * len(there), len(columns), 1.9, sharex="row")
    places = [(dataset, name) for dataset in there for name in columns]
    for ax, (dataset, name) in zip(axes, places, strict=True):
        for key, run in there[dataset].items():
            colour, marker = LOOKS[key]
            look = dict(color=colour, marker=marker, ms=3)
            ax.plot(run.losses[name], label=LABELS[key], **look)
            if name == "auc" and "auc_sorted" in run.losses:
                ax.plot(run.losses["auc_sorted"], ls="--", mfc="white", **look)
        if name == "auc" and dataset in TENS:
            base.reference(ax, paper_auc(dataset, [run.config.held_out]))
        if name in ("L_s", "L_r"):
            ax.axhline(np.log(9), color="grey", lw=0.8, zorder=0)
        ax.set(title=f"{TITLES[dataset]}: {columns[name]}", xlabel="epoch")
        ax.xaxis.get_major_locator().set_params(integer=True)
    base.legend_below(fig, 3)
    return fig


def _code(study: Study) -> list[Job]:
    """The first training by the public code on each dataset, and by the printed equations."""
    jobs = study.select(method="ygan", variant="full", group=("color_mnist", *CODE))
    shown = [("color_mnist", 0), *((dataset, ONE[0]) for dataset in TENS)]
    return [
        job
        for job in first_seeds(jobs)
        if job.config.key in CODE and (job.config.dataset, job.config.held_out) in shown
    ]


VIEWS = {
    "color_mnist_losses": Picture(
        color_mnist_losses, base.color_mnist, "The loss terms, Color-MNIST"
    ),
    "ladder": View(ladder, length_jobs, "Does a longer training help?"),
    "paper_size": Picture(
        paper_size, selected(group="paper_size"), "One class at the paper's own size"
    ),
    "code_epochs": Picture(code_epochs, _code, "The authors' objective, epoch by epoch"),
    "best_epoch": Picture(
        best_epoch, base.both_on_tens, "What does the choice of the best epoch add?"
    ),
}
