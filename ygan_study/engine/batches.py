"""The images of an epoch, batch by batch: on the device, or read ahead where they do not fit."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

AHEAD = 2  # batches that are read while one is trained on


def too_large(images: Tensor, device: torch.device) -> bool:
    """Whether images stay on the host: more than half of the memory that a CUDA device has free."""
    return device.type == "cuda" and images.nbytes > torch.cuda.mem_get_info(device)[0] / 2


def batches(
    images: Tensor, order: Tensor, device: torch.device, streamed: bool
) -> Iterator[Tensor]:
    """Batches uint8 (B, C, S, S) on the device, in the order (steps, B) of their places.

    images: uint8 (n, C, S, S), on the device; or, where `streamed`, in memory or memory-mapped.
    """
    if not streamed:
        yield from (images[batch] for batch in order.to(device))
        return

    def read(batch: Tensor) -> Tensor:
        return images[batch].pin_memory() if device.type == "cuda" else images[batch]

    with ThreadPoolExecutor(1) as reader:
        ahead = deque()
        for batch in order:
            ahead.append(reader.submit(read, batch))
            if len(ahead) > AHEAD:
                yield ahead.popleft().result().to(device, non_blocking=True)
        while ahead:
            yield ahead.popleft().result().to(device, non_blocking=True)
