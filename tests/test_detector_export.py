"""ONNX: the exported file says what the detector says, whatever is fed to both. Skipped without the extra `export`."""

import json
import sys

import numpy as np
import pytest
from small_detector import pictures, trained

from ygan_detector import DetectorError, YGANDetector
from ygan_detector.command_line import run

pytestmark = pytest.mark.filterwarnings("ignore:threshold")
SHAPES = [(5, 32, 32), (1, 64, 64), (2, 200, 131), (3, 20, 47), (1, 1, 1), (70, 33, 40)]


@pytest.fixture(scope="module", params=["colour", "grey"])
def exported(request, tmp_path_factory):
    """(the detector, its channels, the session that runs its ONNX file)."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    detector, path = trained(), tmp_path_factory.mktemp("onnx") / "a.onnx"
    if request.param == "grey":
        images, labels = pictures()
        detector = YGANDetector(**{**detector.get_params(), "recipe": "classifier"}).fit(
            images[..., 0], labels
        )
    detector.export_onnx(path)
    return detector, detector.channels_, onnxruntime.InferenceSession(path)


def test_an_exported_detector_gives_the_same_scores(exported):
    detector, channels, session = exported
    for n, height, width in SHAPES:
        images = (
            np.random.RandomState(n).randint(0, 256, (n, height, width, channels)).astype(np.uint8)
        )
        score, anomaly, logits = session.run(None, {"images": images})
        assert np.abs(score - detector.decision_function(images)).max() < 1e-5
        assert np.array_equal(anomaly, detector.predict(images)) and logits.shape == (n, 3)


def test_on_images_of_the_training_too_the_nearest_to_the_threshold_among_them(exported):
    detector, channels, session = exported
    images = pictures()[0][..., :channels]
    score, anomaly, logits = session.run(None, {"images": images})
    assert np.abs(score - detector.decision_scores_).max() < 1e-5 and np.array_equal(
        anomaly, detector.labels_
    )
    assert np.array_equal(detector.classes_[logits.argmax(1)], detector.examine(images)["class"])


def test_its_metadata_name_classes_threshold_and_sign(exported):
    detector, _, session = exported
    about = session.get_modelmeta().custom_metadata_map
    assert (
        json.loads(about["classes"]) == ["0", "1", "2"]
        and float(about["threshold"]) == detector.threshold_
    )
    assert "higher score is more anomalous" in about["sign"]


def test_the_command_line_exports(tmp_path, capsys):
    pytest.importorskip("onnxscript")
    trained().save(tmp_path / "a.ygan")
    assert run(["export", str(tmp_path / "a.ygan"), "--onnx", str(tmp_path / "a.onnx")]) == 0
    assert (
        tmp_path / "a.onnx"
    ).stat().st_size > 1000 and "uint8 (n, height, width, channels)" in capsys.readouterr().out


def test_without_the_package_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        DetectorError, match=r"needs the package onnx: pip install -e '\.\[export\]'"
    ):
        trained().export_onnx(tmp_path / "a.onnx")
