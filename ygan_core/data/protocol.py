"""The protocol of section 4.2: 80/20, one class out, a balanced test set, all drawn by a seed and named by a hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Split:
    """Indices into a dataset, int64. No image is in two parts; no anomaly outside `test_anomalous`.

    train: 80 % of the normal images, less `calibration`, the 5 % of them that are left untrained (thresholds, validation);
    test_normal, test_anomalous: the test set, equally many of both; held_back: all of the other 20 % of the normal images.
    """

    train: Tensor
    calibration: Tensor
    test_normal: Tensor
    test_anomalous: Tensor
    held_back: Tensor

    @property
    def test(self) -> Tensor:
        """The test set's images, normal ones first."""
        return torch.cat([self.test_normal, self.test_anomalous])

    @property
    def hash(self) -> str:
        """Sixteen hex digits that name this split: the same places of the same dataset in the same parts, the same hash."""
        digest = hashlib.sha256()
        for part in (self.train, self.calibration, self.test_normal, self.test_anomalous):
            digest.update(len(part).to_bytes(8, "big") + part.sort().values.numpy().astype(">i8").tobytes())
        return digest.hexdigest()[:16]


def split(labels: Tensor, held_out: int, seed: int) -> Split:
    """One class out (section 4.2): `held_out` is anomalous, the other classes are normal. labels int64 (n,).

    The official training and test parts are pooled before. The test set has all anomalies and as many held-back normal images,
    or all of those and as many anomalies where they are fewer. Raises ValueError where a side of the split would be empty.
    """
    random = np.random.RandomState(seed)  # its stream is frozen by NumPy for good, so a hash lasts
    anomalous, normal = (np.flatnonzero((labels == held_out).numpy() == side) for side in (True, False))
    if not len(anomalous):
        raise ValueError(f"class {held_out} has no images: choose a class from 0 to {int(labels.max())}")
    normal = random.permutation(normal)
    pool, held_back = np.split(normal, [round(0.8 * len(normal))])
    calibration, train = np.split(pool, [round(0.05 * len(pool))])
    size = min(len(anomalous), len(held_back))
    if not (size and len(train) and len(calibration)):
        raise ValueError(f"{len(normal)} normal images are too few to split")
    parts = (train, calibration, held_back[:size], random.permutation(anomalous)[:size], held_back)
    return Split(*(torch.from_numpy(part.astype(np.int64)) for part in parts))


def normal_classes(labels: Tensor, held_out: int) -> Tensor:
    """Labels of normal images, renumbered 0 to N - 1 without the class held out. Both (n,) int64."""
    return labels - (labels > held_out).long()
