"""A detector as one file in the safetensors format, with JSON in its metadata. No pickle."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ygan_core.checkpoints import write_atomically
from ygan_detector.features import Features
from ygan_detector.messages import DetectorError, first_line
from ygan_detector.network import Network
from ygan_study.plan.settings import Settings

FORMAT = "ygan-detector 2"  # the number rises when older files can no longer be read
PLAIN = ("recipe_", "size_", "channels_", "clustered_", "heat_scales_", "references_")
TENSORS = ("calibration_scores_", "decision_scores_", "reference_latents_")


def save(detector, path: Path) -> None:
    """Write a YGANDetector atomically."""
    about = {name: getattr(detector, name) for name in PLAIN} | {
        "params": detector.get_params(),
        "settings": detector.settings_ and asdict(detector.settings_),
        "classes": detector.classes_.tolist(),
        "names": detector.names_.tolist(),
    }
    tensors = {f"model.{name}": value for name, value in detector.model_.state_dict().items()}
    tensors |= {name: torch.as_tensor(getattr(detector, name)) for name in TENSORS}
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    metadata = {"format": FORMAT, "about": json.dumps(about, default=np.generic.item)}
    write_atomically(path, partial(save_file, tensors, metadata=metadata))


def load(make, path: Path, **params):
    """The detector that `save` wrote, with other params. make: the class. Raises DetectorError."""
    if not path.is_file():
        raise DetectorError(f"there is no file {path}: fit a detector and save it first")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        if metadata.get("format") != FORMAT:
            raise ValueError(f"its format is {metadata.get('format')}, not {FORMAT}")
        about = json.loads(metadata["about"])
        settings = about["settings"] and Settings(**about["settings"])
        if settings:  # files written before there was the recipe `features` have neither of these
            about = {"recipe_": settings.name, "size_": settings.image_size, **about}
        detector = make(**about["params"] | params)
        vars(detector).update({name: about[name] for name in PLAIN})
        detector.classes_, detector.names_ = np.array(about["classes"]), np.array(about["names"])
        detector.calibration_scores_ = tensors.pop("calibration_scores_").numpy()
        detector.decision_scores_ = tensors.pop("decision_scores_").numpy()
        detector.reference_latents_ = tensors.pop("reference_latents_")
        detector.settings_, detector.history_ = settings, []
        if settings:
            classes = len(detector.classes_)
            detector.model_ = Network(settings, detector.channels_, classes)
        else:
            detector.model_ = Features(len(tensors["model.bank"]))
        state = {name.removeprefix("model."): value for name, value in tensors.items()}
        detector.model_.load_state_dict(state)
    except (SafetensorError, OSError, ValueError, LookupError, TypeError, RuntimeError) as error:
        wrong = f"{path} is damaged, or no detector of this version ({first_line(error)})"
        raise DetectorError(f"{wrong}: fit and save it anew") from None
    return detector
