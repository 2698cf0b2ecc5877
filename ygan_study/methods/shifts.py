"""Shifted and mirrored training images, as the public speed runs on CIFAR10 have them.

They are not in the paper (arXiv 2404.00498; notebook 11).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ygan_core.data.augment import seeded


def shifted(images: Tensor, seed: int, most: int = 2) -> Tensor:
    """Each image moved at random by up to `most` pixels each way: uint8 (B, C, S, S) -> the same.

    Beyond its edges an image is mirrored.
    """
    size = torch.arange(images.shape[-1])
    moves = torch.randint(2 * most + 1, (2, len(images), 1), generator=seeded(seed))
    down, right = (moves + size).to(images.device)
    # torch pads floating-point numbers only
    wide = F.pad(images.float(), (most,) * 4, mode="reflect").to(images.dtype)
    each = torch.arange(len(images), device=images.device)[:, None, None]
    return wide[each, :, down[:, :, None], right[:, None]].permute(0, 3, 1, 2)


def alternating(images: int, seed: int, epoch: int) -> Tensor:
    """Which images are mirrored in an epoch, bool (images,): a random half, then the other half.

    So any two epochs show each image both ways ("alternating flip").
    """
    half = torch.rand(images, generator=torch.Generator().manual_seed(seed)) < 0.5
    return half ^ bool(epoch % 2)
