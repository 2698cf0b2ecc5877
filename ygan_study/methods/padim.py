"""PaDiM: Defard, Setkov, Loesch and Audigier, "PaDiM: a patch distribution modeling framework for anomaly detection and
localization" (ICPR workshops 2021).

A Gaussian at every position over a frozen ImageNet network's features; the score is the largest Mahalanobis distance. From the
paper: maps of strides 4, 8 and 16, the deeper ones re-scaled to the first; 100 dimensions drawn at random; covariance + 0.01 I;
the map of distances smoothed with sigma 4 at 224 px. Adapted: EfficientNet-Lite0 instead of ResNet-18 (the paper also has an
EfficientNet), 100 of its 176 dimensions; images of under 64 px re-scaled to 64, so 16 x 16 Gaussians; sigma in proportion.
Sums over the training set are streamed, so that its features are never held at once.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from ygan_core.scores import to_input
from ygan_study.methods.imagenet import feature_maps, frozen_network, network_input
from ygan_study.methods.rival import BATCH, Baseline

BLOCKS, FILTERS = (2, 4, 10), 24 + 40 + 112
DIMENSIONS = 100  # the paper's for ResNet-18
EPSILON = 0.01
SIGMA = 4 / 224  # of the image's side


def gaussians(batches) -> tuple[Tensor, Tensor]:
    """Means and covariances + 0.01 I from batches of embeddings (B, P, d): (P, d) and (P, d, d), float64."""
    n, total, products, shift = 0, 0, 0, None
    for e in batches:
        shift = (
            e.mean(dim=0) if shift is None else shift
        )  # near the mean, so that nothing cancels below
        e = (e - shift).double().transpose(0, 1)  # (P, B, d)
        n, total, products = n + e.shape[1], total + e.sum(dim=1), products + e.mT @ e
    mean = total / n
    covariance = (products - n * mean[:, :, None] * mean[:, None]) / (n - 1)
    return mean + shift, covariance + EPSILON * torch.eye(
        mean.shape[1], dtype=mean.dtype, device=mean.device
    )


class PaDiM(Baseline):
    """Score: the largest Mahalanobis distance over the positions, after smoothing."""

    title, kind = "PaDiM", "PC"
    trains = False
    reads = frozenset(("seed",))  # of the dimensions that are drawn
    knows = "ImageNet weights"

    def prepare(self, images: Tensor) -> None:
        self.frozen = (
            frozen_network()[0].to(self.device, memory_format=torch.channels_last),
        )  # in a tuple, so that no checkpoint holds its weights
        self.register_buffer("drawn", torch.randperm(FILTERS)[:DIMENSIONS], persistent=False)

    def embed(self, x: Tensor) -> Tensor:
        """x (B, C, S, S) in [-1, 1] -> (B, P, 100), P positions, row by row: 16 x 16 up to S = 64."""
        first, *deeper = feature_maps(self.frozen[0], network_input(x), BLOCKS)
        maps = [first, *(F.interpolate(m, size=first.shape[-2:]) for m in deeper)]
        return torch.cat(maps, dim=1)[:, self.drawn].flatten(2).mT

    def finish(self, images: Tensor) -> None:
        exact = "cpu" if self.device.type == "mps" else self.device  # MPS has no float64
        mean, covariance = gaussians(
            self.embed(to_input(part.to(self.device))).to(exact) for part in images.split(BATCH)
        )
        # |L^-1 (x - mean)| is Mahalanobis' distance where L L^T is the covariance
        unit = torch.eye(mean.shape[1], dtype=mean.dtype, device=mean.device).expand_as(covariance)
        whitening = torch.linalg.solve_triangular(
            torch.linalg.cholesky(covariance), unit, upper=False
        )
        self.register_buffer("mean", mean.float().to(self.device), persistent=False)
        self.register_buffer("whitening", whitening.float().to(self.device), persistent=False)

    def distances(self, embedding: Tensor) -> Tensor:
        """Mahalanobis' distance at each position: (B, P, 100) -> (B, P)."""
        return (self.whitening @ (embedding - self.mean).permute(1, 2, 0)).norm(dim=1).T

    def score_batch(self, x: Tensor) -> Tensor:
        return self.anomaly_map(x, max(x.shape[-1], 64)).amax(
            dim=(1, 2)
        )  # 4 px a position: the first map's stride

    def anomaly_map(self, x: Tensor, side: int) -> Tensor:
        """The distances, enlarged and smoothed: x (B, C, S, S) in [-1, 1] -> (B, side, side)."""
        distances = self.distances(self.embed(x))
        positions = round(distances.shape[1] ** 0.5)
        grid = distances.unflatten(1, (1, positions, positions))
        smooth = F.interpolate(grid, size=(side, side), mode="bilinear")
        kernel = 2 * round(4 * SIGMA * side) + 1  # four sigma on each side
        return gaussian_blur(smooth, kernel, SIGMA * side)[:, 0]
