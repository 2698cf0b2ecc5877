"""The command line: python -m ygan_study VERB, of which --help lists the verbs.

run_all.sh is a thin door to `all`.
"""

import argparse
import collections
import os
import sys
from functools import partial
from pathlib import Path

from ygan_core.config import ConfigError
from ygan_core.data.datasets import REPOSITORY, DataError, data_root
from ygan_study.plan.jobs import Job
from ygan_study.plan.profiles import PROFILES
from ygan_study.run.costs import cost
from ygan_study.run.executors import ClusterGone, run_jobs
from ygan_study.run.folder import Damaged, MissingWeights
from ygan_study.run.records import write_record
from ygan_study.run.search_report import logged, report
from ygan_study.run.store import Study
from ygan_study.terminal import FAILED, OK, WRONG_USE, Parser, check_results, say


def run(arguments: list[str] | None = None) -> int:
    """Run a command line. Returns its exit status: 0, 1 where something failed, 2 for wrong use."""
    options = parser().parse_args(arguments)
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
    if options.data and not Path(options.data).expanduser().is_dir():
        raise DataError(f"--data: no folder {options.data}: give the one that holds the datasets")
    os.environ["YGAN_DATA"] = options.data or os.environ.get("YGAN_DATA", "")
    os.environ["YGAN_DATA"] = str(data_root().resolve())  # notebooks run in another folder
    if len(dict(options.set)) < len(options.set):
        raise ConfigError("--set: a setting is given twice")
    kind, act = Study, VERBS.get(options.verb)
    if not act:  # the others import nothing that draws
        from ygan_study.report import commands
        from ygan_study.report.study import Study as kind

        verbs = {"all": commands.make_all, "draw": commands.draw_all, "book": commands.make_book}
        act = verbs[options.verb]
    where = (options.profile, options.results, options.device, options.precision)
    study = kind(*where, dict(options.set))
    if options.verb != "list" and not (options.verb == "all" and options.list):
        _make_writable(study.folder)
    status = act(study, options)
    whole = options.verb == "all" and not (options.list or options.only or options.verify)
    if (study.folder / "book").is_dir() and (whole or options.verb == "book"):
        from ygan_study.teach.play import build

        build(study.folder / "book" / "play.html")
    return status


def list_jobs(study: Study, options: argparse.Namespace) -> int:
    """Print every job with its number and its state, and how much of the work is done."""
    print(f"{len(study.jobs)} jobs", flush=True)
    counts, costs = collections.Counter(), collections.Counter()
    for number, job in enumerate(study.jobs, 1):
        state = study.state(job)
        print(f"{number:4} {job.id:62} {state}", flush=True)
        counts[state] += 1
        costs[state] += cost(job)
    share = f"{costs['done'] / costs.total():.0%} of the work is done"
    print(", ".join([*(f"{n} {state}" for state, n in counts.items()), share]))
    return OK


def run_some(study: Study, options: argparse.Namespace) -> int:
    """Run jobs by id, group or number; all of them if none is named."""
    jobs, how = _chosen(study, options), vars(options)
    how = {name: how[name] for name in ("workers", "scheduler", "retry", "anew", "patience")}
    failed = run_jobs(study, jobs, **how)
    print(f"{len(jobs) - len(failed)} of {len(jobs)} jobs done: {study.root / 'runs.csv'}")
    return _status(failed.values())


def search(study: Study, options: argparse.Namespace) -> int:
    """Run the trainings by which settings were chosen, and print the choice."""
    logged(study)  # a log that cannot be read is said before hours of training
    failed = run_jobs(study, study.jobs, options.workers, retry=options.retry)
    print(report(study))
    return _status(failed.values())


def keep_records(study: Study, options: argparse.Namespace) -> int:
    """Put what is done under records/, as far as it is small enough for git."""
    done, failed = study.found(), []
    for run in done:
        try:
            write_record(study, run)
        except (Damaged, MissingWeights) as error:
            failed.append(str(error))
    kept = f"{len(done) - len(failed)} of {len(study.jobs)} jobs have a record"
    print(f"{kept}: {study.root / 'records'}")
    return _status(failed)


VERBS = {"list": list_jobs, "run": run_some, "search": search, "records": keep_records}


def _chosen(study: Study, options: argparse.Namespace) -> list[Job]:
    """The jobs that were asked for by id, by group, or by their number in `list`."""
    ids, groups = ({getattr(job, key): None for job in study.jobs} for key in ("id", "group"))
    for name in (name for name in options.ids if name not in ids):
        raise ConfigError(f"no job {name} in profile {study.profile}: `list` names them")
    for name in (name for name in options.group if name not in groups):
        raise ConfigError(f"--group: no {name}: choose from {', '.join(groups)}")
    asked = [job for job in study.jobs if job.id in options.ids or job.group in options.group]
    if options.index is None:
        return asked or study.jobs
    if asked:
        raise ConfigError("--index is one job: leave out --group and the names")
    count = len(study.jobs)
    if not 1 <= options.index <= count:
        raise ConfigError(f"--index: the jobs of {study.profile} are numbered from 1 to {count}")
    return [study.jobs[options.index - 1]]


def _status(failed) -> int:
    """The exit status, once each failure is named."""
    for why in failed:
        print(why, file=sys.stderr)
    return FAILED if failed else OK


