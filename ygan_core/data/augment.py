"""Augmentation in whole batches on the images' device, each image by a draw of its own.

`augment` is the paper's, of PlantVillage (section 4.2); `shifted` and `alternating` are not the paper's (notebook 11).
"""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

PROBABILITY = 0.5  # of each operation, for each image; the text gives none


def augment(images: Tensor, seed: int) -> Tensor:
    """A random variant of each image (section 4.2): uint8 (B, C, S, S) -> float32 in [-1, 1], as `scores.to_input` gives it.

    Each operation meets each image with PROBABILITY, at a strength drawn evenly from RANGES. The draws depend on seed and B
    alone: they are the same on every device, and no global random state is read or changed.
    """
    generator = _generator(seed)
    x = images.float() / 255
    for name, operation in OPERATIONS.items():
        low, high = torch.tensor(RANGES[name])
        strength = low + (high - low) * torch.rand(len(x), len(low), generator=generator)
        chosen = (torch.rand(len(x), generator=generator) < PROBABILITY).nonzero().flatten()
        if len(chosen):
            here = chosen.to(x.device)
            x.index_copy_(
                0, here, operation(x.index_select(0, here), strength[chosen].to(x.device))
            )
    return 2 * x - 1


def _generator(seed: int) -> torch.Generator:
    # torch's own seeding on the CPU drops all but the low 32 bits; this one takes every bit of a seed of any size.
    return torch.Generator().manual_seed(random.Random(seed).getrandbits(32))


def shifted(images: Tensor, seed: int, most: int = 2) -> Tensor:
    """Each image moved by up to `most` pixels each way, what comes in being mirrored: uint8 (B, C, S, S), the same shape."""
    generator = _generator(seed)
    size = torch.arange(images.shape[-1])
    down, right = (torch.randint(2 * most + 1, (2, len(images), 1), generator=generator) + size).to(
        images.device
    )
    wide = F.pad(images.float(), (most,) * 4, mode="reflect").to(
        images.dtype
    )  # no padding of whole numbers
    each = torch.arange(len(images), device=images.device)[:, None, None]
    return wide[each, :, down[:, :, None], right[:, None]].permute(0, 3, 1, 2)


def alternating(images: int, seed: int, epoch: int) -> Tensor:
    """Which images are seen mirrored in an epoch, bool (images,): a random half, and in the next epoch the other half.

    So in two epochs an image is seen both ways (arXiv 2404.00498, "alternating flip").
    """
    half = torch.rand(images, generator=torch.Generator().manual_seed(seed)) < 0.5
    return half ^ bool(epoch % 2)


def flip(x: Tensor, strength: Tensor) -> Tensor:
    """Left and right exchanged where strength (B, 1) is 1, not where it is 0. x (B, C, S, S)."""
    return torch.where(strength[..., None, None] == 1, x.flip(3), x)


def affine(x: Tensor, strength: Tensor) -> Tensor:
    """Scale and rotation about the centre, then shift, in one bilinear resampling. x (B, C, S, S).

    What comes in from outside is x mirrored, so that no corner turns black. strength (B, 4): degrees counter-clockwise, growth,
    shift to the right and down, the last three as shares of the side.
    """
    degrees, growth, right, down = strength[..., None, None].unbind(1)
    # Pixel centres as grid_sample counts them; F.affine_grid takes longer and rounds them, so that 0 were not identity.
    centres = (2 * torch.arange(x.shape[-1], device=x.device) + 1) / x.shape[-1] - 1
    u, v = (centres - 2 * right) / (1 + growth), (centres[:, None] - 2 * down) / (1 + growth)
    cos, sin = degrees.deg2rad().cos(), degrees.deg2rad().sin()
    grid = torch.stack([cos * u - sin * v, sin * u + cos * v], dim=-1)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def sharpen(x: Tensor, strength: Tensor) -> Tensor:
    """x in [0, 1] (B, C, S, S) blended with its sharpened version, whose share is strength (B, 1)."""
    return _blend_filtered(
        x, strength, [[-0.125, -0.125, -0.125], [-0.125, 2.0, -0.125], [-0.125, -0.125, -0.125]]
    )


def emboss(x: Tensor, strength: Tensor) -> Tensor:
    """x in [0, 1] (B, C, S, S) blended with its relief, whose share is strength (B, 1)."""
    return _blend_filtered(x, strength, [[-2.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [0.0, 1.0, 2.0]])


def stretch(x: Tensor, strength: Tensor) -> Tensor:
    """x in [0, 1] (B, C, S, S) blended with itself, its histogram stretched to [0, 1], whose share is strength (B, 1).

    All channels are stretched alike, so that green stays green.
    """
    low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    stretched = (x - low) / (high - low).clamp(
        min=1 / 255
    )  # an image of one grey has no histogram to stretch
    return torch.lerp(x, stretched, strength[..., None, None]).clamp(0, 1)


def brightness(x: Tensor, strength: Tensor) -> Tensor:
    """x in [0, 1] (B, C, S, S) times 1 + strength (B, 1)."""
    return (x * (1 + strength[..., None, None])).clamp(0, 1)


def contrast(x: Tensor, strength: Tensor) -> Tensor:
    """The distance of x in [0, 1] (B, C, S, S) from each image's mean, times 1 + strength (B, 1)."""
    return torch.lerp(x.mean((1, 2, 3), keepdim=True), x, 1 + strength[..., None, None]).clamp(0, 1)


def _blend_filtered(x: Tensor, strength: Tensor, kernel: list[list[float]]) -> Tensor:
    size, padded = x.shape[-1], F.pad(x, (1, 1, 1, 1), mode="replicate")
    filtered = torch.zeros_like(x)
    for i, row in enumerate(kernel):  # nine sums: a depthwise conv2d is slower on a CPU
        for j, weight in enumerate(row):
            filtered.add_(padded[..., i : i + size, j : j + size], alpha=weight)
    return torch.lerp(x, filtered, strength[..., None, None]).clamp(0, 1)


OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    f.__name__: f for f in (flip, affine, sharpen, emboss, stretch, brightness, contrast)
}

# The lowest and highest strength of each. The text gives no values, only that no anomaly-like sample may come of them: chosen
# by eye, so that a healthy leaf looks healthy at either end, and in all of them at once.
RANGES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "flip": ((1.0,), (1.0,)),
    "affine": ((-12.0, -0.03, -0.04, -0.04), (12.0, 0.12, 0.04, 0.04)),
    "sharpen": ((0.0,), (0.4,)),
    "emboss": ((0.0,), (0.12,)),
    "stretch": ((0.0,), (0.4,)),
    "brightness": ((-0.12,), (0.12,)),
    "contrast": ((-0.15,), (0.15,)),
}
