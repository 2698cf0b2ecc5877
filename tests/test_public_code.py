"""Notebook 09's tables and its five sentences, from made-up runs whose answers are known, and from the smoke profile's."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from ygan_study.measure.batch_statistics import APART, AUTHORS, RUNNING, SETTINGS
from ygan_study.methods import METHODS
from ygan_study.methods.ablations import classifier
from ygan_study.methods.public_code import DEVIATIONS
from ygan_study.plan.settings import Settings
from ygan_study.report.printed import paper_auc
from ygan_study.report.spread import ONE_DRAW, UNTOLD
from ygan_study.report.tables import TABLES, make, public_code


@dataclass(frozen=True)
class Fake:
    """What the tables read of a Run. last, averaged: the AUC of each kind of weights, each image scored by itself."""

    config: Settings
    last: float
    averaged: float
    apart: float
    weights: str

    kinds = ("last", "averaged")

    def at(self, weights):
        return replace(self, weights=weights)

    @property
    def own(self):
        return getattr(self, self.weights)

    @property
    def metrics(self):
        return {"auc": self.own, "normal_accuracy": 0.9, "auc_max-logit": self.own + 0.02}

    @property
    def losses(self):
        curves = {
            "auc": [self.last + 0.03, self.last],
            "auc_averaged": [self.averaged, self.averaged],
        }
        if self.config.deviation != "none":
            curves["auc_sorted"] = [0.5, 0.6]
        return pd.DataFrame(curves, index=pd.Index([1, 2], name="epoch"))

    @property
    def batch_statistics(self):
        return dict.fromkeys(SETTINGS, self.own) | {
            (APART, 64): self.apart,
            AUTHORS: self.own - 0.05,
        }


def fake(
    last,
    held_out=4,
    averaged=None,
    apart=0.7,
    name="paper",
    seed=0,
    dataset="cifar10",
    control=False,
    **settings,
):
    config = Settings(
        **{
            **METHODS[name].settings,
            "name": name,
            "dataset": dataset,
            "held_out": held_out,
            "epochs": 2,
            "seed": seed,
        }
    )
    config = replace(classifier(config) if control else config, **settings)
    return Fake(config, last, last + 0.01 if averaged is None else averaged, apart, config.headline)


def test_a_deviation_is_paired_with_the_training_without_it_on_last_weights():
    base = [
        fake(auc, seed=s, name="balanced", averaged=0.1) for s, auc in enumerate((0.60, 0.62, 0.64))
    ]
    moved = [
        fake(auc, seed=s, name="balanced", averaged=0.9, deviation="mirrored")
        for s, auc in enumerate((0.70, 0.71, 0.75))
    ]
    alone = fake(0.5, 5, name="balanced", deviation="norm_first")  # in a cell without a base
    table = public_code.deviations([*base, *moved, alone])
    assert list(table.index) == [
        ("CIFAR10", "balanced", "none"),
        ("CIFAR10", "balanced", "mirrored"),
    ]
    row = table.loc["CIFAR10", "balanced", "mirrored"]
    assert (
        row["AUC"] == pytest.approx(0.72)
        and row["change"] == pytest.approx(0.10)
        and (row["n"], row["draws"]) == (1, 3)
    )
    half = 4.302653 * np.std([0.10, 0.09, 0.11], ddof=1) / math.sqrt(3)  # t of 2 degrees of freedom
    assert (row["low"], row["high"]) == pytest.approx((0.10 - half, 0.10 + half), abs=1e-6)
    assert list(row[["sorted", "apart", "best epoch, sorted"]]) == pytest.approx([0.67, 0.7, 0.6])
    assert table.loc["CIFAR10", "balanced", "none"]["what"] == "no deviation"


def test_as_the_public_code_is_said_of_the_papers_weights_alone():
    runs = [
        fake(0.6, name=name, deviation=deviation)
        for name in ("paper", "balanced")
        for deviation in ("none", "public_code")
    ]
    table = public_code.deviations(runs)
    assert table.loc["CIFAR10", "paper", "public_code"]["what"] == "as the public code"
    assert (
        table.loc["CIFAR10", "balanced", "public_code"]["what"]
        == "with the public code's deviations, balanced weights"
    )
    ways = public_code.ways_to_0763(runs)
    assert set(ways.index.get_level_values("trained")) == {
        "Y-GAN",
        "Y-GAN, as the public code",
        "Y-GAN, with the public code's deviations, balanced weights",
    }
    changed = public_code.deviations(
        [fake(0.6, lambda_5=1.0, deviation=deviation) for deviation in ("none", "public_code")]
    )
    assert "as the public code" not in set(changed["what"])  # the paper's name, not its weights


def test_means_over_a_class_that_a_choice_was_made_on_are_marked():
    runs = [fake(0.6, held_out, name=name) for held_out in (1, 4) for name in ("paper", "balanced")]
    for table, columns in ((public_code.ways_to_0763(runs), 1), (public_code.best_epochs(runs), 2)):
        marks = table.attrs["marks"]
        assert (
            marks
            and all("balanced" in row for row, _ in marks)
            and len({column for _, column in marks}) == columns
        )
    assert not public_code.ways_to_0763(runs[2:]).attrs["marks"]  # class 4 had no part in a choice


def test_ways_keep_the_two_kinds_of_weights_apart():
    runs = [
        fake(0.5, averaged=0.8, name="balanced"),
        fake(0.5, averaged=0.8, name="balanced", deviation="public_code"),
    ]
    runs += [fake(0.4, averaged=0.7, name="control", control=True)]
    ways = public_code.ways_to_0763(runs)["AUC"]
    alone = "last epoch, each image by itself"
    assert (
        ways["Y-GAN", "balanced", "averaged", alone] == 0.8
        and ways["Classifier", "control", "averaged", alone] == 0.7
    )
    (whole,) = {key[0] for key in ways.index if "deviations" in key[0]}
    assert ways[whole, "balanced", "last", alone] == 0.5 and "averaged" not in ways[
        whole
    ].index.get_level_values("weights")
    (chosen,) = {
        key[3]
        for key in ways.index
        if key[3].startswith("best epoch on the test set, class-sorted")
    }
    assert (
        ways[whole, "balanced", "last", chosen] == 0.6
        and ("Y-GAN", "balanced", "averaged", chosen) not in ways.index
    )


def test_the_best_epoch_of_each_kind_of_weights():
    table = public_code.best_epochs([fake(0.6, seed=0), fake(0.7, seed=1), fake(0.5, 5)])
    last, averaged = (
        table.loc["CIFAR10", "Y-GAN", "paper", weights] for weights in ("last", "averaged")
    )
    assert last["last epoch"] == pytest.approx((0.65 + 0.5) / 2) and last["gain"] == pytest.approx(
        0.03
    )
    assert last["epoch"] == "1.0" and (last["n"], last["draws"]) == (2, 3) and averaged["gain"] == 0


def test_batch_statistics_have_means_and_stds():
    runs = [
        fake(auc, held_out, seed=s)
        for held_out, draws in {4: (0.6, 0.7), 5: (0.5,)}.items()
        for s, auc in enumerate(draws)
    ]
    table = public_code.batch_statistics(runs).loc["CIFAR10", "Y-GAN", "paper", "last"]
    assert table.loc["mean", RUNNING] == pytest.approx((0.65 + 0.5) / 2) and table.loc[
        "mean", "apart 64"
    ] == pytest.approx(0.7)
    assert table.loc["std over classes", RUNNING] == pytest.approx(0.075)
    assert table.loc["std over seeds", RUNNING] == pytest.approx(np.std([0.6, 0.7], ddof=1))
    assert (
        table.loc["mean", "paper"] == pytest.approx(paper_auc("cifar10", [4, 5]))
        and table.loc["mean", "draws"] == 3
    )
    assert list(public_code.batch_statistics([fake(0.6)]).index.get_level_values("over")) == [
        "mean"
    ]


PRINTED = [paper_auc("cifar10", [held_out]) for held_out in range(10)]


def near(seeds=3, off=0.0):
    noise = [0.01, -0.01, 0.0]
    return [
        fake(0.6 + noise[(h + s) % 3], h, apart=PRINTED[h] + off + noise[(h + s) % 3], seed=s)
        for h in range(10)
        for s in range(seeds)
    ]


def test_the_verdict_says_whether_a_way_comes_to_0763():
    lines = public_code.verdict(near()).splitlines()
    assert [line[0] for line in lines] == list("12345")
    assert (
        "10 of 10 classes, 30 trainings" in lines[0]
        and "-0.050 [-0.050, -0.050] (lower) in sorted batches" in lines[0]
    )
    assert "] (lower) in sorted batches, +0.163 [" in lines[0] and "(higher) apart" in lines[0]
    assert "Not trained here." in lines[1] and lines[2].count("Not trained here.") == 3
    assert "adds +0.030 [+0.030, +0.030] to Y-GAN (`paper`, 10 cells, 30 trainings)" in lines[3]
    assert (
        "paper prints 0.763" in lines[4]
        and f"Y-GAN (`paper`, last weights), {APART_64}: 0.763 [" in lines[4]
    )
    assert (
        "Its std over the classes is 0.024; 0.024 is printed. 1 of these ways cannot be told apart"
        in lines[4]
    )
    far = public_code.verdict(near(off=-0.05)).splitlines()[4]
    assert (
        "None that has an interval comes to it, and the question stays open." in far
        and UNTOLD not in far
    )


APART_64 = "last epoch, anomalies in batches of 64 of their own"


def test_few_classes_and_single_draws_are_no_verdict():
    few = public_code.verdict(near()[:9]).splitlines()[4]
    assert (
        "With 3 of ten classes: too few classes for a verdict." in few and "comes to it" not in few
    )
    once = public_code.verdict(near(seeds=1)).splitlines()[4]
    assert (
        "None that has an interval comes to it" in once
        and "7 ways rest on one draw a class." in once
    )
    assert set(public_code.ways_to_0763(near(seeds=1))["told"]) == {ONE_DRAW}


def test_each_deviation_stands_in_the_sentence_of_its_kind():
    names = ("none", "detached_features", "mirrored", "permutations", "public_code")
    lines = public_code.verdict(
        [fake(0.6 + 0.01 * i, deviation=name) for i, name in enumerate(names)]
    ).splitlines()
    assert (
        "CIFAR10, `paper`: `detached_features` +0.010 (one draw)." in lines[1]
        and "mirrored" not in lines[1]
    )
    assert (
        "`mirrored` +0.020 (one draw)." in lines[2]
        and "open: CIFAR10, `paper`: `permutations` +0.030 (one draw)." in lines[2]
    )
    assert (
        "All deviations together: CIFAR10, trained as the public code: +0.040 (one draw)."
        in lines[2]
    )
    balanced = public_code.verdict(
        [fake(0.6, name="balanced", deviation=name) for name in ("none", "public_code")]
    )
    assert (
        "trained with the public code's deviations, balanced weights" in balanced
        and "as the public code:" not in balanced
    )


def test_nothing_trained_is_said_to_be_nothing():
    assert public_code.verdict([]) == "No Y-GAN is trained here yet."
    assert public_code.verdict([fake(0.6, deviation="mirrored")]) == "No Y-GAN is trained here yet."
    assert all(TABLES[name].make([]).empty for name in public_code.TABLES)
    mnist = public_code.verdict([fake(0.6, dataset="mnist")])
    assert (
        "MNIST, the AUC" in mnist
        and "1 of 10 classes, 1 training) has 0.600 (one draw) by itself" in mnist
        and "No training on CIFAR10 is there" in mnist
    )


def test_the_smoke_profiles_tables(smoke):
    study, _ = smoke
    runs = {name: study.run_all(view.jobs(study)) for name, view in public_code.TABLES.items()}
    assert {run.config.epochs for run in runs["ways_to_0763"]} == {
        2
    }  # no training of another length
    own = {(run.config.dataset, run.config.method): run for run in runs["best_epochs"]}
    table = make("batch_statistics_auc", runs["batch_statistics_auc"])
    assert (
        len(table) == len(own) == 6 and (table.loc["MNIST"]["paper"] == 0.984).all()
    )  # Table 1: a 4 held out
    row = table.loc["MNIST", "Y-GAN", "balanced", "averaged", "mean"]
    assert row[RUNNING] == pytest.approx(own["mnist", "ygan"].metrics["auc"], abs=1e-6)
    assert row["sorted 64"] == own["mnist", "ygan"].batch_statistics[AUTHORS]
    table = make("deviations", runs["deviations"])
    assert list(table.loc["MNIST", "balanced"].index) == ["none", *DEVIATIONS]
    assert table["change"].iloc[0] == 0 and (table["change"].iloc[1:] != 0).any()
    assert (
        np.allclose(table["AUC"] - table["AUC"].iloc[0], table["change"])
        and table["low"].isna().all()
    )  # one draw
    assert table["AUC"].iloc[0] == pytest.approx(own["mnist", "ygan"].at("last").metrics["auc"])
