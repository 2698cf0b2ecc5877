"""All methods in plots: the main result, coverage, costs, and forest plots of differences."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ygan_study.measure.flops import PFLOP
from ygan_study.measure.numbers import SCORES
from ygan_study.methods import METHODS
from ygan_study.methods.public_code import PROGRAM
from ygan_study.plan.settings import TENS
from ygan_study.report.figures import base
from ygan_study.report.figures.base import LABELS, LOOKS, PRINTED
from ygan_study.report.printed import EQUATIONS, paper_auc, paper_aucs, score_name
from ygan_study.report.render import OURS, PAPER
from ygan_study.report.rows import REAL, TITLES, trainings_of
from ygan_study.report.statistics import difference, estimate, level
from ygan_study.report.tables import TABLES
from ygan_study.report.tables.beyond import paper_operations
from ygan_study.report.tables.shared import TABLES_1_TO_4, classes_of, of_papers_size
from ygan_study.report.view import NotTrained, View, selected
from ygan_study.run.folder import AVERAGED

MAIN_METHODS = ("paper", "balanced", *PROGRAM, "classifier", "strong")
FRAME = ["panel", "row", "series", "mean", "low", "high"]  # of a forest plot
STAR = dict(color="black", marker="*", ms=10)
WHOLE = {name: 10 if name in TENS else 1 for name in TITLES}  # the paper's held-out classes


def main_result(rows: pd.DataFrame) -> Figure:
    """The mean AUC over ten held-out classes with its 95 % interval over them (on
    PlantVillage, which holds out no class, over seeds): what the paper prints for Y-GAN after 100
    to 200 epochs, and what was measured here. Where not all classes were trained, every number is
    over those that were; a hollow mark has fewer classes than the others.
    """
    trainings = trainings_of(rows)
    keys = [key for key in MAIN_METHODS if key in set(trainings["key"])]
    datasets = [name for name in REAL if name in set(trainings["dataset"])]
    fig, ax = plt.subplots(figsize=(base.WIDTH, 0.8 * len(datasets) + 1.2))
    printed = base.mark(f"{PRINTED}, 100 to 200 epochs", **STAR)
    marks, names, hollow = {PRINTED: printed}, [], False
    for key in keys:
        low, high = trainings[trainings["key"] == key]["epochs"].agg(["min", "max"])
        epochs = f"{low} epochs" if low == high else f"{low} to {high} epochs"
        marks[key] = base.mark(f"{LABELS[key]}, {epochs}", **LOOKS[key])
    for place, dataset in enumerate(datasets):
        own = trainings[trainings["dataset"] == dataset]
        paper, few = paper_aucs(dataset, own["held_out"]), f"\n({own['image_size'].iloc[0]} px)"
        if dataset in TENS:
            few = "" if len(paper) == 10 else f"\n({classes_of(own)})"
        names.append(TITLES[dataset] + few)
        found = {PRINTED: estimate(paper)}
        found |= {key: level(group) for key, group in own.groupby("key") if key in keys}
        classes = own.groupby("key")["held_out"].nunique()
        for step, (name, look) in enumerate(marks.items()):
            if name in found:
                y = place + 0.76 * (step / max(len(marks) - 1, 1) - 0.5)
                some = bool(classes.get(name, classes.max()) < classes.max())
                _interval(ax, found[name], y, look, hollow=some)
                hollow |= some
        ax.axhline(place + 0.5, color="lightgrey", lw=0.6)
    base.reference(ax, axis="x")
    ax.set_yticks(range(len(datasets)), names, fontsize=9)
    ax.set(ylim=(len(datasets) - 0.5, -0.5), xlabel="AUC (Eq. 12)")
    note = [base.mark("hollow: some of the classes", mfc="white")] * hollow
    base.legend_below(fig, 2, [*marks.values(), *note])
    return fig


def coverage(rows: pd.DataFrame) -> Figure:
    """What was trained: dark, with every class held out in turn, or on PlantVillage, which holds
    out none; light, with some; white, not at all. The numbers are classes, runs in all, and the
    usual number of epochs; a star: one of them is of the paper's own size.
    """
    trainings = trainings_of(rows)
    widths = trainings.groupby("dataset")["width"]
    short = trainings["width"] < widths.transform("median")  # of notebook 09
    kinds = {
        "Y-GAN*, clusters for classes": trainings["labels"] == "weak",
        "Ablations": ~trainings["variant"].isin(["full", "background_only"]),
        "Background only": trainings["pixels"] == "background",
        "Differences of the public code": (trainings["deviation"] != "none") & short,
    }
    what, methods = trainings["key"].map(LABELS), [*LABELS.values(), *kinds]
    for name, those in kinds.items():
        what = what.mask(those, name)
    fig, ax = plt.subplots(figsize=(base.WIDTH, 0.3 * len(methods) + 0.7))
    shades, found = ["white", *sns.color_palette("Blues", 5)[1::2]], np.zeros((len(methods), 5))
    for (name, dataset), own in trainings.groupby([what, "dataset"]):
        row, column = methods.index(name), list(WHOLE).index(dataset)
        runs, by_kind = len(own), own.groupby(["variant", "deviation"])["held_out"]
        classes = int(by_kind.nunique().min())  # of ablations, those that all of them have
        found[row, column] = 1 + (classes >= WHOLE[dataset])
        trains = METHODS[own["key"].iloc[0]].trains
        star = " ★" * bool(trains and of_papers_size(own).any())
        text = f"{classes} classes\n" * (classes > 1) + f"{runs} run" + "s" * (runs > 1)
        text += f", {own['epochs'].mode()[0]} epochs" * trains + star
        colour = "white" if found[row, column] == 2 else "black"
        how = dict(ha="center", va="center", fontsize=7, linespacing=0.95, color=colour)
        ax.text(column + 0.5, row + 0.5, text, **how)
    ax.pcolormesh(found, cmap=ListedColormap(shades), vmin=0, vmax=2, ec="lightgrey", lw=0.5)
    ax.set_xticks(base.centres(len(WHOLE)), TITLES.values())
    ax.set_yticks(base.centres(len(methods)), methods)
    ax.tick_params(length=0, labelbottom=False, labeltop=True)
    ax.invert_yaxis()
    names = ("not trained", "some classes", "all held-out classes")
    squares = dict(zip(names, shades, strict=True)).items()
    base.legend_below(fig, 3, [base.mark(*square, "s", mec="grey", ms=9) for square in squares])
    return fig


def auc_by_cost(rows: pd.DataFrame) -> Figure:
    """The AUC of each method, with its standard deviation over the held-out classes, by what one of
    its trainings costs: PFLOP, 10^15 operations in convolutions and matrix products. The star is
    the paper's Y-GAN as printed, in 100 epochs with the networks of section 4.3.
    """
    trainings, marks = trainings_of(rows), {}
    trainings = trainings[trainings["dataset"].isin(TENS)]
    fig, panels = base.by_dataset(trainings, trainings["dataset"].nunique(), 2.8)
    for ax, dataset, own in panels:
        costs, paper = own["training_operations"] / PFLOP, paper_operations(dataset) / PFLOP
        edge = min(paper, *costs[costs > 0]) / 3  # of what does none of these operations
        for (key, width), group in own.groupby(["key", "width"], sort=False):
            classes = group.groupby("held_out")["auc"].mean()
            mean, cost = classes.mean(), costs[group.index].mean() or edge
            wide = bool(width > own[own["key"] == key]["width"].min())
            label = LABELS[key] + f", width {width}" * wide
            marks[label] = base.mark(label, **LOOKS[key], ms=10 if wide else 6)
            some = dict(mfc="white") if len(classes) < WHOLE[dataset] else {}
            error = classes.std(ddof=0) if len(classes) > 1 else None
            _bar(ax, marks[label], cost, mean, yerr=error, lw=0.8, **some)
        ax.plot(paper, paper_auc(dataset, range(10)), "k*", ms=10)
        base.reference(ax)
        ax.set(xscale="log", title=TITLES[dataset], xlabel="PFLOP of a training")
    panels[0][0].set_ylabel("AUC")
    others = [base.mark(PRINTED, **STAR), base.mark("hollow: some of the classes", mfc="white")]
    base.legend_below(fig, 3, [*marks.values(), *others])
    return fig


def forest(gaps: pd.DataFrame, xlabel: str) -> Figure:
    """Differences as a forest plot, hollow where one training has no interval.

    gaps: a row a difference, with the columns FRAME; series: PRINTED, a key of METHODS, or any
    word. Raises NotTrained where there is no difference.
    """
    if gaps.empty:
        raise NotTrained("nothing was trained on the same held-out classes and seeds")
    panels, rows, series = (list(gaps[name].unique()) for name in FRAME[:3])
    own = dict(zip(series, LOOKS.values(), strict=False)) | LOOKS | {PRINTED: STAR | dict(ms=8)}
    looks = {name: base.mark(LABELS.get(name, name), **own[name]) for name in series}
    fig, axes = base.panels(len(panels), len(panels), 0.22 * len(rows) + 0.7, sharey=True)
    fig.set_figwidth(base.WIDTH)
    gaps = gaps.assign(alone=gaps["low"].isna() & (gaps["series"] != PRINTED))
    for gap in gaps.itertuples():
        y = rows.index(gap.row) + 0.5 * ((series.index(gap.series) + 0.5) / len(series) - 0.5)
        _interval(axes[panels.index(gap.panel)], gap, y, looks[gap.series], gap.alone)
    for ax, panel in zip(axes, panels, strict=True):
        ax.axvline(0, color="grey", lw=0.8, zorder=0)
        ax.set(title=textwrap.fill(panel, 100 // len(panels)), xlabel=xlabel)
        base.rule_rows(ax)
    axes[0].set_yticks(range(len(rows)), rows)
    axes[0].set_ylim(len(rows) - 0.4, -0.6)
    hollow = [base.mark("hollow: one training, no interval", mfc="white")]
    base.legend_below(fig, 2, [*looks.values(), *hollow * bool(gaps["alone"].any())])
    return fig


def _interval(ax: Axes, found, y: float, look: Line2D, hollow: bool = False) -> None:
    """An estimate (mean, low, high) as a mark at the height y, with its interval if it has one."""
    ends = [[found.mean - found.low], [found.high - found.mean]]
    _bar(ax, look, found.mean, y, xerr=ends, **({"mfc": "white"} if hollow else {}))


def _bar(ax: Axes, look: Line2D, x: float, y: float, **errors) -> None:
    """A point with its error bar, which looks as its mark in the legend. errors: of `errorbar`."""
    how = dict(color=look.get_color(), marker=look.get_marker(), ms=look.get_markersize())
    ax.errorbar(x, y, **dict(how, mfc=look.get_markerfacecolor(), lw=1.2) | errors)


def ablation_costs(rows: pd.DataFrame) -> Figure:
    """How much lower the AUC is without each part of Y-GAN: stars, as printed, in the mean over all
    held-out classes; other marks, measured here in the classes of the title. Lines are 95 %
    intervals where there are several trainings.
    """
    return forest(_costs(TABLES["table5"].make(rows)), "cost in AUC")


def weak_label_costs(rows: pd.DataFrame) -> Figure:
    """How much lower the AUC of Y-GAN is with clusters in place of classes: stars, as printed, in
    the mean over all held-out classes; other marks, measured here in the classes of the title.
    Lines are 95 % intervals where there are several trainings.
    """
    return forest(_costs(TABLES["table6"].make(rows)), "cost in AUC")


def method_differences(rows: pd.DataFrame) -> Figure:
    """The AUC of one method minus that of another with the same labels, over the held-out classes,
    with its 95 % interval (on PlantVillage over seeds); averaged weights.
    """
    return forest(_of("differences", rows, "dataset", "difference", "score"), "difference in AUC")


def added_gains(rows: pd.DataFrame) -> Figure:
    """The AUC of Y-GAN on the strong classifier's encoder minus that of the classifier alone, by
    the same score of both, over the ten held-out classes of CIFAR10, with its 95 % interval.
    """
    gaps = _of("added", rows, "beside", "score", "")
    return forest(gaps.assign(series="whitened"), "AUC minus the classifier's")


def score_differences(rows: pd.DataFrame) -> Figure:
    """The AUC of Y-GAN minus that of the plain classifier by the same score of both, over the same
    held-out classes and seeds, with its 95 % interval; averaged weights.
    """
    trainings, found = trainings_of(rows, AVERAGED), []
    for (dataset, key), own in trainings.groupby(["dataset", "key"], sort=False):
        plain = trainings[(trainings["dataset"] == dataset) & (trainings["key"] == "classifier")]
        for score in SCORES if key != "classifier" else ():
            gap = difference(own, plain, f"auc_{score}")
            place = TITLES[dataset], score_name(score, math=True), key
            found += [(*place, gap.mean, gap.low, gap.high)] * bool(gap.n)
    return forest(pd.DataFrame(found, columns=FRAME), "AUC minus the classifier's")


def _of(table: str, rows: pd.DataFrame, *levels: str) -> pd.DataFrame:
    """The differences of a table; levels: of its index, that name panel, row and series."""
    found = TABLES[table].make(rows).rename_axis(columns=None).reset_index()
    names = {level: name for level, name in zip(levels, FRAME[:3], strict=True) if level}
    math = {score_name(score): score_name(score, math=True) for score in EQUATIONS}
    return found.rename(columns=names).reindex(columns=FRAME).replace(math)


def _costs(table: pd.DataFrame) -> pd.DataFrame:
    """The costs of Table 5 or 6, as printed and as measured here, of what was measured here."""
    sources = table.index.get_level_values("source")
    paper, ours = (table[sources == source].reset_index() for source in (PAPER, OURS))
    names = ours["method"].str.partition(" (")
    ours = ours.assign(row=names[0], series=names[2].str.rstrip(")"))
    few = ours["n"] < ours["dataset"].map({TITLES[name]: count for name, count in WHOLE.items()})
    ours["panel"] = ours["dataset"] + (", " + ours["held out"].astype(str)).where(few, "")
    whole = paper["method"].iloc[0]
    of_whole = paper["dataset"].map(paper[paper["method"] == whole].set_index("dataset")["AUC"])
    paper = paper.assign(row=paper["method"], series=PRINTED, mean=of_whole - paper["AUC"])
    ours = ours[ours["row"] != whole].drop(columns=["low", "high"])  # those of the AUC
    ours = ours.rename(columns=lambda name: name.removeprefix("cost, "))
    there = paper.merge(ours[["row", "dataset", "panel"]].drop_duplicates())
    found = pd.concat([ours, there]).dropna(subset=["mean"])
    parts = found["row"] + ": " + found["part"].str.split(" (", regex=False).str[0]
    parts = parts.str.replace(r"\b([Lz])_(\w+)", r"$\1_{\2}$", regex=True)
    return found.assign(row=parts).reindex(columns=FRAME)


TRAINED_ON_TENS = selected(dataset=TENS, group=(*TABLES_1_TO_4, "whitened", "strong_wide"))
VIEWS = {
    "main_result": View(main_result, selected(dataset=REAL, group=MAIN_METHODS), "The main result"),
    "coverage": View(coverage, lambda study: study.jobs, "What was trained"),
    "auc_by_cost": View(auc_by_cost, TRAINED_ON_TENS, "What an AUC costs"),
}
VIEWS |= {
    name: View(make, TABLES[table].jobs, title, TABLES[table].of)
    for name, make, table, title in (
        ("method_differences", method_differences, "differences", "Which method is above which?"),
        ("ablation_costs", ablation_costs, "table5", "What are the parts of Y-GAN worth?"),
        ("weak_label_costs", weak_label_costs, "table6", "What do clusters for classes cost?"),
        ("score_differences", score_differences, "scores", "Y-GAN and a classifier, by score"),
        ("added_gains", added_gains, "added", "Y-GAN on the strong encoder, by score"),
    )
}
