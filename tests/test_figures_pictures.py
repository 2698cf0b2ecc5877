"""Figures of images and latents: what they show is what the runs hold."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from made_up import like

from ygan_core.data import species
from ygan_core.data.augment import OPERATIONS
from ygan_core.data.datasets import PLANTS
from ygan_core.metrics import eer_threshold
from ygan_core.model import YGAN
from ygan_core.scores import to_input
from ygan_study.measure.batch_statistics import APART, RUNNING, SHUFFLED
from ygan_study.plan.jobs import Job
from ygan_study.plan.settings import DATASETS
from ygan_study.report.figures import FIGURES, base, explained, qualitative, scores, tsne
from ygan_study.report.figures import images as pictures
from ygan_study.run.folder import Run


@pytest.fixture
def points(monkeypatch):
    """What t-SNE was asked for; its maps are the rows, so that points can be told apart."""
    asked = []

    def maps(wanted):
        asked.extend(wanted)
        return [np.stack([rows, rows], axis=1).astype(float) for _, _, rows in wanted]

    monkeypatch.setattr(tsne, "maps", maps)
    return asked


def said(ax):
    return [text.get_text() for text in ax.texts]


def tiles(ax, columns):
    """The tiles (rows, columns, S, S, 3) that `show_grid` put into an axes, without their rims."""
    (image,) = ax.images
    sheet = np.asarray(image.get_array())
    side = sheet.shape[1] // columns
    rim, rows = side // 34, sheet.shape[0] // side
    sheet = sheet.reshape(rows, side, columns, side, 3).swapaxes(1, 2)
    return sheet[:, :, rim : side - rim, rim : side - rim]


def pixels(run, rows):
    return run.images(np.array(rows)).expand(-1, 3, -1, -1).movedim(1, -1).numpy()


def marks(ax):
    """The points of a scatter of latents by kind: {anomalous: [(x, marker's colour)]}."""
    found = {False: [], True: []}
    for half, kind in ((ax.collections[: len(ax.collections) // 2], False),
                       (ax.collections[len(ax.collections) // 2 :], True)):  # fmt: skip
        for group in half:
            colour = group.get_facecolor()[0][:3]
            found[kind] += [(int(x), tuple(colour)) for x in group.get_offsets()[:, 0]]
    return found


def test_fig2_says_every_layer_and_the_weight_of_every_term_there_is(color):
    texts = said(explained.fig2([color]).axes[0])
    for name, part in color.model().named_children():
        assert f"${name}$\n{sum(p.numel() for p in part.parameters()):,}" in texts
    assert texts.count("8×16×16") == 4 and "3×32×32" in texts  # E_s, E_r, D, Ds
    terms = "\n".join(texts)
    for term, number in explained.EQUATIONS.items():
        weight = color.config.weights[term]
        assert f"${weight:g}\\,L_{{{term[2:]}}}$, Eq. {number}" in terms
    without = Run(Job(replace(color.config, lambda_2=0.0)), color.folder, color.weights)
    assert "L_{adv}" not in "\n".join(said(explained.fig2([without]).axes[0]))
    assert "8×16×16" not in said(explained.architecture([color]).axes[0])


def test_fig1_shows_the_quartile_of_each_kind_that_lies_away_from_the_other(color):
    test, ax = color.test, explained.fig1([color]).axes[0]
    rows = explained.quartile_rows(color)
    for row, kind, q, bars in zip(rows, (False, True), (0.25, 0.75), ax.child_axes, strict=True):
        here = test["in_test"] & (test["anomalous"] == kind)
        assert here[row] and np.quantile(test["s"][here], q) == pytest.approx(
            test["s"][row], abs=np.diff(np.sort(test["s"][here])).max()
        )
        p = [bar.get_height() for bar in bars.patches]
        assert sum(p) == pytest.approx(1, abs=1e-5)
        assert 1 - max(p) == pytest.approx(test["s"][row], abs=1e-5)
        assert [label.get_text() for label in bars.get_xticklabels()] == list("123456789")


def test_a_pair_is_of_two_normal_digits_on_two_backgrounds(color, ygan_of):
    for run in (color, ygan_of("mnist")):
        pairs = explained.example_pairs(run, 3)
        label, colour = run.test["label"], run.test.get("colour", np.arange(len(run.test["label"])))
        assert len({label[x] for x, _ in pairs}) == 3
        assert not run.test["anomalous"][np.ravel(pairs)].any()
        assert all(label[x] != label[y] and colour[x] != colour[y] for x, y in pairs)


def test_fig3_shows_the_cosines_of_eq_9(color):
    model, texts = color.model(), said(explained.fig3([color]).axes[0])
    for x, other in explained.example_pairs(color, 3):
        with torch.inference_mode():
            z_s = model.E_s(to_input(color.images(np.array([x, other]))))
            z_r = model.E_r(to_input(color.images(np.array([other]))))
            back = model.E_s(model.D(z_s[:1], z_r))[0]
        cosines = [float(F.cosine_similarity(z_s[0], z, dim=0)) for z in (back, z_s[1])]
        assert f"cosine {cosines[0]:.3f}" in texts
        assert f"$z_s$ of $x$, $x'$: {cosines[1]:.3f}" in texts


def test_fig4_frames_the_class_held_out_and_names_what_is_missing(ygan_of):
    first, absent, last = pictures.fig4([ygan_of("mnist"), ygan_of("cifar10")]).axes
    assert absent.get_title() == "FMNIST: not trained" and not absent.images
    for ax, name in ((first, "mnist"), (last, "cifar10")):
        run, (frame,) = ygan_of(name), ax.patches
        assert 4 < frame.get_y() < frame.get_y() + frame.get_height() < 5 < frame.get_width()
        shown = tiles(ax, 6)
        for label in range(10):
            images = pixels(run, np.flatnonzero(run.test["label"] == label)[:6])
            assert (shown[label, : len(images)] == images).all()


def test_fig5_frames_the_diseased_leaves_and_says_which_species_has_none(ygan_of):
    run = ygan_of("plantvillage")
    test, plants = run.test, np.array(species(run.classes))[run.test["label"]]
    axes = pictures.fig5([run]).axes
    names = [label.get_text() for ax in axes for label in ax.get_yticklabels()]
    assert names == sorted(set(plants)) and set(names) <= set(PLANTS)
    sick = {name: int((test["anomalous"] & (plants == name)).sum()) for name in names}
    well = {name: int((~test["anomalous"] & (plants == name)).sum()) for name in names}
    assert sum(len(ax.patches) for ax in axes) == sum(min(3, count) for count in sick.values())
    assert all(patch.get_x() >= 3 for ax in axes for patch in ax.patches)
    none = [name for kinds in (sick, well) for name, count in kinds.items() if not count]
    assert [text for ax in axes for text in said(ax)] == ["none"] * len(none) and none


def test_augmentation_shows_every_operation_and_leaves_the_first_column_alone(ygan_of):
    run = ygan_of("plantvillage")
    top, bottom = pictures.plantvillage_augmentation([run]).subfigs
    assert [ax.get_title() for ax in top.axes if ax.get_title()] == ["as it is", *OPERATIONS]
    shown, normal = tiles(bottom.axes[0], 8), pixels(run, np.flatnonzero(~run.test["anomalous"]))
    assert all((normal == leaf).all(axis=(1, 2, 3)).any() for leaf in shown[:, 0])
    assert (shown[:, 1:] != shown[:, :1]).any(axis=(2, 3, 4)).mean() > 0.9


def hybrid(run, top, left):
    """D(z_s of the one row, z_r of the other) of run.test, (S, S, 3)."""
    z_s, z_r = (torch.from_numpy(run.test[z][[i]]) for z, i in (("z_s", top), ("z_r", left)))
    with torch.inference_mode():
        return ((run.model().D(z_s, z_r)[0] + 1) * 127.5).round().movedim(0, -1).numpy()


def test_a_swap_has_the_z_s_of_its_column_and_the_z_r_of_its_row(color):
    (ax,) = pictures.swaps([color]).axes
    shown, images = tiles(ax, 10), pixels(color, range(len(color.test["s"])))
    of = {image.tobytes(): row for row, image in enumerate(images)}
    top, left = of[shown[0, 3].tobytes()], of[shown[4, 0].tobytes()]
    assert np.abs(shown[4, 3] - hybrid(color, top, left)).max() <= 1 and (shown[0, 0] == 255).all()
    assert color.test["label"][top] == 3 and not color.test["anomalous"][left]


def test_fig7_shows_each_normal_class_once_and_its_reconstruction(ygan_of):
    run = ygan_of("cifar10")
    (ax,) = pictures.fig7([run]).axes
    shown = tiles(ax, 2 + 5)
    rows = [np.flatnonzero(run.test["label"] == label)[0] for label in range(10) if label != 4]
    assert (shown[0, 2:] == pixels(run, rows[::2])).all()
    assert (shown[2:, 0] == pixels(run, rows[1::2])).all()
    assert np.abs(shown[1, 2] - hybrid(run, rows[0], rows[0])).max() <= 1


def test_tsne_draws_up_to_250_images_of_a_class_and_outlines_the_anomalies(ygan_of, points):
    run = ygan_of("mnist")
    many = like(run, test={name: np.repeat(fact, 30, axis=0) for name, fact in run.test.items()})
    many.__dict__["pictured"] = lambda: many
    fig = pictures.tsne_latents([many])
    assert [name for _, name, _ in points] == ["z_s", "z_r"]
    label, anomalous = many.test["label"], many.test["anomalous"]
    counts = np.bincount(label[points[0][2]])
    assert (counts == np.minimum(np.bincount(label), 250)).all() and counts.max() == 250
    for ax in fig.axes:
        for kind, found in marks(ax).items():
            rows = [row for row, _ in found]
            assert (anomalous[rows] == kind).all()
            expected = np.array(base.CLASS_COLOURS)[label[rows]]
            np.testing.assert_allclose([colour for _, colour in found], expected)
    labels = [text.get_text() for text in fig.legends[0].texts]
    assert sorted(labels) == sorted([*"0123", "4 (anomalous)", *"56789"])


@pytest.mark.parametrize("steps", [0, 2])
def test_grad_cam_is_the_relu_of_the_map_weighted_by_its_mean_gradients(ygan_of, steps):
    model, images = ygan_of("mnist").model(), ygan_of("mnist").images(np.arange(4))
    till = len(model.E_s.features) - 3 * steps
    for image, found in zip(images, qualitative.grad_cam(model, images, steps), strict=True):
        f = model.E_s.features[:till](to_input(image[None])).detach().requires_grad_()
        logits = model.C(model.E_s.to_latent(model.E_s.features[till:](f)).flatten(1))
        gradient = torch.autograd.grad(logits[0, logits.argmax()], f)[0]
        heat = (gradient.mean(dim=(2, 3), keepdim=True) * f.detach()).sum(1, keepdim=True).relu()
        assert heat.shape[-1] == 4 * 2**steps and heat.max() > heat.min()
        for size in (None, 32):  # scaled by itself before it is enlarged, and after
            heat = F.interpolate(heat, size, mode="bilinear") if size else heat
            heat = (heat - heat.min()) / (heat.max() - heat.min())
        torch.testing.assert_close(found, heat[0, 0], atol=1e-3, rtol=0)
    assert not any(module._forward_hooks for module in model.modules())


def test_edge_cases_are_the_extremes_and_ties_go_by_index():
    test = dict(
        index=np.array([50, 40, 30, 20, 10, 5, 4]),
        anomalous=np.array([False, False, False, True, True, True, True]),
        in_test=np.array([True, True, True, True, True, True, False]),
    )
    run = SimpleNamespace(test=test, scores=np.array([0.5, 0.9, 0.5, 0.3, 0.3, 0.2, 0.0]))
    assert qualitative.edge_cases(run, anomalous=False).tolist() == [1, 2, 0]
    assert qualitative.edge_cases(run, anomalous=True).tolist() == [5, 4, 3]


@pytest.mark.parametrize("name", ["mnist", "plantvillage"])
def test_the_class_an_image_is_taken_for_is_what_c_says(name, ygan_of):
    run = ygan_of(name)
    normal = np.flatnonzero(~run.test["anomalous"])
    names = np.array(run.classes)[run.test["label"][normal]]
    right = names == np.array(qualitative.taken_for(run, normal))
    assert right.mean() == pytest.approx(run.metrics["normal_accuracy"])


def test_grad_cam_shows_the_first_images_told_right_each_of_another_class(ygan_of):
    run = ygan_of("mnist")
    test, tested = run.test, run.test["in_test"]
    threshold, _ = eer_threshold(test["s"][tested], test["anomalous"][tested])
    normal, anomalous = (qualitative.first_right(run, kind, 5) for kind in (False, True))
    assert (test["s"][anomalous] > threshold).all() and test["anomalous"][anomalous].all()
    fits = np.flatnonzero(tested & ~test["anomalous"] & (test["s"] <= threshold))
    labels, first = np.unique(test["label"][fits], return_index=True)
    assert normal.tolist() == sorted(fits[first])[: len(normal)] and len(labels) > 1


def test_the_edge_figures_name_what_each_image_is_and_is_taken_for(ygan_of):
    run, other = ygan_of("mnist"), ygan_of("cifar10")
    several = [run, *(like(run, {"held_out": held_out}) for held_out in (7, 2))]
    first, second = qualitative.edge_cases_sheet([*several, other]).subfigs
    last = [label.get_text().split("\n")[-1] for label in first.axes[0].get_xticklabels()]
    assert last == ([f"({name} out)" for name in "472"] * 3)[:8]  # the worst of each in turn
    rows = qualitative.edge_cases(other, anomalous=True)[:8]
    taken = qualitative.taken_for(other, rows)
    expected = [
        f"Deer\n→ {t}\ns = {s:#.2g}" for t, s in zip(taken, other.scores[rows], strict=True)
    ]
    assert [label.get_text() for label in second.axes[1].get_xticklabels()] == expected
    assert len(second.axes[1].patches) == 8 and not second.axes[0].patches


def test_edge_cases_that_are_not_there_are_left_white(ygan_of):
    leaves = ygan_of("plantvillage")
    few = leaves.test["in_test"] & (np.cumsum(leaves.test["anomalous"]) <= 3)
    sheet = qualitative.edge_cases_sheet([like(leaves, test=leaves.test | {"in_test": few})])
    assert [len(ax.get_xticklabels()) for ax in sheet.subfigs[0].axes[2:]] == [3, 0]


def test_the_image_is_scored_with_each_of_the_statistics(ygan_of):
    run = ygan_of("cifar10")
    panels = np.array(scores.one_image_in_batches([run]).axes).reshape(3, 3)
    tested = np.flatnonzero(run.test["in_test"])
    same = (pixels(run, tested) == tiles(panels[0, 0], 1)[0, 0]).all(axis=(1, 2, 3))
    (place,) = np.flatnonzero(same)
    assert run.test["anomalous"][tested[place]]
    lines = [row[2].lines[-1].get_xdata()[0] for row in panels]
    assert lines[0] == pytest.approx(run.test["s"][tested[place]], abs=1e-5)
    assert lines[0] != lines[1]
    for row, setting in zip(panels, ((RUNNING, 1), (SHUFFLED, 64), (APART, 64)), strict=True):
        assert f"AUC {run.batch_statistics[setting]:.3f}" in row[2].get_title()
        assert sum(bar.get_height() for bar in row[2].patches) == pytest.approx(1)
    anomalies = pixels(run, tested[run.test["anomalous"][tested]])
    neighbours = tiles(panels[2, 1], 7).reshape(14, 32, 32, 3)
    assert all((anomalies == image).all(axis=(1, 2, 3)).any() for image in neighbours)


def test_pictures_are_of_the_first_ygan_in_full(smoke):
    for name, wanted in {"fig4": DATASETS[1:4], "fig9": DATASETS[1:], "fig2": DATASETS[:1]}.items():
        asked = [job.config for job in FIGURES[name].jobs(smoke[0])]
        assert [config.dataset for config in asked] == list(wanted), name
        assert {(c.key, c.variant, c.seed) for c in asked} == {("balanced", "full", 0)}
    assert FIGURES["fig7_paper_size"].jobs(smoke[0]) == []  # of the reference edition alone


def test_layer_shapes_are_what_the_layers_put_out_and_no_hook_is_left():
    model = YGAN(1, 64, 4, 10, 30, 5).eval()
    found = explained.layer_shapes(model, 1, 64)
    down = [(4, 32, 32), (8, 16, 16), (16, 8, 8), (32, 4, 4)]
    assert found["E_s"] == found["E_r"] == [*down, (10, 1, 1)]
    assert found["D"] == [*down[::-1], (1, 64, 64)] and found["Ds"] == [*down, (1, 1, 1)]
    assert found["C"] == [(30,), (5,)]
    assert not any(module._forward_hooks for module in model.modules())


def test_tsne_of_leaves_is_by_species_and_draws_no_more_diseased_ones_than_healthy(ygan_of, points):
    run = ygan_of("plantvillage")
    fig = pictures.tsne_latents([run])
    plants, sick, rows = (
        np.array(species(run.classes))[run.test["label"]],
        run.test["anomalous"],
        points[0][2],
    )
    ill, well = (Counter(plants[kind]) for kind in (sick, ~sick))
    assert len(set(rows)) == len(rows) and Counter(plants[rows][~sick[rows]]) == well
    assert well["Orange"] == 0 < ill["Orange"]  # without healthy leaves: as few as of any species
    for name, count in Counter(plants[rows][sick[rows]]).items():
        assert count == min(ill[name], well[name] or min(well.values()))
    labels = [text.get_text() for text in fig.legends[0].texts]
    assert sorted(labels) == sorted([*set(plants), "diseased"])
