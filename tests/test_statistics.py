"""What a difference is worth, by hand and by scipy on other paths; what a training costs."""

import numpy as np
import pandas as pd
import pytest
from made_up import CLASSIFIER, rows_of, training
from scipy import stats

from ygan_study.report import statistics
from ygan_study.report.rows import trainings_of
from ygan_study.report.statistics import difference, estimate, holm, level, std_over_seeds
from ygan_study.report.tables.benchmarks import benchmark


def trained(aucs, **settings):
    """Trainings of made-up rows: {held_out: [the AUC of each seed]}."""
    each = [(h, s, auc) for h, those in aucs.items() for s, auc in enumerate(those)]
    return trainings_of(
        rows_of(*(training(held_out=h, auc=a, seed=s, **settings) for h, s, a in each))
    )


def test_the_classes_are_the_sample_and_seeds_are_averaged_first():
    a = trained({0: [0.9, 0.7, 0.2], 1: [0.8], 2: [0.6], 5: [0.1]})
    b = trained({0: [0.7, 0.7], 1: [0.5], 2: [0.5], 7: [0.9]}, **CLASSIFIER)
    gap = difference(a, b)  # 0.1, 0.3, 0.1: class 0 is the mean of the two seeds that both have
    half = stats.t.ppf(0.975, 2) * np.std([0.1, 0.3, 0.1], ddof=1) / np.sqrt(3)
    assert (gap.mean, gap.n, gap.below) == (pytest.approx(1 / 6), 3, 0)
    assert (gap.low, gap.high) == pytest.approx((1 / 6 - half, 1 / 6 + half))
    assert gap.wilcoxon == pytest.approx(0.25) and gap.word == statistics.UNCLEAR
    assert f"{gap:+}" == f"+0.167 [{1 / 6 - half:+.3f}, {1 / 6 + half:+.3f}]"
    back = difference(b, a)
    assert (back.low, back.below) == (pytest.approx(-gap.high), 3)


def test_of_one_class_the_seeds_that_both_have_are_the_sample():
    a, b = trained({4: [0.9, 0.7, 0.8]}), trained({4: [0.8, 0.5], 5: [0.1]}, **CLASSIFIER)
    gap = difference(a, b)
    assert gap.n == 2 and gap.mean == pytest.approx(0.15)
    assert level(a, less=0.5).n == 3 and level(a, less=0.5).mean == pytest.approx(0.3)


def test_one_training_has_no_interval_and_no_word_but_that():
    gap = difference(trained({4: [0.9]}), trained({4: [0.5]}, **CLASSIFIER))
    assert (
        gap.mean == pytest.approx(0.4) and np.isnan(gap.low) and gap.word == statistics.ONE_TRAINING
    )
    assert f"{gap:+}" == "+0.400"
    elsewhere = difference(trained({4: [0.9]}), trained({5: [0.5]}, **CLASSIFIER))
    assert elsewhere.n == 0 and np.isnan(elsewhere.mean)


def test_a_level_is_held_against_the_printed_number_of_each_class():
    gap = level(trained({0: [0.8], 1: [0.6]}), less=pd.Series({0: 0.9, 1: 0.9, 2: 0.9}))
    assert gap.n == 2 and gap.mean == pytest.approx(-0.2)


def test_what_was_not_measured_is_in_no_mean_and_no_training_counts_twice():
    a = trained({0: [0.9, 0.8], 1: [0.5, 0.6]})
    a.loc[a["held_out"] == 1, "auc"] = np.nan
    assert level(a).n == 2  # the seeds of class 0
    assert difference(a, a, "auc_s_x").n == 0
    with pytest.raises(ValueError, match="twice"):
        difference(pd.concat([a, a]), a)


def test_words_follow_the_interval():
    values = pd.Series([0.2, 0.25, 0.3])
    words = [statistics.HIGHER, statistics.UNCLEAR, statistics.LOWER]
    assert [estimate(values - less).word for less in (0, 0.25, 0.5)] == words
    assert estimate(pd.Series([0.1, 0.1])).word == words[0] and estimate(values[:1]).n == 1


def test_holm_multiplies_by_what_is_left_and_never_falls():
    p = pd.Series({"a": 0.04, "b": 0.01, "c": np.nan, "d": 0.03})
    assert holm(p)[["b", "d", "a"]].tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert np.isnan(holm(p)["c"]) and holm(pd.Series([0.9, 0.8])).max() == 1


def test_the_std_over_seeds_is_pooled_over_classes():
    assert std_over_seeds(trained({0: [0.8, 0.9, 1.0], 1: [0.5, 0.7], 2: [0.1]})) == pytest.approx(
        np.sqrt((0.02 + 0.02) / 3)
    )
    assert np.isnan(std_over_seeds(trained({0: [0.8], 1: [0.5]})))


def test_minutes_are_those_of_a_core():
    of_a_core = training(metrics={"training_seconds": 60.0, "inference_us": 50.0})
    of_a_gpu = training(seed=1)  # `folder.tidy` leaves its costs out
    both = benchmark(1, rows_of(of_a_core, of_a_gpu)).loc["ours"].iloc[0]
    assert both[["minutes", "scoring µs", "seeds"]].tolist() == [1, 50, "2"]
    alone = benchmark(1, rows_of(of_a_gpu)).loc["ours"]
    assert alone[["minutes", "scoring µs"]].isna().all(axis=None)
