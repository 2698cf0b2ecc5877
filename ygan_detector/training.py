"""How a detector is trained: recipe, image size, width, the images left out, and as many epochs as the minutes allow."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from ygan_core.checkpoints import checkpoints, write_atomically
from ygan_detector.pixels import DetectorError
from ygan_detector.sources import MARK, Source
from ygan_study.engine import Trainer
from ygan_study.engine.threads import one_thread
from ygan_study.methods import METHODS
from ygan_study.methods.weak_labels import CLUSTERS, cluster, imagenet_features
from ygan_study.plan.settings import Settings

SIZES = (32, 64, 128, 256)  # that images are resized to
WIDTHS = {
    32: 16,
    64: 16,
    128: 8,
    256: 8,
}  # filters of the first convolution: 256 px cost ten times what 64 px cost, even so
ENOUGH = (
    20_000  # images that a training sees at least, or a smaller size is taken, down to SMALLEST
)
SMALLEST = 64
TIMED = 32  # images a step, where steps are timed
BATCH, FEWEST_STEPS = (
    64,
    4,
)  # images a step, where an epoch has that many steps; else smaller batches
MOST_EPOCHS = 200  # the paper's longest training (4.3)
LEFT_OUT, AT_LEAST, AT_MOST = (
    0.05,
    50,
    0.2,
)  # as in the benchmarks; a threshold needs 50, as far as a fifth goes
FEW = 20  # images, of a class or in all
ALIKE = 4  # sides that differ by more than this are spoken of
LOCK = ".lock"
SPARE = 2**28  # bytes of disk that checkpoints need
IN_MEMORY = 2**29  # bytes of pixels; more lie in a file that is mapped

RECIPES = {
    "balanced": METHODS["balanced"].settings,
    "classifier": METHODS["classifier"].settings,
}


def nearest_size(sides: np.ndarray) -> int:
    """Of SIZES the one nearest to the middle image, by ratio: sides (n, 2), height and width in pixels."""
    middle = math.exp(np.log(np.maximum(sides, 1)).sum(axis=1).mean() / 2)
    return min(SIZES, key=lambda size: abs(math.log(size / middle)))


def configuration(params: dict, size: int, channels: int, images: int) -> Settings:
    """The configuration of a training on `images` images, for one epoch if params do not say how many.

    params: the settings of YGANDetector. Raises ConfigError.
    """
    width, augmentation = (
        int(params["width"] or WIDTHS[size]),
        params["augmentation"],
    )  # plain ones, where NumPy's were given
    if augmentation == "auto":
        augmentation = "leaves" if channels == 3 and size >= 64 else "none"
    batch = min(BATCH, max(2, images // FEWEST_STEPS))
    # One's own images have PlantVillage's protocol: what is normal is given, no class is held out.
    own = dict(
        dataset="plantvillage",
        held_out=-1,
        image_size=int(size),
        width=width,
        augmentation=augmentation,
    )
    own |= dict(batch_size=batch, epochs=int(params["epochs"] or 1), seed=int(params["seed"]))
    return replace(Settings(), **RECIPES[params["recipe"]], **own)


def hold_out(labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The images to train on and those left untrained, for the threshold: labels int64 (n,) -> their places, both sorted.

    Of each class the same share: 5 %, or more, so that 50 are left, but at most a fifth.
    """
    n = len(labels)
    count = max(1, min(max(round(LEFT_OUT * n), AT_LEAST), int(AT_MOST * n)))
    random = np.random.RandomState(seed)
    order, turn = random.permutation(n), np.empty(n)
    for label in np.unique(labels):
        own = order[labels[order] == label]
        turn[own] = (np.arange(len(own)) + random.random_sample()) / len(
            own
        )  # when an image's turn comes to be left out
        if len(own) == 1:
            turn[own] = np.inf  # a class of one image keeps it
    chosen = np.argsort(turn, kind="stable")
    return np.sort(chosen[count:]), np.sort(chosen[:count])


def remarks(source: Source) -> None:
    """Warn of what will make a poor detector: few images, small classes, sizes that differ wildly."""
    if source.labels is not None:
        for name, count in zip(
            source.classes, np.bincount(source.labels, minlength=len(source.classes)), strict=True
        ):
            if 0 < count < FEW:
                warnings.warn(
                    f"class {name} has {count} images, under {FEW}: add some, or merge it with another",
                    stacklevel=2,
                )
    sides = source.sides.astype(float)
    small, large = sides.max(axis=1).min(), sides.max(axis=1).max()
    if large > ALIKE * small:
        warnings.warn(
            f"the images differ wildly in size, from {small:.0f} to {large:.0f} px: the small ones will be blurred",
            stacklevel=2,
        )


def seconds_an_image(config: Settings, channels: int, device: str) -> float:
    """What an image costs in a training, timed over two steps on this machine, after two more: the first ones are slow."""
    images = torch.zeros(
        2 * TIMED, channels, config.image_size, config.image_size, dtype=torch.uint8
    )
    trainer = Trainer(
        replace(config, batch_size=TIMED, epochs=2), images, torch.arange(len(images)) % 2, device
    )
    with one_thread():
        trainer.epoch()
        return trainer.epoch()["seconds"] / len(images)


