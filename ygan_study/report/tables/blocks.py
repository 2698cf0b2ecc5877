"""What Tables 1 to 6 share: three blocks of rows, and the mean over classes of trainings that were repeated.

The blocks are what the paper prints, what was measured here, and the difference. Only like is subtracted from like: the same
classes, the paper's image size, a baseline that was trained as long as its authors train it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ygan_study.methods import METHODS
from ygan_study.plan.jobs import Job
from ygan_study.report.printed import IMAGE_SIZE, class_names
from ygan_study.report.render import DIFFERENCE, OURS, PAPER
from ygan_study.report.rows import trainings_of
from ygan_study.report.spread import CELL, DRAW, count, pooled
from ygan_study.report.tables.schedules import is_short, is_trained
from ygan_study.run.folder import AVERAGED, LAST
from ygan_study.run.store import Study

KEYS = [
    "method",
    "row",
    "configuration",
]  # what a row is named by; a level that names nothing is not shown
MAIN = (
    "classifier",
    "strong",
    "balanced",
    "paper",
    "baselines",
)  # the groups of jobs that Tables 1 to 4 are made of
CHOSEN = "Not blind: this class, or one in this mean, was the anomaly in a choice of the settings. So the number may be too high."


def three_blocks(
    paper: pd.DataFrame, ours: pd.DataFrame, values: list[str], like: np.ndarray
) -> pd.DataFrame:
    """The paper's rows, ours, and ours less the paper's of the same method and row, with the columns `values` subtracted.

    like: bool (rows of ours, values), whether our number was measured on what the paper's was; else it has no difference.
    """
    theirs = paper.set_index(KEYS[:-1])[values].reindex(pd.MultiIndex.from_frame(ours[KEYS[:-1]]))
    gap = ours[values].where(like) - theirs.to_numpy()
    ours = ours.dropna(axis=1, how="all").astype(
        dict.fromkeys(ours.select_dtypes("integer"), object)
    )  # whole, beside nan
    blocks = {
        PAPER: paper,
        OURS: ours,
        DIFFERENCE: ours[KEYS].join(gap).dropna(subset=values, how="all"),
    }
    table = pd.concat([block.assign(source=name) for name, block in blocks.items() if len(block)])
    columns = [name for name in dict.fromkeys([*paper, *ours]) if name not in KEYS]
    table = table.set_index(["source", *KEYS])[columns]
    table.attrs["best"] = values
    return table


def summary(trainings: pd.DataFrame, by: list[str], value: str = "auc") -> pd.DataFrame:
    """A row a group of `by`. trainings: of `cells`.

    A class's value is the mean over its draws. mean, std over classes (population): of these values; n: how many classes.
    std over seeds: of the draws of a class (`spread.pooled`); seeds: how many draws a class has.
    """
    trainings = trainings.dropna(subset=[value])
    each = trainings.groupby([*by, "held_out"], sort=False)[value].agg(["mean", "count"])
    groups = each.groupby(by, sort=False)
    by_draw = {key: pooled(group, value)[0] for key, group in trainings.groupby(by, sort=False)}
    return pd.DataFrame(
        {
            "mean": groups["mean"].mean(),
            "std over classes": groups["mean"].std(ddof=0).where(groups.size() > 1),
            "std over seeds": [by_draw[key] for key in groups.size().index],
            "seeds": groups["count"].agg(
                lambda draws: " to ".join(map(str, sorted({draws.min(), draws.max()})))
            ),
            "n": groups.size(),
        }
    )


def other_weights(rows: pd.DataFrame, by: list[str], name: str = "mean") -> pd.DataFrame:
    """The mean over classes with the weights that are not the headline's: columns `<name>, last weights` and so on."""
    found = {}
    for weights in (LAST, AVERAGED):
        trainings = trainings_of(rows, weights)
        trainings = trainings[~trainings["headline"].astype(bool)]
        if len(trainings):
            found[f"{name}, {weights} weights"] = summary(trainings, by)["mean"]
    return (
        pd.DataFrame(found)
        if found
        else pd.DataFrame(index=pd.MultiIndex.from_arrays([[] for _ in by], names=by))
    )


