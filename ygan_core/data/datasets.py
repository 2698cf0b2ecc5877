"""The four datasets of section 4.1 and Color-MNIST (section 5) as uint8 tensors."""

import functools
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from filelock import FileLock
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from ygan_core.checkpoints import write_atomically
from ygan_core.data.color import assign_colours, colourise

REPOSITORY = Path(__file__).resolve().parents[2]
STARTER = REPOSITORY / "data" / "starter"


class DataError(RuntimeError):
    """Data that are missing or damaged; the message is one line that says what to do."""


@dataclass(frozen=True)
class Dataset:
    """Images with their labels.

    images: uint8 (n, C, S, S); labels: int64 (n,), indices into `classes`; index: int64 (n,), that
    of each image in the full dataset; colours: int64 (n,), those of Color-MNIST's backgrounds, None
    for every other dataset.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    index: Tensor
    colours: "Tensor | None" = None

    def __len__(self) -> int:
        return len(self.images)

    @functools.cached_property
    def hash(self) -> str:
        """The sha256 of the pixels, in hex."""
        return sha256(self.images)

    def take(self, which: Tensor) -> "Dataset":
        """The images that `which` selects (int64 or bool), with all that belongs to them."""
        colours = None if self.colours is None else self.colours[which]
        images, labels, index = self.images[which], self.labels[which], self.index[which]
        return Dataset(images, labels, self.classes, index, colours)

    def per_class(self, count: int) -> "Dataset":
        """The first `count` images of each class."""
        each = [(self.labels == c).nonzero().flatten() for c in range(len(self.classes))]
        return self.take(torch.cat([indices[:count] for indices in each]))


@dataclass(frozen=True)
class Source:
    """Where a dataset comes from.

    folder: its place in `data_root()`; torchvision: the class of torchvision.datasets that
    downloads and reads it; classes: the names that the paper gives to its classes. PlantVillage's
    are the names of its folders.
    """

    title: str
    folder: str
    torchvision: str = ""
    classes: tuple[str, ...] = ()


_CLOTHES = "T-shirt, Trousers, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot"
_OBJECTS = "Airplane, Car, Bird, Cat, Deer, Dog, Frog, Horse, Ship, Truck"
DATASETS = {
    "mnist": Source("MNIST", "MNIST/raw", "MNIST", tuple("0123456789")),
    "fmnist": Source("FMNIST", "FashionMNIST/raw", "FashionMNIST", tuple(_CLOTHES.split(", "))),
    "cifar10": Source("CIFAR10", "cifar-10-batches-py", "CIFAR10", tuple(_OBJECTS.split(", "))),
    "plantvillage": Source("PlantVillage", "PlantVillage"),
}
# The first digits of sha256: of each JSON in the starter pack, and of the full pixels and labels.
_CHECKSUMS = {
    "mnist": ("4acb5e5121d11454", "b3fe36794a3a345d"),
    "fmnist": ("c96675e0f5448367", "75979490032625d6"),
    "cifar10": ("738b249c8c1b218a", "88cb2239d6faefc5"),
    "plantvillage": ("20952d4e32f00b81", ""),
}
PLANTS = (  # the species of Table 4; a part of the dataset may lack some
    *("Apple", "Blueberry", "Cherry", "Corn", "Grape", "Orange", "Peach"),
    *("Pepper", "Potato", "Raspberry", "Soybean", "Squash", "Strawberry", "Tomato"),
)
# How PlantVillage's folders are named: a plant of Table 4 and its state.
_LEAVES = re.compile(rf"({'|'.join(PLANTS)})(?=[_(,])[\w,()' -]*___[\w,()' -]+", re.ASCII)


def is_healthy(name: str) -> bool:
    """Whether a class of PlantVillage, such as `Apple___healthy`, has healthy leaves."""
    return name.partition("___")[2].lower() == "healthy"


def data_root() -> Path:
    """Where the full datasets are: the folder that YGAN_DATA names, or data/ of this repository."""
    return Path(os.environ.get("YGAN_DATA") or REPOSITORY / "data").expanduser()


def load(name: str, size: int = 32, source: str = "starter") -> Dataset:
    """A whole dataset, re-scaled to size x size; the official training part precedes the test part.

    name: an entry of DATASETS; source: `starter`, the part that comes with this repository, or
    `full`, from `data_root()` (all but PlantVillage are downloaded if missing). Raises DataError.
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
        data = _torchvision(name, root)
    if data.images.shape[-1] != size:
        how = dict(size=(size, size), mode="bilinear", antialias=True)
        parts = (F.interpolate(part.float(), **how) for part in data.images.split(10_000))
        data = replace(data, images=torch.cat([part.round().to(torch.uint8) for part in parts]))
    return data


