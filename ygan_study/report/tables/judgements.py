"""Judgements on what the paper prints: reproduced, not reproduced, or undecided, and why."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from ygan_study.plan.settings import TENS
from ygan_study.report.printed import NUMBERS, paper_auc, paper_epochs, printed
from ygan_study.report.spread import HIGHER, LOWER, NEAR, ONE_DRAW, UNTOLD, Difference, level, told
from ygan_study.report.tables.blocks import lacks

HOLDS, FAILS, UNDECIDED = "reproduced", "not reproduced", "undecided"


def printed_auc(dataset: str) -> float:
    """The AUC that the paper prints for Y-GAN: the mean over ten classes, or over all leaves."""
    table = printed(NUMBERS[dataset])
    return table[table["model"] == "Y-GAN"].iloc[0]["auc" if dataset == "plantvillage" else "mean"]


def of_each(words: dict[str, str]) -> str:
    """The judgement of each configuration; one that all share, once."""
    shared = dict.fromkeys(words.values())
    return "; ".join(
        shared if len(shared) == 1 else (f"{name}: {word}" for name, word in words.items())
    )


def less_printed(own: pd.DataFrame, context: pd.DataFrame | None = None) -> Difference:
    """How much higher the trainings `own`, of one dataset, are than what the paper prints for Y-GAN in the same classes."""
    dataset = own["dataset"].iloc[0]
    each = (
        own["held_out"].map(lambda held_out: paper_auc(dataset, [held_out]))
        if dataset in TENS
        else printed_auc(dataset)
    )
    return level(own, less=each, context=context)


def of_level(gap: Difference, own: pd.DataFrame) -> str:
    """A judgement on a printed AUC. gap: how much higher the trainings `own`, of one dataset, are."""
    if lack := lacks(own):
        return f"{UNDECIDED}: {lack}"
    return of_gap(gap, fails_in(own))


def of_gap(gap: Difference, fails: str = FAILS) -> str:
    """The same of a difference to a printed number; of one draw a class a sign test over the classes may say it.

    fails: what it is called where it lies below.
    """
    if not gap.seeds_known:
        words = {LOWER: fails, HIGHER: HOLDS}
        return (
            f"{words[told(gap)]}, by a sign test"
            if told(gap) in words
            else f"{UNDECIDED}: one draw"
        )
    if gap.low >= -NEAR:
        return HOLDS
    return fails if gap.high < 0 else f"{UNDECIDED}: {UNTOLD}"


def fails_in(own: pd.DataFrame) -> str:
    """Not reproduced; where these trainings, of one dataset, are shorter than the paper's, in how many of its epochs."""
    epochs, theirs = int(own["epochs"].max()), paper_epochs(own["dataset"].iloc[0])
    return f"{FAILS} in {epochs} of {theirs} epochs" if epochs < theirs else FAILS


def of_gaps(gaps: list[tuple[str, str]], claimed: int) -> str:
    """A judgement on the claim that so many differences are above 0. gaps: what is told of each, and what it lacks."""
    words = [word for word, lack in gaps if not lack]
    if LOWER in words:
        return FAILS
    if words.count(HIGHER) == claimed:
        return HOLDS
    return undecided(lack or "one draw" * (word == ONE_DRAW) for word, lack in gaps)


def undecided(lacks: Iterable[str]) -> str:
    """Undecided, and why: what is missing, each once."""
    reasons = "; ".join(dict.fromkeys(filter(None, lacks)))
    return f"{UNDECIDED}: {reasons}" if reasons else UNDECIDED
