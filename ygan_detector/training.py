"""How a detector is trained: image size and epochs, images left out, resuming after a stop."""

import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from ygan_detector.features import size_for
from ygan_detector.images import Images
from ygan_detector.messages import DetectorError, warn
from ygan_study.measure.flops import training_operations
from ygan_study.methods import METHODS
from ygan_study.methods.weak_labels import CLUSTERS, cluster, imagenet_features
from ygan_study.plan.settings import Settings

SIZES = (32, 64, 128, 256)  # px to which images are resized
WIDTHS = {32: 16, 64: 16, 128: 8, 256: 8}  # filters; 256 px still cost ten times what 64 px cost
ENOUGH = 20_000  # images that a training should see; otherwise a smaller size is taken
SMALLEST = 64  # px, of the sizes that are taken for lack of time
OPERATIONS = 50e9  # floating-point operations a second, of one core of a server
BATCH, FEWEST_STEPS = 64, 4  # batches are smaller where an epoch would have fewer steps
MOST_EPOCHS = 200  # the paper's longest training (section 4.3)
LEFT_OUT, LEFT_OUT_AT_LEAST, LEFT_OUT_AT_MOST = 0.05, 50, 0.2  # a share, a number, a share
FEWEST = 20  # images of which a detector can be made; classes with fewer are warned about
NEARLY_BLACK = 32  # of 255
SPARE = 2**28  # bytes of disk that checkpoints need
IN_MEMORY = 2**29  # bytes of pixels; more are kept in a temporary file


def nearest_size(sides: np.ndarray) -> int:
    """The one of SIZES nearest to the average image, by ratio: sides (n, 2) in pixels."""
    average = math.exp(np.log(np.maximum(sides, 1)).mean())
    return min(SIZES, key=lambda size: abs(math.log(size / average)))


