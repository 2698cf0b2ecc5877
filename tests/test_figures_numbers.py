"""Plots: what they show follows from the rows of runs.csv, and from the curves of runs."""

import numpy as np
import pandas as pd
import pytest
from made_up import CLASSIFIER, like, rows_of, ten, training
from matplotlib.collections import QuadMesh
from scipy.stats import sem, spearmanr, t

from ygan_study.measure.batch_statistics import RUNNING, SETTINGS
from ygan_study.report.figures import base, curves, overview, scores
from ygan_study.report.figures.base import LABELS, PRINTED
from ygan_study.report.printed import paper_auc
from ygan_study.report.view import NotTrained


def bars(ax):
    """The points with error bars in an axes: [(x, y, low, high)]; nan without a bar."""
    found = []
    for point in ax.containers:
        x, y = (values[0] for values in point.lines[0].get_data())
        low = high = np.nan
        if point.lines[2] and len(ends := point.lines[2][0].get_segments()[0]):
            low, high = ends[:, 0 if ends[0][1] == ends[1][1] else 1]
        found.append((x, y, low, high))
    return found


def legend(fig):
    return [text.get_text() for text in fig.legends[0].texts]


def test_fig8_averages_seeds_first_and_then_classes():
    aucs = {(1, 0): 0.6, (1, 1): 0.8, (4, 0): 0.9}
    rows = rows_of(
        *(training(held_out=h, seed=s, metrics={"auc_s": a}) for (h, s), a in aucs.items())
    )
    (ax,) = scores.fig8(rows).axes
    shown = [point for point in bars(ax) if not np.isnan(point[0])]
    assert shown == [pytest.approx((0.8, 0, 0.7, 0.9))]  # of 0.7 and 0.9; population
    texts = [text.get_text() for text in ax.texts]
    assert texts.count("–") == 11 and texts[0] == "0.800" and "2 classes" in ax.get_title()


def test_accuracy_plot_has_a_mark_for_each_training_and_no_line():
    points = [(0.5 + i / 20, auc) for i, auc in enumerate((0.9, 0.7, 0.8, 0.6, 0.65) * 2)]
    runs = [
        training(seed=i, auc=y, metrics={"normal_accuracy": x}) for i, (x, y) in enumerate(points)
    ]
    runs += [training(seed=20, auc=0.5)]  # without an accuracy
    runs += [training("plantvillage", -1, 0.4, metrics={"normal_accuracy": 0.3}, variant="A1")]
    fig = scores.accuracy_plot(rows_of(*runs))
    first, second = fig.axes
    shown = [line for line in first.lines if line.get_marker() not in ("None", None)]
    assert [*zip(*shown[0].get_data(), strict=True)] == points
    assert all(line.get_linestyle() == "None" for line in shown)
    rho = spearmanr(*zip(*points, strict=True)).statistic
    assert first.get_title() == f"MNIST, 10 runs, $\\rho$ = {rho:.2f}"
    assert second.get_title() == "PlantVillage, 1 runs" and "balanced" in legend(fig)[1]


def test_the_main_result_has_t_intervals_over_the_classes():
    own = [0.9 + held_out / 200 for held_out in range(10)]
    code = training(configuration="public_code", deviation="public_code", held_out=4, auc=0.7)
    fig = overview.main_result(
        rows_of(*ten(lambda h: own[h]), *ten(0.8, **CLASSIFIER, epochs=6), code)
    )
    (ax,), half = fig.axes, t.ppf(0.975, 9) * sem(own)
    assert max(bars(ax))[0] == pytest.approx(0.987, abs=5e-4)  # the printed one
    (found,) = (bar for bar in bars(ax) if bar[0] == pytest.approx(np.mean(own)))
    assert found[2:] == pytest.approx((np.mean(own) - half, np.mean(own) + half))
    assert legend(fig)[0].startswith(PRINTED) and f"{LABELS['balanced']}, 4 epochs" in legend(fig)
    faces = {p.lines[0].get_xdata()[0]: p.lines[0].get_mfc() for p in ax.containers}
    assert [auc for auc, face in faces.items() if face == "white"] == [0.7]  # of one class


