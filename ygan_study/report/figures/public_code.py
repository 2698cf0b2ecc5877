"""Notebook 09 in pictures: batch statistics at test time, and the epoch that is best on the test set.

Both are ways of the authors' public code. Everything here is measured on the test sets of the study's own trainings.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
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
from ygan_study.plan.jobs import Job
from ygan_study.plan.settings import TENS
from ygan_study.report.figures.base import (
    METHOD_COLOURS,
    outline,
    pictured,
    score_histogram,
    show_grid,
    title,
)
from ygan_study.report.figures.scores import first_of, heading, ygan_jobs
from ygan_study.report.printed import paper_auc
from ygan_study.report.rows import method_title
from ygan_study.report.view import View
from ygan_study.run.folder import LAST, Run
from ygan_study.run.store import Study

NEIGHBOURS = 14  # of the batch, as many as are shown


def one_image_in_batches(runs: list[Run]) -> Figure:
    """One image, one network, three ways to normalise: by the running statistics of training, which is by itself; by a batch of
    64 shuffled images; by a batch of 64 anomalies. Of the 63 neighbours in a batch 14 are shown.

    Right: the scores of the test images at hand, normalised in the same way; a record brings those that the starter pack has
    too; the bars of each kind add up to 1, on a logarithmic scale above 0.001. AUC: of the whole test set. The red line is
    the image. It is an anomaly whose score moves by the median amount.
    """
    run = pictured(runs)[0]
    rows = np.flatnonzero(run.test["in_test"])
    images, model, together = run.images(rows), run.model(), {RUNNING: None}
    labels, anomalous = (torch.from_numpy(run.test[name][rows]) for name in ("label", "anomalous"))
    together |= {
        statistics: batches(statistics, labels, anomalous, 64) for statistics in (SHUFFLED, APART)
    }
    scores = torch.stack([uncertainty(model, images, rows) for rows in together.values()])
    moved = scores.amax(0) - scores.amin(0)
    candidates = anomalous.nonzero().flatten()
    chosen = int(candidates[moved[candidates].argsort()[len(candidates) // 2]])

    names = {
        RUNNING: "by itself",
        SHUFFLED: "in a batch of shuffled images",
        APART: "in a batch of anomalies",
    }
    fig, axes = plt.subplots(3, 3, figsize=(9.2, 4.9), width_ratios=(1, 3.5, 4))
    for row, (statistics, rows) in enumerate(together.items()):
        own, s = axes[row], scores[row]
        _tiles(own[0], images[[chosen]], 1, 1)
        outline(own[0], 0, 0, 1, 1)
        own[0].set_title("the image" if row == 0 else "")
        if rows is None:
            own[1].text(
                0.5,
                0.5,
                "no neighbours: normalised by the\nrunning statistics of training",
                ha="center",
                va="center",
            )
            own[1].set_axis_off()
        else:
            batch = next(batch for batch in rows if chosen in batch)
            _tiles(own[1], images[batch[batch != chosen][:NEIGHBOURS]], 2, NEIGHBOURS // 2)
        own[1].set_title(names[statistics])
        above = (s[~anomalous] < s[chosen]).double().mean()
        score_histogram(own[2], s.numpy(), anomalous.numpy())
        own[2].axvline(s[chosen], color="red", lw=1.5)
        auc = run.batch_statistics[statistics, 1 if rows is None else 64]
        own[2].set_title(
            f"$s$ = {s[chosen]:.2f}, above {above:.0%} of normal images; AUC {auc:.3f}", fontsize=8
        )
        own[2].set_xlabel("$s$ (Eq. 12)" if row == 2 else "")
    fig.legend(*own[2].get_legend_handles_labels(), loc="outside lower right", ncols=2)
    fig.suptitle(f"{heading([run])}; {title(run)}", fontsize=9)
    return fig


def batch_statistics(runs: list[Run]) -> Figure:
    """The AUC of the same networks with each kind of batch statistics at test time, by the size of a batch. A dot is a class
    held out, averaged over its seeds. The line is the mean over the classes.

    running: the running statistics of training, which is the only way to score an image by itself. shuffled: batches of
    shuffled images. sorted: batches in the order of the classes, as the public code has them. apart: normal images shuffled,
    and anomalies in batches of their own. The dotted line is what the paper prints for Y-GAN, in the mean over these classes;
    the dashed line is chance.
    """
    there, fig, (axes,) = _a_panel_each(runs, height=3.6)
    places = np.array([0, 2, 3.3, 4.6, 6.6, 7.9, 9.2, 11.2, 12.5, 13.8])
    for ax, own in zip(axes, there, strict=True):
        for shift, method in zip((-0.15, 0.15), METHOD_COLOURS, strict=True):
            those = [run for run in own if run.config.method == method]
            if not those:
                continue
            cells = {}
            for run in those:
                cells.setdefault(run.config.held_out, []).append(
                    [run.batch_statistics[setting] for setting in SETTINGS]
                )
            aucs = np.array([np.mean(draws, axis=0) for draws in cells.values()])
            style = dict(color=METHOD_COLOURS[method], zorder=2 if method == "ygan" else 1)
            ax.plot(
                np.tile(places + shift, (len(aucs), 1)).T,
                aucs.T,
                ls="",
                marker="o",
                ms=2.5,
                alpha=0.5,
                **style,
            )
            for group in (slice(0, 1), slice(1, 4), slice(4, 7), slice(7, 10)):
                label = _label(those[0], those[0].weights) if group.start == 0 else None
                ax.plot(
                    places[group] + shift,
                    aucs[:, group].mean(0),
                    marker="_",
                    ms=9,
                    mew=1.5,
                    lw=1,
                    label=label,
                    **style,
                )
        printed = paper_auc(own[0].config.dataset, [run.config.held_out for run in own])
        ax.axhline(printed, color="black", lw=1, ls=":", zorder=0)
        ax.axhline(0.5, color="grey", lw=0.8, ls="--", zorder=0)
        ax.set_xticks(places, ["–", *map(str, SIZES * 3)])
        ax.set(title=_title(own), xlabel="images in a batch")
        for middle, statistics in zip((0, 3.3, 7.9, 12.5), STATISTICS, strict=True):
            ax.text(
                middle,
                1.0,
                statistics,
                ha="center",
                va="top",
                fontsize=7.5,
                transform=ax.get_xaxis_transform(),
            )
        ax.margins(y=0.12)
        ax.set_xlim(-1.8, 14.8)  # room for the first word
    axes[0].set_ylabel("AUC (Eq. 12)")
    _legend(fig)
    return fig


def best_epoch(runs: list[Run]) -> Figure:
    """AUC on the test set after each epoch, of the last weights; each image is scored by itself. A row a method, a panel a
    dataset, a line a training. gain: the AUC of the best epoch, which only someone with the labels of the test set can choose,
    less that of the last one, in the mean over the classes. It is what the choice alone adds: the public code chooses so, and
    scores in class-sorted batches.
    """
    runs = [run for run in runs if "auc" in run.losses]
    methods = [
        method for method in METHOD_COLOURS if any(run.config.method == method for run in runs)
    ]
    there, fig, axes = _a_panel_each(runs, height=2.6, rows=len(methods))
    for row, method in zip(axes, methods, strict=True):
        colour = METHOD_COLOURS[method]
        for ax, own in zip(row, there, strict=True):
            those = [run for run in own if run.config.method == method]
            for run in those:
                auc = run.losses["auc"]
                ax.plot(auc, color=colour, lw=0.7, alpha=0.5)
                ax.plot(
                    auc.idxmax(),
                    auc.max(),
                    ls="",
                    marker="o",
                    ms=7,
                    mfc="none",
                    mec=colour,
                    label="best epoch",
                )
                ax.plot(
                    auc.index[-1],
                    auc.iloc[-1],
                    ls="",
                    marker="o",
                    ms=4,
                    color=colour,
                    label="last epoch",
                )
            ax.axhline(0.5, color="grey", lw=0.8, ls="--", zorder=0)
            if those:
                mean = sum(run.losses["auc_averaged"] for run in those) / len(those)
                ax.plot(
                    mean,
                    color="black",
                    lw=1.3,
                    ls=":",
                    label="averaged weights, the mean of all",
                    zorder=3,
                )
                gains = pd.Series(
                    [run.losses["auc"].max() - run.losses["auc"].iloc[-1] for run in those]
                )
                gain = gains.groupby([run.config.held_out for run in those]).mean().mean()
                ax.set_title(f"{heading(those)}\n{_label(those[0], LAST)}\ngain {gain:+.3f}")
            ax.xaxis.get_major_locator().set_params(integer=True)
        row[0].set_ylabel("AUC on the test set")
    for ax in axes[-1]:
        ax.set_xlabel("epoch")
    _legend(fig)
    return fig


def _tiles(ax: Axes, images: torch.Tensor, rows: int, columns: int) -> None:
    """Images uint8 (n, C, S, S) in a grid; where they are fewer than its places, the last ones stay white."""
    tiles = torch.full((rows * columns, 3, *images.shape[2:]), 255, dtype=torch.uint8)
    tiles[: len(images)] = images
    show_grid(ax, tiles.unflatten(0, (rows, columns)))
    ax.set(xticks=[], yticks=[])


def _a_panel_each(
    runs: list[Run], height: float, rows: int = 1
) -> tuple[list[list[Run]], Figure, np.ndarray]:
    """The runs of each dataset that is there, and a panel for each, in rows of this height, inches."""
    there = [own for data in TENS if (own := [run for run in runs if run.config.dataset == data])]
    size = max(3.07 * len(there), 4.6), rows * height + 0.4 * (rows > 1)
    fig, axes = plt.subplots(rows, len(there), figsize=size, sharey=True, squeeze=False)
    return there, fig, axes


def _label(run: Run, weights: str) -> str:
    c = run.config
    return f"{method_title(c.method)}: {c.configuration}, {weights} weights, width {c.width}"


def _title(runs: list[Run]) -> str:
    """The dataset of runs, and what is held out, how often; a line for each method where they differ in that."""
    by_method = {
        method: [run for run in runs if run.config.method == method] for method in METHOD_COLOURS
    }
    heads = {method_title(method): heading(own) for method, own in by_method.items() if own}
    if len(set(heads.values())) == 1:
        return next(iter(heads.values()))
    parts = {name: head.partition(", ") for name, head in heads.items()}
    return "\n".join(
        [
            next(iter(parts.values()))[0],
            *(f"{name}: {rest}" for name, (_, _, rest) in parts.items()),
        ]
    )


def _legend(fig: Figure) -> None:
    both = [ax.get_legend_handles_labels() for ax in fig.axes]
    named = {
        name: handle for handles, names in both for handle, name in zip(handles, names, strict=True)
    }
    fig.legend(named.values(), named.keys(), loc="outside lower center", ncols=2)


def _trained(study: Study) -> list[Job]:
    """Y-GAN, in the first of the study's configurations, and the control, on Tables 1 to 3."""
    return [
        job
        for job in [*ygan_jobs(study), *study.select(group="classifier")]
        if job.config.dataset in TENS
    ]


VIEWS = {
    "one_image_in_batches": View(
        one_image_in_batches, first_of("cifar10"), "One image, normalised in three ways"
    ),
    "batch_statistics": View(
        batch_statistics, _trained, "What do batch statistics at test time do?"
    ),
    "best_epoch": View(best_epoch, _trained, "What does the choice of the best epoch add?"),
}
