"""The command line's verbs for what is shown: all, draw."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from ygan_core.checkpoints import write_atomically
from ygan_core.config import ConfigError
from ygan_study.plan.jobs import Job
from ygan_study.report.figures import FIGURES
from ygan_study.report.made import is_made
from ygan_study.report.notebooks import execute, is_done, needs, notebooks, output
from ygan_study.report.page import write_page
from ygan_study.report.study import NotTrained, Study
from ygan_study.report.tables import TABLES
from ygan_study.report.verify import FAR_OFF, VERDICTS, verify
from ygan_study.run.executors import processes, run_jobs

LONGEST = "10_your_images"  # it fits a detector
KERNELS = 4  # at the most, side by side: each takes more than a gigabyte
KINDS = {"figure": (FIGURES, "png"), "table": (TABLES, "csv")}


@dataclass(frozen=True)
class Part:
    """One thing that the study makes: what it is called, where it lies, what it shows."""

    kind: str
    name: str
    where: Path
    jobs: list[Job]

    def is_done(self, study: Study) -> bool:
        """Whether it is there, made of what there is now."""
        if self.kind == "notebook":
            return is_done(study, self.name)
        runs = study.found(self.jobs)
        return len(runs) == len(self.jobs) and is_made(self.where.with_suffix(""), runs)

    def state(self, study: Study) -> str:
        """done, there (made of something else, or nobody knows of what), or `-`."""
        shown = self.where.with_suffix(".webp") if self.kind == "figure" else self.where
        return "done" if self.is_done(study) else "there" if shown.exists() else "-"

    def make(self, study: Study) -> None:
        """Make it, whether it is there or not."""
        if self.kind == "notebook":
            execute(study, self.name)
        else:
            getattr(study, self.kind)(self.name)


def parts(study: Study) -> dict[str, Part]:
    """All parts by name. The notebooks draw every figure and table; each of those can also be asked for alone."""
    found = [
        Part("notebook", name, output(study, name), needs(study, name)) for name in notebooks()
    ]
    for kind, (views, ending) in KINDS.items():
        found += [
            Part(kind, n, study.folder / f"{kind}s" / f"{n}.{ending}", v.jobs(study))
            for n, v in views.items()
        ]
    return {part.name: part for part in found}


def make_all(study: Study, options: argparse.Namespace) -> int:
    """Train what is missing, then make the parts: one that fails does not stop the others. Returns the exit status.

    A part that is asked for by name is always made. Without names these are the notebooks, without those that are up to date.
    """
    known, start = parts(study), time.perf_counter()
    _refuse_unknown(options.only, known, "--only: ")
    if options.verify and (options.only or options.list or options.set):
        raise ConfigError(
            "--verify goes with none of --only, --list and --set: it trains records as they are"
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
    done = [job_id for job_id in missing if job_id not in broken]
    failed = [*broken.values(), *study.damaged_records()]
    skipped = [part.name for part in chosen if part not in todo] + [
        job_id for job_id in needed if job_id not in missing
    ]
    waiting, errors = [], _make(study, todo, options.workers or processes(study))
    for part, error in zip(todo, errors, strict=True):
        if isinstance(error, NotTrained):
            waiting.append(f"{part.name}: {error}")
        elif error:
            failed.append(f"{part.name}: {error}")
        else:
            done.append(f"{part.name}: {part.where}")
    if error := _attempt("page", lambda: write_page(study)):
        failed.append(f"page: {error}")
    else:
        done.append(f"page: {study.folder / 'index.html'}")

    print(
        f"\nprofile {study.profile}, {(time.perf_counter() - start) / 60:.1f} minutes, results in {study.folder}"
    )
    for title, lines in (
        ("done", done),
        ("skipped, there already", skipped),
        ("not made yet", waiting),
        ("failed", failed),
    ):
        if lines:
            print(f"{title}: {len(lines)}")
            print("\n".join(f"  {line}" for line in lines))
    return 1 if failed else 0


def _make(study: Study, todo: list[Part], workers: int) -> list[str | NotTrained]:
    """Make each of some parts: "" where it went well, else why not. Notebooks, whose kernels are processes, side by side.

    LONGEST is begun first, so that nothing waits for it alone.
    """

    def make(number: int, part: Part) -> str | NotTrained:
        print(f"[{part.kind} {number} of {len(todo)}] {part.name}", flush=True)
        try:
            return _attempt(part.name, partial(part.make, study))
        except NotTrained as missing_training:
            return missing_training

    with ThreadPoolExecutor(min(workers, KERNELS)) as several:
        made = {}
        for number, part in enumerate(sorted(todo, key=lambda part: part.name != LONGEST), 1):
            do = partial(
                make, number, part
            )  # figures in the main thread, as some of matplotlib's backends need it
            made[part.name] = several.submit(do).result if part.kind == "notebook" else do
        return [made[part.name]() for part in todo]


def _verify(study: Study, options: argparse.Namespace) -> int:
    damaged = study.damaged_records()
    for line in damaged:
        print(line, file=sys.stderr)
    table = verify(study, options.verify, options.seed, options.workers, options.retry)
    failed = ~table["verdict"].isin(VERDICTS)
    print(table.assign(verdict=table["verdict"].mask(failed, "failed")).round(4).to_string())
    write_atomically(study.root / "verified.csv", table.round(6).to_csv)
    for why in table["verdict"][failed]:
        print(why, file=sys.stderr)
    return 1 if damaged or (failed | (table["verdict"] == FAR_OFF)).any() else 0


def draw_all(study: Study, options: argparse.Namespace) -> int:
    """Make tables, figures and the page anew from what is done, and train nothing. Returns the exit status."""
    views = {**FIGURES, **TABLES}
    _refuse_unknown(options.names, views)
    study.write_runs()
    failed = study.damaged_records()
    for name in options.names or views:
        jobs = views[name].jobs(study)
        if not (runs := study.found(jobs)):
            print(
                f"{name}: not drawn, none of its trainings is done"
                if jobs
                else f"{name}: this profile has no training for it"
            )
        elif error := _attempt(
            name, partial(study.figure if name in FIGURES else study.table, name, runs)
        ):
            failed.append(f"{name}: {error}")
        else:
            print(f"{name}: made of {len(runs)} of {len(jobs)} trainings", flush=True)
    if error := _attempt("page", lambda: print(f"page: {write_page(study)}")):
        failed.append(f"page: {error}")
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


def _attempt(name: str, make: Callable[[], object]) -> str:
    """Run `make`: "" where it went well, else what went wrong in one line. Raises NotTrained."""
    try:
        make()
    except NotTrained:
        raise
    except Exception as error:
        line = (str(error).splitlines() or [""])[0]
        print(f"{name} failed: {type(error).__name__}: {line}", file=sys.stderr, flush=True)
        return f"{type(error).__name__}: {line}"
    return ""


def _refuse_unknown(names: list[str], known: Iterable[str], where: str = "") -> None:
    """Raises ConfigError naming those that lie nearest."""
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=5, cutoff=0.5) or [*known][:5]
            raise ConfigError(
                f"{where}no {name}: there are {', '.join(near)}, and more (run_all.sh --list names all)"
            )


def _list(study: Study, known: list[Part]) -> int:
    """done: made of what there is now; there: of something else, or with the repository, which leaves out what tells that."""
    rows = [(part.kind, part.name, part.state(study)) for part in known]
    jobs = {job.id: job for part in known for job in part.jobs}
    rows += [("training", job.id, "done" if study.find(job) else "-") for job in jobs.values()]
    for kind, name, state in rows:
        print(f"{kind:9} {name:62} {state}")
    return 0
