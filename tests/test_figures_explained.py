from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from ygan_core.data import species
from ygan_core.data.augment import OPERATIONS
from ygan_core.model import YGAN
from ygan_core.scores import to_input
from ygan_study.plan.jobs import Job, first_seeds
from ygan_study.plan.settings import DATASETS
from ygan_study.report.figures import base, color_mnist, datasets, draw, explained, latents
from ygan_study.run.folder import MissingWeights, Run
from ygan_study.run.records import write_record


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def color(smoke):
    return smoke[1]["balanced"]


@pytest.fixture(scope="module")
def trained(smoke):
    """The smoke profile's first Y-GAN of a dataset."""
    return lambda name: smoke[0].run(smoke[0].select(dataset=name, group="balanced")[0])


@pytest.fixture
def points(monkeypatch):
    """t-SNE takes seconds, and what is drawn does not hang on it: what it was asked for, with the rows as their own map."""
    asked = []

    def maps(wanted):
        asked.extend(wanted)
        return [np.stack([rows, rows], axis=1).astype(float) for _, _, rows in wanted]

    monkeypatch.setattr(latents, "maps", maps)
    return asked


def said(ax):
    return [text.get_text() for text in ax.texts]


def legend(fig):
    return {
        text.get_text(): handle
        for text, handle in zip(fig.legends[0].texts, fig.legends[0].legend_handles, strict=True)
    }


def test_layer_shapes_are_what_the_layers_put_out_and_no_hook_is_left():
    model = YGAN(1, 64, 4, 10, 30, 5).eval()
    found = explained.layer_shapes(model, 1, 64)
    assert (
        found["E_s"]
        == found["E_r"]
        == [(4, 32, 32), (8, 16, 16), (16, 8, 8), (32, 4, 4), (10, 1, 1)]
    )
    assert found["D"] == [(32, 4, 4), (16, 8, 8), (8, 16, 16), (4, 32, 32), (1, 64, 64)]
    assert found["Ds"] == [(4, 32, 32), (8, 16, 16), (16, 8, 8), (32, 4, 4), (1, 1, 1)]
    assert found["C"] == [(30,), (5,)]
    assert not any(module._forward_hooks for module in model.modules())


def test_fig2_says_every_layer_and_the_weight_of_every_term_there_is(color):
    ax = explained.fig2([color]).axes[0]
    counts = {
        name: sum(p.numel() for p in part.parameters())
        for name, part in color.model().named_children()
    }
    assert {f"${name}$\n{count:,} parameters" for name, count in counts.items()} <= set(said(ax))
    assert said(ax).count("8×16×16") == 4 and "3×32×32" in said(ax)  # E_s, E_r, D, Ds
    boxes = {text for text in said(ax) if "Eq." in text}
    assert {text.split("Eq. ")[1] for text in boxes} == set(
        "345689"
    ) and "$10\\,L_{con}$ Eq. 9" in boxes
    without = Run(Job(replace(color.config, lambda_2=0.0)), color.folder, color.weights)
    assert boxes - set(said(explained.fig2([without]).axes[0])) == {"$1\\,L_{adv}$ Eq. 4"}


def test_fig2_has_a_place_for_the_layers_of_large_images(color, monkeypatch):
    large = Run(Job(replace(color.config, image_size=256)), color.folder, color.weights)
    monkeypatch.setattr(
        Run, "images", lambda run, rows: torch.zeros(len(rows), 3, 256, 256, dtype=torch.uint8)
    )
    monkeypatch.setattr(
        Run, "model", lambda run: YGAN(3, run.config.image_size, 4, 100, 30, 9).eval()
    )
    ax = explained.fig2([large]).axes[0]
    assert "3×256×256" in said(ax) and "128×4×4" in said(ax)
    ax.figure.draw_without_rendering()
    edges = [
        (box.x0, box.y0, box.x1, box.y1) for box in (text.get_window_extent() for text in ax.texts)
    ]
    low, high = ax.transData.transform([(0, 0), (99, 59.5)])
    assert all(
        (box[:2] >= low - 1).all() and (box[2:] <= high + 1).all() for box in map(np.array, edges)
    )


