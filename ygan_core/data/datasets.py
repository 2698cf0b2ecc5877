"""The four datasets (section 4.1) as uint8 tensors, from the starter pack or in full, and Color-MNIST made of one of them."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torchvision import datasets as tv
from torchvision.datasets.utils import check_integrity
from torchvision.transforms.functional import resize
from tqdm.auto import tqdm

from ygan_core.checkpoints import write_atomically
from ygan_core.data.color import assign_colours, colourise

REPOSITORY = Path(__file__).resolve().parents[2]
STARTER = REPOSITORY / "data" / "starter"


class DataError(RuntimeError):
    """Data that is missing or damaged; the message is one line that says what to do."""


@dataclass(frozen=True)
class Dataset:
    """images uint8 (n, C, S, S); labels int64 (n,), indices into `classes`; index int64 (n,), places in the full dataset.

    colours int64 (n,), of Color-MNIST's grounds, is None for every other dataset.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    index: Tensor
    colours: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    @functools.cached_property
    def hash(self) -> str:
        """sha256 over the pixels, in hex."""
        return pixel_hash(self.images)

    def take(self, which: Tensor) -> Dataset:
        """The images at `which` (int64 or bool), with all that belongs to them."""
        colours = None if self.colours is None else self.colours[which]
        return Dataset(
            self.images[which], self.labels[which], self.classes, self.index[which], colours
        )

    def per_class(self, count: int) -> Dataset:
        """The first `count` images of each class."""
        return self.take(
            torch.cat(
                [(self.labels == c).nonzero().flatten()[:count] for c in range(len(self.classes))]
            )
        )


def data_root() -> Path:
    """Where full datasets lie and downloads go: the environment variable YGAN_DATA, or data/ of this repository."""
    return Path(os.environ.get("YGAN_DATA") or REPOSITORY / "data").expanduser()