def color_mnist(
    size: int = 32, source: str = "starter", seed: int = 0, images_per_class: int = 0
) -> Dataset:
    """Color-MNIST (section 5): MNIST's digits, black on coloured backgrounds.

    seed: which image gets which colour; images_per_class: how many of each digit, 0 for all.
    """
    data = load("mnist", size, source)
    if images_per_class:
        data = data.per_class(images_per_class)
    colours = assign_colours(data.labels, seed)
    return replace(data, images=colourise(data.images, colours), colours=colours)


def sheet_to_tiles(sheet: Image.Image, size: int, count: int) -> Tensor:
    """The first `count` tiles of an image, row by row: uint8 (count, 3, size, size)."""
    pixels = torch.from_numpy(np.array(sheet.convert("RGB")))
    rows, columns = pixels.shape[0] // size, pixels.shape[1] // size
    tiles = pixels.view(rows, size, columns, size, 3).permute(0, 2, 4, 1, 3)
    return tiles.reshape(-1, 3, size, size)[:count].contiguous()


def sha256(*tensors: Tensor) -> str:
    """The sha256 of the values of these tensors, in hex."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.contiguous().flatten().numpy())
    return digest.hexdigest()


def _starter(name: str) -> Dataset:
    mend = "restore it with: git checkout -- data/starter"
    try:
        about = json.loads((STARTER / f"{name}.json").read_text(encoding="utf-8"))
        found = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        if not found.startswith(_CHECKSUMS[name][0]):
            raise ValueError(f"{name}.json has another checksum")
        images = []
        for sheet in about["sheets"]:
            with Image.open(STARTER / sheet["file"]) as picture:
                images.append(sheet_to_tiles(picture, about["size"], sheet["images"]))
        images = torch.cat(images)[:, : about["channels"]].contiguous()
        if sha256(images) != about["sha256"]:
            raise ValueError("its pixels have another checksum")
    except FileNotFoundError as missing:
        raise DataError(f"the starter pack lacks {missing.filename}: {mend}") from None
    except (OSError, ValueError, RuntimeError) as error:
        what = f"the starter pack of {name} in {STARTER} is damaged ({error})"
        raise DataError(f"{what}: {mend}") from None
    labels, index = torch.tensor(about["labels"]), torch.tensor(about["index"])
    return Dataset(images, labels, tuple(about["classes"]), index)


def _torchvision(name: str, root: Path) -> Dataset:
    from torchvision import datasets  # it takes seconds to import

    source = DATASETS[name]
    place, read = root / source.folder, getattr(datasets, source.torchvision)
    try:
        with _lock(root / f".{source.title}.lock"):
            parts = [read(root, train=train, download=True) for train in (True, False)]
    except Exception as error:  # what torchvision raises depends on what failed, and where
        reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]}"
        what = f"a file is missing or damaged in {place} and the download failed ({reason})"
        how = "copy the files of data/README.md there, or set YGAN_DATA to the folder that has them"
        raise DataError(f"{source.title}: {what}: {how}") from None
    images = torch.cat([torch.as_tensor(part.data) for part in parts])
    images = images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2).contiguous()
    labels = torch.cat([torch.as_tensor(part.targets) for part in parts])
    if not sha256(images, labels).startswith(_CHECKSUMS[name][1]):
        what = f"a file in {place} is damaged, or not {source.title}'s"
        raise DataError(f"{source.title}: {what}: remove the folder and run again")
    return Dataset(images, labels, source.classes, torch.arange(len(images)))


def _lock(path: Path) -> AbstractContextManager:
    """Of several processes that start at once, only one downloads or decodes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path) if os.access(path.parent, os.W_OK) else nullcontext()


