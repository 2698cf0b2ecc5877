"""A job's folder, read as a Run: it is whole and unchanged, or it is not believed.

results/<profile>/jobs/<id>/     config.json  losses.csv  run.json  <weights>.npz
                                 <weights>.safetensors  SHA256SUMS (written last);
                                 or, of a job that failed, error.txt
results/<profile>/records/<id>/  the part of it that is small enough for git (records.py)
results/<profile>/records/splits/  the images that the records' scores are of

<weights>: `last`, and for Y-GAN and the classifiers `averaged`.
"""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor

from ygan_core import scores
from ygan_core.checkpoints import write_atomically
from ygan_core.config import ConfigError
from ygan_core.data.color import colourise
from ygan_core.data.datasets import DataError, is_healthy, load
from ygan_core.model import YGAN
from ygan_study.measure import batch_statistics
from ygan_study.measure.disentanglement import disentanglement
from ygan_study.measure.evaluation import OWN, Facts
from ygan_study.measure.flops import training_operations
from ygan_study.measure.numbers import numbers
from ygan_study.methods import method_of, trainer_of
from ygan_study.plan.images import background_only
from ygan_study.plan.jobs import Job
from ygan_study.plan.settings import Settings
from ygan_study.run.cache import cached
from ygan_study.run.checksums import SUMS, sealed, sha256, sums_of

LAST, AVERAGED = "last", "averaged"
PICTURED = "pictured.npz"  # of a record: the facts that pictures need
SPLITS = "splits"  # beside the records: index, label, anomalous and colour of the test images
LATENTS = ("z_s", "z_r")
DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ConfigError)


class Damaged(RuntimeError):
    """A folder that is not whole, was changed, or belongs to another job, named in one line."""


class MissingWeights(RuntimeError):
    """A record was asked for what only a whole folder has; the message names the command."""


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

    def at(self, weights: str) -> "Run":
        """The same training with its last, or its averaged weights."""
        return replace(self, weights=weights)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The weights whose facts are there or, of a record, whose numbers are."""
        known = self.about.get("numbers", {})
        return tuple(w for w in (LAST, AVERAGED) if self.at(w).has_facts or w in known)

    @property
    def has_facts(self) -> bool:
        """Whether the facts are there with these weights; a record may have those of one kind."""
        return (self.folder / f"{self.weights}.npz").exists()

    @property
    def has_weights(self) -> bool:
        """Whether the trained networks are there; a record may lack them."""
        return (self.folder / f"{self.weights}.safetensors").exists()

    @functools.cached_property
    def about(self) -> dict:
        """run.json: split, classes, commit, versions, device, seconds."""
        return json.loads((self.folder / "run.json").read_text())

    @functools.cached_property
    def losses(self) -> pd.DataFrame:
        """A row an epoch: the mean of each term, lambda_R, and what was measured after it."""
        return pd.read_csv(self.folder / "losses.csv", index_col="epoch")

    @functools.cached_property
    def test(self) -> Facts:
        """The facts (`measure/evaluation.py`) of every image that no training saw, (n, ...).

        index, label, scores, latents. A record has those of the test set, and one score.
        """
        facts = load_facts(self.folder / f"{self.weights}.npz")
        if "index" in facts:
            return facts
        images = load_facts(self.folder.parent / SPLITS / f"{self.about['split']}.npz")
        return {**images, "in_test": np.ones(len(images["index"]), bool), **facts}

    @functools.cached_property
    def metrics(self) -> dict[str, float]:
        """The numbers that follow from the facts, on Color-MNIST also `disentanglement`.

        A record brings those along that follow from what it leaves out.
        """
        recorded = self.about.get("numbers", {}).get(self.weights, {})
        if not self.has_facts:
            return recorded
        found = recorded | self.computed(numbers, self.test, self.score, self.classes)
        swaps = self.config.dataset == "color_mnist" and self.config.latents in ("dual", "split")
        if swaps and self.has_weights and not recorded:
            found |= self.computed(disentanglement, self.model(), self.config)
        return found

    @functools.cached_property
    def operations(self) -> float:
        """Floating-point operations of the whole training (`measure/flops.py`)."""
        images = self.about["images"]["train"]
        key = f"{self.job.id} {images}"
        return cached(self.cache, key, training_operations, self.config, images)

    @functools.cached_property
    def batch_statistics(self) -> dict[tuple[str, int], float]:
        """The AUC on the test set in each of `batch_statistics.SETTINGS`. Raises MissingWeights."""
        if kept := self.about.get("batch_statistics", {}).get(self.weights):
            return {(statistics, size): auc for statistics, size, auc in kept}
        rows = np.flatnonzero(self.test["in_test"])
        known = (torch.from_numpy(self.test[name][rows]) for name in ("label", "anomalous"))
        return self.computed(batch_statistics.aucs, self.model(), self.images(rows), *known)

    def pictured(self) -> "Run":
        """This run as pictures need it, with latents. Of a record: the images of the starter pack.

        Raises MissingWeights where there are no networks of these weights.
        """
        self._need_weights()
        if not (self.folder / PICTURED).exists():
            return self
        small = replace(self, source="starter")
        facts = {**(self.test if self.has_facts else {}), **load_facts(self.folder / PICTURED)}
        small.__dict__.update(test=facts, metrics=self.metrics)  # the numbers are of all images
        facts.update(self.computed(_latents, small))
        return small

    @property
    def score(self) -> str:
        """The name of the headline's score."""
        return OWN if method_of(self.config).is_baseline else self.config.score

    @property
    def scores(self) -> np.ndarray:
        """The headline's score of every image in `test`, (n,)."""
        return self.test[self.score]

    @property
    def classes(self) -> tuple[str, ...]:
        """What the labels in `test` mean."""
        return tuple(self.about["classes"])

    @property
    def normal_classes(self) -> list[int]:
        """What C's outputs stand for: the labels of the normal classes, in order."""
        if self.config.held_out >= 0:
            return [label for label in range(len(self.classes)) if label != self.config.held_out]
        return [label for label, name in enumerate(self.classes) if is_healthy(name)]

    def images(self, rows: np.ndarray) -> Tensor:
        """The images at these rows of `test`, uint8 (len(rows), C, S, S).

        Raises DataError where the dataset that lies here has other images in their places.
        """
        c, index, label = self.config, self.test["index"], self.test["label"]
        name = "mnist" if c.dataset == "color_mnist" else c.dataset
        data = load(name, c.image_size, self.source or c.source)
        places = np.searchsorted(data.index.numpy(), index).clip(max=len(data) - 1)
        found = (data.index.numpy()[places], data.labels.numpy()[places])
        same = np.array_equal(found, (index, label))
        if not same or data.classes != self.classes:
            raise DataError(
                f"{self.job.id} was trained on another copy of {c.dataset} than lies here, so its "
                f"images cannot be shown: set YGAN_DATA to the folder with that copy, or, to train "
                f"anew, remove {self.folder}"
            )
        images = data.images[torch.from_numpy(places[rows])]
        if "colour" in self.test:
            images = colourise(images, torch.from_numpy(self.test["colour"][rows]).long())
        return background_only(images) if c.pixels == "background" else images

    def model(self) -> YGAN:
        """The trained networks, float32, on the CPU, in eval mode. Not for a baseline's.

        A record leaves Ds out, which no score needs: its weights are the initial ones. Raises
        MissingWeights.
        """
        self._need_weights()
        state = load_file(self.folder / f"{self.weights}.safetensors")
        state = {name: t.float() if t.is_floating_point() else t for name, t in state.items()}
        channels, classes = state["E_s.features.0.weight"].shape[1], len(state["C.2.bias"])
        model = trainer_of(self.config).build(self.config, channels, classes)
        initial = {k: t for k, t in model.state_dict().items() if k.startswith("Ds.")}
        model.load_state_dict(initial | state)
        return model.eval()

    def _need_weights(self) -> None:
        if not self.has_weights:
            profile = self.folder.parent.parent.name
            command = f"python -m ygan_study run --profile {profile} --anew {self.job.id}"
            raise MissingWeights(
                f"{self.job.id} is a record without weights: `{command}` trains it"
            )

    @property
    def cache(self) -> Path:
        """Where what was computed of it is kept."""
        return self.folder.parent.parent / "cache"

    def computed(self, function: Callable, *arguments):
        """function(*arguments), a function of what the folder holds, computed once and kept."""
        key = f"{sha256(self.folder / SUMS)} {self.weights}"
        return cached(self.cache, key, function, *arguments)


