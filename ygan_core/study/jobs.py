"""What to train, running one, the store of what is done. A job's folder is the truth: complete files or none.

results/<profile>/jobs/<id>/   config.json  losses.csv  weights.safetensors  test.npz  run.json (written last)
                               or, of a job that failed, error.txt
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import platform
import subprocess
import time
import traceback
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from threadpoolctl import threadpool_limits
from torch import Tensor

from ygan_core.baselines import RIVALS
from ygan_core.baselines.background import border
from ygan_core.checkpoints import checkpoints, write_atomically
from ygan_core.config import PROFILES, Config, ConfigError, as_dict, profile_config
from ygan_core.data import DataError, load, sub_classes
from ygan_core.data.color import colourise
from ygan_core.data.datasets import REPOSITORY
from ygan_core.model import YGAN
from ygan_core.study.departures import DEPARTURES, applies
from ygan_core.study.evaluation import OWN, each_epoch, evaluate, evaluate_rival, prepare
from ygan_core.study.variants import ABLATIONS, classifier, configuration, variant
from ygan_core.study.weak_labels import FORMS, WeakLabels, purity, weak_labels
from ygan_core.train import Callback, Trainer, train

TRAINING_VERSION = 2  # raised when the same config gives other numbers: every job then has a new id
FILES = ("config.json", "losses.csv", "weights.safetensors", "test.npz", "run.json")


class JobFailed(RuntimeError):
    """A job that failed, now or before; the message names its log."""


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """A job computes on one thread wherever it runs: two add up in another order, and their sums differ in the last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):  # NumPy's and scikit-learn's
            yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Job:
    """One training, named by what it is: a frozen config and TRAINING_VERSION."""

    config: Config

    @property
    def id(self) -> str:
        """Stable: dataset, class held out, method, configuration, seed, and a hash of the settings that are not the defaults.

        So a setting that is added later, with a default that changes nothing, leaves the ids of what is done alone.
        """
        c, default = self.config, as_dict(Config())
        settings = {key: value for key, value in as_dict(c).items() if value != default[key]}
        text = json.dumps({"version": TRAINING_VERSION, **settings}, sort_keys=True)
        held_out = "diseased" if c.held_out < 0 else str(c.held_out)
        what = [c.method] * (c.method != "ygan") + [c.variant] * (c.variant != "full") + ["weak"] * (c.labels == "weak")
        words = [c.dataset, held_out, *what, c.name, f"s{c.seed}", hashlib.sha256(text.encode()).hexdigest()[:10]]
        return "-".join(words)


def study_jobs(profile: str, settings: dict | None = None) -> list[Job]:
    """The evidence of the paper in a profile, in its order, none twice: dataset x class held out x method x variant x seed.

    Section 5; Tables 1-4 (Y-GAN, the Classifier control, the rivals); Table 5; Table 6; the public code's departures from the
    paper. Raises ConfigError.
    """
    if profile not in PROFILES:
        raise ConfigError(f"no profile {profile!r}: choose from {', '.join(PROFILES)}")
    p, settings = PROFILES[profile], settings or {}
    configs = [profile_config(profile, "color_mnist", name, settings) for name in p.color_mnist]

    def cells(name: str, classes: dict[str, tuple[int, ...]]) -> list[Config]:
        bases = {data: profile_config(profile, data, name, settings) for data in classes}
        seeds = (int(settings["seed"]),) if "seed" in settings else p.seeds
        return [
            replace(base, seed=seed, held_out=base.held_out if "held_out" in settings else held_out)
            for data, base in bases.items()
            for held_out in classes[data]
            for seed in seeds
        ]

    everywhere = {"mnist": p.classes, "fmnist": p.classes, "cifar10": p.classes, "plantvillage": (-1,)}
    first = p.benchmarks[0]
    for name in p.benchmarks:
        configs += cells(name, everywhere)
    configs += [classifier(config) for config in cells(first, everywhere)]
    narrower = {"width": p.rival_width} if p.rival_width and "width" not in settings else {}
    for rival in RIVALS:
        configs += [replace(config, method=rival, **narrower) for config in cells(first, p.rivals)]
    leaves = cells(first, {"plantvillage": (-1,)})
    on_border = {"classifier": classifier, "ygan": lambda config: config}
    configs += [on_border[method](variant(config, "border")) for method in p.border for config in leaves]
    for name in ABLATIONS:
        configs += [variant(config, name) for config in cells(first, p.ablations)]
    configs += [replace(config, labels="weak") for config in cells(first, p.ablations)]
    as_printed = cells("paper" if "paper" in p.benchmarks else first, p.departures)
    departures = p.departure_names or tuple(DEPARTURES)
    configs += [variant(config, name) for name in departures for config in as_printed if applies(name, config)]
    return list({job.id: job for job in map(Job, configs)}.values())


