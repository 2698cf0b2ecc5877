"""Where images come from: a folder in one of three layouts, files, arrays, tensors. Nothing is decoded until it is read."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm.auto import tqdm

from ygan_detector.pixels import DetectorError, fitted, from_array, upright

NORMAL, ABNORMAL = "0.normal", "1.abnormal"  # the folders of the authors' public code
MARK = "ygan-training"  # the file by which a folder is known to be a training's
AT_ONCE = 32  # images that are decoded side by side
NAMED = 5  # damaged files that are named one by one; more are counted


@dataclass(frozen=True)
class Source:
    """n images that are not read yet.

    names: what they are called, paths below the folder or numbers; labels int64 (n,), indices into `classes`, or None where
    there are no classes; read(i): image i as uint8 (H, W, 1 or 3), may raise anything; sides (n, 2): height and width;
    grey (n,) bool; anomalous (n,) bool where the layout says so, else None; identity: changes when the images do.
    """

    names: tuple[str, ...]
    labels: np.ndarray | None
    classes: tuple[str, ...]
    read: Callable[[int], np.ndarray]
    sides: np.ndarray
    grey: np.ndarray
    identity: tuple
    anomalous: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    def batches(
        self, which: np.ndarray, size: int, channels: int, title: str = ""
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(places, uint8 (b, channels, size, size)) for the images at `which`, those that cannot be decoded left out.

        At the end a warning names the damaged ones. title: of the progress bar; without, there is none.
        """
        damaged = []

        def one(i: int) -> np.ndarray | None:
            try:
                return fitted(self.read(i), size, channels)
            except DetectorError:
                raise
            except Exception as error:  # Pillow raises nearly everything, depending on the format and on what is broken
                damaged.append((self.names[i], _reason(error)))
                return None

        with ThreadPoolExecutor(max(1, min(4, os.cpu_count() or 1))) as pool:
            with tqdm(
                total=len(which), desc=title, unit=" image", disable=None if title else True
            ) as bar:
                for start in range(0, len(which), AT_ONCE):
                    places = which[start : start + AT_ONCE]
                    pixels = list(pool.map(one, places))
                    bar.update(len(places))
                    good = [p is not None for p in pixels]
                    if any(good):
                        yield places[good], np.stack([p for p in pixels if p is not None])
        warn_damaged(damaged)


def warn_damaged(damaged: list[tuple[str, str]]) -> None:
    """Say which files were left out, and why."""
    for name, reason in damaged[:NAMED]:
        warnings.warn(f"{name} is damaged and was left out ({reason})", stacklevel=2)
    if len(damaged) > NAMED:
        warnings.warn(f"{len(damaged) - NAMED} more damaged files were left out", stacklevel=2)


def source(X, y=None, training: bool = False, say: Callable[[str], None] = print) -> Source:
    """The images of X: a folder, a file, a list of files, an array or a tensor. y: labels (n,), for arrays and lists of files.

    training: whether subfolders are classes of normal images. say: is told which layout was recognised. Raises DetectorError.
    """
    if isinstance(X, (str, os.PathLike)):
        path = Path(X).expanduser()
        if path.is_dir():
            if y is not None:
                raise DetectorError(
                    "y is for arrays and lists of files: in a folder the subfolders are the classes"
                )
            return _folder(path, training, say)
        if not path.exists():
            raise DetectorError(f"there is no {path}: give a folder of images, or an image")
        X = [path]
    if isinstance(X, (list, tuple)) and X and all(isinstance(x, (str, os.PathLike)) for x in X):
        labels, classes = _classes_of(y, len(X))  # one that is left out takes its label along
        images = _files([Path(x).expanduser() for x in X], Path(), labels, classes)
    else:
        images = _array(X)
        labels, classes = _classes_of(y, len(images))
        images = replace(images, labels=labels, classes=classes)
    return (
        images
        if y is None
        else replace(images, identity=(*images.identity, _digest(images.labels), *classes))
    )


def _classes_of(y, n: int) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """(labels, classes) of n images, as a Source has them."""
    if y is None:
        return None, ()
    y = np.asarray(y)
    if y.shape != (n,):
        raise DetectorError(f"y has a label for each image: shape ({n},), not {y.shape}")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise DetectorError("y holds NaN or inf: labels are names or whole numbers")
    classes, labels = np.unique(y, return_inverse=True)
    return labels, tuple(map(str, classes))


