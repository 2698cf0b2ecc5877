import importlib
import random

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from scipy.ndimage import correlate, gaussian_filter
from torchvision.transforms import functional as tvf

from ygan_core.data.augment import OPERATIONS, RANGES, augment
from ygan_core.scores import to_input

SIZE = 64


@pytest.fixture
def leaves():
    """Six blurred random images: uint8 (6, 3, 64, 64), smooth as photographs are, from 27 to 228."""
    noise = gaussian_filter(np.random.RandomState(0).randn(6, 3, SIZE, SIZE), (0, 0, 4, 4))
    return torch.from_numpy((127.5 + 100 * noise / abs(noise).max()).astype(np.uint8))


@pytest.fixture
def x(leaves):
    return leaves.float() / 255


def apply(name, x, *strength):
    return OPERATIONS[name](x, torch.tensor([strength]).expand(len(x), -1))


def test_sharpen_against_pil(leaves, x):
    whole = apply("sharpen", x, 1.0)
    for image, ours in zip(leaves, whole, strict=True):
        pil = np.array(Image.fromarray(image.permute(1, 2, 0).numpy()).filter(ImageFilter.SHARPEN))
        inside = np.abs(255 * ours.permute(1, 2, 0).numpy() - pil)[
            1:-1, 1:-1
        ]  # PIL leaves the border as it is
        assert inside.max() < 0.51  # PIL rounds to whole greys
    assert torch.allclose(
        apply("sharpen", x, 0.3), 0.7 * x + 0.3 * whole, atol=1e-5
    )  # nothing is clipped here


@pytest.mark.parametrize("strength", [0.1, 1.0])
def test_emboss_against_scipy(x, strength):
    ours = apply("emboss", x, strength)
    for plane, result in zip(x.flatten(0, 1).numpy(), ours.flatten(0, 1).numpy(), strict=True):
        relief = correlate(plane, np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]), mode="nearest")
        assert np.allclose(
            result, np.clip((1 - strength) * plane + strength * relief, 0, 1), atol=1e-5
        )


def test_flip(x):
    assert apply("flip", x, 1.0).equal(x.flip(3))


@pytest.mark.parametrize(
    "degrees, growth, right, down",
    [
        (10, 0, 0, 0),
        (0, 0.1, 0, 0),
        (0, 0, 0.125, 0),
        (0, 0, 0, -0.0625),
        (-8, -0.1, 0.0625, 0.03125),
    ],
)
def test_affine_against_torchvision(x, degrees, growth, right, down):
    ours = apply("affine", x, float(degrees), float(growth), float(right), float(down))
    pixels = [int(SIZE * right), int(SIZE * down)]
    theirs = tvf.affine(
        x, -degrees, pixels, 1 + growth, [0.0], interpolation=tvf.InterpolationMode.BILINEAR
    )
    inside = (
        slice(None),
        slice(None),
        slice(16, -16),
        slice(16, -16),
    )  # beyond it, theirs is black
    assert torch.allclose(ours[inside], theirs[inside], atol=1e-4)
    assert (ours - x)[inside].abs().max() > 0.05


def test_rotation_is_counter_clockwise(x):
    ours = apply("affine", x, 90.0, 0.0, 0.0, 0.0)
    assert torch.allclose(ours, x.rot90(1, (2, 3)), atol=1e-4)


def test_no_black_corners():
    white = torch.ones(1, 3, SIZE, SIZE)
    for strength in RANGES["affine"]:
        assert apply("affine", white, *strength).min() > 0.999


def test_stretch_fills_the_range_and_keeps_hues(x):
    pale = 0.3 + 0.4 * (x - x.amin((1, 2, 3), True)) / (
        x.amax((1, 2, 3), True) - x.amin((1, 2, 3), True)
    )
    whole = apply("stretch", pale, 1.0)
    assert whole.amin((1, 2, 3)).max() < 1e-5 and whole.amax((1, 2, 3)).min() > 1 - 1e-5
    assert torch.allclose(whole, (pale - 0.3) / 0.4, atol=1e-5)
    assert torch.allclose(apply("stretch", pale, 0.5), (pale + whole) / 2, atol=1e-5)


