"""Heat maps, the defects by which they are compared, and how the comparison counts."""

import numpy as np
import pytest
import torch
from small_detector import TINY, pictures, trained

from ygan_core import scores
from ygan_detector.defects import DEFECTS, SMALLEST, VISIBLE, damage, pixel_auroc, pro
from ygan_detector.localisation import compare, padim_maps
from ygan_detector.network import HEAT_MAPS, smooth
from ygan_study.methods.padim import PaDiM
from ygan_study.plan.settings import Settings

IMAGES = pictures(6, seed=2)[0].transpose(0, 3, 1, 2)
pytestmark = pytest.mark.filterwarnings("ignore:threshold", "ignore:C recog")


@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_mask_is_where_pixels_changed(defect, channels):
    images = IMAGES[:, :channels]
    damaged, masks = damage(defect, images)
    assert damaged.dtype == np.uint8 and damaged.shape == images.shape
    change = np.abs(damaged.astype(int) - images).max(axis=1)
    assert np.array_equal(masks, change >= VISIBLE) and masks.mean() < 0.4
    assert (masks.mean(axis=(1, 2)) >= SMALLEST).all()
    assert np.array_equal(damaged, damage(defect, images)[0])
    assert not np.array_equal(damaged, damage(defect, images, seed=1)[0])


def test_pixel_auroc_and_pro_of_a_perfect_a_blind_and_an_inverted_map():
    masks = damage("stain", IMAGES)[1]
    noise = np.random.RandomState(0).random_sample(masks.shape)
    perfect, inverted = masks + 0.5 * noise, ~masks + 0.5 * noise
    for maps, area, overlap in ((perfect, 1, 1), (noise, 0.5, 0.15), (inverted, 0, 0)):
        assert pixel_auroc(maps, masks) == pytest.approx(area, abs=0.02)
        assert pro(maps, masks) == pytest.approx(overlap, abs=0.02)


def test_pro_counts_regions_alike_and_pixel_auroc_by_their_size():
    masks = np.zeros((1, 40, 40), bool)
    masks[0, :20, :20] = masks[0, 30:36, 30:36] = True
    left = np.arange(40) < 25
    noise = 0.1 * np.random.RandomState(0).random_sample(masks.shape)
    large, small = (masks & left) + noise, (masks & ~left) + noise
    assert pro(large, masks) == pytest.approx(pro(small, masks), abs=0.1)
    assert pixel_auroc(large, masks) > pixel_auroc(small, masks) + 0.4


@pytest.mark.parametrize("kind", HEAT_MAPS)
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


def test_a_reconstruction_finds_a_scratch():
    damaged, masks = damage("scratch", IMAGES)
    maps = trained().heat_maps(torch.from_numpy(damaged), "reconstruction").numpy()
    assert pixel_auroc(maps, masks) > 0.6


def test_padims_maps_are_those_of_its_score():
    images = torch.from_numpy(pictures()[0]).permute(0, 3, 1, 2).contiguous()
    padim = PaDiM(Settings(dataset="cifar10", method="padim")).fit(images)
    maps = padim_maps(padim, images[:8])
    assert maps.shape == (8, 32, 32)
    assert np.corrcoef(maps.amax((1, 2)), padim.score(images[:8]))[0, 1] > 0.95


def test_the_comparison_has_a_row_for_each_dataset_heat_map_and_defect():
    table = compare(["mnist"], per_class=30, **{**TINY, "epochs": 1})
    assert set(table["heat_map"]) == {*HEAT_MAPS, "PaDiM"}
    assert set(table["defect"]) == set(DEFECTS) and len(table) == 16
    assert table[["pixel_auroc", "pro"]].map(lambda value: 0 <= value <= 1).all(axis=None)
