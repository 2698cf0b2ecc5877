"""YGANDetector: anomaly detection in your own images, with PyOD's names and signs."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import KW_ONLY, asdict, dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import ClassVar

import joblib
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.stats import beta
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from tqdm.auto import tqdm

from ygan_core.scores import to_input
from ygan_detector import file, training
from ygan_detector.features import Features, size_for
from ygan_detector.images import Images, find_images, say, warn
from ygan_detector.network import HEAT_MAPS, Network, train_network
from ygan_detector.pixels import DetectorError, jpeg, resize
from ygan_study.engine.precision import convolutions_in
from ygan_study.engine.threads import one_thread
from ygan_study.plan.settings import Settings

REFERENCES = 1000  # training images that are kept, small, to show the most similar ones
HEAT_IMAGES, HEAT_QUANTILE = 200, 0.999  # heat maps are scaled by this quantile of normal ones
TIE = 1e-5  # relative; scores that differ by less are equal but for rounding
NEARLY_BLACK = 32  # of 255
THUMBNAIL = 64  # px
BATCH, SHORT = 64, 4  # images at a time; so many batches are quick
PLANNED_BY = ("recipe", "minutes", "epochs", "image_size", "width", "augmentation", "seed")
SAVED = ("recipe_", "size_", "channels_", "clustered_", "heat_scales_", "references_")
HEAT_MAPS_OF = {
    "features": Features.heat_maps,
    "classifier": ("uncertainty",),
    "balanced": HEAT_MAPS,
}
SAVED_TENSORS = ("calibration_scores_", "decision_scores_", "reference_latents_")


@dataclass(eq=False, repr=False)
class YGANDetector(BaseEstimator):
    """Finds anomalous images after a training on normal images alone.

    Higher scores are more anomalous, and `predict` returns 1 for an anomaly and 0 for a normal
    image, as in PyOD; scikit-learn's own detectors have the opposite sign, and return -1 and 1.

    recipe
        `features`: the local outlier factor among features of a frozen ImageNet network
        (features.py), the first to try where detection is all that is wanted. `balanced`: Y-GAN
        with the loss weights of this project, for its latents and swaps. `classifier`: E_s and C
        alone, in a fifth of the time, without reconstructions. `auto`: `features` where there is
        one kind of normal image, else `balanced`. Measured on 480 leaves of three species at
        256 px: AUC 0.996 and 98 % of the diseased leaves found by `features` in 87 s; 0.89 to
        0.96 and 51 to 84 % by `balanced`, 0.90 and 67 % by `classifier`, in minutes. With one
        species, `features` had an AUC of 0.98, `balanced` of 0.65 to 0.78.
    minutes
        How long to train `balanced` and `classifier`, on one idle core of 50 billion operations a
        second. The number of epochs, from 1 to 200, is computed from it; the machine and what else
        it is doing have no part in that. `fit` prints how much time is left.
    epochs
        The number of epochs, in place of minutes.
    false_alarms
        The share of normal images that may be called anomalies. It determines `threshold_` and can
        be changed after `fit`.
    image_size
        32, 64, 128 or 256. None takes 224 for `features`, which has 64 to 224, and else the one
        nearest to the average image, or a smaller one (not below 64) if the training would see
        fewer than 20,000 images in the time given. Images are squeezed to squares.
    width
        Filters of the first convolution; None takes 16, or 8 from 128 px on.
    augmentation
        `leaves` mirrors, turns (up to 12 degrees) and shifts images and varies light and contrast
        (section 4.2); `none`; `auto` takes `leaves` for colour images of at least 64 px. Choose
        `none` if a mirrored or darker image is an anomaly. `features` has none.
    heat_map
        `distance` or `uncertainty` for `features`, else `uncertainty`, `reconstruction` or `hybrid`
        (features.py, network.py); `auto`, the best by lesions.py; or `none`.
    seed
        Of the initial weights, the order of batches, the images left out, and the clustering.
    device
        `auto` (a CUDA device if there is one), or a device of PyTorch.
    verbose
        Whether to print what was chosen, and the progress.

    Attributes after `fit`: `recipe_`, the one that `auto` took; `classes_` (N,), names of the
    normal classes; `clustered_`, whether clustering made them; `threshold_`; `names_`,
    `decision_scores_` and `labels_` (n,) of the images fitted on; `calibration_scores_`, of those
    left out of the training; `model_`, a Network or Features; `size_`; `settings_` and `history_`,
    the losses of each epoch, where something was trained.
    """

    recipe: str = "auto"
    _: KW_ONLY
    minutes: float = 10
    epochs: int | None = None
    false_alarms: float = 0.05
    image_size: int | None = None
    width: int | None = None
    augmentation: str = "auto"
    heat_map: str = "auto"
    seed: int = 0
    device: str = "auto"
    verbose: bool = True

    _parameter_constraints: ClassVar = {
        "recipe": [StrOptions({"auto", "features", "balanced", "classifier"})],
        "minutes": [Interval(Real, 0, 10_000, closed="right")],
        "epochs": [Interval(Integral, 1, 99_999, closed="both"), None],
        "false_alarms": [Interval(Real, 0, 1, closed="neither")],
        "image_size": [Options(Integral, set(training.SIZES)), None],
        "width": [Interval(Integral, 1, 128, closed="both"), None],
        "augmentation": [StrOptions({"auto", "none", "leaves"})],
        "heat_map": [StrOptions({"auto", "none", *HEAT_MAPS, *Features.heat_maps})],
        "seed": [Interval(Integral, 0, 2**32 - 1, closed="both")],
        "device": [str, torch.device],
        "verbose": ["boolean"],
    }

    @one_thread()
    def fit(
        self,
        X,
        y=None,
        checkpoint: str | os.PathLike | None = None,
        save: str | os.PathLike | None = None,
    ) -> YGANDetector:
        """Train on normal images.

        X: a folder with a subfolder for each normal class, or without subfolders; a folder in the
        layout of the authors' public code or of MVTec AD; files; pictures of Pillow; an array or a
        tensor (n, H, W), (n, H, W, C) or (n, C, H, W). y: class labels (n,), for all but folders.
        Without classes, or with a single one, `balanced` and `classifier` make weak labels by
        clustering (section 6.3). checkpoint: a folder from which a stopped training resumes; it is
        removed at the end. save: a file to which the detector is saved before that.

        Raises ValueError with one line that says what to change, and NonFiniteLoss.
        """
        self._check_params(self.recipe)
        images = find_images(X, y, training=True, say=self._say)
        if len(images) < training.FEWEST:
            advice = f"a detector needs at least {training.FEWEST} normal images"
            raise DetectorError(f"n_samples={len(images)}: {advice}")
        training.warn_about(images)
        one_kind = images.labels is None or len(np.unique(images.labels)) == 1
        self.recipe_ = self.recipe
        if self.recipe == "auto":
            self.recipe_ = "features" if one_kind else "balanced"
            kinds = "one kind" if one_kind else "several classes"
            self._say(f"recipe {self.recipe_}, for {kinds} of normal images")
            self._check_params(self.recipe_)
        planned_by = [getattr(self, name) for name in PLANNED_BY]
        folder = Path(checkpoint).expanduser() if checkpoint else None
        identity = joblib.hash((planned_by, images.identity))
        with training.training_folder(folder, identity) as own_folder:
            self._fit(images, own_folder)
            if save:
                self.save(save)
        return self

    def _fit(self, images: Images, folder: Path | None) -> None:
        self.channels_, self.settings_, self.history_ = images.channels, None, []
        sides = images.sides.max(axis=1)
        kind = "grey" if images.channels == 1 else "colour"
        self._say(f"{len(images)} {kind} images of {sides.min()} to {sides.max()} px")
        known = np.zeros(len(images), dtype=int) if images.labels is None else images.labels
        learnt, left_out = training.hold_out(known, self.seed)
        if self.recipe_ == "features":
            self.size_ = size_for(self.image_size)
            self._say(f"resized to {self.size_} x {self.size_} px")
        else:
            params = self.get_params() | {"recipe": self.recipe_}
            self.settings_ = training.plan(params, images, len(learnt), self._say)
            self.size_ = self.settings_.image_size
        # Those left out are read last, so that the others are one piece of a mapped file.
        order, title = np.concatenate([learnt, left_out]), "reading" if self.verbose else ""
        pixels, kept = training.read_pixels(
            images, order, self.size_, self.channels_, title, folder
        )
        n = int(np.isin(kept, learnt).sum())
        fewest = self.settings_.batch_size if self.settings_ else 2
        if n < max(training.FEWEST // 2, fewest) or n == len(kept):
            raise DetectorError(f"only {len(kept)} of {len(images)} images can be read")
        if pixels[:: max(1, len(pixels) // 200)].max() < NEARLY_BLACK:
            warn("the images are nearly black; stretch 16-bit files that use 12 bits")
        labels = self._set_classes(images, known[kept[:n]], pixels[:n])
        if not self.clustered_:
            training.warn_about_copies(pixels[:n], labels, images.names[kept[:n]])
        kinds = "clusters" if self.clustered_ else "class" if len(self.classes_) == 1 else "classes"
        self._say(f"{len(self.classes_)} {kinds}; {n} images to train on, {len(kept) - n} left out")
        latents, scores = self._train(pixels, n, torch.from_numpy(labels), folder)
        self.calibration_scores_ = scores[n:].copy()
        in_order, names = np.argsort(kept), images.names[kept]
        self.names_, self.decision_scores_ = names[in_order], scores[in_order]
        few = np.sort(np.random.RandomState(self.seed).permutation(n)[:REFERENCES])
        self.references_ = [{"name": names[i], "picture": thumbnail(pixels[i])} for i in few]
        self.reference_latents_ = latents[few]
        self._set_heat_scales(pixels[n:][:HEAT_IMAGES])
        self._report_threshold()

    def _train(
        self, pixels: Tensor, n: int, labels: Tensor, folder: Path | None
    ) -> tuple[Tensor, np.ndarray]:
        """Make `model_` of the first n images. Returns the latents and scores of all."""
        device, learnt = device_of(self.device), pixels[:n]
        if self.recipe_ == "features":
            self.model_ = Features(n).to(device, memory_format=torch.channels_last).eval()
            latents = self._latents(pixels)
            own = self.model_.fit(latents[:n], labels)
            few = np.random.RandomState(self.seed).permutation(n)[:HEAT_IMAGES]
            self.model_.fit_places(learnt[few], self.seed)
            return latents, np.concatenate([own, self._judge(latents[n:])[0]])
        self.model_, self.history_ = train_network(
            self.settings_, learnt, labels, device, folder, self.verbose
        )
        latents = self._latents(pixels)
        scores, chosen = self._judge(latents)
        self._report_accuracy(labels.numpy(), chosen[:n])
        return latents, scores

    def _set_classes(self, images: Images, known: np.ndarray, pixels: Tensor) -> np.ndarray:
        """Labels int64 (n,) of the images to train on: their classes, or clusters of them."""
        classes, labels = np.unique(known, return_inverse=True)
        self.clustered_ = len(classes) == 1 and self.recipe_ != "features"
        if not self.clustered_:
            self.classes_ = np.array(images.classes or ("normal",))[classes]
            return labels
        self._say("there is only one class: weak labels are made by clustering")
        labels = training.clusters(pixels, self.seed, device_of(self.device)).numpy()
        self.classes_ = np.array([f"cluster {c + 1}" for c in range(labels.max() + 1)])
        return labels

    def _set_heat_scales(self, normal: Tensor) -> None:
        maps = {kind: self._heat_maps(kind, normal) for kind in self.model_.heat_maps}
        self.heat_scales_ = {
            kind: max(float(np.quantile(heat, HEAT_QUANTILE)), 1e-12) for kind, heat in maps.items()
        }

    def _report_accuracy(self, labels: np.ndarray, chosen: np.ndarray) -> None:
        """Say how many training images get their own class; warn if few of some class do."""
        recall = np.array([(chosen[labels == c] == c).mean() for c in range(len(self.classes_))])
        worst, chance = int(recall.argmin()), 1 / len(recall)
        overall = (
            f"C recognises the class of {(chosen == labels).mean():.0%} of its training images"
        )
        line = f"{overall}, and of {recall[worst]:.0%} of those of class {self.classes_[worst]}"
        if recall[worst] < (1 + chance) / 2:  # not even half-way from chance to certainty
            warn(f"{line}: the scores are unreliable, try more epochs or recipe='features'")
        else:
            self._say(line)

    def _report_threshold(self) -> None:
        n, (expected, low, high) = len(self.calibration_scores_), self.false_alarm_interval()
        line = (
            f"threshold {self.threshold_:.4g}: {expected:.1%} of new normal images are expected "
            f"above it (95 % interval {low:.1%} to {high:.1%}, from {n} normal images left out)"
        )
        if n < training.LEFT_OUT_AT_LEAST or expected > self.false_alarms:
            warn(f"{line}; more normal images would narrow the interval")
        else:
            self._say(line)

    def fit_predict(self, X, y=None) -> np.ndarray:
        """`labels_` after `fit(X, y)`."""
        return self.fit(X, y).labels_

    def decision_function(self, X) -> np.ndarray:
        """Anomaly scores float64 (n,). X: as for `fit`, but all images of a folder at any depth.

        Files that cannot be read are left out with a warning; `examine` names the others.
        """
        return self.examine(X)["score"].to_numpy()

    def predict(self, X) -> np.ndarray:
        """1 for an anomaly, whose score is above `threshold_`, else 0: int64 (n,)."""
        return self.examine(X)["anomaly"].to_numpy()

    def predict_proba(self, X) -> np.ndarray:
        """Float64 (n, 2): in column 1 score / (score + threshold_), which is above 0.5 for an
        anomaly, and in column 0 its complement. It orders images; it is no calibrated probability.
        """
        score = self.decision_function(X)
        p = score / (score + self.threshold_)
        return np.stack([1 - p, p], axis=1)

    @one_thread()
    def examine(self, X) -> pd.DataFrame:
        """A row for each image that can be read: file, score, anomaly, class (the most similar).

        X: as for `decision_function`, or Images; `place` is the index in it. `truth` is 1 for an
        anomaly, if the layout of the folder tells.
        """
        check_is_fitted(self)
        self._check_params()
        images = X if isinstance(X, Images) else find_images(X, say=self._say)
        title, parts = "scoring" if self.verbose else "", []
        everything = np.arange(len(images))
        for places, pixels in images.batches(everything, self.size_, self.channels_, title):
            parts.append((places, *self._judge(self._latents(torch.from_numpy(pixels)))))
        if not parts:
            raise DetectorError("none of these images can be read")
        places, scores, classes = map(np.concatenate, zip(*parts, strict=True))
        anomaly = (scores > self.threshold_).astype(np.int64)
        table = pd.DataFrame({"file": images.names[places], "score": scores, "anomaly": anomaly})
        if images.anomalous is not None:
            table["truth"] = images.anomalous[places].astype(np.int64)
        return table.assign(**{"class": self.classes_[classes], "place": places})

    @one_thread()
    def heat_maps(self, pixels: Tensor, kind: str | None = None) -> Tensor:
        """Where images differ from normal ones: uint8 (n, C, S, S) -> float32 (n, S, S).

        pixels: in the size of the detector. kind: by default `heat_map_`. The value 1 is exceeded
        in one of a thousand places of the normal images left out of the training.
        """
        kind = kind or self.heat_map_
        if kind not in self.heat_scales_:
            raise DetectorError(f"no heat_map {kind}: choose {' or '.join(self.heat_scales_)}")
        return self._heat_maps(kind, pixels) / self.heat_scales_[kind]

    @one_thread()
    def most_similar(self, pixels: Tensor, k: int = 3) -> list[dict[str, str]]:
        """The training images most similar to one image, uint8 (C, S, S): name and JPEG, base64."""
        cosine = F.cosine_similarity(self._latents(pixels[None]), self.reference_latents_)
        return [self.references_[i] for i in cosine.topk(min(k, len(cosine))).indices.tolist()]

    def _latents(self, pixels: Tensor) -> Tensor:
        return self._batches(self.model_.latents, pixels)

    def _judge(self, latents: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Scores float64 (n,) and classes int64 (n,)."""
        both = self._batches(lambda z: torch.stack(self.model_.judge(z), dim=1), latents).numpy()
        return both[:, 0], both[:, 1].astype(np.int64)

    def _heat_maps(self, kind: str, pixels: Tensor) -> Tensor:
        return self._batches(getattr(self.model_, kind), pixels)

    @one_thread()
    @torch.no_grad()
    def _batches(self, function: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
        """function(images in [-1, 1], or latents), batch by batch; what it returns, on the CPU."""
        device, parts = device_of(self.device), given.split(BATCH)
        slow = len(parts) > SHORT and not given.is_floating_point()
        title = "computing" if self.verbose and slow else None
        found = []
        with convolutions_in("float32"):
            for part in tqdm(parts, desc=title, unit=" batch", disable=None if title else True):
                part = part.to(device)
                found.append(function(part if part.is_floating_point() else to_input(part)).cpu())
        return torch.cat(found)

    @property
    def heat_map_(self) -> str:
        """The kind of the heat maps: `heat_map`, or for `auto` the best that the recipe has; `none`
        where none is better than chance.
        """
        check_is_fitted(self)
        self._check_params()
        return self.model_.best_heat_map if self.heat_map == "auto" else self.heat_map

    @property
    def threshold_(self) -> float:
        """The score above which an image is an anomaly; new normal images are with probability
        `false_alarms` at most.

        The k-th lowest of the n scores of normal images left out of the training, with
        k = ceil((1 - false_alarms)(n + 1)), or the highest if n is too small for that rate. A
        hair is added, so that ties count as normal in any batch and in ONNX.
        """
        check_is_fitted(self)
        self._check_params()
        return float(np.sort(self.calibration_scores_)[self._rank() - 1]) * (1 + TIE)

    def false_alarm_interval(self, level: float = 0.95) -> tuple[float, float, float]:
        """The share of new normal images above `threshold_`: the mean, and an interval's ends.

        The share above the k-th lowest of n scores of one distribution follows Beta(n + 1 - k, k).
        """
        share = beta(len(self.calibration_scores_) + 1 - self._rank(), self._rank())
        return float(share.mean()), *map(float, share.interval(level))

    def _rank(self) -> int:
        n = len(self.calibration_scores_)
        return max(1, min(n, math.ceil((1 - self.false_alarms) * (n + 1) - 1e-9)))

    @property
    def labels_(self) -> np.ndarray:
        """`predict` for the images fitted on: int64 (n,)."""
        return (self.decision_scores_ > self.threshold_).astype(np.int64)

    @one_thread()
    def save(self, path: str | os.PathLike) -> None:
        """Write the detector into one file: safetensors and JSON, without pickle."""
        check_is_fitted(self)
        about = {name: getattr(self, name) for name in SAVED}
        about |= {
            "params": self.get_params(),
            "settings": self.settings_ and asdict(self.settings_),
        }
        about |= {"classes": self.classes_.tolist(), "names": self.names_.tolist()}
        tensors = {f"model.{name}": value for name, value in self.model_.state_dict().items()}
        tensors |= {name: torch.as_tensor(getattr(self, name)) for name in SAVED_TENSORS}
        file.write(Path(path).expanduser(), about, tensors)

    @classmethod
    @one_thread()
    def load(cls, path: str | os.PathLike, device: str = "auto") -> YGANDetector:
        """The detector that `save` wrote. Raises DetectorError for any other file."""
        about, tensors = file.read(Path(path).expanduser())
        try:
            detector = cls(**{**about["params"], "device": device, "verbose": False})
            detector._check_params(detector.recipe)
            if settings := about["settings"]:  # older files have neither of these
                about = {"recipe_": settings["name"], "size_": settings["image_size"], **about}
            for name in SAVED:
                setattr(detector, name, about[name])
            detector.settings_, detector.history_ = settings and Settings(**settings), []
            detector.classes_, detector.names_ = map(np.array, (about["classes"], about["names"]))
            for name in SAVED_TENSORS:
                value = tensors.pop(name)
                setattr(detector, name, value.numpy() if name.endswith("scores_") else value)
            if settings:
                classes = len(detector.classes_)
                detector.model_ = Network(detector.settings_, detector.channels_, classes)
            else:
                detector.model_ = Features(len(tensors["model.bank"]))
            state = {name.removeprefix("model."): value for name, value in tensors.items()}
            detector.model_.load_state_dict(state)
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            reason = str(error).splitlines()[0][:120]
            raise DetectorError(f"{path} is not a whole detector ({reason})") from None
        detector.model_.to(device_of(device), memory_format=torch.channels_last).eval()
        return detector

    @one_thread()
    def export_onnx(self, path: str | os.PathLike) -> None:
        """Write an ONNX file: images uint8 (n, H, W, C) of any size -> score, anomaly, class.

        Raises DetectorError if onnx and onnxscript are not installed.
        """
        from ygan_detector.export import export

        check_is_fitted(self)
        export(self, Path(path).expanduser())

    def _check_params(self, recipe: str | None = None) -> None:
        """Raise ValueError for a wrong one. recipe: by default that of the fit, with all it has."""
        self._validate_params()
        device_of(self.device)
        recipe = recipe or getattr(self, "recipe_", self.recipe)
        has = HEAT_MAPS_OF.get(recipe, ())
        if has and self.heat_map not in ("auto", "none", *has):
            made = f"recipe {recipe} makes no heat_map {self.heat_map}"
            raise DetectorError(f"{made}: choose {' or '.join(has)}")

    def _say(self, line: str) -> None:
        if self.verbose:
            say(line)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "calibration_scores_")


def thumbnail(pixels: Tensor) -> str:
    """A small colour version of an image uint8 (C, S, S), as a JPEG in base64."""
    small = resize(pixels.permute(1, 2, 0).numpy(), THUMBNAIL, 3)
    return jpeg(Image.fromarray(small.transpose(1, 2, 0)))


def device_of(device: str | torch.device) -> str:
    """The device's name; `auto` is CUDA if there is any. Raises DetectorError if unusable."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise DetectorError(f"PyTorch cannot use a device {str(device)[:60]!r} here") from None
    return str(device)
