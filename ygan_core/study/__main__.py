"""The command line: python -m ygan_core.study all | list | run | draw | benchmark. run_all.sh is a thin door to `all`."""

from __future__ import annotations

import argparse
import collections
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ygan_core.config import PROFILES, ConfigError
from ygan_core.data import DataError, data_root
from ygan_core.data.datasets import REPOSITORY
from ygan_core.study import Job, Study
from ygan_core.study.executors import costs, run_jobs
from ygan_core.study.figures import FIGURES, draw
from ygan_core.study.notebooks import execute, is_done, needs, notebooks, output
from ygan_core.study.page import write_page
from ygan_core.study.tables import TABLES, tabulate

OK, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


@dataclass(frozen=True)
class Part:
    """One thing that the study makes: what it is called, where it lies, what it shows, whether it is there, making it."""

    kind: str
    name: str
    where: Path
    jobs: list[Job]
    done: Callable[[], bool]
    make: Callable[[], object]


def parts(study: Study) -> dict[str, Part]:
    """All parts by name. The notebooks draw every figure and table; each of those can also be asked for alone."""
    found = [
        Part("notebook", n, output(study, n), needs(study, n), lambda n=n: is_done(study, n), lambda n=n: execute(study, n))
        for n in notebooks()
    ]
    for kind, views, ending, make in (("figure", FIGURES, "png", draw), ("table", TABLES, "csv", tabulate)):
        for n, view in views.items():
            where, jobs = study.folder / f"{kind}s" / f"{n}.{ending}", view.jobs(study)
            done = lambda where=where, jobs=jobs: study.is_made(where, jobs)  # noqa: E731
            found.append(Part(kind, n, where, jobs, done, lambda n=n, make=make: make(study, n)))
    return {part.name: part for part in found}


def run_all(study: Study, options: argparse.Namespace) -> int:
    """Train what is missing, then make the parts: one that fails does not stop the others. Returns the exit status."""
    known = parts(study)
    names = dict.fromkeys(options.only)
    chosen = [known[name] for name in names] or [part for part in known.values() if part.kind == "notebook"]
    done, failed = [], []
    start = time.perf_counter()

    todo = [part for part in chosen if options.force or not part.done()]
    skipped = [part.name for part in chosen if part not in todo]
    needed = {job.id: job for part in todo for job in part.jobs}
    missing = [job for job in needed.values() if not study.find(job)]
    broken = run_jobs(study, list(needed.values()), options.jobs, retry=options.retry) if missing else {}
    failed += broken.values()
    done += [job.id for job in missing if job.id not in broken]
    skipped += [job_id for job_id in needed if job_id not in {job.id for job in missing}]
    for number, part in enumerate(todo, 1):
        print(f"[{part.kind} {number} of {len(todo)}] {part.name}", flush=True)
        if error := _attempt(part.make):
            failed.append(f"{part.name}: {error}")
        else:
            done.append(f"{part.name}: {part.where}")
    if todo or not (study.folder / "index.html").exists():
        if error := _attempt(lambda: write_page(study)):
            failed.append(f"page: {error}")
        else:
            done.append(f"page: {study.folder / 'index.html'}")

    print(f"\nprofile {study.profile}, {(time.perf_counter() - start) / 60:.1f} minutes, results in {study.folder}")
    for title, lines in (("done", done), ("skipped, there already", skipped), ("failed", failed)):
        if lines:
            print(f"{title}: {len(lines)}")
            print("\n".join(f"  {line}" for line in lines))
    return FAILED if failed else OK


