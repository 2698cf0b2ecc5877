"""What a class needs beside the notebooks: python -m ygan_study.teach slides | gather | archive."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ygan_core.config import ConfigError
from ygan_core.data import DataError
from ygan_core.data.datasets import REPOSITORY
from ygan_study.terminal import OK, WRONG_USE, Parser, say, take_over


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns its exit status: 0, or 2 for wrong use."""
    top = Parser(prog="ygan_study.teach", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, what: str, to: str, help: str) -> argparse.ArgumentParser:
        parser = verbs.add_parser(name, help=what, description=what)
        default = REPOSITORY / "results" / "class" / to
        parser.add_argument(
            "--to",
            type=Path,
            default=default,
            metavar="PATH",
            help=f"{help}; default results/class/{to}",
        )
        return parser

    verb(
        "slides",
        "make slides.html and handout.html, with the tour's pictures; they need no network",
        "",
        "the folder",
    )
    gather = verb(
        "gather",
        "put the answers of a class into one table, a row a student",
        "answers.csv",
        "the table",
    )
    gather.add_argument(
        "folder",
        type=Path,
        metavar="FOLDER",
        help="where the students' files lie: they end in .csv",
    )
    verb(
        "archive",
        "pack wheels, notebooks and data for laptops of this machine's kind",
        "",
        "the folder",
    )
    options = top.parse_args(arguments)

    try:
        made = _do(options)
    except (
        ConfigError,
        DataError,
        OSError,
        ValueError,
    ) as error:  # ValueError: a notebook that is no JSON
        say(str(error))
        return WRONG_USE
    print("\n".join(str(path) for path in made))
    return OK


def _do(options: argparse.Namespace) -> list[Path]:
    if options.verb == "slides":
        from ygan_study.teach.slides import build  # with PyTorch, which takes seconds to import

        return build(options.to)
    if options.verb == "gather":
        from ygan_study.teach.answers import gather

        return [gather(options.folder, options.to)]
    from ygan_study.teach.archive import make_class_archive

    return [make_class_archive(options.to)]


if __name__ == "__main__":
    take_over("\nstopped\n")
    sys.exit(main())
