"""The floor beneath every table: the distance to the nearest training images, on pixels or on frozen ImageNet features.

After Bergman, Cohen and Hoshen, "Deep nearest neighbor anomaly detection" (2020): the mean distance to the two nearest training
images, in the features of a frozen ImageNet network. They use ResNet at 224 px; here EfficientNet-Lite0, images of under 64 px
re-scaled to 64. The search is exact and in chunks: 50,000 training images and 10,000 test images are minutes on two cores.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ygan_core.scores import to_input
from ygan_study.methods.imagenet import frozen_network, network_input, pooled_features
from ygan_study.methods.rival import BATCH, Baseline

K = 2  # Bergman et al., 2020
AT_ONCE = 2**21  # products held at a time: 8 MiB, about what a cache holds


def nearest(queries: Tensor, bank: Tensor, k: int = 1) -> Tensor:
    """Euclidean distances to the k nearest: queries (n, F), bank (m, F) -> (n, k), ascending. RuntimeError where m < k."""
    half, distances = bank.square().sum(dim=1) / 2, []
    for part in queries.split(max(1, AT_ONCE // len(bank))):
        index = torch.addmm(half, part, bank.T, alpha=-1).topk(k, largest=False).indices
        # the product ranks well, but loses small distances to rounding: those that count are taken anew
        distances.append((part[:, None] - bank[index]).norm(dim=2))
    return torch.cat(distances)


class KNN(Baseline):
    """Score: the mean distance to the two nearest training images. A subclass says in which features."""

    trains = False
    reads = frozenset()

    def features(self, x: Tensor) -> Tensor:
        """x (B, C, S, S) in [-1, 1] -> (B, F)."""
        raise NotImplementedError

    def finish(self, images: Tensor) -> None:
        bank = torch.cat(
            [self.features(to_input(part.to(self.device))) for part in images.split(BATCH)]
        )
        self.register_buffer(
            "bank", bank, persistent=False
        )  # the data over again, or what a fit gives

    def score_batch(self, x: Tensor) -> Tensor:
        return nearest(self.features(x), self.bank, K).mean(dim=1)


class PixelKNN(KNN):
    """On the pixels; images of over 32 px are averaged down to 32."""

    title, kind = "kNN on pixels", "floor"

    def features(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, min(32, x.shape[-1])).flatten(1)


class FeatureKNN(KNN):
    """On the 1280 pooled features of the frozen network."""

    title, kind = "kNN on ImageNet features", "floor"
    knows = "ImageNet weights"

    def prepare(self, images: Tensor) -> None:
        self.frozen = (
            frozen_network()[0].to(self.device, memory_format=torch.channels_last),
        )  # in a tuple, so that no checkpoint holds its weights

    def features(self, x: Tensor) -> Tensor:
        return pooled_features(self.frozen[0], network_input(x))
