"""The machine that is measured: its name, and the speed of its matrix product."""

from __future__ import annotations

from collections.abc import Callable

import torch
from joblib import cpu_count

from ygan_study.run.provenance import processor, provenance


def machine(device: str, threads: int) -> dict:
    """The processor, the GPU if it is used, the threads, and what `provenance` says: the content of machine.json."""
    gpu = torch.cuda.get_device_name() if device == "cuda" else ""
    return {
        "cpu": processor(),
        "cores": cpu_count(),
        "threads": threads,
        "gpu": gpu,
        **provenance(),
    }


def matrix_product(side: int, precision: str, device: str) -> Callable[[], None]:
    """A function that multiplies two matrices of (side, side): 2 side^3 floating-point operations.

    precision: float32, tf32 or bfloat16.
    """
    a = torch.randn(
        side,
        side,
        device=device,
        dtype=torch.bfloat16 if precision == "bfloat16" else torch.float32,
    )

    def run() -> None:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        torch.mm(a, a)
        torch.set_float32_matmul_precision(before)

    return run
