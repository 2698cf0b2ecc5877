"""Records trained anew on this machine: how near do they come?

With the record's versions on the record's processor the scores are the same, byte for byte.
Elsewhere the last bits of sums differ, and the difference grows during training: then two trainings
of one job lie about as far apart as two seeds do.
"""

import random

import numpy as np
import pandas as pd

from ygan_core.config import ConfigError
from ygan_study.plan.jobs import Job
from ygan_study.report.statistics import std_over_seeds
from ygan_study.run.executors import run_jobs
from ygan_study.run.folder import Run
from ygan_study.run.records import has_scores_of
from ygan_study.run.store import Study

CHEAPEST = "cheapest"
MADE = ("versions", "processor", "device", "gpu", "precision")  # what decides a number's last bits
ON_A_GPU = "paper_size"  # the group of jobs that take one core up to 15 hours each
VERDICTS = (SAME, NEAR, FAR_OFF, UNKNOWN) = ("same bytes", "near", "far", "differs")
FAR = 3  # standard deviations of a difference between two seeds, above which it is no chance


def verify(
    study: Study, which: str, seed: int = 0, workers: int | None = None, retry: bool = False
) -> pd.DataFrame:
    """Train recorded jobs anew, under results/<profile>/verified/; returns a row a job.

    which: how many, drawn at random by `seed` (on a CPU without those of the paper's size), or
    `cheapest`: the one that took the fewest seconds on a device like this. recorded, anew: the
    AUCs; recorded on, anew on: the GPU or processor; alike made: by the same versions on the same
    device; std over seeds: of trainings alike but for their seeds. verdict: `same bytes`; `near` or
    `far` (FAR); `differs` where no spread is known; or why it failed. Raises ConfigError.
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
    rows = [_row(records, job, again.find(job), failed) for job in chosen]
    return pd.DataFrame(rows).set_index("job")


def _chosen(study: Study, records: dict[Job, Run], which: str, seed: int) -> list[Job]:
    if which != CHEAPEST:
        ordered = sorted(records, key=lambda job: job.id)
        return random.Random(seed).sample(ordered, min(int(which), len(ordered)))
    alike = [job for job in records if records[job].about["device"] == study.device]
    if not alike:
        raise ConfigError(
            f"--verify: no record of a training on {study.device}: "
            "give a number, or another --device"
        )
    return [min(alike, key=lambda job: records[job].about["seconds"])]


def _row(records: dict[Job, Run], job: Job, anew: Run | None, failed: dict[str, str]) -> dict:
    record = records[job]
    row = {"job": job.id, "recorded": record.metrics["auc"], "recorded on": _machine(record)}
    if anew is None:
        return row | {"verdict": failed.get(job.id, "not trained")}
    here, there = ({key: run.about.get(key) for key in MADE} for run in (anew, record))
    difference, spread = anew.metrics["auc"] - record.metrics["auc"], _spread(record, records)
    return row | {
        "anew": anew.metrics["auc"],
        "anew on": _machine(anew),
        "difference": difference,
        "std over seeds": spread,
        "alike made": here == there,
        "verdict": SAME if has_scores_of(record, anew) else _judged(difference, spread),
    }


def _machine(run: Run) -> str:
    return run.about.get("gpu") or run.about["processor"]


def _spread(record: Run, records: dict[Job, Run]) -> float:
    """The std over seeds of trainings like this one, pooled over their held-out classes, or nan."""

    def kind(run: Run) -> dict:
        drawn = ("held_out", "seed", "split_seed")
        return {key: value for key, value in vars(run.config).items() if key not in drawn}

    alike = [run for run in records.values() if kind(run) == kind(record)]
    aucs = [(run.config.dataset, run.config.held_out, run.metrics["auc"]) for run in alike]
    return std_over_seeds(pd.DataFrame(aucs, columns=["dataset", "held_out", "auc"]))


def _judged(difference: float, spread: float) -> str:
    if np.isnan(spread):
        return UNKNOWN
    return NEAR if abs(difference) <= FAR * np.sqrt(2) * spread else FAR_OFF
