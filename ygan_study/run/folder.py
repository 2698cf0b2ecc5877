"""A job's folder, read as a Run: it is whole and unchanged, or it is not believed.

results/<profile>/jobs/<id>/     config.json  losses.csv  run.json  <weights>.npz  <weights>.safetensors  SHA256SUMS
                                 (written last); or, of a job that failed, error.txt
results/<profile>/records/<id>/  the part of it that is small enough for git (records.py)

<weights>: `last`, and for Y-GAN and the control `averaged`.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor

from ygan_core.config import ConfigError
from ygan_core.data.color import colourise
from ygan_core.data.datasets import DataError, load
from ygan_core.model import YGAN
from ygan_study.fresh import cached
from ygan_study.measure import batch_statistics
from ygan_study.measure.disentanglement import disentanglement
from ygan_study.measure.evaluation import OWN
from ygan_study.measure.flops import training_operations
from ygan_study.measure.numbers import numbers
from ygan_study.methods import BASELINES, trainer_of
from ygan_study.plan.images import background_only
from ygan_study.plan.jobs import Job
from ygan_study.plan.settings import Settings
from ygan_study.run.checksums import sealed, sha256, sums_of

LAST, AVERAGED = "last", "averaged"
PICTURED = "pictured.npz"  # of a record: what pictures need


class Damaged(RuntimeError):
    """A folder that is not whole, was changed, or belongs to another job; the message is one line that names it."""


class MissingWeights(RuntimeError):
    """Something was asked of a record that only a whole folder has; the message names the command that trains it."""


@dataclass(frozen=True)
class Run:
    """A job that is done, read from its folder, with the weights of one kind: last or averaged.

    source: where its images are looked up, if not where the training took them.
    """

    job: Job
    folder: Path
    weights: str = LAST
    source: str = ""

    @property
    def config(self) -> Settings:
        """What was trained."""
        return self.job.config

    def at(self, weights: str) -> Run:
        """The same training with its last, or its averaged weights."""
        return replace(self, weights=weights)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The weights that something is known of: their facts, or, of a record, their numbers alone."""
        numbers = self.about.get("numbers", {})
        return tuple(
            weights
            for weights in (LAST, AVERAGED)
            if self.at(weights).has_facts or weights in numbers
        )

    @property
    def has_facts(self) -> bool:
        """Whether the facts are there with these weights; a record may hold those of the headline's alone."""
        return (self.folder / f"{self.weights}.npz").exists()

    @functools.cached_property
    def about(self) -> dict:
        """run.json: split, classes, commit, versions, device, seconds."""
        return json.loads((self.folder / "run.json").read_text())

    @functools.cached_property
    def losses(self) -> pd.DataFrame:
        """Every term's mean by epoch, unweighted, lambda_R, and what was measured after the epoch."""
        return pd.read_csv(self.folder / "losses.csv", index_col="epoch")

    @functools.cached_property
    def test(self) -> dict[str, np.ndarray]:
        """The facts of `measure/evaluation.py`: index, label, scores, latents of every image that no training saw, (n, ...).

        A record has those of the test set alone.
        """
        with np.load(self.folder / f"{self.weights}.npz") as arrays:
            return dict(arrays)

    @functools.cached_property
    def metrics(self) -> dict[str, float]:
        """The numbers that follow from the facts (`measure/numbers.py`), on Color-MNIST also `disentanglement`.

        A record brings those along that follow from what it left out.
        """
        found = dict(self.about.get("numbers", {}).get(self.weights, {}))
        if (
            self.about.get("partial") or not self.has_facts
        ):  # partial: its facts are of a part of the test images only
            return found
        found |= cached(
            self.cache, self.hash_of("npz"), numbers, self.test, self.score, self.classes
        )
        two_latents = self.config.latents in ("dual", "split")
        if (
            self.config.dataset == "color_mnist"
            and two_latents
            and self.has_weights
            and not self.about.get("numbers")
        ):
            found |= cached(
                self.cache, self.hash_of("safetensors"), disentanglement, self.model(), self.config
            )
        return found

    @functools.cached_property
    def operations(self) -> float:
        """Floating-point operations of the whole training (`measure/flops.py`)."""
        images = self.about["images"]["train"]
        return cached(
            self.cache, f"{self.job.id} {images}", training_operations, self.config, images
        )

    @functools.cached_property
    def batch_statistics(self) -> dict[tuple[str, int], float]:
        """The AUC on the test set in each of `batch_statistics.SETTINGS`. Raises MissingWeights."""
        if kept := self.about.get("batch_statistics", {}).get(self.weights):
            return {(statistics, size): auc for statistics, size, auc in kept}
        rows = np.flatnonzero(self.test["in_test"])
        labels, anomalous = (
            torch.from_numpy(self.test[name][rows]) for name in ("label", "anomalous")
        )
        arguments = self.model(), self.images(rows), labels, anomalous
        return cached(self.cache, self.hash_of("safetensors"), batch_statistics.aucs, *arguments)

    def pictured(self) -> Run:
        """This run as pictures need it, with latents. Of a record: those unseen images that the starter pack has too.

        Raises MissingWeights of a record that has no networks of these weights.
        """
        self._need_weights()
        if not (self.folder / PICTURED).exists():
            return self
        small = replace(self, source="starter")
        with np.load(self.folder / PICTURED) as arrays:
            facts = {
                name: fact.astype(np.float32) if name in ("z_s", "z_r") else fact
                for name, fact in arrays.items()
            }
        small.__dict__.update(
            metrics=self.metrics, test={**self.test, **facts}
        )  # the numbers are those of all images
        return small

    @property
    def score(self) -> str:
        """The name of the headline's score."""
        return OWN if self.config.method in BASELINES else self.config.score

    @property
    def scores(self) -> np.ndarray:
        """The headline's score of every image in `test`, (n,)."""
        return self.test[self.score]

    @property
    def classes(self) -> tuple[str, ...]:
        """What the labels in `test` mean."""
        return tuple(self.about["classes"])

    def images(self, rows: np.ndarray) -> Tensor:
        """The images at these rows of `test`, uint8 (len(rows), C, S, S). Raises DataError where others lie in their places."""
        c = self.config
        data = load(
            "mnist" if c.dataset == "color_mnist" else c.dataset,
            c.image_size,
            self.source or c.source,
        )
        index, labels = data.index.numpy(), data.labels.numpy()
        places = np.searchsorted(index, self.test["index"]).clip(max=len(data) - 1)
        same = np.array_equal(index[places], self.test["index"]) and np.array_equal(
            labels[places], self.test["label"]
        )
        if not same or data.classes != self.classes:
            what = f"{self.job.id} was trained on another copy of {c.dataset} than lies here, so its images cannot be shown"
            raise DataError(
                f"{what}: set YGAN_DATA to the folder with that copy, or, to train anew, remove {self.folder}"
            )
        images = data.images[torch.from_numpy(places[rows])]
        if "colour" in self.test:
            images = colourise(images, torch.from_numpy(self.test["colour"][rows]).long())
        return background_only(images) if c.pixels == "background" else images

    @property
    def has_weights(self) -> bool:
        """Whether the trained networks are there; a record may lack them."""
        return (self.folder / f"{self.weights}.safetensors").exists()

    def _need_weights(self) -> None:
        if not self.has_weights:
            profile = self.folder.parent.parent.name
            command = f"python -m ygan_study run --profile {profile} --anew {self.job.id}"
            raise MissingWeights(
                f"{self.job.id} is a record without weights: `{command}` trains it"
            )

    def model(self) -> YGAN:
        """The trained networks, float32, on the CPU, in eval mode. Not for a baseline's. Raises MissingWeights."""
        self._need_weights()
        state = load_file(self.folder / f"{self.weights}.safetensors")
        state = {name: t.float() if t.is_floating_point() else t for name, t in state.items()}
        model = trainer_of(self.config).build(
            self.config, state["E_s.features.0.weight"].shape[1], len(state["C.2.bias"])
        )
        model.load_state_dict(state)
        return model.eval()

    @property
    def cache(self) -> Path:
        """Where what was computed of it is kept."""
        return self.folder.parent.parent / "cache"

    def hash_of(self, ending: str) -> str:
        """The checksum of its facts (npz) or its networks (safetensors), with its weights."""
        return sums_of(self.folder)[f"{self.weights}.{ending}"]


