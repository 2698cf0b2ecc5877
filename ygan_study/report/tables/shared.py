"""What the tables share: means over classes, how a method was trained, what is not blind."""

from collections.abc import Callable
from operator import attrgetter

import numpy as np
import pandas as pd

from ygan_study.measure.flops import PFLOP
from ygan_study.methods import METHODS
from ygan_study.plan.jobs import Job
from ygan_study.plan.settings import TENS, Settings
from ygan_study.report.printed import IMAGE_SIZE, class_names, paper_epochs
from ygan_study.report.render import NOT_BLIND
from ygan_study.report.rows import trainings_of
from ygan_study.report.statistics import level, std_over_seeds
from ygan_study.run.folder import AVERAGED, LAST
from ygan_study.run.store import Study

GROUPS = "classifier strong balanced paper mirrored public_code all_but_permutations baselines"
TABLES_1_TO_4 = tuple(GROUPS.split())  # groups of jobs
FULL_SCHEDULE = 0.9  # of a schedule: as many images as its authors train on, give or take a tenth
MEAN, INTERVAL = "mean ± std", "[95 % interval]"

By = str | list[str]


def summary(trainings: pd.DataFrame, by: By, value: str = "auc") -> pd.DataFrame:
    """A row a group of `by`: what its trainings, of one dataset, have over the held-out classes.

    mean, std over classes (population): of the classes' means over their seeds; low, high: the 95 %
    interval of the mean (`statistics`); n: how many classes; seeds: how many trainings a class has.
    MEAN is the mean as a reader sees it: over fewer classes than the paper's, their names instead.
    """
    found = {}
    for key, own in trainings.dropna(subset=[value]).groupby(by, sort=False):
        classes = own.groupby("held_out")[value]
        mean, std, seeds = classes.mean().mean(), classes.mean().std(ddof=0), classes.size()
        estimate = level(own, value)
        found[key] = {
            MEAN: f"{mean:.3f} ± {std:.3f}" if has_all_classes(own) else f"only {classes_of(own)}",
            "seeds": " to ".join(map(str, sorted({seeds.min(), seeds.max()}))),
            "mean": mean,
            "std over classes": std if len(seeds) > 1 else np.nan,
            "std over seeds": std_over_seeds(own, value),
            "low": estimate.low,
            "high": estimate.high,
            "n": len(seeds),
            "held out": classes_of(own),
            NOT_BLIND: not_blind(own),
        }
    return pd.DataFrame.from_dict(found, orient="index").rename_axis(by)


def classes_of(trainings: pd.DataFrame) -> str:
    """The held-out classes by name, or how many; of PlantVillage, how many species."""
    names = trainings.sort_values("held_out")["class"].drop_duplicates()
    if trainings["dataset"].iloc[0] == "plantvillage":
        return f"{len(_species(trainings))} species"
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} classes"


def has_all_classes(trainings: pd.DataFrame) -> bool:
    """Whether these trainings, of one dataset, are over all that the paper's mean is over."""
    if trainings["dataset"].iloc[0] in TENS:
        return trainings["held_out"].nunique() == 10
    return _species(trainings) == set(class_names(4))


def _species(trainings: pd.DataFrame) -> set[str]:
    there = trainings.dropna(axis=1, how="all").columns
    return {name.partition(":")[2] for name in there if name.startswith(("tnr:", "tpr:"))}


def of_papers_size(trainings: pd.DataFrame) -> pd.Series:
    """Which of these trainings, of one dataset, have the paper's width and epochs, or more."""
    wide = trainings["width"] >= Settings().width
    return wide & (trainings["epochs"] >= paper_epochs(trainings["dataset"].iloc[0]))


def is_comparable(trainings: pd.DataFrame) -> bool:
    """Whether these trainings have the paper's image size; baselines, their authors' schedule."""
    sizes = trainings["image_size"] == trainings["dataset"].map(IMAGE_SIZE).fillna(32)
    return bool((sizes & (trainings["schedule"] >= FULL_SCHEDULE)).all())


