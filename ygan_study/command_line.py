"""The command line: python -m ygan_study VERB, of which --help lists the verbs.

run_all.sh is a thin door to `all`.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ygan_core.config import ConfigError
from ygan_study.plan.profiles import PROFILES
from ygan_study.terminal import FAILED, OK, WRONG_USE, Parser, check_writable, say


def run(arguments: list[str] | None = None) -> int:
    """Run a command line; returns its exit status: 0, 1 where something failed, 2 for wrong use."""
    options = parser().parse_args(arguments)
    from ygan_core.data import (
        DataError,  # with PyTorch, which takes seconds to import: --help does without
    )
    from ygan_study.run.executors import ClusterGone

    try:
        apart = {"benchmark": _benchmark, "play": _play}
        return apart.get(options.verb, _study_verb)(options)
    except (ConfigError, DataError, OSError) as error:
        say(str(error))
        return WRONG_USE
    except ClusterGone as error:
        say(str(error))
        return FAILED


def _study_verb(options: argparse.Namespace) -> int:
    _set_data(options.data)
    if len(dict(options.set)) < len(options.set):
        raise ConfigError("--set: a setting is given twice")
    if options.verb in ("all", "draw", "book"):
        from ygan_study.report.commands import draw_all, make_all, make_book
        from ygan_study.report.study import Study

        verbs = {"all": make_all, "draw": draw_all, "book": make_book}
    else:
        from ygan_study.run.commands import keep_records, list_jobs, run_some, search
        from ygan_study.run.store import Study

        verbs = {"list": list_jobs, "run": run_some, "search": search, "records": keep_records}
    study = Study(
        options.profile, options.results, options.device, options.precision, dict(options.set)
    )
    if options.verb != "list" and not (options.verb == "all" and options.list):
        _make_writable(study.folder)
    return verbs[options.verb](study, options)


def _benchmark(options: argparse.Namespace) -> int:
    from ygan_core.data.datasets import REPOSITORY
    from ygan_study.bench.report import TABLES, benchmark

    if unknown := [name for name in options.only if name not in TABLES]:
        raise ConfigError(f"--only: no table {', '.join(unknown)}: choose from {', '.join(TABLES)}")
    folder = Path(options.results or REPOSITORY / "results").expanduser().resolve() / "benchmark"
    _make_writable(folder)
    authors = Path(options.authors) if options.authors else None
    benchmark(folder, options.device, authors, options.quick, options.only or TABLES)
    return OK


def _play(options: argparse.Namespace) -> int:
    from ygan_core.data.datasets import REPOSITORY
    from ygan_study.teach.play import build

    folder = Path(options.results or REPOSITORY / "results").expanduser().resolve()
    _make_writable(folder)
    print(build(folder / "play.html"))
    return OK


def _set_data(folder: str | None) -> None:
    from ygan_core.data import DataError, data_root

    if folder:
        if not Path(folder).expanduser().is_dir():
            raise DataError(
                f"--data: no folder {folder}: make it, or give the one that holds the datasets"
            )
        os.environ["YGAN_DATA"] = folder
    os.environ["YGAN_DATA"] = str(
        data_root().resolve()
    )  # notebooks inherit it, and run in another folder


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_writable(folder)
    except OSError as error:
        where = (
            "choose another folder with --results, and copy the records there where you need them"
        )
        raise ConfigError(f"{folder} cannot be written ({error.strerror}): {where}") from None


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > 4 or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1024")
    return int(text)


def _number_or_cheapest(text: str) -> str:
    return text if text == "cheapest" else str(_count(text))


def _seconds(text: str) -> float:
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return float(text)


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not key=value")
    return key, value


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    top = Parser(prog="ygan_study", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    profiles = "; ".join(f"{name}: {p.purpose}" for name, p in PROFILES.items())

    def options() -> argparse.ArgumentParser:
        return Parser(add_help=False)

    def profile(*more: str, what: str = "") -> argparse.ArgumentParser:
        shared, of = options(), f"how much of the paper ({profiles}{what}); default quick"
        shared.add_argument("--profile", choices=(*PROFILES, *more), default="quick", help=of)
        shared.add_argument(
            "--set",
            nargs="+",
            action="extend",
            type=_setting,
            default=[],
            metavar="KEY=VALUE",
            help="epochs=3",
        )
        return shared

    one, any_one = (
        profile(),
        profile("search", what="; search: the trainings by which settings were chosen"),
    )
    here = options()
    here.add_argument(
        "--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="default auto"
    )
    precision = "of the convolutions; default float32; fastest may differ between machines, and so do its numbers"
    here.add_argument(
        "--precision",
        choices=("float32", "tf32", "bfloat16", "fastest"),
        default="float32",
        help=precision,
    )
    here.add_argument(
        "--data",
        metavar="DIR",
        help="the full datasets; default $YGAN_DATA, or data/ of the repository",
    )
    here.add_argument(
        "--results", metavar="DIR", help="where results/ goes; default results/ of the repository"
    )
    working = options()
    several = "train in N processes side by side, a thread each; default a process a core, eight at the most, one on a GPU; "
    several += "notebooks are executed in as many, four at the most"
    working.add_argument("--workers", type=_count, metavar="N", help=several)
    working.add_argument(
        "--retry", action="store_true", help="try again what failed before, from its start"
    )

    def verb(name: str, what: str, *shared: argparse.ArgumentParser) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=what, description=what, parents=shared)

    a = verb(
        "all", "train what is missing and make every notebook, table and figure", one, here, working
    )
    a.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        default=[],
        help="only these notebooks, tables, figures (see --list)",
    )
    a.add_argument(
        "--list",
        action="store_true",
        help="say what there is and whether it is done, and do nothing",
    )
    a.add_argument(
        "--force",
        action="store_true",
        help="execute notebooks that are up to date too; networks are kept",
    )
    again = "train N records anew, drawn at random, or the cheapest one, and say how near they come"
    a.add_argument("--verify", type=_number_or_cheapest, metavar="N|cheapest", help=again)
    a.add_argument("--seed", type=int, default=0, help="of what --verify draws; default 0")
    verb("list", "every training of the study, its state and what it will take here", any_one, here)
    d = verb(
        "draw",
        "make tables and figures anew from what is trained, and train nothing",
        one,
        here,
    )
    d.add_argument("names", nargs="*", metavar="NAME", help="only these figures and tables")
    verb(
        "book", "build the site of what is made, results/PROFILE/book, without a network", one, here
    )
    r = verb(
        "run",
        "train jobs, all of them if none is named, and rebuild runs.csv",
        any_one,
        here,
        working,
    )
    r.add_argument("ids", nargs="*", metavar="ID", help="jobs, as `list` names them")
    r.add_argument(
        "--group",
        nargs="+",
        metavar="NAME",
        default=[],
        help="the jobs of these groups: classifier, balanced, ...",
    )
    r.add_argument(
        "--index",
        type=int,
        metavar="I",
        help="the job with this number in `list`, for arrays of a batch system",
    )
    r.add_argument(
        "--anew", action="store_true", help="train also jobs of which only a record is there"
    )
    r.add_argument(
        "--scheduler",
        default="",
        metavar="ADDRESS",
        help="a Dask scheduler, tcp://host:port, whose workers do it",
    )
    patience = "how long to wait for a worker of the scheduler where there is none; default 60"
    r.add_argument("--patience", type=_seconds, default=60, metavar="SECONDS", help=patience)
    verb(
        "search",
        "choose settings anew on validation: train its candidates, and say what the rule chooses",
        here,
        working,
    )
    verb("records", "keep what is small enough for git of every job that is done", one, here)
    b = verb(
        "benchmark",
        "how fast this machine trains and scores, beside a plain loop and its own matrix product",
    )
    b.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default auto")
    b.add_argument(
        "--results", metavar="DIR", help="where results/ goes; default results/ of the repository"
    )
    b.add_argument(
        "--authors",
        metavar="DIR",
        help="a checkout of the authors' public code, to be timed and compared with ours",
    )
    b.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        default=[],
        help="only these tables: training, inference, ...",
    )
    b.add_argument("--quick", action="store_true", help="a few seconds, for a look")
    p = verb("play", "make play.html, a page in which the shipped networks run, for a class")
    p.add_argument("--results", metavar="DIR", help="where it goes; default results/")
    top.set_defaults(set=[])
    verbs.choices["search"].set_defaults(profile="search")
    return top