def test_the_coverage_tells_none_from_some_and_all():
    rows = rows_of(*ten(0.9), training("fmnist", **CLASSIFIER), training("plantvillage", -1))
    ax = overview.coverage(rows).axes[0]
    (mesh,) = [own for own in ax.collections if isinstance(own, QuadMesh)]
    shade = np.asarray(mesh.get_array()).reshape(-1, 5)
    balanced, classifier = (list(LABELS).index(key) for key in ("balanced", "classifier"))
    assert shade[balanced].tolist() == [0, 2, 0, 0, 2]
    assert shade[classifier].tolist() == [0, 0, 1, 0, 0] and shade.sum() == 5
    assert "10 classes\n10 runs, 4 epochs" in [text.get_text() for text in ax.texts]


def test_a_method_of_one_class_has_another_mark_than_a_mean_over_ten():
    cost, std = dict(metrics={"training_operations": 1e13}), np.std(np.arange(10) / 1000)
    rows = rows_of(*ten(0.9, **cost), training(auc=0.6, method="padim", configuration="", **cost))
    fig = overview.auc_by_cost(rows)
    (ax,) = fig.axes
    whole, some = bars(ax)
    assert whole == pytest.approx((0.01, 0.9045, 0.9045 - std, 0.9045 + std))
    assert some[:2] == pytest.approx((0.01, 0.6)) and np.isnan(some[2:]).all()
    faces = [container.lines[0].get_mfc() for container in ax.containers]
    assert faces[0] != "white" and faces[1] == "white"
    assert "PaDiM" in legend(fig) and legend(fig)[-1] == "hollow: some of the classes"


def test_a_forest_has_a_panel_a_row_and_a_mark_for_each_difference():
    def both(own, **settings):
        metrics = {"auc_s": 0.7, "auc_kNN": 0.6}
        how = dict(averaged=0.5, **settings)
        return training(metrics=metrics | {"auc_s": own}, **how), training(
            metrics=metrics, **how, **CLASSIFIER
        )

    rows = rows_of(*both(0.9, held_out=4), *both(0.8, held_out=1), *both(0.7, dataset="cifar10"))
    fig = overview.score_differences(rows)
    mnist, other = fig.axes
    assert [label.get_text() for label in mnist.get_yticklabels()] == ["$s$ (Eq. 12)", "kNN"]
    half = t.ppf(0.975, 1) * 0.05
    assert bars(mnist)[0] == pytest.approx((0.15, 0, 0.15 - half, 0.15 + half))
    assert np.isnan(bars(other)[0][2])
    assert other.containers[0].lines[0].get_markerfacecolor() == "white"
    assert legend(fig) == [LABELS["balanced"], "hollow: one training, no interval"]


def test_a_forest_of_ablations_has_the_printed_costs():
    whole, a1 = ten(0.9), training(held_out=4, auc=0.5, variant="A1")
    own = training(held_out=4, auc=0.4, variant="A4")  # a variant of one's own
    fig = overview.ablation_costs(rows_of(*whole, a1, own))
    (ax,) = fig.axes
    rows = [label.get_text() for label in ax.get_yticklabels()]
    assert rows == ["A1: without $L_{con}$", "A4: not in the paper"] and PRINTED in legend(fig)
    assert sorted(bar[0] for bar in bars(ax)) == pytest.approx([0.0, 0.404, 0.504])
    with pytest.raises(NotTrained):
        overview.ablation_costs(rows_of(*whole))


def test_a_forest_shows_the_differences_of_its_table():
    rows = rows_of(*ten(0.9, averaged=0.9), *ten(0.8, averaged=0.8, **CLASSIFIER))
    (ax,) = overview.method_differences(rows).axes
    assert [bar[0] for bar in bars(ax)] == pytest.approx([0.1])


