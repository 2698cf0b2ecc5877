"""What is said of Y-GAN and the plain classifier by the same score, from made-up rows."""

import math

from test_verdicts import CLASSIFIER, rows_of, training

from ygan_study.report.tables import scores


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
