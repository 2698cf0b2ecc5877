"""What was computed of facts is kept by joblib, under the facts that it was computed of."""

import inspect
from collections.abc import Callable
from pathlib import Path

from joblib import Memory, hash

from ygan_study.engine.threads import one_thread

MEASURE_VERSION = 1  # raised when an edit of another file changes what is kept


def cached(folder: Path, key: str, function: Callable, *arguments):
    """function(*arguments), computed once for each key and kept in `folder` if that can be written.

    key: names the facts of which the result is a function, so that no argument has to be hashed. An
    edit of the function's own file computes it again.
    """
    source = hash(inspect.getsource(inspect.getmodule(function)))
    call = (f"{function.__module__}.{function.__qualname__}", MEASURE_VERSION, f"{key} {source}")
    try:
        memory = Memory(folder, verbose=0, compress=1)  # compressed, so that damage is noticed
        return memory.cache(_compute, ignore=["function", "arguments"])(*call, function, arguments)
    except OSError:
        return _compute(*call, function, arguments)


def _compute(name: str, version: int, key: str, function: Callable, arguments: tuple):
    with one_thread():  # the same numbers, however many threads this process has
        return function(*arguments)
