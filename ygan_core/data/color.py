"""Color-MNIST (section 5): thresholded, inverted digits on a background of one of ten colours."""

import numpy as np
import torch
from torch import Tensor

# The paper's ten names, as CSS defines them, except that green is CSS's lime: CSS's own green can
# hardly be told from dark green.
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
    """A random colour for each image, so that each digit has every colour equally often (+- 1).

    labels: (n,) -> int64 (n,), indices into COLOURS.
    """
    random = np.random.RandomState(seed)  # NumPy guarantees that its stream never changes
    colours = torch.empty_like(labels)
    for digit in labels.unique():
        indices = (labels == digit).nonzero().flatten()
        equally_often = np.arange(len(indices)) % len(COLOURS)
        colours[indices] = torch.from_numpy(random.permutation(equally_often))
    return colours


def colourise(digits: Tensor, colours: Tensor) -> Tensor:
    """Black digits on coloured backgrounds.

    digits: uint8 (n, 1, S, S), bright on black; colours: (n,) -> uint8 (n, 3, S, S).
    """
    palette = torch.tensor(list(COLOURS.values()), dtype=torch.uint8)
    # thresholded after re-scaling, so that no pixel lies between digit and background
    background = digits < 128
    return palette[colours][:, :, None, None] * background
