from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from ygan_study.measure.batch_statistics import APART, RUNNING, SETTINGS, SHUFFLED, SORTED
from ygan_study.report.figures import draw, public_code
from ygan_study.report.printed import paper_auc


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def cifar10(smoke):
    study, _ = smoke
    (job,) = public_code.VIEWS["one_image_in_batches"].jobs(study)
    return study.run(job)


def fake(run, method="ygan", held_out=4, seed=0, statistics=None, losses=None):
    """What two of the figures read of a run, with numbers of its own."""
    settings = dict(method=method, held_out=held_out, seed=seed)
    config = SimpleNamespace(**{**vars(run.config), **settings})
    base = dict(
        config=config,
        classes=run.classes,
        weights="averaged",
        batch_statistics=statistics,
        losses=losses,
    )
    return SimpleNamespace(**base)


@pytest.fixture
def plain_labels(monkeypatch):
    """Legends without the configuration, which a made-up config has none of."""
    monkeypatch.setattr(public_code, "configuration", lambda config: "balanced")


def statistics(running, other):
    return {setting: running if setting[0] == RUNNING else other for setting in SETTINGS}


def test_each_view_is_drawn_and_saved(smoke, cifar10):
    study, _ = smoke
    for name, view in public_code.VIEWS.items():
        jobs = view.jobs(study)
        assert {job.config.name for job in jobs} <= {"balanced", "control"} and jobs
        assert draw(study, name, [cifar10]).axes
        assert (study.folder / "figures" / f"{name}.png").stat().st_size > 5000
    datasets = {
        (job.config.dataset, job.config.method)
        for job in public_code.VIEWS["batch_statistics"].jobs(study)
    }
    assert datasets == {
        (data, method)
        for data in ("mnist", "fmnist", "cifar10")
        for method in ("ygan", "classifier")
    }


def test_the_image_is_scored_with_each_of_the_statistics(cifar10):
    fig = public_code.one_image_in_batches([cifar10])
    panels = np.array(fig.axes).reshape(3, 3)
    tested = np.flatnonzero(cifar10.test["in_test"])
    shown = panels[0, 0].images[0].get_array()
    images = cifar10.images(tested).permute(0, 2, 3, 1).numpy()
    (place,) = np.flatnonzero((images == shown).all(axis=(1, 2, 3)))
    assert cifar10.test["anomalous"][tested[place]]
    lines = [
        [line.get_xdata()[0] for line in row[2].lines if line.get_color() == "red"]
        for row in panels
    ]
    assert (
        lines[0] == [pytest.approx(cifar10.test["s"][tested[place]], abs=1e-5)]
        and lines[0] != lines[1]
    )
    for row, setting in zip(panels, ((RUNNING, 1), (SHUFFLED, 64), (APART, 64)), strict=True):
        assert f"AUC {cifar10.batch_statistics[setting]:.3f}" in row[2].get_title()
        assert sum(bar.get_height() for bar in row[2].patches) == pytest.approx(1)
    neighbours = np.stack([image.get_array() for image in panels[2, 1].images])
    anomalies = (
        cifar10.images(tested[cifar10.test["anomalous"][tested]]).permute(0, 2, 3, 1).numpy()
    )
    assert (
        all((anomalies == image).all(axis=(1, 2, 3)).any() for image in neighbours)
        and len(neighbours) == 14
    )


def test_batch_statistics_average_the_seeds_of_a_class_first(cifar10, plain_labels):
    runs = [fake(cifar10, held_out=h, seed=s, statistics=statistics(r, o)) for h, s, r, o in (
        (1, 0, 0.5, 0.6), (1, 1, 0.7, 0.8), (4, 0, 0.9, 1.0))]  # fmt: skip
    runs.append(fake(cifar10, "classifier", statistics=statistics(0.3, 0.4)))
    (ax,) = public_code.batch_statistics(runs).axes
    first, second, control = [
        np.array(line.get_ydata()) for line in ax.lines if line.get_marker() == "o"
    ]
    assert first == pytest.approx([0.6, *[0.7] * 9]) and second == pytest.approx([0.9, *[1.0] * 9])
    assert control == pytest.approx([0.3, *[0.4] * 9])
    means = {
        line.get_label(): line
        for line in ax.lines
        if line.get_marker() == "_" and not line.get_label().startswith("_")
    }
    assert means["Y-GAN: balanced, averaged weights, width 8"].get_ydata() == pytest.approx([0.75])
    assert means["Classifier: balanced, averaged weights, width 8"].get_ydata() == pytest.approx(
        [0.3]
    )
    assert paper_auc("cifar10", [1, 4]) in [
        line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == ":"
    ]
    assert [text.get_text() for text in ax.texts] == [RUNNING, SHUFFLED, SORTED, APART]


def test_the_best_epoch_is_that_of_the_last_weights(cifar10, plain_labels):
    curves = [([0.5, 0.9, 0.6], [0.55, 0.6, 0.65]), ([0.4, 0.5, 0.7], [0.45, 0.5, 0.95])]
    index = pd.RangeIndex(1, 4, name="epoch")
    losses = [
        pd.DataFrame({"auc": auc, "auc_averaged": averaged}, index=index)
        for auc, averaged in curves
    ]
    runs = [fake(cifar10, seed=seed, losses=each) for seed, each in enumerate(losses)]
    runs.append(
        fake(cifar10, "classifier", losses=pd.DataFrame({"L_s": [1.0]}, index=[1]))
    )  # without an AUC: left out
    (ax,) = public_code.best_epoch(runs).axes
    assert ax.get_title().split("\n")[-1] == "gain +0.150"
    hollow = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
    best = [(line.get_xdata()[0], line.get_ydata()[0]) for line in hollow]
    assert best == [(2, 0.9), (3, 0.7)]
    (dotted,) = [line for line in ax.lines if line.get_linestyle() == ":"]
    assert dotted.get_ydata() == pytest.approx([0.5, 0.55, 0.8])