def read(folder: Path, job: Job | None = None, source: str = "") -> Run:
    """The run in a folder, with the headline's weights. Raises Damaged, also where it is not that of `job`."""
    try:
        sums = sums_of(folder)
        changed = [name for name, checksum in sums.items() if sha256(folder / name) != checksum]
        changed += sorted(sealed(folder) - sums.keys())
        config = Settings(**json.loads((folder / "config.json").read_text()))
        about = json.loads((folder / "run.json").read_text())
        found = Run(Job(config), folder, config.headline, source)
        needed = {
            "config.json",
            "losses.csv",
            "run.json",
            f"{LAST if source else config.headline}.npz",
        }
        _check(about)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        ConfigError,
    ) as error:
        raise Damaged(f"{folder} is not whole ({in_a_line(error)}): {_remedy(folder)}") from None
    if changed or not needed <= sums.keys():
        what = ", ".join([*changed, *sorted(needed - sums.keys())])
        raise Damaged(f"{folder} was changed ({what}): {_remedy(folder)}")
    if job and (found.job != job or about["id"] != job.id):
        raise Damaged(
            f"{folder} holds another job, {found.job.id}: move it to its own place, or remove it"
        )
    return replace(
        found, job=job or found.job, weights=found.weights if found.weights in found.kinds else LAST
    )


