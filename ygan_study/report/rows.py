"""runs.csv as tables read it: a row a training, a column a number."""

from collections.abc import Iterable

import pandas as pd

from ygan_core.data import DATASETS
from ygan_study.methods import METHODS, key_of
from ygan_study.run.folder import Run
from ygan_study.run.tidy import RUNS_COLUMNS, tidy

TITLES = {"color_mnist": "Color-MNIST", **{name: data.title for name, data in DATASETS.items()}}
REAL = tuple(DATASETS)  # the paper's four benchmarks
NUMBER = ("epoch_rule", "epoch", "metric", "value")  # the columns that are of a number


def rows_of(runs: Iterable[Run], batches: bool = False) -> pd.DataFrame:
    """The rows of runs.csv that these runs give: of each training its last and its averaged
    weights.

    batches: with the AUC in batches at test time, also where it has yet to be measured.
    """
    rows = [row for run in runs for kind in run.kinds for row in tidy(run.at(kind), batches)]
    return pd.DataFrame(rows, columns=RUNS_COLUMNS)


def trainings_of(
    rows: pd.DataFrame,
    weights: str = "headline",
    epoch_rule: str = "last",
    metrics: Iterable[str] = (),
) -> pd.DataFrame:
    """A row a training, ordered as METHODS: its settings, what is known of it, a column a metric.

    rows: of runs.csv. weights: last, averaged, or headline: those that tables print. A metric
    that was not measured is nan; those in `metrics` have a column in any case. key: its entry in
    METHODS; title: of its method; name: the same with its configuration; seen: images that it
    saw; schedule: these, as a share of those that a baseline's authors train it on (nan where they
    do not say; 1 for Y-GAN, the classifiers, and what is not trained by gradient); chosen: whether
    its held-out class was the anomaly in a choice of its settings.
    """
    wanted = rows["headline"].astype(bool) if weights == "headline" else rows["weights"] == weights
    few = rows[wanted & (rows["epoch_rule"] == epoch_rule)]
    texts = {name: few[name].fillna("").astype(str) for name in ("configuration", "class")}
    few = few.assign(**texts)  # a file may have an empty cell, or digits alone
    keys = [name for name in RUNS_COLUMNS if name not in NUMBER]
    table = few.pivot(index=[*keys, "epoch"], columns="metric", values="value").reset_index()
    table.columns.name = None
    names = [configuration.partition(",")[0] for configuration in table["configuration"]]
    table["key"] = list(map(key_of, table["method"], table["deviation"], names))
    table["title"] = list(map(_title, table["key"], table["labels"], table["pixels"]))
    table["name"] = list(map(_name, table["key"], table["title"], table["configuration"]))
    table = table.reindex(columns=list(dict.fromkeys([*table, "training_images", *metrics])))
    table["seen"] = table["epochs"] * table["training_images"]
    table["schedule"] = list(map(_schedule, table["key"], table["seen"]))
    table["chosen"] = list(map(_is_chosen, table["key"], table["dataset"], table["held_out"]))
    for name, order in (("pixels", ("all",)), ("key", METHODS), ("dataset", TITLES)):
        place = {value: number for number, value in enumerate(order)}
        table = table.sort_values(name, key=lambda column, p=place: column.map(p), kind="stable")
    return table.reset_index(drop=True)


def _title(key: str, labels: str, pixels: str) -> str:
    title = METHODS[key].title + "*" * (labels == "weak")
    return f"{title}, background only" if pixels == "background" else title


def _name(key: str, title: str, configuration: str) -> str:
    """Where methods share a title, it and the configuration, else what was changed in it.

    For example: Y-GAN (balanced), Classifier (lr=0.0002).
    """
    own, _, changed = configuration.partition(", ")
    shared = [method.title for method in METHODS.values()].count(METHODS[key].title) > 1
    added = configuration if shared or own != key else changed
    return f"{title} ({added})" if added else title


def _schedule(key: str, seen: float) -> float:
    method = METHODS[key]
    if not (method.is_baseline and method.trains):
        return 1.0
    return seen / method.trainer.authors.images if method.trainer.authors else float("nan")


def _is_chosen(key: str, dataset: str, held_out: int) -> bool:
    return (dataset, held_out) in METHODS[key].chosen_on
