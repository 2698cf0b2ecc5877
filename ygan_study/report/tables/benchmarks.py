"""Tables 1 to 4: Y-GAN, the Classifier control and the baselines, beside what the paper prints."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from ygan_study.measure.flops import PFLOP
from ygan_study.methods import BASELINES, METHODS
from ygan_study.plan.jobs import Job
from ygan_study.report.printed import IMAGE_SIZE, class_names, printed
from ygan_study.report.render import OURS
from ygan_study.report.rows import trainings_of
from ygan_study.report.tables import blocks
from ygan_study.report.tables.blocks import CHOSEN, KEYS, MAIN, agreed, three_blocks
from ygan_study.report.tables.schedules import extent
from ygan_study.report.view import View
from ygan_study.run.store import Study

BY = ["title", "configuration"]
COLUMNS = {"title": "method", "model": "method", "std": "std over classes"}
RATES = {
    "TNR at EER": "tnr_eer",
    "TPR at EER": "tpr_eer",
    "TNR at threshold": "tnr",
    "TPR at threshold": "tpr",
}

OF_A_CORE = (
    "training_seconds",
    "inference_us",
)  # of trainings on a CPU alone, and there may be none


def benchmark(number: int, rows: pd.DataFrame) -> pd.DataFrame:
    """AUC by the class held out: what the paper prints, what was measured here, and the difference.

    A class's AUC is the mean over its draws: a draw is one training, with a seed of its own. mean, std over classes: of these
    AUCs, as the paper has them (population std). std over seeds: the sample std of a class's draws, pooled over the classes
    that have several. seeds: how many draws a class has. n: how many classes; cells: which, where they are not all ten. A mean
    over fewer classes than ten has no difference.

    weights: those of the last epoch, or their average over the end of the training. The mean with the other ones stands beside.
    trained, of authors' schedule: how much of the training that a baseline's authors give it had here. A baseline that had
    less, or whose schedule is unknown, has no difference. knows: what a method sees beside normal images without labels.
    normal accuracy: of C on held-back normal images. What a training costs: images seen, epochs times images; PFLOP, 10^15
    operations in convolutions and matrix products, forward and backward; minutes, of one core; scoring µs, of one image in a
    batch on one core, the shortest time of all trainings. Both are of the trainings that ran on a CPU.
    """
    classes = class_names(number)
    paper = (
        printed(number)
        .rename(columns=COLUMNS)
        .drop(columns="type")
        .assign(row="", configuration="")
    )
    trainings = trainings_of(rows, metrics=OF_A_CORE)
    auc = trainings.pivot_table(index=BY, columns="held_out", values="auc", sort=False).reindex(
        columns=range(len(classes))
    )
    auc.columns = classes
    ours = auc.join(blocks.summary(trainings, BY)).join(
        _described(trainings, blocks.other_weights(rows, BY))
    )
    ours.insert(ours.columns.get_loc("n") + 1, "cells", _names(auc))
    like = _each(trainings, blocks.is_like, ours.index)
    like = np.column_stack([*[like] * len(classes), like & (ours["n"] == len(classes))])
    ours = ours.reset_index().rename(columns=COLUMNS).assign(row="")
    table = three_blocks(paper, ours, [*classes, "mean"], like)
    few = ours[ours["n"].astype(int) < ours["n"].max()]  # over other classes: harder or easier ones
    table.attrs["not_best"] = {
        ((OURS, own["method"], "", own["configuration"]), "mean") for _, own in few.iterrows()
    }
    chosen = trainings[blocks.is_chosen(trainings)]
    table.attrs["marks"] = {
        ((OURS, own["title"], "", own["configuration"]), column): CHOSEN
        for _, own in chosen.iterrows()
        for column in (classes[own["held_out"]], "mean")
    }
    return table


def table4(rows: pd.DataFrame) -> pd.DataFrame:
    """PlantVillage, diseased leaves anomalous: TNR and TPR by species, and the AUC over all leaves at once.

    The paper takes both rates "at the EER of the ROC for all training samples", of which none is diseased. Its rates stand
    beside ours at EER: at the threshold where the test set's own two error rates meet, which no detector in use could know. At
    threshold: at the 95th percentile of the scores of healthy leaves that were left untrained, as a detector in use would
    do; calibration images: how many these are. These rates have no counterpart in the paper.

    image size: the paper's leaves have 256 pixels a side. A row at another size has no difference. mean over species, std over
    species (population): of the AUC of each species that has both kinds of leaves, the mean over its draws. std over seeds: the
    sample std of the AUC over the draws. background only: trained and tested on the outermost pixels alone, so what it finds it
    does not owe to the leaf (arXiv 2206.04374). weights, trained, knows, images seen, PFLOP, minutes, scoring µs: as in
    Table 1.
    """
    species = class_names(4)
    paper = printed(4).rename(columns={**COLUMNS, "metric": "row"}).drop(columns="type")
    paper = paper.assign(
        row=paper["row"] + " at EER",
        configuration="",
        **{"image size": f"{IMAGE_SIZE['plantvillage']} px"},
    )
    trainings = trainings_of(rows, metrics=OF_A_CORE)
    aucs = trainings.reindex(columns=[f"auc:{name}" for name in species])
    by_species = trainings[BY].join(aucs).groupby(BY, sort=False).mean()
    about = blocks.summary(trainings, BY).rename(columns={"mean": "auc"})[
        ["auc", "std over seeds", "seeds"]
    ]
    about["mean over species"], about["std over species"] = (
        by_species.mean(axis=1),
        by_species.std(axis=1, ddof=0),
    )
    about = about.join(_described(trainings, blocks.other_weights(rows, BY, "auc")))
    about["calibration images"] = (
        trainings["calibration"].astype(int).groupby([trainings[name] for name in BY]).agg(agreed)
    )
    ours = []
    for row, rate in RATES.items():
        names = {f"{rate}:{name}": name for name in species} | {rate: "all species"}
        means = (
            trainings[BY]
            .join(trainings.reindex(columns=list(names)))
            .groupby(BY, sort=False)
            .mean()
        )
        ours.append(means.rename(columns=names).join(about).assign(row=row))
    ours = pd.concat(ours).loc[list(about.index)]  # by method, then by rate
    like, whole = (_each(trainings, rule, ours.index) for rule in (blocks.is_like, blocks.is_whole))
    ours = ours.reset_index().rename(columns=COLUMNS)
    first = [*KEYS, *species, "auc", "image size", "all species", "calibration images"]
    ours = ours[[*first, *ours.columns.difference(first, sort=False)]]
    table = three_blocks(
        paper, ours, [*species, "auc"], np.column_stack([*[like] * len(species), like & whole])
    )
    table.attrs["best_within"] = ["row"]
    return table


def knows(training: pd.Series) -> str:
    """What a method may see beside normal images without labels. training: a row of `cells`."""
    if training["method"] in BASELINES:
        return METHODS[training["method"]].knows
    return "ImageNet weights" if training["labels"] == "weak" else "class labels"


def _described(trainings: pd.DataFrame, other_weights: pd.DataFrame) -> pd.DataFrame:
    """How each row of Tables 1 to 4 was trained, what the other weights give, what it knows and what it costs."""
    same = {
        "weights": "weights",
        "width": "width",
        "epochs": "epochs",
        "image size": "size",
        "precision": "precision",
    }
    same |= {"trained, of authors' schedule": "schedule", "knows": "knows"}
    told = blocks.gradient_only(trainings).assign(
        schedule=trainings.apply(extent, axis=1),
        knows=trainings.apply(knows, axis=1),
        size=trainings["image_size"].astype(str) + " px",
        normal_accuracy=trainings.get("normal_accuracy", np.nan),
    )
    groups = told.groupby(BY, sort=False)
    found = {name: groups[column].agg(agreed) for name, column in same.items()}
    found = {"weights": found.pop("weights"), **other_weights, **found}
    found["normal accuracy"] = groups["normal_accuracy"].mean()
    seen = (
        told.assign(seen=told["training_images"] * told["epochs"].astype(float))
        .groupby(BY, sort=False)["seen"]
        .mean()
    )
    found["images seen"] = seen.round().astype("Int64").astype(object)
    found["PFLOP"] = groups["training_operations"].mean() / PFLOP
    found["minutes"] = groups["training_seconds"].mean() / 60
    found["scoring µs"] = (
        groups["inference_us"].min().round().astype("Int64").astype(object)
    )  # the rest is other load
    return pd.DataFrame(found)


def _each(
    trainings: pd.DataFrame, rule: Callable[[pd.DataFrame], bool], index: pd.MultiIndex
) -> np.ndarray:
    """Whether a rule holds for the trainings of each row: bool, in the order of `index`."""
    holds = {key: rule(group) for key, group in trainings.groupby(BY, sort=False)}
    return np.array([holds[key] for key in index], dtype=bool)


def _names(auc: pd.DataFrame) -> pd.Series:
    """The classes of each row, where some are missing."""
    there = auc.notna()
    return there.apply(lambda row: np.nan if row.all() else " ".join(auc.columns[row]), axis=1)


def _jobs(dataset: str, study: Study) -> list[Job]:
    return study.select(dataset=dataset, group=MAIN)


def _leaves(study: Study) -> list[Job]:
    return study.select(dataset="plantvillage", group=(*MAIN, "background_only"))


TABLES = {
    "table1": View(partial(benchmark, 1), partial(_jobs, "mnist"), "Table 1: MNIST"),
    "table2": View(partial(benchmark, 2), partial(_jobs, "fmnist"), "Table 2: FMNIST"),
    "table3": View(partial(benchmark, 3), partial(_jobs, "cifar10"), "Table 3: CIFAR10"),
    "table4": View(table4, _leaves, "Table 4: PlantVillage"),
}