def test_the_ladder_has_a_mark_for_each_training_by_the_images_that_it_saw():
    runs = [training(epochs=10, auc=0.8, averaged=0.85), training(epochs=1, auc=0.6, averaged=0.65)]
    runs += [training(epochs=10, auc=0.9, averaged=0.95, seed=1)]
    runs += [training(epochs=3, auc=0.7, averaged=0.75, **CLASSIFIER)]
    (ax,) = curves.ladder(rows_of(*runs)).axes
    lines = {line.get_label(): line for line in ax.lines}
    line = lines[f"{LABELS['balanced']}, averaged weights"]
    assert line.get_xdata() == pytest.approx([0.001, 0.01])  # millions
    assert line.get_ydata() == pytest.approx([0.65, 0.85])  # the first seed
    assert lines[f"{LABELS['classifier']}, last weights"].get_ydata() == pytest.approx([0.7])
    loose = [line for line in ax.lines if line.get_linestyle() == "None"]
    assert sum(len(line.get_xdata()) for line in loose) == 2 * len(runs)
    assert lines[PRINTED].get_ydata()[0] == paper_auc("mnist", [4])


def test_trainings_of_the_papers_size_are_smoothed_over_nine_epochs(ygan_of):
    auc = np.arange(20.0) % 2
    losses = {
        "auc": auc,
        "normal_accuracy": auc,
        "auc_averaged": auc / 2,
        "normal_accuracy_averaged": auc,
    }
    run = like(ygan_of("cifar10"), losses=pd.DataFrame(losses))
    first, _, averaged, _ = curves.paper_size([run]).axes
    raw, smooth = first.lines[:2]
    assert (raw.get_ydata() == auc).all() and raw.get_alpha() < 1
    assert smooth.get_ydata()[9] == pytest.approx(auc[5:14].mean())
    assert (averaged.lines[0].get_ydata() == auc / 2).all()


def test_batch_statistics_average_the_seeds_of_a_class_first():
    numbers, runs = {(1, 0): (0.5, 0.6), (1, 1): (0.7, 0.8), (4, 0): (0.9, 1.0)}, []
    for (held_out, seed), (alone, rest) in numbers.items():
        aucs = {f"{way} batches of {n}": alone if way == RUNNING else rest for way, n in SETTINGS}
        runs.append(training("cifar10", held_out, seed=seed, metrics=aucs))
    (ax,) = scores.batch_statistics(rows_of(*runs)).axes
    pale = [line.get_ydata() for line in ax.lines if line.get_linestyle() == "None"]
    assert [list(y) for y in pale[:2]] == [pytest.approx([0.6]), pytest.approx([0.9])]
    means = [line.get_ydata() for line in ax.lines if line.get_markeredgecolor() == "black"]
    assert [y.tolist() for y in means[:4]] == [
        pytest.approx(y) for y in ([0.75], *[[0.85] * 3] * 3)
    ]
    assert paper_auc("cifar10", [1, 4]) in [line.get_ydata()[0] for line in ax.lines]


def test_the_best_epoch_is_that_of_the_last_weights(ygan_of):
    run = ygan_of("cifar10")
    each = [([0.5, 0.9, 0.6], [0.55, 0.6, 0.65]), ([0.4, 0.5, 0.7], [0.45, 0.5, 0.95])]
    index = pd.RangeIndex(1, 4, name="epoch")
    tables = [pd.DataFrame({"auc": a, "auc_averaged": b}, index=index) for a, b in each]
    runs = [like(run, {"seed": i}, losses=table) for i, table in enumerate(tables)]
    runs.append(like(run, {"seed": 2}, losses=pd.DataFrame({"L_s": [1.0]}, index=[1])))
    (ax,) = curves.best_epoch(runs).axes
    assert ax.get_title().endswith("gain +0.150")
    rings = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
    assert [(r.get_xdata()[0], r.get_ydata()[0]) for r in rings] == [(2, 0.9), (3, 0.7)]
    means = {
        line.get_linestyle(): line.get_ydata() for line in ax.lines if len(line.get_ydata()) == 3
    }
    assert means["-"] == pytest.approx([0.45, 0.7, 0.65])  # the last of the solid ones
    assert means[":"] == pytest.approx([0.5, 0.55, 0.8])


def test_no_two_methods_look_alike():
    looks = [tuple(look.values()) for look in base.LOOKS.values()]
    assert len(set(looks)) == len(looks)