def agreed(values: pd.Series) -> str | float:
    """The value that a group's trainings share, as text; where they differ all of them; nan where there is none."""
    return ", ".join(map(str, values.dropna().unique())) or np.nan


def how_much(trainings: pd.DataFrame) -> str:
    """How much was trained, and whose weights these are."""
    first, images = trainings.iloc[0], trainings["training_images"]
    seen = " to ".join(f"{int(number):,}" for number in sorted({images.min(), images.max()}))
    if not is_trained(first["method"]):
        return f"{seen} training images"
    return f"{first['weights']} weights, width {first['width']}, {count(first['epochs'], 'epoch')}, {seen} training images"


def gradient_only(trainings: pd.DataFrame) -> pd.DataFrame:
    """`trainings` without the width, epochs and weights of what was not trained by gradient."""
    trained = trainings["method"].map(is_trained).astype(bool)
    blank = {
        name: trainings[name].astype(object).where(trained, np.nan)
        for name in ("width", "epochs", "weights")
    }
    return trainings.assign(**blank)


def is_whole(trainings: pd.DataFrame) -> bool:
    """Whether these trainings, of one dataset, are over all that the paper's mean is over: ten classes, or all species."""
    if trainings["dataset"].iloc[0] == "plantvillage":
        names = [f"{rate}:{name}" for rate in ("tnr", "tpr") for name in class_names(4)]
        there = trainings.reindex(columns=names).notna().any()
        return {name.partition(":")[2] for name in names if there[name]} == set(class_names(4))
    return trainings["held_out"].nunique() == 10


def lacks(trainings: pd.DataFrame) -> str:
    """What keeps these trainings, of one dataset, from being held against the paper's mean; "" is nothing."""
    dataset, size = trainings[["dataset", "image_size"]].iloc[0]
    if not is_whole(trainings):
        return f"some {'species' if dataset == 'plantvillage' else 'classes'} are missing"
    return (
        "" if size == IMAGE_SIZE[dataset] else f"at {size} px, the paper has {IMAGE_SIZE[dataset]}"
    )


def paired(own: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """The trainings of `own` whose cell and draw are among `others`: a difference of the two is of these."""
    return own.merge(others[[*CELL, *DRAW]].drop_duplicates())


def is_like(trainings: pd.DataFrame) -> bool:
    """Whether these trainings can be held against the paper's: its image size, and no baseline that was trained too short."""
    same_size = trainings["image_size"] == trainings["dataset"].map(IMAGE_SIZE)
    return bool(same_size.all() and not trainings.apply(is_short, axis=1).any())


def is_chosen(trainings: pd.DataFrame) -> pd.Series:
    """Whether the class of each training was the anomaly in a choice of its configuration."""
    own = trainings[["configuration", "dataset", "held_out"]].itertuples(index=False)
    return pd.Series([chosen_on(*each) for each in own], trainings.index, bool)


def chosen_on(configuration: str, dataset: str, held_out: int) -> bool:
    """Whether this class was the anomaly in a choice of this configuration (`config.CHOSEN_ON`)."""
    return (dataset, held_out) in METHODS[configuration.partition(",")[0]].chosen_on


def of_numbers(table: pd.DataFrame, notes: dict[tuple, str]) -> dict[tuple, str]:
    """Of notes by (row, column) those on a number that is there."""
    return {cell: note for cell, note in notes.items() if pd.notna(table.at[cell])}


def beside_whole(study: Study, jobs: list[Job]) -> list[Job]:
    """These jobs; before them Y-GAN whole, in the cells, the draws and the configuration that they have."""

    def cell(job: Job) -> tuple:
        c = job.config
        return c.dataset, c.held_out, c.seed, c.split_seed, c.name

    wanted = {cell(job) for job in jobs}
    whole = study.select(method="ygan", group=("balanced", "paper"))
    return [*(job for job in whole if cell(job) in wanted), *jobs]
