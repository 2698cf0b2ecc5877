"""The images of a training and their split."""

from dataclasses import replace

import torch
from torch import Tensor

from ygan_core.data import DataError, Dataset, Split, anomalous, color_mnist, load, split
from ygan_study.plan.settings import Settings


def dataset(settings: Settings) -> Dataset:
    """The images of a training, before they are split. Raises DataError."""
    s = settings
    if s.dataset == "color_mnist":
        data = color_mnist(s.image_size, s.source, s.split_seed, s.images_per_class)
    else:
        data = load(s.dataset, s.image_size, s.source)
        data = data.per_class(s.images_per_class) if s.images_per_class else data
    if s.pixels == "background":
        data = replace(data, images=background_only(data.images))
    return data


def background_only(images: Tensor) -> Tensor:
    """A copy with only the outermost pixels, 2 on each side at 64 x 64; the others are black.

    uint8 (n, C, S, S), S >= 32. The control for PlantVillage, after Noyan, "Uncovering bias in the
    PlantVillage dataset" (arXiv 2206.04374), where 8 background pixels alone give 49 % accuracy
    over 38 classes: what a system finds on the background alone, it does not owe to the leaf.
    """
    width = images.shape[-1] // 32
    images = images.clone()
    images[..., width:-width, width:-width] = 0
    return images


def prepare(settings: Settings) -> tuple[Dataset, Split]:
    """The images and the split of a training (sections 4.2 and 5). Raises DataError."""
    s, data = settings, dataset(settings)
    try:
        parts = split(anomalous(data, s.held_out), s.split_seed, balanced=s.held_out >= 0)
        if s.stand_in >= 0:
            parts = validation(parts, data.labels == s.stand_in, s.split_seed)
    except ValueError as error:
        raise DataError(f"{s.dataset}: {error}") from None
    return data, replace(parts, pixels=data.hash)


def validation(parts: Split, stand_in: Tensor, seed: int) -> Split:
    """The split on which settings are chosen: section 4.2 once more, inside the 80 % trained on.

    stand_in: bool (n,), over all images, the images of a second held-out class that stand in for
    the anomaly. No image that `parts` tests with is in any part. Raises ValueError as `split` does.
    """
    pool = torch.cat([parts.train, parts.calibration]).sort().values
    inner = split(stand_in[pool], seed)
    names = ("train", "calibration", "test_normal", "test_anomalous", "held_back")
    return Split(*(pool[getattr(inner, name)] for name in names))
