"""The data of the paper: datasets (`load`, `color_mnist`) and the protocol (`split`)."""

from ygan_core.data.augment import augment
from ygan_core.data.color import COLOURS
from ygan_core.data.datasets import DATASETS, DataError, Dataset, color_mnist, data_root, load
from ygan_core.data.protocol import Split, anomalous, species, split, sub_classes

__all__ = [
    "COLOURS",
    "DATASETS",
    "DataError",
    "Dataset",
    "Split",
    "anomalous",
    "augment",
    "color_mnist",
    "data_root",
    "load",
    "species",
    "split",
    "sub_classes",
]
