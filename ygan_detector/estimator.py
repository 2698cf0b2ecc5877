"""YGANDetector: anomaly detection in your own images, with PyOD's names and signs."""

import math
import os
from dataclasses import KW_ONLY, dataclass
from itertools import chain
from numbers import Integral, Real
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.stats import beta
from sklearn.base import BaseEstimator
from sklearn.metrics import recall_score
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from ygan_detector import file, messages, training
from ygan_detector.features import Features
from ygan_detector.images import Images, find_images
from ygan_detector.messages import DetectorError, warn
from ygan_detector.network import HEAT_MAPS, train_network
from ygan_detector.pixels import jpeg
from ygan_study.engine.threads import one_thread

REFERENCES = 1000  # training images that are kept, small, to show the most similar ones
HEAT_IMAGES, HEAT_QUANTILE = 200, 0.999  # heat maps are scaled by this quantile of normal ones
TIE = 1e-5  # relative; scores that differ by less are equal but for rounding
THUMBNAIL = 64  # px
PLANNED_BY = ("recipe", "minutes", "epochs", "image_size", "width", "augmentation", "seed")
HEAT_MAPS_OF = {"features": Features.heat_maps, **HEAT_MAPS}


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
        second. The number of epochs, from 1 to 200, is computed from it and not timed.
    epochs
        The number of epochs, in place of minutes.
    false_alarms
        The share of normal images that may be called anomalies. It determines `threshold_` and can
        be changed after `fit`.
    image_size
        32, 64, 128 or 256: images are squeezed to squares. None takes 224 for `features`, which has
        64 to 224, and else the one nearest to the average image, or a smaller one (not below 64)
        if the training would see fewer than 20,000 images in the time given.
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
        "heat_map": [StrOptions({"auto", "none", *chain.from_iterable(HEAT_MAPS_OF.values())})],
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
    ) -> "YGANDetector":
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
        training.check(images, self._say)
        self.recipe_ = self.recipe
        if self.recipe == "auto":
            several = len(np.unique(images.labels)) > 1
            self.recipe_ = "balanced" if several else "features"
            kinds = "several classes" if several else "one kind"
            self._say(f"recipe {self.recipe_}, for {kinds} of normal images")
            self._check_params(self.recipe_)
        planned_by = [getattr(self, name) for name in PLANNED_BY]
        with training.checkpoint_folder(checkpoint, planned_by, images) as folder:
            self._fit(images, folder)
            if save:
                self.save(save)
        return self

    def _fit(self, images: Images, folder: Path | None) -> None:
        self.channels_, self.history_ = images.channels, []
        learnt, left_out = training.hold_out(images.labels, self.seed)
        params = self.get_params() | {"recipe": self.recipe_}
        self.size_, self.settings_ = training.plan(params, images, len(learnt), self._say)
        title = "reading" if self.verbose else ""

        # Those left out are read last, so that the others are one piece of a mapped file.
        order = np.concatenate([learnt, left_out])
        pixels, kept = training.read_pixels(images, order, self.size_, title, folder)
        n = int(np.isin(kept, learnt).sum())  # images to train on
        fewest = self.settings_.batch_size if self.settings_ else 2
        if n < max(training.FEWEST // 2, fewest) or n == len(kept):
            raise DetectorError(f"only {len(kept)} of {len(images)} images can be read")

        labels = self._set_classes(images, kept[:n], pixels[:n])
        training.warn_about_pixels(pixels[:n], labels, images.names[kept])
        kinds = "clusters" if self.clustered_ else "class" if len(self.classes_) == 1 else "classes"
        self._say(f"{len(self.classes_)} {kinds}; {n} images to train on, {len(kept) - n} left out")
        latents, scores = self._train(pixels, n, labels, folder)

        self.calibration_scores_ = scores[n:].copy()
        in_order, names = np.argsort(kept), images.names[kept]
        self.names_, self.decision_scores_ = names[in_order], scores[in_order]
        few = np.sort(np.random.RandomState(self.seed).permutation(n)[:REFERENCES])
        self.references_ = [{"name": names[i], "picture": thumbnail(pixels[i])} for i in few]
        self.reference_latents_ = latents[few]
        self.heat_scales_ = {}
        for kind in self.model_.heat_maps:
            heat = self.model_.heat(kind, pixels[n:][:HEAT_IMAGES])
            self.heat_scales_[kind] = max(float(np.quantile(heat, HEAT_QUANTILE)), 1e-12)

        expected, low, high = self.false_alarm_interval()
        line = (
            f"threshold {self.threshold_:.4g}: {expected:.1%} of new normal images are expected "
            f"above it (95 % interval {low:.1%} to {high:.1%}, from {len(kept) - n} normal images "
            "left out)"
        )
        if len(kept) - n < training.LEFT_OUT_AT_LEAST or expected > self.false_alarms:
            warn(f"{line}; more normal images would narrow the interval")
        else:
            self._say(line)

    def _set_classes(self, images: Images, learnt: np.ndarray, pixels: Tensor) -> np.ndarray:
        """Labels int64 (n,) of the images to train on: their classes, or clusters of them."""
        classes, labels = np.unique(images.labels[learnt], return_inverse=True)
        self.classes_ = np.array(images.classes)[classes]
        self.clustered_ = len(classes) == 1 and self.recipe_ != "features"
        if self.clustered_:
            self._say("there is only one class: weak labels are made by clustering")
            labels = training.clusters(pixels, self.seed, device_of(self.device))
            self.classes_ = np.array([f"cluster {c + 1}" for c in range(labels.max() + 1)])
        return labels

    def _train(
        self, pixels: Tensor, n: int, labels: np.ndarray, folder: Path | None
    ) -> tuple[Tensor, np.ndarray]:
        """Make `model_` of the first n images. Returns the latents and scores of all."""
        device = device_of(self.device)
        if self.recipe_ == "features":
            self.model_ = Features(n).to(device, memory_format=torch.channels_last).eval()
            latents = self.model_.encode(pixels, self.verbose)
            own = self.model_.fit(pixels[:n], latents[:n], torch.from_numpy(labels), self.seed)
            return latents, np.concatenate([own, self.model_.scores_and_classes(latents[n:])[0]])
        self.model_, self.history_ = train_network(
            self.settings_, pixels[:n], torch.from_numpy(labels), device, folder, self.verbose
        )
        latents = self.model_.encode(pixels, self.verbose)
        scores, chosen = self.model_.scores_and_classes(latents)
        recall = recall_score(labels, chosen[:n], average=None)
        worst, right = int(recall.argmin()), (chosen[:n] == labels).mean()
        line = (
            f"C recognises the class of {right:.0%} of its training images, and of "
            f"{recall[worst]:.0%} of those of class {self.classes_[worst]}"
        )
        if recall[worst] < (1 + 1 / len(recall)) / 2:  # not even half-way from chance to certainty
            warn(f"{line}: the scores are unreliable, try more epochs or recipe='features'")
        else:
            self._say(line)
        return latents, scores

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
        threshold = self.threshold_
        images = X if isinstance(X, Images) else find_images(X, say=self._say)
        everything, title = np.arange(len(images)), "scoring" if self.verbose else ""
        parts = []
        for places, pixels in images.batches(everything, self.size_, self.channels_, title):
            latents = self.model_.encode(torch.from_numpy(pixels))
            parts.append((places, *self.model_.scores_and_classes(latents)))
        if not parts:
            raise DetectorError("none of these images can be read")
        places, scores, classes = map(np.concatenate, zip(*parts, strict=True))
        table = pd.DataFrame({"file": images.names[places], "score": scores})
        table["anomaly"] = (scores > threshold).astype(np.int64)
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
        return self.model_.heat(kind, pixels, self.verbose) / self.heat_scales_[kind]

    @one_thread()
    def most_similar(self, pixels: Tensor, k: int = 3) -> list[dict[str, str]]:
        """The training images most similar to one image, uint8 (C, S, S): name and JPEG, base64."""
        cosine = F.cosine_similarity(self.model_.encode(pixels[None]), self.reference_latents_)
        return [self.references_[i] for i in cosine.topk(min(k, len(cosine))).indices.tolist()]

    @property
    def heat_map_(self) -> str:
        """The kind of the heat maps: `heat_map`, or for `auto` the best that the recipe has; `none`
        where none is better than chance.
        """
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
        self._check_params()
        return float(np.sort(self.calibration_scores_)[self._rank() - 1]) * (1 + TIE)

    def false_alarm_interval(self) -> tuple[float, float, float]:
        """The share of new normal images above `threshold_`: the mean, and a 95 % interval.

        The share above the k-th lowest of n scores of one distribution follows Beta(n + 1 - k, k).
        """
        share = beta(len(self.calibration_scores_) + 1 - self._rank(), self._rank())
        return float(share.mean()), *map(float, share.interval(0.95))

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
        file.save(self, Path(path).expanduser())

    @classmethod
    @one_thread()
    def load(cls, path: str | os.PathLike, device: str = "auto") -> "YGANDetector":
        """The detector that `save` wrote. Raises DetectorError for any other file."""
        detector = file.load(cls, Path(path).expanduser(), device=device, verbose=False)
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
        if recipe is None:
            check_is_fitted(self)
            recipe = self.recipe_
        self._validate_params()
        device_of(self.device)
        has = HEAT_MAPS_OF.get(recipe, ())
        if has and self.heat_map not in ("auto", "none", *has):
            made = f"recipe {recipe} makes no heat_map {self.heat_map}"
            raise DetectorError(f"{made}: choose {' or '.join(has)}")

    def _say(self, line: str) -> None:
        if self.verbose:
            messages.say(line)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "calibration_scores_")


def thumbnail(pixels: Tensor) -> str:
    """A small version of an image uint8 (C, S, S), as a JPEG in base64."""
    return jpeg(to_pil_image(pixels).resize((THUMBNAIL, THUMBNAIL)))


def device_of(device: str | torch.device) -> str:
    """The device's name; `auto` is CUDA if there is any. Raises DetectorError if unusable."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise DetectorError(f"PyTorch cannot use a device {str(device)[:60]!r} here") from None
    return str(device)