def test_fig1_shows_the_middle_score_of_each_kind(color):
    test, ax = color.test, explained.fig1([color]).axes[0]
    for row, kind, bars in zip(
        explained.middle_rows(color), (False, True), ax.child_axes, strict=True
    ):
        here = test["in_test"] & (test["anomalous"] == kind)
        assert (
            here[row]
            and (test["s"][here] < test["s"][row]).sum()
            <= here.sum() // 2
            <= (test["s"][here] <= test["s"][row]).sum()
        )
        p = [bar.get_height() for bar in bars.patches]
        assert sum(p) == pytest.approx(1, abs=1e-5) and 1 - max(p) == pytest.approx(
            test["s"][row], abs=1e-5
        )
        assert [label.get_text() for label in bars.get_xticklabels()] == list("123456789")
        assert bars.get_title() == f"$s = {test['s'][row]:.3f}$"


def test_a_pair_is_of_two_normal_digits_on_two_grounds(color):
    pairs = explained.example_pairs(color, 3)
    label, ground = color.test["label"], color.test["colour"]
    assert (
        len({label[x] for x, _ in pairs}) == 3
        and not color.test["anomalous"][np.ravel(pairs)].any()
    )
    assert all(label[x] != label[other] and ground[x] != ground[other] for x, other in pairs)


def test_pairs_are_found_where_there_are_no_grounds(trained):
    run = trained("mnist")
    assert all(
        run.test["label"][x] != run.test["label"][other]
        for x, other in explained.example_pairs(run, 3)
    )


def test_fig3_shows_the_cosines_of_eq_9(color):
    model, texts = color.model(), said(explained.fig3([color]).axes[0])
    for x, other in explained.example_pairs(color, 3):
        with torch.inference_mode():
            z_s = model.E_s(to_input(color.images(np.array([x, other]))))
            z_r = model.E_r(to_input(color.images(np.array([other]))))
            back = model.E_s(model.D(z_s[:1], z_r))[0]
        cosine = [float(z_s[0] @ z / (z_s[0].norm() * z.norm())) for z in (back, z_s[1])]
        assert (
            f"cosine {cosine[0]:.3f}" in texts
            and f"$z_s$ of $x$ and $x'$: {cosine[1]:.3f}" in texts
        )


def test_fig4_outlines_the_class_held_out_and_names_what_is_missing(trained):
    first, absent, last = datasets.fig4([trained("mnist"), trained("cifar10")]).axes
    assert (
        first.get_title() == "MNIST\n4 as the anomaly"
        and last.get_title() == "CIFAR10\nDeer as the anomaly"
    )
    assert absent.get_title() == "FMNIST: no run" and not absent.images
    for ax in (first, last):
        assert len(ax.images) == 80 and len(ax.get_yticklabels()) == 10
        assert [patch.get_bbox().bounds for patch in ax.patches] == [(0, 4, 8, 1)]


def test_fig5_outlines_the_diseased_leaves_and_says_which_species_has_none(trained):
    run = trained("plantvillage")
    test, plants = run.test, np.array(species(run.classes))
    axes = datasets.fig5([run]).axes
    names = [label.get_text() for ax in axes for label in ax.get_yticklabels()]
    assert names == sorted(set(plants)) and set(names) <= set(base.SPECIES_COLOURS)
    sick = {name: (test["anomalous"] & (plants[test["label"]] == name)).sum() for name in names}
    assert sum(len(ax.patches) for ax in axes) == sum(min(3, count) for count in sick.values())
    assert all(patch.get_x() >= 3 for ax in axes for patch in ax.patches)
    well = {name: (~test["anomalous"] & (plants[test["label"]] == name)).sum() for name in names}
    none = [name for kinds in (sick, well) for name, count in kinds.items() if not count]
    assert [text for ax in axes for text in said(ax)] == ["none"] * len(none) and none


def test_augmentation_shows_every_operation_and_leaves_the_first_column_alone(trained):
    run = trained("plantvillage")
    top, bottom = datasets.plantvillage_augmentation([run]).subfigs
    assert [ax.get_title() for ax in top.axes if ax.get_title()] == ["as it is", *OPERATIONS]
    assert len([ax for ax in top.axes if ax.images]) == 1 + 3 * len(OPERATIONS)
    shown = np.stack([image.get_array() for image in bottom.axes[0].images]).reshape(
        5, 8, 64, 64, 3
    )
    normal = run.images(np.flatnonzero(~run.test["anomalous"])).permute(0, 2, 3, 1).numpy()
    assert all((normal == leaf).all(axis=(1, 2, 3)).any() for leaf in shown[:, 0])
    assert (shown[:, 1:] != shown[:, :1]).any(axis=(2, 3, 4)).mean() > 0.9


