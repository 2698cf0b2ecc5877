"""In which precision convolutions are computed. Weights, latents and losses are float32 in each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

PRECISIONS = (
    "float32",
    "tf32",
    "bfloat16",
)  # tf32: of a CUDA device since 2020; its products have 10 bits after the point


@contextlib.contextmanager
def convolutions_in(precision: str) -> Iterator[None]:
    """Inside, a CUDA device convolves in tf32 where `precision` says so, and else not: PyTorch by itself calls tf32 float32."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
