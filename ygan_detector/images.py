"""Many images: found and described first, then read batch by batch."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch
from PIL import Image
from sklearn.utils import assert_all_finite, check_array, check_consistent_length, column_or_1d
from tqdm.auto import tqdm

from ygan_detector import messages, pixels
from ygan_detector.folders import files_to_score, files_to_train_on
from ygan_detector.messages import DetectorError, printable, warn, warn_left_out

CHUNK = 32  # images that are decoded side by side


@dataclass(frozen=True)
class Images:
    """n images that have been found but not read yet.

    names: paths below the folder, or numbers; sources: files, Pillow's pictures or arrays; sides
    (n, 2): heights and widths; channels: 1 if all images are grey, else 3; labels int64 (n,):
    indices into `classes`; anomalous bool (n,): the truth where the folder's layout tells it, or
    None.
    """

    names: np.ndarray
    sources: list[pixels.Source]
    sides: np.ndarray
    channels: int
    labels: np.ndarray
    classes: list[str]
    anomalous: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    def identity(self) -> str:
        """A hash that changes when the images or their classes do."""
        contents = [
            (source.stat().st_size, source.stat().st_mtime_ns)
            if isinstance(source, Path)
            else np.asarray(source)
            for source in self.sources
        ]
        return joblib.hash((self.names.tolist(), contents, self.labels))

    def batches(
        self, which: np.ndarray, size: int, channels: int, title: str = ""
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Read images: (indices (b,), pixels uint8 (b, channels, size, size)), batch by batch.

        Images that cannot be decoded are left out and named in a warning at the end. title: of
        the progress bar; there is none without a title.
        """

        def decode(i: int) -> np.ndarray | Exception:
            try:
                return pixels.resize(pixels.read(self.sources[i]), size, channels)
            except Exception as error:  # Pillow raises almost any exception for a damaged file
                return error

        failed, quiet = {}, None if title else True
        with (
            ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool,
            tqdm(total=len(which), desc=title, unit=" image", disable=quiet) as bar,
        ):
            for start in range(0, len(which), CHUNK):
                part = which[start : start + CHUNK].tolist()
                decoded = dict(zip(part, pool.map(decode, part), strict=True))
                bar.update(len(part))
                good = [i for i in part if not isinstance(decoded[i], Exception)]
                failed |= {self.names[i]: decoded[i] for i in part if i not in good}
                if good:
                    yield np.array(good), np.stack([decoded[i] for i in good])
        warn_left_out(failed)


def find_images(
    X, y=None, training: bool = False, say: Callable[[str], None] = messages.say
) -> Images:
    """The images of X: a folder, a file, several files or pictures, an array or a tensor.

    y: labels (n,), for files and arrays. training: whether the subfolders of a folder are classes
    of normal images. say: receives lines about the layout. Raises ValueError.
    """
    X = list(X) if isinstance(X, Iterator) else X
    root, anomalous = None, None
    if isinstance(X, (str, os.PathLike)):
        path = Path(X).expanduser()
        if not path.exists():
            raise DetectorError(f"there is no {path}: give a folder of images, or an image")
        if not path.is_dir():
            X = [path]
        elif y is not None:
            raise DetectorError("y is for files and arrays; a folder's classes are subfolders")
        elif training:
            root, X, y = files_to_train_on(path, say)
        else:
            root, X, anomalous = files_to_score(path, say)
    if root:
        sources, names = X, [path.relative_to(root).as_posix() for path in X]
    elif _are_paths(X):
        sources = [Path(path).expanduser() for path in X]
        names = [path.as_posix() for path in sources]
    else:
        sources = _pictures(X)
        names = map(str, range(len(sources)))
    names = np.array([printable(name) for name in names])
    labels, classes = (np.zeros(len(names), int), ["normal"]) if y is None else _encode(y, names)
    headers, failed = {}, {}
    for i, source in enumerate(sources):
        try:
            headers[i] = pixels.header(source)
        except Exception as error:  # as in `batches`
            failed[names[i]] = error
    warn_left_out(failed)
    if not headers:
        place = root or "the files given"
        advice = "give a folder of JPEG, PNG, TIFF or WebP files"
        raise DetectorError(f"no image can be read in {place}: {advice}")
    kept, (sides, grey, several) = list(headers), zip(*headers.values(), strict=True)
    if any(several):
        warn(f"{sum(several)} files hold several pages or frames; only the first one is read")
    return Images(
        names=names[kept],
        sources=[sources[i] for i in kept],
        sides=np.array(sides),
        channels=1 if all(grey) else 3,
        labels=labels[kept],
        classes=classes,
        anomalous=None if anomalous is None else np.array(anomalous)[kept],
    )


def _encode(y, names: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """(labels int64 (n,), names of the classes) of the labels y of n images."""
    y, objects = column_or_1d(np.asarray(y)), np.asarray(y, dtype=object)
    check_consistent_length(names, y)
    assert_all_finite(y, input_name="y")
    if pd.isna(objects).any():  # NumPy makes the word "nan" of one among names
        raise DetectorError("Input y contains None or NaN; labels are names or whole numbers")
    classes, labels = np.unique(y.astype(str) if y.dtype.kind == "O" else y, return_inverse=True)
    return labels, [printable(str(name)) for name in classes]


def _are_paths(X) -> bool:
    one_dimension = isinstance(X, Iterable) and getattr(X, "ndim", 1) == 1
    return one_dimension and len(X) > 0 and all(isinstance(x, (str, os.PathLike)) for x in X)


def _channels_last(x: torch.Tensor) -> np.ndarray:
    """A tensor (C, H, W) as an array (H, W, C); one without channels as it is."""
    array = x.detach().cpu().numpy()
    return np.moveaxis(array, 0, -1) if array.ndim == 3 and array.shape[0] <= 4 else array


def _pictures(X) -> Sequence[Image.Image | np.ndarray]:
    """Pictures of Pillow or arrays of different sizes as they are, else an array (n, H, W, C)."""
    if isinstance(X, (list, tuple)):
        X = [_channels_last(x) if torch.is_tensor(x) else x for x in X]
        shapes = {getattr(x, "shape", None) for x in X}  # Pillow's pictures have none
        kinds = [isinstance(x, Image.Image) or getattr(x, "ndim", 0) in (2, 3) for x in X]
        if all(kinds) and (None in shapes or len(shapes) > 1):
            return [np.atleast_3d(x) if isinstance(x, np.ndarray) else x for x in X]
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
    pixels.to_uint8(np.array([X.min(), X.max()], X.dtype))  # refuses numbers out of range
    return np.moveaxis(X, 1, -1) if first and (channels_first or not last) else X
