"""Tables 1 to 4: Y-GAN, the classifiers and the baselines, beside what the paper prints."""

from __future__ import annotations

from functools import partial

import pandas as pd

from ygan_study.plan.settings import TENS
from ygan_study.report.printed import IMAGE_SIZE, NUMBERS, class_names, printed
from ygan_study.report.render import PAPER
from ygan_study.report.rows import TITLES, trainings_of
from ygan_study.report.tables import shared
from ygan_study.report.tables.shared import MEAN, TABLES_1_TO_4
from ygan_study.report.view import View, selected

CORE = ("training_seconds", "inference_us")  # of a training on a CPU alone
RATES = {"TNR at EER": "tnr_eer", "TPR at EER": "tpr_eer"}
RATES |= {"TNR at threshold": "tnr", "TPR at threshold": "tpr"}


def benchmark(number: int, rows: pd.DataFrame) -> pd.DataFrame:
    """AUC by held-out class, as printed and as measured here, where a class is the mean of its
    seeds.

    Mean and standard deviation (population) are over the ten held-out classes.
    """
    classes = class_names(number)
    paper = printed(number).rename(columns={"model": "title", "std": "std over classes"})
    paper[MEAN] = [f"{m:.3f} ± {s:.3f}" for m, s in paper[["mean", "std over classes"]].to_numpy()]
    trainings = trainings_of(rows, metrics=CORE)
    auc = trainings.pivot_table(index="name", columns="held_out", values="auc", sort=False)
    auc = auc.reindex(columns=range(len(classes))).set_axis(classes, axis=1)
    about = shared.summary(trainings, "name")
    parts = [about, auc, shared.other_weights(rows, "name"), shared.details(trainings, "name")]
    table = _beside(paper, trainings, pd.concat(parts, axis=1), [*classes, "mean"])
    table.attrs = {"shown": [MEAN, *classes, "seeds"], "best": classes, "marked": [MEAN]}
    return table


def table4(rows: pd.DataFrame) -> pd.DataFrame:
    """PlantVillage, with diseased leaves as anomalies: the AUC over all leaves, and the rates at
    two thresholds.

    They are where the two error rates of the test set meet (EER), and the 95th percentile of the
    scores of healthy leaves that were not trained on.
    """
    species = class_names(4)
    paper = printed(4).rename(columns={"model": "title", "auc": "AUC"})
    rates = paper.pivot(index="title", columns="metric", values=species)
    rates.columns = [f"{rate} at EER: {name}" for name, rate in rates.columns]
    paper = paper.groupby("title", sort=False)[["AUC"]].first().join(rates).reset_index()
    size = {"image size": str(IMAGE_SIZE["plantvillage"]), "held out": f"{len(species)} species"}
    trainings = trainings_of(rows, metrics=CORE)
    by_species = _means(trainings, [f"auc:{name}" for name in species])
    parts = [shared.summary(trainings, "name").drop(columns=[MEAN, "n"])]
    parts.append(by_species.mean(axis=1).rename("mean over species"))
    parts.append(by_species.std(axis=1, ddof=0).rename("std over species"))
    parts.append(_means(trainings, ["calibration"]).set_axis(["calibration images"], axis=1))
    for name, rate in RATES.items():
        own = _means(trainings, [rate, *(f"{rate}:{each}" for each in species)])
        parts.append(own.set_axis([name, *(f"{name}: {each}" for each in species)], axis=1))
    parts += [shared.other_weights(rows, "name", "AUC"), shared.details(trainings, "name")]
    ours = pd.concat(parts, axis=1).rename(columns={"mean": "AUC"})
    table = _beside(paper.assign(**size), trainings, ours, [*rates, "AUC"])
    table.attrs = {"shown": ["AUC", *RATES, "held out", "image size", "seeds"], "best": ["AUC"]}
    return table


def table4_species(rows: pd.DataFrame) -> pd.DataFrame:
    """PlantVillage by species: the rates at the EER, of Y-GAN as printed, and here of Y-GAN and
    the plain classifier.
    """
    table, found = table4(rows), {}
    labelled = table.index[table["knows"] == "class labels"]
    for place in [(PAPER, "Y-GAN"), *(place for place in labelled if "," not in place[1])]:
        for rate in ("TNR", "TPR"):
            name = f"{place[1]}{', as printed' * (place[0] == PAPER)}: {rate}"
            found[name] = [table.at[place, f"{rate} at EER: {each}"] for each in class_names(4)]
    return pd.DataFrame(found, index=pd.Index(class_names(4), name="species"))


def _means(trainings: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    return trainings.reindex(columns=["name", *metrics]).groupby("name", sort=False).mean()


def _beside(
    paper: pd.DataFrame, trainings: pd.DataFrame, ours: pd.DataFrame, values: list[str]
) -> pd.DataFrame:
    """Our rows below the paper's. values: what is subtracted, last what is over all classes."""
    groups = trainings.groupby("name", sort=False)
    comparable = groups[list(trainings)].apply(shared.is_comparable).loc[ours.index]
    like = pd.DataFrame({name: comparable for name in values})
    like[values[-1]] &= groups[list(trainings)].apply(shared.has_all_classes)
    ours = ours.assign(title=groups["title"].first()).rename_axis("name").reset_index()
    paper = paper.assign(name=paper["title"]).drop(columns="type", errors="ignore")
    return shared.with_differences(paper, ours, like, ["title"]).drop(columns="title")


LEAVES = selected(dataset="plantvillage", group=(*TABLES_1_TO_4, "background_only"))
TABLES = {
    f"table{NUMBERS[dataset]}": View(
        partial(benchmark, NUMBERS[dataset]),
        selected(dataset=dataset, group=TABLES_1_TO_4),
        f"Table {NUMBERS[dataset]}: {TITLES[dataset]}",
    )
    for dataset in TENS
}
TABLES |= {
    "table4": View(table4, LEAVES, "Table 4: PlantVillage"),
    "table4_species": View(table4_species, LEAVES, "Table 4 by species"),
}
