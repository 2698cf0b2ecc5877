"""Records trained anew on this machine: how near do they come?

Where versions and processor are the record's, the scores are the same, byte for byte. Elsewhere the last bits of a training's
sums differ, and grow: then two trainings of one job lie about as far apart as two seeds do.
"""

from __future__ import annotations

import random

import numpy as np
import pandas as pd

from ygan_core.config import ConfigError
from ygan_study.plan.jobs import Job
from ygan_study.report.rows import trainings_of, rows_of
from ygan_study.report.spread import METHOD, pooled
from ygan_study.run.executors import run_jobs
from ygan_study.run.folder import Run
from ygan_study.run.records import narrow, small_facts
from ygan_study.run.store import Study

CHEAPEST = "cheapest"
MADE = (
    "versions",
    "processor",
    "device",
    "gpu",
    "precision",
)  # what decides the last bits of a number
ON_A_GPU = "paper_size"  # the group of jobs that take one core up to 15 hours each: they are drawn on a GPU alone
VERDICTS = (SAME, NEAR, FAR_OFF, UNKNOWN) = ("same bytes", "near", "far", "differs")
FAR = 3  # a difference of more than so many standard deviations between two seeds is no matter of chance


def verify(
    study: Study, which: str, seed: int = 0, workers: int | None = None, retry: bool = False
) -> pd.DataFrame:
    """Train recorded jobs anew, under results/<profile>/verified/, and compare: a row a job.

    which: how many, drawn at random by `seed` (on a CPU without those of the paper's own size), or `cheapest`: of those trained
    on such a device the one of the fewest seconds. recorded, anew: the AUC; recorded on, anew on: the GPU or the processor;
    alike made: by the same versions on the same device; std over seeds: of the same method on the same dataset at the same
    size, where several draws were recorded; verdict: `same bytes`, `near`, `far` (more than FAR standard deviations of a
    difference), `differs` where no spread is known; or why it failed. Raises ConfigError where there is no such record.
    """
    jobs = [job for job in study.jobs if job.group != ON_A_GPU or study.device != "cpu"]
    records = {job: run for job in jobs if (run := study.recorded(job))}
    if not records:
        raise ConfigError(
            f"--verify: no records to draw on this device in {study.root / 'records'}"
        )
    chosen = _chosen(study, records, which, seed)
    again = Study(study.profile, study.root / "verified", study.device, study.precision)
    failed = run_jobs(again, chosen, workers, retry=retry)
    context = trainings_of(rows_of(records.values()))
    return pd.DataFrame(
        [_row(records[job], again.find(job), failed, context) for job in chosen]
    ).set_index("job")


def _chosen(study: Study, records: dict[Job, Run], which: str, seed: int) -> list[Job]:
    if which == CHEAPEST:
        alike = [job for job in records if records[job].about["device"] == study.device]
        if not alike:
            raise ConfigError(
                f"--verify: no record of a training on {study.device}: give a number, or another --device"
            )
        return [min(alike, key=lambda job: records[job].about["seconds"])]
    return random.Random(seed).sample(
        sorted(records, key=lambda job: job.id), min(int(which), len(records))
    )


def _row(record: Run, anew: Run | None, failed: dict[str, str], context: pd.DataFrame) -> dict:
    row = {"job": record.job.id, "recorded": record.metrics["auc"], "recorded on": _machine(record)}
    if anew is None:
        return row | {"verdict": failed.get(record.job.id, "not trained")}
    here, there = ({key: run.about.get(key) for key in MADE} for run in (anew, record))
    row |= {
        "anew": anew.metrics["auc"],
        "anew on": _machine(anew),
        "difference": anew.metrics["auc"] - record.metrics["auc"],
    }
    row |= {"std over seeds": _spread(record, context), "alike made": here == there}
    return row | {"verdict": SAME if _same(record, anew) else _judged(row)}


def _machine(run: Run) -> str:
    return run.about.get("gpu") or run.about["processor"]


def _same(record: Run, anew: Run) -> bool:
    """Whether all scores that a record keeps are the same bytes; the first records kept more of them."""
    kept = [weights for weights in record.kinds if record.at(weights).has_facts]
    pairs = [(record.at(weights).test, small_facts(anew.at(weights))) for weights in kept]
    return all(
        a.keys() == b.keys() and all(np.array_equal(narrow(a[name]), b[name]) for name in a)
        for a, b in pairs
    )


def _spread(record: Run, context: pd.DataFrame) -> float:
    own = context[context["job"] == record.job.id].iloc[0]
    keys = [
        *METHOD,
        "dataset",
        "width",
        "epochs",
    ]  # a record may be of the ladder, or of a short or wide control
    alike = (context[keys] == own[keys]).all(axis=1)
    return pooled(context[alike])[0]


def _judged(row: dict) -> str:
    if np.isnan(row["std over seeds"]):
        return UNKNOWN
    return NEAR if abs(row["difference"]) <= FAR * np.sqrt(2) * row["std over seeds"] else FAR_OFF
