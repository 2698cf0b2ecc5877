"""Heat maps, the lesions by which they are compared; ONNX (skipped without the extra `export`)."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_detector import TINY, pictures, trained

from ygan_core import scores
from ygan_detector import DetectorError, YGANDetector, lesions
from ygan_detector.command_line import run
from ygan_detector.lesions import masks, measure
from ygan_detector.network import HEAT_MAPS, smooth

IMAGES = pictures(6, seed=2)[0].transpose(0, 3, 1, 2)
pytestmark = pytest.mark.filterwarnings("ignore:threshold", "ignore:C recog")


def leaf_with_a_spot():
    """A green disc with a brown spot on grey, and the masks of both."""
    v, u = np.mgrid[:64, :64]
    leaf = (v - 32) ** 2 + (u - 32) ** 2 < 24**2
    spot = (v - 36) ** 2 + (u - 26) ** 2 < 7**2
    image = np.full((64, 64, 3), 130, np.uint8)
    image[leaf], image[spot] = (60, 140, 50), (130, 90, 40)
    return image, leaf, spot


def test_the_masks_are_the_leaf_without_its_edge_and_what_is_brown_on_it():
    image, leaf, spot = leaf_with_a_spot()
    found_leaf, found_spot = masks(image)
    assert not (found_leaf & ~leaf).any() and found_leaf.sum() > 0.8 * leaf.sum()
    assert not (found_spot & ~spot).any() and found_spot.sum() > 0.8 * spot.sum()


def test_a_map_is_measured_on_the_leaf_alone():
    _, leaf, spot = leaf_with_a_spot()
    noise = np.random.RandomState(0).random_sample(leaf.shape).astype(np.float32)
    of_the_spot, of_the_leaf = (measure(m + noise / 9, leaf, spot) for m in (spot, leaf))
    assert of_the_spot["auroc"] == of_the_spot["on_lesions"] == 1
    assert of_the_leaf["auroc"] == pytest.approx(0.5, abs=0.1)
    assert of_the_leaf["on_lesions"] == pytest.approx(of_the_leaf["covered"], abs=0.1)


def test_the_comparison_has_a_row_for_each_heat_map(monkeypatch):
    monkeypatch.setattr(lesions, "LEAVES", replace(lesions.LEAVES, images_per_class=20))
    examples = lesions.diseased_leaves()
    assert len({image.tobytes() for image, *_ in examples}) == len(examples) > 20
    monkeypatch.setattr(lesions, "diseased_leaves", lambda: examples[:3])
    table = lesions.compare(["balanced"], epochs=1, width=4, image_size=64, verbose=False)
    assert tuple(table["heat_map"]) == HEAT_MAPS["balanced"] and (table["leaves"] == 3).all()
    assert table[["auroc", "on_lesions", "covered"]].map(lambda v: 0 <= v <= 1).all(axis=None)


@pytest.mark.parametrize("kind", HEAT_MAPS["balanced"])
def test_maps_have_the_shape_of_the_images_and_see_each_alone(kind):
    detector, images = trained(), torch.from_numpy(IMAGES)
    maps = detector.heat_maps(images, kind)
    assert maps.shape == (18, 32, 32) and maps.dtype == torch.float32
    assert (maps >= 0).all() and maps.std() > 0
    alone = torch.cat([detector.heat_maps(image[None], kind) for image in images])
    assert torch.allclose(maps, alone, atol=1e-4 * float(maps.max()))
    normal = torch.from_numpy(pictures()[0]).permute(0, 3, 1, 2)
    left_out = np.isin(detector.decision_scores_, detector.calibration_scores_)
    above = (detector.heat_maps(normal[left_out], kind) > 1).double().mean()
    assert above == pytest.approx(1e-3, abs=2e-4)


def test_a_classifiers_best_map_is_none():
    assert trained(recipe="classifier").heat_map_ == "none"


def test_reconstruction_and_hybrid_by_hand():
    detector, x = trained(), scores.to_input(torch.from_numpy(IMAGES))
    networks, mean_z_r = detector.model_.networks, detector.model_.mean_z_r
    with torch.inference_mode():
        z_s, z_r, x_hat, logits = networks(x)
        hybrid = networks.D(z_s, mean_z_r[logits.argmax(1)])
        for kind, other in (("reconstruction", x_hat), ("hybrid", hybrid)):
            ours = getattr(detector.model_, kind)(x)
            assert torch.allclose(ours, smooth((x - other).square().mean(1)), atol=1e-5)
    images, labels = pictures()
    z_r = scores.encode(networks, torch.from_numpy(images).permute(0, 3, 1, 2)).z_r
    learnt = ~np.isin(detector.decision_scores_, detector.calibration_scores_)
    expected = torch.stack([z_r[learnt & (labels == label)].mean(0) for label in range(3)])
    assert torch.allclose(mean_z_r, expected, atol=1e-5)


def test_the_uncertainty_map_is_the_gradient_of_the_log_odds_of_s():
    model, x = trained().model_.networks, scores.to_input(torch.from_numpy(IMAGES))
    maps = model.E_s.features[:6](x).detach().requires_grad_()  # 8 x 8, before the last halving
    s = scores.s(model.C(model.E_s.to_latent(model.E_s.features[6:](maps)).flatten(1)))
    (gradient,) = torch.autograd.grad((s / (1 - s)).log().sum(), maps)
    by_hand = (gradient.mean((2, 3), keepdim=True) * maps).sum(1, keepdim=True).relu().detach()
    assert by_hand.shape == (18, 1, 8, 8)
    large = torch.nn.functional.interpolate(by_hand, (32, 32), mode="bilinear")[:, 0]
    ours = trained().model_.uncertainty(x)
    assert torch.allclose(ours, large, rtol=1e-3, atol=1e-6)


def test_the_distance_map_of_features_finds_a_spot():
    image, leaf, spot = leaf_with_a_spot()
    plain = np.where(leaf[..., None], (60, 140, 50), 130)
    noise = np.random.RandomState(0).randint(-9, 9, (30, 64, 64, 3))
    normal = (plain + noise).astype(np.uint8)
    detector = YGANDetector(**{**TINY, "recipe": "features", "image_size": 64}).fit(normal)
    heat = detector.heat_maps(torch.from_numpy(image).permute(2, 0, 1)[None], "distance")[0]
    assert measure(heat.numpy(), leaf, spot)["auroc"] > 0.9


# ONNX

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
