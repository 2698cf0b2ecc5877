"""One thread for computations that have to give the same numbers everywhere."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

import torch
from threadpoolctl import threadpool_limits

_lock = threading.Lock()
_this_thread = threading.local()
_inside = 0  # threads of this process
_before: tuple[int, threadpool_limits] | None = None  # what holds while none is inside


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Inside, PyTorch, NumPy and scikit-learn compute on one thread.

    Two threads add in another order, so their sums differ in the last bits. On a busy machine, one
    thread is also faster. Limits are those of the process: where several threads are inside, the
    first sets them, and the last removes them. A forked process, in which the threads of OpenMP are
    missing and would be waited for, is safe inside.
    """
    global _inside, _before
    if getattr(_this_thread, "inside", False):
        yield
        return
    with _lock:
        if not _inside:
            _before = torch.get_num_threads(), threadpool_limits(1)
        _inside += 1
        _this_thread.inside = True
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _this_thread.inside = False
            _inside -= 1
            torch.set_num_threads(_before[0])  # by each, since OpenMP counts them by thread
            if not _inside:
                _before[1].restore_original_limits()


def _new_lock() -> None:
    global _lock
    _lock = threading.Lock()  # another thread may have held it when this process was forked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)