def draw_all(study: Study, options: argparse.Namespace) -> int:
    """Make tables, figures and the page anew from what is done, and train nothing. Returns the exit status."""
    views = {**FIGURES, **TABLES}
    if unknown := [name for name in options.names if name not in views]:
        raise ConfigError(f"no {', '.join(unknown)}: choose from {', '.join(views)}")
    failed = []
    for name in options.names or views:
        runs = [run for job in views[name].jobs(study) if (run := study.find(job))]
        if not runs:
            print(f"{name}: not drawn, none of its trainings is done")
        elif error := _attempt(lambda name=name, runs=runs: (draw if name in FIGURES else tabulate)(study, name, runs)):
            failed.append(f"{name}: {error}")
        else:
            print(f"{name}: made of {len(runs)} of {len(views[name].jobs(study))} trainings", flush=True)
    if error := _attempt(lambda: print(f"page: {write_page(study)}")):
        failed.append(f"page: {error}")
    print("\n".join(failed), end="\n" * bool(failed), file=sys.stderr)
    return FAILED if failed else OK


def run_some(study: Study, options: argparse.Namespace) -> int:
    """Run jobs by id or by their number in `list`, all of them if none is named. Returns the exit status."""
    known = {job.id: job for job in study.jobs}
    if unknown := [name for name in options.ids if name not in known]:
        raise ConfigError(f"no job {', '.join(unknown)} in profile {study.profile}: `list` names them")
    chosen = [known[name] for name in options.ids] or study.jobs
    if options.index is not None:
        if not 1 <= options.index <= len(study.jobs):
            raise ConfigError(f"--index: jobs of profile {study.profile} are numbered from 1 to {len(study.jobs)}")
        chosen = [study.jobs[options.index - 1]]
    failed = run_jobs(study, chosen, options.jobs, options.scheduler, options.retry)
    print(f"{len(chosen) - len(failed)} of {len(chosen)} jobs done: {study.folder / 'runs.csv'}")
    print("\n".join(failed.values()), end="\n" * bool(failed), file=sys.stderr)
    return FAILED if failed else OK


def list_jobs(study: Study) -> int:
    """Print every job with its number, its state, and what it will take on one worker of this machine."""
    cost, states = costs(study, study.jobs), {job.id: study.state(job) for job in study.jobs}
    for number, job in enumerate(study.jobs, 1):
        minutes = f"{cost[job.id] / 60:8.1f} min" if states[job.id] != "done" else " " * 12
        print(f"{number:4} {job.id:62} {states[job.id]:8} {minutes}".rstrip())
    left = sum(cost[job.id] for job in study.jobs if states[job.id] != "done")
    counts = ", ".join(f"{n} {state}" for state, n in collections.Counter(states.values()).items())
    minutes = f"about {left / 60:.1f} minutes of one worker of this machine ({study.precision})"
    print(f"{len(study.jobs)} jobs: {counts}. Left: {minutes}.")
    return OK


