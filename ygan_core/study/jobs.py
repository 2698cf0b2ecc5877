"""What to train, running one, the store of what is done. A job's folder is the truth: complete files or none.

results/<profile>/jobs/<id>/   config.json  losses.csv  weights.safetensors  test.npz  run.json (written last)
"""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from ygan_core import metrics, scores
from ygan_core.config import Config, ConfigError, as_dict, color_mnist_configs
from ygan_core.data import Dataset, Split, color_mnist, load, normal_classes, split
from ygan_core.data.color import colourise, read_ground, read_ink
from ygan_core.data.datasets import REPOSITORY
from ygan_core.model import YGAN
from ygan_core.train import Callback, build, checkpoints, train, write_atomically

TRAINING_VERSION = 1  # raised when the same config gives other numbers: every job then has a new id
FILES = ("config.json", "losses.csv", "weights.safetensors", "test.npz", "run.json")


@dataclass(frozen=True)
class Job:
    """One training, named by what it is: a frozen config and TRAINING_VERSION."""

    config: Config

    @property
    def id(self) -> str:
        """Stable: dataset, class held out, configuration, seed, and a hash of the settings that are not the defaults.

        So a setting that is added later, with a default that changes nothing, leaves the ids of what is done alone.
        """
        c, default = self.config, as_dict(Config())
        settings = {key: value for key, value in as_dict(c).items() if value != default[key]}
        text = json.dumps({"version": TRAINING_VERSION, **settings}, sort_keys=True)
        return f"{c.dataset}-{c.held_out}-{c.name}-s{c.seed}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


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
        """test.npz: the images no training saw. index, label, colour, anomalous, in_test (n,); z_s, z_r (n, d); score (n,)."""
        with np.load(self.folder / "test.npz") as arrays:
            return dict(arrays)

    def images(self, rows: np.ndarray) -> Tensor:
        """The images at these rows of `test`, uint8 (len(rows), C, S, S)."""
        digits = load("mnist", self.config.image_size, self.source or self.config.source)
        places = np.searchsorted(digits.index.numpy(), self.test["index"][rows])
        return colourise(digits.images[places], torch.from_numpy(self.test["colour"][rows]))

    def model(self) -> YGAN:
        """The trained networks, float32, on the CPU, in eval mode."""
        state = load_file(self.folder / "weights.safetensors")
        state = {name: t.float() if t.is_floating_point() else t for name, t in state.items()}
        model = build(self.config, state["E_s.features.0.weight"].shape[1], len(state["C.2.bias"]))
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
        run.model()
        whole = len(pd.read_csv(run.folder / "losses.csv")) == run.config.epochs
        whole &= all(sha256(run.folder / name) == noted[name] for name in FILES[1:3] if name in noted)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError):
        whole = False
    if not whole:
        print(f"{run.folder}: what was trained is damaged; trained anew", flush=True)
    return whole


def prepare(config: Config) -> tuple[Dataset, Split]:
    """The images and the split of a job (sections 4.2 and 5)."""
    data = color_mnist(config.image_size, config.source, config.split_seed, config.images_per_class)
    return data, split(data.labels, config.held_out, config.split_seed)