def _array(X) -> Source:
    if torch.is_tensor(X):
        torch_order, X = True, X.detach().cpu().numpy()
    else:
        torch_order = False
        if hasattr(X, "toarray"):  # scipy's
            raise TypeError("sparse input is not supported: images are dense arrays")
        try:
            X = np.asarray(X)
        except ValueError:
            raise DetectorError(
                "images of one array have one shape: give a list of files, or resize them first"
            ) from None
    if X.dtype.kind == "c":
        raise DetectorError("Complex data not supported: pixels are real numbers")
    if X.dtype.kind not in "biuf":
        raise DetectorError(
            f"images are a folder, files, an array or a tensor of numbers; not an array of {X.dtype}"
        )
    if X.ndim not in (3, 4):
        reshape = "Reshape your data: " if X.ndim < 3 else ""
        raise DetectorError(
            f"{reshape}images are (n, H, W), (n, H, W, C) or (n, C, H, W), not of shape {X.shape}"
        )
    if not X.size:
        raise DetectorError(
            f"Found array with 0 sample(s) (shape={X.shape}): no pixels, while a minimum of 1 is required."
        )
    if X.ndim == 3 and X.shape[2] in (3, 4) and X.shape[1] > 4:
        raise DetectorError(
            f"one image is an array of shape (1, H, W, C), not {X.shape}: give X[None]"
        )
    if X.ndim == 3:
        X = X[..., None]
    else:
        last, first = X.shape[3] in (1, 2, 3, 4), X.shape[1] in (1, 2, 3, 4)
        if not (last or first):
            raise DetectorError(
                f"images have 1 to 4 channels, first or last: shape {X.shape} has neither"
            )
        if first and (torch_order or not last):
            X = np.moveaxis(X, 1, -1)
    n, height, width, channels = X.shape
    return Source(
        names=tuple(map(str, range(n))),
        labels=None,
        classes=(),
        read=lambda i: from_array(X[i]),
        sides=np.tile((height, width), (n, 1)),
        grey=np.full(n, channels < 3),
        identity=(str(X.shape), str(X.dtype), _digest(X)),
    )


