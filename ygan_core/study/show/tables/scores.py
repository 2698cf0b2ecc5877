"""AUC by anomaly score: those of Eq. 12 to 18, and post-hoc OOD scores, from the same trained networks."""

from __future__ import annotations

import pandas as pd

from ygan_core.study.measure.numbers import SCORES
from ygan_core.study.plan.jobs import Job
from ygan_core.study.run.store import Study
from ygan_core.study.show.cells import REAL, TITLES, cells
from ygan_core.study.show.tables.blocks import CHOSEN, agreed, is_chosen, of_numbers
from ygan_core.study.show.view import View

INDEX = ["dataset", "configuration"]


def scores(rows: pd.DataFrame) -> pd.DataFrame:
    """AUC of each anomaly score of the same trained Y-GANs: those of Eq. 12 to 18 (Fig. 8), then post-hoc OOD scores.

    Means over the classes held out, of which each is a mean over its draws. n: how many classes; draws: how many trainings in
    all. weights: those of the last epoch, or their average over the end of the training. The paper draws Fig. 8 without its
    numbers.
    """
    trainings = cells(rows)
    columns = {f"auc_{name}": name for name in SCORES}
    each = trainings.reindex(columns=[*INDEX, "held_out", *columns]).groupby([*INDEX, "held_out"], sort=False).mean()
    groups = trainings.groupby(INDEX, sort=False)
    table = each.groupby(INDEX, sort=False).mean().rename(columns=columns)
    table.insert(0, "weights", groups["weights"].agg(agreed))
    table.insert(1, "n", groups["held_out"].nunique())
    table.insert(2, "draws", groups.size())
    table = table.rename(index=TITLES, level="dataset")
    table.attrs["best_in_row"] = list(columns.values())
    chosen = {(TITLES[own["dataset"]], own["configuration"]) for _, own in trainings[is_chosen(trainings)].iterrows()}
    table.attrs["marks"] = of_numbers(table, {(row, name): CHOSEN for row in chosen for name in columns.values()})
    return table


def _jobs(study: Study) -> list[Job]:
    return study.select(dataset=REAL, method="ygan", group=("balanced", "paper"))


TABLES = {"scores": View(scores, _jobs, "AUC by anomaly score")}
