import math
from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr

from ygan_core.metrics import eer_threshold
from ygan_core.scores import to_input
from ygan_study.measure.numbers import SINCE
from ygan_study.plan.jobs import Job
from ygan_study.report.figures import (
    FIGURES,
    accuracy,
    color_mnist,
    draw,
    ladder,
    qualitative,
    scores,
)
from ygan_study.report.figures.accuracy import NAMED
from ygan_study.report.printed import paper_auc
from ygan_study.run.folder import Run


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def mnist(smoke):
    return smoke[0].run(smoke[0].select(dataset="mnist", group="balanced")[0])


@pytest.fixture(scope="module")
def leaves(smoke):
    return smoke[0].run(smoke[0].select(dataset="plantvillage", group="balanced")[0])


def like(run, metrics=None, tested=None, **settings):
    """A run as if it had been of another config, with other metrics, or with another test set."""
    other = Run(Job(replace(run.config, **settings)), run.folder, run.weights)
    other.__dict__["metrics"] = run.metrics if metrics is None else metrics
    if tested is not None:
        other.__dict__["test"] = {**run.test, "in_test": tested}
    return other


def said(axes):
    return [text.get_text() for ax in axes for text in (*ax.texts, *ax.get_xticklabels(), ax.title)]


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_grad_cam_is_the_relu_of_the_map_weighted_by_its_mean_gradients(mnist, steps):
    images = mnist.images(np.arange(4))
    model = mnist.model()
    till = len(model.E_s.features) - 3 * steps
    for image, found in zip(images, qualitative.grad_cam(model, images, steps), strict=True):
        f = model.E_s.features[:till](to_input(image[None])).detach().requires_grad_()
        logits = model.C(model.E_s.to_latent(model.E_s.features[till:](f)).flatten(1))
        weights = torch.autograd.grad(logits[0, logits.argmax()], f)[0].mean(
            dim=(2, 3), keepdim=True
        )
        heat = (weights * f.detach()).sum(dim=1, keepdim=True).relu()
        assert heat.shape[-1] == 4 * 2**steps and heat.max() > heat.min()
        for size in (None, 32):  # scaled by itself before it is enlarged, and after
            heat = F.interpolate(heat, size, mode="bilinear") if size else heat
            heat = (heat - heat.min()) / (heat.max() - heat.min())
        torch.testing.assert_close(found, heat[0, 0], atol=1e-3, rtol=0)


def test_grad_cam_works_where_gradients_are_off_and_leaves_no_hook(mnist):
    model = mnist.model()
    images = mnist.images(np.arange(2))
    first = qualitative.grad_cam(model, images)
    assert first.shape == (2, 32, 32) and first.amin() == 0 and first.amax() > 0.99
    assert not any(module._forward_hooks for module in model.modules())
    torch.testing.assert_close(
        qualitative.grad_cam(model, images[1:])[0], first[1], atol=1e-5, rtol=0
    )


def test_edge_cases_are_the_extremes_and_ties_go_by_index():
    test = dict(
        index=np.array([50, 40, 30, 20, 10, 5, 4]),
        anomalous=np.array([False, False, False, True, True, True, True]),
        in_test=np.array([True, True, True, True, True, True, False]),
    )
    run = SimpleNamespace(test=test, scores=np.array([0.5, 0.9, 0.5, 0.3, 0.3, 0.2, 0.0]))
    assert qualitative.edge_cases(run, anomalous=False).tolist() == [1, 2, 0]
    assert qualitative.edge_cases(run, anomalous=True).tolist() == [5, 4, 3]


@pytest.mark.parametrize("which", ["mnist", "leaves"])
def test_the_class_an_image_is_taken_for_is_what_c_says(which, request):
    run = request.getfixturevalue(which)
    normal = np.flatnonzero(~run.test["anomalous"])
    right = [run.classes[run.test["label"][row]] for row in normal] == np.array(
        qualitative.taken_for(run, normal)
    )
    assert right.mean() == pytest.approx(run.metrics["normal_accuracy"])


