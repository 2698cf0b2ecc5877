"""Where a profile computes, and in which precision."""

import functools

import torch

from ygan_core.config import ConfigError
from ygan_study.engine.precision import PRECISIONS


def resolve_device(device: str, profile: str) -> str:
    """auto is the CPU, so that a profile runs alike everywhere; for `paper` a GPU if there is one.

    Raises ConfigError for a device that is not there.
    """
    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return "cuda" if profile == "paper" and has["cuda"] else "cpu"
    if device not in has:
        raise ConfigError(f"no device {device!r}: choose from auto, {', '.join(has)}")
    if not has[device]:
        raise ConfigError(
            f"this machine has no {device} device that PyTorch can use: try --device auto"
        )
    return device


def resolve_precision(precision: str, device: str) -> str:
    """float32 unless another is asked for. fastest: bfloat16 on CUDA and on CPUs that gain by it.

    Two machines of one kind may differ twentyfold in bfloat16, so a short trial decides, and it is
    never chosen for results that are to be compared. Raises ConfigError.
    """
    choices = (*PRECISIONS, "fastest")
    if precision not in choices:
        raise ConfigError(f"no precision {precision!r}: choose from {', '.join(choices)}")
    if precision == "tf32" and device != "cuda":
        raise ConfigError(f"{device} has no tf32: choose from float32, bfloat16, fastest")
    if precision != "fastest":
        return precision
    return "bfloat16" if device == "cuda" or (device == "cpu" and _bfloat16_pays()) else "float32"


@functools.cache
def _bfloat16_pays() -> bool:
    from torch.utils.benchmark import Timer  # it warns where there is a CUDA toolkit but no GPU

    fast = {"memory_format": torch.channels_last}
    x = torch.randn(64, 64, 16, 16).contiguous(**fast)
    convolution = torch.nn.Conv2d(64, 128, 4, stride=2, padding=1).to(**fast)
    names = {"x": x, "convolution": convolution}

    def seconds(enabled: bool) -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            step = Timer("convolution(x).sum().backward()", globals=names)
            return step.blocked_autorange(min_run_time=0.1).median

    return seconds(True) < 0.8 * seconds(False)
