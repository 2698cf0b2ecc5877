"""The floors beneath every table: distances to the nearest training images.

After Bergman, Cohen and Hoshen, "Deep nearest neighbor anomaly detection" (2020): the mean distance
to the two nearest training images, in the features of a frozen ImageNet network. They use ResNet at
224 px; here it is EfficientNet-Lite0, and images under 64 px are re-scaled to 64. The search is
exact and in chunks: 50,000 training and 10,000 test images take minutes on two cores.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ygan_study.methods.baseline import Baseline
from ygan_study.methods.imagenet import frozen_network, network_input, pooled_features

K = 2  # Bergman et al., 2020
AT_ONCE = 2**21  # products held at a time: 8 MiB, about what a cache holds


def nearest(queries: Tensor, bank: Tensor, k: int = 1) -> Tensor:
    """Euclidean distances to the k nearest: queries (n, F), bank (m, F) -> (n, k), ascending.

    Raises RuntimeError where m < k.
    """
    half, parts = bank.square().sum(dim=1) / 2, queries.split(max(1, AT_ONCE // len(bank)))
    return torch.cat([neighbours(part, bank, half, k)[0] for part in parts])


def neighbours(queries: Tensor, bank: Tensor, half: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Distances and places (n, k) of the k nearest, at once. half (m,): half of |bank|^2."""
    index = torch.addmm(half, queries, bank.T, alpha=-1).topk(k, largest=False).indices
    # products rank well, but lose small distances to rounding: those are computed anew
    return (queries[:, None] - bank[index]).norm(dim=2), index


class KNN(Baseline):
    """The mean distance to the two nearest training images. A subclass names the features."""

    trains = False
    reads = frozenset()

    def features(self, x: Tensor) -> Tensor:
        """x (B, C, S, S) in [-1, 1] -> (B, F)."""
        raise NotImplementedError

    def finish(self, images: Tensor) -> None:
        bank = torch.cat([self.features(x) for x in self.inputs(images)])
        self.register_buffer("bank", bank, persistent=False)  # as large as the data: not saved

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
        self.frozen = frozen_network(self.device)

    def features(self, x: Tensor) -> Tensor:
        return pooled_features(self.frozen[0], network_input(x))
