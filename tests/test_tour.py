"""The class tour: its pictures show what they say, and change with each value of a slider."""

import re
from functools import partial

import nbformat
import numpy as np
import pytest
import torch
from scipy import ndimage

from ygan_core.data import COLOURS, color_mnist
from ygan_core.data.datasets import REPOSITORY
from ygan_study import Study
from ygan_study.measure.colours import read_background, read_ink
from ygan_study.report.figures import FIGURES
from ygan_study.report.tables import TABLES
from ygan_study.run import pretrained
from ygan_study.teach import tour, widgets
from ygan_study.teach.widgets import SEVEN, ZERO, choice, digit, explore, png, slider


@pytest.fixture(scope="module")
def runs():
    return [pretrained("color_mnist-balanced"), pretrained("color_mnist-paper-w32")]


def test_examples_are_what_they_are_called(runs):
    for name, row in tour.examples(runs[1]).items():
        colour, number = name.rsplit(" ", 1)
        assert runs[1].test["label"][row] == int(number)
        assert list(COLOURS)[runs[1].test["colour"][row]] == colour
    assert read_background(runs[0].images(np.array([row]))).item() == runs[0].test["colour"][row]


@pytest.mark.parametrize("draw", [tour.swap, partial(tour.walk, s=0.5, r=0.25)])
def test_a_picture_is_of_the_network_that_was_chosen(runs, draw):  # for its sliders: the browser
    a, *_, b = tour.examples(runs[0]).values()
    assert png(draw(runs[0], a, b), dpi=50) != png(draw(runs[1], a, b), dpi=50)


def test_the_threshold_says_what_it_does(runs):
    test = runs[0].test["in_test"]
    score, anomalous = runs[0].test["s"][test], runs[0].test["anomalous"][test]
    for t in (0.1, 0.5):
        heading = tour.threshold(runs[0], t).axes[0].get_title()
        rates = (score[anomalous] > t).mean(), (score[~anomalous] > t).mean()
        assert [f"{rate:.0%}" for rate in rates] == re.findall(r"\d+%", heading)


def test_what_is_said_of_an_image_is_what_the_study_measured(runs):
    (said,) = tour.called(runs[0], runs[0].images(np.array([0])))
    assert said.endswith(f"{runs[0].test['s'][0]:.2f}")
    assert "a 0" not in said  # C has no output for the digit held out


def test_live_training_is_reproducible_and_keeps_the_networks_of_each_epoch(tmp_path):
    study = Study("smoke", tmp_path, settings={"epochs": 2, "lambda_4": 0})
    live, again = tour.live(study), tour.live(study)
    assert not list(tmp_path.iterdir())
    assert live.stages.equals(again.stages)
    assert list(live.stages.index) == [0, 1, 2]
    strengths = live.stages["lambda_R"]
    assert strengths.is_monotonic_increasing and strengths[0] == 0 and strengths[2] > 0.9
    assert live.stages.drop(columns="lambda_R").stack().between(0, 1).all()
    weights = [model.E_r.to_latent.weight for model in live.models]
    assert not torch.equal(weights[0], weights[-1])
    assert torch.equal(weights[-1], again.models[-1].E_r.to_latent.weight)
    titles = [ax.get_title() for ax in tour.objective(live).axes]  # also of a term of no weight
    assert any("L_{r}" in text and text.endswith("= 0$") for text in titles)


def test_a_drawn_digit_is_like_color_mnists():
    ink = read_ink(color_mnist(32, images_per_class=100).images).mean(dim=1)
    usual = ink.quantile(torch.tensor([0.02, 0.98]))
    for colour, strokes in enumerate((SEVEN, ZERO)):
        image = digit(strokes, colour)
        assert read_background(image).item() == colour
        dark = (image.amax(dim=1)[0] == 0).numpy()
        height, width = np.ptp(np.argwhere(dark), axis=0) + 1
        assert max(height, width) == pytest.approx(20 * 32 / 28, abs=2)
        assert np.allclose(ndimage.center_of_mass(dark), 15.5, atol=1)
        assert usual[0] < dark.mean() < usual[1]
    small = [[(20 + x / 4, 100 + y / 4) for x, y in stroke] for stroke in SEVEN]
    assert torch.equal(digit(small, 2), digit(SEVEN, 2))  # where and how large does not matter


def test_the_pad_shows_its_first_picture_then_takes_background_and_clear(runs, monkeypatch):
    fig, seen = tour.networks(runs[0]), []
    monkeypatch.setattr(widgets, "latents", lambda run, images: seen.append(images) or fig)
    box = widgets.pad(runs[0], fig)
    assert box.picture.value == png(fig) and not seen
    colour, clear = box.children[0].children[0].children
    clear.click()
    colour.value = 2
    assert [read_background(image).item() for image in seen] == [0, 2]
    assert all(image.unique(dim=3).shape[3] == 1 for image in seen)  # nothing is drawn


def test_where_no_widget_is_alive_the_first_picture_is_there(runs, monkeypatch):
    network = choice("network", {"one": runs[0]})
    box, outputs = explore(tour.threshold, run=network, t=slider("t", [0.1, 0.5], 0.5)), []
    monkeypatch.setattr("IPython.display.display", lambda shown, **how: outputs.append(shown))
    box._ipython_display_()
    plain, alive = outputs
    assert plain.data == box.picture.value
    assert alive["application/vnd.jupyter.widget-view+json"]["model_id"] == box.model_id
    assert "VBox" not in alive["text/plain"]


def cells(kind):
    book = nbformat.read(REPOSITORY / "notebooks" / "00_tour.ipynb", as_version=4)
    return "\n".join(cell.source for cell in book.cells if cell.cell_type == kind)


def test_no_cell_asks_for_a_training_of_the_study():
    assert not {*FIGURES, *TABLES} & set(re.findall(r"\w+", cells("code")))


def test_the_lines_that_the_notebook_quotes_are_there():
    text = cells("markdown") + "\n"
    quoted = re.findall(r"\*\*The line\*\* \(`(.+?)`\): `(.+?)`\n", text)
    assert len(quoted) == len(re.findall(r"^## \d+ ·", text, re.MULTILINE))
    for file, line in quoted:
        assert line in (REPOSITORY / file).read_text(), f"{file} has no longer: {line}"
