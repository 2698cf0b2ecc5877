"""In which precision convolutions are computed. Weights, latents and losses are always float32."""

import contextlib
from collections.abc import Iterator

import torch

PRECISIONS = ("float32", "tf32", "bfloat16")  # tf32: on CUDA devices, with a mantissa of 10 bits


@contextlib.contextmanager
def convolutions_in(precision: str) -> Iterator[None]:
    """Inside, a CUDA device convolves in tf32 only if `precision` is tf32."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
