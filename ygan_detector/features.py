"""The recipe `features`: how rare an image is among the features of a frozen ImageNet network.

Nothing is trained. The features are those of EfficientNet-Lite0, scaled to unit length. The score
is the local outlier factor (Breunig et al., "LOF: identifying density-based local outliers", SIGMOD
2000) as scikit-learn's LocalOutlierFactor(novelty=True) computes it; it is written in PyTorch here,
so that it can be exported. `choose_features.py` chose it, K and SIDE.
"""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from ygan_core.scores import to_input
from ygan_detector.network import Model, grad_cam, smooth
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
PLACES, IMAGES = 5_000, 200  # places that are kept for heat maps, of so many training images


def size_for(image_size: int | None) -> int:
    """The side in pixels to which images are resized. image_size: of YGANDetector."""
    return min(max(image_size or SIDE, SMALLEST), LARGEST)


class Features(Model):
    """The frozen network, and what is kept of the n training images.

    bank (n, 1280): their features; radius (n,): the distance to the K-th neighbour of each; density
    (n,): the inverse of its mean reachability distance; labels: int64 (n,); places (PLACES, 152):
    features of places in the images. The score is the local outlier factor, the class that of the
    nearest training image.
    """

    heat_maps = ("distance", "uncertainty")
    best_heat_map = "distance"

    def __init__(self, n: int):
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # its constructor draws weights
            self.network, _ = frozen_network()
        self.register_buffer("bank", torch.zeros(n, 1280))
        self.register_buffer("radius", torch.zeros(n))
        self.register_buffer("density", torch.zeros(n))
        self.register_buffer("labels", torch.zeros(n, dtype=torch.int64))
        self.register_buffer("places", torch.zeros(PLACES, FILTERS))

    @torch.no_grad()
    def fit(self, pixels: Tensor, latents: Tensor, labels: Tensor, seed: int) -> np.ndarray:
        """Keep what is needed of the training images, uint8 (n, C, S, S).

        Returns the factor of each one among the others, float64 (n,).
        """
        search = NearestNeighbors(n_neighbors=min(K, len(latents) - 1)).fit(latents.numpy())
        distances, nearest = search.kneighbors()
        distances = torch.from_numpy(distances).to(self.bank)
        nearest = torch.from_numpy(nearest).to(self.labels)
        self.bank.copy_(latents)
        self.labels.copy_(labels)
        self.radius.copy_(distances[:, -1])
        self.density.copy_(self._density(distances, nearest))
        few = np.random.RandomState(seed).permutation(len(pixels))[:IMAGES]
        random, each, places = np.random.RandomState(seed), -(-PLACES // len(few)), []
        for image in pixels[few]:
            found = self._places(to_input(image[None]).to(self.bank.device)).flatten(0, 2)
            places.append(found[random.randint(len(found), size=each)])
        self.places.copy_(torch.cat(places)[:PLACES])
        return self._factor(distances, nearest).cpu().numpy()

    def latents(self, x: Tensor) -> Tensor:
        """Features of unit length, (B, 1280)."""
        return F.normalize(pooled_features(self.network, network_input(x)), dim=1)

    def judge(self, z: Tensor) -> tuple[Tensor, Tensor]:
        half = self.bank.square().sum(dim=1) / 2
        distances, nearest = neighbours(z, self.bank, half, min(K, len(self.bank) - 1))
        return self._factor(distances, nearest), self.labels[nearest[:, 0]]

    def _factor(self, distances: Tensor, nearest: Tensor) -> Tensor:
        """The factor of images: distances to their neighbours bank[nearest], both (n, k)."""
        around = self.density[nearest].double().mean(dim=1)
        return around / self._density(distances, nearest)

    def _density(self, distances: Tensor, nearest: Tensor) -> Tensor:
        reach = torch.maximum(distances, self.radius[nearest])
        return 1 / reach.mean(dim=1).clamp(min=SAME)

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