def test_grad_cam_shows_the_first_images_told_right_each_of_another_class(mnist):
    test = mnist.test
    threshold, _ = eer_threshold(test["s"][test["in_test"]], test["anomalous"][test["in_test"]])
    normal, anomalous = (qualitative.first_right(mnist, kind, 5) for kind in (False, True))
    assert (
        (test["s"][normal] <= threshold).all()
        and not test["anomalous"][normal].any()
        and test["in_test"][normal].all()
    )
    assert (test["s"][anomalous] > threshold).all() and test["anomalous"][anomalous].all()
    labels = test["label"][normal].tolist()
    assert len(set(labels)) == len(labels) > 1
    fits = test["in_test"] & ~test["anomalous"] & (test["s"] <= threshold)
    assert normal.tolist() == [
        np.flatnonzero(fits & (test["label"] == label))[0] for label in labels
    ]


def test_the_edge_figures_name_what_each_image_is_and_is_taken_for(mnist, leaves):
    blocks = qualitative.fig10([mnist]).subfigs
    axes = [ax for block in blocks for ax in block.axes]
    rows = qualitative.edge_cases(mnist, anomalous=True)[:10]
    expected = [
        f"4\n→ {taken}\ns = {s:#.2g}"
        for taken, s in zip(qualitative.taken_for(mnist, rows), mnist.scores[rows], strict=True)
    ]
    assert [label.get_text() for label in axes[1].get_xticklabels()] == expected and len(
        axes[1].patches
    ) == 10
    assert not axes[0].patches
    assert len([ax for block in qualitative.fig11([leaves]).subfigs for ax in block.axes]) == 4


def test_of_several_classes_held_out_the_worst_of_each_is_shown_in_turn(mnist):
    fig = qualitative.fig10([mnist, like(mnist, held_out=7), like(mnist, held_out=2)])
    false_alarms = [
        label.get_text().split("\n")[-1] for label in fig.subfigs[0].axes[0].get_xticklabels()
    ]
    assert false_alarms == ([f"({name} held\N{NO-BREAK SPACE}out)" for name in "472"] * 4)[:10]


def test_few_images_leave_places_empty(mnist, leaves):
    few = mnist.test["in_test"] & (np.cumsum(mnist.test["anomalous"]) <= 3)
    fig = qualitative.fig10([like(mnist, tested=few)])
    assert len(fig.subfigs[0].axes[1].get_xticklabels()) == 3
    none_in_the_second_line = leaves.test["in_test"] & (np.cumsum(leaves.test["anomalous"]) <= 8)
    assert (
        not qualitative.fig11([like(leaves, tested=none_in_the_second_line)])
        .subfigs[0]
        .axes[3]
        .get_xticklabels()
    )
    qualitative.fig9([like(mnist, tested=few)])


def test_classes_are_named_as_they_are_read():
    assert qualitative._plain("Ankle boot") == "Ankle boot"
    assert qualitative._plain("Cherry_(including_sour)___healthy") == "Cherry"
    assert (
        qualitative._plain("Tomato___Tomato_Yellow_Leaf_Curl_Virus")
        == "Tomato: Yellow Leaf Curl Virus"
    )
    assert qualitative._plain("Corn_(maize)___Common_rust_") == "Corn: Common rust"


def test_fig8_shows_the_auc_of_every_score(mnist):
    ax = scores.fig8([mnist]).axes[0]
    names = [*scores.PAPERS, *scores.POST_HOC]
    expected = [mnist.metrics[f"auc_{name}"] for name in names]
    assert said([ax])[: len(names)] == [f"{auc:.3f}" for auc in expected]
    assert [float(c.lines[0].get_xdata()[0]) for c in ax.containers] == pytest.approx(expected)
    assert {name.removeprefix("auc_") for name in mnist.metrics if name.startswith("auc_")} == {
        *names,
        *SINCE,
    }


