"""What a class needs beside the notebooks: python -m ygan_study.teach slides | gather | archive."""

import sys
from pathlib import Path

from ygan_core.data import DataError
from ygan_core.data.datasets import REPOSITORY
from ygan_study.terminal import OK, WRONG_USE, Parser, say, take_over

CLASS = REPOSITORY / "results" / "class"
HELP = {
    "slides": "make slides.html and handout.html, with the tour's pictures; they need no network",
    "gather": "put the answers of a class into one table, a row a student",
    "archive": "pack wheels, notebooks and data for laptops of this machine's kind",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns its exit status: 0, or 2 for wrong use."""
    top = Parser(prog="ygan_study.teach", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, what in HELP.items():
        verb = verbs.add_parser(name, help=what, description=what)
        to = CLASS / "answers.csv" if name == "gather" else CLASS
        verb.add_argument("--to", type=Path, default=to, metavar="PATH", help=f"default {to}")
    files = "where the students' files lie: they end in .csv"
    verbs.choices["gather"].add_argument("folder", type=Path, metavar="FOLDER", help=files)
    options = top.parse_args(arguments)

    # Imported when needed: PyTorch takes seconds.
    try:
        if options.verb == "slides":
            from ygan_study.teach.slides import build

            made = build(options.to)
        elif options.verb == "gather":
            from ygan_study.teach.answers import gather

            made = [gather(options.folder, options.to)]
        else:
            from ygan_study.teach.archive import make_class_archive

            made = [make_class_archive(options.to)]
    except (DataError, OSError, ValueError) as error:  # ConfigError, damaged JSON
        say(str(error))
        return WRONG_USE
    print(*made, sep="\n")
    return OK


if __name__ == "__main__":
    take_over("\nstopped\n")
    sys.exit(main())