def _plantvillage(root: Path, size: int) -> Dataset:
    folders = _class_folders(root)
    # names that begin with a dot are hidden, or macOS's notes about a file (`._leaf.jpg`)
    files = [
        sorted(p for p in folder.glob("[!.]*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
        for folder in folders
    ]
    for folder, inside in zip(folders, files, strict=True):
        if not inside:
            raise DataError(f"PlantVillage: {folder} holds no images: remove the folder or fill it")
    labels = torch.arange(len(files)).repeat_interleave(torch.tensor([len(f) for f in files]))
    with _lock(root.with_name(f".{root.name}-{size}px.lock")):
        pixels, found = _decoded(root, [path for inside in files for path in inside], size)
    classes = tuple(folder.name for folder in folders)
    data = Dataset(pixels, labels, classes, torch.arange(len(labels)))
    vars(data)["hash"] = found  # so that up to 8 GB are not read once more
    return data


def _class_folders(root: Path) -> list[Path]:
    inside = root.iterdir() if root.is_dir() else []
    folders = sorted(path for path in inside if path.is_dir() and not path.name.startswith("."))
    if not folders:
        how = "copy the published colour folder there (data/README.md)"
        raise DataError(f"PlantVillage: no class folders in {root}: {how}")
    for folder in folders:
        if not _LEAVES.fullmatch(folder.name):
            what = f"{folder} is not named after a plant of Table 4 and its state"
            how = "give it its published name, such as Apple___Black_rot, or move it away"
            raise DataError(f"PlantVillage: {what}: {how}")
    for state, example in (("healthy", "Apple___healthy"), ("diseased", "Apple___Black_rot")):
        if not any(is_healthy(folder.name) == (state == "healthy") for folder in folders):
            what, how = f"no folder of {state} leaves in {root}", f"copy one there ({example})"
            raise DataError(f"PlantVillage: {what}: {how}")
    return folders


def _decoded(root: Path, paths: list[Path], size: int) -> tuple[Tensor, str]:
    """The leaves as uint8 (n, 3, size, size), and the sha256 of their pixels.

    At 256 px they are 8 GB, more than many machines have. So they are decoded once, into a file
    beside the folder, and memory-mapped. The file is named after the images' names and sizes.
    """
    # a link to nothing has no size, and cannot be decoded below
    sizes = [path.stat().st_size if path.exists() else 0 for path in paths]
    listing = "\n".join(f"{p.relative_to(root)} {n}" for p, n in zip(paths, sizes, strict=True))
    name = hashlib.sha256(os.fsencode(listing)).hexdigest()[:10]
    kept = root.with_name(f"{root.name}-{size}px-{name}.uint8")
    checksum = kept.with_suffix(".sha256")

    def read() -> tuple[Tensor, str]:
        content = np.memmap(kept, np.uint8, "c", shape=(len(paths), 3, size, size))
        pixels = torch.from_numpy(content)
        return pixels, sha256(pixels)

    def write(path: Path) -> None:
        with open(path, "wb") as file:
            for leaf in _leaves(paths, size):
                file.write(leaf)

    if kept.exists():
        try:
            pixels, found = read()
            if found == checksum.read_text():
                return pixels, found
        except (OSError, ValueError):  # too short, or without a checksum
            pass
        said = "is damaged, was changed, or has no checksum: the leaves are decoded anew"
        print(f"{kept} {said}", flush=True)
    try:
        for partial in kept.parent.glob(f".*.{kept.name}"):  # of a process that was killed
            partial.unlink()
        write_atomically(kept, write)
        pixels, found = read()
        write_atomically(checksum, lambda path: path.write_text(found))
    except OSError:  # the disk is full, or the folder is read-only: decode into memory
        pixels = torch.from_numpy(np.stack(list(_leaves(paths, size))))
        found = sha256(pixels)
    return pixels, found


def _leaves(paths: list[Path], size: int) -> Iterator[np.ndarray]:
    for path in tqdm(paths, desc="reading PlantVillage", unit=" leaf", disable=None):
        try:
            with Image.open(path) as leaf:
                small = leaf.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        except Exception as error:  # what Pillow raises depends on what is wrong
            what = "too large" if isinstance(error, Image.DecompressionBombError) else "damaged"
            what = f"{path} is {what} ({type(error).__name__})"
            raise DataError(f"PlantVillage: {what}: fetch it again or remove it") from None
        yield np.ascontiguousarray(np.array(small).transpose(2, 0, 1))
