"""Notebook 09's tables, from made-up rows whose answers are known, and of two trainings."""

import numpy as np
import pytest
from made_up import CLASSIFIER, rows_of, training

from ygan_study import Study
from ygan_study.measure.batch_statistics import AUTHORS, RUNNING, SETTINGS
from ygan_study.report.printed import paper_auc
from ygan_study.report.tables import public_code
from ygan_study.report.tables.public_code import in_batches
from ygan_study.report.tables.shared import MEAN
from ygan_study.report.views import make

ALONE = "last epoch, each image by itself"
PAIRS = [
    *(("paper", name) for name in ("none", "mirrored")),
    *(("public code", name) for name in ("public_code", "mirrored")),
]


def made(auc, held_out=4, averaged=None, seed=0, best=0.0, L_r=2.0, **settings):
    """The rows of a training on CIFAR10. best: how much higher the best epoch's AUC is."""
    metrics = {in_batches(*setting): auc for setting in SETTINGS}
    metrics |= {in_batches(*AUTHORS): auc - 0.05, in_batches("apart", 64): 0.7}
    metrics |= {"L_r": L_r, "normal_accuracy": 0.9, "auc_max-logit": auc + 0.02}
    c = dict(dataset="cifar10", held_out=held_out, seed=seed, configuration="paper") | settings
    rows = training(auc=auc, averaged=averaged, metrics=metrics, **c)
    first = next(row for row in rows if row["metric"] == "auc")
    best = first | dict(epoch_rule="best_on_test", epoch=2, value=auc + best)
    chosen = first | dict(epoch_rule="best_sorted", epoch=1, metric="auc_sorted", value=0.6)
    return [*rows, best, *[chosen] * (c.get("deviation", "none") != "none")]


def test_each_difference_is_added_to_the_paper_and_taken_out_of_the_code():
    kinds = ("none", "mirrored", "public_code", "all_but_mirrored")
    made_up = [made(0.1 * n, deviation=kind, L_r=n) for n, kind in enumerate(kinds, start=5)]
    rows = [*made_up, made(0.9, configuration="balanced")]
    once = public_code.deviations(rows_of(*rows))
    twice = public_code.deviations(rows_of(*rows, made(0.9, deviation="mirrored", seed=1)))
    for table in (once, twice):
        assert list(table.loc["CIFAR10"].index) == PAIRS
        assert table["AUC"].tolist() == pytest.approx([0.5, 0.6, 0.7, 0.8])  # of the first seed
        assert table["L_r"].tolist() == [5, 6, 7, 8]
        assert set(table.attrs["shown"]) <= set(table)
    again = twice.loc["CIFAR10"]["AUC, second seed"].dropna()
    assert again.to_dict() == {("paper", "mirrored"): pytest.approx(0.9)}


def test_what_deviates_is_shown_with_the_last_weights():
    rows = rows_of(
        made(0.5, averaged=0.8),
        made(0.5, averaged=0.8, deviation="public_code"),
        made(0.4, deviation="mirrored"),
        made(0.7, **CLASSIFIER),
    )
    ways = public_code.ways_to_0763(rows)
    ours, code = "Y-GAN (paper)", "Y-GAN, public code (paper)"
    assert set(ways.index.unique("trained")) == {ours, code, "Classifier"}
    assert (ways.loc[code, "weights"] == "last").all()
    assert ways.loc[(code, ALONE), "AUC"] == pytest.approx(0.5)
    (by_class,) = (
        way for way in ways.loc[code].index if way.startswith("best") and "sorted" in way
    )
    assert ways.loc[(code, by_class), "AUC"] == pytest.approx(0.6)
    assert by_class not in ways.loc[ours].index


def test_ways_are_held_against_the_printed_numbers_of_the_same_classes():
    rows = [made(paper_auc("cifar10", [h]) - 0.1 - h % 3 / 99, h) for h in range(10)]
    row = public_code.ways_to_0763(rows_of(*rows)).loc["Y-GAN (paper)", ALONE]
    assert row["verdict"] == "lower" and row["paper"] == pytest.approx(0.763, abs=5e-4)
    assert row["n"] == 10 and row[MEAN].startswith("0.65") and row["std, paper"] < 0.03
    few = public_code.ways_to_0763(rows_of(*rows[3:5])).loc["Y-GAN (paper)", ALONE]
    assert few[MEAN] == "only Cat, Deer" and few["paper"] == pytest.approx((0.768 + 0.759) / 2)


def test_the_best_epoch_of_each_kind_of_weights():
    runs = [made(0.6, best=0.03), made(0.7, seed=1, best=0.03), made(0.5, 5, best=0.03)]
    row = public_code.best_epochs(rows_of(*runs)).loc["CIFAR10", "Y-GAN (paper)", "last"]
    assert row["last epoch"] == pytest.approx((0.65 + 0.5) / 2) and row["mean"] == pytest.approx(
        0.03
    )
    assert row["epoch"] == "2.0 of 4" and (row["n"], row["trainings"]) == (2, 3)


def test_batch_statistics_have_means_and_stds():
    runs = [made(0.6), made(0.7, seed=1), made(0.5, 5)]
    row = public_code.batch_statistics(rows_of(*runs)).loc["CIFAR10", "Y-GAN (paper)"]
    assert row[RUNNING] == pytest.approx((0.65 + 0.5) / 2) and row["apart 64"] == pytest.approx(0.7)
    assert row[f"std over classes, {RUNNING}"] == pytest.approx(0.075)
    assert row[f"std over seeds, {RUNNING}"] == pytest.approx(np.std([0.6, 0.7], ddof=1))
    assert row["paper"] == pytest.approx(paper_auc("cifar10", [4, 5])) and row["trainings"] == 3


def test_batch_statistics_of_what_was_trained(results):
    study = Study("smoke", results)
    jobs = public_code.TABLES["batch_statistics_auc"].jobs(study)
    runs = study.run_all(job for job in jobs if job.config.dataset == "mnist")
    table = make("batch_statistics_auc", runs).loc["MNIST"]
    assert len(table) == len(runs) == 2 and (table["paper"] == 0.984).all()
    (run,) = (run for run in runs if run.config.method == "ygan")
    row = table.loc["Y-GAN (balanced)"]
    assert row[RUNNING] == pytest.approx(run.metrics["auc"], abs=1e-6)
    assert row["sorted 64"] == run.batch_statistics[AUTHORS]
    assert {*public_code.WITNESSES} <= set(study.runs([run.job])["metric"])  # of `deviations`
