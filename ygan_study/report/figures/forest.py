"""Forest plots: differences in AUC with their 95 % intervals, as the tables of the same names have
them.
"""

from __future__ import annotations

import textwrap

import pandas as pd
from matplotlib.figure import Figure

from ygan_study.measure.numbers import SCORES
from ygan_study.report.figures import base
from ygan_study.report.figures.base import PRINTED
from ygan_study.report.printed import EQUATIONS, score_name
from ygan_study.report.render import OURS, PAPER
from ygan_study.report.rows import TITLES, trainings_of
from ygan_study.report.statistics import difference
from ygan_study.report.tables import TABLES
from ygan_study.report.view import NotTrained, View
from ygan_study.run.folder import AVERAGED

FRAME = ["panel", "row", "series", "mean", "low", "high"]


def forest(gaps: pd.DataFrame, xlabel: str) -> Figure:
    """Differences as a forest plot, hollow where one training has no interval.

    gaps: a row a difference, with the columns FRAME; series: PRINTED, a key of METHODS, or any
    word. Raises NotTrained where there is no difference.
    """
    if gaps.empty:
        raise NotTrained("nothing was trained on the same held-out classes and seeds")
    panels, rows, series = (list(gaps[name].unique()) for name in FRAME[:3])
    looks = {name: base.look(name, place) for place, name in enumerate(series)}
    fig, axes = base.panels(len(panels), len(panels), 0.22 * len(rows) + 0.7, sharey=True)
    fig.set_figwidth(base.WIDTH)
    gaps = gaps.assign(alone=gaps["low"].isna() & (gaps["series"] != PRINTED))
    for gap in gaps.itertuples():
        y = rows.index(gap.row) + 0.5 * ((series.index(gap.series) + 0.5) / len(series) - 0.5)
        base.interval(axes[panels.index(gap.panel)], gap, y, looks[gap.series], gap.alone)
    for ax, panel in zip(axes, panels, strict=True):
        ax.axvline(0, color="grey", lw=0.8, zorder=0)
        ax.set(title=textwrap.fill(panel, 100 // len(panels)), xlabel=xlabel)
        ax.grid(axis="y", lw=0.3)
        ax.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(rows)), rows)
    axes[0].set_ylim(len(rows) - 0.4, -0.6)
    hollow = [base.mark("hollow: one training, no interval", face="white")]
    base.legend_below(fig, 2, [*looks.values(), *hollow * bool(gaps["alone"].any())])
    return fig


def ablation_costs(rows: pd.DataFrame) -> Figure:
    """How much lower the AUC is without each part of Y-GAN, over the same held-out classes and
    seeds, with its 95 % interval.
    """
    return forest(_costs(TABLES["table5"].make(rows)), "cost in AUC")


def weak_label_costs(rows: pd.DataFrame) -> Figure:
    """How much lower the AUC of Y-GAN is with clusters in place of classes, over the same held-out
    classes and seeds, with its 95 % interval.
    """
    return forest(_costs(TABLES["table6"].make(rows)), "cost in AUC")


def method_differences(rows: pd.DataFrame) -> Figure:
    """The AUC of one method less that of another with the same labels, over the held-out classes,
    with its 95 % interval (on PlantVillage over seeds); averaged weights.
    """
    return forest(_of("differences", rows, "dataset", "difference", "score"), "difference in AUC")


def added_gains(rows: pd.DataFrame) -> Figure:
    """The AUC of Y-GAN on the strong classifier's encoder less that of the classifier alone, by the
    same score of both, over the ten held-out classes of CIFAR10, with its 95 % interval.
    """
    gaps = _of("added", rows, "beside", "score", "")
    return forest(gaps.assign(series="whitened"), "AUC less the classifier's")


def score_differences(rows: pd.DataFrame) -> Figure:
    """The AUC of Y-GAN less that of the plain classifier by the same score of both, over the same
    held-out classes and seeds, with its 95 % interval; averaged weights.
    """
    trainings, found = trainings_of(rows, AVERAGED), []
    for (dataset, key), own in trainings.groupby(["dataset", "key"], sort=False):
        plain = trainings[(trainings["dataset"] == dataset) & (trainings["key"] == "classifier")]
        for score in SCORES if key != "classifier" else ():
            gap = difference(own, plain, f"auc_{score}")
            place = TITLES[dataset], score_name(score, math=True), key
            found += [(*place, gap.mean, gap.low, gap.high)] * bool(gap.n)
    return forest(pd.DataFrame(found, columns=FRAME), "AUC less the classifier's")


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
    ours = ours.assign(row=names[0], series=names[2].str.rstrip(")"), panel=ours["dataset"])
    whole = paper["method"].iloc[0]
    of_whole = paper["dataset"].map(paper[paper["method"] == whole].set_index("dataset")["AUC"])
    paper = paper.assign(row=paper["method"], panel=paper["dataset"], series=PRINTED)
    paper["mean"] = of_whole - paper["AUC"]
    ours = ours[ours["row"] != whole].drop(columns=["low", "high"])  # those of the AUC
    ours = ours.rename(columns=lambda name: name.removeprefix("cost, "))
    there = paper.merge(ours[["row", "panel"]].drop_duplicates())
    found = pd.concat([ours, there]).dropna(subset=["mean"])
    parts = found["row"] + ": " + found["part"].str.split(" (", regex=False).str[0]
    parts = parts.str.replace(r"\b([Lz])_(\w+)", r"$\1_{\2}$", regex=True)
    return found.assign(row=parts).reindex(columns=FRAME)


VIEWS = {
    name: View(make, TABLES[table].jobs, title, TABLES[table].of)
    for name, make, table, title in (
        ("method_differences", method_differences, "differences", "Which method is above which?"),
        ("ablation_costs", ablation_costs, "table5", "What are the parts of Y-GAN worth?"),
        ("weak_label_costs", weak_label_costs, "table6", "What do clusters for classes cost?"),
        ("score_differences", score_differences, "scores", "Y-GAN and a classifier, by score"),
        ("added_gains", added_gains, "added", "What does the Y add to a strong encoder?"),
    )
}