def read(folder: Path, job: Job | None = None) -> Run:
    """The run in a folder, with the headline's weights. Raises Damaged, also for another job's."""
    try:
        sums = sums_of(folder)
        changed = [name for name, checksum in sums.items() if sha256(folder / name) != checksum]
        changed += sorted(sealed(folder) - sums.keys())
        config = Settings(**json.loads((folder / "config.json").read_text()))
        about = json.loads((folder / "run.json").read_text())
        found = Run(Job(config), folder, config.headline)
        needed = {"config.json", "losses.csv", "run.json"}
        needed |= {f"{config.headline}.npz"} if PICTURED not in sums else set()
        changed += sorted(needed - sums.keys())
        own_id = about["id"]
    except DAMAGE as error:
        raise Damaged(f"{folder} is not whole ({in_a_line(error)}): {_remedy(folder)}") from None
    if changed:
        raise Damaged(f"{folder} was changed ({', '.join(changed)}): {_remedy(folder)}")
    if job and (found.job != job or own_id != job.id):
        raise Damaged(holds_another(folder, found.job))
    weights = found.weights if found.weights in found.kinds else LAST
    return replace(found, job=job or found.job, weights=weights)


def _remedy(folder: Path) -> str:
    """What to do with a folder that cannot be believed. A record cannot always be trained again."""
    in_git = folder.parent.name in ("records", "weights")
    return f"`git checkout -- {folder.parent}` brings it back" if in_git else "remove it"


def holds_another(folder: Path, job: Job) -> str:
    """What to say of a folder that holds this job in place of its own."""
    return f"{folder} holds another job, {job.id}: move it to its own place, or remove it"


def in_a_line(error: Exception) -> str:
    """An error's kind, and the first line of what it says."""
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"{type(error).__name__}: no {Path(error.filename).name}"
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def _latents(run: Run) -> Facts:
    """z_s and z_r of every image in `run.test`."""
    encoding = scores.encode(run.model(), run.images(np.arange(len(run.test["index"]))))
    return {name: getattr(encoding, name).numpy() for name in LATENTS}


def load_facts(path: Path) -> Facts:
    """What `save_facts` wrote."""
    with np.load(path) as arrays:
        return dict(arrays)


def save_facts(path: Path, facts: Facts) -> None:
    """Keep facts in a compressed file."""
    write_atomically(path, lambda partial: np.savez_compressed(partial, **facts))