def _benchmark(options: argparse.Namespace) -> int:
    from ygan_study.bench.report import TABLES, benchmark

    if unknown := [name for name in options.only if name not in TABLES]:
        raise ConfigError(f"--only: no table {', '.join(unknown)}: choose from {', '.join(TABLES)}")
    folder = _results(options) / "benchmark"
    _make_writable(folder)
    authors = Path(options.authors) if options.authors else None
    benchmark(folder, options.device, authors, options.quick, options.only or TABLES)
    return OK


def _play(options: argparse.Namespace) -> int:
    from ygan_study.teach.play import build

    folder = _results(options)
    _make_writable(folder)
    print(build(folder / "play.html"))
    return OK


def _results(options: argparse.Namespace) -> Path:
    return Path(options.results or REPOSITORY / "results").expanduser().resolve()


def _make_writable(folder: Path) -> None:
    check_results(folder)
    folder.mkdir(parents=True, exist_ok=True)


def _count(text: str, most: int = 1024) -> int:
    if not text.isdecimal() or len(text) > 6 or not 1 <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {most}")
    return int(text)


def _count_or_cheapest(text: str) -> str:
    return text if text == "cheapest" else str(_count(text))


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not key=value")
    return key, value


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    top = Parser(prog="ygan_study", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    purposes = {name: profile.purpose for name, profile in PROFILES.items()}
    purposes["search"] = "the trainings by which settings were chosen"
    names = dict(nargs="+", metavar="NAME", default=[])

    def verb(name: str, what: str, *profiles: str, trains: bool = False):
        """A verb with the options that all verbs of a study share: which study, and where."""
        p = verbs.add_parser(name, help=what, description=what)
        add = p.add_argument
        add("--results", metavar="DIR", help="default results/ of the repository")
        if name == "play":
            return add
        add("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
        if name == "benchmark":
            return add
        p.set_defaults(profile=name, set=[])
        if profiles:
            what = "; ".join(f"{profile}: {purposes[profile]}" for profile in profiles)
            add("--profile", choices=profiles, default="quick", help=f"{what}; default quick")
            what = "such as epochs=3; it changes the trainings of the methods that read it"
            setting = dict(type=_setting, default=[], metavar="KEY=VALUE", help=what)
            add("--set", nargs="+", action="extend", **setting)
        precisions = ("float32", "tf32", "bfloat16", "fastest")
        what = "of the convolutions; with fastest numbers differ between machines"
        add("--precision", choices=precisions, default="float32", help=what)
        what = "the full datasets; default $YGAN_DATA, or data/ of the repository"
        add("--data", metavar="DIR", help=what)
        if trains:
            what = "processes side by side, a thread each; default one a core, eight at the most, "
            what += "one on a GPU; as many notebooks at a time, four at the most"
            add("--workers", type=_count, metavar="N", help=what)
            add("--retry", action="store_true", help="try again what failed before, from its start")
        return add

    what = "train what is missing and make every notebook, table and figure"
    add = verb("all", what, *PROFILES, trains=True)
    add("--only", help="only these notebooks, tables, figures (see --list)", **names)
    add("--list", action="store_true", help="say what there is, and do nothing")
    what = "execute notebooks that are up to date too; networks are kept"
    add("--force", action="store_true", help=what)
    what = "train N records anew, drawn at random, or the cheapest one, and compare"
    add("--verify", type=_count_or_cheapest, metavar="N|cheapest", help=what)
    add("--seed", type=int, default=0, help="of what --verify draws; default 0")

    verb("list", "every training of the study, and its state", *PROFILES, "search")

    what = "make tables, figures and the page anew from what is trained, and train nothing"
    add = verb("draw", what, *PROFILES)
    add("names", nargs="*", metavar="NAME", help="only these figures and tables")

    what = "build the site of what is made, results/PROFILE/book, without a network"
    verb("book", what, *PROFILES)

    what = "train jobs, all of them if none is named, and rebuild runs.csv"
    add = verb("run", what, *PROFILES, "search", trains=True)
    add("ids", nargs="*", metavar="ID", help="jobs, as `list` names them")
    add("--group", help="the jobs of these groups: classifier, balanced, ...", **names)
    what = "the job with this number in `list`, for arrays of a batch system"
    add("--index", type=int, metavar="I", help=what)
    what = "train also jobs of which only a record is there"
    add("--anew", action="store_true", help=what)
    what = "a Dask scheduler, tcp://host:port, whose workers do it"
    add("--scheduler", default="", metavar="ADDRESS", help=what)
    what = "how long the scheduler may be without a worker; default 60"
    add("--patience", type=partial(_count, most=86_400), default=60, metavar="SECONDS", help=what)

    what = "choose settings anew on validation: train the candidates, and say which is chosen"
    verb("search", what, trains=True)
    verb("records", "keep what is small enough for git of every job that is done", *PROFILES)

    what = "how fast this machine trains and scores, beside a plain loop and its matrix product"
    add = verb("benchmark", what)
    add("--authors", metavar="DIR", help="a checkout of the authors' public code, to be timed too")
    add("--only", help="only these tables: training, inference, ...", **names)
    add("--quick", action="store_true", help="a few seconds, for a look")

    verb("play", "make play.html, a page in which the shipped networks run, for a class")
    return top
