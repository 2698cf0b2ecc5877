"""The command line: python -m ygan_core.study all | list | run | draw | search | records | benchmark.

run_all.sh is a thin door to `all`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from ygan_core.config import ConfigError
from ygan_core.study.plan.profiles import PROFILES

OK, FAILED, WRONG_USE = 0, 1, 2
LONGEST = 500  # characters of a line that says what is wrong


class _Parser(argparse.ArgumentParser):
    """One line for wrong use, in place of the usage as well."""

    def error(self, message: str) -> NoReturn:
        _say(f"{message} (--help says what there is)")
        raise SystemExit(WRONG_USE)


def run(arguments: list[str] | None = None) -> int:
    """Run a command line; returns its exit status: 0, 1 where something failed, 2 for wrong use."""
    options = parser().parse_args(arguments)
    from ygan_core.data import DataError  # PyTorch takes seconds to import: --help does without
    from ygan_core.study.run.executors import ClusterGone

    try:
        return _do(options)
    except (ConfigError, DataError, OSError) as error:
        _say(str(error))
        return WRONG_USE
    except ClusterGone as error:
        _say(str(error))
        return FAILED


def _do(options: argparse.Namespace) -> int:
    if options.verb == "benchmark":
        return _benchmark(options)
    _set_data(options.data)
    if len(dict(options.set)) < len(options.set):
        raise ConfigError("--set: a setting is given twice")
    what = (options.profile, options.results, options.device, options.precision, dict(options.set))
    if options.verb in ("list", "run", "search", "records"):
        from ygan_core.study.run import commands, store

        study = store.Study(*what)
    else:
        from ygan_core.study.show import commands, study as shown

        study = shown.Study(*what)
    if options.verb != "list" and not (options.verb == "all" and options.list):
        _writable(study.folder)
    return {
        "all": commands.make_all,
    }


def _say(what: str) -> None:
    short = what if len(what) <= LONGEST else f"{what[: LONGEST // 2]} ... {what[-LONGEST // 4 :]}"
    print(f"ygan_core.study: {short}", file=sys.stderr)