def _digest(array: np.ndarray) -> str:
    digest = hashlib.sha256()
    for part in np.array_split(
        array, max(1, len(array) // 1000)
    ):  # of a large array no copy is made
        digest.update(np.ascontiguousarray(part))
    return digest.hexdigest()


def _folder(root: Path, training: bool, say: Callable[[str], None]) -> Source:
    root = _unwrapped(root)
    part = "train" if training else "test"
    if (root / part).is_dir() and (
        (root / part / NORMAL).is_dir() or (training and _subfolders(root / part))
    ):
        say(f"{root}: read from its folder {part}/")
        root = root / part
    if (root / NORMAL).is_dir():
        return _authors_layout(root, training, say)
    folders = _subfolders(root)
    if not training or not folders:
        found = _files(sorted(_walk(root)), root)
        if training:
            say(
                f"{root} has no subfolders, so the images have no classes: weak labels are made by clustering"
            )
        return found
    beside = sum(1 for _ in _images(root))
    if beside:
        warnings.warn(
            f"{beside} images lie beside the class folders of {root} and were left out",
            stacklevel=2,
        )
    return _classes(root, folders)


def _classes(root: Path, folders: list[Path]) -> Source:
    inside = [sorted(_walk(folder)) for folder in folders]
    for folder, files in zip(folders, inside, strict=True):
        if not files:
            warnings.warn(
                f"the folder {folder.name} holds no images and was left out", stacklevel=2
            )
    folders, inside = (
        [f for f, i in zip(folders, inside, strict=True) if i],
        [i for i in inside if i],
    )
    labels = np.repeat(np.arange(len(folders)), [len(files) for files in inside])
    return _files(
        [path for files in inside for path in files],
        root,
        labels,
        tuple(folder.name for folder in folders),
    )


def _authors_layout(root: Path, training: bool, say: Callable[[str], None]) -> Source:
    if training:
        if (root / ABNORMAL).is_dir():
            say(f"{root / ABNORMAL} is left alone: anomalies are not trained on")
        folders = _subfolders(root / NORMAL)
        say(f"{root}: the layout of the authors' public code, {len(folders)} normal classes")
        return (
            _classes(root / NORMAL, folders)
            if folders
            else _files(sorted(_walk(root / NORMAL)), root / NORMAL)
        )
    say(
        f"{root}: the layout of the authors' public code, so it is known which images are anomalies"
    )
    parts = [sorted(_walk(root / name)) for name in (NORMAL, ABNORMAL) if (root / name).is_dir()]
    found = _files(sum(parts, []), root)
    return replace(
        found, anomalous=np.array([name.startswith(f"{ABNORMAL}/") for name in found.names])
    )


def _unwrapped(root: Path) -> Path:
    """A folder that holds one folder and nothing else, which again holds folders only, as archives unpack: the inner one."""
    while len(folders := _subfolders(root)) == 1 and not any(_images(root)):
        inner = folders[0]
        if inner.name == NORMAL or any(_images(inner)) or not _subfolders(inner):
            break
        root = inner
    return root


def _subfolders(root: Path) -> list[Path]:
    """The folders in a folder, without those of a training that goes on."""
    found = [p for p in root.iterdir() if p.is_dir()] if root.is_dir() else []
    return sorted(
        p for p in found if not p.name.startswith((".", "__MACOSX")) and not (p / MARK).exists()
    )


def _images(root: Path) -> Iterator[Path]:
    """The files in a folder that are images by their ending."""
    endings = Image.registered_extensions()
    wanted = {
        ending
        for ending, kind in endings.items()
        if kind in Image.OPEN and kind not in ("PDF", "EPS", "MPEG", "FITS")
    }
    return (
        p
        for p in root.iterdir()
        if p.suffix.lower() in wanted and not p.name.startswith(".") and not p.is_dir()
    )


def _walk(root: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """The images in a folder, at any depth. A link to a folder `above` is not followed: it would lead round in a circle."""
    above = (*above, root.resolve())
    yield from _images(root)
    for folder in _subfolders(root):
        if folder.resolve() not in above:
            yield from _walk(folder, above)


def _files(
    paths: list[Path], root: Path, labels: np.ndarray | None = None, classes: tuple[str, ...] = ()
) -> Source:
    """Opens the header of each file, and leaves out those that have none."""
    kept, names, sides, grey, stamps, damaged = [], [], [], [], [], []
    for place, path in enumerate(paths):
        name = _shown(path, root)
        try:
            with Image.open(path) as image:
                sides.append(image.size[::-1])
                grey.append(image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I"))
            stat = path.stat()
            stamps.append(f"{name} {stat.st_size} {stat.st_mtime_ns}")
            names.append(name)
            kept.append(place)
        except Exception as error:  # as in `batches`
            del sides[len(kept) :], grey[len(kept) :]
            damaged.append((name, _reason(error)))
    warn_damaged(damaged)
    if not kept:
        where = root if root != Path() else "what was given"
        endings = (
            Counter(path.suffix.lower() or path.name for path in root.rglob("*") if path.is_file())
            if root != Path()
            else {}
        )
        seen = (
            ", ".join(f"{count} {ending}" for ending, count in endings.most_common(3))
            if endings
            else "nothing else"
        )
        raise DetectorError(
            f"no image that can be read in {where} ({seen}): give JPEG, PNG, TIFF, WebP or another kind"
        )
    paths = [paths[place] for place in kept]

    def read(i: int) -> np.ndarray:
        with Image.open(paths[i]) as image:
            try:
                return upright(image)
            except DetectorError as error:
                raise OSError(str(error)) from None  # one file's trouble, not the whole folder's

    labels = None if labels is None else labels[kept]
    return Source(
        tuple(names), labels, classes, read, np.array(sides), np.array(grey), tuple(stamps)
    )


def _shown(path: Path, root: Path) -> str:
    """A path below root, or as it was given, as text, whatever bytes its name is made of."""
    name = path.relative_to(root) if root != Path() else path
    return os.fsencode(name.as_posix()).decode("utf-8", "replace")


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:100] or type(error).__name__
