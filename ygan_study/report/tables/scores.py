"""AUC by anomaly score: those of Eq. 12 to 18, and post-hoc OOD scores, from the same trained networks."""

from __future__ import annotations

import pandas as pd

from ygan_study.measure.numbers import POST_HOC, SCORES
from ygan_study.plan.jobs import Job
from ygan_study.report.rows import REAL, TITLES, trainings_of
from ygan_study.report.spread import by_word, difference, level
from ygan_study.report.tables.blocks import CHOSEN, agreed, is_chosen, of_numbers
from ygan_study.report.view import View
from ygan_study.run.folder import AVERAGED
from ygan_study.run.store import Study

INDEX = ["dataset", "title", "configuration"]
ON_LATENT = (
    "s",
    "s_c",
    "s_zp",
    "s_zw",
    *POST_HOC,
)  # scores that read z_s and C alone: a plain classifier has them, too


def scores(rows: pd.DataFrame) -> pd.DataFrame:
    """AUC of each anomaly score of the same trained networks: those of Eq. 12 to 18 (Fig. 8), then post-hoc OOD scores. The
    plain classifier has those that read z_s and C alone.

    Means over the classes held out, of which each is a mean over its draws. n: how many classes; draws: how many trainings in
    all. weights: those of the last epoch, or their average over the end of the training. The paper draws Fig. 8 without its
    numbers.
    """
    trainings = trainings_of(rows)
    columns = {f"auc_{name}": name for name in SCORES}
    each = (
        trainings.reindex(columns=[*INDEX, "held_out", *columns])
        .groupby([*INDEX, "held_out"], sort=False)
        .mean()
    )
    groups = trainings.groupby(INDEX, sort=False)
    table = each.groupby(INDEX, sort=False).mean().rename(columns=columns)
    table.insert(0, "weights", groups["weights"].agg(agreed))
    table.insert(1, "n", groups["held_out"].nunique())
    table.insert(2, "draws", groups.size())
    table = table.rename(index=TITLES, level="dataset").rename_axis(index={"title": "method"})
    table.attrs["best_in_row"] = list(columns.values())
    chosen = {
        (TITLES[own["dataset"]], *own[INDEX[1:]])
        for _, own in trainings[is_chosen(trainings)].iterrows()
    }
    table.attrs["marks"] = of_numbers(
        table, {(row, name): CHOSEN for row in chosen for name in columns.values()}
    )
    return table


def verdict(rows: pd.DataFrame) -> str:
    """Is Y-GAN above the plain classifier, if both are judged by the same score? With averaged weights of both."""
    averaged, lines = (
        trainings_of(rows, AVERAGED, metrics=[f"auc_{name}" for name in ON_LATENT]),
        [],
    )
    for (data, label), own in averaged[averaged["title"] == "Y-GAN"].groupby(
        ["dataset", "configuration"], sort=False
    ):
        plain = averaged[(averaged["title"] == "Classifier") & (averaged["dataset"] == data)]
        gaps = {name: difference(own, plain, f"auc_{name}", averaged) for name in ON_LATENT}
        gaps = {name: gap for name, gap in gaps.items() if gap.cells}
        if not gaps:
            continue
        means = [
            {name: level(frame, f"auc_{name}").mean for name in gaps} for frame in (own, plain)
        ]
        highest = [
            f"{mean[name]:.3f} by {name}" for mean in means for name in [max(mean, key=mean.get)]
        ]
        lines.append(
            f"- {TITLES[data]}, Y-GAN (`{label}`) minus the plain classifier, by the same score of both, {by_word(gaps)}. The "
            f"highest: Y-GAN {highest[0]}, the classifier {highest[1]}."
        )
    which = "With averaged weights of both. (The table has the weights that it names: so its numbers may be others.)"
    return "\n".join([which, "", *lines]) if lines else "No plain classifier to compare with."


def _jobs(study: Study) -> list[Job]:
    return study.select(
        dataset=REAL, method=("ygan", "classifier"), group=("classifier", "balanced", "paper")
    )


TABLES = {"scores": View(scores, _jobs, "AUC by anomaly score")}