def _remedy(folder: Path) -> str:
    """What to do with a folder that cannot be believed. A record cannot always be trained again."""
    return (
        f"`git checkout -- {folder}` brings it back"
        if folder.parent.name == "records"
        else "remove it"
    )


def in_a_line(error: Exception) -> str:
    """An error's kind, and the first line of what it says."""
    missing = isinstance(error, FileNotFoundError) and error.filename
    what = f"no {Path(error.filename).name}" if missing else (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {what}"


def _check(about: dict) -> None:
    """Raises ValueError, KeyError or TypeError where run.json lacks what tables need, or has it in another kind."""
    amounts = [
        about["seconds"],
        *(about["images"][part] for part in ("train", "held_back", "test")),
    ]
    amounts += about["inference_us"].values()
    words = [about["id"], about["split"], about["precision"], *about["classes"]]
    if not all(isinstance(word, str) for word in words) or not about["classes"]:
        raise ValueError("run.json")
    if not all(type(number) in (int, float) and 0 <= number < float("inf") for number in amounts):
        raise ValueError("run.json")


SHOWN = (
    *("dataset", "held_out", "stand_in", "method", "variant", "deviation", "labels", "pixels"),
    *("width", "epochs", "batch_size", "image_size", "seed", "split_seed"),
)
RUNS_COLUMNS = [
    *(*SHOWN, "class", "configuration", "precision", "weights", "headline"),
    *("epoch_rule", "epoch", "metric", "value", "job"),
]


def tidy(run: Run, batches: bool = False) -> list[tuple]:
    """The rows of runs.csv that a run gives, with its weights of one kind.

    headline: whether tables print these weights. batches: with the AUC in batches at test time, also
    where it is not kept, and has yet to be computed from the networks.
    """
    c, about = run.config, run.about
    held_out = "diseased" if c.held_out < 0 else run.classes[c.held_out]
    label = "" if c.method in BASELINES else c.configuration
    headline = run.weights == (c.headline if c.headline in run.kinds else LAST)
    shown = (
        *(getattr(c, key) for key in SHOWN),
        held_out,
        label,
        about["precision"],
        run.weights,
        headline,
    )
    found = {
        **run.metrics,
        "training_images": about["images"]["train"],
        "training_operations": run.operations,
    }
    if batches or run.weights in about.get("batch_statistics", {}):
        found |= {f"{way} batches of {n}": auc for (way, n), auc in run.batch_statistics.items()}
    if clusters := about.get("weak_labels"):
        found[f"features:{clusters['network']}"] = clusters["side"]
    if about["device"] == "cpu":  # of a core; what a GPU shared with others takes is no cost
        found |= {
            "inference_us": about["inference_us"].get(run.weights, np.nan),
            "training_seconds": about["seconds"],
        }
    rows = [
        (*shown, "last", c.epochs, metric, value, run.job.id) for metric, value in found.items()
    ]
    suffix = "" if run.weights == LAST else f"_{run.weights}"
    measured = [n for n in ("auc", "auc_sorted", "normal_accuracy") if f"{n}{suffix}" in run.losses]
    for rule, chosen in (("best_on_test", "auc"), ("best_sorted", "auc_sorted")):
        if chosen in measured:
            best = int(run.losses[f"{chosen}{suffix}"].idxmax())
            there = {name: run.losses.loc[best, f"{name}{suffix}"] for name in measured}
            rows += [(*shown, rule, best, *number, run.job.id) for number in there.items()]
    return rows
