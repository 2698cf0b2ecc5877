import io
import re

import nbformat
import numpy as np
import pytest
import torch
from scipy import ndimage

from ygan_core.config import Config
from ygan_core.data import COLOURS, color_mnist
from ygan_study.measure.colours import read_background, read_ink
from ygan_core.data.datasets import REPOSITORY
from ygan_core.scores import s
from ygan_core.train import train
from ygan_study import Study, tour
from ygan_study.report.figures import FIGURES
from ygan_study.report.tables import TABLES
from ygan_study.run.shipped import shipped
from ygan_study.teach.widgets import SEVEN, ZERO, choice, digit, explore, pad, png, slider


@pytest.fixture(scope="module")
def runs():
    return [shipped("color_mnist-balanced"), shipped("color_mnist-paper-w32")]


@pytest.fixture(scope="module")
def rows(runs):
    return list(tour.examples(runs[0]).values())


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    return tour.live(Study("smoke", tmp_path_factory.mktemp("results")))


def same(one, other):
    pictures = []
    for fig in (one, other):
        fig.savefig(picture := io.BytesIO(), format="png", dpi=50)
        pictures.append(picture.getvalue())
    return pictures[0] == pictures[1]


def test_examples_are_what_they_are_called(runs):
    for name, row in tour.examples(runs[1]).items():
        colour, number = name.rsplit(" ", 1)
        assert (
            runs[1].test["label"][row] == int(number)
            and list(COLOURS)[runs[1].test["colour"][row]] == colour
        )
    assert read_background(runs[0].images(np.array([row]))).item() == runs[0].test["colour"][row]


def test_swap_changes_with_each_value_and_only_with_them(runs, rows):
    shown = tour.swap(runs[0], rows[2], rows[6])
    assert same(shown, tour.swap(runs[0], rows[2], rows[6]))
    for values in (
        (runs[1], rows[2], rows[6]),
        (runs[0], rows[3], rows[6]),
        (runs[0], rows[2], rows[7]),
    ):
        assert not same(shown, tour.swap(*values))


def test_walk_changes_with_each_way(runs, rows):
    shown = tour.walk(runs[0], rows[2], rows[6], 0.5, 0.5)
    assert not same(shown, tour.walk(runs[0], rows[2], rows[6], 0.75, 0.5))
    assert not same(shown, tour.walk(runs[0], rows[2], rows[6], 0.5, 0.75))


def test_the_threshold_says_what_it_does(runs):
    test = runs[0].test["in_test"]
    score, anomalous = runs[0].test["s"][test], runs[0].test["anomalous"][test]
    for t in (0.1, 0.5):
        heading = tour.threshold(runs[0], t).axes[0].get_title()
        rates = (score[anomalous] > t).mean(), (score[~anomalous] > t).mean()
        assert [f"{rate:.0%}" for rate in rates] == re.findall(r"\d+%", heading)
    assert not same(tour.threshold(runs[0], 0.1), tour.threshold(runs[0], 0.5))


def test_what_is_said_of_an_image_is_what_the_study_measured(runs):
    row = np.array([0])
    (said,) = tour.called(runs[0], runs[0].images(row))
    assert said.endswith(f"{runs[0].test['s'][0]:.2f}")
    assert "a 0" not in said  # C has no output for the digit held out
    assert s(torch.zeros(1, 9)).item() == pytest.approx(8 / 9)


def test_mistakes_are_drawn_worst_first(runs):
    labels = [tick.get_text() for tick in tour.mistakes(runs[0], 4).axes[0].get_xticklabels()]
    doubt = [float(label.split("=")[1]) for label in labels]
    assert len(doubt) == 4 and doubt == sorted(doubt, reverse=True)


def test_live_training_is_reproducible(live, tmp_path):
    again = tour.live(Study("smoke", tmp_path))
    assert not list(tmp_path.iterdir())
    numbers = [
        [(x.epoch, x.lambda_R, x.digit, x.probe_digit, x.probe_colour) for x in one.stages]
        for one in (live, again)
    ]
    assert numbers[0] == numbers[1]
    for one, other in zip(live.stages, again.stages, strict=True):
        assert all(
            torch.equal(p, q)
            for p, q in zip(one.model.parameters(), other.model.parameters(), strict=True)
        )


