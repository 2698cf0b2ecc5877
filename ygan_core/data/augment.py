"""Images as the networks see them, and the augmentation of PlantVillage (section 4.2)."""

import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

PROBABILITY = 0.5  # of each operation, for each image; the paper gives none


def to_input(images: Tensor) -> Tensor:
    """uint8 (B, C, H, W) -> float32 in [-1, 1], the range of D's tanh."""
    return images.float() / 127.5 - 1


def to_image(x: Tensor) -> Tensor:
    """float in [-1, 1] (B, C, H, W) -> uint8, the inverse of `to_input`."""
    return ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def batch_input(images: Tensor, augmentation: str, seed: int, number: int) -> Tensor:
    """Batch `number` of a training, uint8 (B, C, S, S) -> float32 in [-1, 1], augmented or not.

    augmentation, seed: of `Config`.
    """
    return augment(images, seed * 2**32 + number) if augmentation == "leaves" else to_input(images)


def augment(images: Tensor, seed: int) -> Tensor:
    """A random variant of each image, on its device: uint8 (B, C, S, S) -> float32 in [-1, 1].

    Each operation is applied to each image with PROBABILITY, at a strength drawn uniformly from
    RANGES. The draws depend on seed and B alone: they are the same on every device, and the global
    random state is neither read nor changed.
    """
    generator = seeded(seed)
    x = images.float() / 255
    for name, operation in OPERATIONS.items():
        low, high = torch.tensor(RANGES[name])
        strength = low + (high - low) * torch.rand(len(x), len(low), generator=generator)
        chosen = (torch.rand(len(x), generator=generator) < PROBABILITY).nonzero().flatten()
        if len(chosen):
            indices = chosen.to(x.device)
            changed = operation(x.index_select(0, indices), strength[chosen].to(x.device))
            x.index_copy_(0, indices, changed)
    return 2 * x - 1


def seeded(seed: int) -> torch.Generator:
    """A generator that depends on every bit of a seed of any size; torch reads the low 32 alone."""
    return torch.Generator().manual_seed(random.Random(seed).getrandbits(32))


def flip(x: Tensor, strength: Tensor) -> Tensor:
    """x (B, C, S, S), its left and right exchanged where strength (B, 1) is 1, else unchanged."""
    return torch.where(strength[..., None, None] == 1, x.flip(3), x)


def affine(x: Tensor, strength: Tensor) -> Tensor:
    """x (B, C, S, S) scaled and rotated about its centre, then shifted, by one bilinear resampling.

    strength (B, 4): degrees counter-clockwise, growth, shift to the right and down, the last three
    as shares of the side. Beyond its edges the image is mirrored, so that no corner turns black.
    """
    degrees, growth, right, down = strength[..., None, None].unbind(1)
    # Pixel centres as grid_sample counts them. F.affine_grid is slower and rounds them, so that
    # strength 0 would change the image.
    centres = (2 * torch.arange(x.shape[-1], device=x.device) + 1) / x.shape[-1] - 1
    u, v = (centres - 2 * right) / (1 + growth), (centres[:, None] - 2 * down) / (1 + growth)
    cos, sin = degrees.deg2rad().cos(), degrees.deg2rad().sin()
    grid = torch.stack([cos * u - sin * v, sin * u + cos * v], dim=-1)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def sharpen(x: Tensor, strength: Tensor) -> Tensor:
    """x in [0, 1] (B, C, S, S), blended with its sharpened version by the share strength (B, 1)."""
    around = [-0.125, -0.125, -0.125]
    return _blend_filtered(x, strength, [around, [-0.125, 2.0, -0.125], around])


def emboss(x: Tensor, strength: Tensor) -> Tensor:
    """x in [0, 1] (B, C, S, S), blended with its relief by the share strength (B, 1)."""
    return _blend_filtered(x, strength, [[-2.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [0.0, 1.0, 2.0]])


def stretch(x: Tensor, strength: Tensor) -> Tensor:
    """x in [0, 1] (B, C, S, S), its histogram stretched to [0, 1] by the share strength (B, 1).

    All channels of an image are stretched alike, so that hues stay.
    """
    low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    stretched = (x - low) / (high - low).clamp(min=1 / 255)  # not 0 / 0 for a constant image
    return torch.lerp(x, stretched, strength[..., None, None]).clamp(0, 1)


def brightness(x: Tensor, strength: Tensor) -> Tensor:
    """x in [0, 1] (B, C, S, S), times 1 + strength (B, 1)."""
    return (x * (1 + strength[..., None, None])).clamp(0, 1)


def contrast(x: Tensor, strength: Tensor) -> Tensor:
    """x in [0, 1] (B, C, S, S), its distance from its mean times 1 + strength (B, 1)."""
    return torch.lerp(x.mean((1, 2, 3), keepdim=True), x, 1 + strength[..., None, None]).clamp(0, 1)


def _blend_filtered(x: Tensor, strength: Tensor, kernel: list[list[float]]) -> Tensor:
    size, padded = x.shape[-1], F.pad(x, (1, 1, 1, 1), mode="replicate")
    filtered = torch.zeros_like(x)
    for i, row in enumerate(kernel):  # nine sums: on a CPU a depthwise conv2d is slower
        for j, weight in enumerate(row):
            filtered.add_(padded[..., i : i + size, j : j + size], alpha=weight)
    return torch.lerp(x, filtered, strength[..., None, None]).clamp(0, 1)


OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    f.__name__: f for f in (flip, affine, sharpen, emboss, stretch, brightness, contrast)
}
# The lowest and highest strength of each. The paper gives no values, only that the operations must
# not produce "anomaly-like samples". These were chosen by eye: a healthy leaf looks healthy at
# either end, and when all operations are applied at once.
RANGES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "flip": ((1.0,), (1.0,)),
    "affine": ((-12.0, -0.03, -0.04, -0.04), (12.0, 0.12, 0.04, 0.04)),
    "sharpen": ((0.0,), (0.4,)),
    "emboss": ((0.0,), (0.12,)),
    "stretch": ((0.0,), (0.4,)),
    "brightness": ((-0.12,), (0.12,)),
    "contrast": ((-0.15,), (0.15,)),
}
