"""Make data/starter/ from the full datasets: python data/make_starter.py [mnist fmnist cifar10 plantvillage]

A fixed, seeded, class-balanced part of each, as sheets of tiles (lossless WebP; JPEG for the leaves, which are JPEG already)
beside a JSON with labels, places in the full dataset, source, licence and the sha256 of the decoded pixels. Reads the full
datasets under YGAN_DATA (default: data/), so run it only to make the pack anew; the same data give the same tiles.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import torch
from PIL import Image

from ygan_core.data.datasets import (
    DATASETS,
    STARTER,
    DataError,
    Dataset,
    load,
    pixel_hash,
    sheet_to_tiles,
)

SEED = 0
COLUMNS, ROWS = 50, 40  # tiles of a sheet
# the most images of a class, their size, and where they come from
RECIPE = {
    "mnist": (
        1000,
        28,
        "LeCun, Cortes & Burges, http://yann.lecun.com/exdb/mnist/",
        "CC BY-SA 3.0, as commonly stated",
    ),
    "fmnist": (
        1000,
        28,
        "Zalando Research, https://github.com/zalandoresearch/fashion-mnist",
        "MIT",
    ),
    "cifar10": (
        500,
        32,
        "Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html",
        "none stated",
    ),
    "plantvillage": (
        120,
        64,
        "Hughes & Salathe 2015, arXiv 1511.08060, reduced to 64 x 64",
        "CC BY-SA 3.0 as published",
    ),
}


def choose(data: Dataset, most: int) -> Dataset:
    """At most `most` images of each class, drawn by SEED, in the order of the full dataset."""
    random = np.random.RandomState(SEED)
    chosen = [
        random.permutation(np.flatnonzero(data.labels.numpy() == c))[:most]
        for c in range(len(data.classes))
    ]
    return data.take(torch.from_numpy(np.sort(np.concatenate(chosen))))


def make(name: str) -> None:
    """Write the sheets and the JSON of one dataset, and read them back."""
    most, size, source, licence = RECIPE[name]
    full = load(name, size, "full")
    data, total = choose(full, most), len(full)
    lossless = name != "plantvillage"
    STARTER.mkdir(parents=True, exist_ok=True)
    sheets, decoded = [], []
    for number, part in enumerate(data.images.split(COLUMNS * ROWS)):
        file = f"{name}-{number}.{'webp' if lossless else 'jpg'}"
        rows = -(-len(part) // COLUMNS)
        tiles = torch.zeros(rows * COLUMNS, 3, size, size, dtype=torch.uint8)
        tiles[: len(part)] = part  # a grey image fills all three channels
        pixels = (
            tiles.view(rows, COLUMNS, 3, size, size)
            .permute(0, 3, 1, 4, 2)
            .reshape(rows * size, COLUMNS * size, 3)
        )
        how = dict(lossless=True, quality=100, method=6) if lossless else dict(quality=85)
        Image.fromarray(pixels.numpy()).save(STARTER / file, **how)
        with Image.open(STARTER / file) as sheet:
            decoded.append(sheet_to_tiles(sheet, size, len(part)))
        sheets.append({"file": file, "images": len(part)})
    channels = data.images.shape[1]
    images = torch.cat(decoded)[:, :channels]
    if lossless and not images.equal(data.images):
        raise DataError(f"{name}: the sheets do not decode to the images they were made from")
    about = {
        "title": DATASETS[name].title,
        "source": source,
        "licence": licence,
        "drawn": f"at most {most} of a class, seed {SEED}, by data/make_starter.py",
        "of": total,
        "size": size,
        "channels": channels,
        "sheets": sheets,
        "sha256": pixel_hash(images),
        "classes": data.classes,
        "labels": data.labels.tolist(),
        "index": data.index.tolist(),
    }
    (STARTER / f"{name}.json").write_text(json.dumps(about) + "\n")
    print(f"{name}: {len(data)} images of {len(data.classes)} classes in {len(sheets)} sheets")


if __name__ == "__main__":
    names = sys.argv[1:] or list(RECIPE)
    if set(names) - set(RECIPE):
        raise SystemExit(
            f"no dataset {' '.join(sorted(set(names) - set(RECIPE)))}: choose from {' '.join(RECIPE)}"
        )
    try:
        for name in names:
            make(name)
    except DataError as error:
        raise SystemExit(str(error)) from None
