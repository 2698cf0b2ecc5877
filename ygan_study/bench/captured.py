"""A check for a GPU: the captured step must compute what the eager step computes."""

from __future__ import annotations

import torch

from ygan_core.config import Config
from ygan_core.scores import to_input
from ygan_study.bench.extent import OURS
from ygan_study.bench.loops import loop


def captured_against_eager(device: str, steps: int = 20, width: int = 16) -> float:
    """The largest relative difference of a loss term between the captured step and the eager one, on the same batches.

    On a CPU nothing is captured, and the difference is 0.
    Raises RuntimeError above 1 %. Over 20 steps rounding stays far below 1 %; a term that the graph lacks does not.
    """
    config = Config(width=width)
    captured, eager = (
        loop((OURS, "float32"), config, steps, device, captured=graph) for graph in (True, False)
    )
    random, largest = torch.Generator().manual_seed(1), 0.0
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        for trainer in (captured, eager):
            trainer.model.train()
        for number in range(steps):
            rows = torch.randperm(len(eager.images), generator=random)[: config.batch_size].to(
                device
            )
            partner = torch.randperm(config.batch_size, generator=random).to(device)
            x = to_input(eager.images[rows]).contiguous(memory_format=torch.channels_last)
            batch = (x, eager.labels[rows], partner, torch.tensor(number / steps, device=device))
            replayed, expected = (captured.captured or captured.step)(*batch), eager.step(*batch)
            largest = max(
                largest, float(((replayed - expected).abs() / (expected.abs() + 1e-3)).max())
            )
    if largest > 0.01:
        raise RuntimeError(
            f"the captured step differs from the eager one: by {largest:.2%} of a loss term within {steps} steps"
        )
    return largest
