"""One thread for computations that have to give the same numbers everywhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from threadpoolctl import threadpool_limits


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Inside, PyTorch, NumPy and scikit-learn compute on one thread.

    Two threads add in another order, so their sums differ in the last bits. On a busy machine, one
    thread is also faster.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)
