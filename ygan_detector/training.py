"""How a detector is trained: image size and epochs, images left out, resuming after a stop."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from ygan_core.checkpoints import write_atomically
from ygan_detector.images import Images, warn
from ygan_detector.pixels import DetectorError
from ygan_study.engine.threads import one_thread
from ygan_study.methods import METHODS, trainer_of
from ygan_study.methods.weak_labels import CLUSTERS, cluster, imagenet_features
from ygan_study.plan.settings import Settings

SIZES = (32, 64, 128, 256)  # px to which images are resized
WIDTHS = {32: 16, 64: 16, 128: 8, 256: 8}  # filters; 256 px still cost ten times what 64 px cost
ENOUGH = 20_000  # images that a training should see; otherwise a smaller size is taken
SMALLEST = 64  # px, of the sizes that are taken for lack of time
TIMED = 32  # images in a batch whose step is timed
BATCH, FEWEST_STEPS = 64, 4  # batches are smaller where an epoch would have fewer steps
MOST_EPOCHS = 200  # the paper's longest training (section 4.3)
LEFT_OUT, LEFT_OUT_AT_LEAST, LEFT_OUT_AT_MOST = 0.05, 50, 0.2  # a share, a number, a share
FEWEST = 20  # images of which a detector can be made; classes with fewer are warned about
SPARE = 2**28  # bytes of disk that checkpoints need
IN_MEMORY = 2**29  # bytes of pixels; more are kept in a temporary file


def nearest_size(sides: np.ndarray) -> int:
    """The one of SIZES nearest to the average image, by ratio: sides (n, 2) in pixels."""
    average = math.exp(np.log(np.maximum(sides, 1)).mean())
    return min(SIZES, key=lambda size: abs(math.log(size / average)))


def settings_for(params: dict, size: int, channels: int, n: int) -> Settings:
    """Settings for n images; one epoch unless params, those of YGANDetector, give a number."""
    augmentation = params["augmentation"]
    if augmentation == "auto":
        augmentation = "leaves" if channels == 3 and size >= 64 else "none"
    return Settings(
        **METHODS[params["recipe"]].settings,
        image_size=int(size),
        width=int(params["width"] or WIDTHS[size]),
        augmentation=augmentation,
        batch_size=min(BATCH, max(2, n // FEWEST_STEPS)),
        epochs=int(params["epochs"] or 1),
        seed=int(params["seed"]),
    )


def plan(params: dict, images: Images, n: int, device: str, say: Callable[[str], None]) -> Settings:
    """Settings for a training on n of the images: their size, and the epochs there is time for.

    The number of epochs is fixed before the training, since schedules depend on it.
    """
    nearest, channels, estimate = nearest_size(images.sides), images.channels, ""
    sizes = [params["image_size"] or nearest]
    if not params["image_size"] and params["epochs"] is None:
        sizes += [size for size in SIZES[::-1] if SMALLEST <= size < nearest]
    for size in sizes:
        settings = settings_for(params, size, channels, n)
        if params["epochs"] is not None:
            break
        seconds = n * seconds_per_image(settings, channels, device)
        epochs = min(MOST_EPOCHS, max(1, int(60 * params["minutes"] / seconds)))
        settings = replace(settings, epochs=epochs)
        estimate = f", about {epochs * seconds / 60:.1f} minutes"
        if epochs * n >= ENOUGH:
            break
    reason = f" ({sizes[0]} px is nearer, but too slow for the time given)"
    kind, sides = "grey" if channels == 1 else "colour", images.sides.max(axis=1)
    say(f"{len(images)} {kind} images of {sides.min()} to {sides.max()} px")
    say(f"resized to {size} x {size} px{reason if size < sizes[0] else ''}")
    augmented = f"width {settings.width}, augmentation {settings.augmentation}"
    say(f"{augmented}, {settings.epochs} epochs{estimate}")
    return settings


def seconds_per_image(settings: Settings, channels: int, device: str) -> float:
    """What an image costs in an epoch on this machine. The first steps are slow, and not timed."""
    side = settings.image_size
    images = torch.zeros(2 * TIMED, channels, side, side, dtype=torch.uint8)
    settings = replace(settings, batch_size=TIMED, epochs=2)
    trainer = trainer_of(settings)(settings, images, torch.arange(len(images)) % 2, device)
    with one_thread():
        trainer.epoch()
        return trainer.epoch()["seconds"] / len(images)


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


def clusters(pixels: Tensor, seed: int, device: str) -> Tensor:
    """Weak labels (section 6.3, with cosine distances): uint8 (n, C, S, S) -> int64 (n,)."""
    with one_thread():
        features, _ = imagenet_features(pixels, device)
        if len(features.unique(dim=0)) <= CLUSTERS[-1]:
            advice = "add images, or sort them into classes"
            raise DetectorError(f"clustering needs {CLUSTERS[-1] + 1} different images: {advice}")
        return cluster(features, seed, cosine=True)[0]


def warn_about(images: Images) -> None:
    """Warn about images that make a poor detector: small classes, very different sizes."""
    if images.labels is not None:
        counts = np.bincount(images.labels, minlength=len(images.classes)).tolist()
        named = [(name, n) for name, n in zip(images.classes, counts, strict=True) if n]
        if small := [f"{name} ({n})" for name, n in named if n < FEWEST]:
            listed = ", ".join(small[:5]) + (", ..." if len(small) > 5 else "")
            warn(f"{len(small)} classes have fewer than {FEWEST} images: {listed}; add images")
    low, high = images.sides.max(axis=1).min(), images.sides.max(axis=1).max()
    if high > 4 * low:
        warn(f"images of {low} to {high} px differ widely in size: small ones will be blurred")


def read_pixels(
    images: Images, order: np.ndarray, size: int, channels: int, title: str, folder: Path | None
) -> tuple[Tensor, np.ndarray]:
    """(pixels uint8 (m, channels, size, size), indices (m,)) of the images that can be decoded.

    Many images are kept in a temporary file, in `folder` if one is given: 50,000 images of 256 px
    are 10 GB. Raises DetectorError if the disk is too small.
    """
    shape = (len(order), channels, size, size)
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
    for which, batch in images.batches(order, size, channels, title):
        pixels[len(kept) : len(kept) + len(which)] = batch
        kept += which.tolist()
    return torch.from_numpy(pixels)[: len(kept)], np.array(kept, dtype=np.int64)


@contextmanager
def training_folder(folder: Path | None, identity: str) -> Iterator[Path | None]:
    """A subfolder of `folder` for the checkpoints of a training, removed when it has ended well.

    It is locked, and named after the images and settings, so that others never share it. Raises
    DetectorError if another process is using it.
    """
    if folder is None:
        yield None
        return
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


def planned_once(folder: Path | None, make: Callable[[], Settings]) -> Settings:
    """The settings with which the training in `folder` began, or those of a new one."""
    if folder is None:
        return make()
    path = folder / "settings.json"
    if not path.exists():
        text = json.dumps(asdict(make()))
        write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))
    return Settings(**json.loads(path.read_text(encoding="utf-8")))
