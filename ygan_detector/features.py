"""The recipe `features`: how rare an image is among the features of a frozen ImageNet network.

Nothing is trained. The features are those of EfficientNet-Lite0, scaled to unit length. The score
is the local outlier factor (Breunig et al., "LOF: identifying density-based local outliers", SIGMOD
2000) as scikit-learn's LocalOutlierFactor(novelty=True) computes it; it is written in PyTorch here,
so that it can be exported. `choose_features.py` chose it, K and SIDE.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn

from ygan_core.scores import to_input
from ygan_detector.network import grad_cam, smooth
from ygan_study.methods.imagenet import (
    LARGEST,
    SMALLEST,
    feature_maps,
    frozen_network,
    network_input,
    pooled_features,
)
from ygan_study.methods.knn import nearest, neighbours

K = 10  # neighbours whose densities are compared
SIDE = 224  # px to which images are resized
SAME = 1e-3  # shorter distances are those of one image, and count as this
BLOCKS, FILTERS = (4, 10), 40 + 112  # of the network, by which places are compared
PLACES = 5_000  # of the training images, that are kept for heat maps


def size_for(image_size: int | None) -> int:
    """The side in pixels to which images are resized. image_size: of YGANDetector."""
    return min(max(image_size or SIDE, SMALLEST), LARGEST)


class Features(nn.Module):
    """The frozen network and what is kept of the training images; `Network` has the same methods.

    bank (n, 1280): their features; radius (n,): the distance to the K-th neighbour of each; density
    (n,): the inverse of its mean reachability distance; labels: int64 (n,); places (PLACES, 152):
    features of places in the images.
    """

    heat_maps = ("distance", "uncertainty")
    best_heat_map = "distance"  # by lesions.py

    def __init__(self, n: int):
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # its constructor draws weights
            self.network, _ = frozen_network()
        self.register_buffer("bank", torch.zeros(n, 1280))
        self.register_buffer("radius", torch.zeros(n))
        self.register_buffer("density", torch.zeros(n))
        self.register_buffer("labels", torch.zeros(n, dtype=torch.int64))
        self.register_buffer("places", torch.zeros(PLACES, FILTERS))

    def fit(self, bank: Tensor, labels: Tensor) -> np.ndarray:
        """Keep the features of the training images and their classes, both on the CPU.

        Returns the factor of each one among the others, float64 (n,).
        """
        search = NearestNeighbors(n_neighbors=min(K, len(bank) - 1)).fit(bank.numpy())
        distances, places = map(torch.from_numpy, search.kneighbors())
        self.bank.copy_(bank)
        self.labels.copy_(labels)
        self.radius.copy_(distances[:, -1])
        distances, places = distances.to(self.bank), places.to(self.labels)
        self.density.copy_(self._density(distances, places))
        return self._factor(distances, places).cpu().numpy()

    @torch.no_grad()
    def fit_places(self, pixels: Tensor, seed: int) -> None:
        """Keep places of training images, uint8 (n, C, S, S), that are drawn at random."""
        random, each = np.random.RandomState(seed), -(-PLACES // len(pixels))
        found = []
        for image in pixels:
            places = self._places(to_input(image[None]).to(self.bank.device)).flatten(0, 2)
            found.append(places[random.randint(len(places), size=each)])
        self.places.copy_(torch.cat(found)[:PLACES])

    def _density(self, distances: Tensor, places: Tensor) -> Tensor:
        reach = torch.maximum(distances, self.radius[places])
        return 1 / reach.mean(dim=1).clamp(min=SAME)

    def _factor(self, distances: Tensor, places: Tensor) -> Tensor:
        """The factor of images with the neighbours bank[places], both (n, k)."""
        around = self.density[places].double().mean(dim=1)
        return around / self._density(distances, places)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The factor, float64 (B,), and the class of the nearest training image, int64 (B,)."""
        return self.judge(self.latents(x))

    def latents(self, x: Tensor) -> Tensor:
        """Features of unit length, (B, 1280)."""
        return F.normalize(pooled_features(self.network, network_input(x)), dim=1)

    def judge(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """What `forward` returns, from the latents."""
        half = self.bank.square().sum(dim=1) / 2
        distances, places = neighbours(z, self.bank, half, min(K, len(self.bank) - 1))
        return self._factor(distances, places), self.labels[places[:, 0]]

    def distance(self, x: Tensor) -> Tensor:
        """How far each place is from the most similar place of the training images."""
        found = self._places(x)
        distances = nearest(found.flatten(0, 2), self.places).view(len(x), 1, *found.shape[1:3])
        return smooth(F.interpolate(distances, x.shape[-2:], mode="bilinear")[:, 0])

    def uncertainty(self, x: Tensor) -> Tensor:
        """Grad-CAM of the factor's logarithm, on the last feature maps."""

        def log_factor(maps: Tensor) -> Tensor:
            return self.judge(F.normalize(maps.mean(dim=(2, 3)), dim=1))[0].log()

        maps = self.network.extract_features(network_input(x))
        return grad_cam(maps, log_factor, x.shape[-1])

    def _places(self, x: Tensor) -> Tensor:
        """Features of places, (B, H, W, 152)."""
        fine, coarse = feature_maps(self.network, network_input(x), BLOCKS)
        coarse = F.interpolate(coarse, fine.shape[-2:], mode="bilinear")
        return torch.cat([fine, coarse], dim=1).movedim(1, -1)