@dataclass(frozen=True)
class Run:
    """A job that is done, read from its folder."""

    job: Job
    folder: Path
    source: str = ""  # where its images are looked up, if not where the training took them

    @property
    def config(self) -> Config:
        """What was trained."""
        return self.job.config

    @functools.cached_property
    def about(self) -> dict:
        """run.json: metrics, split, commit, versions, device, seconds."""
        return json.loads((self.folder / "run.json").read_text())

    @property
    def metrics(self) -> dict[str, float]:
        """What `evaluate` measured."""
        return self.about["metrics"]

    @functools.cached_property
    def losses(self) -> pd.DataFrame:
        """Every term's mean by epoch, unweighted, and lambda_R."""
        return pd.read_csv(self.folder / "losses.csv", index_col="epoch")

    @functools.cached_property
    def test(self) -> dict[str, np.ndarray]:
        """test.npz: the images no training saw. index, label, anomalous, in_test (n,); z_s, z_r (n, d); the scores (n,).

        Of Color-MNIST colour (n,) too; of a rival no latents, and its one score as `score`.
        """
        with np.load(self.folder / "test.npz") as arrays:
            return dict(arrays)

    @property
    def scores(self) -> np.ndarray:
        """The headline's score of every image in `test`, (n,)."""
        return self.test[OWN if self.config.method in RIVALS else self.config.score]

    @property
    def classes(self) -> tuple[str, ...]:
        """What the labels in `test` mean."""
        return tuple(self.about["classes"])

    def images(self, rows: np.ndarray) -> Tensor:
        """The images at these rows of `test`, uint8 (len(rows), C, S, S)."""
        c = self.config
        data = load("mnist" if c.dataset == "color_mnist" else c.dataset, c.image_size, self.source or c.source)
        images = data.images[torch.from_numpy(np.searchsorted(data.index.numpy(), self.test["index"][rows]))]
        if c.pixels == "border":
            images = border(images)
        return colourise(images, torch.from_numpy(self.test["colour"][rows])) if "colour" in self.test else images

    def model(self) -> YGAN:
        """The trained networks, float32, on the CPU, in eval mode. Not for a rival's."""
        state = load_file(self.folder / "weights.safetensors")
        state = {name: t.float() if t.is_floating_point() else t for name, t in state.items()}
        kind = DEPARTURES.get(self.config.variant, Trainer)
        model = kind.build(self.config, state["E_s.features.0.weight"].shape[1], len(state["C.2.bias"]))
        model.load_state_dict(state)
        return model.eval()


