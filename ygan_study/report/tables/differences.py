"""Differences between methods, and between trainings of other lengths and sizes."""

from __future__ import annotations

import pandas as pd

from ygan_study.methods import METHODS
from ygan_study.plan.jobs import Job
from ygan_study.plan.settings import Settings
from ygan_study.report.printed import score_name
from ygan_study.report.rows import REAL, TITLES, trainings_of
from ygan_study.report.statistics import SEEDS, difference, holm
from ygan_study.report.tables import shared
from ygan_study.report.tables.shared import INTERVAL
from ygan_study.report.view import View, selected
from ygan_study.run.folder import AVERAGED, LAST
from ygan_study.run.store import Study

CONTRASTS = (("balanced", "classifier"), ("paper", "classifier"), ("strong", "balanced"))
SCORES = {score_name("s"): "auc", score_name("s_zp"): "auc_s_zp"}


def differences(rows: pd.DataFrame) -> pd.DataFrame:
    """Differences in AUC between methods with the same labels, [95 % intervals] over the held-out
    classes.

    Averaged weights of both, by the paper's score and by the distance to a class mean; on
    PlantVillage the intervals are over three seeds.
    """
    trainings, found = trainings_of(rows, AVERAGED, metrics=SCORES.values()), {}
    for a, b in CONTRASTS:
        for score, metric in SCORES.items():
            for dataset, here in trainings.groupby("dataset", sort=False):
                gap = difference(here[here["key"] == a], here[here["key"] == b], metric)
                if gap.n:
                    row = {INTERVAL: f"{gap:+}", **gap.columns, "is": gap.word}
                    found[f"{a} - {b}", score, TITLES[dataset]] = row
    table = shared.table_of(found, ["difference", "score", "dataset"], shown=_by_dataset)
    if found:  # Holm's correction is over the main contrast, on all datasets and by both scores
        main = table.index.get_level_values("difference") == " - ".join(CONTRASTS[0])
        table["p, Holm"] = holm(table["p, t test"].where(main))
    return table


def _by_dataset(table: pd.DataFrame) -> pd.DataFrame:
    return table[INTERVAL].unstack("dataset", sort=False)


def learning_rate(rows: pd.DataFrame) -> pd.DataFrame:
    """Y-GAN (`paper`), which learns at 0.0002, less the plain classifier, at its own rate of
    0.001 and at Y-GAN's.

    Averaged weights of both, and as many epochs; [95 % intervals] over the held-out classes.
    """
    trainings, found = trainings_of(rows, AVERAGED, metrics=["normal_accuracy"]), {}
    rates = {"": "0.001", f"lr={Settings().lr}": "0.0002"}
    trainings["rate"] = trainings["configuration"].str.partition(", ")[2].map(rates)
    classifiers = trainings[trainings["key"] == "classifier"]
    for (dataset, rate), plain in classifiers.groupby(["dataset", "rate"], sort=False):
        own = trainings[(trainings["key"] == "paper") & (trainings["dataset"] == dataset)]
        gap, row = difference(own, plain), {}
        for name, those in {"Y-GAN": own, "classifier": plain}.items() if gap.n else ():
            both = those[those["held_out"].isin(set(own["held_out"]) & set(plain["held_out"]))]
            means = both.groupby("held_out")[["auc", "normal_accuracy"]].mean().mean()
            row |= {f"AUC, {name}": means["auc"], f"accuracy, {name}": means["normal_accuracy"]}
        if row:
            row |= {f"difference {INTERVAL}": f"{gap:+}", **gap.columns}
            found[TITLES[dataset], rate] = row
    table = shared.table_of(found, ["dataset", "rate of the classifier"])
    table.attrs["shown"] = [*list(table)[:5], "lower in", "n"] if found else []
    return table


def lengths(rows: pd.DataFrame) -> pd.DataFrame:
    """AUC after trainings of so many epochs, each a training of its own, over the seeds that all
    lengths have.
    """
    found = {}
    for weights in (LAST, AVERAGED):
        by = ["dataset", "class", "name"]
        for (dataset, where, name), own in trainings_of(rows, weights).groupby(by, sort=False):
            same = own.pivot(index="epochs", columns=SEEDS, values="auc").dropna(axis=1)
            if len(same) > 1 and same.shape[1]:
                found[TITLES[dataset], where, name, weights] = same.mean(axis=1).to_dict()
    table = shared.table_of(found, ["dataset", "held out", "method", "weights"])
    return table.sort_index(axis=1).rename(columns=str)


def paper_size(rows: pd.DataFrame) -> pd.DataFrame:
    """Trainings of the paper's own size, one each: AUC, accuracy of C, how often the nearest
    neighbour has the class.

    The best epoch is the one with the best AUC on the test set, which only its labels can choose.
    """
    metrics = {"normal_accuracy": "accuracy of C"}
    metrics |= {f"neighbours_{z}": f"neighbours by {z}" for z in ("z_s", "z_r")}
    last = trainings_of(rows, LAST, metrics=metrics).set_index("job")
    table = last[["class", "name", "epochs"]].rename(
        columns={"class": "held out", "name": "method"}
    )
    averaged, best = trainings_of(rows, AVERAGED), trainings_of(rows, LAST, "best_on_test", ["auc"])
    for name, those in {"averaged weights": averaged, "best epoch": best}.items():
        table[f"AUC, {name}"] = those.set_index("job")["auc"]
    table.insert(3, "AUC, last weights", last["auc"])
    return table.join(last[list(metrics)].rename(columns=metrics)).set_index(["held out", "method"])


def _rate_jobs(study: Study) -> list[Job]:
    slow = study.select(group="paper_rate")
    datasets = tuple(dict.fromkeys(job.config.dataset for job in slow))
    return [*study.select(dataset=datasets, group=("classifier", "paper")), *slow] if slow else []


def length_jobs(study: Study) -> list[Job]:
    """The trainings of several lengths, and those of Tables 1 to 4 of the same images and
    methods.
    """

    def same(job: Job) -> tuple:
        return job.config.dataset, job.config.held_out, job.config.method, job.config.name

    steps = study.select(group="ladder")
    wanted = {same(job) for job in steps}
    usual = study.select(group=("classifier", *METHODS))
    return [*(job for job in usual if same(job) in wanted), *steps]


CONTRASTED = selected(dataset=REAL, group=("classifier", "balanced", "paper", "strong"))
TABLES = {
    "differences": View(differences, CONTRASTED, "Differences between methods"),
    "learning_rate": View(learning_rate, _rate_jobs, "Is it the Y, or the learning rate?"),
    "lengths": View(lengths, length_jobs, "AUC by length of training"),
    "paper_size_numbers": View(
        paper_size, selected(group="paper_size"), "One class at the paper's own size, in numbers"
    ),
}
