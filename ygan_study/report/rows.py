"""runs.csv as tables read it: a row a training, a column a number."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from ygan_core.data import DATASETS
from ygan_study.methods import BASELINES, METHODS
from ygan_study.run.folder import Run
from ygan_study.run.tidy import RUNS_COLUMNS, tidy

TITLES = {
    "color_mnist": "Color-MNIST",
    **{name: dataset.title for name, dataset in DATASETS.items()},
}
REAL = tuple(DATASETS)  # the paper's four benchmarks


def rows_of(runs: Iterable[Run]) -> pd.DataFrame:
    """The rows of runs.csv that these runs give: of each training its last and its averaged weights."""
    rows = [row for run in runs for weights in run.kinds for row in tidy(run.at(weights))]
    return pd.DataFrame(rows, columns=RUNS_COLUMNS)


def trainings_of(
    rows: pd.DataFrame,
    weights: str = "headline",
    epoch_rule: str = "last",
    metrics: Iterable[str] = (),
) -> pd.DataFrame:
    """A row a training: its settings, what a table calls its method (`title`), a column a metric. rows: of runs.csv.

    weights: last, averaged, or headline, which is what each configuration prints. A metric that was not measured is nan.
    metrics: those that have a column even where no training measured them.
    """
    wanted = rows["headline"] if weights == "headline" else rows["weights"] == weights
    few = rows[wanted.astype(bool) & (rows["epoch_rule"] == epoch_rule)]
    few = few.assign(
        configuration=few["configuration"].fillna("")
    )  # in the file a baseline's is an empty cell
    keys = [name for name in RUNS_COLUMNS if name not in ("epoch_rule", "epoch", "metric", "value")]
    table = few.pivot(index=keys, columns="metric", values="value").reset_index()
    table.columns.name = None
    order = {job: place for place, job in enumerate(dict.fromkeys(rows["job"]))}
    table = table.sort_values(
        "job", key=lambda column: column.map(order), kind="stable", ignore_index=True
    )
    table.insert(
        0,
        "title",
        [
            method_title(*row)
            for row in table[["method", "labels", "pixels"]].itertuples(index=False)
        ],
    )
    return table.reindex(columns=list(dict.fromkeys([*table, *metrics])))


def method_title(method: str, labels: str = "true", pixels: str = "all") -> str:
    """What a table calls a method: the paper's name for it."""
    if method in BASELINES:
        return METHODS[method].title
    name = {"ygan": "Y-GAN", "classifier": "Classifier", "strong": "Strong classifier"}[
        method
    ] + "*" * (labels == "weak")
    return f"{name}, background only" if pixels == "background" else name
