"""What the tables share: means over held-out classes, how a method was trained, what is not
blind.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ygan_study.measure.flops import PFLOP
from ygan_study.methods import METHODS
from ygan_study.plan.jobs import Job
from ygan_study.plan.settings import TENS
from ygan_study.report.printed import IMAGE_SIZE, class_names
from ygan_study.report.render import DIFFERENCE, NOT_BLIND, OURS, PAPER
from ygan_study.report.rows import trainings_of
from ygan_study.report.statistics import level, std_over_seeds
from ygan_study.run.folder import AVERAGED, LAST
from ygan_study.run.store import Study

TABLES_1_TO_4 = (
    "classifier",
    "strong",
    "balanced",
    "paper",
    "mirrored",
    "public_code",
    "baselines",
)  # groups of jobs
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
    """The held-out classes by name, or how many there are; of PlantVillage, the species there
    are.
    """
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


def is_comparable(trainings: pd.DataFrame) -> bool:
    """Whether these trainings have the paper's image size, and rivals their authors' schedule."""
    sizes = trainings["image_size"] == trainings["dataset"].map(IMAGE_SIZE).fillna(32)
    return bool(sizes.all() and has_schedule(trainings).all())


def share_of_schedule(trainings: pd.DataFrame) -> pd.Series:
    """Images seen, as a share of those that a rival's authors train it on; nan where nobody knows.

    1 for Y-GAN, the classifiers, and what is not trained by gradient.
    """

    def share(key: str, seen: float) -> float:
        method = METHODS[key]
        if not (method.is_baseline and method.trains):
            return 1.0
        return seen / method.trainer.authors.images if method.trainer.authors else np.nan

    shares = list(map(share, trainings["key"], trainings["seen"]))
    return pd.Series(shares, trainings.index, float)


def has_schedule(trainings: pd.DataFrame) -> pd.Series:
    """Whether each saw as many images as its authors train it on, give or take a tenth."""
    return share_of_schedule(trainings) >= 0.9


def is_chosen(trainings: pd.DataFrame) -> pd.Series:
    """Whether the held-out class of each training was the anomaly in a choice of its settings."""
    places = zip(trainings["key"], trainings["dataset"], trainings["held_out"], strict=True)
    chosen = [(data, held_out) in METHODS[key].chosen_on for key, data, held_out in places]
    return pd.Series(chosen, trainings.index, bool)


def not_blind(trainings: pd.DataFrame) -> str:
    """The held-out classes that were the anomaly in a choice of settings, by name."""
    return ", ".join(trainings.loc[is_chosen(trainings), "class"].drop_duplicates())


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

    share of schedule: images seen, of those that a rival's authors train on; knows: what a method
    sees beside normal images without labels; normal accuracy: of C on held-back normal images;
    PFLOP: 10^15 operations; minutes, of one core; scoring µs: the shortest time for an image of a
    batch on one core.
    """
    trained, rivals = (
        trainings["key"].map(lambda key, name=name: getattr(METHODS[key], name)).astype(bool)
        for name in ("trains", "is_baseline")
    )
    of_networks = trainings[["weights", "width", "epochs", "seen"]].where(trained)
    weak = trainings["labels"] == "weak"
    about = trainings.assign(
        **of_networks,
        **trainings.reindex(columns=["normal_accuracy", "training_seconds", "inference_us"]),
        share=share_of_schedule(trainings).where(rivals & trained),
        knows=trainings["key"].map(lambda key: METHODS[key].knows).mask(weak, "ImageNet weights"),
    )
    groups = about.groupby(by, sort=False)
    words = {name: name for name in ("weights", "width", "epochs", "precision", "knows")}
    found = {name: groups[column].agg(joined) for name, column in words.items()}
    found["image size"] = groups["image_size"].agg(joined)
    found["share of schedule"] = groups["share"].mean()
    found["normal accuracy"] = groups["normal_accuracy"].mean()
    found["images seen"] = groups["seen"].mean().round()
    found["PFLOP"] = groups["training_operations"].mean() / PFLOP
    found["minutes"] = groups["training_seconds"].mean() / 60
    found["scoring µs"] = groups["inference_us"].min().round()
    return pd.DataFrame(found)


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


def with_differences(
    paper: pd.DataFrame, ours: pd.DataFrame, like: pd.DataFrame, key: list[str]
) -> pd.DataFrame:
    """The paper's rows, ours, and ours less the paper's where they can be compared.

    like: bool, a column a value and a row a row of ours: whether it was measured as the paper's
    was. key: the columns by which a row of ours finds its row of the paper; name: what a row is
    called.
    """
    values = list(like)
    theirs = ours[key].merge(paper[[*key, *values]], "left", on=key)[values]
    gaps = (ours[values] - theirs.to_numpy()).where(like.to_numpy()).dropna(how="all")
    blocks = {PAPER: paper, OURS: ours, DIFFERENCE: gaps.join(ours[["name", *key]])}
    table = pd.concat([block.assign(source=name) for name, block in blocks.items() if len(block)])
    return table.rename(columns={"name": "method"}).set_index(["source", "method"])


def in_order(table: pd.DataFrame, level: str, order: Iterable) -> pd.DataFrame:
    """The rows by a level of the index, in this order; equal ones stay as they are."""
    place = {name: number for number, name in enumerate(order)}
    return table.iloc[np.argsort(table.index.get_level_values(level).map(place), kind="stable")]


def beside_whole(study: Study, group: str) -> list[Job]:
    """A group of jobs; before them Y-GAN whole, of the same images, seeds and configuration."""
    jobs = study.select(group=group)

    def same(job: Job) -> tuple:
        c = job.config
        return c.dataset, c.held_out, c.seed, c.split_seed, c.name, c.epochs

    wanted = {same(job) for job in jobs}
    whole = study.select(method="ygan", group=("balanced", "paper", "public_code"))
    return [*(job for job in whole if same(job) in wanted and job not in jobs), *jobs]
