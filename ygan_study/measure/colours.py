"""What an image of Color-MNIST shows, read from its pixels."""

import torch
from torch import Tensor

from ygan_core.data.color import COLOURS


def read_background(images: Tensor) -> Tensor:
    """The colour nearest to the median pixel of each image: uint8 (n, 3, S, S) -> int64 (n,)."""
    palette = torch.tensor(list(COLOURS.values()), dtype=torch.float32)
    return torch.cdist(images.flatten(2).float().median(dim=2).values, palette).argmin(dim=1)


def read_ink(images: Tensor) -> Tensor:
    """How much darker than its background each pixel is, whatever the colour.

    uint8 (n, 3, S, S) -> float32 (n, S * S) in [0, 1].
    """
    brightness = images.float().amax(dim=1).flatten(1)
    return (1 - brightness / brightness.median(dim=1, keepdim=True).values.clamp(min=1)).clamp(0, 1)
