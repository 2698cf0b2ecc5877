"""python -m ygan_detector: from a folder to a page as a new user would, and wrong uses."""

import base64
import contextlib
import io
import os
import re
import shlex
import signal

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from PIL import Image
from processes import start, wait_for
from small_detector import CLASSES, write_folder

from ygan_detector import YGANDetector
from ygan_detector.command_line import run
from ygan_detector.page import histogram

SMALL = ["--epochs", "2", "--width", "4", "--image-size", "32", "--device", "cpu"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The layout of the authors' public code; some of the names are HTML, or no UTF-8."""
    root = tmp_path_factory.mktemp("with space")
    write_folder(root / "train" / "0.normal")
    write_folder(root / "test" / "0.normal", 4)
    odd = root / "test" / "1.abnormal" / "<b>odd&"
    odd.mkdir(parents=True)
    for i in range(4):
        pixels = np.random.RandomState(i).randint(0, 256, (60, 40, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(odd / f"<img src=x>{i}.png")
    if os.name == "posix":
        classes = os.fsencode(root / "train" / "0.normal")
        os.rename(classes + b"/round", classes + b"/M\xfcnze")
    return root


@pytest.fixture(scope="module")
def fitted(folder):
    """(the file of a detector, what `fit` printed, its warnings)"""
    target, out, err = folder / "a.ygan", io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert run(["fit", str(folder), "--save", str(target), *SMALL]) == 0
    return target, out.getvalue(), err.getvalue()


@pytest.fixture
def detector(fitted):
    return fitted[0]


def test_fit_says_what_it_chose_and_what_is_next(folder, fitted):
    target, out, err = fitted
    for line in (
        "the layout of the authors' public code",
        "recipe balanced, for several classes",
        f"saved {target}",
        f"score {shlex.quote(str(target))} FOLDER --page report.html",
    ):
        assert line in out
    assert "warning: threshold" in err and not list(folder.glob("*.training"))


def test_score_writes_a_table_and_a_page(folder, detector, capsys, tmp_path):
    page, table = tmp_path / "report.html", tmp_path / "scores.csv"
    line = ["score", str(detector), str(folder), "--page", str(page), "--csv", str(table)]
    assert run([*line, "--top", "10"]) == 0
    shown, rows = capsys.readouterr().out, pd.read_csv(table)
    assert list(rows) == ["file", "score", "anomaly", "truth", "class"] and len(rows) == 16
    assert rows["score"].is_monotonic_decreasing and rows["truth"].sum() == 4
    assert re.search(r"AUC [01]\.\d{3}; [\d.]+ % of the anomalies found, [\d.]+ % false", shown)
    assert f"{rows['anomaly'].sum()} of 16 images are above the threshold" in shown

    html = page.read_text(encoding="utf-8")
    cards = re.findall(r'<div class="name">(.*?)</div>', html)
    assert len(cards) == 10 and "<img src=x>" not in html and "<b>odd" not in html
    assert not re.search(r'(src|href)="(?!data:)', html) and "http" not in html
    assert html.count("data:image/jpeg;base64,") == 10 * (1 + 1 + 3)
    assert html.count("below the threshold") == 1 and 'name="viewport"' in html


@pytest.mark.parametrize("kind, rate", [("reconstruction", "0.9"), ("none", "0.01")])
def test_another_heat_map_and_another_threshold(folder, detector, tmp_path, capsys, kind, rate):
    page, new = tmp_path / "report.html", folder / "test" / "0.normal"
    line = ["score", str(detector), str(new), "--page", str(page)]
    assert run([*line, "--heat-map", kind, "--false-alarms", rate]) == 0
    anomalies = int(re.search(r"(\d+) of 12 images", capsys.readouterr().out).group(1))
    assert anomalies > 6 if rate == "0.9" else anomalies < 6
    shown = page.read_text(encoding="utf-8")
    assert ("heat map of" in shown) == (f"({kind})" in shown) == (kind != "none")
    assert ("No heat map is shown" in shown) == (kind == "none")


def test_the_histogram_parts_at_the_threshold_whatever_the_users_style_is():
    def drawn(*arguments):
        return base64.b64decode(histogram(*map(np.array, arguments))).decode()

    usual = drawn([0.001, 0.01, 0.2, 0.5], [0.001, 0.02, 0.1], 0.1)
    assert "#0173b2" in usual and "#b34700" in usual
    assert "<path" in drawn([0.1, 0.1], [0.1], 0.1)  # all the same
    import matplotlib

    with matplotlib.rc_context({"text.usetex": True, "axes.facecolor": "black"}):
        assert drawn([0.001, 0.01, 0.2, 0.5], [0.001, 0.02, 0.1], 0.1).count("<path") > 9


NEW, NONE = "{tmp}/new.ygan", "{tmp}/none"
FIT, SCORE = f"fit {{images}} --save {NEW}", "score {detector} {images}"


@pytest.mark.parametrize(
    "line, message",
    [
        (f"fit {NONE} --save {NEW}", "there is no"),
        (f"fit {{tmp}}/text --save {NEW}", "no image can be read"),
        (f"fit {{images}} --save {NONE}/a.ygan", "nothing can be written into"),
        ("fit {images} --save {detector}", "exists already: give another name, or --force"),
        ("fit {images} --save {images}", "is a folder"),
        ("fit {images}", "--save"),
        (f"{FIT} --minutes 0", "'minutes' parameter"),
        (f"{FIT} --image-size 100", "'image_size' parameter"),
        (f"score {NONE}.ygan {{images}}", "there is no file"),
        ("score {tmp}/text/a.txt {images}", "no detector of this version"),
        (f"{SCORE} --top 0", "--top"),
        (f"{SCORE} --csv {{detector}}", "give another name"),
        (f"{SCORE} --csv {NEW} --page {NEW}", "give another name"),
        ("export {detector} --onnx {detector}", "give another name"),
    ],
)
def test_wrong_uses_give_one_line_and_lose_nothing(
    folder, detector, tmp_path, capsys, line, message
):
    (tmp_path / "text").mkdir()
    for name in ("a.txt", "a.png"):
        (tmp_path / "text" / name).write_text("text")
    names, before = dict(tmp=tmp_path, images=folder, detector=detector), detector.read_bytes()
    try:
        status = run([word.format(**names) for word in line.split()])
    except SystemExit as stopped:  # argparse's
        status = stopped.code
    shown = capsys.readouterr().err.splitlines()
    (only,) = (text for text in shown if not text.startswith("warning: "))
    assert status == 2 and message in only
    assert detector.read_bytes() == before and not (tmp_path / "new.ygan").exists()


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_stopped_by_ctrl_c_the_same_command_goes_on(folder, tmp_path):
    target = tmp_path / "c.ygan"
    line = ["-m", "ygan_detector", "fit", folder, "--save", target, *SMALL[2:], "--epochs", "400"]
    process = start(*line)
    wait_for(lambda: list(tmp_path.glob("*/*/epoch-*.pt")) or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("stopped; the same command goes on")


def test_a_detector_that_cannot_be_saved_keeps_its_training(tmp_path, monkeypatch, capsys):
    images = write_folder(tmp_path / "images", 20)
    target = images / CLASSES[0] / "a.ygan"  # among the images, and so is the training

    def full(*_):
        raise OSError("No space left on device")

    line = ["fit", str(images), "--save", str(target), *SMALL]
    with monkeypatch.context() as patch:
        patch.setattr(YGANDetector, "save", full)
        assert run(line) == 2
        shown = capsys.readouterr()
        assert "epoch 2/2" in shown.out and "No space left" in shown.err
    (own,) = target.parent.glob("a.ygan.training/*/")
    assert (own / "epoch-00002.pt").exists()
    with FileLock(f"{own}.lock"):
        assert run(line) == 2 and "another process is training" in capsys.readouterr().err
    assert run(line) == 0 and target.exists() and not own.parent.exists()
    assert "epoch 1/2" not in (out := capsys.readouterr().out) and "epoch 2/2" not in out
