"""What is done: the Study that finds the runs of a profile, and runs.csv, the table of all their numbers."""

from __future__ import annotations

import functools
import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout
from torch import Tensor

from ygan_core.checkpoints import checkpoints, write_atomically
from ygan_core.config import ConfigError
from ygan_core.data.datasets import REPOSITORY
from ygan_study.fresh import cached
from ygan_study.methods.weak_labels import WeakLabels, imagenet_features, network_here, weak_labels
from ygan_study.plan.images import prepare
from ygan_study.plan.jobs import DATA, Job, study_jobs
from ygan_study.plan.profiles import PROFILES
from ygan_study.plan.settings import Settings
from ygan_study.run.checksums import SUMS
from ygan_study.run.device import resolve_device, resolve_precision
from ygan_study.run.folder import RUNS_COLUMNS, Damaged, Run, in_a_line, read, tidy


@dataclass
class Study:
    """One profile's results: results/<profile>/. It finds what is done, and trains nothing.

    profile: smoke, quick, laptop, paper, or search; results: the folder above, by default results/ of the repository; device:
    auto, cpu, cuda or mps; precision: float32, tf32, bfloat16 or fastest; settings: overrides of Settings, typed and checked.
    Where there are settings, the results lie in a folder of their own, `folder`. Raises ConfigError.
    """

    profile: str = "quick"
    results: str | Path | None = None
    device: str = "auto"
    precision: str = "float32"
    settings: dict = field(default_factory=dict)

    def __post_init__(self):
        for name, kinds in _KINDS_OF.items():
            if not isinstance(value := getattr(self, name), kinds):
                raise ConfigError(f"{name} takes {_KINDS[name]}, not {str(value)[:60]!r}")
        self.jobs = study_jobs(self.profile, self.settings)
        self.root = (
            Path(self.results or REPOSITORY / "results").expanduser().resolve() / self.profile
        )
        changed = " ".join(f"{key}={value}" for key, value in sorted(self.settings.items()))
        if len(changed) > 200:  # longer than the name of a folder may be
            changed = f"{changed[:180]} {hashlib.sha256(changed.encode()).hexdigest()[:10]}"
        self.folder = self.root / "changed" / changed.replace("/", "_") if changed else self.root
        self.asked = {"device": self.device, "precision": self.precision}
        self.device = resolve_device(self.device, self.profile)
        self.precision = resolve_precision(self.precision, self.device)

    @property
    def trains(self) -> bool:
        """Whether a notebook, a figure or a table trains what it misses. That of a profile with records would take days."""
        return bool(self.settings) or not getattr(PROFILES.get(self.profile), "recorded", False)

    @property
    def overrides(self) -> dict:
        """What a notebook needs beside the profile to ask for the same study."""
        return {
            "results": str(self.root.parent),
            "device": self.device,
            "precision": self.precision,
            "settings": self.settings,
        }

    def select(self, **wanted) -> list[Job]:
        """The jobs whose config, or group, has these values; a tuple offers several: select(method=("ygan", "classifier"))."""

        def fits(job: Job) -> bool:
            values = (
                (job.group if key == "group" else getattr(job.config, key), value)
                for key, value in wanted.items()
            )
            return all(
                own in value if isinstance(value, tuple) else own == value for own, value in values
            )

        return [job for job in self.jobs if fits(job)]

    def path(self, job: Job) -> Path:
        """A job's folder. Jobs of all settings lie together: what a setting does not change is trained once."""
        return self.root / "jobs" / job.id

    def find(self, job: Job, anew: bool = False) -> Run | None:
        """The run of a job that is done, else None. A folder that is not whole, or holds another job, is not done.

        anew: a record does not count as done.
        """
        return self.trained(job) or (None if anew else self.recorded(job))

    def trained(self, job: Job) -> Run | None:
        """What was trained in this place, with its weights, or None."""
        return _whole(self.path(job), job)

    def recorded(self, job: Job) -> Run | None:
        """The record of a training, or None."""
        return _whole(self.root / "records" / job.id, job)

    def state(self, job: Job) -> str:
        """done, failed, running, damaged (to be trained again), stopped (there is a checkpoint to go on from) or waiting."""
        folder = self.path(job)
        if self.find(job):
            return "done"
        if (folder / "error.txt").exists():
            return "failed"
        if _is_locked(folder / ".lock"):
            return "running"
        if (folder / SUMS).exists() or (self.root / "records" / job.id).exists():
            return "damaged"
        return "stopped" if checkpoints(folder) else "waiting"

    def found(self, jobs: Iterable[Job] | None = None) -> list[Run]:
        """The runs of those jobs that are done; of all jobs, where none are named. Trains nothing."""
        return [run for job in (self.jobs if jobs is None else jobs) if (run := self.find(job))]

    def runs(self, jobs: Iterable[Job] | None = None) -> pd.DataFrame:
        """The rows of runs.csv of those jobs that are done; of all jobs, where none are named. Trains nothing.

        A row a number: metric, value, weights (last or averaged), the settings, the job.
        """
        rows = [
            row
            for run in self.found(jobs)
            for row in _rows(run.folder, (run.folder / SUMS).read_text())
        ]
        return pd.DataFrame(rows, columns=RUNS_COLUMNS)

    def damaged_records(self) -> list[str]:
        """A line for each folder under records/ that cannot be believed: which one, and what to do. None of them is found."""
        found = []
        for folder in sorted(path for path in self.root.glob("records/*") if path.is_dir()):
            try:
                if (held := read(folder).job.id) != folder.name:
                    found.append(
                        f"a record is left out: {folder} holds {held}: give the folder that name"
                    )
            except Damaged as error:
                found.append(f"a record is left out: {error}")
        return found

    def forget_failure(self, job: Job) -> None:
        """Let a job that failed be tried again, from its start: what is left of it may be why it failed."""
        if (self.path(job) / "error.txt").exists():
            for path in self.path(job).iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name not in (".lock", "log.txt"):
                    path.unlink()

    def weak_labels(self, config: Settings) -> dict[str, WeakLabels]:
        """The clusters of a cell's training images (section 6.3), by form.

        Made once with the network that is there, of features that all its cells share.
        """
        data, parts = prepare(config)
        place, network = self.root / "cache", network_here()
        place.mkdir(parents=True, exist_ok=True)

        def features() -> tuple[Tensor, str]:
            with FileLock(
                place / f".{data.hash}.lock"
            ):  # minutes: whoever comes second waits for the first
                found, name = cached(
                    place, f"{data.hash}-{network}", imagenet_features, data.images, self.device
                )
            return found[parts.train], name

        key = f"{parts.hash}-{config.split_seed}-{network}"
        return cached(
            place, key, weak_labels, data.images[parts.train], config.split_seed, features
        )

    def write_runs(self) -> pd.DataFrame:
        """Rebuild runs.csv from the folders of all jobs that are done: one tidy row a number. Returns it.

        weights: last or averaged; epoch_rule: `last`, or `best_on_test`: the epoch whose AUC on the test set is the highest,
        which nobody without the test's labels could pick. A folder that cannot be believed is named and left out. Jobs that
        should be of the same images, and are not, are named: what is paired of them means nothing.
        """
        rows = []
        self.root.mkdir(parents=True, exist_ok=True)
        with FileLock(
            self.root / ".runs.lock"
        ):  # else who looked first and wrote last loses what was done in between
            seen, splits = set(), {}
            for seal in (
                path
                for place in ("jobs", "records")
                for path in sorted(self.root.glob(f"{place}/*/{SUMS}"))
            ):
                folder = seal.parent
                if folder.name in seen:
                    continue
                try:
                    run = read(folder)
                    if run.job.id != folder.name:
                        raise Damaged(
                            f"{folder} holds another job, {run.job.id}: move it to its own place, or remove it"
                        )
                    rows += _rows(folder, seal.read_text())
                    seen.add(folder.name)
                    data = tuple(getattr(run.config, name) for name in sorted(DATA))
                    splits.setdefault(data, {}).setdefault(run.about["split"], run.job.id)
                except Damaged as error:
                    print(f"left out of runs.csv: {error}", flush=True)
                except Exception as error:  # whatever is wrong with one folder, the others count
                    print(f"left out of runs.csv: {folder} ({in_a_line(error)})", flush=True)
            for jobs in (list(found.values()) for found in splits.values() if len(found) > 1):
                print(
                    f"not of the same images: {', '.join(jobs)}: train those of the wrong copy anew",
                    flush=True,
                )
            table = pd.DataFrame(rows, columns=RUNS_COLUMNS)
            write_atomically(self.root / "runs.csv", lambda p: table.to_csv(p, index=False))
        return table


def _whole(folder: Path, job: Job) -> Run | None:
    try:
        return read(folder, job) if (folder / SUMS).exists() else None
    except Damaged:
        return None


_KINDS_OF = {
    "profile": str,
    "results": (str, Path, type(None)),
    "device": str,
    "precision": str,
    "settings": dict,
}
_KINDS = {
    "profile": "a profile's name",
    "results": "a folder's name",
    "device": "a device's name",
    "precision": "a word",
    "settings": 'a dictionary such as {"epochs": 3}',
}


@functools.lru_cache(maxsize=10_000)
def _rows(folder: Path, sums: str) -> list[tuple]:
    """The rows of runs.csv of a folder, as long as its checksums are these."""
    run = read(folder)
    return [row for weights in run.kinds for row in tidy(run.at(weights))]


def _is_locked(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