def test_fig7_shows_images_of_normal_classes_no_training_saw_and_their_reconstructions(trained):
    run = trained("cifar10")
    (ax,) = latents.fig7([run]).axes
    images = [image.get_array() for image in ax.images]
    rows = [np.flatnonzero(run.test["label"] == label) for label in range(10) if label != 4]
    tops = run.images(np.array([own[0] for own in rows])).permute(0, 2, 3, 1).numpy()
    assert len(images) == (2 + 6) * (2 + 9) and (np.stack(images[2:11]) == tops).all()
    z_s, z_r = (torch.from_numpy(run.test[z][[rows[0][0]]]) for z in ("z_s", "z_r"))
    with torch.inference_mode():
        rebuilt = ((run.model().D(z_s, z_r)[0] + 1) * 127.5).round().permute(1, 2, 0).numpy()
    assert np.abs(images[11 + 2] - rebuilt).max() <= 1  # below the first image on top


def test_tsne_draws_each_image_in_its_classes_colour_and_outlines_the_anomalies(trained, points):
    run = trained("mnist")
    fig = latents.tsne_latents([run])
    assert [name for _, name, _ in points] == [
        "z_s",
        "z_r",
    ] and f"AUC {run.metrics['auc']:.3f}" in fig.get_suptitle()
    for ax in fig.axes:
        normal, anomalous = ax.collections
        for drawn, kind in ((normal, False), (anomalous, True)):
            rows = drawn.get_offsets()[:, 0].astype(int)
            assert sorted(rows) == np.flatnonzero(run.test["anomalous"] == kind).tolist()
            expected = np.array(base.CLASS_COLOURS)[run.test["label"][rows]]
            np.testing.assert_allclose(drawn.get_facecolors()[:, :3], expected)
        assert (anomalous.get_edgecolors()[:, :3] == 0).all() and (
            normal.get_edgecolors()[:, :3] > 0
        ).all()
    assert list(legend(fig)) == [*"0123", "4 (anomalous)", *"56789"]


def test_tsne_of_leaves_is_by_species_and_draws_no_more_diseased_ones_than_healthy(trained, points):
    run = trained("plantvillage")
    fig = latents.tsne_latents([run])
    plants, sick = np.array(species(run.classes))[run.test["label"]], run.test["anomalous"]
    rows = points[0][2]
    assert len(set(rows)) == len(rows)
    counts = {
        name: [(plants[rows] == name)[sick[rows] == kind].sum() for kind in (False, True)]
        for name in set(plants)
    }
    there = {
        name: [((plants == name) & (sick == kind)).sum() for kind in (False, True)]
        for name in set(plants)
    }
    fewest = min(healthy for healthy, _ in there.values() if healthy)
    for name, (healthy, diseased) in there.items():
        assert counts[name] == [healthy, min(diseased, healthy or fewest)]
    assert there["Orange"][0] == 0 < counts["Orange"][1] < there["Orange"][1]
    for drawn in fig.axes[0].collections:
        rows = drawn.get_offsets()[:, 0].astype(int)
        expected = [to_rgb(base.SPECIES_COLOURS[plant]) for plant in plants[rows]]
        np.testing.assert_allclose(drawn.get_facecolors()[:, :3], expected)
    assert list(legend(fig)) == [*sorted(set(plants)), "diseased"]


def test_tsne_takes_no_more_than_250_of_a_class(trained, points, monkeypatch):
    run = trained("mnist")
    many = {name: np.repeat(fact, 30, axis=0) for name, fact in run.test.items()}
    monkeypatch.setitem(run.__dict__, "test", many)
    latents.tsne_latents([run])
    labels, counts = np.unique(many["label"][points[0][2]], return_counts=True)
    assert counts.max() == 250 and (counts == np.minimum(np.bincount(many["label"]), 250)).all()


def test_a_map_is_made_once_and_anew_of_other_latents(trained, monkeypatch, tmp_path):
    run = trained("mnist")
    monkeypatch.setattr(Run, "cache", tmp_path)
    calls = []
    monkeypatch.setattr(base, "tsne", lambda z: calls.append(len(z)) or z[:, :2])
    monkeypatch.setattr(
        base, "Parallel", lambda n_jobs, backend: lambda tasks: [f(*args) for f, args, _ in tasks]
    )
    rows = np.arange(20)
    first = base.maps([(run, "z_s", rows), (run, "z_r", rows)])
    again = base.maps([(run, "z_s", rows), (run, "z_r", rows)])
    assert calls == [20, 20] and all(
        np.array_equal(a, b) for a, b in zip(first, again, strict=True)
    )
    assert np.array_equal(first[1], run.test["z_r"][rows, :2])
    base.maps([(run, "z_s", rows[:19])])
    assert calls == [20, 20, 19]


