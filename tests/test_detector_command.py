"""python -m ygan_detector: from a folder to a page, as a new user would; the twenty ways to be wrong; the page itself."""

import base64
import io
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from PIL import Image
from small_detector import CLASSES, pictures, trained, write_folder

from ygan_detector import YGANDetector
from ygan_detector.command_line import run
from ygan_detector.page import BINS, PLOT, histogram

SMALL = ["--epochs", "2", "--width", "4", "--image-size", "32", "--device", "cpu"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The layout of the authors' public code, a name that is HTML among the files."""
    root = tmp_path_factory.mktemp("images")
    write_folder(root / "train" / "0.normal", 30)
    write_folder(root / "test" / "0.normal", 4)
    odd = root / "test" / "1.abnormal" / "<b>odd&"
    odd.mkdir(parents=True)
    for i in range(4):
        pixels = np.random.RandomState(i).randint(0, 256, (60, 40, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(odd / f"<img src=x>{i}.png")
    return root


@pytest.fixture(scope="module")
def detector(folder):
    path = folder / "a.ygan"
    assert run(["fit", str(folder), "--save", str(path), *SMALL]) == 0
    return path


def test_fit_says_what_it_chose_and_what_is_next(folder, capsys):
    assert run(["fit", str(folder), "--save", str(folder / "b.ygan"), *SMALL]) == 0
    shown = capsys.readouterr()
    for line in (
        "authors' public code, 3 normal classes",
        "90 colour images of 32 to 32 px, resized to 32 x 32 px",
        "width 4, augmentation none, 2 epochs",
        "3 classes; 72 images to train on, 18 left untrained",
        "epoch 2/2",
        "0.0 min left",
        f"saved {folder / 'b.ygan'}",
        "--page report.html",
    ):
        assert line in shown.out
    assert "warning: threshold" in shown.err and not (folder / "b.ygan.training").exists()


def test_score_writes_a_table_and_a_page(folder, detector, capsys, tmp_path):
    page, table = tmp_path / "report.html", tmp_path / "scores.csv"
    assert (
        run(
            [
                "score",
                str(detector),
                str(folder),
                "--page",
                str(page),
                "--csv",
                str(table),
                "--top",
                "10",
            ]
        )
        == 0
    )
    shown = capsys.readouterr().out
    rows = pd.read_csv(table)
    assert list(rows) == ["file", "score", "anomaly", "truth", "class"] and len(rows) == 16
    assert rows["score"].is_monotonic_decreasing and rows["truth"].sum() == 4
    assert re.search(
        r"AUC [01]\.\d{3}; [\d.]+ % of the anomalies found, [\d.]+ % false alarms", shown
    )
    assert f"{rows['anomaly'].sum()} of 16 images are above the threshold" in shown

    html = page.read_text(encoding="utf-8")
    cards = re.findall(r'<div class="name">(.*?)</div>', html)
    assert (
        len(cards) == 10 and "<img src=x>" not in html and "<b>odd" not in html
    )  # what is a name stays one
    assert (
        cards[0].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == rows["file"][0]
    )
    assert (
        not re.search(r'(src|href)="(?!data:)', html) and "http" not in html
    )  # nothing is fetched
    pictures_shown = re.findall(r"data:image/jpeg;base64,([^\"]+)", html)
    assert len(pictures_shown) == 10 * (1 + 1 + 3)
    sizes = [
        Image.open(io.BytesIO(base64.b64decode(content))).size for content in pictures_shown[:5]
    ]
    assert sizes[0] == sizes[1] and sizes[2:] == [(64, 64)] * 3
    assert html.count("below the threshold") == 1 and 'name="viewport"' in html


def test_another_rate_another_threshold(folder, detector, capsys):
    def alarms(*options):
        assert run(["score", str(detector), str(folder), *options]) == 0
        return int(re.search(r"(\d+) of 16 images", capsys.readouterr().out).group(1))

    assert alarms("--false-alarms", "0.9") > alarms("--false-alarms", "0.01")


@pytest.mark.parametrize("means", ["doubt", "reconstruction", "hybrid"])
def test_each_heat_map_makes_a_page(folder, detector, tmp_path, means):
    page = tmp_path / "report.html"
    line = [
        "score",
        str(detector),
        str(folder / "test" / "1.abnormal"),
        "--page",
        str(page),
        "--heat-map",
        means,
    ]
    assert run(line) == 0 and f"({means})" in page.read_text()


def test_the_histogram_parts_at_the_threshold():
    scores, normal = np.array([0.001, 0.01, 0.2, 0.5]), np.array([0.001, 0.02, 0.1])
    drawn = histogram(scores, normal, 0.1)
    assert len(drawn["bars"]) >= BINS and sum(height for *_, height, _ in drawn["bars"]) > 0
    for x, y, width, _, above in drawn["bars"]:
        assert 0 <= x and x + width <= PLOT[0] + 1e-6 and 0 <= y <= PLOT[1] + 1e-6
        assert above == (x >= drawn["threshold"] - 1e-6)
    shares = [height for *_, height, above in drawn["bars"] if above]
    assert sum(shares) == pytest.approx(sum(height for *_, height, _ in drawn["bars"]) / 2)
    assert [text for _, text in drawn["ticks"]] == ["0.001", "0.01", "0.1"]
    assert histogram(scores[:1], normal[:1], 0.001)["bars"]  # all the same


def _wrong(folder, detector, tmp_path):
    """Wrong uses, and a part of the line that each gives."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("text")
    (tmp_path / "few").mkdir()
    Image.fromarray(pictures(1)[0][0]).save(tmp_path / "few" / "a.png")
    (tmp_path / "no.ygan").write_text("text")
    fit, images, new = ["fit"], str(folder), str(tmp_path / "new.ygan")
    return {
        "no folder": ([*fit, str(tmp_path / "none"), "--save", new], "there is no"),
        "an empty folder": (
            [*fit, str(tmp_path / "empty"), "--save", new],
            "no image that can be read",
        ),
        "no images": ([*fit, str(tmp_path / "text"), "--save", new], "no image that can be read"),
        "one image": ([*fit, str(tmp_path / "few"), "--save", new], "needs 20 at least"),
        "a file for a folder": (
            [*fit, str(tmp_path / "few" / "a.png"), "--save", new],
            "needs 20 at least",
        ),
        "nowhere to save": (
            [*fit, images, "--save", str(tmp_path / "none" / "a.ygan")],
            "there is no folder",
        ),
        "saved over another": ([*fit, images, "--save", str(detector)], "is there already"),
        "saved over a folder": ([*fit, images, "--save", images], "is there already"),
        "without --save": ([*fit, images], "--save"),
        "a word for a number": ([*fit, images, "--save", new, "--minutes", "ten"], "--minutes"),
        "no time": ([*fit, images, "--save", new, "--minutes", "0"], "minutes is a number above 0"),
        "an odd size": ([*fit, images, "--save", new, "--image-size", "100"], "image_size is 32"),
        "an unknown recipe": (
            [*fit, images, "--save", new, "--recipe", "best"],
            "recipe is one of",
        ),
        "an unknown device": ([*fit, images, "--save", new, "--device", "gpu"], "no device 'gpu'"),
        "a rate in per cent": (
            [*fit, images, "--save", new, "--false-alarms", "5"],
            "a share between 0 and 1",
        ),
        "no detector": (["score", str(tmp_path / "none.ygan"), images], "fit a detector"),
        "another file": (["score", str(tmp_path / "no.ygan"), images], "is no detector"),
        "nothing to score": (
            ["score", str(detector), str(tmp_path / "empty")],
            "no image that can be read",
        ),
        "nowhere for the page": (
            ["score", str(detector), images, "--page", str(tmp_path / "none" / "a.html")],
            "no folder",
        ),
        "a page of none": (["score", str(detector), images, "--top", "0"], "--top"),
        "an unknown map": (
            ["score", str(detector), images, "--heat-map", "warm"],
            "heat_map is auto",
        ),
        "an unknown verb": (["train", images], "invalid choice"),
        "a table over the detector": (
            ["score", str(detector), images, "--csv", str(detector)],
            "give another name",
        ),
        "a page over the table": (
            ["score", str(detector), images, "--csv", new, "--page", new],
            "give another name",
        ),
        "ONNX over the detector": (
            ["export", str(detector), "--onnx", str(detector)],
            "give another name",
        ),
        "nowhere for ONNX": (
            ["export", str(detector), "--onnx", str(tmp_path / "none" / "a.onnx")],
            "there is no folder",
        ),
    }


def test_wrong_uses_give_one_line_and_lose_nothing(folder, detector, tmp_path, capsys):
    before = detector.read_bytes()
    for what, (line, said) in _wrong(folder, detector, tmp_path).items():
        capsys.readouterr()
        try:
            status = run(line)
        except SystemExit as stopped:  # argparse's
            status = stopped.code
        shown = [
            text
            for text in capsys.readouterr().err.splitlines()
            if not text.startswith("warning: ")
        ]
        assert status == 2, what
        assert len(shown) == 1 and said in shown[0], (what, shown)
    assert detector.read_bytes() == before and not (tmp_path / "new.ygan").exists()


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_stopped_by_ctrl_c_the_same_command_goes_on(folder, tmp_path):
    line = [
        sys.executable,
        "-m",
        "ygan_detector",
        "fit",
        str(folder),
        "--save",
        str(tmp_path / "c.ygan"),
        *SMALL[2:],
    ]
    line += ["--epochs", "400"]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # a shell in the background lets its children ignore this signal
    process = subprocess.Popen(
        line, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **pipes
    )
    place = tmp_path / "c.ygan.training"
    while not list(place.glob("epoch-*.pt")) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130 and errors.splitlines()[-1].startswith(
        "stopped; the same command goes on"
    )
    assert "Traceback" not in errors and list(place.glob("epoch-*.pt"))


def test_a_detector_that_cannot_be_saved_keeps_its_training(tmp_path, monkeypatch, capsys):
    flat = (
        write_folder(tmp_path / "images", 20) / CLASSES[0]
    )  # the detector lies among the images, and so does its training
    target = flat / "a.ygan"

    def full(*_):
        raise OSError("No space left on device")

    line = ["fit", str(flat.parent), "--save", str(target), *SMALL]
    with monkeypatch.context() as patch:
        patch.setattr(YGANDetector, "save", full)
        assert run(line) == 2
        said = capsys.readouterr()
        assert "epoch 2/2" in said.out and "No space left" in said.err
    place = flat / "a.ygan.training"
    assert (place / "epoch-00002.pt").exists()
    with FileLock(place / ".lock"):
        assert run(line) == 2 and "another process trains in" in capsys.readouterr().err
    assert run(line) == 0 and target.exists() and not place.exists()
    assert (
        "epoch 1/2" not in (out := capsys.readouterr().out) and "epoch 2/2" not in out
    )  # nothing was trained again


def test_what_the_page_of_a_detector_without_decoder_shows(tmp_path):
    write_folder(tmp_path / "new", 2)
    trained(recipe="classifier").save(tmp_path / "d.ygan")
    line = [
        "score",
        str(tmp_path / "d.ygan"),
        str(tmp_path / "new"),
        "--page",
        str(tmp_path / "r.html"),
    ]
    assert run(line) == 0 and "(doubt)" in (tmp_path / "r.html").read_text()
    assert all(f"{name}/" in (tmp_path / "r.html").read_text() for name in CLASSES)