def test_brightness_and_contrast_against_torchvision(x):
    assert torch.allclose(apply("brightness", x, 0.2), tvf.adjust_brightness(x, 1.2), atol=1e-6)
    grey = x[:, :1]  # on colours, torchvision takes the mean of their luminance
    assert torch.allclose(apply("contrast", grey, -0.2), tvf.adjust_contrast(grey, 0.8), atol=1e-5)


@pytest.mark.parametrize("name", OPERATIONS)
def test_zero_strength_is_identity(x, name):
    assert torch.allclose(apply(name, x, *[0.0] * len(RANGES[name][0])), x, atol=1e-6)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("picture", ["noise", "black", "white"])
def test_every_operation_stays_in_range(name, picture):
    noise = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    x = {"noise": noise.round(), "black": torch.zeros_like(noise), "white": torch.ones_like(noise)}[
        picture
    ]
    for strength in RANGES[name]:
        result = apply(name, x, *strength)
        assert (
            result.shape == x.shape and 0 <= result.min() and result.max() <= 1
        )  # false for nan too


def test_each_image_has_its_own_strength(x):
    low, high = torch.tensor(RANGES["sharpen"])
    together = OPERATIONS["sharpen"](x[:2], torch.stack([low, high]))
    assert together[0].equal(x[0]) and torch.allclose(
        together[1], apply("sharpen", x[1:2], *high.tolist())[0]
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_augmented_images_are_inputs_of_the_networks(leaves, channels):
    images = leaves[:, :channels]
    kept = images.clone()
    result = augment(images, 0)
    assert result.dtype == torch.float32 and result.shape == images.shape and images.equal(kept)
    assert -1 <= result.min() and result.max() <= 1
    assert (result - to_input(images)).abs().mean() < 0.3  # the same leaves still


def test_untouched_images_are_as_to_input_gives_them(leaves, monkeypatch):
    monkeypatch.setattr(
        importlib.import_module("ygan_core.data.augment"), "PROBABILITY", 0.0
    )  # the package's name is the function
    assert torch.allclose(augment(leaves, 0), to_input(leaves), atol=1e-6)


def test_each_operation_meets_some_images_and_spares_others(x, monkeypatch):
    met = {}

    def spy(name, operation):
        def applied(x, strength):
            met[name] = strength
            return operation(x, strength)

        return applied

    for name, operation in list(OPERATIONS.items()):
        monkeypatch.setitem(OPERATIONS, name, spy(name, operation))
    augment(torch.zeros(200, 1, 8, 8, dtype=torch.uint8), 0)
    assert met.keys() == OPERATIONS.keys()
    for name, strength in met.items():
        low, high = torch.tensor(RANGES[name])
        assert 60 < len(strength) < 140
        assert (low <= strength).all() and (strength <= high).all()
        assert (
            strength.amax(0) - strength.amin(0) >= 0.8 * (high - low)
        ).all()  # the whole range, one draw an image


def test_same_seed_same_images_another_seed_others(leaves):
    assert augment(leaves, 7).equal(augment(leaves, 7))
    assert not augment(leaves, 7).equal(augment(leaves, 8))
    assert not augment(leaves, 7).equal(
        augment(leaves, 7 + 2**32)
    )  # torch's own seeding sees no difference


def test_copies_of_one_image_become_different(leaves):
    result = augment(leaves[:1].repeat(16, 1, 1, 1), 0).flatten(1)
    assert (torch.cdist(result, result) + torch.eye(16)).min() > 0.1


def test_global_random_state_is_neither_read_nor_changed(leaves):
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        random.seed(seed)
        before = torch.get_rng_state(), random.getstate()
        results.append(augment(leaves, 0))
        assert torch.get_rng_state().equal(before[0]) and random.getstate() == before[1]
    assert results[0].equal(results[1])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_small_batches(count):
    for seed in range(8):  # so that an operation meets no image at all
        assert augment(torch.full((count, 3, 32, 32), 200, dtype=torch.uint8), seed).shape == (
            count,
            3,
            32,
            32,
        )