def test_tsne_is_the_same_again_and_another_from_another_start():
    z = np.random.RandomState(0).randn(60, 5).astype(np.float32)
    first = base.tsne(z)
    assert first.shape == (60, 2) and np.array_equal(first, base.tsne(z, random_state=0))
    assert not np.allclose(first, base.tsne(z, random_state=1))


def test_the_fourteen_species_have_colours_apart():
    rgb = np.array([to_rgb(colour) for colour in base.SPECIES_COLOURS.values()])
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = (
        linear
        @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
        / (0.9505, 1, 1.089)
    )
    x, y, z = np.cbrt(xyz).T
    lab = np.stack(
        [116 * y, 500 * (x - y), 200 * (y - z)], axis=1
    )  # CIE L*a*b*, where 2.3 is just noticeable
    apart = np.linalg.norm(lab[:, None] - lab, axis=2)[np.triu_indices(14, 1)]
    assert len(rgb) == 14 and apart.min() > 30


def test_each_view_asks_for_the_first_ygan_in_full(smoke):
    views = {**explained.VIEWS, **datasets.VIEWS, **latents.VIEWS}
    asked = {name: [job.config for job in view.jobs(smoke[0])] for name, view in views.items()}
    wanted = {"fig4": ["mnist", "fmnist", "cifar10"], "fig5": ["plantvillage"], "fig7": ["cifar10"]}
    wanted |= {name: ["color_mnist"] for name in ("fig1", "fig2", "fig3")} | {
        "plantvillage_augmentation": ["plantvillage"]
    }
    wanted |= {f"tsne_{name}": [name] for name in DATASETS[1:]}
    wanted |= {"fig7_paper_size": [], "tsne_paper_size": []}  # of the reference edition alone
    assert {
        name: [config.dataset for config in configs] for name, configs in asked.items()
    } == wanted
    every = [config for configs in asked.values() for config in configs]
    settings = {
        (c.method, c.variant, c.deviation, c.labels, c.name, c.seed, c.split_seed) for c in every
    }
    assert settings == {("ygan", "full", "none", "true", "balanced", 0, 0)}


def test_a_title_names_the_configuration_and_the_weights(smoke):
    images = smoke[1]["balanced"].about["images"]["train"]
    extent = f"width 8, {images} images, 3 epochs"
    assert base.title(smoke[1]["balanced"]) == f"balanced, averaged weights: {extent}"
    assert base.title(smoke[1]["paper"]) == f"paper, last weights: {extent}"
    assert base.title(smoke[1]["balanced"].at("last")) == f"balanced, last weights: {extent}"


def test_the_first_draw_of_each_cell(color):
    runs = [Run(Job(replace(color.config, **changes)), color.folder) for changes in (
        {}, {"seed": 1}, {"held_out": 3, "seed": 2}, {"seed": 2, "split_seed": 1}, {"held_out": 3})]  # fmt: skip
    assert first_seeds(runs) == [runs[0], runs[2]]


def test_a_figure_is_drawn_and_saved(smoke, results, color, read_json):
    draw(smoke[0], "fig2", [color])
    assert all(
        (results / f"smoke/figures/fig2.{ending}").exists()
        for ending in ("png", "pdf", "webp", "json")
    )
    about = read_json(results / "smoke/figures/fig2.json")
    assert (about["profile"], about["jobs"], about["weights"]) == (
        "smoke",
        [color.job.id],
        ["averaged"],
    )
    assert about["commit"] and len(about["code"]) == 64


def test_without_a_run_the_figure_says_so(smoke):
    (ax,) = draw(smoke[0], "fig2", [], suffix="_empty").axes
    assert said(ax) == ["The profile smoke has no training for this figure."]


def test_a_record_is_drawn_from_its_own_files(smoke, color, monkeypatch):
    study, _ = smoke
    record = write_record(study, color)
    monkeypatch.setattr(type(study), "path", lambda *_: study.root / "nowhere")
    shown = base.pictured([record])[0]
    assert (
        0 < len(shown.test["index"]) <= len(color.test["index"])
        and shown.metrics["auc"] == color.metrics["auc"]
    )
    assert said(explained.fig1([record]).axes[0])[:5] == said(explained.fig1([color]).axes[0])[:5]
    color_mnist.fig6a([record])


def test_a_record_without_networks_is_left_out_of_pictures(color, tmp_path):
    bare = Run(color.job, tmp_path)
    bare.__dict__["test"] = color.test
    assert base.pictured([bare, color]) == [color]
    with pytest.raises(MissingWeights, match="a record without weights"):
        base.pictured([bare])
