"""The augmentation of the leaves: each operation against PIL, SciPy or torchvision."""

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
    """Six blurred random images: uint8 (6, 3, 64, 64), as smooth as photographs, from 27 to 228."""
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
        pil = Image.fromarray(image.permute(1, 2, 0).numpy()).filter(ImageFilter.SHARPEN)
        difference = np.abs(255 * ours.permute(1, 2, 0).numpy() - np.array(pil))
        # PIL leaves the border as it is, and rounds to whole greys
        assert difference[1:-1, 1:-1].max() < 0.51
    assert torch.allclose(apply("sharpen", x, 0.3), 0.7 * x + 0.3 * whole, atol=1e-5)


@pytest.mark.parametrize("strength", [0.1, 1.0])
def test_emboss_against_scipy(x, strength):
    ours, kernel = apply("emboss", x, strength), np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
    for plane, result in zip(x.flatten(0, 1).numpy(), ours.flatten(0, 1).numpy(), strict=True):
        relief = correlate(plane, kernel, mode="nearest")
        blended = np.clip((1 - strength) * plane + strength * relief, 0, 1)
        assert np.allclose(result, blended, atol=1e-5)


@pytest.mark.parametrize(
    "degrees, growth, right, down",
    [(10, 0, 0, 0), (0, 0.1, 0, 0), (0, 0, 0.125, -0.0625), (-8, -0.1, 0.0625, 0.03125)],
)
def test_affine_against_torchvision(x, degrees, growth, right, down):
    ours = apply("affine", x, float(degrees), float(growth), float(right), float(down))
    pixels, bilinear = [int(SIZE * right), int(SIZE * down)], tvf.InterpolationMode.BILINEAR
    theirs = tvf.affine(x, -degrees, pixels, 1 + growth, [0.0], interpolation=bilinear)
    inside = (..., slice(16, -16), slice(16, -16))  # beyond it, theirs is black
    assert torch.allclose(ours[inside], theirs[inside], atol=1e-4)
    assert (ours - x)[inside].abs().max() > 0.05


def test_affine_turns_counter_clockwise(x):
    ours = apply("affine", x, 90.0, 0.0, 0.0, 0.0)
    assert torch.allclose(ours, x.rot90(1, (2, 3)), atol=1e-4)


def test_stretch_fills_the_range_and_keeps_hues(x):
    low, high = x.amin((1, 2, 3), True), x.amax((1, 2, 3), True)
    pale = 0.3 + 0.4 * (x - low) / (high - low)
    whole = apply("stretch", pale, 1.0)
    assert torch.allclose(whole, (pale - 0.3) / 0.4, atol=1e-5)
    assert torch.allclose(apply("stretch", pale, 0.5), (pale + whole) / 2, atol=1e-5)


def test_flip_brightness_and_contrast_against_torchvision(x):
    assert apply("flip", x, 1.0).equal(tvf.hflip(x))
    assert torch.allclose(apply("brightness", x, 0.2), tvf.adjust_brightness(x, 1.2), atol=1e-6)
    grey = x[:, :1]  # on colours, torchvision takes the mean of their luminance
    assert torch.allclose(apply("contrast", grey, -0.2), tvf.adjust_contrast(grey, 0.8), atol=1e-5)


@pytest.mark.parametrize("name", OPERATIONS)
def test_strength_zero_changes_nothing_and_every_strength_stays_in_range(x, name):
    assert torch.allclose(apply(name, x, *[0.0] * len(RANGES[name][0])), x, atol=1e-6)
    noise = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)).round()
    for picture in (noise, torch.zeros_like(noise), torch.ones_like(noise)):
        for strength in RANGES[name]:
            result = apply(name, picture, *strength)
            assert result.shape == picture.shape
            assert 0 <= result.min() and result.max() <= 1  # false for nan too
    if name == "affine":  # white stays white: there are no black corners
        assert all(
            apply(name, torch.ones(1, 3, SIZE, SIZE), *s).min() > 0.999 for s in RANGES[name]
        )


@pytest.mark.parametrize("channels", [1, 3])
def test_augmented_images_are_inputs_of_the_networks(leaves, channels):
    images = leaves[:, :channels]
    kept = images.clone()
    result = augment(images, 0)
    assert result.dtype == torch.float32 and result.shape == images.shape and images.equal(kept)
    assert -1 <= result.min() and result.max() <= 1
    assert (result - to_input(images)).abs().mean() < 0.3  # still the same leaves


def test_the_seed_alone_decides_and_the_global_random_state_is_left_alone(leaves):
    before = torch.get_rng_state()
    first = augment(leaves, 7)
    assert torch.get_rng_state().equal(before)
    torch.manual_seed(2)
    assert augment(leaves, 7).equal(first)
    # torch's own seeding sees no difference between 7 and 7 + 2^32
    assert not any(augment(leaves, seed).equal(first) for seed in (8, 7 + 2**32))


def test_each_operation_is_applied_to_half_of_the_images_over_its_whole_range(monkeypatch):
    met = {}

    def watched(name, operation):
        return lambda x, strength: operation(x, met.setdefault(name, strength))

    for name, operation in list(OPERATIONS.items()):
        monkeypatch.setitem(OPERATIONS, name, watched(name, operation))
    augment(torch.zeros(200, 1, 8, 8, dtype=torch.uint8), 0)
    assert met.keys() == OPERATIONS.keys()
    for name, strength in met.items():
        low, high = torch.tensor(RANGES[name])
        assert 60 < len(strength) < 140 and (low <= strength).all() and (strength <= high).all()
        assert (strength.amax(0) - strength.amin(0) >= 0.8 * (high - low)).all()