def evaluate(model: YGAN, data: Dataset, parts: Split) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Scores, latents and metrics of a trained model: (the arrays of Run.test, metrics).

    auc: Eq. 12 over the balanced test set; normal_accuracy: of C on all held-back normal images;
    probe_<what>_<latent>: what a linear classifier, fitted on the training images' latents, reads off the held-back ones;
    swap_digit, swap_colour: how many hybrids D(z_s, z_r') of held-back images show the digit of z_s's image and the ground of
    z_r's. The digit is read off the ink by 5 nearest training images, so the network does not judge itself; read_digit is what
    this reader makes of the real images, the most that swap_digit can be expected to reach.
    """
    unseen = torch.cat([parts.held_back, parts.test_anomalous])
    there, here = data.take(unseen), scores.encode(model, data.images[unseen])
    anomalous = torch.arange(len(unseen)) >= len(parts.held_back)
    arrays = {
        "index": there.index,
        "label": there.labels,
        "colour": there.colours,
        "anomalous": anomalous,
        "in_test": torch.isin(unseen, parts.test),
        "z_s": here.z_s,
        "z_r": here.z_r,
        "score": scores.s(here.logits),
    }
    arrays = {name: array.numpy() for name, array in arrays.items()}

    test, normal, held_out = arrays["in_test"], ~anomalous, int(there.labels[-1])
    right = here.logits[normal].argmax(1) == normal_classes(there.labels[normal], held_out)
    measured = {
        "auc": metrics.auc(arrays["score"][test], arrays["anomalous"][test]),
        "normal_accuracy": right.double().mean().item(),
    }
    seen, learned = data.take(parts.train), scores.encode(model, data.images[parts.train])
    for what, y, y_test in (("digit", seen.labels, there.labels), ("colour", seen.colours, there.colours)):
        for latent in ("z_s", "z_r"):
            z, z_test = getattr(learned, latent), getattr(here, latent)
            measured[f"probe_{what}_{latent}"] = metrics.linear_probe(z, y, z_test[normal], y_test[normal])

    donors = torch.arange(min(1000, int(normal.sum())))
    partners = donors.roll(1)  # held-back images come in random order
    hybrids = scores.decode(model, here.z_s[donors], here.z_r[partners])
    reader = KNeighborsClassifier(5).fit(read_ink(seen.images[:10_000]), seen.labels[:10_000])
    measured["read_digit"] = float(reader.score(read_ink(there.images[donors]), there.labels[donors]))
    measured["swap_digit"] = float(reader.score(read_ink(hybrids), there.labels[donors]))
    measured["swap_colour"] = (read_ground(hybrids) == there.colours[partners]).double().mean().item()
    return arrays, measured


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
    cuda or mps; settings: overrides of Config, typed and checked. Raises ConfigError.
    """

    profile: str = "quick"
    results: str | Path | None = None
    device: str = "auto"
    settings: dict = field(default_factory=dict)

    def __post_init__(self):
        configs = color_mnist_configs(self.profile, self.settings)
        self.color_mnist_jobs = {name: Job(config) for name, config in configs.items()}
        self.folder = Path(self.results or REPOSITORY / "results").expanduser().resolve() / self.profile
        self.device = resolve_device(self.device, self.profile)

    @property
    def overrides(self) -> dict:
        """What a notebook needs beside the profile to ask for the same study."""
        return {"results": str(self.folder.parent), "device": self.device, "settings": self.settings}

    def find(self, job: Job) -> Run | None:
        """The run of a job that is done, else None: a folder with a file that is missing or damaged is not done."""
        run = Run(job, self.folder / "jobs" / job.id)
        try:
            whole = all(sha256(run.folder / name) == expected for name, expected in run.about["sha256"].items())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return run if whole else None

    def run(self, job: Job, callbacks: Iterable[Callback] = ()) -> Run:
        """The run of a job: loaded where it is done, else trained, from its last checkpoint where it has one."""
        folder = self.folder / "jobs" / job.id
        if done := self.find(job):
            return done
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"{job.id}: another process is training it; waiting for it", flush=True)
            lock.acquire()
        try:
            return self.find(job) or self._train(job, folder, callbacks)
        finally:
            lock.release()

    def color_mnist(self) -> dict[str, Run]:
        """The trainings of section 5, by configuration; the one to show first."""
        return {name: self.run(job) for name, job in self.color_mnist_jobs.items()}

    def made(self, path: Path, runs: Iterable[Run]) -> None:
        """Say beside a figure or table, in a JSON, what it was made of: profile, jobs, commit, versions."""
        about = {"profile": self.profile, "jobs": [run.job.id for run in runs], **provenance()}
        write_atomically(path.with_suffix(".json"), lambda p: p.write_text(json.dumps(about, indent=2) + "\n"))

    def is_made(self, path: Path) -> bool:
        """Whether a figure or table is there and was made of the jobs that this study asks for."""
        try:
            about = json.loads(path.with_suffix(".json").read_text())
            return path.exists() and about["jobs"] == [job.id for job in self.color_mnist_jobs.values()]
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _train(self, job: Job, folder: Path, callbacks: Iterable[Callback]) -> Run:
        config = job.config
        data, parts = prepare(config)
        write_atomically(folder / "config.json", lambda p: p.write_text(json.dumps(as_dict(config), indent=2) + "\n"))
        run = Run(job, folder)
        if not is_trained(run):  # else only what was measured is lost, and made again
            images, labels = data.images[parts.train], normal_classes(data.labels[parts.train], config.held_out)
            title = f"{config.dataset} {config.held_out} {config.label}"
            trainer = train(config, images, labels, folder, self.device, callbacks, title)
            history = pd.DataFrame(trainer.history, index=pd.RangeIndex(1, len(trainer.history) + 1, name="epoch"))
            state = {name: tensor.contiguous().cpu() for name, tensor in trainer.model.state_dict().items()}
            write_atomically(folder / "losses.csv", history.to_csv)
            write_atomically(folder / "weights.safetensors", lambda p: save_file(state, p))

        arrays, measured = evaluate(run.model().to(self.device), data, parts)
        write_atomically(folder / "test.npz", lambda p: np.savez(p, **arrays))
        about = {
            "id": job.id,
            "metrics": measured,
            "split": parts.hash,
            "images": {"train": len(parts.train), "held_back": len(parts.held_back), "test": len(parts.test)},
            "device": self.device,
            "seconds": round(float(run.losses["seconds"].sum()), 1),
            **provenance(),
            "sha256": {name: sha256(folder / name) for name in FILES if name != "run.json"},
        }
        write_atomically(folder / "run.json", lambda p: p.write_text(json.dumps(about, indent=2) + "\n"))
        for checkpoint in checkpoints(folder):
            checkpoint.unlink()
        return Run(job, folder)


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