def sha256(path: Path) -> str:
    """A file's checksum, in hex. Raises OSError where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_trained(run: Run) -> bool:
    """Whether a folder holds the weights and losses of a whole training, readable, and as run.json noted them if it can."""
    if not (run.folder / "weights.safetensors").exists():
        return False
    try:
        noted = run.about["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        noted = {}
    try:
        load_file(run.folder / "weights.safetensors")
        whole = len(pd.read_csv(run.folder / "losses.csv")) == run.config.epochs
        whole &= all(sha256(run.folder / name) == noted[name] for name in FILES[1:3] if name in noted)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError):
        whole = False
    if not whole:
        print(f"{run.folder}: what was trained is damaged; trained anew", flush=True)
    return whole


def provenance() -> dict:
    """Commit, versions and machine, for the JSON beside every result."""
    git = ["git", "-C", str(REPOSITORY)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout.strip()
        commit += " with changes" if changed else ""
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    packages = ("torch", "torchvision", "numpy", "scikit-learn", "matplotlib")
    versions = {"python": platform.python_version(), **{name: version(name) for name in packages}}
    return {"commit": commit, "versions": versions, "machine": platform.machine()}


@dataclass
class Study:
    """One profile's results: results/<profile>/. Asked for runs, it loads what is done and trains the rest.

    profile: smoke, quick, laptop or paper; results: the folder above, by default results/ of the repository; device: auto, cpu,
    cuda or mps; precision: auto, float32 or bfloat16; settings: overrides of Config, typed and checked. Raises ConfigError.
    """

    profile: str = "quick"
    results: str | Path | None = None
    device: str = "auto"
    precision: str = "auto"
    settings: dict = field(default_factory=dict)

    def __post_init__(self):
        self.jobs = study_jobs(self.profile, self.settings)
        self.folder = Path(self.results or REPOSITORY / "results").expanduser().resolve() / self.profile
        self.asked = {"device": self.device, "precision": self.precision}
        self.device = resolve_device(self.device, self.profile)
        self.precision = resolve_precision(self.precision, self.profile, self.device)

    @property
    def overrides(self) -> dict:
        """What a notebook needs beside the profile to ask for the same study."""
        return {
            "results": str(self.folder.parent),
            "device": self.device,
            "precision": self.precision,
            "settings": self.settings,
        }

    def select(self, **wanted) -> list[Job]:
        """The jobs whose config has these values; a tuple offers several: select(method=("ygan", "classifier"))."""

        def fits(config: Config) -> bool:
            values = ((getattr(config, key), value) for key, value in wanted.items())
            return all(own in value if isinstance(value, tuple) else own == value for own, value in values)

        return [job for job in self.jobs if fits(job.config)]

    def path(self, job: Job) -> Path:
        """A job's folder."""
        return self.folder / "jobs" / job.id

    def find(self, job: Job) -> Run | None:
        """The run of a job that is done, else None: a folder with a file that is missing or damaged is not done."""
        run = Run(job, self.path(job))
        try:
            whole = all(sha256(run.folder / name) == expected for name, expected in run.about["sha256"].items())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return run if whole else None

    def state(self, job: Job) -> str:
        """done, failed, running, stopped (there is a checkpoint to go on from) or waiting."""
        folder = self.path(job)
        if self.find(job):
            return "done"
        if (folder / "error.txt").exists():
            return "failed"
        if _is_locked(folder / ".lock"):
            return "running"
        return "stopped" if checkpoints(folder) else "waiting"

    def run(self, job: Job, callbacks: Iterable[Callback] = (), wait: bool = True) -> Run | None:
        """The run of a job: loaded where it is done, else trained, from its last checkpoint where it has one.

        Where another process is at it: waits for that, or returns None. Raises JobFailed, also for a job that failed before.
        """
        folder = self.path(job)
        if done := self.find(job):
            return done
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if not wait:
                return None
            print(f"{job.id}: another process is training it; waiting for it", flush=True)
            lock.acquire()
        log = folder / "error.txt"
        try:
            if log.exists():
                raise JobFailed(f"{job.id} failed before ({log}): --retry tries again")
            return self.find(job) or self._train(job, folder, callbacks)
        except (JobFailed, DataError, ConfigError):
            raise
        except Exception as error:
            write_atomically(log, lambda p: p.write_text(f"{traceback.format_exc()}\n{json.dumps(provenance())}\n"))
            line = (str(error).splitlines() or [""])[0]
            raise JobFailed(f"{job.id}: {type(error).__name__}: {line} ({log})") from error
        finally:
            lock.release()

    def runs(self, jobs: Iterable[Job]) -> list[Run]:
        """The runs of jobs, trained where they are missing. One that fails is named and left out: the others count still.

        Raises JobFailed or DataError where none is left.
        """
        found, failed = [], None
        for job in jobs:
            try:
                found.append(self.run(job))
            except (JobFailed, DataError) as error:
                failed = error
                print(error, flush=True)
        if failed and not found:
            raise failed
        return found

    def forget_failure(self, job: Job) -> None:
        """Let a job that failed be tried again."""
        (self.path(job) / "error.txt").unlink(missing_ok=True)

    def color_mnist(self) -> list[Run]:
        """The trainings of section 5; the one to show first."""
        return self.runs(self.select(dataset="color_mnist"))

    def weak_labels(self, config: Config) -> dict[str, WeakLabels]:
        """The clusters of a cell's training images (section 6.3), by form, made once: results/<profile>/weak_labels/."""
        data, parts = prepare(config)
        of = f"{config.dataset}-{config.held_out}-{config.image_size}px-{config.pixels}-{parts.hash}"
        path = self.folder / "weak_labels" / f"{of}.npz"
        try:
            with np.load(path) as kept:
                return {form: _unpacked(kept, form) for form in FORMS}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            made = weak_labels(data.images[parts.train], config.split_seed, self.device)
        arrays = {f"{form}/{key}": array for form, clusters in made.items() for key, array in _packed(clusters).items()}
        write_atomically(path, lambda p: np.savez(p, **arrays))
        return made

    def write_runs(self) -> pd.DataFrame:
        """Rebuild runs.csv from the folders of all jobs that are done: one tidy row a number. Returns it.

        epoch_rule: `last`, the headline, or `best_on_test`: the epoch whose AUC on the test set is the highest, which nobody
        without the test's labels could pick.
        """
        rows = []
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".runs.lock"):  # else who looked first and wrote last loses what was done in between
            for folder in sorted((self.folder / "jobs").glob("*/")):
                try:
                    job = Job(Config(**json.loads((folder / "config.json").read_text())))
                except (OSError, ValueError, TypeError):
                    continue
                if job.id == folder.name and (run := self.find(job)):
                    rows += _rows(run)
            table = pd.DataFrame(rows, columns=RUNS_COLUMNS)
            write_atomically(self.folder / "runs.csv", lambda p: table.to_csv(p, index=False))
        return table

    def made(self, path: Path, runs: Iterable[Run]) -> None:
        """Say beside a figure or table, in a JSON, what it was made of: profile, jobs, commit, versions."""
        about = {"profile": self.profile, "jobs": [run.job.id for run in runs], **provenance()}
        write_atomically(path.with_suffix(".json"), lambda p: p.write_text(json.dumps(about, indent=2) + "\n"))

    def is_made(self, path: Path, jobs: Iterable[Job]) -> bool:
        """Whether a figure or table is there and was made of these jobs."""
        try:
            about = json.loads(path.with_suffix(".json").read_text())
            return path.exists() and about["jobs"] == [job.id for job in jobs]
        except (OSError, ValueError, KeyError, TypeError):
            return False

    @one_thread()
    def _train(self, job: Job, folder: Path, callbacks: Iterable[Callback]) -> Run:
        config, run = job.config, Run(job, folder)
        data, parts = prepare(config)
        images, y = data.images[parts.train], sub_classes(data, *config.outside)[parts.train]
        write_atomically(folder / "config.json", lambda p: p.write_text(json.dumps(as_dict(config), indent=2) + "\n"))
        title = " ".join(job.id.split("-")[:-1])
        if config.method in RIVALS:
            rival = RIVALS[config.method](config, self.device).fit(images, folder=folder, title=title)
            history, state, precision = rival.history, rival.state_dict(), "float32"
            arrays, measured = evaluate_rival(rival, data, parts)
            self._save_trained(folder, history, state)
        else:
            clusters = self.weak_labels(config) if config.dataset != "color_mnist" else {}
            trained_with = next(iter(clusters.values()), None)
            if config.labels == "weak":
                measured = {"classes": len(y.unique())}
                for form, suffix in zip(FORMS, ("", "_as_written"), strict=True):
                    found = clusters[form]
                    measured |= {f"clusters{suffix}": found.k, f"purity{suffix}": purity(found.labels, y)}
                y = trained_with.labels
            else:
                measured = {}
            if is_trained(run):  # only what was measured is lost, and made again
                precision = _noted(run, "precision", "unknown")
            else:
                measure, kind = each_epoch(config, data, parts), DEPARTURES.get(config.variant, Trainer)
                trainer = train(config, images, y, folder, self.device, self.precision, callbacks, title, measure, kind)
                self._save_trained(folder, trainer.history, trainer.model.state_dict())
                precision = trainer.precision
            model = run.model().to(self.device)
            arrays, found = evaluate(model, config, data, parts, y, trained_with and trained_with.labels)
            measured |= found
        write_atomically(folder / "test.npz", lambda p: np.savez(p, **arrays))
        about = {
            "id": job.id,
            "classes": data.classes,
            "inference_us": measured.pop("inference_us"),  # a time, not a result: it differs from run to run
            "metrics": measured,
            "split": parts.hash,
            "images": {"train": len(parts.train), "held_back": len(parts.held_back), "test": len(parts.test)},
            **({"weak_labels": _about(clusters)} if config.labels == "weak" else {}),
            "device": self.device,
            "precision": precision,
            "threads": torch.get_num_threads(),
            "seconds": round(float(run.losses.get("seconds", pd.Series(dtype=float)).sum()), 1),
            **provenance(),
            "sha256": {name: sha256(folder / name) for name in FILES if name != "run.json"},
        }
        write_atomically(folder / "run.json", lambda p: p.write_text(json.dumps(about, indent=2) + "\n"))
        for checkpoint in checkpoints(folder):
            checkpoint.unlink()
        return Run(job, folder)

    @staticmethod
    def _save_trained(folder: Path, history: list[dict], state: dict[str, Tensor]) -> None:
        table = pd.DataFrame(history, index=pd.RangeIndex(1, len(history) + 1, name="epoch"))
        state = {name: tensor.contiguous().cpu() for name, tensor in state.items()}
        write_atomically(folder / "losses.csv", table.to_csv)
        write_atomically(folder / "weights.safetensors", lambda p: save_file(state, p))


