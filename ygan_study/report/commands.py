"""The command line's verbs for what is shown: all, draw, book."""

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from itertools import count
from pathlib import Path

import pandas as pd

from ygan_core.checkpoints import write_atomically
from ygan_core.config import ConfigError
from ygan_study.plan.jobs import Job
from ygan_study.report.book import build_book
from ygan_study.report.notebooks import execute, is_done, needs, notebooks, output
from ygan_study.report.study import Study
from ygan_study.report.verify import FAR_OFF, VERDICTS, verify
from ygan_study.report.view import NotTrained
from ygan_study.report.views import VIEWS, is_made, kind, path
from ygan_study.run.executors import processes, run_jobs
from ygan_study.run.folder import in_a_line

LONGEST = "10_your_images"  # it fits a detector, so it is begun first
KERNELS = 4  # at the most, side by side: each takes more than a gigabyte


@dataclass(frozen=True)
class Part:
    """A notebook, a figure or a table. page: what a reader opens."""

    kind: str
    name: str
    page: Path
    jobs: list[Job]

    def is_done(self, study: Study) -> bool:
        """Whether it is there, made of what there is now."""
        if self.kind == "notebook":
            return is_done(study, self.name)
        runs = study.found(self.jobs)
        return len(runs) == len(self.jobs) and is_made(study, self.name, runs)

    def make(self, study: Study) -> Path:
        """Make it, whether it is there or not. Raises NotTrained."""
        if self.kind == "notebook":
            execute(study, self.name)
        else:
            study.make(self.name)
        return self.page


def parts(study: Study) -> dict[str, Part]:
    """All parts by name: the notebooks, and the figures and tables, which they draw too."""
    found = [
        Part("notebook", name, output(study, name), needs(study, name)) for name in notebooks()
    ]
    for name, view in VIEWS.items():
        found.append(Part(kind(name), name, Path(f"{path(study, name)}.md"), view.jobs(study)))
    return {part.name: part for part in found}


def make_all(study: Study, options: argparse.Namespace) -> int:
    """Train what is missing, make the parts, and build the book. Returns the exit status.

    A part that is asked for by name is made in any case, and the book is left as it is. Without
    names these are the notebooks that are not up to date. One that fails does not stop the others.
    """
    known, start = parts(study), time.perf_counter()
    _refuse_unknown(options.only, known, "--only: ")
    if options.verify and (options.only or options.list or options.set):
        raise ConfigError(
            "--verify goes with none of --only, --list and --set: it trains records as they are"
        )
    if options.seed and not options.verify:
        raise ConfigError(
            "--seed belongs to --verify; the seed of the trainings is set with --set seed=N"
        )
    if options.list:
        return _list(study, [known[name] for name in options.only] or [*known.values()])
    if options.verify:
        return _verify(study, options)
    chosen = [known[name] for name in dict.fromkeys(options.only)]
    chosen = chosen or [part for part in known.values() if part.kind == "notebook"]
    todo = [part for part in chosen if options.only or options.force or not part.is_done(study)]
    needed = {job.id: job for part in todo for job in part.jobs} if study.trains else {}
    missing = [job_id for job_id, job in needed.items() if not study.find(job)]
    broken = run_jobs(study, list(needed.values()), options.workers, retry=options.retry)
    ends = {
        "done": [job_id for job_id in missing if job_id not in broken],
        "skipped, there already": [part.name for part in chosen if part not in todo]
        + [job_id for job_id in needed if job_id not in missing],
        "not made yet": [],
        "failed": [*broken.values(), *study.damaged_records()],
    }
    for part, (end, why) in _make(study, todo, options.workers or processes(study)).items():
        ends[end].append(f"{part}: {why}")
    if not options.only:
        end, why = _attempt("book", partial(build_book, study.folder))
        ends[end].append(f"book: {why}")

    minutes = (time.perf_counter() - start) / 60
    print(f"\nprofile {study.profile}, {minutes:.1f} minutes, results in {study.folder}")
    for end, lines in ends.items():
        if lines:
            print(f"{end}: {len(lines)}", *lines, sep="\n  ")
    return 1 if ends["failed"] else 0


