"""The protocol of section 4.2: 80/20, one class out, a balanced test set, all drawn by a seed and named by a hash."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from ygan_core.data.datasets import Dataset, is_healthy


@dataclass(frozen=True)
class Split:
    """Indices into a dataset, int64. No image is in two parts; no anomaly outside `test_anomalous`.

    train: 80 % of the normal images, less `calibration`, the 5 % of them that are left untrained
        (thresholds, validation; not in the paper);
    test_normal, test_anomalous: the test set, equally many of both if it is balanced; held_back: all of the other 20 % of
    the normal images.
    """

    train: Tensor
    calibration: Tensor
    test_normal: Tensor
    test_anomalous: Tensor
    held_back: Tensor
    pixels: str = ""  # the hash of the whole dataset's images

    @property
    def test(self) -> Tensor:
        """The test set's images, normal ones first."""
        return torch.cat([self.test_normal, self.test_anomalous])

    @property
    def hash(self) -> str:
        """Sixteen hex digits that name this split: the same images in the same parts, the same hash."""
        digest = hashlib.sha256(self.pixels.encode())
        for part in (self.train, self.calibration, self.test_normal, self.test_anomalous):
            digest.update(
                len(part).to_bytes(8, "big") + part.sort().values.numpy().astype(">i8").tobytes()
            )
        return digest.hexdigest()[:16]


def anomalous(data: Dataset, *held_out: int) -> Tensor:
    """Which images are anomalies, bool (n,): those of the classes `held_out`; at -1 (PlantVillage) leaves not healthy."""
    if held_out != (-1,):
        return torch.isin(data.labels, torch.tensor(held_out))
    return ~torch.tensor([is_healthy(name) for name in data.classes])[data.labels]


def sub_classes(data: Dataset, *held_out: int) -> Tensor:
    """The normal sub-class of each image, int64 (n,) from 0 to N - 1 in the order of `data.classes`; -1 for anomalies."""
    normal = ~anomalous(data, *held_out)
    renumbered = torch.full((len(data.classes),), -1)
    kinds = data.labels[normal].unique()
    renumbered[kinds] = torch.arange(len(kinds))
    return torch.where(normal, renumbered[data.labels], -1)


def species(classes: Iterable[str]) -> list[str]:
    """The plant of each of PlantVillage's classes, as Table 4 names it: `Cherry_(including_sour)___healthy` is a Cherry."""
    return [re.split(r"[_(,]", name.partition("___")[0], maxsplit=1)[0] for name in classes]


def split(anomalies: Tensor, seed: int, balanced: bool = True) -> Split:
    """The parts of section 4.2. anomalies bool (n,), over all images: the official training and test parts are pooled before.

    balanced: the test set has all anomalies and as many held-back normal images, or all of those and as many anomalies where
    they are fewer; else (PlantVillage) all of both. Raises ValueError where a side of the split would be empty.
    """
    random = np.random.RandomState(seed)  # its stream is frozen by NumPy for good, so a hash lasts
    anomalous, normal = np.flatnonzero(anomalies.numpy()), np.flatnonzero(~anomalies.numpy())
    if not len(anomalous):
        raise ValueError("no image is an anomaly: choose another class to hold out")
    normal = random.permutation(normal)
    pool, held_back = np.split(normal, [round(0.8 * len(normal))])
    calibration, train = np.split(pool, [round(0.05 * len(pool))])
    size = min(len(anomalous), len(held_back))
    if not (size and len(train) and len(calibration)):
        raise ValueError(f"{len(normal)} normal images are too few to split")
    test_normal, test_anomalous = held_back, random.permutation(anomalous)
    if balanced:
        test_normal, test_anomalous = test_normal[:size], test_anomalous[:size]
    parts = (train, calibration, test_normal, test_anomalous, held_back)
    return Split(*(torch.from_numpy(part.astype(np.int64)) for part in parts))


def validation(parts: Split, stand_in: Tensor, seed: int) -> Split:
    """The split that settings are chosen on: section 4.2 once more, inside the 80 % that are trained on.

    stand_in bool (n,), over all images: those of a second class held out, which stand in for the anomaly. No image that
    `parts` tests with is in any part. Raises ValueError as `split`.
    """
    pool = torch.cat([parts.train, parts.calibration]).sort().values
    inner = split(stand_in[pool], seed)
    return Split(
        *(pool[getattr(inner, field.name)] for field in fields(Split) if field.name != "pixels")
    )
