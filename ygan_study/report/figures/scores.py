"""Scores in pictures: Fig. 8, how scores are spread, silhouettes, batch statistics at test time."""

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
from ygan_study.measure.numbers import SCORES, SEVEN
from ygan_study.methods import METHODS
from ygan_study.report.figures import base
from ygan_study.report.figures.base import LABELS, LOOKS, NORMAL, Picture
from ygan_study.report.printed import paper_auc, score_name
from ygan_study.report.rows import TITLES, trainings_of
from ygan_study.report.view import View, selected
from ygan_study.run.folder import Run

NEIGHBOURS = 14  # of the batch, as many as are shown
WAYS = {RUNNING: "by itself", SHUFFLED: "among shuffled images", APART: "among anomalies"}
FEWEST = 10  # trainings that a rank correlation is given of


def fig8(rows: pd.DataFrame) -> Figure:
    """Fig. 8, the AUC of each score of the same trained networks, the mean over the held-out
    classes with their standard deviation, on PlantVillage over the seeds: filled, the paper's
    scores; hollow, post-hoc scores of the later literature. No score is flipped: one below 0.5
    ranks normal images above anomalies.
    """
    names = {f"auc_{score}": score_name(score, math=True) for score in SCORES}
    trainings = trainings_of(rows, metrics=names)
    fig, panels = base.by_dataset(trainings, trainings["dataset"].nunique(), 3.2)
    places = [place + (place >= len(SEVEN)) for place in range(len(names))]  # a gap between them
    lowest = 0.4
    for ax, dataset, own in panels:
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
        lowest = min(lowest, (classes.mean() - classes.std(ddof=0).fillna(0)).min() - 0.03)
        ax.set_xlabel("AUC")
        base.rule_rows(ax)
    for ax, *_ in panels:
        ax.set(xlim=(lowest, 1), xticks=[tick for tick in (0, 0.25, 0.5, 0.75, 1) if tick > lowest])
    ax.set_yticks(places, names.values())
    ax.set_ylim(places[-1] + 0.6, -0.6)
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
    there = base.grouped(runs, "dataset")
    fig, axes = base.panels(len(there), max(len(there), 2), 2.1)
    for ax, own in zip(axes, there.values(), strict=True):
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
    base.legend_below(fig, 1, [base.mark(way, mfc=face) for way, face in ways.items()])
    return fig


def accuracy_plot(rows: pd.DataFrame) -> Figure:
    """AUC against the accuracy of C on held-back normal images; each mark is a training, and rho is
    Spearman's rank correlation of all of them. Is the better classifier the better detector, as
    Vaze et al. (ICLR 2022) found?
    """
    both = ["auc", "normal_accuracy"]
    measured, marks = trainings_of(rows, metrics=both).dropna(subset=both), {}
    fig, panels = base.by_dataset(measured, 2, 2.1)
    for ax, dataset, own in panels:
        for (key, variant), group in own.groupby(["key", "variant"], sort=False):
            whole = variant == "full"
            label = LABELS[key] + ", an ablation" * (not whole)
            look = dict(LOOKS[key], mfc=None if whole else "white", ls="")
            marks[label] = base.mark(label, **look)
            ax.plot(group["normal_accuracy"], group["auc"], alpha=0.7, **look)
        rho = own[both].corr(method="spearman").iloc[0, 1]
        told = f", $\\rho$ = {rho:.2f}" if len(own) >= FEWEST and rho == rho else ""
        ax.set(title=f"{TITLES[dataset]}, {len(own)} runs{told}", ylabel="AUC")
        ax.set_xlabel("accuracy of $C$ on held-back normal images")
        base.reference(ax)
    base.legend_below(fig, 3, marks.values())
    return fig


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
    fig, panels = base.by_dataset(trainings, trainings["dataset"].nunique(), 2.9)
    places = np.array([0, 2.4, 3.7, 5, 7, 8.3, 9.6, 11.6, 12.9, 14.2])
    groups = dict(zip(STATISTICS, np.split(np.arange(len(places)), (1, 4, 7)), strict=True))
    for ax, dataset, both in panels:
        for key, own in both.groupby("key", sort=False):
            classes = own.groupby("held_out")[names].mean().to_numpy()
            for way, group in groups.items():
                x, aucs = places[group] + 0.5 * (key == "classifier") - 0.25, classes[:, group]
                label = LABELS[key] if way == RUNNING else None
                ax.plot(x, aucs.T, ls="", ms=2.5, alpha=0.35, **LOOKS[key])
                ax.plot(x, aucs.mean(0), label=label, mec="black", mew=0.5, **LOOKS[key])
            base.reference(ax, paper_auc(dataset, own["held_out"]))
        ax.set_xticks(places, ["–", *map(str, SIZES * 3)], rotation=90)
        ax.set(title=f"{TITLES[dataset]}\n", xlabel="images in a batch", xlim=(-1.5, 15.2))
        for way, group in groups.items():
            at = dict(ha="center", va="bottom", fontsize=7, transform=ax.get_xaxis_transform())
            ax.text(places[group].mean(), 1.0, way, **at)
    panels[0][0].set_ylabel("AUC (Eq. 12)")
    base.legend_below(fig, 3)
    return fig


WITH_ACCURACY = selected(group=(*METHODS, "strong_wide", "paper_size", "ablations"), score="s")
BETTER = "Is the better classifier the better detector?"
THREE = "One image, normalised in three ways"
WHAT = "What do batch statistics at test time do?"
SPREAD, COLOR_MNIST = "How the scores are spread", "How the scores of Color-MNIST are spread"
VIEWS = {
    "fig8": View(fig8, base.ygan_jobs, "Fig. 8: seven scores, and five post-hoc scores"),
    "score_distributions": Picture(score_distributions, base.first_of(), SPREAD),
    "color_mnist_scores": Picture(score_distributions, base.color_mnist, COLOR_MNIST),
    "silhouette": Picture(silhouette, selected(group="weak_labels"), "How many clusters?"),
    "accuracy_plot": View(accuracy_plot, WITH_ACCURACY, BETTER),
    "one_image_in_batches": Picture(one_image_in_batches, base.first_of("cifar10"), THREE),
    "batch_statistics": View(batch_statistics, base.both_on_tens, WHAT, of="batches"),
}