def _attempt(make: Callable[[], object]) -> str:
    """Run `make`: "" where it went well, else what went wrong in one line."""
    try:
        make()
    except Exception as error:
        line = (str(error).splitlines() or [""])[0]
        print(f"  failed: {type(error).__name__}: {line}", file=sys.stderr, flush=True)
        return f"{type(error).__name__}: {line}"
    return ""


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes")
    return int(text)


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not key=value")
    return key, value


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    top = argparse.ArgumentParser(prog="ygan_core.study", description=__doc__, allow_abbrev=False)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    profiles = "; ".join(f"{name}: {p.purpose}" for name, p in PROFILES.items())

    everywhere = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    e = everywhere.add_argument
    e("--profile", choices=PROFILES, default="quick", help=f"how much of the paper ({profiles}); default quick")
    e("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="default auto")
    e("--precision", choices=("auto", "float32", "bfloat16"), default="auto", help="of the convolutions; default auto")
    e("--data", metavar="DIR", help="the full datasets; default $YGAN_DATA, or data/ of the repository")
    e("--results", metavar="DIR", help="where results/ goes; default results/ of the repository")
    e("--set", nargs="+", action="extend", type=_setting, default=[], metavar="KEY=VALUE", help="epochs=3, say")
    working = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    w = working.add_argument
    default = "as many as there are cores, eight at the most, and one on a GPU"
    w("--jobs", type=_count, metavar="N", help=f"train in N processes side by side, a thread each; default {default}")
    w("--retry", action="store_true", help="try again what failed before")

    def verb(name: str, what: str, *shared: argparse.ArgumentParser) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=what, description=what, parents=shared, allow_abbrev=False)

    a = verb("all", "train what is missing and make every notebook, table and figure", everywhere, working)
    a.add_argument("--only", nargs="+", metavar="NAME", default=[], help="only these notebooks, tables, figures (see --list)")
    a.add_argument("--list", action="store_true", help="say what there is and whether it is done, and do nothing")
    a.add_argument("--force", action="store_true", help="make parts anew that are there already; trained networks are kept")
    verb("list", "every training of the study, its state and what it will take here", everywhere)
    d = verb("draw", "make tables, figures and the page anew from what is trained, and train nothing", everywhere)
    d.add_argument("names", nargs="*", metavar="NAME", help="only these figures and tables")
    r = verb("run", "train jobs, all of them if none is named, and rebuild runs.csv", everywhere, working)
    r.add_argument("ids", nargs="*", metavar="ID", help="jobs, as `list` names them")
    r.add_argument("--index", type=int, metavar="I", help="the job with this number in `list`, for arrays of a batch system")
    r.add_argument("--scheduler", default="", metavar="ADDRESS", help="a Dask scheduler, tcp://host:port, whose workers do it")
    b = verb("benchmark", "how fast this machine trains and scores, beside a plain loop and its own matrix product")
    b.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default auto")
    b.add_argument("--results", metavar="DIR", help="where results/ goes; default results/ of the repository")
    b.add_argument("--authors", metavar="DIR", help="a checkout of the authors' public code, to be timed too")
    b.add_argument("--quick", action="store_true", help="a few seconds, for a look")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns its exit status: 0, 1 where something failed, 2 for wrong use, 130 for Ctrl-C."""
    options = parser().parse_args(arguments)
    try:
        if options.verb == "benchmark":
            return _benchmark(options)
        if options.data:
            if not Path(options.data).is_dir():
                raise DataError(f"--data: no folder {options.data}: make it, or give the one that holds the datasets")
            os.environ["YGAN_DATA"] = options.data
        os.environ["YGAN_DATA"] = str(data_root().resolve())  # notebooks inherit it, and run in another folder
        if len(dict(options.set)) < len(options.set):
            raise ConfigError("--set: a setting is given twice")
        study = Study(options.profile, options.results, options.device, options.precision, dict(options.set))
        if options.verb == "list":
            return list_jobs(study)
        if options.verb in ("run", "draw"):
            _writable(study.folder)
            return (run_some if options.verb == "run" else draw_all)(study, options)
        known = parts(study)
        if unknown := [name for name in options.only if name not in known]:
            raise ConfigError(f"--only: no {', '.join(unknown)}: choose from {', '.join(known)}")
        if options.list:
            return _list(study, known)
        _writable(study.folder)
        return run_all(study, options)
    except (ConfigError, DataError, OSError) as error:
        print(f"{parser().prog}: {error}", file=sys.stderr)
        return WRONG_USE
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here, from the last epoch that was finished", file=sys.stderr)
        return INTERRUPTED


def _benchmark(options: argparse.Namespace) -> int:
    from ygan_core.study.benchmark import benchmark  # a profiler and a process pool that no other verb needs

    folder = Path(options.results or REPOSITORY / "results").expanduser().resolve() / "benchmark"
    _writable(folder)
    benchmark(folder, options.device, Path(options.authors) if options.authors else None, options.quick)
    return OK


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}): choose another folder with --results") from None


def _list(study: Study, known: dict[str, Part]) -> int:
    rows: list[tuple[str, str, bool]] = [(part.kind, part.name, part.done()) for part in known.values()]
    jobs = {job.id: job for part in known.values() for job in part.jobs}
    rows += [("training", job.id, study.find(job) is not None) for job in jobs.values()]
    for kind, name, done in rows:
        print(f"{kind:9} {name:62} {'done' if done else '-'}")
    return OK


if __name__ == "__main__":
    sys.exit(main())
