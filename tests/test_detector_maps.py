"""Heat maps, the defects by which they are compared, and how the comparison counts."""

import numpy as np
import pytest
import torch
from small_detector import TINY, pictures, trained

from ygan_core import scores
from ygan_detector.defects import DEFECTS, LEAST, VISIBLE, damage, pixel_auroc, pro
from ygan_detector.heat import BEST, MEANS, heat_maps, smoothed
from ygan_detector.localisation import compare, padim_maps
from ygan_study.methods.padim import PaDiM
from ygan_study.plan.settings import Settings

IMAGES = pictures(6, seed=2)[0].transpose(0, 3, 1, 2)
pytestmark = pytest.mark.filterwarnings("ignore:threshold", "ignore:class", "ignore:C names")


@pytest.mark.parametrize("kind", DEFECTS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_mask_is_where_pixels_changed(kind, channels):
    images = IMAGES[:, :channels]
    damaged, masks = damage(kind, images)
    assert (
        damaged.dtype == np.uint8 and damaged.shape == images.shape and masks.shape == (18, 32, 32)
    )
    change = np.abs(damaged.astype(int) - images).max(axis=1)
    assert (
        np.array_equal(masks, change >= VISIBLE)
        and (masks.mean(axis=(1, 2)) >= LEAST).all()
        and masks.mean() < 0.4
    )
    assert np.array_equal(damaged, damage(kind, images)[0]) and not np.array_equal(
        damaged, damage(kind, images, seed=1)[0]
    )


def test_pixel_auroc_and_pro_of_a_perfect_a_blind_and_an_inverted_map():
    masks = damage("stain", IMAGES)[1]
    noise = np.random.RandomState(0).random_sample(masks.shape)
    for maps, area, overlap in (
        (masks + 0.5 * noise, 1, 1),
        (noise, 0.5, 0.15),
        (~masks + 0.5 * noise, 0, 0),
    ):
        assert pixel_auroc(maps, masks) == pytest.approx(area, abs=0.02)
        assert pro(maps, masks) == pytest.approx(overlap, abs=0.02)


def test_pro_counts_regions_alike_and_pixel_auroc_by_their_size():
    masks = np.zeros((1, 40, 40), bool)
    masks[0, :20, :20] = masks[0, 30:36, 30:36] = True
    large, small = (
        np.where(part, 1.0, 0.0)
        for part in (masks & (np.arange(40) < 25), masks & (np.arange(40) > 25))
    )
    noise = 0.1 * np.random.RandomState(0).random_sample(masks.shape)
    assert pro(large + noise, masks) == pytest.approx(pro(small + noise, masks), abs=0.1)
    assert pixel_auroc(large + noise, masks) > pixel_auroc(small + noise, masks) + 0.4


@pytest.mark.parametrize("means", MEANS)
def test_maps_have_the_shape_of_the_images_and_see_each_alone(means):
    detector, images = trained(), torch.from_numpy(IMAGES)
    whole = heat_maps(means, detector.model_, images, detector.mean_z_r_)
    assert (
        whole.shape == (18, 32, 32)
        and whole.dtype == torch.float32
        and (whole >= 0).all()
        and whole.std() > 0
    )
    alone = torch.cat(
        [heat_maps(means, detector.model_, image[None], detector.mean_z_r_) for image in images]
    )
    assert torch.allclose(whole, alone, atol=1e-5 + 1e-4 * float(whole.max()))


def test_reconstruction_and_hybrid_by_hand():
    model, mean_z_r, x = (
        trained().model_,
        trained().mean_z_r_,
        scores.to_input(torch.from_numpy(IMAGES)),
    )
    with torch.inference_mode():
        z_s, z_r, x_hat, logits = model(x)
        hybrid = model.D(z_s, mean_z_r[logits.argmax(1)])
    for means, other in (("reconstruction", x_hat), ("hybrid", hybrid)):
        ours = heat_maps(means, model, torch.from_numpy(IMAGES), mean_z_r)
        assert torch.allclose(ours, smoothed((x - other).square().mean(1)), atol=1e-5)
    images, labels = pictures()
    encoding = scores.encode(model, torch.from_numpy(images).permute(0, 3, 1, 2))
    learnt = ~np.isin(trained().decision_scores_, trained().calibration_scores_)
    expected = torch.stack([encoding.z_r[learnt & (labels == label)].mean(0) for label in range(3)])
    assert torch.allclose(mean_z_r, expected, atol=1e-5)


def test_the_doubt_is_the_gradient_of_the_log_odds_of_s():
    model, x = trained().model_, scores.to_input(torch.from_numpy(IMAGES))
    maps = (
        model.E_s.features[:6](x).detach().requires_grad_()
    )  # 8 x 8: all layers but those of the last halving
    s = scores.s(model.C(model.E_s.to_latent(model.E_s.features[6:](maps)).flatten(1)))
    (gradient,) = torch.autograd.grad((s / (1 - s)).log().sum(), maps)
    by_hand = (gradient.mean((2, 3), keepdim=True) * maps).sum(1).relu().detach()
    ours = heat_maps("doubt", model, torch.from_numpy(IMAGES))
    middle = torch.nn.functional.interpolate(by_hand[:, None], (32, 32), mode="bilinear")[:, 0]
    assert by_hand.shape == (18, 8, 8) and torch.allclose(ours, middle, rtol=1e-3, atol=1e-6)


def test_a_reconstruction_finds_a_scratch():
    damaged, masks = damage("scratch", IMAGES)
    heat = heat_maps("reconstruction", trained().model_, torch.from_numpy(damaged)).numpy()
    assert pixel_auroc(heat, masks) > 0.6


def test_padims_maps_are_those_of_its_score():
    images = torch.from_numpy(pictures()[0]).permute(0, 3, 1, 2).contiguous()
    padim = PaDiM(Settings(dataset="cifar10", method="padim")).fit(images)
    maps = padim_maps(padim, images[:8])
    assert maps.shape == (8, 32, 32)
    assert np.corrcoef(maps.amax((1, 2)), padim.score(images[:8]))[0, 1] > 0.95


def test_the_comparison_has_a_row_for_each_dataset_means_and_defect():
    table = compare(["mnist"], per_class=30, **{**TINY, "epochs": 1})
    assert (
        set(table["means"]) == {*MEANS, "PaDiM"}
        and set(table["defect"]) == set(DEFECTS)
        and len(table) == 16
    )
    assert (
        table[["pixel_auroc", "pro"]].map(lambda value: 0 <= value <= 1).all(axis=None)
        and BEST in MEANS
    )
