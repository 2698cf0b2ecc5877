"""Post-hoc scores of out-of-distribution detection, of z_s and C, mostly by pytorch-ood.

Each is as its authors define it, a higher score is more anomalous, and none is ever flipped:
max-logit (Hendrycks et al., 2022), energy (Liu et al., 2020), Mahalanobis (Lee et al., 2018), kNN
(Sun et al., 2022), ViM (Wang et al., 2022), RMDS (Ren et al., 2021).
"""

import numpy as np
import torch
from sklearn.covariance import EmpiricalCovariance
from torch import Tensor

from ygan_core.model import LatentClassifier

NEIGHBOURS = 50  # the authors' choice for CIFAR10
NEIGHBOURHOOD = 10_000  # training latents that kNN looks among


@torch.inference_mode()
def ood_scores(
    C: LatentClassifier, z_train, y_train, z_test, seed: int = 0
) -> dict[str, np.ndarray]:
    """max-logit, energy, Mahalanobis, kNN, ViM and RMDS of n images, each float64 (n,).

    C on the CPU; z_train (m, d), y_train (m,): z_s and labels of the training images; z_test (n,
    d). ViM reads the activations of C's hidden layer; its principal subspace has half their
    dimensions.
    """
    from pytorch_ood.detector import EnergyBased, MaxLogit, ViM  # it takes seconds to import

    z, z_test = (torch.as_tensor(t, dtype=torch.float32) for t in (z_train, z_test))
    y = torch.as_tensor(y_train)
    first, activation, last = C
    h, h_test = activation(first(z)), activation(first(z_test))

    logits = last(h_test).double()
    vim = ViM(None, d=last.in_features // 2, w=last.weight, b=last.bias).fit_features(h, y)
    found = {
        "max-logit": MaxLogit.score(logits).numpy(),
        "energy": EnergyBased.score(logits).numpy(),
        "Mahalanobis": mahalanobis(z.numpy(), y.numpy(), z_test.numpy()),
        "kNN": knn(z, z_test, seed).numpy(),
        "ViM": vim.predict_features(h_test).numpy(),
        "RMDS": relative_mahalanobis(z.numpy(), y.numpy(), z_test.numpy()),
    }
    return {name: score.astype(np.float64) for name, score in found.items()}


def knn(z: Tensor, z_test: Tensor, seed: int = 0) -> Tensor:
    """The distance on the unit sphere to the 50th nearest training latent (Sun et al., 2022).

    z (m, d), z_test (n, d) -> float64 (n,). At most 10,000 training latents are used, drawn by
    seed.
    """
    from pytorch_ood.detector import KNN

    few = np.random.RandomState(seed).permutation(len(z))[:NEIGHBOURHOOD]
    neighbours = KNN(None, k=min(NEIGHBOURS, len(few)))
    neighbours.knn.n_jobs = 1  # pytorch-ood would take every core; a worker has one
    neighbours.fit_features(z[few].double(), torch.zeros(len(few), dtype=torch.long))
    return neighbours.predict_features(z_test.double())


def mahalanobis(z: np.ndarray, y: np.ndarray, z_test: np.ndarray) -> np.ndarray:
    """The squared Mahalanobis distance to the nearest class mean (Lee et al., 2018).

    z (m, d), y (m,), z_test (n, d) -> float64 (n,), under one covariance within the classes.
    Written out in float64: pytorch-ood inverts the covariance in float32, which loses digits where
    latents spread far less in one direction than in another.
    """
    z, (classes, y) = z.astype(np.float64), np.unique(y, return_inverse=True)
    means = np.stack([z[y == label].mean(axis=0) for label in range(len(classes))])
    covariance = EmpiricalCovariance(assume_centered=True).fit(z - means[y])
    return np.min([covariance.mahalanobis(z_test - mean) for mean in means], axis=0)


def relative_mahalanobis(z: np.ndarray, y: np.ndarray, z_test: np.ndarray) -> np.ndarray:
    """`mahalanobis` minus the squared distance to the mean of all latents (Ren et al., 2021)."""
    return mahalanobis(z, y, z_test) - mahalanobis(z, np.zeros(len(z), dtype=int), z_test)
