"""The images of a folder, of files or of an array: found and named first, then read one by one.

Folders follow torchvision's `ImageFolder`: a subfolder is a class.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch
from PIL import Image
from sklearn.utils import assert_all_finite, check_array, check_consistent_length, column_or_1d
from tqdm.auto import tqdm

from ygan_detector.pixels import DetectorError, from_array, is_grey, resize, to_array, to_uint8

NORMAL = ("0.normal", "good")  # normal images in the layouts of the authors' code and of MVTec AD
ABNORMAL = "1.abnormal"
UNFINISHED = ".training"  # ending of the folders with the checkpoints of a training
UNREADABLE = {"BUFR", "EPS", "FITS", "GRIB", "HDF5", "MPEG", "PALM", "PDF", "WMF"}  # to Pillow
CHUNK = 32  # images that are decoded side by side
NAMED = 5  # files that are named one by one in warnings; further ones are counted

warn = partial(warnings.warn, stacklevel=2)


def printable(name: str) -> str:
    """A name from the file system as text that every output takes, whatever its bytes are."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def say(line: str) -> None:
    """Print a line at once, whatever names it contains."""
    print(printable(line), flush=True)


@dataclass(frozen=True)
class Images:
    """n images that have been found but not read yet.

    names: paths below the folder, or numbers; read(i): image i as uint8 (H, W, 1 or 3), or any
    exception; sides (n, 2): heights and widths; channels: 1 if all images are grey, else 3;
    identity: a hash that changes when the images do; labels int64 (n,): indices into `classes`,
    or None; anomalous bool (n,): the truth where the folder's layout tells it, or None.
    """

    names: np.ndarray
    read: Callable[[int], np.ndarray]
    sides: np.ndarray
    channels: int
    identity: str
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    anomalous: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    def batches(
        self, which: np.ndarray, size: int, channels: int, title: str = ""
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Read images: (indices (b,), pixels uint8 (b, channels, size, size)), batch by batch.

        Images that cannot be decoded are left out and named in a warning at the end. title: of
        the progress bar; there is none without a title.
        """

        def decode(i: int) -> np.ndarray | str:
            try:
                return resize(self.read(i), size, channels)
            except Exception as error:  # Pillow raises almost any exception for a damaged file
                return _reason(error)

        failed, quiet = {}, None if title else True
        with (
            ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool,
            tqdm(total=len(which), desc=title, unit=" image", disable=quiet) as bar,
        ):
            for start in range(0, len(which), CHUNK):
                part = which[start : start + CHUNK]
                decoded = dict(zip(part.tolist(), pool.map(decode, part.tolist()), strict=True))
                failed |= {i: text for i, text in decoded.items() if isinstance(text, str)}
                bar.update(len(part))
                if good := [i for i in decoded if i not in failed]:
                    yield np.array(good), np.stack([decoded[i] for i in good])
        _warn_left_out({self.names[i]: reason for i, reason in failed.items()})


def find_images(X, y=None, training: bool = False, say: Callable[[str], None] = say) -> Images:
    """The images of X: a folder, a file, several files or pictures, an array or a tensor.

    y: labels (n,), for files and arrays. training: whether the subfolders of a folder are classes
    of normal images. say: receives one line about the layout. Raises ValueError.
    """
    X = list(X) if isinstance(X, Iterator) else X
    if isinstance(X, (str, os.PathLike)):
        X = [X]
        path = Path(X[0]).expanduser()
        if path.is_dir():
            if y is not None:
                raise DetectorError("y is for files and arrays; a folder's classes are subfolders")
            return _folder(path, training, say)
        if not path.exists():
            raise DetectorError(f"there is no {path}: give a folder of images, or an image")
    labels, classes = (None, ()) if y is None else _encode(y, X)
    if _are_paths(X):
        return _files([Path(x).expanduser() for x in X], None, labels, classes)
    if _are_pictures(X):
        return _pictures(X, labels, classes)
    return _array(X, labels, classes)


def _encode(y, X) -> tuple[np.ndarray, tuple[str, ...]]:
    """(labels int64 (n,), names of the classes) of the labels of X."""
    y, objects = column_or_1d(np.asarray(y)), np.asarray(y, dtype=object)
    check_consistent_length(X, y)
    assert_all_finite(y, input_name="y")
    if pd.isna(objects).any():  # NumPy makes the word "nan" of one among names
        raise DetectorError("Input y contains None or NaN; labels are names or whole numbers")
    names, labels = np.unique(y.astype(str) if y.dtype.kind == "O" else y, return_inverse=True)
    return labels, tuple(printable(str(name)) for name in names)


def _are_paths(X) -> bool:
    one_dimension = isinstance(X, Iterable) and getattr(X, "ndim", 1) == 1
    return one_dimension and len(X) > 0 and all(isinstance(x, (str, os.PathLike)) for x in X)


def _are_pictures(X) -> bool:
    """Whether these are pictures of Pillow, or arrays of different sizes."""
    if not isinstance(X, (list, tuple)):
        return False
    arrays = [x for x in X if not isinstance(x, Image.Image)]
    if not all(isinstance(x, np.ndarray) and x.ndim in (2, 3) for x in arrays):
        return False
    return len(arrays) < len(X) or len({x.shape for x in arrays}) > 1


def _pictures(X, labels: np.ndarray | None, classes: tuple[str, ...]) -> Images:
    pictures = [x if isinstance(x, Image.Image) else np.atleast_3d(x) for x in X]
    sides, grey = [], []
    for x in pictures:
        array = isinstance(x, np.ndarray)
        sides.append(x.shape[:2] if array else x.size[::-1])
        grey.append(x.shape[-1] < 3 if array else is_grey(x))

    def read(i: int) -> np.ndarray:
        array = isinstance(pictures[i], np.ndarray)
        return from_array(pictures[i]) if array else to_array(pictures[i])

    names, channels = np.arange(len(X)).astype(str), 1 if all(grey) else 3
    identity = joblib.hash(([np.asarray(x) for x in X], labels))
    return Images(names, read, np.array(sides), channels, identity, labels, classes)


def _array(X, labels: np.ndarray | None, classes: tuple[str, ...]) -> Images:
    channels_first = torch.is_tensor(X)
    X = check_array(X.detach().cpu().numpy() if channels_first else X, allow_nd=True)
    if X.ndim not in (3, 4):
        raise DetectorError(
            "Reshape your data: images are (n, H, W), (n, H, W, C) or (n, C, H, W), "
            f"not of shape {X.shape}"
        )
    if X.ndim == 3 and X.shape[2] in (3, 4) and X.shape[1] > 4:
        raise DetectorError(f"a single image of shape {X.shape} has to be given as X[None]")
    X = X[..., None] if X.ndim == 3 else X
    last, first = X.shape[3] <= 4, X.shape[1] <= 4
    if not (last or first):
        raise DetectorError(f"images have 1 to 4 channels, first or last, unlike shape {X.shape}")
    if first and (channels_first or not last):
        X = np.moveaxis(X, 1, -1)
    to_uint8(np.array([X.min(), X.max()], X.dtype))  # refuses numbers out of range
    n, height, width, channels = X.shape
    return Images(
        names=np.arange(n).astype(str),
        read=lambda i: from_array(X[i]),
        sides=np.tile((height, width), (n, 1)),
        channels=1 if channels < 3 else 3,
        identity=joblib.hash((X, labels)),
        labels=labels,
        classes=classes,
    )


def _folder(root: Path, training: bool, say: Callable[[str], None]) -> Images:
    root = _layout(root, training, say)
    paths = _images_below(root)
    tops = [_shown(path, root).split("/")[0] for path in paths]  # the subfolder, or the file itself
    folders = [_shown(folder, root) for folder in _subfolders(root)]
    if not training:
        images = _files(paths, root)
        if normal := [name for name in folders if name in NORMAL]:
            say(f"images in {root / normal[0]} are known to be normal, all others to be anomalies")
            tops = [name.split("/")[0] for name in images.names]
            images = replace(images, anomalous=~np.isin(tops, normal))
        return images
    if ABNORMAL in folders:
        say(f"{root / ABNORMAL} is left out: a detector is trained on normal images only")
    for name in set(folders) - {ABNORMAL, *tops}:
        warn(f"the folder {name} holds no images and was left out")
    classes = tuple(name for name in folders if name in tops and name != ABNORMAL)
    if beside := sum(path.parent == root for path in paths) if classes else 0:
        warn(f"{beside} images beside the class folders of {root} were left out")
    wanted = set(classes or tops) - {ABNORMAL}
    kept = [(path, top) for path, top in zip(paths, tops, strict=True) if top in wanted]
    labels = np.array([classes.index(top) for _, top in kept]) if classes else None
    return _files([path for path, _ in kept], root, labels, classes)


def _layout(root: Path, training: bool, say: Callable[[str], None]) -> Path:
    """The folder below `root` that the images are in: an archive's, `train`, `0.normal`."""
    while len(inner := _subfolders(root)) == 1 and _subfolders(inner[0]) and not _files_in(root):
        root = inner[0]  # an unpacked archive often is a folder in a folder
    part, other = (root / name for name in (("train", "test") if training else ("test", "train")))
    if part.is_dir() and (other.is_dir() or _subfolders(part)):
        root = part
        say(f"images are read from {part}")
    if training and (root / NORMAL[0]).is_dir():
        root = root / NORMAL[0]
        say(f"images are read from {root}: the layout of the authors' public code")
    return root


def _files_in(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if not p.is_dir() and not p.name.startswith("."))


def _subfolders(root: Path) -> list[Path]:
    """The folders in a folder, without hidden ones and those of unfinished trainings."""
    found = [p for p in root.iterdir() if p.is_dir() and p.suffix != UNFINISHED]
    return sorted(p for p in found if not p.name.startswith((".", "__MACOSX")))


def _images_below(root: Path) -> list[Path]:
    """The images in a folder at any depth. A warning counts the files of other kinds."""
    kinds, found, other = Image.registered_extensions(), [], Counter()
    for path in _walk(root):
        if kinds.get(path.suffix.lower(), "PDF") in UNREADABLE:
            other[path.suffix.lower() or path.name] += 1
        else:
            found.append(path)
    if other:
        listed = ", ".join(f"{count} {printable(kind)}" for kind, count in other.most_common(5))
        warn(f"files in {root} that Pillow does not read as images were left out: {listed}")
    return found


def _walk(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    yield from _files_in(folder)
    above = (*above, folder.resolve())
    for inner in _subfolders(folder):
        if inner.resolve() not in above:  # a link that leads back would lead round in a circle
            yield from _walk(inner, above)


def _files(
    paths: list[Path], root: Path | None, labels: np.ndarray | None = None, classes: tuple = ()
) -> Images:
    """Open the header of each file, and leave out those that have none. root: of their names."""
    kept, sides, grey, several, failed = [], [], [], 0, {}
    for i, path in enumerate(paths):
        try:
            with Image.open(path) as image:
                several += getattr(image, "is_animated", False) and image.format != "MPO"
                sides.append((image.height, image.width))
                grey.append(is_grey(image))
            kept.append(i)
        except Exception as error:  # as in `batches`
            failed[_shown(path, root)] = _reason(error)
    _warn_left_out(failed)
    if not kept:
        raise DetectorError(
            f"no image can be read in {root or 'the files given'}: "
            "give a folder of JPEG, PNG, TIFF or WebP files"
        )
    if several:
        warn(f"{several} files hold several pages or frames; only the first one is read")
    paths = [paths[i] for i in kept]
    labels = None if labels is None else labels[kept]
    names = np.array([_shown(path, root) for path in paths])
    stamps = [(path.stat().st_size, path.stat().st_mtime_ns) for path in paths]

    def read(i: int) -> np.ndarray:
        with Image.open(paths[i]) as image:
            return to_array(image)

    identity = joblib.hash((names.tolist(), stamps, labels))
    channels = 1 if all(grey) else 3
    return Images(names, read, np.array(sides), channels, identity, labels, classes)


def _warn_left_out(failed: dict[str, str]) -> None:
    for name, reason in list(failed.items())[:NAMED]:
        warn(f"{name} cannot be read and was left out ({reason})")
    if len(failed) > NAMED:
        warn(f"{len(failed) - NAMED} more files cannot be read and were left out")


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"it has over {2 * Image.MAX_IMAGE_PIXELS // 10**6} million pixels: scale it down"
    return printable((str(error).splitlines() or [""])[0][:100] or type(error).__name__)


def _shown(path: Path, root: Path | None) -> str:
    return printable((path.relative_to(root) if root else path).as_posix())
