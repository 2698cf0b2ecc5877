"""What the command lines of this package share: wrong use is one line on stderr that says what to do, and exit status 2."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

OK, FAILED, WRONG_USE = 0, 1, 2
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
    print(line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}", file=sys.stderr, flush=True)
