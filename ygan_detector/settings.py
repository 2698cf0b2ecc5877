"""The detector's settings, checked before anything is read."""

from __future__ import annotations

import math
import numbers

import torch

from ygan_detector.heat import MEANS
from ygan_detector.pixels import DetectorError
from ygan_detector.training import RECIPES, SIZES


def check(params: dict) -> None:
    """Refuse settings of YGANDetector that cannot be used. Raises DetectorError naming the setting and its range."""
    rules = {
        "recipe": (lambda v: v in tuple(RECIPES), f"one of {', '.join(RECIPES)}"),
        "minutes": (
            lambda v: _number(v) and 0 < v <= 10_000,
            "a number above 0, and at most 10000",
        ),
        "epochs": (
            lambda v: v is None or _whole(v, 1, 99_999),
            "a whole number from 1 to 99999, or None",
        ),
        "false_alarms": (
            lambda v: _number(v) and 0 < v < 1,
            "a share between 0 and 1, for instance 0.05",
        ),
        "image_size": (
            lambda v: v is None or (_whole(v, min(SIZES), max(SIZES)) and v in SIZES),
            f"{', '.join(map(str, SIZES))} or None",
        ),
        "width": (
            lambda v: v is None or _whole(v, 1, 128),
            "a whole number from 1 to 128, or None",
        ),
        "augmentation": (lambda v: v in ("auto", "none", "leaves"), "auto, none or leaves"),
        "heat_map": (lambda v: v in ("auto", *MEANS), f"auto, {', '.join(MEANS)}"),
        "seed": (lambda v: _whole(v, 0, 2**32 - 1), "a whole number from 0 to 4294967295"),
    }
    for name, (fits, rule) in rules.items():
        if not fits(params[name]):
            raise DetectorError(f"{name} is {rule}; not {str(params[name])[:60]!r}")
    if params["recipe"] != "balanced" and params["heat_map"] not in ("auto", "doubt"):
        raise DetectorError(
            f"heat_map {params['heat_map']} needs a decoder, and recipe {params['recipe']} has none: take doubt"
        )
    device_of(params["device"])


def device_of(device: str) -> str:
    """`auto` is a CUDA device where there is one. Raises DetectorError for a device that PyTorch cannot use here."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError, TypeError, NotImplementedError):
        raise DetectorError(
            f"no device {str(device)[:60]!r} that PyTorch can use here: try auto or cpu"
        ) from None
    return str(device)


def _number(value) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value, low: int, high: int) -> bool:
    return (
        isinstance(value, numbers.Integral) and not isinstance(value, bool) and low <= value <= high
    )
