"""The protocol of section 4.2: one class held out, an 80/20 split, a balanced test set."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ygan_core.data.datasets import Dataset, is_healthy


@dataclass(frozen=True)
class Split:
    """The parts of a dataset, as int64 indices.

    train: 80 % of the normal images, except `calibration`, 5 % of them: no network is trained on
    these, so that thresholds can be set on them (`metrics.percentile_threshold`; not in the paper);
    held_back: the other 20 % of the normal images; test_normal, drawn from these, and
    test_anomalous: the test set. No anomaly is in any other part.
    """

    train: Tensor
    calibration: Tensor
    test_normal: Tensor
    test_anomalous: Tensor
    held_back: Tensor
    pixels: str = ""  # the hash of all images of the dataset

    @property
    def test(self) -> Tensor:
        """The images of the test set, normal ones first."""
        return torch.cat([self.test_normal, self.test_anomalous])

    @property
    def hash(self) -> str:
        """Sixteen hex digits, the same for the same images in the same parts."""
        digest = hashlib.sha256(self.pixels.encode())
        for part in (self.train, self.calibration, self.test_normal, self.test_anomalous):
            indices = part.sort().values.numpy().astype(">i8")
            digest.update(len(part).to_bytes(8, "big") + indices.tobytes())
        return digest.hexdigest()[:16]


def anomalous(data: Dataset, *held_out: int) -> Tensor:
    """Which images are anomalies, bool (n,): those of the classes `held_out`.

    -1 stands for PlantVillage's anomalies: all leaves that are not healthy.
    """
    if held_out != (-1,):
        return torch.isin(data.labels, torch.tensor(held_out))
    return ~torch.tensor([is_healthy(name) for name in data.classes])[data.labels]


def sub_classes(data: Dataset, *held_out: int) -> Tensor:
    """The sub-class of each normal image (section 3.1), int64 (n,) in [0, N); -1 for anomalies.

    Sub-classes are in the order of `data.classes`.
    """
    normal = ~anomalous(data, *held_out)
    renumbered = torch.full((len(data.classes),), -1)
    kinds = data.labels[normal].unique()
    renumbered[kinds] = torch.arange(len(kinds))
    return torch.where(normal, renumbered[data.labels], -1)


def species(classes: Iterable[str]) -> list[str]:
    """The plant of each of PlantVillage's classes, as Table 4 names it.

    That of `Cherry_(including_sour)___healthy` is Cherry.
    """
    return [re.split(r"[_(,]", name.partition("___")[0], maxsplit=1)[0] for name in classes]


def split(anomalies: Tensor, seed: int, balanced: bool = True) -> Split:
    """The parts of section 4.2.

    anomalies: which images are anomalies, bool (n,); balanced: the test set has as many normal
    images as anomalies, chosen at random where there are more; otherwise (PlantVillage) it has all
    anomalies and all held-back normal images. Raises ValueError where a part would be empty.
    """
    random = np.random.RandomState(seed)  # NumPy guarantees that its stream never changes
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