def settings_for(params: dict, size: int, channels: int, n: int) -> Settings:
    """Settings for n images: `epochs`, or as many as fit into `minutes`, but 200 at most."""
    augmentation = params["augmentation"]
    if augmentation == "auto":
        augmentation = "leaves" if channels == 3 and size >= 64 else "none"
    settings = Settings(
        **METHODS[params["recipe"]].settings,
        image_size=int(size),
        width=int(params["width"] or WIDTHS[size]),
        augmentation=augmentation,
        batch_size=min(BATCH, max(2, n // FEWEST_STEPS)),
        epochs=int(params["epochs"] or 1),
        seed=int(params["seed"]),
    )
    if params["epochs"]:
        return settings
    epochs = int(60 * params["minutes"] / seconds_per_epoch(settings, n))
    return replace(settings, epochs=min(MOST_EPOCHS, max(1, epochs)))


def seconds_per_epoch(settings: Settings, n: int) -> float:
    """On one core of OPERATIONS a second. It is counted, since a busy machine would be timed."""
    alike = replace(settings, epochs=1, batch_size=BATCH, augmentation="none")
    return n * training_operations(alike, BATCH) / BATCH / OPERATIONS


def plan(
    params: dict, images: Images, n: int, say: Callable[[str], None]
) -> tuple[int, Settings | None]:
    """The size in pixels, and the settings of a training on n of the images, if there is one.

    They follow from the images and params alone. Without an image_size, it is the nearest size at
    which the training sees ENOUGH images.
    """
    if params["recipe"] == "features":
        size = size_for(params["image_size"])
        say(f"resized to {size} x {size} px")
        return size, None
    sizes = [params["image_size"] or nearest_size(images.sides)]
    if not (params["image_size"] or params["epochs"]):
        sizes += [size for size in SIZES[::-1] if SMALLEST <= size < sizes[0]]
    tried = [settings_for(params, size, images.channels, n) for size in sizes]
    settings = next((s for s in tried if s.epochs * n >= ENOUGH), tried[-1])
    size, epochs = settings.image_size, settings.epochs
    augmented = f"augmentation {settings.augmentation}"
    say(f"resized to {size} x {size} px, width {settings.width}, {augmented}")
    if size < sizes[0]:
        few = f"{params['minutes']:g} minutes would show {tried[0].epochs * n:,} images"
        say(f"({sizes[0]} px is nearer, but {few} at that size, fewer than {ENOUGH:,})")
    minutes = epochs * seconds_per_epoch(settings, n) / 60
    core = f"{OPERATIONS / 1e9:.0f} billion operations a second"
    say(f"{epochs} epochs of {n} images, about {minutes:.1f} minutes on an idle core of {core}")
    return size, settings


def hold_out(labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images to train on, and those left out for the threshold: labels (n,) -> sorted indices.

    5 % of the images, or more so that 50 are left out, but at most a fifth; the same share of
    each class. The only image of a class is trained on.
    """
    n, random = len(labels), np.random.RandomState(seed)
    count = min(max(round(LEFT_OUT * n), LEFT_OUT_AT_LEAST), int(LEFT_OUT_AT_MOST * n))
    order, turn = random.permutation(n), np.empty(n)  # turn: when an image is left out
    for label in np.unique(labels):
        own = order[labels[order] == label]
        turn[own] = (np.arange(len(own)) + random.random_sample()) / len(own)
        if len(own) == 1:
            turn[own] = np.inf
    chosen = np.argsort(turn, kind="stable")
    return np.sort(chosen[max(1, count) :]), np.sort(chosen[: max(1, count)])


def clusters(pixels: Tensor, seed: int, device: str) -> np.ndarray:
    """Weak labels (section 6.3, with cosine distances): uint8 (n, C, S, S) -> int64 (n,)."""
    features, _ = imagenet_features(pixels, device)
    if len(features.unique(dim=0)) <= CLUSTERS[-1]:
        advice = "add images, or sort them into classes"
        raise DetectorError(f"clustering needs {CLUSTERS[-1] + 1} different images: {advice}")
    return cluster(features, seed, cosine=True)[0].numpy()


def check(images: Images, say: Callable[[str], None]) -> None:
    """Refuse too few images; warn of small classes and of very different sizes."""
    sides = images.sides.max(axis=1)
    n, low, high = len(images), sides.min(), sides.max()
    if n < FEWEST:
        raise DetectorError(f"n_samples={n}: a detector needs at least {FEWEST} normal images")
    say(f"{n} {'grey' if images.channels == 1 else 'colour'} images of {low} to {high} px")
    counts = np.bincount(images.labels, minlength=len(images.classes))
    named = zip(images.classes, counts, strict=True)
    if small := [f"{name} ({n})" for name, n in named if 0 < n < FEWEST]:
        listed = ", ".join(small[:5]) + (", ..." if len(small) > 5 else "")
        warn(f"{len(small)} classes have fewer than {FEWEST} images: {listed}; add images")
    if high > 4 * low:
        warn(f"images of {low} to {high} px differ widely in size: small ones will be blurred")


def warn_about_pixels(pixels: Tensor, labels: np.ndarray, names: np.ndarray) -> None:
    """Warn of images, uint8 (n, C, S, S), that are nearly black, or the same in two classes."""
    if pixels[:: max(1, len(pixels) // 200)].max() < NEARLY_BLACK:
        warn("the images are nearly black; stretch 16-bit files that use 12 bits")
    first, copies = {}, []
    for i, image in enumerate(pixels.numpy()):
        other = first.setdefault(hashlib.sha256(image.tobytes()).digest(), i)
        if labels[other] != labels[i]:
            copies.append(f"{names[i]} is {names[other]}")
    if copies:
        how = "keep each in one class"
        warn(f"{len(copies)} images are in two classes, for instance {copies[0]}: {how}")


def read_pixels(
    images: Images, order: np.ndarray, size: int, title: str, folder: Path | None
) -> tuple[Tensor, np.ndarray]:
    """(pixels uint8 (m, C, size, size), indices (m,)) of the images that can be decoded.

    Many images are kept in a temporary file, in `folder` if one is given: 50,000 images of 256 px
    are 10 GB. Raises DetectorError if the disk is too small.
    """
    shape = (len(order), images.channels, size, size)
    if math.prod(shape) <= IN_MEMORY:
        pixels = np.empty(shape, dtype=np.uint8)
    else:
        place = folder or tempfile.gettempdir()
        if shutil.disk_usage(place).free < math.prod(shape) + SPARE:
            need = f"{math.prod(shape) / 2**30:.1f} GB"
            raise DetectorError(f"the images need {need} of disk space in {place}: free some")
        with tempfile.TemporaryFile(dir=place) as file:
            pixels = np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)
    kept = []
    for which, batch in images.batches(order, size, images.channels, title):
        pixels[len(kept) : len(kept) + len(which)] = batch
        kept += which.tolist()
    return torch.from_numpy(pixels)[: len(kept)], np.array(kept, dtype=np.int64)


@contextmanager
def checkpoint_folder(
    folder: str | os.PathLike | None, settings: list, images: Images
) -> Iterator[Path | None]:
    """A subfolder of `folder` for the checkpoints of a training, removed when it has ended well.

    It is locked, and named after the images and settings, so that others never share it. Raises
    DetectorError if another process is using it.
    """
    if folder is None:
        yield None
        return
    folder, identity = Path(folder).expanduser(), joblib.hash((settings, images.identity()))
    own, lock = folder / identity, folder / f"{identity}.lock"
    own.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=0):
            yield own
            shutil.rmtree(own)
    except Timeout:
        raise DetectorError(f"another process is training in {folder}: wait for it") from None
    lock.unlink(missing_ok=True)
    with suppress(OSError):  # there is something else in it
        folder.rmdir()
