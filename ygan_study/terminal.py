"""What the command lines of this repository share.

Wrong use is one line on stderr and exit status 2; a stop is one line and 130; a reader that
leaves, as in `list | head -1`, stops nothing.
"""

import argparse
import io
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from ygan_core.config import ConfigError

OK, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
LONGEST = 500  # characters of a line


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that takes no shortened option, and says in one line what is wrong."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with status 2."""
        say(f"{message} (--help says what there is)")
        raise SystemExit(WRONG_USE)


def say(what: str) -> None:
    """Print a message on stderr as one line. Of a long one the middle is left out."""
    line = " ".join(what.split())
    if len(line) > LONGEST:
        line = f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
    print(line, file=sys.stderr, flush=True)


def check_writable(folder: Path) -> None:
    """Find out before hours of work that nothing can be written into a folder. Raises OSError."""
    with tempfile.TemporaryFile(dir=folder):
        pass


def check_results(folder: Path) -> None:
    """Raises ConfigError where results cannot be written into a folder, which may be missing."""
    exists = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        check_writable(exists)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written ({error.strerror}): choose another folder with --results, "
            'or in a notebook set results in the first cell, such as "~/results", and copy the '
            "records there where you need them"
        ) from None


def take_over(stopped: str) -> None:
    """Prepare a process that is a command line alone. stopped: the line that a stop ends it with.

    Ctrl-C, SIGTERM and SIGHUP end it at once, unless it was started deaf to them (nohup): what is
    durable is whole at any moment, and an exception could be swallowed by the code that it hits.
    """

    def stop(*_) -> None:
        try:
            for number in STOPS:  # another one would say it again
                signal.signal(number, signal.SIG_IGN)
            os.write(2, stopped.encode())
        finally:
            os._exit(INTERRUPTED)

    for number in STOPS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
    # An output that is closed, as by `>&-`: otherwise the next file that is opened takes its place.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout, sys.stderr = _output(1, sys.stdout), _output(2, sys.stderr)


class _Output(io.FileIO):
    """An output whose reader may leave: the work goes on, unheard."""

    def write(self, data) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)


def _output(number: int, stream: io.TextIOWrapper | None) -> io.TextIOWrapper:
    """An output that shows each line at once, also where it goes to a file."""
    buffer = io.BufferedWriter(_Output(number, "w", closefd=False))
    encoding = stream.encoding if stream else "utf-8"
    return io.TextIOWrapper(buffer, encoding, "backslashreplace", line_buffering=True)