def draw_all(study: Study, options: argparse.Namespace) -> int:
    """Make tables and figures anew from what is done; train nothing. Returns the exit status."""
    _refuse_unknown(options.names, VIEWS)
    study.write_runs()
    failed = study.damaged_records()
    for name in options.names or VIEWS:
        jobs = VIEWS[name].jobs(study)
        runs = study.found(jobs)
        end, why = _attempt(name, partial(study.make, name, runs))
        if end == "failed":
            failed.append(f"{name}: {why}")
        else:
            made = f"made of {len(runs)} of {len(jobs)} trainings"
            print(f"{name}: {made if end == 'done' else f'not drawn: {why}'}", flush=True)
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


def make_book(study: Study, options: argparse.Namespace) -> int:
    """Build the book from what is made. Returns the exit status."""
    end, why = _attempt("book", partial(build_book, study.folder))
    if end == "done":
        print(why)
    return 1 if end == "failed" else 0


def _make(study: Study, todo: list[Part], workers: int) -> dict[str, tuple[str, object]]:
    """Make parts; returns by name how each ended (`_attempt`). Notebooks run side by side."""
    numbers = count(1)

    def make(part: Part) -> tuple[str, tuple[str, object]]:
        print(f"[{part.kind} {next(numbers)} of {len(todo)}] {part.name}", flush=True)
        return part.name, _attempt(part.name, partial(part.make, study))

    books = sorted((p for p in todo if p.kind == "notebook"), key=lambda p: p.name != LONGEST)
    with ThreadPoolExecutor(min(workers, KERNELS)) as kernels:
        executed = kernels.map(make, books)
        drawn = [make(part) for part in todo if part.kind != "notebook"]  # in the main thread
        return dict([*drawn, *executed])


def _attempt(name: str, make: Callable[[], object]) -> tuple[str, object]:
    """How it ended: ("done", what `make` returns), ("not made yet", why) or ("failed", why)."""
    try:
        return "done", make()
    except NotTrained as missing:
        return "not made yet", str(missing)
    except Exception as error:
        line = in_a_line(error)
        print(f"{name} failed: {line}", file=sys.stderr, flush=True)
        return "failed", line


def _verify(study: Study, options: argparse.Namespace) -> int:
    damaged = study.damaged_records()
    for line in damaged:
        print(line, file=sys.stderr)
    table = verify(study, options.verify, options.seed, options.workers, options.retry)
    failed = ~table["verdict"].isin(VERDICTS)
    print(table.assign(verdict=table["verdict"].mask(failed, "failed")).round(4).to_string())
    file = study.root / "verified.csv"  # of all trainings that were ever repeated
    before = [pd.read_csv(file, index_col="job")] if file.exists() else []
    kept = pd.concat([*before, table[~failed].round(6)]).reset_index()
    kept = kept.drop_duplicates(["job", "anew on"], keep="last").set_index("job")
    write_atomically(file, kept.to_csv)
    for line in table["verdict"][failed]:
        print(line, file=sys.stderr)
    return 1 if damaged or (failed | (table["verdict"] == FAR_OFF)).any() else 0


def _refuse_unknown(names: list[str], known: Iterable[str], where: str = "") -> None:
    """Raises ConfigError naming those that lie nearest."""
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=5, cutoff=0.5) or [*known][:5]
            raise ConfigError(
                f"{where}no {name}: there are {', '.join(near)}, and more "
                "(run_all.sh --list names all)"
            )


def _list(study: Study, known: list[Part]) -> int:
    rows = []
    for part in known:
        there = "there" if part.page.exists() else "-"  # made of something else
        rows.append((part.kind, part.name, "done" if part.is_done(study) else there))
    jobs = {job.id: job for part in known for job in part.jobs}
    rows += [("training", job.id, "done" if study.find(job) else "-") for job in jobs.values()]
    for what, name, state in rows:
        print(f"{what:9} {name:62} {state}")
    return 0