def test_fig8_averages_seeds_first_and_then_classes(mnist):
    aucs = {(1, 0): 0.6, (1, 1): 0.8, (4, 0): 0.9}
    runs = [
        like(mnist, {"auc_s": auc}, held_out=held_out, seed=seed)
        for (held_out, seed), auc in aucs.items()
    ]
    ax = scores.fig8(runs).axes[0]
    (dot,) = ax.containers
    assert dot.lines[0].get_xdata() == pytest.approx([0.8])  # of 0.7 and 0.9
    low, high = dot.lines[2][0].get_segments()[0][:, 0]
    assert (low, high) == pytest.approx((0.7, 0.9))  # of the population
    assert said([ax]).count("–") == 11 and "2 classes in turn, 3 trainings" in ax.get_title()


def test_the_distributions_hold_every_test_image(mnist, leaves):
    axes = scores.score_distributions([mnist, leaves]).axes
    for ax, run in zip(axes, (mnist, leaves), strict=True):
        assert sum(bar.get_height() for bar in ax.patches) == pytest.approx(1)
        assert (
            max(ax.lines[0].get_ydata()) > 0 and f"AUC {run.metrics['auc']:.3f}" in ax.get_title()
        )


def test_accuracy_plot_has_a_point_a_run_that_has_both_numbers(mnist, leaves):
    points = [(0.5, 0.9), (0.6, 0.7), (0.7, 0.8), (0.8, 0.6), (0.9, 0.65)]
    runs = [like(mnist, dict(normal_accuracy=x, auc=y), seed=i) for i, (x, y) in enumerate(points)]
    runs += [
        like(mnist, {"auc": 0.5}),
        like(leaves, dict(normal_accuracy=0.3, auc=0.4), variant="A1"),
    ]
    runs += [like(leaves, dict(normal_accuracy=0.3, auc=0.4), method="classifier", name="control")]
    runs += [like(leaves, dict(normal_accuracy=0.3, auc=0.4), name="paper")]
    frame = pd.DataFrame(points, columns=["normal_accuracy", "auc"])
    assert accuracy.rank_correlation(frame) == pytest.approx(
        spearmanr(*zip(*points, strict=True)).statistic
    )
    assert math.isnan(accuracy.rank_correlation(frame[:4]))
    first, second, *empty = accuracy.accuracy_plot(runs).axes
    *dots, line, _ = first.lines
    assert [(dot.get_xdata()[0], dot.get_ydata()[0]) for dot in dots] == points
    slope, constant = np.polyfit(*zip(*points, strict=True), 1)  # one class: its own line
    assert line.get_ydata() == pytest.approx([constant + slope * 0.5, constant + slope * 0.9])
    assert (
        first.get_title() == "MNIST, n = 5, $\\rho$ = -0.80"
        and second.get_title() == "PlantVillage, n = 3"
    )
    assert [line.get_markerfacecolor() == "none" for line in second.lines[:-1]] == [
        False,
        False,
        True,
    ]  # hollow: not the first
    assert not any(ax.lines for ax in empty)


def test_figures_show_the_first_configuration_and_accuracy_all(smoke):
    study, _ = smoke

    def select(**wanted):
        """As if the study had every training with three draws, and Y-GAN in the paper's configuration too."""
        jobs = study.select(**wanted)
        draws = [
            Job(replace(j.config, seed=s, split_seed=p), j.group)
            for j in jobs
            for s, p in ((0, 0), (1, 0), (2, 1))
        ]
        return [
            *draws,
            *(Job(replace(j.config, name="paper"), "paper") for j in jobs if j.group == "balanced"),
        ]

    several = SimpleNamespace(select=select, jobs=select(group=("balanced", "paper")))
    for name in ("fig8", "fig9", "fig10", "fig11", "score_distributions"):
        assert {job.config.name for job in FIGURES[name].jobs(several)} == {"balanced"}
    four = ["mnist", "fmnist", "cifar10", "plantvillage"]
    for name in ("fig9", "score_distributions"):
        assert [job.config.dataset for job in FIGURES[name].jobs(several)] == four
    assert [job.config.dataset for job in FIGURES["fig10"].jobs(several)] == four[:3]
    assert [job.config.seed for job in FIGURES["fig10"].jobs(several)] == [0, 0, 0]
    assert len(FIGURES["fig8"].jobs(several)) == 12
    assert {job.config.name for job in FIGURES["accuracy_plot"].jobs(several)} == {
        "balanced",
        "paper",
        *NAMED,
    }


