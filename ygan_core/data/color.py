"""Color-MNIST (section 5): thresholded, inverted digits on a ground of one of ten named colours."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# CSS's values of the paper's ten names; its green is CSS's lime, since CSS's green can hardly be told from dark green.
COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "cyan": (0, 255, 255),
    "yellow": (255, 255, 0),
    "purple": (128, 0, 128),
    "violet": (238, 130, 238),
    "brown": (165, 42, 42),
    "dark green": (0, 100, 0),
    "orange": (255, 165, 0),
}


def assign_colours(labels: Tensor, seed: int) -> Tensor:
    """A colour for each image, each equally often (+- 1) within each digit. labels (n,) -> int64 (n,) in [0, 10)."""
    random = np.random.RandomState(seed)  # its stream is frozen by NumPy for good
    colours = torch.empty_like(labels)
    for digit in labels.unique():
        here = (labels == digit).nonzero().flatten()
        colours[here] = torch.from_numpy(random.permutation(np.arange(len(here)) % len(COLOURS)))
    return colours


def colourise(digits: Tensor, colours: Tensor) -> Tensor:
    """Black digits on a coloured ground. digits uint8 (n, 1, S, S), bright on black; colours (n,) -> uint8 (n, 3, S, S)."""
    palette = torch.tensor(list(COLOURS.values()), dtype=torch.uint8)
    ground = (
        digits < 128
    )  # thresholded after re-scaling, so that a pixel is ink or ground and nothing between
    return palette[colours][:, :, None, None] * ground


def read_ground(images: Tensor) -> Tensor:
    """The ground colour an image shows: the one nearest to its median pixel. uint8 (n, 3, S, S) -> int64 (n,) in [0, 10)."""
    palette = torch.tensor(list(COLOURS.values()), dtype=torch.float32)
    return torch.cdist(images.flatten(2).float().median(dim=2).values, palette).argmin(dim=1)


def read_ink(images: Tensor) -> Tensor:
    """Where an image is darker than its ground, whatever the colour: uint8 (n, 3, S, S) -> float32 (n, S * S) in [0, 1]."""
    brightness = images.float().amax(dim=1).flatten(1)
    return (1 - brightness / brightness.median(dim=1, keepdim=True).values.clamp(min=1)).clamp(0, 1)
