"""How the AUC grows with the length of a training, and in trainings of the paper's size: Y-GAN, and the control beside it."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from ygan_study.methods import METHODS
from ygan_study.plan.jobs import Job, first_seeds
from ygan_study.plan.settings import TENS
from ygan_study.report.figures.base import CLASS_COLOURS, METHOD_COLOURS
from ygan_study.report.figures.scores import heading
from ygan_study.report.printed import paper_auc
from ygan_study.report.rows import method_title
from ygan_study.report.view import View
from ygan_study.run.folder import AVERAGED, LAST, Run
from ygan_study.run.store import Study

SIZE_COLOURS = dict(zip(("paper", "classifier", "balanced"), CLASS_COLOURS, strict=False))


def ladder(runs: list[Run]) -> Figure:
    """The AUC after trainings of several lengths, against the number of images that a training saw (epochs × images), on a
    logarithmic scale. A dot is a training; every length is a training of its own. The lines join the means of the seeds that
    all lengths have. Filled and solid: averaged weights. Hollow and dashed: last weights. The dotted line is what Tables 1 to 3
    print for Y-GAN; the grey dashed line is chance.
    """
    lengths = {}
    for run in runs:
        lengths.setdefault(run.config.dataset, set()).add(run.config.epochs)
    datasets = [dataset for dataset, epochs in lengths.items() if len(epochs) > 1] or [
        *lengths
    ]  # one length is no ladder
    fig, axes = plt.subplots(
        1, len(datasets), figsize=(max(4.6 * len(datasets), 5), 3.6), sharey=True, squeeze=False
    )
    for ax, dataset in zip(axes.flat, datasets, strict=True):
        own = [run for run in runs if run.config.dataset == dataset]
        for method, colour in METHOD_COLOURS.items():
            those = [run for run in own if run.config.method == method]
            for weights in (LAST, AVERAGED) if those else ():
                auc = images_and_auc(those, weights)
                label = (
                    f"{method_title(method)}: {those[0].config.configuration}, {weights} weights"
                )
                same = images_and_auc(in_every_length(those), weights).groupby(level=0).mean()
                ax.plot(
                    same, color=colour, lw=1.2, label=label, ls="-" if weights == AVERAGED else "--"
                )
                ax.plot(
                    auc,
                    ls="",
                    marker="o",
                    ms=4,
                    color=colour,
                    mfc=colour if weights == AVERAGED else "white",
                )
        if dataset in TENS:  # the paper's leaves are larger
            ax.axhline(
                paper_auc(dataset, [run.config.held_out for run in own]),
                color="black",
                lw=1,
                ls=":",
                zorder=0,
            )
        ax.axhline(0.5, color="grey", lw=0.8, ls="--", zorder=0)
        ax.set(xscale="log", xlabel="images that a training saw")
        ax.set_title(f"{heading(first_seeds(own))}; width {own[0].config.width}")
    axes[0, 0].set_ylabel("AUC (Eq. 12)")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def paper_size(runs: list[Run]) -> Figure:
    """Trainings of the paper's own size, 64 filters and 100 epochs: the AUC on the test set, and how often C is right on
    held-back normal images, after each epoch. Thick: the weights of that epoch. Thin: averaged weights. They span ten epochs,
    and need 30 to 75 to come near: what they remember of the first steps fades slowly. The dotted line is what the paper prints
    for Y-GAN; the grey dashed line is chance.
    """
    there = {}
    for run in runs:
        there.setdefault((run.config.dataset, run.config.held_out), []).append(run)
    fig, axes = plt.subplots(
        len(there), 2, figsize=(9.2, 3.1 * len(there) + 0.5), sharex=True, squeeze=False
    )
    for row, ((dataset, held_out), own) in zip(axes, there.items(), strict=True):
        for ax, measured in zip(row, ("auc", "normal_accuracy"), strict=True):
            for run in own:
                colour = SIZE_COLOURS[run.config.name]
                ax.plot(
                    run.losses[measured],
                    color=colour,
                    lw=1.6,
                    label=f"{method_title(run.config.method)}: {run.config.configuration}",
                )
                ax.plot(run.losses[f"{measured}_averaged"], color=colour, lw=0.7)
            ax.set_title(f"{heading(own[:1])}; width {own[0].config.width}")
        row[0].axhline(paper_auc(dataset, [held_out]), color="black", lw=1, ls=":", zorder=0)
        row[0].axhline(0.5, color="grey", lw=0.8, ls="--", zorder=0)
        row[0].set_ylabel("AUC (Eq. 12)")
        row[1].set_ylabel("accuracy of $C$")
    for ax in axes[-1]:
        ax.set_xlabel("epoch")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def in_every_length(runs: list[Run]) -> list[Run]:
    """The trainings of those seeds that each length was trained with."""
    there = {(run.config.epochs, _draw(run)) for run in runs}
    return [run for run in runs if all((epochs, _draw(run)) in there for epochs, _ in there)]


def images_and_auc(runs: list[Run], weights: str) -> pd.Series:
    """The AUC of each training, by the number of images that it saw, ascending. weights: last or averaged."""
    seen = [run.config.epochs * run.about["images"]["train"] for run in runs]
    return pd.Series([run.at(weights).metrics["auc"] for run in runs], index=seen).sort_index(
        kind="stable"
    )


def ladder_jobs(study: Study) -> list[Job]:
    """The trainings of several lengths, and what Tables 1 to 4 have of the same cells in the same configurations."""
    steps = study.select(group="ladder")
    cells = {_cell(job) for job in steps}
    return [
        *(job for job in study.select(group=("classifier", *METHODS)) if _cell(job) in cells),
        *steps,
    ]


def _draw(run: Run) -> tuple[int, int]:
    return run.config.seed, run.config.split_seed


def _cell(job: Job) -> tuple:
    return job.config.dataset, job.config.held_out, job.config.method, job.config.name


VIEWS = {
    "ladder": View(ladder, ladder_jobs, "Does a longer training help?"),
    "paper_size": View(
        paper_size,
        lambda study: study.select(group="paper_size"),
        "One class at the paper's own size",
    ),
}
