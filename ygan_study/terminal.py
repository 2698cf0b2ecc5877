"""What the command lines of this package share: wrong use is one line on stderr that says what to do, and exit status 2; so is
a stop (130); a reader that leaves, as in `list | head -1`, stops nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import NoReturn

OK, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
LONGEST = 500  # characters of a line


class Parser(argparse.ArgumentParser):
    """argparse's, which takes no shortened option and says what is wrong without the usage. Its verbs are made alike."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with status 2."""
        say(f"{message} (--help says what there is)")
        raise SystemExit(WRONG_USE)


def say(what: str) -> None:
    """Print a message on stderr as one line. Of a long one the middle is left out."""
    line = " ".join(what.split())
    print(
        line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}",
        file=sys.stderr,
        flush=True,
    )


def check_writable(folder: Path) -> None:
    """Find out before hours of work, not after it, that nothing can be written into a folder. Raises OSError."""
    with tempfile.TemporaryFile(dir=folder):
        pass


def take_over(stopped: str) -> None:
    """For a process that is this command line alone. stopped: the line that Ctrl-C, SIGTERM and SIGHUP end it with.

    They do not where it was started deaf to them (nohup). Its outputs may be closed, or lose their reader.
    """
    for number in STOPS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, partial(_stop, stopped))
    _open_what_is_closed()
    sys.stdout, sys.stderr = _patient(sys.stdout), _patient(sys.stderr)


def _stop(stopped: str, *_) -> None:
    """End at once. What is durable is whole at any moment, so nothing is left to do; workers and kernels end with this process.

    An exception in its place could be swallowed, or shown, by whatever code it lands in.
    """
    try:
        for number in STOPS:  # another one would say it again
            signal.signal(number, signal.SIG_IGN)
        with contextlib.suppress(Exception):  # they may be in the middle of a line
            sys.stdout.flush()
        os.write(2, stopped.encode())
    finally:
        os._exit(INTERRUPTED)


def _open_what_is_closed() -> None:
    """Let nothing else take the number of an input or output that was closed, as by `>&-`: what is printed would go there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


class _Output(io.FileIO):
    """An output whose reader may leave, as in `list | head -1`: the work goes on, unheard."""

    def write(self, data) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)


def _patient(stream: io.TextIOWrapper | None) -> io.TextIOWrapper:
    if stream is None:  # closed by who started this
        return open(os.devnull, "w")
    buffer = io.BufferedWriter(_Output(stream.fileno(), "w", closefd=False))
    return io.TextIOWrapper(
        buffer, stream.encoding, "backslashreplace", line_buffering=True
    )  # also where it goes to a file
