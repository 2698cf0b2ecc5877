"""AUC by anomaly score: those of Eq. 12 to 18, and post-hoc scores, of the same trained
networks.
"""

from __future__ import annotations

import pandas as pd

from ygan_study.measure.numbers import SCORES
from ygan_study.report.render import NOT_BLIND
from ygan_study.report.rows import REAL, TITLES, trainings_of
from ygan_study.report.tables import shared
from ygan_study.report.view import View, selected

BY = ["dataset", "name"]


def scores(rows: pd.DataFrame) -> pd.DataFrame:
    """AUC of each anomaly score of the same networks, means over the held-out classes: Eq. 12 to
    18, then post-hoc scores.

    The plain classifier has the scores that read z_s and C alone.
    """
    trainings = trainings_of(rows, metrics=[f"auc_{score}" for score in SCORES])
    columns = {f"auc_{score}": score for score in SCORES}
    by_class = trainings.groupby([*BY, "held_out"], sort=False)[list(columns)].mean()
    table = by_class.groupby(BY, sort=False).mean().rename(columns=columns)
    groups = trainings.groupby(BY, sort=False)
    table = table.assign(n=groups["held_out"].nunique(), trainings=groups.size())
    table = table.join(shared.details(trainings, BY)["weights"])
    table[NOT_BLIND] = groups[list(trainings)].apply(shared.not_blind)
    table.attrs = {"shown": list(SCORES), "best_in_row": list(SCORES), "marked": ["s"]}
    return table.rename(TITLES, level="dataset").rename_axis(index={"name": "method"})


BOTH = selected(
    dataset=REAL, method=("ygan", "classifier"), group=("classifier", "balanced", "paper")
)
TABLES = {"scores": View(scores, BOTH, "AUC by anomaly score")}