def not_blind(trainings: pd.DataFrame) -> str:
    """The held-out classes that were the anomaly in a choice of settings, by name."""
    return ", ".join(trainings.loc[trainings["chosen"], "class"].drop_duplicates())


def other_weights(rows: pd.DataFrame, by: By, value: str = "mean") -> pd.DataFrame:
    """The mean over classes with the weights that are not the headline's, a column each."""
    found = {}
    for weights in (LAST, AVERAGED):
        trainings = trainings_of(rows, weights, metrics=["auc"])
        trainings = trainings[~trainings["headline"].astype(bool)]
        means = trainings.groupby([*np.atleast_1d(by), "held_out"], sort=False)["auc"].mean()
        found[f"{value}, {weights} weights"] = means.groupby(by, sort=False).mean()
    return pd.DataFrame(found).dropna(axis=1, how="all")


def details(trainings: pd.DataFrame, by: By) -> pd.DataFrame:
    """How each group of `by` was trained and what a training costs, for the CSV.

    share of schedule: images seen, of those that a baseline's authors train on; knows: what a
    method sees beside normal images without labels; normal accuracy: of C on held-back normal
    images; PFLOP: 10^15 operations; minutes, of one core; scoring µs: the shortest time for an
    image of a batch on one core.
    """
    methods = trainings["key"].map(METHODS)
    trained, baselines = (
        methods.map(attrgetter(it)).astype(bool) for it in ("trains", "is_baseline")
    )
    of_networks = trainings[["weights", "width", "epochs", "seen", "schedule"]].where(trained)
    measured = trainings.reindex(columns=["normal_accuracy", "training_seconds", "inference_us"])
    about = trainings.assign(**of_networks, **measured, knows=methods.map(attrgetter("knows")))
    about["schedule"] = about["schedule"].where(baselines)
    about["knows"] = about["knows"].mask(trainings["labels"] == "weak", "ImageNet weights")
    words = ("weights", "width", "epochs", "precision", "knows")
    found = about.groupby(by, sort=False).agg(
        **{name: (name, joined) for name in words},
        **{
            "image size": ("image_size", joined),
            "share of schedule": ("schedule", "mean"),
            "normal accuracy": ("normal_accuracy", "mean"),
            "images seen": ("seen", "mean"),
            "PFLOP": ("training_operations", "mean"),
            "minutes": ("training_seconds", "mean"),
            "scoring µs": ("inference_us", "min"),
        },
    )
    found["PFLOP"] /= PFLOP
    found["minutes"] /= 60
    return found.round({"images seen": 0, "scoring µs": 0})


def joined(values: pd.Series) -> str | float:
    """The value that a group shares, as text; where they differ, all of them."""
    different = values.dropna().unique()
    return ", ".join(each if isinstance(each, str) else f"{each:g}" for each in different) or np.nan


def table_of(rows: dict[tuple, dict], names: list[str], **attrs) -> pd.DataFrame:
    """A table of rows by their place in an index with these names. attrs: as for `render`."""
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(list(rows.values()), pd.MultiIndex.from_tuples(rows, names=names))
    table.attrs = attrs
    return table


def with_alike(study: Study, group: str, others: str | tuple[str, ...], *same: str) -> list[Job]:
    """A group of jobs; before them those of `others` that share these settings with one of them."""
    jobs = study.select(group=group)

    def place(job: Job) -> tuple:
        return tuple(getattr(job.config, name) for name in same)

    places = {place(job) for job in jobs}
    return [*(job for job in study.select(group=others) if place(job) in places), *jobs]


def beside_whole(group: str) -> Callable[[Study], list[Job]]:
    """A group of jobs; before them Y-GAN whole, of the same images, seeds and configuration."""
    whole = ("balanced", "paper", "public_code")
    same = ("dataset", "held_out", "seed", "split_seed", "name", "epochs")
    return lambda study: with_alike(study, group, whole, *same)
