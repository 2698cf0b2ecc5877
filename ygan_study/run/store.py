"""What is done: the Study finds the runs of a profile, and makes runs.csv of their numbers."""

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
from ygan_study.methods.weak_labels import WeakLabels, imagenet_features, network_here, weak_labels
from ygan_study.plan.images import prepare
from ygan_study.plan.jobs import DATA, Job, study_jobs
from ygan_study.plan.profiles import PROFILES
from ygan_study.plan.settings import Settings
from ygan_study.run.cache import cached
from ygan_study.run.checksums import SUMS
from ygan_study.run.device import resolve_device, resolve_precision
from ygan_study.run.folder import SPLITS, Damaged, Run, holds_another, in_a_line, read
from ygan_study.run.tidy import RUNS_COLUMNS, tidy

PARAMETERS = {  # of a Study: their kinds, and how a message names these
    "profile": (str, "a profile's name"),
    "results": ((str, Path, type(None)), "a folder's name"),
    "device": (str, "a device's name"),
    "precision": (str, "a word"),
    "settings": (dict, 'a dictionary such as {"epochs": 3}'),
}


@dataclass
class Study:
    """One profile's results: results/<profile>/. It finds what is done, and trains nothing.

    profile: smoke, quick, laptop, paper, or search; results: the folder above, by default results/
    of the repository; device: auto, cpu, cuda or mps; precision: float32, tf32, bfloat16 or
    fastest; settings: overrides of Settings, typed and checked. Where there are settings, the
    results lie in a folder of their own, `folder`. Raises ConfigError.
    """

    profile: str = "quick"
    results: str | Path | None = None
    device: str = "auto"
    precision: str = "float32"
    settings: dict = field(default_factory=dict)

    def __post_init__(self):
        for name, (kind, what) in PARAMETERS.items():
            if not isinstance(value := getattr(self, name), kind):
                raise ConfigError(f"{name} takes {what}, not {str(value)[:60]!r}")
        self.jobs = study_jobs(self.profile, self.settings)
        results = Path(self.results or REPOSITORY / "results").expanduser().resolve()
        self.root = results / self.profile
        changed = " ".join(f"{key}={value}" for key, value in sorted(self.settings.items()))
        if len(changed) > 200:  # longer than the name of a folder may be
            changed = f"{changed[:180]} {hashlib.sha256(changed.encode()).hexdigest()[:10]}"
        self.folder = self.root / "changed" / changed.replace("/", "_") if changed else self.root
        self.asked = {"device": self.device, "precision": self.precision}
        self.device = resolve_device(self.device, self.profile)
        self.precision = resolve_precision(self.precision, self.device)

    @property
    def trains(self) -> bool:
        """Whether a notebook, a figure or a table trains what it misses.

        For a profile with records that would take days.
        """
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
        """The jobs whose settings, or group, have these values; a tuple offers several.

        For example select(dataset="mnist", method=("ygan", "classifier")).
        """

        def fits(job: Job, key: str, value) -> bool:
            own = job.group if key == "group" else getattr(job.config, key)
            return own in value if isinstance(value, tuple) else own == value

        return [job for job in self.jobs if all(fits(job, *pair) for pair in wanted.items())]

    def path(self, job: Job) -> Path:
        """A job's folder.

        Jobs of all settings lie together: what a setting does not change is trained once.
        """
        return self.root / "jobs" / job.id

    def find(self, job: Job, anew: bool = False) -> Run | None:
        """The run of a job that is done, else None. anew: a record does not count as done.

        A folder that is not whole, or holds another job, is not done.
        """
        return self.trained(job) or (None if anew else self.recorded(job))

    def trained(self, job: Job) -> Run | None:
        """What was trained in this place, with its weights, or None."""
        return _whole(self.path(job), job)

    def recorded(self, job: Job) -> Run | None:
        """The record of a training, or None."""
        return _whole(self.root / "records" / job.id, job)

    def state(self, job: Job) -> str:
        """done, failed, running, damaged, stopped or waiting.

        damaged: to be trained again; stopped: there is a checkpoint to go on from.
        """
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
        """The runs of those jobs that are done; of all jobs, where none are named."""
        return [run for job in (self.jobs if jobs is None else jobs) if (run := self.find(job))]

    def runs(self, jobs: Iterable[Job] | None = None) -> pd.DataFrame:
        """The rows of runs.csv of those jobs that are done; of all jobs, where none are named.

        A row a number: metric, value, weights (last or averaged), the settings, the job.
        """
        return _table(row for run in self.found(jobs) for row in _rows(run.folder))

    def damaged_records(self) -> list[str]:
        """A line for each record that is left out: which one, and what to do."""
        found = []
        for folder in sorted(self.root.glob("records/[!.]*/")):
            try:
                _ = folder.name == SPLITS or _read_own(folder)
            except Damaged as error:
                found.append(f"a record is left out: {error}")
        return found

    def forget_failure(self, job: Job) -> None:
        """Let a failed job be tried again from its start: what is left may be why it failed."""
        folder = self.path(job)
        for path in folder.iterdir() if (folder / "error.txt").exists() else ():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name not in (".lock", "log.txt"):
                path.unlink()

    def weak_labels(self, config: Settings) -> dict[str, WeakLabels]:
        """The clusters of the training images (section 6.3), by form.

        Made once with the network that is there, of features that all held-out classes share.
        """
        data, parts = prepare(config)
        place, network = self.root / "cache", network_here()
        place.mkdir(parents=True, exist_ok=True)

        def features() -> tuple[Tensor, str]:
            key = f"{data.hash}-{network}"
            with FileLock(place / f".{data.hash}.lock"):  # whoever comes second waits for minutes
                found, name = cached(place, key, imagenet_features, data.images, self.device)
            return found[parts.train], name

        key = f"{parts.hash}-{config.split_seed}-{network}"
        images = data.images[parts.train]
        return cached(place, key, weak_labels, images, config.split_seed, features)

    def write_runs(self) -> pd.DataFrame:
        """Rebuild runs.csv from the folders of all jobs that are done, and return its rows.

        A folder that cannot be believed is named and left out. Jobs that should be of the same
        images, and are not, are named: what is paired of them means nothing.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with FileLock(self.root / ".runs.lock"):  # one after the other, so that no rows are lost
            rows, splits = {}, {}
            folders = [sorted(self.root.glob(f"{place}/*/{SUMS}")) for place in ("jobs", "records")]
            for folder in (path.parent for paths in folders for path in paths):
                if folder.name in rows:
                    continue
                try:
                    run = _read_own(folder)
                    rows[folder.name] = _rows(folder)
                except Exception as error:  # whatever is wrong with one folder, the others count
                    why = error if isinstance(error, Damaged) else f"{folder} ({in_a_line(error)})"
                    print(f"left out of runs.csv: {why}", flush=True)
                else:
                    data = tuple(getattr(run.config, name) for name in sorted(DATA))
                    splits.setdefault(data, {}).setdefault(run.about["split"], run.job.id)
            for jobs in (found.values() for found in splits.values() if len(found) > 1):
                names = ", ".join(jobs)
                print(f"not of the same images: {names}: train those of the wrong copy anew")
            table = _table(row for of_job in rows.values() for row in of_job)
            write_atomically(self.root / "runs.csv", lambda p: table.to_csv(p, index=False))
        return table


def _whole(folder: Path, job: Job) -> Run | None:
    try:
        return read(folder, job) if (folder / SUMS).exists() else None
    except Damaged:
        return None


def _read_own(folder: Path) -> Run:
    """The run in a folder. Raises Damaged, also where the folder has the name of another job."""
    run = read(folder)
    if run.job.id != folder.name:
        raise Damaged(holds_another(folder, run.job))
    return run


def _rows(folder: Path) -> list[tuple]:
    return _rows_of(folder, (folder / SUMS).read_text())


@functools.lru_cache(maxsize=10_000)
def _rows_of(folder: Path, sums: str) -> list[tuple]:
    """The rows of runs.csv of a folder, as long as its checksums are these."""
    run = read(folder)
    return [row for weights in run.kinds for row in tidy(run.at(weights))]


def _table(rows: Iterable[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=RUNS_COLUMNS)


def _is_locked(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
