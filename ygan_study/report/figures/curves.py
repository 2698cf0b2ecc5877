"""What changes during a training, with its length, and with each difference of the public code."""

from itertools import product

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ygan_core.config import TERMS
from ygan_study.methods.public_code import PROGRAM
from ygan_study.plan.jobs import Job, first_seeds
from ygan_study.plan.profiles import ONE
from ygan_study.plan.settings import TENS
from ygan_study.report.figures import base
from ygan_study.report.figures.base import LABELS, LOOKS, Picture
from ygan_study.report.printed import paper_auc
from ygan_study.report.rows import TITLES, trainings_of
from ygan_study.report.tables.beyond import length_jobs
from ygan_study.report.tables.public_code import DEVIATION_JOBS, SECOND, WITNESSES, deviations
from ygan_study.report.view import NotTrained, View, selected
from ygan_study.run.folder import AVERAGED, LAST, Run
from ygan_study.run.store import Study

CODE = ("paper", "mirrored", *PROGRAM)  # from the printed equations to the program
WORDS = {  # for differences whose names say too little
    "norm_first": "batch norm first",
    "lr_steps": "lower learning rate",
    "mirrored": "mirrored loss",
    "out_of_range": "inputs out of range",
    "small_slope": "smaller slope in $C$",
}
SMOOTH = 9  # epochs that a strong line is a mean of


def color_mnist_losses(runs: list[Run]) -> Figure:
    """The mean of each loss term in each epoch, before it is weighted, against the share of the
    training that is done. The dashed line is the loss of a classifier that guesses, ln 9.
    """
    fig, axes = base.panels(len(TERMS), 3, 1.7, sharex=True)
    for ax, term in zip(axes, TERMS, strict=True):
        for run in runs:
            key, done = run.config.key, run.losses.index / len(run.losses)
            ax.plot(done, run.losses[term], label=LABELS[key], **LOOKS[key])
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
    fig, panels = base.by_dataset(both, both["dataset"].nunique(), 2.5)
    for ax, dataset, own in panels:
        own = own.sort_values("seen", kind="stable")
        for (key, weights), group in own.groupby(["key", "weights"]):
            face, line = (None, "-") if weights == AVERAGED else ("white", "--")
            ax.plot(group["seen"], group["auc"], ls="", mfc=face, **LOOKS[key])
            first = group[(group["seed"] == 0) & (group["split_seed"] == 0)]
            how = dict(ls=line, mfc=face, label=f"{LABELS[key]}, {weights} weights")
            ax.plot(first["seen"], first["auc"], **how, **LOOKS[key])
        base.reference(ax, paper_auc(dataset, own["held_out"]) if dataset in TENS else None)
        held_out = f"{own['class'].iloc[0]} held out" if dataset in TENS else "diseased leaves"
        ax.set(xscale="log", xlabel="million images seen", title=f"{TITLES[dataset]}, {held_out}")
        ticks = [tick for tick in (0.1, 0.3, 1) if 0.7 * own["seen"].min() < tick]
        ax.set_xticks(ticks, map(str, ticks))
        ax.minorticks_off()
    panels[0][0].set_ylabel("AUC (Eq. 12)")
    base.legend_below(fig, 2)
    return fig


def paper_size(runs: list[Run]) -> Figure:
    """Trainings of the paper's own size, 64 filters and 100 epochs, after each epoch: pale, the
    epoch; strong, the mean of nine epochs. Below, averaged weights: their accuracy takes 30 to 75
    epochs to catch up, probably because their batch norm statistics lag behind.
    """
    there = base.grouped(runs, "dataset", "held_out")
    fig, axes = base.panels(4 * len(there), 2, 1.9, sharex=True, sharey="col")
    kinds = product(there.items(), ("", "_averaged"))
    for ((place, own), suffix), pair in zip(kinds, axes.reshape(-1, 2), strict=True):
        for ax, measured in zip(pair, ("auc", "normal_accuracy"), strict=True):
            for run in own:
                key, raw = run.config.key, run.losses[f"{measured}{suffix}"]
                ax.plot(raw, color=LOOKS[key]["color"], lw=0.7, alpha=0.5)
                smooth = raw.rolling(SMOOTH, center=True, min_periods=1).mean()
                ax.plot(smooth, label=LABELS[key], **LOOKS[key] | {"marker": ""})
            kind = "averaged weights" if suffix else "weights of the epoch"
            ax.set(title=f"{base.heading(own[0])}; {kind}", xlabel="epoch")
            ax.set_ylabel("AUC (Eq. 12)" if measured == "auc" else "accuracy of $C$")
        base.reference(pair[0], paper_auc(place[0], place[1:]))
    base.legend_below(fig, 2)
    return fig


