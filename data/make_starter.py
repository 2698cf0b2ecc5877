"""Make data/starter/ anew: python data/make_starter.py [mnist fmnist cifar10 plantvillage]

The pack is a seeded, class-balanced part of each dataset: sheets of tiles (lossless WebP; JPEG for
the leaves, which are JPEGs already) and a JSON with labels, places in the full dataset, source,
licence and the sha256 of the decoded pixels. It is made from the full datasets, in the folder that
YGAN_DATA names (default: data/). The same data give the same tiles.
"""

import json
import sys
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from ygan_core.data.datasets import (
    DATASETS,
    STARTER,
    DataError,
    Dataset,
    load,
    sha256,
    sheet_to_tiles,
)

SEED = 0
COLUMNS, ROWS = 50, 40  # tiles of a sheet


class Recipe(NamedTuple):
    """How many images of a class at most, their size, where they come from, and their licence."""

    most: int
    size: int
    source: str
    licence: str


MNIST = "LeCun, Cortes & Burges, http://yann.lecun.com/exdb/mnist/"
FMNIST = "Zalando Research, https://github.com/zalandoresearch/fashion-mnist"
CIFAR10 = "Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html"
LEAVES = "Hughes & Salathe 2015, arXiv 1511.08060, reduced to 64 x 64"
RECIPES = {
    "mnist": Recipe(1000, 28, MNIST, "CC BY-SA 3.0, as commonly stated"),
    "fmnist": Recipe(1000, 28, FMNIST, "MIT"),
    "cifar10": Recipe(500, 32, CIFAR10, "none stated"),
    "plantvillage": Recipe(120, 64, LEAVES, "CC BY-SA 3.0 as published"),
}


def choose(data: Dataset, most: int) -> Dataset:
    """At most `most` random images of each class, in the order of the full dataset."""
    random, labels = np.random.RandomState(SEED), data.labels.numpy()
    places = [np.flatnonzero(labels == c) for c in range(len(data.classes))]
    chosen = np.concatenate([random.permutation(place)[:most] for place in places])
    return data.take(torch.from_numpy(np.sort(chosen)))


def to_sheet(images: torch.Tensor) -> Image.Image:
    """Images uint8 (n, C, S, S) as one picture, row by row, COLUMNS in a row."""
    size, rows = images.shape[-1], -(-len(images) // COLUMNS)
    tiles = torch.zeros(rows * COLUMNS, 3, size, size, dtype=torch.uint8)
    tiles[: len(images)] = images  # a grey image fills all three channels
    pixels = tiles.view(rows, COLUMNS, 3, size, size).permute(0, 3, 1, 4, 2)
    return Image.fromarray(pixels.reshape(rows * size, COLUMNS * size, 3).numpy())


def make(name: str) -> None:
    """Write the sheets and the JSON of one dataset, and read them back. Raises DataError."""
    recipe = RECIPES[name]
    full = load(name, recipe.size, "full")
    data, channels, lossless = (
        choose(full, recipe.most),
        full.images.shape[1],
        name != "plantvillage",
    )
    STARTER.mkdir(parents=True, exist_ok=True)
    sheets, decoded = [], []
    for number, part in enumerate(data.images.split(COLUMNS * ROWS)):
        file = STARTER / f"{name}-{number}.{'webp' if lossless else 'jpg'}"
        how = dict(lossless=True, quality=100, method=6) if lossless else dict(quality=85)
        to_sheet(part).save(file, **how)
        with Image.open(file) as sheet:
            decoded.append(sheet_to_tiles(sheet, recipe.size, len(part)))
        sheets.append({"file": file.name, "images": len(part)})
    images = torch.cat(decoded)[:, :channels]
    if lossless and not images.equal(data.images):
        raise DataError(f"{name}: the sheets do not decode to the images they were made from")
    about = {
        "title": DATASETS[name].title,
        "source": recipe.source,
        "licence": recipe.licence,
        "drawn": f"at most {recipe.most} of a class, seed {SEED}, by data/make_starter.py",
        "of": len(full),
        "size": recipe.size,
        "channels": channels,
        "sheets": sheets,
        "sha256": sha256(images),
        "classes": data.classes,
        "labels": data.labels.tolist(),
        "index": data.index.tolist(),
    }
    (STARTER / f"{name}.json").write_text(json.dumps(about) + "\n")
    print(f"{name}: {len(data)} images of {len(data.classes)} classes in {len(sheets)} sheets")


if __name__ == "__main__":
    names = sys.argv[1:] or list(RECIPES)
    unknown = [name for name in names if name not in RECIPES]
    if unknown:
        raise SystemExit(f"no dataset {' '.join(unknown)}: choose from {' '.join(RECIPES)}")
    try:
        for name in names:
            make(name)
    except DataError as error:
        raise SystemExit(str(error)) from None
