"""What the paper prints: its tables (data/paper_tables/), and the numbers in its text."""

import functools
import re
from collections.abc import Iterable

import pandas as pd

from ygan_core.data import COLOURS, DATASETS
from ygan_core.data.datasets import REPOSITORY
from ygan_study.measure.numbers import SEVEN
from ygan_study.plan.profiles import profile

NUMBERS = {"mnist": 1, "fmnist": 2, "cifar10": 3, "plantvillage": 4}  # the table of each dataset
IMAGE_SIZE = {"mnist": 32, "fmnist": 32, "cifar10": 32, "plantvillage": 256}  # 4.1 and 4.2
PURITY = {"mnist": 0.95, "fmnist": 0.91, "cifar10": 0.87, "plantvillage": 0.80}  # section 6.3
CLUSTERS = dict.fromkeys(("mnist", "fmnist", "cifar10"), "9 or 10") | {"plantvillage": "12"}  # 6.3
EQUATIONS = dict(zip(SEVEN, range(12, 19), strict=True))  # of the scores
CHANCE = {"digit": 1 / 9, "colour": 1 / len(COLOURS), "AUC": 0.5}  # section 5: nine normal digits


@functools.cache
def _table(name: str) -> pd.DataFrame:
    (path,) = (REPOSITORY / "data" / "paper_tables").glob(f"{name}*.csv")
    return pd.read_csv(path)


def printed(number: int) -> pd.DataFrame:
    """Table `number`, 1 to 6, as printed; an absent cell is nan."""
    return _table(f"table{number}_").copy()


def sentences() -> pd.DataFrame:
    """Sentences of the paper about its own tables, recomputed from these tables: 24 constants.

    tests/test_sentences.py computes them.
    """
    return _table("sentences").copy()


def class_names(number: int) -> list[str]:
    """The columns of a table that are classes, in the order of the labels, or species (4)."""
    others = ("model", "type", "metric", "mean", "std", "auc")
    return [name for name in printed(number) if name not in others]


def score_name(score: str, math: bool = False) -> str:
    """A score as readers see it: `s_zp (Eq. 16)`, `$s_{zp}$ (Eq. 16)`; a later one's own name."""
    if score not in EQUATIONS:
        return score
    shown = "$" + re.sub(r"_(\w+)", r"_{\1}", score) + "$" if math else score
    return f"{shown} (Eq. {EQUATIONS[score]})"


def paper_epochs(dataset: str) -> int:
    """How many epochs the paper trains Y-GAN for (section 4.3)."""
    return profile("paper").epochs["paper"][dataset]


def weak_label_costs() -> dict[str, float]:
    """By dataset, how much lower Table 6 prints the AUC of Y-GAN* than that of Y-GAN."""
    aucs = printed(6).set_index("model")
    titles = {name: dataset.title for name, dataset in DATASETS.items()}
    return {name: aucs.loc["Y-GAN", t] - aucs.loc["Y-GAN*", t] for name, t in titles.items()}


def paper_aucs(dataset: str, held_out: Iterable[int]) -> pd.Series:
    """What Tables 1 to 4 print for Y-GAN, by held-out class; of PlantVillage, -1, over all leaves.

    held_out: labels from 0 to 9, each counted once.
    """
    number = NUMBERS[dataset]
    row = printed(number).set_index("model").loc["Y-GAN"]
    if dataset == "plantvillage":
        return row["auc"].iloc[:1].set_axis([-1])
    return row[class_names(number)].astype(float).set_axis(range(10))[sorted(set(held_out))]


def paper_auc(dataset: str, held_out: Iterable[int]) -> float:
    """The mean of `paper_aucs`."""
    return float(paper_aucs(dataset, held_out).mean())
