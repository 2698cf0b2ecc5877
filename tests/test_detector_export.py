"""ONNX: the exported file gives the same scores. Skipped without the extra `export`."""

import json
import sys

import numpy as np
import pytest
from small_detector import TINY, pictures, trained

from ygan_detector import DetectorError, YGANDetector
from ygan_detector.command_line import run

pytestmark = pytest.mark.filterwarnings("ignore:threshold", "ignore:C recog")
SHAPES = [(5, 32, 32), (1, 64, 64), (2, 200, 131), (3, 20, 47), (1, 1, 1), (65, 33, 40)]


@pytest.fixture(scope="module", params=["balanced, grey", "features"])
def exported(request, tmp_path_factory):
    """(a detector, the session that runs its ONNX file)"""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    folder, (images, labels) = tmp_path_factory.mktemp("onnx"), pictures()
    if request.param == "features":
        detector = YGANDetector(**{**TINY, "recipe": "features", "image_size": 64})
        detector.fit(images, labels)
    else:
        detector = YGANDetector(**TINY).fit(images[..., 0], labels)
    detector.save(folder / "a.ygan")
    assert run(["export", str(folder / "a.ygan"), "--onnx", str(folder / "a.onnx")]) == 0
    return detector, onnxruntime.InferenceSession(folder / "a.onnx")


def test_an_exported_detector_gives_the_same_scores_and_says_what_they_mean(exported):
    detector, session = exported
    channels, random = detector.channels_, np.random.RandomState(0)
    batches = [random.randint(0, 256, (*shape, channels)).astype(np.uint8) for shape in SHAPES]
    trained_on = pictures()[0][..., :channels]  # the one nearest to the threshold among them
    for images in (*batches, trained_on):
        score, anomaly, chosen = session.run(None, {"images": images})
        table = detector.examine(images)
        assert np.abs(score - table["score"]).max() < 1e-5
        assert np.array_equal(anomaly, table["anomaly"])
        assert np.array_equal(detector.classes_[chosen], table["class"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == ["0", "1", "2"]
    assert float(metadata["threshold"]) == detector.threshold_
    assert "higher score is more anomalous" in metadata["sign"]


def test_without_the_package_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(DetectorError, match=r"needs the package onnx: pip install -e '\.\[export"):
        trained().export_onnx(tmp_path / "a.onnx")