def test_a_training_takes_one_thread_whoever_calls_it():
    before, seen = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        config, images = (
            Config(width=8, epochs=1, batch_size=8),
            torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8),
        )
        train(
            config,
            images,
            torch.arange(16) % 2,
            callbacks=[lambda epoch: seen.append(torch.get_num_threads())],
        )
        assert seen == [1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_each_stage_keeps_its_own_networks(live):
    assert [stage.epoch for stage in live.stages] == list(range(live.config.epochs + 1))
    strengths = [stage.lambda_R for stage in live.stages]
    assert strengths == sorted(strengths) and strengths[0] == 0 and strengths[-1] > 0.9
    first, last = (stage.model.E_r.to_latent.weight for stage in (live.stages[0], live.stages[-1]))
    assert not torch.equal(first, last)
    assert all(
        0 <= value <= 1 for x in live.stages for value in (x.digit, x.probe_digit, x.probe_colour)
    )
    assert not same(tour.reversal(live, 0), tour.reversal(live, live.config.epochs))


def test_objective_leaves_out_a_term_of_no_weight(live, tmp_path):
    without = tour.live(Study("smoke", tmp_path, settings={"lambda_4": 0, "epochs": 1}))
    titles = [ax.get_title() for ax in tour.objective(without).axes]
    assert any("L_{r}" in text and text.endswith("= 0$") for text in titles)
    assert not same(tour.objective(live), tour.objective(without))


def test_a_drawn_digit_is_like_color_mnists():
    ink = (
        read_ink(color_mnist(32, images_per_class=100).images)
        .mean(dim=1)
        .quantile(torch.tensor([0.02, 0.98]))
    )
    for ground, strokes in enumerate((SEVEN, ZERO)):
        image = digit(strokes, ground)
        assert image.shape == (1, 3, 32, 32) and image.dtype == torch.uint8
        assert read_background(image).item() == ground
        dark = (image.amax(dim=1)[0] == 0).numpy()
        height, width = np.ptp(np.argwhere(dark), axis=0) + 1
        assert max(height, width) == pytest.approx(20 * 32 / 28, abs=2)
        assert np.allclose(ndimage.center_of_mass(dark), 15.5, atol=1)
        assert ink[0] < dark.mean() < ink[1]


def test_where_and_how_large_it_is_drawn_does_not_matter():
    small = [[(20 + x / 4, 100 + y / 4) for x, y in stroke] for stroke in SEVEN]
    assert torch.equal(digit(small, 2), digit(SEVEN, 2))
    assert not torch.equal(digit(SEVEN, 2), digit(ZERO, 2))


@pytest.mark.parametrize("strokes", [[], [[]]])
def test_nothing_drawn_is_bare_ground(strokes):
    assert (digit(strokes, 0) == torch.tensor([255, 0, 0])[:, None, None]).all()


def test_a_dot_or_a_line_is_drawn():
    assert 0 < read_ink(digit([[(5, 5)]], 1)).sum() < read_ink(digit([[(5, 5), (5, 200)]], 1)).sum()


def test_controls_redraw(runs, rows):
    values = slider("B", dict(zip("abc", rows, strict=False)), rows[1])
    assert not values.continuous_update
    box = explore(
        tour.swap,
        run=choice("network", {"one": runs[0], "other": runs[1]}),
        a=slider("A", rows, rows[0]),
        b=values,
    )
    seen = {bytes(box.picture.value)}
    for control, value in (
        (values, rows[2]),
        (box.children[0].children[0], runs[1]),
        (box.children[0].children[1], rows[5]),
    ):
        control.value = value
        seen.add(bytes(box.picture.value))
    assert len(seen) == 4 and all(png.startswith(b"\x89PNG") for png in seen)


def test_the_pad_shows_its_first_picture_then_takes_ground_and_clear(runs):
    first = tour.latents(runs[0], digit(SEVEN, 3))
    box = pad(runs[0], first)
    assert box.picture.value == png(first)
    colour, clear = box.children[0].children[0].children
    clear.click()
    red = box.picture.value
    assert red != png(first)
    colour.value = 2
    assert box.picture.value != red
    colour.value = 0
    clear.click()
    assert box.picture.value == red


def test_where_no_widget_is_alive_the_first_picture_is_there(runs, monkeypatch):
    box, outputs = (
        explore(
            tour.threshold,
            run=choice("network", {"one": runs[0]}),
            t=slider("threshold", [0.1, 0.5], 0.5),
        ),
        [],
    )
    monkeypatch.setattr("IPython.display.display", lambda shown, **how: outputs.append(shown))
    box._ipython_display_()
    plain, alive = outputs
    assert plain.data == box.picture.value
    assert (
        alive["application/vnd.jupyter.widget-view+json"]["model_id"] == box.model_id
        and "VBox" not in alive["text/plain"]
    )


def cells(kind):
    book = nbformat.read(REPOSITORY / "notebooks" / "00_tour.ipynb", as_version=4)
    return "\n".join(cell.source for cell in book.cells if cell.cell_type == kind)


def test_no_cell_asks_for_a_training_of_the_study():
    assert not {*FIGURES, *TABLES} & set(re.findall(r"\w+", cells("code")))


def test_the_lines_that_the_notebook_quotes_are_there():
    text = cells("markdown")
    quoted = re.findall(r"\*\*The line\*\* \(`(.+?)`\): `(.+?)`\n", text + "\n")
    assert (
        len(quoted)
        == text.count("**The line** (")
        == len(re.findall(r"^## \d+ ·", text, re.MULTILINE))
    )
    for file, line in quoted:
        assert line in (REPOSITORY / file).read_text(), f"{file} has no longer: {line}"
