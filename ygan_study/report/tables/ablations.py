"""Tables 5 and 6: Y-GAN without some of its parts, and with clusters in place of classes; what the clusters are worth."""

from __future__ import annotations

import pandas as pd

from ygan_study.plan.jobs import Job
from ygan_study.plan.settings import TENS
from ygan_study.report.printed import CLUSTERS, PURITY, printed
from ygan_study.report.render import OURS
from ygan_study.report.rows import REAL, TITLES, trainings_of
from ygan_study.report.tables import blocks
from ygan_study.report.tables.blocks import CHOSEN, KEYS, agreed, beside_whole, three_blocks
from ygan_study.report.view import View
from ygan_study.run.folder import Run
from ygan_study.run.store import Study

HELD_OUT = "held out"


def table5(rows: pd.DataFrame) -> pd.DataFrame:
    """Ablations (section 6.2): AUC by dataset, the mean over the classes held out.

    held out: these classes; the paper's numbers are means over all. Rows *ours - paper* are there where ours are so too, at the
    paper's image size. B3 has no classifier: its score is Eq. 13, the others' is Eq. 12. weights: last are those of the last
    step, averaged their mean over the end of the training; the mean with the other ones stands on the right. n: how many
    classes. seeds: how many draws of each, a class's AUC is their mean. std over classes: population; std over seeds: the
    sample std of a class's draws, pooled over classes.
    """
    return _by_dataset(
        printed(5).rename(columns={"variant": "method", "description": "row"}), rows, "variant"
    )


def table6(rows: pd.DataFrame) -> pd.DataFrame:
    """Weak labels (section 6.3): AUC with the true classes, and with k-means clusters in their place (Y-GAN*).

    Means over the classes held out, which stand there. The columns are those of Table 5: n, how many classes; seeds, how many
    draws a class has; std over seeds, the sample std of a class's draws; last, the mean with the other weights.
    """
    return _by_dataset(
        printed(6).rename(columns={"model": "method", "labels": "row"}), rows, "title"
    )


def weak_labels(runs: list[Run]) -> pd.DataFrame:
    """What the clusters are worth (section 6.3): their number k, and their purity. Purity is the share of the training images
    whose cluster's commonest class is their own.

    k is the number with the highest average silhouette. As written: k-means on the first 100 principal components of the
    features. Cosine: the features are standardised before, and scaled to unit length after; Y-GAN* is trained with these
    clusters here. network: whose features, and the size that the images are re-scaled to for it. The paper takes
    EfficientNet-B4, and names no size. split: the seed of the split; the clusters depend on no other seed.
    """
    rows = [
        {
            "dataset": TITLES[run.config.dataset],
            "held out": "diseased" if run.config.held_out < 0 else run.classes[run.config.held_out],
            "split": run.config.split_seed,
            "classes": run.metrics["classes"],
            "k, paper": CLUSTERS[run.config.dataset],
            "k, as written": run.metrics["clusters_as_written"],
            "k, cosine": run.metrics["clusters"],
            "purity, paper": PURITY[run.config.dataset],
            "purity, as written": run.metrics["purity_as_written"],
            "purity, cosine": run.metrics["purity"],
            "network": f"{run.about['weak_labels']['network']}, {run.about['weak_labels']['side']} px",
        }
        for run in runs
    ]
    index = ["dataset", "held out", "split"]
    return pd.DataFrame(rows).drop_duplicates(index).set_index(index) if rows else pd.DataFrame()


def _by_dataset(paper: pd.DataFrame, rows: pd.DataFrame, method: str) -> pd.DataFrame:
    """Tables 5 and 6: mean AUC by dataset, and what it is a mean of. method: the column of `cells` that names the rows."""
    trainings, by, parts, like = trainings_of(rows), [method, "configuration"], [], {}
    names, order = (
        [TITLES[dataset] for dataset in REAL],
        dict(zip(paper["method"], paper["row"], strict=True)),
    )
    order |= {
        name: "not in the paper" for name in trainings[method] if name not in order
    }  # a variant of one's own
    for dataset, own in trainings.groupby("dataset", sort=False):
        found = blocks.summary(own, by).join(
            blocks.other_weights(rows[rows["dataset"] == dataset], by)
        )
        found["n"] = found["n"].astype(
            object
        )  # a count stays whole beside the nan of a variant that is not there
        title = TITLES[dataset]
        parts.append(
            found.rename(
                columns={name: title if name == "mean" else f"{name}, {title}" for name in found}
            )
        )
        groups = own.groupby(by, sort=False)
        like[title] = pd.Series(
            {key: blocks.is_whole(group) and blocks.is_like(group) for key, group in groups}
        )
    groups = trainings.groupby(by, sort=False)
    held_out = {key: _held_out(group) for key, group in groups}
    ours = pd.concat(parts, axis=1).assign(
        weights=groups["weights"].agg(agreed), **{HELD_OUT: pd.Series(held_out, dtype=str)}
    )
    ours = ours.reset_index(names=["method", "configuration"])
    ours = ours.sort_values(
        "method", key=lambda column: column.map(list(order).index), kind="stable", ignore_index=True
    )
    ours["row"] = ours["method"].map(order)
    first = [*KEYS, *names, HELD_OUT, "weights"]
    ours = ours.reindex(columns=[*first, *ours.columns.difference(first, sort=False)])
    alike = (
        pd.DataFrame(like, columns=names)
        .reindex(pd.MultiIndex.from_frame(ours[["method", "configuration"]]))
        .eq(True)
    )
    table = three_blocks(
        paper.assign(configuration="", **{HELD_OUT: "all"}), ours, names, alike.to_numpy()
    )
    counts = table.loc[[OURS], [f"n, {title}" for title in like]].apply(pd.to_numeric)
    few = counts < counts.max()  # over other classes: harder or easier ones
    table.attrs["not_best"] = {
        (row, title) for title in like for row in few.index[few[f"n, {title}"]]
    }
    table.attrs["marks"] = {
        (
            (OURS, own[method], order[own[method]], own["configuration"]),
            TITLES[own["dataset"]],
        ): CHOSEN
        for _, own in trainings[blocks.is_chosen(trainings)].iterrows()
    }
    return table


def _held_out(trainings: pd.DataFrame) -> str:
    """The classes held out, by dataset: Deer (CIFAR10)."""
    names = {}
    for dataset, own in trainings.groupby("dataset", sort=False):
        whole = blocks.is_whole(own) and dataset in TENS
        names[TITLES[dataset]] = (
            "all" if whole else ", ".join(own.sort_values("held_out")["class"].drop_duplicates())
        )
    return ", ".join(f"{classes} ({title})" for title, classes in names.items())


def _ablations(study: Study) -> list[Job]:
    """The variants, and Y-GAN whole beside them."""
    return beside_whole(study, study.select(group="ablations"))


def _weak(study: Study) -> list[Job]:
    """Y-GAN*, and Y-GAN with true classes beside it."""
    return beside_whole(study, study.select(group="weak_labels"))


TABLES = {
    "table5": View(table5, _ablations, "Table 5: Y-GAN without some of its parts"),
    "table6": View(table6, _weak, "Table 6: clusters in place of classes"),
    "weak_labels": View(
        weak_labels,
        lambda study: study.select(group="weak_labels"),
        "Weak labels: the clusters",
        of="runs",
    ),
}