@dataclass(frozen=True)
class View:
    """A figure or a table: how it is made of runs, and the jobs whose runs a study gives it."""

    make: Callable[[list[Run]], object]
    jobs: Callable[[Study], list[Job]]


RUNS_COLUMNS = [
    *("dataset", "held_out", "class", "method", "variant", "labels", "configuration", "width", "epochs", "seed"),
    *("epoch_rule", "epoch", "metric", "value", "job"),
]


def _rows(run: Run) -> list[tuple]:
    c = run.config
    held_out = "diseased" if c.held_out < 0 else run.classes[c.held_out]
    about = (c.dataset, c.held_out, held_out, c.method, c.variant, c.labels, configuration(c), c.width, c.epochs, c.seed)
    about_run = run.about
    numbers = {**run.metrics, "inference_us": about_run["inference_us"], "training_seconds": about_run["seconds"]}
    numbers["training_images"] = about_run["images"]["train"]
    rows = [(*about, "last", c.epochs, metric, value, run.job.id) for metric, value in numbers.items()]
    if "auc" in run.losses:
        best = int(run.losses["auc"].idxmax())
        seen = [name for name in ("auc", "normal_accuracy") if name in run.losses]
        rows += [(*about, "best_on_test", best, name, run.losses.loc[best, name], run.job.id) for name in seen]
    return rows


