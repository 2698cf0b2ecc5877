"""What a difference is worth: the interval that the seeds measured here give it.

The frames are those of `cells.cells`: a row a training. A cell is a dataset and the class held out in it. A draw is one
training of a cell, with its seed and its split_seed. An interval speaks of draws only: where the mean over these very cells
would lie, had it been taken over many draws. It says nothing of other classes, of other test images, or of the seed of a number
that the paper prints. The draws of one class are taken as independent of another's. The classes that have one draw are taken to
vary from draw to draw as much as those that have several: where these are few, or unlike each other, the interval is rough, and
tends to be too narrow. Each interval stands by itself: of twenty differences that are 0, about one is called a difference.

Where no cell has several draws there is no interval. Then a sign test over the cells stands in: is one of the two above the
other in more of them than a coin would give?
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

CELL, DRAW = ["dataset", "held_out"], ["seed", "split_seed"]
METHOD = [
    "method",
    "variant",
    "deviation",
    "labels",
    "pixels",
    "configuration",
    "weights",
]  # what trainings of one method share
LEVEL = 0.95
NEAR = 0.01  # of an AUC or a purity: a number of the paper is met where the whole interval lies so near
HIGHER, LOWER, UNTOLD, ONE_DRAW = (
    "higher",
    "lower",
    "cannot be told apart at this scale",
    "cannot be told: one draw",
)


@dataclass(frozen=True)
class Difference:
    """mean: over `cells` cells, of `draws` trainings or pairs of them; low, high: its 95 % interval, nan if it is unknown.

    freedom: the degrees of freedom of the standard deviation that the interval is made of. below: in how many cells the mean is
    below 0; None where that says nothing, as of a level.
    """

    mean: float
    low: float
    high: float
    cells: int
    draws: int
    freedom: float = np.nan
    below: int | None = None

    @property
    def chance(self) -> float:
        """The p-value of the sign test over the cells; nan where there is none."""
        return (
            np.nan
            if self.below is None or not self.cells
            else float(stats.binomtest(self.below, self.cells).pvalue)
        )

    @property
    def seeds_known(self) -> bool:
        """Whether anything measured here says how far draws lie apart."""
        return bool(self.low == self.low)

    def holds(self, value: float) -> bool:
        """Whether a value lies in the interval; it lies in none that is unknown."""
        return bool(self.low <= value <= self.high)

    def less(self, value: float) -> Difference:
        """The same less a number that has no draws."""
        return replace(
            self, mean=self.mean - value, low=self.low - value, high=self.high - value, below=None
        )

    @property
    def is_nothing(self) -> bool | None:
        """Whether it is as good as 0: the interval lies within NEAR of it. Else no, if it leaves out 0. None: nobody can tell.

        That an interval holds 0 says little by itself: a wide one holds much else.
        """
        if -NEAR <= self.low and self.high <= NEAR:
            return True
        return None if self.holds(0) or not self.seeds_known else False


def pooled(frame: pd.DataFrame, metric: str = "auc") -> tuple[float, float]:
    """Std over the draws of one method: the root of the pooled variance within cells. And its degrees of freedom.

    Classes do not vary alike: where one has most of the variance, the draws of the others add little to what is known of it. So
    the degrees of freedom are Satterthwaite's (1946): those of all cells together if they vary alike, else fewer. (nan, 0)
    where no cell has several draws.
    """
    cells = frame.reindex(columns=[*CELL, metric]).dropna(subset=[metric]).groupby(CELL)[metric]
    several = cells.count() > 1
    freedoms, squares = (cells.count() - 1)[several], (cells.var(ddof=0) * cells.count())[several]
    if not several.any():
        return np.nan, 0
    effective = (
        squares.sum() ** 2 / (squares**2 / freedoms).sum() if squares.any() else freedoms.sum()
    )
    return float(np.sqrt(squares.sum() / freedoms.sum())), float(effective)


def difference(
    a: pd.DataFrame, b: pd.DataFrame, metric: str = "auc", context: pd.DataFrame | None = None
) -> Difference:
    """How much higher the trainings `a` are than `b`: the mean over cells of the mean over draws of a - b.

    Paired: cells and draws that one of them lacks are left out. The standard error is that of the pooled variance of the paired
    differences within cells, for cells of one draw too. Where no cell has two pairs, the two methods' own variances stand in,
    from their trainings on the same datasets in `context`, by default a and b themselves. Where these are unknown too, so is
    the interval. Raises pandas.errors.MergeError where a draw is there twice.
    """
    keys = [*CELL, *DRAW]
    both = (frame.reindex(columns=[*keys, metric]) for frame in (a, b))
    pairs = next(both).merge(next(both), on=keys, suffixes=("_a", "_b"), validate="one_to_one")
    pairs["value"] = pairs[f"{metric}_a"] - pairs[f"{metric}_b"]
    here = (frame[frame["dataset"].isin(pairs["dataset"])] for frame in (a, b))
    return _estimate(pairs, [_own(frame, metric, context) for frame in here])


def level(
    frame: pd.DataFrame,
    metric: str = "auc",
    less: float | pd.Series = 0.0,
    context: pd.DataFrame | None = None,
) -> Difference:
    """How high the trainings `frame` of one method are above `less`, which has no draws: as `difference`.

    less: one number for all, or one a row of `frame`.
    """
    values = frame.reindex(columns=[*CELL, metric]).rename(columns={metric: "value"})
    found = _estimate(values.assign(value=values["value"] - less), [_own(frame, metric, context)])
    return found if isinstance(less, pd.Series) else replace(found, below=None)


def told(d: Difference) -> str:
    """What may be said of a difference: higher, lower, that it cannot be told, or that there is one draw.

    Of one draw a cell a sign test over the cells may say it.
    """
    if not d.seeds_known:
        return ONE_DRAW if not d.chance < 1 - LEVEL else LOWER if 2 * d.below > d.cells else HIGHER
    return HIGHER if d.low > 0 else LOWER if d.high < 0 else UNTOLD


def shown(d: Difference, sign: str = "+") -> str:
    """A mean and its interval as text: `+0.036 [+0.010, +0.062]`. sign: "" for what is no difference."""
    one_draw = (
        "one draw"
        if d.below is None or d.cells == 1
        else f"one draw each, below in {d.below} of {d.cells}"
    )
    interval = f"[{d.low:{sign}.3f}, {d.high:{sign}.3f}]" if d.seeds_known else f"({one_draw})"
    return f"{d.mean:{sign}.3f} {interval}"


def said(d: Difference) -> str:
    """A difference, its interval, and what may be said of it: `+0.036 [+0.010, +0.062] (higher)`."""
    if d.seeds_known:
        return f"{shown(d)} ({told(d)})"
    return (
        shown(d)
        if told(d) == ONE_DRAW
        else f"{shown(d)[:-1]}: {told(d)}, sign test p = {d.chance:.2g})"
    )


def by_word(gaps: dict[str, Difference]) -> str:
    """Several differences, each by its name, grouped by what can be told of them."""
    words = dict.fromkeys(map(told, gaps.values()))
    return "; ".join(
        f"{word}: {listed({name: gap for name, gap in gaps.items() if told(gap) == word})}"
        for word in words
    )


def listed(gaps: dict[str, Difference]) -> str:
    """Several differences, each by its name."""
    return ", ".join(f"{name} {shown(gap)}" for name, gap in gaps.items())


def count(number: int, what: str) -> str:
    """`1 cell`, `2 cells`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _estimate(frame: pd.DataFrame, own: list[tuple[float, float]]) -> Difference:
    """The mean of the column `value`. own: std and degrees of freedom of what it is a difference of, where it has no own."""
    frame = frame.dropna(subset=["value"])
    draws, means = frame.groupby(CELL)["value"].count(), frame.groupby(CELL)["value"].mean()
    if not len(draws):
        return Difference(np.nan, np.nan, np.nan, 0, 0)
    mean = float(means.mean())
    std, freedom = pooled(frame, "value")
    if not freedom:
        variances, freedoms = (
            np.array([std**2 for std, _ in own]),
            np.array([freedom for _, freedom in own]),
        )
        std = np.sqrt(variances.sum())
        freedom = (
            std**4 / (variances**2 / freedoms).sum() if std > 0 else np.nan
        )  # Satterthwaite's again
    half = stats.t.ppf((1 + LEVEL) / 2, freedom) * std * np.sqrt((1 / draws).sum()) / len(draws)
    low, high, below = float(mean - half), float(mean + half), int((means < 0).sum())
    return Difference(mean, low, high, len(draws), int(draws.sum()), float(freedom), below)


def _own(frame: pd.DataFrame, metric: str, context: pd.DataFrame | None) -> tuple[float, float]:
    if context is not None and len(frame):
        alike = (context[METHOD] == frame[METHOD].iloc[0]).all(axis=1)
        frame = context[
            alike & context["dataset"].isin(frame["dataset"])
        ]  # draws lie nearer on one dataset than on another
    return pooled(frame, metric)
