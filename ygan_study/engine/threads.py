"""One thread for computations that have to give the same numbers everywhere."""

import contextlib
import os
import threading
from collections.abc import Iterator

import torch
from threadpoolctl import threadpool_limits

_lock = threading.Lock()
_this_thread = threading.local()
_inside: list[threading.Thread] = []  # the one that entered first holds the limits of NumPy
_before = 1  # PyTorch's threads while nobody is inside


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Inside, PyTorch, NumPy and scikit-learn compute on one thread.

    Two threads add in another order, so their sums differ in the last bits. On a busy machine, one
    thread is also faster. In a forked process it prevents waiting for OpenMP's threads, which are
    missing there. Where several threads are inside, each gives back what was there before the
    first entered, and not the one thread that it found.
    """
    global _before
    if getattr(_this_thread, "inside", False):
        yield
        return
    with _lock:
        first = not _inside
        if first:
            _before = torch.get_num_threads()
        _inside.append(threading.current_thread())
    _this_thread.inside = True
    torch.set_num_threads(1)
    try:
        # OpenBLAS has one limit for all threads, which only the first may set and restore
        with threadpool_limits(1) if first else contextlib.nullcontext():
            yield
    finally:
        torch.set_num_threads(_before)
        _this_thread.inside = False
        with _lock:
            _inside.remove(threading.current_thread())


def _new_lock() -> None:
    global _lock
    _lock = threading.Lock()  # another thread may have held it when this process was forked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)
