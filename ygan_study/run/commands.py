"""The command line's verbs for jobs: list, run, search, records. They import nothing that draws."""

from __future__ import annotations

import argparse
import collections
import sys

from ygan_core.config import ConfigError
from ygan_study.plan.jobs import Job
from ygan_study.run.costs import costs
from ygan_study.run.executors import run_jobs
from ygan_study.run.folder import Damaged, MissingWeights
from ygan_study.run.records import write_record
from ygan_study.run.search_report import logged, report
from ygan_study.run.store import Study


def list_jobs(study: Study, options: argparse.Namespace) -> int:
    """Print every job with its number, its state, and what it will take on one worker of this machine.

    Each kind of training is timed when its first job comes: of large networks that takes a while, so its name appears before.
    """
    print(f"{len(study.jobs)} jobs", flush=True)
    counts, left = collections.Counter(), 0.0
    for number, job in enumerate(study.jobs, 1):
        counts[state := study.state(job)] += 1
        line = f"{number:4} {job.id:62} {state:8}"
        if state == "done":
            print(line.rstrip(), flush=True)
            continue
        print(line, end=" ", flush=True)
        seconds = costs(study, [job])[job.id]
        left += seconds
        print(f"{seconds / 60:8.1f} min", flush=True)
    said = ", ".join(f"{n} {state}" for state, n in counts.items())
    minutes = f"about {left / 60:.1f} minutes of one worker of this machine ({study.precision})"
    print(f"{said}. Left: {minutes}.")
    return 0


def run_some(study: Study, options: argparse.Namespace) -> int:
    """Run jobs by id, by group, or by their number in `list`; all of them if none is named. Returns the exit status."""
    chosen = _chosen(study, options)
    more = dict(
        scheduler=options.scheduler,
        retry=options.retry,
        anew=options.anew,
        patience=options.patience,
    )
    failed = run_jobs(study, chosen, options.workers, **more)
    print(f"{len(chosen) - len(failed)} of {len(chosen)} jobs done: {study.root / 'runs.csv'}")
    return _say(failed)


def search(study: Study, options: argparse.Namespace) -> int:
    """Run the trainings by which settings were chosen, and print what the rule chooses. Returns the exit status."""
    logged(study)  # a log that cannot be read is said before hours of training
    failed = run_jobs(study, study.jobs, options.workers, retry=options.retry)
    print(report(study))
    return _say(failed)


def keep_records(study: Study, options: argparse.Namespace) -> int:
    """Put what is done under records/, as far as it is small enough for git. Returns the exit status."""
    done, failed = study.found(), {}
    for run in done:
        try:
            write_record(study, run)
        except (Damaged, MissingWeights) as error:
            failed[run.job.id] = str(error)
    print(
        f"{len(done) - len(failed)} of {len(study.jobs)} jobs have a record: {study.root / 'records'}"
    )
    return _say(failed)


def _chosen(study: Study, options: argparse.Namespace) -> list[Job]:
    known, groups = (
        {job.id: job for job in study.jobs},
        dict.fromkeys(job.group for job in study.jobs),
    )
    if unknown := [name for name in options.ids if name not in known]:
        raise ConfigError(
            f"no job {', '.join(unknown)} in profile {study.profile}: `list` names them"
        )
    if unknown := [name for name in options.group if name not in groups]:
        raise ConfigError(f"--group: no {', '.join(unknown)}: choose from {', '.join(groups)}")
    if options.index is not None and (options.ids or options.group):
        raise ConfigError("--index is one job: leave out --group and the names")
    if options.index is None:
        of_groups = [job for job in study.jobs if job.group in options.group]
        return [*dict.fromkeys([*(known[name] for name in options.ids), *of_groups])] or study.jobs
    if not 1 <= options.index <= len(study.jobs):
        raise ConfigError(
            f"--index: jobs of profile {study.profile} are numbered from 1 to {len(study.jobs)}"
        )
    return [study.jobs[options.index - 1]]


def _say(failed: dict[str, str]) -> int:
    for why in failed.values():
        print(why, file=sys.stderr)
    return 1 if failed else 0
