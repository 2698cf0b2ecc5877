"""Is it the Y, or the learning rate? Y-GAN at the paper's rate beside the plain classifier at the same rate, and at its own."""

from __future__ import annotations

import pandas as pd

from ygan_study.methods import METHODS
from ygan_study.plan.jobs import Job
from ygan_study.plan.settings import Settings
from ygan_study.report.rows import TITLES, trainings_of
from ygan_study.report.spread import Difference, difference, said
from ygan_study.report.tables.blocks import paired
from ygan_study.report.view import View
from ygan_study.run.folder import AVERAGED
from ygan_study.run.store import Study

RATES = {
    "classifier": str(METHODS["classifier"].settings["lr"]),
    f"classifier, lr={Settings().lr}": str(Settings().lr),
}  # by configuration


def _pairs(
    rows: pd.DataFrame,
) -> dict[tuple[str, str], tuple[pd.DataFrame, pd.DataFrame, Difference]]:
    """Y-GAN in the configuration `paper`, the classifier, their difference in AUC: by dataset and the classifier's rate."""
    trainings, found = trainings_of(rows, AVERAGED), {}
    for dataset, here in trainings.groupby("dataset", sort=False):
        own = here[here["configuration"] == "paper"]
        for name, rate in RATES.items():
            plain = here[here["configuration"] == name]
            gap = difference(own, plain, context=trainings)
            if gap.cells:
                found[TITLES[dataset], rate] = paired(own, plain), paired(plain, own), gap
    return found


def learning_rate(rows: pd.DataFrame) -> pd.DataFrame:
    """The AUC (Eq. 12) of Y-GAN in the configuration `paper`, which learns at the paper's rate of 0.0002, beside that of the
    plain classifier, once at its own rate of 0.001, which was chosen on validation, and once at the paper's.

    Averaged weights of all; as many epochs each. Means over the trainings of the same classes and seeds that both have.
    accuracy: how often C names the class of a normal image that was held back. Y-GAN minus it: the mean over the classes, each
    a mean over its pairs; low, high: its 95 % interval, where one can be had. lower in: in how many of n classes Y-GAN has the
    lower AUC.
    """
    found = {}
    for key, (own, plain, gap) in _pairs(rows).items():
        each = {"Y-GAN": own, "classifier": plain}
        found[key] = {name: frame["auc"].mean() for name, frame in each.items()}
        found[key] |= {
            f"accuracy, {name}": frame["normal_accuracy"].mean() for name, frame in each.items()
        }
        found[key] |= {"Y-GAN minus it": gap.mean, "low": gap.low, "high": gap.high}
        found[key] |= {"lower in": gap.below, "n": gap.cells, "pairs": gap.draws}
    table = pd.DataFrame(
        found.values(),
        pd.MultiIndex.from_tuples(found, names=["dataset", "rate of the classifier"]),
    )
    table.attrs["signed"] = ["Y-GAN minus it", "low", "high"]
    return table


def verdict(rows: pd.DataFrame) -> str:
    """Whether Y-GAN is below the classifier at the paper's own rate, too."""
    lines = [
        f"- {dataset}, the classifier at {rate}: Y-GAN (`paper`) minus it {said(gap)}, over {gap.cells} classes."
        for (dataset, rate), (_, _, gap) in _pairs(rows).items()
    ]
    return "\n".join(lines) or "Not trained yet."


def _jobs(study: Study) -> list[Job]:
    slow = study.select(group="paper_rate")
    datasets = tuple(dict.fromkeys(job.config.dataset for job in slow))
    return [*study.select(dataset=datasets, group=("classifier", "paper")), *slow] if slow else []


TABLES = {"learning_rate": View(learning_rate, _jobs, "Is it the Y, or the learning rate?")}
