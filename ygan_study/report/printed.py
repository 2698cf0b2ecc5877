"""What the paper prints: its tables (data/paper_tables/), and the numbers in its text that tables and verdicts use."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from ygan_core.data import COLOURS, DATASETS
from ygan_core.data.datasets import REPOSITORY
from ygan_study.plan.profiles import profile

NUMBERS = {"mnist": 1, "fmnist": 2, "cifar10": 3, "plantvillage": 4}  # the table of each dataset
IMAGE_SIZE = {
    "mnist": 32,
    "fmnist": 32,
    "cifar10": 32,
    "plantvillage": 256,
}  # pixels; sections 4.1 and 4.2
PURITY = {
    "mnist": 0.95,
    "fmnist": 0.91,
    "cifar10": 0.87,
    "plantvillage": 0.80,
}  # of the weak labels; the text of section 6.3
CLUSTERS = {
    "mnist": "9 or 10",
    "fmnist": "9 or 10",
    "cifar10": "9 or 10",
    "plantvillage": "12",
}  # k of k-means; section 6.3
CHANCE = {
    "digit": 1 / 9,
    "colour": 1 / len(COLOURS),
    "AUC": 0.5,
}  # Color-MNIST: nine normal digits, ten colours (section 5)


def printed(number: int) -> pd.DataFrame:
    """Table `number`, 1 to 6, as printed; an absent cell is nan."""
    (path,) = (REPOSITORY / "data" / "paper_tables").glob(f"table{number}_*.csv")
    return pd.read_csv(path)


def class_names(number: int) -> list[str]:
    """The columns of a table that are classes (Tables 1 to 3, in the order of the labels) or species (Table 4)."""
    return [
        name
        for name in printed(number)
        if name not in ("model", "type", "metric", "mean", "std", "auc")
    ]


def paper_epochs(dataset: str) -> int:
    """How many epochs the paper trains Y-GAN for (section 4.3)."""
    return profile("paper").epochs["paper"][dataset]


def weak_label_costs() -> dict[str, float]:
    """By dataset, how much lower Table 6 prints the AUC of Y-GAN* (weak labels, section 6.3) than that of Y-GAN."""
    aucs = printed(6).set_index("model")
    return {
        name: aucs.loc["Y-GAN", dataset.title] - aucs.loc["Y-GAN*", dataset.title]
        for name, dataset in DATASETS.items()
    }


def paper_auc(
    dataset: str, held_out: Iterable[int], summary: Callable[[np.ndarray], float] = np.mean
) -> float:
    """What Tables 1 to 3 print for Y-GAN, summarised over these classes: labels from 0 to 9, each counted once."""
    number = NUMBERS[dataset]
    row = printed(number).set_index("model").loc["Y-GAN", class_names(number)]
    return float(summary(row.iloc[sorted(set(held_out))].to_numpy(float)))
