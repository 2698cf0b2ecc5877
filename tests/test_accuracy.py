"""What is said of accuracy and AUC: from made-up rows whose answers are computed by hand."""

import math

import pandas as pd
from test_strong import beside
from test_verdicts import CLASSIFIER, rows_of, training

from ygan_study.report.figures.accuracy import verdict
from ygan_study.report.printed import paper_auc
from ygan_study.report.tables import scores


def test_accuracy_needs_five_networks():
    def text(n):
        return verdict(
            rows_of(
                *(
                    training(held_out=h, auc=0.5 + h / 20, metrics={"normal_accuracy": h / 9})
                    for h in range(n)
                )
            )
        )

    assert "correlation +1.00 over 5 networks" in text(5) and "4 networks, too few" in text(4)


def test_a_better_classifier_may_be_the_worse_detector():
    two = [
        training(held_out=h, auc=auc, metrics={"normal_accuracy": 0.9 - h / 100}, **CLASSIFIER)
        for h, auc in enumerate((0.9, 0.8))
    ]
    two += [
        training(held_out=h, auc=auc, metrics={"normal_accuracy": 0.8 - h / 100})
        for h, auc in enumerate((0.8, 0.9))
    ]
    wide = training(held_out=2, auc=0.5, metrics={"normal_accuracy": 0.1}, width=64)
    said = verdict(rows_of(*two, wide))
    assert "C of Y-GAN (`balanced`) in 2 of 2 classes; in 1 of these its AUC is lower." in said


def test_which_accuracy_belongs_to_the_printed_auc():
    """Two classes, one easier than the other: in each the AUC rises by half of the accuracy."""
    settings = {
        (0, 0): (0.5, 0.70),
        (0, 1): (0.7, 0.80),
        (0, 2): (0.9, 0.90),
        (1, 0): (0.6, 0.60),
        (1, 1): (0.8, 0.70),
    }
    rows = pd.DataFrame(
        beside("strong", 4, 1.0, {cell: auc for cell, (_, auc) in settings.items()})
    )
    accuracy = rows.drop_duplicates("job").assign(
        metric="normal_accuracy", value=[a for a, _ in settings.values()]
    )
    printed = paper_auc("cifar10", [0, 1])
    said = verdict(pd.concat([rows, accuracy]))
    assert (
        "rises with the accuracy in 2 of the 2 that have several networks" in said
        and "it rises by 0.050 with each 0.1" in said
    )
    assert f"{printed:.3f}, the mean of what the paper prints for these classes, belongs to" in said
    assert f"an accuracy of {0.7 + (printed - 0.725) * 2:.2f}." in said
    worse = rows.assign(value=rows["value"] - 0.1)
    assert "where no network lies (0.50 to 0.90)" in verdict(pd.concat([worse, accuracy]))
    far = rows.assign(value=rows["value"] - 0.6)
    assert "these classes, is reached by no accuracy" in verdict(pd.concat([far, accuracy]))
    falls = accuracy.assign(value=1 - accuracy["value"])
    said = verdict(pd.concat([rows, falls]))
    assert (
        "accuracy in 0 of the 2" in said
        and "it falls by 0.050" in said
        and "the paper prints" not in said
    )
    near = accuracy.assign(value=0.98 + accuracy["value"] / 100)
    said = verdict(pd.concat([rows, near]))
    assert (
        "lie between 0.985 and 0.989, too near to each other for a slope." in said
        and "least squares" not in said
    )


def test_y_gan_and_the_plain_classifier_are_compared_by_the_same_score():
    """By s Y-GAN is above in every class, by Eq. 16 below; what the classifier lacks is not compared."""
    ours, plain = (
        [
            training(held_out=h, auc=s, metrics=dict(auc_s=s, auc_s_zp=s_zp), **settings)
            for h in range(10)
        ]
        for s, s_zp, settings in ((0.8, 0.7, {}), (0.75, 0.9, CLASSIFIER))
    )
    said = scores.verdict(rows_of(*ours, *plain))
    assert (
        "higher: s +0.050 (one draw each, below in 0 of 10); lower: s_zp -0.200 (one draw each, below in 10 of 10)."
        in said
    )
    assert "The highest: Y-GAN 0.800 by s, the classifier 0.900 by s_zp." in said
    assert scores.verdict(rows_of(*ours)) == "No plain classifier to compare with."
    table = scores.scores(rows_of(*ours, *plain))
    assert table.loc[("MNIST", "Classifier", "control"), "s_zp"] == 0.9 and math.isnan(
        table.loc["MNIST", "s_x"].iloc[1]
    )