def within(
    minutes: float,
    sizes: Sequence[int],
    plan: Callable[[int], Settings],
    images: int,
    channels: int,
    device: str,
):
    """(configuration, its seconds), of the first of `sizes` at which a training sees ENOUGH images in `minutes`, or the last.

    plan: makes the configuration of a size. Its number of epochs, 1 to 200, is fixed here: so the schedules of a training
    (lambda_R, the averaged weights) are laid out for its own length before it begins.
    """
    for size in sizes:
        config = plan(size)
        epoch = seconds_an_image(config, channels, device) * images
        epochs = min(MOST_EPOCHS, max(1, int(60 * minutes / epoch)))
        if epochs * images >= ENOUGH:
            break
    return replace(config, epochs=epochs), epochs * epoch


def clusters(images: Tensor, seed: int, device: str) -> Tensor:
    """Weak labels of images (section 6.3, with cosine distances): uint8 (n, C, S, S) -> int64 (n,). Raises DetectorError."""
    with one_thread():
        features, _ = imagenet_features(images, device)
        if len(features.unique(dim=0)) <= CLUSTERS[-1]:
            raise DetectorError(
                f"clustering needs {CLUSTERS[-1] + 1} different images at least: add images, or sort them by class"
            )
        return cluster(features, seed, cosine=True)[0]


class Workplace:
    """The folder that a training is resumed from: pixels, plan and checkpoints. Without `folder` it is gone afterwards."""

    def __init__(self, folder: Path, lasting: bool):
        self.folder, self.lasting = folder, lasting

    def pixels(
        self, source: Source, order: np.ndarray, size: int, channels: int, title: str
    ) -> tuple[Tensor, np.ndarray]:
        """uint8 (m, channels, size, size) of those images at `order` that can be decoded, and their places in `source`.

        In memory where they are few. Else, and where a training may be resumed, in a file that is mapped: 50,000 images of
        256 px are 10 GB. Read once. Raises DetectorError where the disk is too small.
        """
        file, places = self.folder / "pixels.npy", self.folder / "places.npy"
        shape = (len(source), channels, size, size)
        if places.exists() and file.exists():
            with suppress(ValueError, EOFError):  # cut off: read anew
                kept = np.load(places)
                return torch.from_numpy(np.load(file, mmap_mode="c"))[: len(kept)], kept
        if self.lasting or math.prod(shape) > IN_MEMORY:
            self.folder.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self.folder).free < math.prod(shape) + SPARE:
                raise DetectorError(
                    f"the images take {math.prod(shape) / 2**30:.1f} GB in {self.folder}, and the disk has less: free some"
                )
            pixels = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
        else:
            pixels = np.empty(shape, dtype=np.uint8)
        kept, done = [], 0
        for which, batch in source.batches(order, size, channels, title):
            pixels[done : done + len(batch)] = batch
            kept.append(which)
            done += len(batch)
        kept = np.concatenate(kept) if kept else np.empty(0, dtype=np.int64)
        if isinstance(pixels, np.memmap):
            pixels.flush()
            pixels = np.load(file, mmap_mode="c")
            write_atomically(
                places, lambda path: np.save(path, kept)
            )  # the last thing: what is half read has none
        return torch.from_numpy(pixels)[:done], kept

    def kept(self, name: str, make: Callable[[], object]):
        """What `make` gave when this training began, as JSON holds it: a stopped training goes on as it was planned."""
        path = self.folder / f"{name}.json"
        if path.exists():
            try:
                return json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                raise DetectorError(
                    f"{path} is damaged: remove the folder {self.folder} to begin anew"
                ) from None
        made = make()
        if self.lasting:
            write_atomically(
                path, lambda partial: partial.write_text(json.dumps(made), encoding="utf-8")
            )
        return made

    @property
    def checkpoints(self) -> Path | None:
        """Where the trainer keeps its checkpoints."""
        return self.folder if self.lasting else None


@contextmanager
def workplace(folder: Path | None, identity: str) -> Iterator[Workplace]:
    """A Workplace in `folder`, which is removed when the training has ended well; or a temporary one.

    A folder that was begun with other images or settings, or that another process trains in, is refused before anything is
    read. Raises DetectorError.
    """
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="ygan-", ignore_cleanup_errors=True) as temporary:
            yield Workplace(Path(temporary), lasting=False)
        return
    mark = folder / MARK
    if folder.exists() and not (folder.is_dir() and (mark.exists() or not any(folder.iterdir()))):
        raise DetectorError(
            f"{folder} is there already, and is no training of this kind: give another place for it"
        )
    if mark.exists() and mark.read_text(encoding="utf-8", errors="replace") != identity:
        raise DetectorError(
            f"{folder} holds a training of other images or settings: remove it to begin anew"
        )
    write_atomically(mark, lambda partial: partial.write_text(identity, encoding="utf-8"))
    try:
        with FileLock(folder / LOCK, timeout=0):
            yield Workplace(folder, lasting=True)
            names = ("pixels.npy", "places.npy", "config.json", "labels.json", MARK)
            for file in [*checkpoints(folder), *(folder / name for name in names)]:
                file.unlink(missing_ok=True)
    except Timeout:
        raise DetectorError(
            f"another process trains in {folder}: wait for it, or give another name"
        ) from None
    (folder / LOCK).unlink(
        missing_ok=True
    )  # after it was released: where a file that is open cannot be removed, too
    if not any(folder.iterdir()):
        folder.rmdir()
