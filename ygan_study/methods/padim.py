"""PaDiM: Defard, Setkov, Loesch and Audigier, "PaDiM: a patch distribution modeling framework for
anomaly detection and localization" (ICPR workshops 2021).

A Gaussian at every position over a frozen ImageNet network's features; the score is the largest
Mahalanobis distance. From the paper: maps of strides 4, 8 and 16, the deeper ones re-scaled to the
first; 100 random dimensions; covariance + 0.01 I; the map of distances smoothed with sigma 4 at
224 px. Adapted: EfficientNet-Lite0 in place of ResNet-18 (the paper has an EfficientNet, too), with
100 of its 176 dimensions; images under 64 px re-scaled to 64, so 16 x 16 Gaussians; sigma in
proportion. Sums over the training set are accumulated, so that its features are never held at once.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from ygan_study.methods.baseline import Baseline
from ygan_study.methods.imagenet import feature_maps, frozen_network, network_input

BLOCKS, FILTERS = (2, 4, 10), 24 + 40 + 112
DIMENSIONS = 100  # the paper's for ResNet-18
EPSILON = 0.01
SIGMA = 4 / 224  # of the image's side


def gaussians(batches: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Means (P, d) and covariances + 0.01 I (P, d, d), float64, from embeddings (B, P, d)."""
    n, total, products, shift = 0, 0, 0, None
    for e in batches:
        if shift is None:
            shift = e.mean(dim=0)  # near the mean, so that nothing cancels below
        e = (e - shift).double().transpose(0, 1)  # (P, B, d)
        n, total, products = n + e.shape[1], total + e.sum(dim=1), products + e.mT @ e
    mean = total / n
    covariance = (products - n * mean[:, :, None] * mean[:, None]) / (n - 1)
    return mean + shift, covariance + EPSILON * torch.eye(mean.shape[1]).to(mean)


class PaDiM(Baseline):
    """A Gaussian at every position; the score is the largest distance, after smoothing."""

    title, kind = "PaDiM", "PC"
    trains = False
    reads = frozenset(("seed",))  # of the dimensions that are drawn
    knows = "ImageNet weights"

    def prepare(self, images: Tensor) -> None:
        self.frozen = frozen_network(self.device)
        self.register_buffer("drawn", torch.randperm(FILTERS)[:DIMENSIONS], persistent=False)

    def embed(self, x: Tensor) -> Tensor:
        """x (B, C, S, S) in [-1, 1] -> (B, P, 100), P positions row by row: 256 up to S = 64."""
        first, *deeper = feature_maps(self.frozen[0], network_input(x), BLOCKS)
        maps = [first, *(F.interpolate(m, size=first.shape[-2:]) for m in deeper)]
        return torch.cat(maps, dim=1)[:, self.drawn].flatten(2).mT

    def finish(self, images: Tensor) -> None:
        exact = "cpu" if self.device.type == "mps" else self.device  # MPS has no float64
        mean, covariance = gaussians(self.embed(x).to(exact) for x in self.inputs(images))
        # |L^-1 (x - mean)| is the Mahalanobis distance, where L L^T is the covariance
        unit = torch.eye(mean.shape[1]).to(mean).expand_as(covariance)
        lower = torch.linalg.cholesky(covariance)
        whitening = torch.linalg.solve_triangular(lower, unit, upper=False)
        for name, values in (("mean", mean), ("whitening", whitening)):
            self.register_buffer(name, values.float().to(self.device), persistent=False)

    def distances(self, embedding: Tensor) -> Tensor:
        """The Mahalanobis distance at each position: (B, P, 100) -> (B, P)."""
        return (self.whitening @ (embedding - self.mean).permute(1, 2, 0)).norm(dim=1).T

    def score_batch(self, x: Tensor) -> Tensor:
        side = max(x.shape[-1], 64)  # 4 px a position: the stride of the first map
        return self.anomaly_map(x, side).amax(dim=(1, 2))

    def anomaly_map(self, x: Tensor, side: int) -> Tensor:
        """The distances, enlarged and smoothed: x (B, C, S, S) in [-1, 1] -> (B, side, side)."""
        from torchvision.transforms.functional import gaussian_blur  # it takes seconds to import

        distances = self.distances(self.embed(x))
        positions = round(distances.shape[1] ** 0.5)
        grid = distances.unflatten(1, (1, positions, positions))
        smooth = F.interpolate(grid, size=(side, side), mode="bilinear")
        kernel = 2 * round(4 * SIGMA * side) + 1  # four sigma on each side
        return gaussian_blur(smooth, kernel, SIGMA * side)[:, 0]