_MNIST_CLASSES = tuple("0123456789")
_FMNIST_CLASSES = (
    "T-shirt",
    "Trousers",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_CIFAR10_CLASSES = (
    "Airplane",
    "Car",
    "Bird",
    "Cat",
    "Deer",
    "Dog",
    "Frog",
    "Horse",
    "Ship",
    "Truck",
)  # as Table 3 names them


@dataclass(frozen=True)
class _Source:
    """Where a dataset comes from. torchvision: its class there; folder: its place under YGAN_DATA."""

    title: str
    folder: str
    classes: tuple[str, ...] | None = None
    torchvision: type | None = None


DATASETS = {
    "mnist": _Source("MNIST", "MNIST/raw", _MNIST_CLASSES, tv.MNIST),
    "fmnist": _Source("FMNIST", "FashionMNIST/raw", _FMNIST_CLASSES, tv.FashionMNIST),
    "cifar10": _Source("CIFAR10", "cifar-10-batches-py", _CIFAR10_CLASSES, tv.CIFAR10),
    "plantvillage": _Source("PlantVillage", "PlantVillage"),
}
# The md5 of each file that torchvision reads. Of MNIST and FMNIST it has only those of the archives, and unpacks them once.
_FILES = {
    tv.MNIST: {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    tv.FashionMNIST: {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
    tv.CIFAR10: dict(
        [
            *tv.CIFAR10.train_list,
            *tv.CIFAR10.test_list,
            (tv.CIFAR10.meta["filename"], tv.CIFAR10.meta["md5"]),
        ]
    ),
}
# Of the starter pack: sha256 of what each JSON says, labels and places among it. The JSON has the sha256 of the pixels.
_STARTER = {
    "mnist": "4acb5e5121d114549da9d79da9ddfdd543bb4923897821e419779f3c6d36086a",
    "fmnist": "c96675e0f5448367c87a0f9308e982d6a5448135d97ed97374353fe9a8912899",
    "cifar10": "738b249c8c1b218a8e2dfbaaa815e2e900dc9126227cd4ddc5bde32e45816eef",
    "plantvillage": "20952d4e32f00b81de58c517f8f13392307e3e2241a4eea60d081bc9b73f82f5",
}
PLANTS = (  # of Table 4
    *("Apple", "Blueberry", "Cherry", "Corn", "Grape", "Orange", "Peach"),
    *("Pepper", "Potato", "Raspberry", "Soybean", "Squash", "Strawberry", "Tomato"),
)
_LEAVES = re.compile(
    rf"({'|'.join(PLANTS)})(?=[_(,])[\w,()' -]*___[\w,()' -]+", re.ASCII
)  # how its folders are named


def is_healthy(name: str) -> bool:
    """Whether a class of PlantVillage is of healthy leaves, which are normal (section 4.2): `Apple___healthy` is."""
    return name.partition("___")[2].lower() == "healthy"


def load(name: str, size: int = 32, source: str = "starter") -> Dataset:
    """A dataset whole, official training and test parts pooled (training first), re-scaled to size x size.

    name: mnist, fmnist, cifar10 or plantvillage; source: starter (comes with the repository) or full (under `data_root()`;
    the first three are downloaded where they are missing). Raises DataError.
    """
    if name not in DATASETS:
        raise DataError(f"no dataset {name!r}: choose from {', '.join(DATASETS)}")
    if source not in ("starter", "full"):
        raise DataError(f"no source {source!r}: choose starter or full")
    return _load(name, size, STARTER if source == "starter" else data_root())


@functools.lru_cache(maxsize=2)
def _load(name: str, size: int, root: Path) -> Dataset:
    if root == STARTER:
        data = _starter(name)
    elif name == "plantvillage":
        data = _plantvillage(root / DATASETS[name].folder, size)
    else:
        data = _torchvision(DATASETS[name], root)
    if data.images.shape[-1] != size:
        small = [resize(part, [size, size], antialias=True) for part in data.images.split(10_000)]
        data = replace(data, images=torch.cat(small))
    return data


def color_mnist(
    size: int = 32, source: str = "starter", seed: int = 0, images_per_class: int = 0
) -> Dataset:
    """Color-MNIST (section 5): MNIST's digits, dark on grounds of ten colours. images_per_class: 0 takes all."""
    data = load("mnist", size, source)
    if images_per_class:
        data = data.per_class(images_per_class)
    colours = assign_colours(data.labels, seed)
    return replace(data, images=colourise(data.images, colours), colours=colours)


def sheet_to_tiles(sheet: Image.Image, size: int, count: int) -> Tensor:
    """The first `count` tiles of a sheet, row by row: RGB image of size x size tiles -> uint8 (count, 3, size, size)."""
    pixels = torch.from_numpy(np.array(sheet.convert("RGB")))
    rows, columns = pixels.shape[0] // size, pixels.shape[1] // size
    return (
        pixels.view(rows, size, columns, size, 3)
        .permute(0, 2, 4, 1, 3)
        .reshape(-1, 3, size, size)[:count]
        .contiguous()
    )


def pixel_hash(images: Tensor) -> str:
    """sha256 over the pixels of uint8 (n, C, S, S), in hex."""
    return hashlib.sha256(images.contiguous().flatten().numpy()).hexdigest()


def _starter(name: str) -> Dataset:
    mend = "restore it with: git checkout -- data/starter"
    try:
        about = json.loads((STARTER / f"{name}.json").read_text(encoding="utf-8"))
        if hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest() != _STARTER[name]:
            raise ValueError(f"{name}.json has another checksum")
        images = []
        for sheet in about["sheets"]:
            with Image.open(STARTER / sheet["file"]) as picture:
                images.append(sheet_to_tiles(picture, about["size"], sheet["images"]))
    except FileNotFoundError as missing:
        raise DataError(f"the starter pack lacks {missing.filename}: {mend}") from None
    except (OSError, ValueError, KeyError, RuntimeError, UnidentifiedImageError) as error:
        raise DataError(
            f"the starter pack of {name} in {STARTER} is damaged ({error}): {mend}"
        ) from None
    images = torch.cat(images)[:, : about["channels"]].contiguous()
    if pixel_hash(images) != about["sha256"]:
        raise DataError(
            f"the starter pack of {name} in {STARTER} is damaged (its pixels' checksum differs): {mend}"
        )
    return Dataset(
        images, torch.tensor(about["labels"]), tuple(about["classes"]), torch.tensor(about["index"])
    )


def _torchvision(source: _Source, root: Path) -> Dataset:
    place, files = root / source.folder, _FILES[source.torchvision]
    parts, reason = [], ""
    try:
        with _alone(root / f".{source.title}.lock"):
            parts = [
                source.torchvision(root, train=train, download=True) for train in (True, False)
            ]
    except Exception as error:  # what torchvision raises depends on what failed, and where
        reason = f" ({type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]})"
    missing = [name for name in files if not (place / name).exists()]
    if missing:
        how = "copy them there, get a network, or set YGAN_DATA to the folder that holds them"
        what = f"{', '.join(missing)} missing in {place} and the download failed: {how}"
        raise DataError(f"{source.title}: {what}{reason}")
    checked = parts and source.torchvision is tv.CIFAR10  # by torchvision, at every start
    changed = [
        name for name, md5 in files.items() if not (checked or check_integrity(place / name, md5))
    ]
    if changed or not parts:
        what = f"{', '.join(changed) or 'a file'} damaged in {place}, or not {source.title}'s: remove it and run again"
        raise DataError(f"{source.title}: {what}{reason}")
    images = torch.cat([torch.as_tensor(part.data) for part in parts])
    images = images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2).contiguous()
    labels = torch.cat([torch.as_tensor(part.targets) for part in parts])
    return Dataset(images, labels, source.classes, torch.arange(len(images)))


def _alone(path: Path) -> AbstractContextManager:
    """A lock on what is fetched or decoded once: processes that start together would all do it, into the same files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path) if os.access(path.parent, os.W_OK) else nullcontext()


def _plantvillage(root: Path, size: int) -> Dataset:
    there = root.iterdir() if root.is_dir() else []
    folders = sorted(path for path in there if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise DataError(
            f"PlantVillage: no class folders in {root}: copy the published colour folder there (data/README.md)"
        )
    for folder in folders:
        if not _LEAVES.fullmatch(folder.name):
            how = "give it its published name, such as Apple___Black_rot, or move it away"
            raise DataError(
                f"PlantVillage: {folder} is not named after a plant of Table 4 and its state: {how}"
            )
    kinds = {is_healthy(folder.name) for folder in folders}
    for kind, wanted, name in (
        ("healthy", True, "Apple___healthy"),
        ("diseased", False, "Apple___Black_rot"),
    ):
        if wanted not in kinds:
            raise DataError(
                f"PlantVillage: no folder of {kind} leaves in {root}: copy one there, {name} say (data/README.md)"
            )
    files = [
        sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
        for folder in folders
    ]
    for folder, inside in zip(folders, files, strict=True):
        if not inside:
            raise DataError(f"PlantVillage: {folder} holds no images: remove the folder or fill it")
    paths = [path for inside in files for path in inside]
    labels = torch.tensor([label for label, inside in enumerate(files) for _ in inside])
    with _alone(root.with_name(f".{root.name}-{size}px.lock")):
        pixels, found = _decoded(root, paths, size)
    data = Dataset(
        pixels, labels, tuple(folder.name for folder in folders), torch.arange(len(paths))
    )
    vars(data)["hash"] = found  # of up to 8 GB: once is enough
    return data


def _decoded(root: Path, paths: list[Path], size: int) -> tuple[Tensor, str]:
    """The leaves as uint8 (n, 3, size, size), memory-mapped, and their `pixel_hash`.

    They are decoded once and kept beside the folder, with that hash, if it can be written: at 256 px they are 8 GB, more than
    many machines have. The file is named after the images' names and sizes.
    """
    try:
        listing = "\n".join(f"{path.relative_to(root)} {path.stat().st_size}" for path in paths)
    except OSError as error:  # a link to nothing, say
        raise DataError(_unreadable(error.filename, error)) from None
    kept = root.with_name(
        f"{root.name}-{size}px-{hashlib.sha256(os.fsencode(listing)).hexdigest()[:10]}.npy"
    )
    mark, shape = kept.with_suffix(".sha256"), (len(paths), 3, size, size)
    try:
        sealed, pixels = mark.read_text(), torch.from_numpy(np.load(kept, mmap_mode="c"))
        if pixels.shape == shape and pixels.dtype == torch.uint8 and pixel_hash(pixels) == sealed:
            return pixels, sealed
        raise ValueError
    except FileNotFoundError:
        pass
    except Exception:  # what NumPy raises depends on the damage
        print(f"{kept} is damaged or was changed: the leaves are decoded anew", flush=True)
    partial = kept.with_name(f".{os.getpid()}.{kept.name}")
    try:
        for left in kept.parent.glob(f".*.{kept.name}"):  # by a process that was killed
            left.unlink()
        pixels = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
        if hasattr(
            os, "posix_fallocate"
        ):  # else a disk that gets full ends this process without a word
            with open(partial, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, partial.stat().st_size)
    except OSError:
        pixels = torch.from_numpy(_decode(paths, np.empty(shape, dtype=np.uint8)))
        return pixels, pixel_hash(pixels)
    else:
        found = pixel_hash(torch.from_numpy(_decode(paths, pixels)))
        pixels.flush()
        write_atomically(mark, lambda path: path.write_text(found))
        os.replace(partial, kept)
        return torch.from_numpy(np.load(kept, mmap_mode="c")), found
    finally:
        partial.unlink(missing_ok=True)


def _decode(paths: list[Path], pixels: np.ndarray) -> np.ndarray:
    size = pixels.shape[-1]
    for image, path in zip(
        pixels, tqdm(paths, desc="reading PlantVillage", unit=" leaf", disable=None), strict=True
    ):
        try:
            with Image.open(path) as leaf:
                image[:] = np.array(
                    leaf.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
                ).transpose(2, 0, 1)
        except Exception as error:  # what Pillow raises depends on what is wrong
            raise DataError(_unreadable(path, error)) from None
    return pixels


def _unreadable(path: Path | str, error: Exception) -> str:
    what = "too large" if isinstance(error, Image.DecompressionBombError) else "damaged"
    return f"PlantVillage: {path} is {what} ({type(error).__name__}): fetch it again or remove it"
