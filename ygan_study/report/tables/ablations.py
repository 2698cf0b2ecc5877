"""Tables 5 and 6: Y-GAN without some of its parts, and with clusters in place of classes."""

from __future__ import annotations

from functools import partial

import pandas as pd

from ygan_study.report.printed import CLUSTERS, PURITY, printed
from ygan_study.report.render import DIFFERENCE, NOT_BLIND
from ygan_study.report.rows import REAL, TITLES, trainings_of
from ygan_study.report.statistics import difference
from ygan_study.report.tables import shared
from ygan_study.report.tables.shared import MEAN, beside_whole
from ygan_study.report.view import View, selected

DATASETS = [TITLES[dataset] for dataset in REAL]


def table5(rows: pd.DataFrame) -> pd.DataFrame:
    """AUC of Y-GAN without some of its parts (section 6.2), means over the ten held-out classes.

    Over fewer classes than the paper's, their names stand beside the number.
    """
    paper = printed(5).rename(columns={"description": "part"})
    return _by_dataset(paper, rows, "variant", "full")


def table6(rows: pd.DataFrame) -> pd.DataFrame:
    """AUC with the true classes, and with k-means clusters in their place (Y-GAN*, section 6.3).

    Over fewer classes than the paper's, their names stand beside the number.
    """
    paper = printed(6).rename(columns={"model": "title", "labels": "part"})
    return _by_dataset(paper, rows, "title", "Y-GAN")


def weak_labels(rows: pd.DataFrame) -> pd.DataFrame:
    """The clusters of section 6.3: their number k, and their purity, the share of images whose
    class is the commonest of their cluster.

    *As written* is the section's own recipe; Y-GAN* is trained with the *cosine* form here
    (notebook 04).
    """
    found = trainings_of(rows).drop_duplicates(["dataset", "held_out", "split_seed"])
    network = found.filter(like="features:").stack().reset_index(level=1)
    network.columns = ["name", "side"]
    table = pd.DataFrame(
        {
            "dataset": found["dataset"].map(TITLES),
            "held out": found["class"],
            "split": found["split_seed"],
            "classes": found["classes"].astype(int),
            "k, paper": found["dataset"].map(CLUSTERS),
            "k, as written": found["clusters_as_written"].astype(int),
            "k, cosine": found["clusters"].astype(int),
            "purity, paper": found["dataset"].map(PURITY),
            "purity, as written": found["purity_as_written"],
            "purity, cosine": found["purity"],
            "features of": network["name"].str.partition(":")[2],
            "at pixels": network["side"],
        }
    )
    return table.set_index(["dataset", "held out", "split"])


def _by_dataset(paper: pd.DataFrame, rows: pd.DataFrame, key: str, whole: str) -> pd.DataFrame:
    """Mean AUC of each row and dataset, as printed and as measured here.

    key: the column that names a row, in the paper as here; whole: its value for Y-GAN with all
    its parts and the true classes. cost: how much lower a row is than Y-GAN whole, with its
    interval.
    """
    trainings, by, found = trainings_of(rows), [key, "configuration"], []
    for (name, label, dataset), own in trainings.groupby([*by, "dataset"], sort=False):
        of_whole = (trainings[key] == whole) & (trainings["dataset"] == dataset)
        cost = difference(trainings[of_whole & (trainings["configuration"] == label)], own)
        parts = [shared.summary(own, by), shared.details(own, by)[["weights", "width", "epochs"]]]
        parts.append(shared.other_weights(rows[rows["job"].isin(own["job"])], by))
        about = pd.concat(parts, axis=1).rename(columns={"mean": "AUC"}).drop(columns=MEAN).iloc[0]
        every = shared.has_all_classes(own)
        place = {"name": f"{name} ({label})", key: name, "dataset": TITLES[dataset]}
        costs = {f"cost, {part}": getattr(cost, part) for part in ("mean", "low", "high")}
        shown = f"{about['AUC']:.3f}" + f" ({about['held out']})" * (not every)
        like = {"shown": shown, "like": every and shared.is_comparable(own)}
        found.append(place | about.to_dict() | costs | like)
    ours, parts = pd.DataFrame(found), paper.set_index(key)["part"]
    order = {name: place for place, name in enumerate(dict.fromkeys([*parts.index, *ours[key]]))}
    ours = ours.sort_values(
        key, key=lambda names: names.map(order), kind="stable", ignore_index=True
    )
    ours["part"] = ours[key].map(parts).fillna("not in the paper")
    paper = paper.melt([key, "part"], DATASETS, "dataset", "AUC").assign(name=lambda t: t[key])
    paper["shown"] = paper["AUC"].map("{:.3f}".format)
    like = ours[["like"]].set_axis(["AUC"], axis=1)
    table = shared.with_differences(paper, ours.drop(columns="like"), like, [key, "dataset"])
    table = table.drop(columns=key).set_index("dataset", append=True)
    table.attrs["shown"] = _by_columns
    return table


def _by_columns(table: pd.DataFrame) -> pd.DataFrame:
    """A row a variant, a column a dataset; the held-out classes by name where some are missing."""
    table = table.drop(index=DIFFERENCE, level="source", errors="ignore")
    rows = table.groupby(["source", "method"], sort=False)
    wide = rows[["part"]].first().join(table["shown"].unstack("dataset").reindex(columns=DATASETS))
    wide["seeds"] = rows["seeds"].agg(shared.joined)
    chosen = table.reset_index("dataset").query(f"`{NOT_BLIND}` > ''")
    wide[NOT_BLIND] = chosen.groupby(["source", "method"])["dataset"].agg(", ".join)
    return wide.rename(columns={"part": "description"})


COMPARED = {group: partial(beside_whole, group=group) for group in ("ablations", "weak_labels")}
TABLES = {
    "table5": View(table5, COMPARED["ablations"], "Table 5: Y-GAN without some of its parts"),
    "table6": View(table6, COMPARED["weak_labels"], "Table 6: clusters in place of classes"),
    "weak_labels": View(weak_labels, selected(group="weak_labels"), "Weak labels: the clusters"),
}