def best_epoch(runs: list[Run]) -> Figure:
    """AUC on the test set after each epoch: pale, each training, with a ring at its best epoch;
    strong, the mean over the held-out classes. Gain: the AUC of the best epoch, which only someone
    with the labels of the test set can choose, minus that of the last one, in the same mean.
    """
    there = base.grouped((run for run in runs if "auc" in run.losses), "dataset", "key")
    datasets, keys = (dict.fromkeys(names) for names in zip(*there, strict=True))
    fig, axes = base.panels(len(datasets) * len(keys), len(datasets), 1.9, sharey=True)
    for ax, (key, dataset) in zip(axes, product(keys, datasets), strict=True):
        own, colour = there.get((dataset, key), []), LOOKS[key]["color"]
        for auc in (run.losses["auc"] for run in own):
            ax.plot(auc, color=colour, lw=0.6, alpha=0.4)
            ax.plot(auc.idxmax(), auc.max(), "o", mfc="none", color=colour)
        if own:
            curves = [run.losses.assign(held_out=run.config.held_out) for run in own]
            by_class = pd.concat(curves).groupby(["held_out", "epoch"])[["auc", "auc_averaged"]]
            mean = by_class.mean().groupby("epoch").mean()
            ax.plot(mean["auc"], color=colour, lw=2)
            ax.plot(mean["auc_averaged"], "k:")
            gains = pd.Series([run.losses["auc"].max() - run.losses["auc"].iloc[-1] for run in own])
            gain = gains.groupby([run.config.held_out for run in own]).mean().mean()
            ax.set_title(f"{TITLES[dataset]}, {LABELS[key]}\ngain {gain:+.3f}")
        base.reference(ax)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_xlabel("epoch")
    for ax in axes[:: len(datasets)]:
        ax.set_ylabel("AUC on the test set")
    marks = [
        base.mark("each training, with its best epoch", mfc="none", ls="-", lw=0.6),
        base.mark("mean, weights of the epoch", marker="", ls="-", lw=2),
        base.mark("mean, averaged weights", "black", "", ls=":"),
    ]
    base.legend_below(fig, 3, marks)
    return fig


def code_epochs(runs: list[Run]) -> Figure:
    """Y-GAN after each epoch, by the printed equations and as the authors' program trains it; solid
    AUCs score each image by itself, dashed ones class-sorted batches, as the program does. The grey
    line is the loss of guessing, ln 9: where L_r is below it, C reads the class from z_r.
    """
    there = base.grouped(runs, "dataset")
    there = {place: own for place, own in there.items() if {r.config.key for r in own} != {"paper"}}
    if not there:
        raise NotTrained("the objective of the public code was not trained")
    columns = {"auc": "AUC", "normal_accuracy": "accuracy of $C$", "L_s": "$L_s$", "L_r": "$L_r$"}
    fig, axes = base.panels(len(columns) * len(there), len(columns), 1.9, sharex="row")
    places = product(there.items(), columns)
    for ax, (((dataset,), own), name) in zip(axes, places, strict=True):
        for run in own:
            look = dict(ms=3, **LOOKS[run.config.key])
            ax.plot(run.losses[name], label=LABELS[run.config.key], **look)
            if name == "auc" and "auc_sorted" in run.losses:
                ax.plot(run.losses["auc_sorted"], ls="--", mfc="white", **look)
        if name == "auc" and dataset in TENS:
            base.reference(ax, paper_auc(dataset, [own[0].config.held_out]))
        if name in ("L_s", "L_r"):
            ax.axhline(np.log(9), color="grey", lw=0.8, zorder=0)
        ax.set(title=f"{TITLES[dataset]}: {columns[name]}", xlabel="epoch")
        ax.xaxis.get_major_locator().set_params(integer=True)
    base.legend_below(fig, 3)
    return fig


def deviation_dots(rows: pd.DataFrame) -> Figure:
    """Short trainings: filled, the paper's with one difference of the authors' program; hollow, the
    program's without it; the lines are both without a change; small marks and thin lines are of a
    second seed. The accuracy of C is on normal images that were not trained on, and L_r is ln 9 =
    2.20 where C guesses from z_r.
    """
    table = deviations(rows)
    if table.empty:
        raise NotTrained("no difference between the paper and the public code was trained")
    datasets = list(table.index.unique("dataset"))
    metrics = {name: name.replace(" C", " $C$") for name in WITNESSES.values()}
    metrics |= {"L_s": "$L_s$", "L_r": "$L_r$"}
    names = [n for n in table.index.unique("difference") if n not in ("none", "public_code")]
    height = 0.2 * len(names) + 0.8
    fig, axes = base.panels(len(datasets) * len(metrics), len(metrics), height, sharey=True)
    looks = {  # by start: what is unchanged, the mark of a difference, the line without a change
        "paper": ("none", dict(marker="o"), "-"),
        "public code": ("public_code", dict(marker="s", mfc="white"), "--"),
    }
    places = pd.MultiIndex.from_product([datasets, looks])
    numbers = table.select_dtypes("number")
    wide = numbers.unstack("difference").reindex(places)
    for ax, (dataset, metric) in zip(axes, product(datasets, metrics), strict=True):
        for (start, (whole, mark, line)), offset in zip(looks.items(), (-0.15, 0.15), strict=True):
            for kind, size in ((metric, 6), (metric + SECOND, 3)):
                own = wide.loc[(dataset, start)].get(kind, pd.Series(dtype=float))
                places = np.arange(len(names)) + offset
                ax.plot(own.reindex(names), places, color="black", ls="", ms=size, **mark)
                width = 1 if kind == metric else 0.5
                ax.axvline(own.get(whole, np.nan), ls=line, color="grey", lw=width, zorder=0)
        ax.set(title=f"{dataset}: {metrics[metric]}" if len(datasets) > 1 else metrics[metric])
        ax.grid(axis="y", lw=0.3)
    axes[0].set_yticks(
        range(len(names)), [WORDS.get(name, name.replace("_", " ")) for name in names]
    )
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    words = zip(looks.items(), ("paper with it", "public code without it"), strict=True)
    marks = [base.mark(word, "black", **look[1]) for (_, look), word in words]
    lines = [base.mark(start, "grey", "", ls=line) for start, (_, _, line) in looks.items()]
    second = [base.mark("small, thin: second seed", "black", ms=3)]
    base.legend_below(fig, 2, [*marks, *lines, *second * (f"AUC{SECOND}" in numbers)])
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
    "deviation_dots": View(deviation_dots, DEVIATION_JOBS, "Which difference decides?"),
}
