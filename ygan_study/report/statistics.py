"""What a difference is worth: a t interval, Wilcoxon's test, and Holm's correction for several
differences.

With several held-out classes the classes are the sample: each is averaged over its seeds first.
With one held-out class its seeds are the sample. One training has no interval. A difference is
taken between trainings of the same class and seed. All frames are those of `rows.trainings_of`, of
one dataset.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.95
SEEDS = ["seed", "split_seed"]
HIGHER, LOWER, UNCLEAR, ONE_TRAINING = "higher", "lower", "no clear difference", "one training"


@dataclass(frozen=True)
class Estimate:
    """The mean of n values, and its t interval; nan where there are fewer than two.

    below: how many values lie below 0. t_test, wilcoxon: two-sided p-values against 0.
    """

    mean: float
    low: float
    high: float
    n: int
    below: int
    t_test: float
    wilcoxon: float

    @property
    def word(self) -> str:
        """Whether the interval lies above 0, below it, or around it."""
        if not self.low <= self.high:
            return ONE_TRAINING
        return HIGHER if self.low > 0 else LOWER if self.high < 0 else UNCLEAR

    @property
    def columns(self) -> dict[str, float | int]:
        """Its numbers under the names that they have in a CSV."""
        found = {"mean": self.mean, "low": self.low, "high": self.high, "n": self.n}
        found |= {"lower in": self.below, "p, t test": self.t_test, "p, Wilcoxon": self.wilcoxon}
        return found

    def __format__(self, sign: str) -> str:
        """`0.972 [0.960, 0.983]`; with the format `+`: `+0.005 [-0.002, +0.013]`."""
        mean, interval = f"{self.mean:{sign}.3f}", f"[{self.low:{sign}.3f}, {self.high:{sign}.3f}]"
        return mean if self.word == ONE_TRAINING else f"{mean} {interval}"


def estimate(values: pd.Series) -> Estimate:
    """The mean of a sample, and what is known of it."""
    values = values.dropna().to_numpy(float)
    n, below = len(values), int((values < 0).sum())
    mean = values.mean() if n else np.nan
    if n < 2 or np.ptp(values) == 0:  # nothing, or nothing else, is known of how they vary
        low = high = mean if n > 1 else np.nan
        return Estimate(mean, low, high, n, below, np.nan, np.nan)
    test = stats.ttest_1samp(values, 0)
    low, high = test.confidence_interval(LEVEL)
    return Estimate(mean, low, high, n, below, test.pvalue, stats.wilcoxon(values).pvalue)


def level(trainings: pd.DataFrame, metric: str = "auc", less: float | pd.Series = 0.0) -> Estimate:
    """How high the trainings are above `less`: one number, or a number for each held-out class."""
    less = less.rename_axis("held_out") if isinstance(less, pd.Series) else less
    return estimate(_sample(_by_seed(trainings, metric) - less))


def difference(a: pd.DataFrame, b: pd.DataFrame, metric: str = "auc") -> Estimate:
    """How much higher the trainings `a` are than `b`, over the classes and seeds that both have.

    Raises ValueError where a training is there twice.
    """
    return estimate(_sample(_by_seed(a, metric) - _by_seed(b, metric)))


def holm(p: pd.Series) -> pd.Series:
    """p-values corrected for being one of several, by Holm's method (1979)."""
    ordered = p.dropna().sort_values()
    return (ordered * np.arange(len(ordered), 0, -1)).cummax().clip(upper=1).reindex(p.index)


def std_over_seeds(trainings: pd.DataFrame, metric: str = "auc") -> float:
    """The sample standard deviation over seeds, pooled over classes with several; else nan."""
    each = trainings.dropna(subset=[metric]).groupby(["dataset", "held_out"])[metric]
    freedom, squares = (each.count() - 1).sum(), (each.var(ddof=0) * each.count()).sum()
    return float(np.sqrt(squares / freedom)) if freedom else np.nan


def _by_seed(trainings: pd.DataFrame, metric: str) -> pd.Series:
    """A metric by held-out class and seed."""
    by_seed = trainings.reindex(columns=["held_out", *SEEDS, metric])
    by_seed = by_seed.set_index(["held_out", *SEEDS])[metric].dropna()
    if not by_seed.index.is_unique:
        raise ValueError("a training is there twice")
    return by_seed


def _sample(by_seed: pd.Series) -> pd.Series:
    """The mean of each held-out class over its seeds; of a single class, its seeds."""
    by_seed = by_seed.dropna()
    by_class = by_seed.groupby("held_out").mean()
    return by_class if len(by_class) != 1 else by_seed
