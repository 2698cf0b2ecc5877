"""python -m ygan_core.study: see command_line.py.

Imported first, and quick to import: from here on Ctrl-C gives one line, at any moment, also while PyTorch is being imported.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys

INTERRUPTED = 130
STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
STOPPED = "\nstopped; the same command goes on from here, from the last epoch that was finished\n"


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns its exit status: 0, 1 where something failed, 2 for wrong use."""
    from ygan_core.study.command_line import run

    return run(arguments)


def _listen() -> None:
    """Let Ctrl-C, SIGTERM and SIGHUP end this process with one line, unless it was started deaf to them (nohup)."""
    for number in STOPS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(*_) -> None:
    """End at once. What is durable is whole at any moment, so nothing is left to do; workers and kernels end with this process.

    An exception in its place could be swallowed, or shown, by whatever code it lands in.
    """
    try:
        for number in STOPS:  # another one would say it again
            signal.signal(number, signal.SIG_IGN)
        with contextlib.suppress(Exception):  # they may be in the middle of a line
            sys.stdout.flush()
        os.write(2, STOPPED.encode())
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
    return io.TextIOWrapper(buffer, stream.encoding, "backslashreplace", line_buffering=True)  # also where it goes to a file


if __name__ == "__main__":
    _listen()
    _open_what_is_closed()
    sys.stdout, sys.stderr = _patient(sys.stdout), _patient(sys.stderr)
    sys.exit(main())
