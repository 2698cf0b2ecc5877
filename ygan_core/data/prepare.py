"""The images of a Config, and their split."""

from __future__ import annotations

from dataclasses import replace

from ygan_core.config import Config
from ygan_core.data.datasets import DataError, Dataset, color_mnist, load
from ygan_core.data.protocol import Split, anomalous, split, validation
from ygan_study.methods.background import background_only


def dataset(config: Config) -> Dataset:
    """The images of a training, before they are split. Raises DataError."""
    if config.dataset == "color_mnist":
        data = color_mnist(
            config.image_size, config.source, config.split_seed, config.images_per_class
        )
    else:
        data = load(config.dataset, config.image_size, config.source)
        data = data.per_class(config.images_per_class) if config.images_per_class else data
    return (
        replace(data, images=background_only(data.images))
        if config.pixels == "background"
        else data
    )


def prepare(config: Config) -> tuple[Dataset, Split]:
    """The images and the split of a training (sections 4.2 and 5). Raises DataError."""
    data = dataset(config)
    try:
        parts = split(
            anomalous(data, config.held_out), config.split_seed, balanced=config.held_out >= 0
        )
        if config.stand_in >= 0:
            parts = validation(parts, data.labels == config.stand_in, config.split_seed)
    except ValueError as error:
        raise DataError(f"{config.dataset}: {error}") from None
    return data, replace(parts, pixels=data.hash)
