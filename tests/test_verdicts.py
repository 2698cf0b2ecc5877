"""What a difference is worth, and what the study says about the paper: from made-up rows whose answers are computed by hand."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from ygan_study.plan.profiles import PROFILES
from ygan_study.report import verdicts
from ygan_study.report.figures import FIGURES
from ygan_study.report.printed import class_names, paper_auc, printed
from ygan_study.report.rows import trainings_of
from ygan_study.report.spread import (
    ONE_DRAW,
    UNTOLD,
    Difference,
    difference,
    level,
    pooled,
    said,
    told,
)
from ygan_study.report.tables import TABLES, ablations, claims, color_mnist
from ygan_study.run.tidy import RUNS_COLUMNS
from ygan_study.run.store import Study

DEFAULTS = dict(
    stand_in=-1,
    method="ygan",
    variant="full",
    deviation="none",
    labels="true",
    pixels="all",
    width=16,
    epochs=7,
)
DEFAULTS |= dict(
    batch_size=64,
    image_size=32,
    seed=0,
    split_seed=0,
    configuration="balanced",
    precision="float32",
)
CLASSIFIER = dict(method="classifier", configuration="control")
PADIM = dict(method="padim", configuration="")


def training(dataset="mnist", held_out=4, auc=0.9, averaged=None, metrics=None, **settings):
    """The rows of one training. auc: the headline's; averaged: that of averaged weights, where the headline's are the last."""
    c = {**DEFAULTS, "dataset": dataset, "held_out": held_out, **settings}
    names = (
        class_names(claims.TENS.index(dataset) + 1)
        if dataset in claims.TENS
        else {0: "0", -1: "diseased"}
    )
    c |= {"class": names[held_out], "job": str(c)}
    found = {"auc": auc, "training_images": 1000, **(metrics or {})}
    own = c | dict(weights="averaged" if averaged is None else "last", headline=True)
    rows = [own | {"metric": name, "value": value} for name, value in found.items()]
    if averaged is not None:
        rows.append(c | dict(weights="averaged", headline=False, metric="auc", value=averaged))
    return [row | dict(epoch_rule="last", epoch=c["epochs"]) for row in rows]


def rows_of(*trainings):
    return pd.DataFrame([row for rows in trainings for row in rows], columns=RUNS_COLUMNS)


def ten(auc, dataset="mnist", seeds=1, **settings):
    """A training of every class and seed. auc: a number, or a function of class and seed."""
    value = auc if callable(auc) else lambda held_out, seed: auc
    return [
        training(dataset, h, value(h, s), seed=s, **settings)
        for h in range(10)
        for s in range(seeds)
    ]


def frame(aucs, **settings):
    """trainings_of() of trainings: {held_out: [the AUC of each seed]}."""
    found = [
        training(held_out=h, auc=auc, seed=seed, **settings)
        for h, those in aucs.items()
        for seed, auc in enumerate(those)
    ]
    return trainings_of(rows_of(*found))


def test_std_is_pooled_within_cells():
    std, freedom = pooled(frame({0: [0.8, 0.9, 1.0], 1: [0.5, 0.7], 2: [0.1]}))
    assert std == pytest.approx(math.sqrt((0.02 + 0.02) / 3))
    assert freedom == pytest.approx(0.04**2 / (0.02**2 / 2 + 0.02**2 / 1))
    alike, unlike = (
        frame({0: [0.8, 0.9, 1.0], 1: [0.6, 0.7, 0.8]}),
        frame({0: [0.8, 0.9, 1.0], 1: [0.7, 0.7, 0.7]}),
    )
    assert [pooled(those)[1] for those in (alike, unlike)] == pytest.approx(
        [4, 2]
    )  # the steady class tells little
    assert pooled(frame({0: [0.7, 0.7]})) == (0, 1)
    std, freedom = pooled(frame({0: [0.8], 1: [0.5]}))
    assert math.isnan(std) and freedom == 0


def test_a_difference_is_paired_by_cell_and_draw():
    a, b = (
        frame({0: [0.9, 0.7, 0.8], 1: [0.6, 0.5, 0.7]}),
        frame({0: [0.8, 0.5, 0.5], 1: [0.6, 0.4, 0.5], 2: [0.1]}, **CLASSIFIER),
    )
    found = difference(a, b)  # 0.1 0.2 0.3; 0.0 0.1 0.2: within each a variance of 0.01
    assert (
        found.mean == pytest.approx(0.15)
        and (found.cells, found.draws) == (2, 6)
        and found.seeds_known
    )
    half = 2.776445 * 0.1 * math.sqrt(1 / 3 + 1 / 3) / 2  # t of 4 degrees of freedom
    assert (found.low, found.high) == pytest.approx((0.15 - half, 0.15 + half), abs=1e-6)
    back = difference(b, a)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))
    assert told(found) == "higher" and told(back) == "lower"


def test_a_cell_of_one_draw_takes_the_variance_of_those_that_have_several():
    a, b = (
        frame({0: [0.9, 0.7, 0.8], 1: [0.9]}),
        frame({0: [0.8, 0.5, 0.5], 1: [0.5]}, **CLASSIFIER),
    )
    found = difference(a, b)
    half = 4.302653 * 0.1 * math.sqrt(1 / 3 + 1) / 2  # t of 2
    assert found.mean == pytest.approx(
        (0.2 + 0.4) / 2
    ) and found.high - found.mean == pytest.approx(half, abs=1e-6)


def test_where_no_cell_has_two_pairs_the_methods_own_stds_stand_in():
    a, b = frame({0: [0.9]}), frame({0: [0.5]}, **CLASSIFIER)
    alone = difference(a, b)
    assert alone.mean == pytest.approx(0.4) and math.isnan(alone.low) and not alone.seeds_known
    assert told(alone) == ONE_DRAW and said(alone) == "+0.400 (one draw)"
    context = pd.concat(
        [frame({0: [0.9], 5: [0.7, 0.8, 0.9]}), frame({5: [0.3, 0.5, 0.7]}, **CLASSIFIER)]
    )
    found = difference(a, b, context=context)  # stds 0.1 and 0.2, two degrees of freedom each
    half = t.ppf(0.975, 0.05**2 / (0.01**2 / 2 + 0.04**2 / 2)) * math.sqrt(0.01 + 0.04)
    assert found.high - found.mean == pytest.approx(half)
    one_known = difference(a, b, context=context[context["method"] == "ygan"])
    assert math.isnan(one_known.low)
    elsewhere = context.assign(
        dataset=context["dataset"].where(context["held_out"] == 0, "cifar10")
    )
    assert math.isnan(difference(a, b, context=elsewhere).low)
    more = pd.concat(
        [a, frame({5: [0.7, 0.8, 0.9]}, dataset="cifar10")]
    )  # nor where `a` has draws without a partner
    assert math.isnan(difference(more, b, context=elsewhere).low)


def test_in_table_5_a_mean_over_fewer_classes_is_never_the_best():
    table = ablations.table5(rows_of(*ten(0.9), training(held_out=0, auc=0.99, variant="A1")))
    assert {(row[1], column) for row, column in table.attrs["not_best"]} == {("A1", "MNIST")}


def test_a_difference_from_a_printed_number():
    found = level(frame({0: [0.8, 0.9, 1.0], 1: [0.7]}), less=0.75)
    half = 4.302653 * 0.1 * math.sqrt(1 / 3 + 1) / 2
    assert found.mean == pytest.approx(0.8 - 0.75) and found.low == pytest.approx(
        0.05 - half, abs=1e-6
    )
    assert told(found) == UNTOLD and found.holds(0) and not found.holds(0.5)


def test_what_was_not_measured_is_in_no_mean():
    a = frame({0: [0.9, 0.8], 1: [0.5, 0.6]})
    a.loc[a["held_out"] == 1, "auc"] = np.nan
    assert level(a).cells == 1 and difference(a, a).draws == 2
    nothing = difference(a, a, "auc_s_x")
    assert nothing.cells == 0 and math.isnan(nothing.mean) and not nothing.seeds_known
    moved = a.assign(split_seed=1)  # other draws than those of a
    assert difference(a, moved).cells == 0


def test_two_trainings_of_one_draw_are_refused():
    a = frame({0: [0.9]})
    with pytest.raises(pd.errors.MergeError):
        difference(pd.concat([a, a]), a)


def test_intervals_hold_the_truth_as_often_as_they_say():
    random, held = np.random.RandomState(0), 0
    for _ in range(200):  # a is 0.1 above b; draws of three cells of three, and of one more
        noise = {h: random.normal(0, 0.05, 3 if h < 3 else 1) for h in range(4)}
        found = difference(
            frame({h: 0.1 + own for h, own in noise.items()}),
            frame({h: 0 * own for h, own in noise.items()}),
        )
        held += found.holds(0.1)
    assert 0.90 < held / 200 < 0.99


def test_words_follow_the_interval():
    words = {
        (0.1, 0.3): "higher",
        (-0.3, -0.1): "lower",
        (-0.1, 0.3): UNTOLD,
        (math.nan, math.nan): ONE_DRAW,
    }
    for (low, high), word in words.items():
        assert told(Difference(0.2, low, high, 1, 3)) == word
    assert said(Difference(0.2, 0.1, 0.3, 1, 3)) == "+0.200 [+0.100, +0.300] (higher)"


def test_of_one_draw_a_class_a_sign_test_speaks():
    def gap(below, cells=10):
        return Difference(-0.1, math.nan, math.nan, cells, cells, below=below)

    assert (told(gap(10)), told(gap(9)), told(gap(8)), told(gap(0))) == (
        "lower",
        "lower",
        ONE_DRAW,
        "higher",
    )
    assert told(gap(5, cells=5)) == ONE_DRAW  # five of five may be luck
    assert said(gap(9)) == "-0.100 (one draw each, below in 9 of 10: lower, sign test p = 0.021)"
    assert (
        said(gap(8)) == "-0.100 (one draw each, below in 8 of 10)"
        and said(gap(1, cells=1)) == "-0.100 (one draw)"
    )
    assert (
        told(gap(10).less(0.1)) == ONE_DRAW
    )  # in how many classes a difference lies below another number is not known
    once = verdicts.benchmark(1, rows_of(*ten(0.9)))
    assert (
        "below the printed number in 10 of them" in once
        and "**not reproduced in 7 of 100 epochs, by a sign test**" in once
    )


def test_a_mean_over_ten_classes_is_judged_by_its_interval():
    wave = [0.02, -0.01, -0.01]
    text = verdicts.benchmark(1, rows_of(*ten(lambda h, s: 0.987 + wave[(h + s) % 3], seeds=3)))
    assert re.search(
        r"over ten classes, std 0\.\d+ over them; below the printed number in \d of them", text
    )
    assert "**reproduced**" in text
    text = verdicts.benchmark(
        1, rows_of(*ten(lambda h, s: 0.987 + 10 * wave[(h + s) % 3], seeds=3))
    )
    assert f"**undecided: {UNTOLD}**" in text
    text = verdicts.benchmark(
        1, rows_of(*ten(lambda h, s: 0.999 + wave[(h + s) % 3] / 10, seeds=3))
    )
    assert "**reproduced**" in text  # as in the table of claims: a higher AUC is no failure
    text = verdicts.benchmark(1, rows_of(*ten(lambda h, s: 0.9 + wave[(h + s) % 3], seeds=3)))
    assert "**not reproduced in 7 of 100 epochs**" in text
    assert "**undecided: one draw**" in verdicts.benchmark(
        1, rows_of(*ten(lambda h, s: 0.98 + 0.02 * (h % 2)))
    )
    few = verdicts.benchmark(1, rows_of(*ten(lambda h, s: 0.9 + wave[(h + s) % 3], seeds=3)[:15]))
    assert (
        "over 5 of 10 classes (0, 1, 2, 3, 4)" in few
        and "**undecided: some classes are missing**" in few
    )
    assert f"mean of these is {paper_auc('mnist', range(5)):.3f}" in few and "reproduced" not in few
    assert "**undecided: at 64 px, the paper has 32**" in verdicts.benchmark(
        1, rows_of(*ten(0.9, image_size=64))
    )


def test_other_methods_are_compared_in_the_same_cells_and_draws():
    own = [training(auc=auc, seed=s) for s, auc in enumerate((0.9, 0.7, 0.8))]
    control = [training(auc=auc, seed=s, **CLASSIFIER) for s, auc in enumerate((0.8, 0.5, 0.5))]
    text = verdicts.benchmark(
        1,
        rows_of(
            *own,
            *control,
            training(auc=0.1, **PADIM),
            training(auc=0.99, method="ocgan", configuration=""),
        ),
    )
    half = 4.302653 * 0.1 / math.sqrt(3)
    assert (
        f"Y-GAN minus it +0.200 [{0.2 - half:+.3f}, {0.2 + half:+.3f}] ({UNTOLD}) over 1 cell, 3 pairs of trainings"
        in text
    )
    assert "PaDiM: Y-GAN minus it +0.800 (one draw) over 1 cell, 1 pair" in text
    (ocgan,) = [line for line in text.splitlines() if "OCGAN:" in line]
    assert "not compared" in ocgan and "7 of 201 epochs" in ocgan and "+" not in ocgan


def test_weights_of_two_kinds_are_also_compared_as_one():
    paper = training(auc=0.5, averaged=0.7, configuration="paper")
    text = verdicts.benchmark(1, rows_of(paper, training(auc=0.6, **CLASSIFIER)))
    assert "`paper` (last weights" in text and "Y-GAN minus it -0.100 (one draw)" in text
    assert "With averaged weights of both +0.100 (one draw)" in text
    assert "With averaged weights" not in verdicts.benchmark(
        1, rows_of(training(), training(auc=0.6, **CLASSIFIER))
    )


def leaves(auc, species=14, seeds=3, size=256, **settings):
    rates = {f"tpr:{name}": 0.5 for name in class_names(4)[:species]}
    rates |= {"tpr": 0.4, "tnr": 0.9, "tpr_eer": 0.7, "tnr_eer": 0.7, "calibration": 55}
    return [
        training(
            "plantvillage",
            -1,
            auc + 0.01 * (s - 1),
            seed=s,
            image_size=size,
            metrics=rates,
            **settings,
        )
        for s in range(seeds)
    ]


def test_leaves_are_judged_at_the_papers_size_and_over_all_species():
    text = verdicts.table4(rows_of(*leaves(0.96)))
    assert (
        "undecided" in text
        and "threshold from 55 healthy leaves left untrained, TNR is 0.90 and TPR 0.40" in text
        and "14 of the paper's 14" in text
    )
    assert "**not reproduced in 7 of 200 epochs**" in verdicts.table4(rows_of(*leaves(0.8)))
    small = verdicts.table4(rows_of(*leaves(0.96, size=64)))
    assert "**undecided: at 64 px, the paper has 256**" in small and "reproduced" not in small
    few = verdicts.table4(rows_of(*leaves(0.96, species=11)))
    assert (
        "**undecided: some species are missing**" in few and "11 of the paper's 14 species" in few
    )
    background = dict(CLASSIFIER, pixels="background", variant="background_only")
    text = verdicts.table4(rows_of(*leaves(0.96), *leaves(0.7, **background)))
    assert (
        "Classifier, background only (`control`, averaged weights): Y-GAN minus it +0.260 [+0.260, +0.260] (higher)"
        in text
    )


def test_what_a_part_costs():
    draws = [training(held_out=4, auc=auc, seed=s) for s, auc in enumerate((0.90, 0.91, 0.92))]
    draws += [
        training(held_out=4, auc=auc, seed=s, variant="A1")
        for s, auc in enumerate((0.80, 0.80, 0.83))
    ]
    draws += [
        training(held_out=4, auc=auc, seed=s, variant="A2")
        for s, auc in enumerate((0.80, 0.95, 0.98))
    ]
    text = verdicts.table5(rows_of(*draws))
    half = 4.302653 * np.std([0.10, 0.11, 0.09], ddof=1) / math.sqrt(3)
    assert (
        f"A1 (without L_con): costs +0.100 [{0.1 - half:+.3f}, {0.1 + half:+.3f}] over 1 cell, 3 pairs"
        in text
    )
    assert "the paper's cost is +0.000: **no verdict: some classes are missing**" in text
    assert re.search(
        r"A2 \(without L_r\): costs \+0\.000 \[.*\], cannot be told apart at this scale from 0 over",
        text,
    )
    assert (
        "A1 (without L_con) costs least, 0.024; without Ds it is 0.030. B3 costs most, 0.292"
        in text
    )  # Table 5 itself
    assert "No ablation is trained" not in text
    assert verdicts.table5(rows_of(*draws[:3])).startswith(
        "**No ablation is trained in this edition.** Table 5 shows"
    )
    wave = [0.01, -0.01, 0.0]
    whole = ten(0.95, seeds=3) + ten(lambda h, s: 0.943 + wave[(h + s) % 3], seeds=3, variant="A2")
    assert "the paper's cost is +0.007: **agrees with that to 0.01**" in verdicts.table5(
        rows_of(*whole)
    )
    whole = ten(0.95, seeds=3) + ten(lambda h, s: 0.85 + wave[(h + s) % 3], seeds=3, variant="A2")
    assert "**does not agree: higher than that**" in verdicts.table5(rows_of(*whole))


def test_what_weak_labels_cost_and_are_worth():
    clusters = {"purity": 0.7, "clusters": 11, "purity_as_written": 0.23, "clusters_as_written": 2}
    draws = [training(auc=auc, seed=s) for s, auc in enumerate((0.90, 0.91))]
    draws += [
        training(auc=auc, seed=s, labels="weak", metrics=clusters)
        for s, auc in enumerate((0.80, 0.80))
    ]
    text = verdicts.table6(rows_of(*draws))
    assert (
        "costs +0.105 [" in text
        and "the paper's cost is +0.023: **no verdict: some classes are missing**" in text
    )
    assert (
        "11 clusters of purity 0.700 (one draw), 0.95 in the paper: **no verdict: some classes"
        in text
    )  # two seeds, one split
    assert "k is 2 and the purity 0.23" in text


def scored(dataset, value, seeds=3, classes=10):
    """Trainings with the AUC of every score: value(score, class, seed)."""
    names = (*verdicts.SEVEN, "energy")
    return [
        training(dataset, h, seed=s, metrics={f"auc_{name}": value(name, h, s) for name in names})
        for h in range(classes)
        for s in range(seeds)
    ]


def test_both_claims_of_fig_8_are_judged_alike():
    best = {"s": 0.8, "s_x": 0.5, "s_z": 0.4, "energy": 0.9}

    def judge(aucs, classes=10):
        text = verdicts.fig8(
            rows_of(
                *scored(
                    "cifar10",
                    lambda name, h, s: aucs.get(name, 0.7) + 0.01 * ((h + s) % 2),
                    classes=classes,
                )
            )
        )
        return [
            re.search(r"\*\*(.*?)\*\*", line)[1] for line in text.splitlines() if "*: **" in line
        ], text

    found, text = judge(best)
    assert (
        found == ["agrees", "agrees"]
        and "Post-hoc scores above $s$ here: energy +0.100 [+0.100, +0.100]." in text
    )
    assert judge(best | {"s_c": 0.85})[0] == ["does not agree", "agrees"]
    assert judge(best | {"s_x": 0.75})[0] == ["agrees", "does not agree"]
    assert judge(best, classes=9)[0] == ["no verdict: some classes are missing"] * 2

    def noisy(name, h, s):
        return best.get(name, 0.7) + (name == "s_zp") * (0.1 + 0.2 * (s - 1) * (-1) ** h)

    text = verdicts.fig8(rows_of(*scored("cifar10", noisy)))
    assert (
        f"*$s$ is the best of the seven*: **{UNTOLD}**" in text
        and "*the scores on $z_s$ beat $s_x$*: **agrees**" in text
    )
    once = verdicts.fig8(
        rows_of(*scored("cifar10", lambda name, h, s: best.get(name, 0.7), seeds=1))
    )
    assert once.count("**agrees**") == 2  # by a sign test over the ten classes
    assert "**not in Fig. 8**" in verdicts.fig8(
        rows_of(*scored("mnist", lambda name, h, s: best.get(name, 0.7)))
    )


def colours(seed=0, **probes):
    found = dict(swap_digit=0.9, swap_colour=0.99, read_digit=0.92)
    for what in ("digit", "colour"):
        for latent in ("z_s", "z_r"):
            found |= {f"probe_{what}_{latent}": 0.1, f"unit_{what}_{latent}": 0.1}
    return training(
        "color_mnist",
        0,
        0.95 + seed / 100,
        seed=seed,
        metrics=found | dict(probe_digit_z_s=0.97, probe_colour_z_r=0.99) | probes,
    )


def test_color_mnist_says_both_probes():
    text = color_mnist.verdict(rows_of(colours()))
    assert (
        text.count("**holds in this training**") == 3
        and "nothing here says how far another seed would differ" in text
    )
    text = color_mnist.verdict(
        rows_of(colours(probe_colour_z_s=0.69, unit_colour_z_s=0.21, swap_colour=0.5))
    )
    assert (
        "colour from $z_s$ at 0.69 (of unit length 0.21)" in text
        and "chance: colour 0.10, digit 0.11" in text
    )
    assert text.count("**does not hold in this training**") == 2
    text = color_mnist.verdict(rows_of(colours(), colours(seed=1, swap_colour=0.5)))
    assert (
        "**holds in 1 of 2 trainings**" in text and text.count("**holds in 2 of 2 trainings**") == 2
    )
    assert (
        "means of 2 trainings" in text
        and "AUC of **0.950, 0.960**" in text
        and "another seed" not in text
    )
    assert "No Color-MNIST network" in color_mnist.verdict(rows_of(training("color_mnist", 0)))


def test_the_ladder_says_whether_the_longest_training_is_the_best():
    lengths = [
        training(auc=auc, epochs=epochs, seed=s)
        for epochs, auc in ((3, 0.5), (7, 0.7), (10, 0.6))
        for s in range(2)
    ]
    (line,) = verdicts.ladder(rows_of(*lengths, training(held_out=1))).splitlines()
    assert (
        "MNIST, 4 held out, Y-GAN (`balanced`" in line
        and "0.500 in 3, 0.700 in 7, 0.600 in 10 epochs" in line
    )
    assert "the highest is that of 7. The paper has 100." in line
    assert "the longest is the highest" in verdicts.ladder(rows_of(*lengths[:4]))
    more = rows_of(*lengths[:2], training(auc=0.4, epochs=7), training(auc=0.9, epochs=7, seed=5))
    assert "0.500 in 3, 0.400 in 7 epochs" in verdicts.ladder(more)  # of the seed that both have


def test_the_papers_sentences_recomputed_from_its_tables():
    table = claims.claims(rows_of())
    holds = dict(zip(table.index, table["holds there"] == "yes", strict=True))
    broken = [sentence for sentence, yes in holds.items() if not yes]
    told = " ".join(table.loc[broken, "from its tables"])
    for found in (
        "Skip-GANomaly on MNIST: std 0.126, printed 0.127; P-Net on CIFAR10: mean 0.568, printed 0.563",
        "ARNet 0.796 to 0.808; Patch SVDD 0.663 to 0.673",
        "PaDiM on 7 0.779, its mean 0.676",
        "CIFAR10: Patch SVDD 0.021, Y-GAN 0.024",
        "L_r costs 0.070 in the mean, L_con 0.024: 2.9 times",
        "A1 on MNIST, 0.000",
        "mean cost: A1 0.024 < B4 0.030 < B1 0.032; on CIFAR10: A1 0.018 < B1 0.029 < B4 0.044",
        "8.3% (its lead is 7.7% of its own AUC)",
    ):
        assert found in told
    assert table["holds there"].value_counts().to_dict() == {
        "yes": 14,
        "no": 6,
        "depends on the reading": 4,
    }
    assert (
        "less B1, of which it is made: MNIST 0.023, FMNIST 0.071, CIFAR10 0.075, PlantVillage 0.108"
        in told
    )
    assert (
        holds["MNIST: mean AUC above OCGAN's by 9 %"]
        and table.loc["MNIST: mean AUC above OCGAN's by 9 %", "from its tables"] == "9.1%"
    )
    costs = printed(5).set_index("variant")[["MNIST", "FMNIST", "CIFAR10", "PlantVillage"]]
    assert f"{(costs.loc['full'] - costs.loc['A2']).mean():.3f}" == "0.070"


def test_sentences_are_recomputed_from_ours_only_where_all_is_there():
    name, ours = "MNIST: mean AUC above OCGAN's by 9 %", ten(lambda h, s: 0.9 + 0.01 * (-1) ** h)
    rows = ours + ten(0.75, method="ocgan", configuration="", epochs=201)
    assert claims.claims(rows_of(*rows)).loc[name, "ours, balanced"] == "20.0%"
    assert pd.isna(
        claims.claims(rows_of(*rows[:-1])).get("ours, balanced", {name: np.nan})[name]
    )  # nine classes of OCGAN
    short = ours + ten(0.75, method="ocgan", configuration="", epochs=200)
    assert "ours, balanced" not in claims.claims(rows_of(*short))


def test_every_verdict_is_of_a_view_and_of_what_is_done():
    study = Study("smoke", "/tmp/no-such-results")  # nothing is trained there
    assert set(verdicts.VERDICTS) <= {*FIGURES, *TABLES}
    for name in verdicts.VERDICTS:
        text = verdicts.verdict(study, name)
        assert text.startswith(
            f"**Profile `smoke`** ({PROFILES['smoke'].purpose})."
        ) and "nan" not in text.replace("f-AnoGAN", "")


def test_what_is_said_of_a_training_of_the_papers_size():
    latents = dict(neighbours_z_s=0.6, neighbours_z_r=0.2, normal_accuracy=0.7)
    one = dict(averaged=0.65, width=64, epochs=100)
    control = training("cifar10", auc=0.71, metrics=dict(normal_accuracy=0.75), **one, **CLASSIFIER)
    rows = rows_of(training("cifar10", auc=0.7, metrics=latents, **one), control)
    best = rows[rows["weights"] == "last"].assign(epoch_rule="best_on_test")
    best = best.assign(value=best["value"].where(best["metric"] != "auc", 0.72))
    first, line, last = verdicts.paper_size(pd.concat([rows, best])).splitlines()
    assert (
        "Classifier (`control`, 100 epochs): 0.710" in last
        and "right on 0.75 of" in last
        and "neighbour" not in last
    )
    assert "Deer held out" in first and f"{paper_auc('cifar10', [4]):.3f} for Y-GAN" in first
    assert (
        "0.700 with the last weights, 0.650 with averaged ones, 0.720 after the best epoch" in line
    )
    assert "right on 0.70 of" in line and "at 0.60 by $z_s$, at 0.20 by $z_r$" in line
