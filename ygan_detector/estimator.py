"""YGANDetector: Y-GAN on your own images, with the names and the signs of PyOD."""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import os
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import beta
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ygan_core.fit import fit
from ygan_core.scores import classify, encode, s
from ygan_detector import file, training
from ygan_detector.heat import BEST, MEANS, heat_maps
from ygan_detector.pixels import DetectorError
from ygan_detector.settings import check, device_of
from ygan_detector.sources import Source, source
from ygan_study.engine.precision import convolutions_in
from ygan_study.engine.threads import one_thread
from ygan_study.plan.settings import Settings

REFERENCES = (
    1000  # training images that are kept, small, to show which are nearest to a suspicious one
)
WARMED = 200  # normal images left untrained, by which heat maps are scaled
HAIR = 1e-5  # of the threshold
HALF = 0.5  # of the way from chance to all that were trained on: a C that is right on fewer has learnt little
NEARLY_BLACK = 32  # of 255
TOP = 0.999  # of the places of normal images: the warm end of a heat map begins where the rest of them lies
OF_THE_TRAINING = (
    "recipe",
    "minutes",
    "epochs",
    "image_size",
    "width",
    "augmentation",
    "seed",
)  # settings that a stopped one goes on with


class YGANDetector(BaseEstimator):
    """Finds images that do not belong, having seen normal images only.

    Higher scores are more anomalous, and `predict` says 1 for an anomaly and 0 for a normal image, as in PyOD; scikit-learn's
    own detectors have the opposite sign and say -1 and 1.

    recipe
        `balanced`: Y-GAN with this project's loss weights. `classifier`: E_s and C alone, trained in about a third of the time;
        it has no decoder, so its heat maps are those of `doubt`.
        In the reference edition (README) the two cannot be told apart by s (Eq. 12) on MNIST, FMNIST and CIFAR10; `balanced` is
        higher by 0.07 AUC on PlantVillage. One training of `balanced` over 100 epochs, on CIFAR10, fell apart: `fit` warns
        where C no longer knows the classes. Hybrids and reconstructions need `balanced`.
    minutes
        How long the training may take; reading and clustering the images come on top. A few steps are timed, and the number
        of epochs is fixed, 1 to 200. So two machines make two detectors: give `epochs` where a training is to be repeated.
    epochs
        Their number, in place of minutes.
    false_alarms
        The share of normal images that may be called anomalies. It sets `threshold_`, and may be changed after `fit`.
    image_size
        32, 64, 128 or 256; None takes the nearest to the middle image, or, where `minutes` allow a training at that size to see
        fewer than 20,000 images, the next smaller one, down to 64. Images are squeezed to squares.
    width
        Filters of the first convolution; None takes 16, and 8 from 128 px.
    augmentation
        `leaves` mirrors, turns by up to 12 degrees, shifts and changes light and contrast a little (section 4.2); `none`;
        `auto` takes `leaves` for colour images of 64 px and more. Take `none` where a mirrored or a darker image is an anomaly.
    heat_map
        `doubt`, `reconstruction`, `hybrid` (heat.py), or `auto`: what found synthetic defects best (localisation.py).
    seed
        Of the initial weights, the order of batches, the images that are left untrained, and the clustering.
    device
        `auto` (a CUDA device where there is one), or what PyTorch takes.
    verbose
        Whether it prints what it chose and how far it is.

    After `fit`: `classes_` (N,), names of the normal classes; `weak_`, whether they are clusters; `threshold_`; `names_`,
    `decision_scores_`, `labels_` (n,), of the images that it was fitted on; `calibration_scores_`, of those left untrained;
    `model_`, the averaged weights; `config_`; `history_`, an entry an epoch.
    """

    def __init__(
        self,
        recipe: str = "balanced",
        *,
        minutes: float = 10,
        epochs: int | None = None,
        false_alarms: float = 0.05,
        image_size: int | None = None,
        width: int | None = None,
        augmentation: str = "auto",
        heat_map: str = "auto",
        seed: int = 0,
        device: str = "auto",
        verbose: bool = True,
    ):
        self.recipe = recipe
        self.minutes = minutes
        self.epochs = epochs
        self.false_alarms = false_alarms
        self.image_size = image_size
        self.width = width
        self.augmentation = augmentation
        self.heat_map = heat_map
        self.seed = seed
        self.device = device
        self.verbose = verbose

    def fit(
        self,
        X,
        y=None,
        checkpoint: str | os.PathLike | None = None,
        save: str | os.PathLike | None = None,
    ) -> YGANDetector:
        """Train on normal images.

        X: a folder with a subfolder for each normal class; a folder in the layout of the authors' public code; a folder without
        subfolders, whose classes are then made by clustering; a list of files; an array or a tensor, (n, H, W), (n, H, W, C) or
        (n, C, H, W). y: (n,) labels, for lists and arrays; without, they are clustered.
        checkpoint: a folder to go on from if the training is stopped; it is removed at the end. save: where the detector is
        saved before that.

        Raises DetectorError, ConfigError, DataError or NonFiniteLoss with one line that says what to do.
        """
        check(self.get_params())
        images = source(X, y, training=True, say=self._say)
        if len(images) < training.FEW:
            raise DetectorError(
                f"n_samples={len(images)} images; a detector needs {training.FEW} at least: add normal images"
            )
        training.remarks(images)
        settings = {name: getattr(self, name) for name in OF_THE_TRAINING}
        identity = hashlib.sha256(repr((settings, images.identity)).encode()).hexdigest()
        with training.workplace(
            Path(checkpoint).expanduser() if checkpoint else None, identity
        ) as place:
            self._fit(images, place)
            if save:
                self.save(save)
        return self

    def _fit(self, images: Source, place: training.Workplace) -> None:
        # Those left untrained are read last: a part of a mapped file can be trained on only if it lies in one piece.
        labels = np.zeros(len(images), dtype=np.int64) if images.labels is None else images.labels
        learnt, left_out = training.hold_out(labels, self.seed)
        config = Settings(**place.kept("config", lambda: self._plan(images, len(learnt)).as_json()))
        self.channels_ = self._channels(images)
        title = "reading" if self.verbose else ""
        order = np.concatenate([learnt, left_out])
        pixels, kept = place.pixels(images, order, config.image_size, self.channels_, title)
        n = int(np.isin(kept, learnt).sum())  # images to train on
        if n < training.FEW // 2 or n < config.batch_size or n == len(kept):
            raise DetectorError(
                f"only {len(kept)} of {len(images)} images can be read: repair them, or add others"
            )
        if int(pixels[:: max(1, len(pixels) // 200)].max()) < NEARLY_BLACK:
            warnings.warn(
                "the images are nearly black: 16-bit files that use 12 bits look so, stretch them",
                stacklevel=3,
            )
        classes, labels, self.weak_ = place.kept(
            "labels", lambda: self._labels(images, pixels[:n], kept[:n])
        )
        labels, self.classes_, names = (
            torch.tensor(labels),
            np.array(classes),
            np.array(images.names)[kept],
        )
        self._say(
            f"{len(classes)} {'clusters' if self.weak_ else 'classes'}; {n} images to train on, {len(kept) - n} left untrained"
        )
        trainer = train.Trainer(config, pixels[:n], labels, device_of(self.device))
        with (
            contextlib.nullcontext() if self.verbose else contextlib.redirect_stdout(io.StringIO())
        ):
            fit(trainer, place.checkpoints, title="training")
        self.config_, self.model_, self.history_ = (
            config,
            trainer.averaged.module.eval(),
            trainer.history,
        )
        with one_thread(), convolutions_in("float32"):
            self._look_back(pixels, labels, names)
        order = np.argsort(kept)
        self.decision_scores_, self.names_ = self.decision_scores_[order], names[order]
        self._tell_threshold()

    @staticmethod
    def _channels(images: Source) -> int:
        return 1 if images.grey.all() else 3

    def _plan(self, images: Source, n: int) -> Settings:
        """The configuration of a training on n of these images: their size, and how many epochs there is time for."""
        nearest, channels, sides = (
            training.nearest_size(images.sides),
            self._channels(images),
            images.sides.max(axis=1),
        )
        sizes = [
            size
            for size in training.SIZES[::-1]
            if min(training.SMALLEST, nearest) <= size <= nearest
        ]
        config, estimate = (
            training.configuration(self.get_params(), self.image_size or nearest, channels, n),
            "",
        )
        if self.epochs is None:
            sizes = sizes if self.image_size is None else [self.image_size]
            plan = partial(training.configuration, self.get_params(), channels=channels, images=n)
            config, seconds = training.within(
                self.minutes, sizes, plan, n, channels, device_of(self.device)
            )
            estimate = f", about {seconds / 60:.1f} minutes here"
        size = config.image_size
        why = ""
        if self.image_size is None and size < nearest:
            why = f"; {nearest} px is nearer, but sees too few images in {self.minutes:g} minutes: set image_size or minutes"
        kind = "grey" if channels == 1 else "colour"
        self._say(
            f"{len(images)} {kind} images of {sides.min()} to {sides.max()} px, resized to {size} x {size} px{why}"
        )
        self._say(
            f"width {config.width}, augmentation {config.augmentation}, {config.epochs} epochs{estimate}"
        )
        return config

    def _labels(
        self, images: Source, pixels: Tensor, kept: np.ndarray
    ) -> tuple[list[str], list[int], bool]:
        """(classes, labels, whether they are clusters) of pixels, which are the images at the places `kept`."""
        if images.labels is not None:
            classes, labels = np.unique(images.labels[kept], return_inverse=True)
            if len(classes) > 1:
                return [images.classes[label] for label in classes], labels.tolist(), False
            self._say(
                "one class alone leaves nothing to tell apart: weak labels are made by clustering"
            )
        labels = training.clusters(pixels, self.seed, device_of(self.device))
        return (
            [f"cluster {number + 1}" for number in range(int(labels.max()) + 1)],
            labels.tolist(),
            True,
        )

    def _tell_threshold(self) -> None:
        n, (expected, low, high) = len(self.calibration_scores_), self.false_alarm_interval()
        line = (
            f"threshold {self.threshold_:.4g}: {100 * expected:.1f} % of new normal images are expected above it; 95 % "
            f"interval {100 * low:.1f} to {100 * high:.1f} %, from {n} normal images left untrained"
        )
        if n < training.AT_LEAST:
            warnings.warn(
                f"{line}: {training.AT_LEAST} would narrow it, add normal images", stacklevel=4
            )
        elif expected > self.false_alarms:
            warnings.warn(
                f"{line}: {n} cannot promise {100 * self.false_alarms:g} %, add normal images",
                stacklevel=4,
            )
        else:
            self._say(line)

    def _look_back(self, pixels: Tensor, labels: Tensor, names: np.ndarray) -> None:
        """What is kept of the images: scores, small ones to show, the mean residual of each class, how warm a place is."""
        found, n = encode(self.model_, pixels, batch_size=training.BATCH), len(labels)
        self.decision_scores_ = s(found.logits).numpy()
        self.calibration_scores_ = self.decision_scores_[n:].copy()
        right = float((found.logits[:n].argmax(dim=1) == labels).double().mean())
        line = f"C names the class of {100 * right:.0f} % of the images that it was trained on"
        chance = 1 / len(self.classes_)
        if right < chance + HALF * (1 - chance):
            warnings.warn(
                f"{line}: the scores say little, try other epochs or recipe='classifier'",
                stacklevel=4,
            )
        else:
            self._say(line)
        self.mean_z_r_ = torch.stack(
            [found.z_r[:n][labels == label].mean(dim=0) for label in range(len(self.classes_))]
        )
        few = np.sort(np.random.RandomState(self.seed).permutation(n)[:REFERENCES])
        self.references_, self.reference_z_s_ = names[few].tolist(), found.z_s[few]
        self.thumbnails_ = file.thumbnails(pixels, few)
        normal = pixels[n:][:WARMED]
        possible = [name for name in MEANS if name == "doubt" or hasattr(self.model_, "D")]
        maps = {
            name: heat_maps(name, self.model_, normal, self.mean_z_r_).numpy() for name in possible
        }
        self.heat_scales_ = {
            name: max(float(np.quantile(values, TOP)), 1e-12) for name, values in maps.items()
        }

    def decision_function(self, X) -> np.ndarray:
        """Scores float64 (n,), Eq. 12: higher is more anomalous. X as for `fit`, but of a folder all images, at any depth.

        Damaged files are named in a warning and left out; `examine` says which score is whose.
        """
        return self.examine(X)["score"].to_numpy()

    def predict(self, X) -> np.ndarray:
        """1 for an anomaly, whose score is above `threshold_`, and 0 for a normal image: int64 (n,). X as there."""
        return self.examine(X)["anomaly"].to_numpy()

    def examine(self, X: Source | object) -> pd.DataFrame:
        """A row for each image that can be read, in the order of X: file, score, anomaly, class (which C prefers), place in X.

        Of the layout of the authors' public code also truth: 1 for an anomaly. X as for `decision_function`, or from `open`.
        """
        images, found = X if isinstance(X, Source) else self.open(X), []
        with one_thread(), convolutions_in("float32"):
            title = "scoring" if self.verbose else ""
            for places, batch in images.batches(
                np.arange(len(images)), self.size_, self.channels_, title
            ):
                logits = classify(self.model_, torch.from_numpy(batch))
                found.append((places, s(logits).numpy(), logits.argmax(dim=1).numpy()))
        if not found:
            raise DetectorError(
                "none of these images can be read: give JPEG, PNG, TIFF or WebP files that are whole"
            )
        places, scores, classes = map(np.concatenate, zip(*found, strict=True))
        anomaly = (scores > self.threshold_).astype(np.int64)
        table = pd.DataFrame(
            {"file": np.array(images.names)[places], "score": scores, "anomaly": anomaly}
        )
        if images.anomalous is not None:
            table["truth"] = images.anomalous[places].astype(np.int64)
        return table.assign(**{"class": self.classes_[classes], "place": places})

    def open(self, X) -> Source:
        """The images of X, found but not read yet. Raises DetectorError."""
        check_is_fitted(self)
        return source(X, say=self._say)

    def heat_map_of(self, pixels: Tensor) -> Tensor:
        """Where images, uint8 (n, C, S, S) of the detector's own size, are unlike normal ones: float32 (n, S, S).

        1 is what one place in a thousand of the normal images left untrained reaches.
        """
        return (
            heat_maps(self.means_, self.model_, pixels, self.mean_z_r_)
            / self.heat_scales_[self.means_]
        )

    @property
    def means_(self) -> str:
        """What heat maps are made by: `heat_map`, or the best that the recipe has."""
        if self.heat_map != "auto":
            return self.heat_map
        return BEST if BEST in self.heat_scales_ else "doubt"

    @property
    def size_(self) -> int:
        """The side of the images as the networks see them."""
        return self.config_.image_size

    @property
    def threshold_(self) -> float:
        """The score above which an image is called an anomaly. Of new normal images a share false_alarms is expected above.

        It is the k-th lowest of the n scores of normal images left untrained, k = ceil((1 - false_alarms)(n + 1)), or the
        highest, where n is too small for the rate; and a hair more, so that an image which ties with it is normal in whatever
        batch, and in the ONNX file: their last bits differ.
        """
        check_is_fitted(self)
        return float(np.sort(self.calibration_scores_)[self._rank() - 1]) * (1 + HAIR)

    def false_alarm_interval(self, level: float = 0.95) -> tuple[float, float, float]:
        """The share of new normal images above `threshold_`: the expected one, and the ends of an interval of this level.

        The share above the k-th lowest of n draws from the same distribution is itself distributed as Beta(n + 1 - k, k).
        """
        share = beta(len(self.calibration_scores_) + 1 - self._rank(), self._rank())
        return float(share.mean()), *map(float, share.interval(level))

    def _rank(self) -> int:
        n = len(self.calibration_scores_)
        return max(1, min(n, math.ceil((1 - self.false_alarms) * (n + 1) - 1e-9)))

    @property
    def labels_(self) -> np.ndarray:
        """1 where an image that the detector was fitted on is above `threshold_`, else 0: int64 (n,)."""
        return (self.decision_scores_ > self.threshold_).astype(np.int64)

    def save(self, path: str | os.PathLike) -> None:
        """Write all that `load` needs into one file: JSON, safetensors and a sheet of small training images. No pickle."""
        check_is_fitted(self)
        about = {
            name.removesuffix("_"): getattr(self, name)
            for name in ("channels_", "weak_", "heat_scales_", "references_")
        }
        about |= {
            "classes": self.classes_.tolist(),
            "names": self.names_.tolist(),
            "config": self.config_.as_json(),
        }
        tensors = {f"model.{name}": value for name, value in self.model_.state_dict().items()}
        tensors |= {name: torch.as_tensor(getattr(self, f"{name}_")) for name in file.ARRAYS}
        file.write(
            Path(path).expanduser(),
            {"params": self.get_params(), **about},
            tensors,
            self.thumbnails_,
        )

    @classmethod
    def load(cls, path: str | os.PathLike, device: str = "auto") -> YGANDetector:
        """The detector that `save` wrote. Raises DetectorError where the file is none, is damaged or of a later version."""
        about, tensors, small = file.read(Path(path).expanduser())
        try:
            detector = cls(**{**about["params"], "device": device, "verbose": False})
            check(detector.get_params())
            detector.config_, detector.history_ = Settings(**about["config"]), []
            for name in ("channels", "weak", "heat_scales", "references"):
                setattr(detector, f"{name}_", about[name])
            detector.classes_, detector.names_ = (
                np.array(about["classes"]),
                np.array(about["names"]),
            )
            for name in file.ARRAYS:
                value = tensors.pop(name)
                setattr(detector, f"{name}_", value.numpy() if name.endswith("scores") else value)
            detector.model_ = train.build(
                detector.config_, detector.channels_, len(detector.classes_)
            )
            detector.model_.load_state_dict(
                {name.removeprefix("model."): value for name, value in tensors.items()}
            )
            detector.thumbnails_ = small[: len(detector.references_)]
            fits = (
                len(detector.references_)
                == len(detector.reference_z_s_)
                == len(detector.thumbnails_)
                and len(detector.names_)
                == len(detector.decision_scores_)
                >= len(detector.calibration_scores_)
                > 0
                and len(detector.mean_z_r_) == len(detector.classes_) > 1
                and all(value.isfinite().all() for value in detector.model_.state_dict().values())
            )
            if not fits:
                raise ValueError("its parts do not fit together")
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            reason = str(error).splitlines()[0][:120]
            raise DetectorError(f"{path} is no whole detector ({reason}): save it again") from None
        detector.model_.to(device_of(device), memory_format=torch.channels_last).eval()
        return detector

    def export_onnx(self, path: str | os.PathLike) -> None:
        """Write an ONNX file that takes images uint8 (n, H, W, C) of any size and gives score, anomaly and logits.

        Resizing is inside. Its scores are this detector's. Raises DetectorError where onnx and onnxscript are not installed.
        """
        from ygan_detector.export import export

        check_is_fitted(self)
        export(
            self.model_,
            Path(path).expanduser(),
            self.size_,
            self.channels_,
            self.threshold_,
            self.classes_.tolist(),
        )

    def _say(self, line: str) -> None:
        if self.verbose:
            print(line, flush=True)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "calibration_scores_")
