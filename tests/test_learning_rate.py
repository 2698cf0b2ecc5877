"""Y-GAN at the paper's learning rate beside the plain classifier at both rates, from made-up rows recomputed by hand."""

import pytest
from test_tables import tidy, training

from ygan_study.methods import METHODS
from ygan_study.methods.ablations import configuration
from ygan_study.plan.jobs import study_jobs
from ygan_study.plan.settings import TENS, Settings
from ygan_study.report.tables.learning_rate import RATES, learning_rate, verdict

SLOW = next(name for name, rate in RATES.items() if rate == str(Settings().lr))


def at(auc, method="ygan", configuration="paper", **settings):
    """A training whose averaged weights have `auc`, the last ones another."""
    last = configuration == "paper"
    values = dict(auc=0.1, other=auc) if last else dict(auc=auc, other=0.1)
    return training(
        **values, method=method, configuration=configuration, normal_accuracy=0.5, **settings
    )


def test_each_rate_is_compared_in_the_cells_that_both_have():
    rows = tidy(
        *(at(0.6 + 0.01 * i, held_out=i) for i in range(10)),
        *(at(0.8, "classifier", "control", held_out=i) for i in range(10)),
        *(at(0.65, "classifier", SLOW, held_out=i) for i in range(8)),
        at(0.9, "classifier", "control", held_out=4, dataset="fmnist"),  # no Y-GAN there
    )
    table = learning_rate(rows)
    assert list(table.index) == [("MNIST", "0.001"), ("MNIST", "0.0002")]
    own, slow = (row for _, row in table.iterrows())
    assert (
        own["Y-GAN"] == pytest.approx(0.645)
        and own["classifier"] == pytest.approx(0.8)
        and own["lower in"] == 10
    )
    assert (
        slow["Y-GAN"] == pytest.approx(0.635) and slow["n"] == 8 and slow["lower in"] == 5
    )  # 0.60 to 0.64
    assert (
        slow["Y-GAN minus it"] == pytest.approx(0.635 - 0.65)
        and slow["accuracy, classifier"] == 0.5
    )
    first, second = verdict(rows).splitlines()
    assert (
        "at 0.001: Y-GAN (`paper`) minus it -0.155" in first
        and "lower, sign test p = 0.002" in first
    )
    assert "at 0.0002" in second and "below in 5 of 8" in second and "lower" not in second


def test_nothing_is_said_where_one_side_is_missing():
    assert verdict(tidy(at(0.6))) == "Not trained yet." and learning_rate(tidy(at(0.6))).empty


def test_the_reference_edition_trains_the_control_at_both_rates_in_the_same_cells():
    jobs = study_jobs("laptop")
    of = {
        group: [job.config for job in jobs if job.group == group]
        for group in ("classifier", "paper_rate")
    }
    assert {configuration(config) for config in of["paper_rate"]} == {SLOW}
    assert (
        {config.lr for config in of["classifier"]}
        == {METHODS["classifier"].settings["lr"]}
        != {Settings().lr}
    )
    first = {(c.dataset, c.held_out, c.epochs) for c in of["classifier"] if c.dataset in TENS}
    assert {(c.dataset, c.held_out, c.epochs) for c in of["paper_rate"]} == first and len(
        of["paper_rate"]
    ) == len(first)