def _noted(run: Run, key: str, otherwise: str) -> str:
    try:
        return run.about[key]
    except (OSError, ValueError, KeyError, TypeError):
        return otherwise


def _about(clusters: dict[str, WeakLabels]) -> dict:
    silhouette = {form: found.silhouette for form, found in clusters.items()}
    return {"network": next(iter(clusters.values())).network, "silhouette": silhouette}


def _packed(clusters: WeakLabels) -> dict[str, np.ndarray]:
    tried, silhouette = zip(*clusters.silhouette.items(), strict=True)
    labels = clusters.labels.numpy()
    return dict(labels=labels, k=clusters.k, tried=tried, silhouette=silhouette, network=clusters.network)


def _unpacked(kept, form: str) -> WeakLabels:
    arrays = {key: kept[f"{form}/{key}"] for key in ("labels", "k", "tried", "silhouette", "network")}
    silhouette = dict(zip(arrays["tried"].tolist(), arrays["silhouette"].tolist(), strict=True))
    return WeakLabels(torch.from_numpy(arrays["labels"]), int(arrays["k"]), silhouette, str(arrays["network"]))


def _is_locked(path: Path) -> bool:
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def resolve_precision(precision: str, profile: str, device: str) -> str:
    """auto is float32, so that a profile gives the same numbers everywhere, but for laptop and paper on a CPU: there it is
    bfloat16 where a short trial finds it faster. A processor without it would be several times slower.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise ConfigError(f"no precision {precision!r}: choose from auto, float32, bfloat16")
    if precision != "auto":
        return precision
    return "bfloat16" if profile in ("laptop", "paper") and device == "cpu" and _bfloat16_pays() else "float32"


@functools.cache
def _bfloat16_pays() -> bool:
    x = torch.randn(64, 64, 16, 16).contiguous(memory_format=torch.channels_last)
    convolution = torch.nn.Conv2d(64, 128, 4, stride=2, padding=1).to(memory_format=torch.channels_last)

    def seconds(enabled: bool) -> float:
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            convolution(x).sum().backward()
        return time.perf_counter() - start

    both = [(seconds(True), seconds(False)) for _ in range(6)][1:]
    return min(b for b, _ in both) < 0.8 * min(f for _, f in both)


def resolve_device(device: str, profile: str) -> str:
    """auto is the CPU for smoke and quick, so that they run alike everywhere, and else a CUDA device where there is one."""
    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return "cpu" if profile in ("smoke", "quick") or not has["cuda"] else "cuda"
    if device not in has:
        raise ConfigError(f"no device {device!r}: choose from auto, {', '.join(has)}")
    if not has[device]:
        raise ConfigError(f"this machine has no {device} device that PyTorch can use: try --device auto")
    return device