def step(run, epochs, last, averaged, **settings):
    """A run of another length, with another AUC of each kind of weights."""
    found = like(run, epochs=epochs, **settings)
    at = {"last": like(found, {"auc": last}), "averaged": like(found, {"auc": averaged})}
    return SimpleNamespace(config=found.config, about=run.about, classes=run.classes, at=at.get)


def test_the_ladder_has_a_dot_for_each_training_by_the_images_that_it_saw(smoke, mnist):
    control = smoke[0].run(smoke[0].select(dataset="mnist", group="classifier")[0])
    n = mnist.about["images"]["train"]
    runs = [
        step(mnist, 10, 0.8, 0.85),
        step(mnist, 1, 0.6, 0.65),
        step(mnist, 10, 0.9, 0.95, seed=1),
    ]
    runs += [step(control, 3, 0.7, 0.75)]
    auc = ladder.images_and_auc(runs[:3], "last")
    assert auc.index.tolist() == [n, 10 * n, 10 * n] and auc.tolist() == [0.6, 0.8, 0.9]
    (ax,) = ladder.ladder(runs).axes
    lines = {line.get_label(): line for line in ax.lines}
    line = lines["Y-GAN: balanced, averaged weights"]
    assert line.get_xdata().tolist() == [n, 10 * n] and line.get_ydata() == pytest.approx(
        [0.65, 0.85]
    )
    assert lines["Classifier: control, last weights"].get_ydata() == pytest.approx([0.7])
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert sum(len(line.get_xdata()) for line in dots) == 2 * len(runs) and ax.get_xscale() == "log"
    assert paper_auc("mnist", [4]) in [
        line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == ":"
    ]


def test_the_ladder_takes_the_other_trainings_of_the_same_cells(smoke):
    study, _ = smoke
    assert ladder.ladder_jobs(study) == []
    base = study.select(dataset="mnist", group="balanced")[0]
    steps = [Job(replace(base.config, epochs=epochs), "ladder") for epochs in (1, 5)]

    def select(group):
        return steps if group == "ladder" else study.select(group=group)

    assert ladder.ladder_jobs(SimpleNamespace(select=select)) == [base, *steps]


def test_color_mnists_figures_hold_what_they_say(smoke, monkeypatch):
    runs = list(smoke[1].values())
    monkeypatch.setattr(
        color_mnist, "maps", lambda wanted: [run.test[z][rows][:, :2] for run, z, rows in wanted]
    )
    for ax, run in zip(scores.score_distributions(runs).axes, runs, strict=True):
        assert sum(bar.get_height() for bar in ax.patches) == pytest.approx(1)
        assert f"AUC {run.metrics['auc']:.3f}" in ax.get_title()
    panels = color_mnist.fig6b(runs).axes
    for row, run in zip((panels[:4], panels[4:]), runs, strict=True):
        for ax in row:
            normal, anomalous = ax.collections
            assert len(anomalous.get_offsets()) == run.test["anomalous"].sum()
            assert len(normal.get_offsets()) == (~run.test["anomalous"]).sum()
    losses = color_mnist.color_mnist_losses(runs).axes
    assert [text.get_text() for text in losses[0].get_legend().texts] == ["balanced", "paper"]
    assert losses[4].lines[1].get_ydata() == pytest.approx(runs[1].losses["L_con"])


def test_grad_cam_is_drawn_and_saved(smoke, results, mnist, leaves):
    fig = draw(smoke[0], "fig9", [mnist, leaves])
    assert (results / "smoke/figures/fig9.png").exists() and (
        results / "smoke/figures/fig9.json"
    ).exists()
    assert [label.get_text() for label in fig.axes[0].get_yticklabels()] == [
        "image",
        "4 × 4",
        "16 × 16",
    ]
    assert len(fig.axes[0].images) == 18 and len(fig.axes[0].patches) == 3
