"""Forest plots: differences in AUC with their 95 % intervals, beside the tables that list them."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from ygan_study.measure.numbers import SCORES
from ygan_study.report.figures import base
from ygan_study.report.figures.base import LABELS, PRINTED
from ygan_study.report.figures.scores import PAPERS
from ygan_study.report.printed import printed
from ygan_study.report.rows import TITLES, trainings_of
from ygan_study.report.statistics import Estimate, difference, estimate
from ygan_study.report.tables import TABLES
from ygan_study.report.view import NotTrained, View
from ygan_study.run.folder import AVERAGED, LAST

Gaps = dict[
    tuple[str, str, str], Estimate
]  # by panel, row, and method: a key of LABELS, or PRINTED


def forest(found: Gaps, less: str) -> Figure:
    """Differences as a forest plot. An estimate of one run, which has no interval, is hollow.

    less: what was subtracted. Raises NotTrained where there is no difference.
    """
    if not found:
        raise NotTrained("nothing was trained on the same held-out classes and seeds")
    panels, rows, methods = (list(dict.fromkeys(names)) for names in zip(*found, strict=True))
    looks = {key: base.mark(LABELS[key], *base.LOOKS[key]) for key in methods if key in LABELS}
    looks |= {PRINTED: base.mark(PRINTED, "black", "*", ms=8)} if PRINTED in methods else {}
    fig, axes = base.panels(len(panels), len(panels), 0.22 * len(rows) + 0.7, sharey=True)
    fig.set_figwidth(base.WIDTH)
    for (panel, row, method), gap in found.items():
        y = rows.index(row) + 0.5 * ((methods.index(method) + 0.5) / len(methods) - 0.5)
        alone = gap.n < 2 and method != PRINTED
        base.interval(axes[panels.index(panel)], gap, y, looks[method], hollow=alone)
    for ax, panel in zip(axes, panels, strict=True):
        ax.axvline(0, color="grey", lw=0.8, zorder=0)
        ax.set(title=panel, xlabel=f"AUC less {less}")
        ax.grid(axis="y", lw=0.3)
        ax.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(rows)), rows)
    axes[0].set_ylim(len(rows) - 0.4, -0.6)
    hollow = [base.mark("hollow: one run, no interval", face="white")]
    single = any(gap.n < 2 for (*_, method), gap in found.items() if method != PRINTED)
    base.legend_below(fig, 2, [*looks.values(), *hollow * single])
    return fig


def ablation_costs(rows: pd.DataFrame) -> Figure:
    """The AUC of each ablation less that of the whole Y-GAN, over the same held-out classes and
    seeds, with its 95 % interval.
    """
    return forest(_beside_printed(rows, 5, "variant", "full"), "that of the whole")


def weak_label_costs(rows: pd.DataFrame) -> Figure:
    """The AUC of Y-GAN with clusters in place of classes less that with the classes, over the same
    held-out classes and seeds, with its 95 % interval.
    """
    return forest(_beside_printed(rows, 6, "title", "Y-GAN"), "that with classes")


def score_differences(rows: pd.DataFrame) -> Figure:
    """The AUC of Y-GAN less that of the plain classifier by the same score of both, over the same
    held-out classes and seeds, with its 95 % interval; averaged weights.
    """
    trainings, found = base.keyed(trainings_of(rows, AVERAGED)), {}
    for dataset, own in trainings.groupby("dataset", sort=False):
        methods = dict(list(own.groupby("key")))
        plain = methods.pop("classifier", own[:0])
        for key, those in methods.items():
            found |= {(TITLES[dataset], row, key): gap for row, gap in _by_score(those, plain)}
    return forest(found, "the classifier's")


def added_gains(rows: pd.DataFrame) -> Figure:
    """The AUC of Y-GAN on the strong classifier's encoder less that of the strong classifier alone,
    by the same score of both, over the same held-out classes and seeds, with its 95 % interval.
    """
    trainings, found = base.keyed(trainings_of(rows)), {}
    own = trainings[trainings["key"] == "whitened"]
    for epochs, alone in trainings[trainings["key"] == "strong"].groupby("epochs"):
        panel = f"classifier in {epochs} epochs"
        found |= {(panel, row, "whitened"): gap for row, gap in _by_score(own, alone)}
    return forest(found, "the classifier's")


def deviation_gains(rows: pd.DataFrame) -> Figure:
    """The AUC with each deviation of the public code less that without one, over the same held-out
    classes and seeds, with its 95 % interval; weights of the last step.
    """
    trainings, found = trainings_of(rows, LAST), {}
    for (dataset, name), own in trainings.groupby(["dataset", "configuration"], sort=False):
        each = dict(list(own.groupby("deviation", sort=False)))
        base_runs = each.pop("none", own[:0])
        for deviation, those in each.items():
            gap, key = difference(those, base_runs), name.partition(",")[0]
            if gap.n:
                found[TITLES[dataset], deviation.replace("_", " "), key] = gap
    return forest(found, "that without")


def _by_score(own: pd.DataFrame, others: pd.DataFrame) -> list[tuple[str, Estimate]]:
    """The difference of two methods by each score that both have."""
    gaps = [(PAPERS.get(s, s), difference(own, others, f"auc_{s}")) for s in SCORES]
    return [(score, gap) for score, gap in gaps if gap.n]


def _beside_printed(rows: pd.DataFrame, number: int, column: str, whole: str) -> Gaps:
    """The trainings less those whose `column` is `whole`, and the same of a printed table.

    number: of the table, whose first two columns are the values of `column` and what they mean.
    """
    trainings, found = base.keyed(trainings_of(rows)), {}
    table = printed(number)
    table = table.set_index(table.columns[0])
    for (dataset, key), own in trainings.groupby(["dataset", "key"], sort=False):
        each = dict(list(own.groupby(column)))
        those = each.pop(whole, own[:0])
        for name, group in each.items():
            gap, row = difference(group, those), name
            if name in table.index and gap.n:
                row = f"{name}: {table.loc[name].iloc[0]}"
                less = table[TITLES[dataset]][[name]] - table[TITLES[dataset]][whole]
                found[TITLES[dataset], row, PRINTED] = estimate(less)
            if gap.n:
                found[TITLES[dataset], row, key] = gap
    return found


VIEWS = {
    name: View(make, TABLES[table].jobs, title)
    for name, make, table, title in (
        ("ablation_costs", ablation_costs, "table5", "What are the parts of Y-GAN worth?"),
        ("weak_label_costs", weak_label_costs, "table6", "What do clusters for classes cost?"),
        ("score_differences", score_differences, "scores", "Y-GAN and a plain classifier"),
        ("deviation_gains", deviation_gains, "deviations", "What do the deviations change?"),
        ("added_gains", added_gains, "added", "What does the Y add to a strong encoder?"),
    )
}
