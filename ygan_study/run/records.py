"""Records: the part of a job's folder that is small enough for git, under results/<profile>/records/<id>/.

    python -m ygan_study records --profile laptop

A record holds config, losses and run.json, and of each image of the test set index, label and the headline's score, with the
last and with the averaged weights; of the groups in HEADLINE_ALONE with those of the headline alone. Other scores' AUCs, and
what follows from latents and networks, stand as numbers in its run.json. The record of a job that pictures show also has the
headline's networks, their convolutions in half precision, and all facts of those unseen images that the starter pack has too,
SHOWN of a class at most. A record is never written again.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.torch import load_file, save_file

from ygan_core import scores
from ygan_core.checkpoints import write_atomically
from ygan_core.data import load
from ygan_study.measure.evaluation import Facts
from ygan_study.plan.jobs import first_seeds, pictured, pictured_at_paper_size
from ygan_study.plan.settings import TENS
from ygan_study.run.checksums import SUMS, seal
from ygan_study.run.folder import PICTURED, Run, read
from ygan_study.run.store import Study

SHOWN = 250  # images a class whose latents are kept: as many as the maps draw
KEPT = (
    "index",
    "label",
    "anomalous",
    "in_test",
    "colour",
    "calibration",
    "train_class",
)  # and clusters, the headline's score
IN_BATCHES = (
    "classifier",
    "balanced",
    "paper",
    "deviations",
)  # groups whose batch statistics notebook 09 shows, on TENS
HEADLINE_ALONE = (
    "paper_rate",
    "ablations",
    "weak_labels",
    "background_only",
    "deviations",
)  # so that all records stay below 100 MB


def write_record(study: Study, run: Run) -> Run:
    """Put a finished run under results/<profile>/records/, and return it as it is read from there.

    Raises MissingWeights, and Damaged where a record is there that cannot be believed.
    """
    folder = study.root / "records" / run.job.id
    if (folder / SUMS).exists():
        return read(folder, run.job)
    folder.mkdir(parents=True, exist_ok=True)
    about = {**run.about, "numbers": {}, "batch_statistics": {}}
    for weights in run.kinds:
        own = run.at(weights)
        if weights == run.weights or run.job.group not in HEADLINE_ALONE:
            _save(folder / f"{weights}.npz", small_facts(own))
        about["numbers"][weights] = own.metrics
        if run.config.dataset in TENS and run.job.group in IN_BATCHES:
            about["batch_statistics"][weights] = [
                [*setting, auc] for setting, auc in own.batch_statistics.items()
            ]
    color_mnist = first_seeds(study.select(group="color_mnist"))
    if run.job in [
        *color_mnist,
        *pictured(study.jobs),
        *pictured_at_paper_size(study.jobs),
    ]:  # pictures show it
        _save_networks(run, folder)
    for name in ("config.json", "losses.csv"):
        write_atomically(
            folder / name, lambda p, n=name: p.write_bytes((run.folder / n).read_bytes())
        )
    write_atomically(
        folder / "run.json", lambda p: p.write_text(json.dumps(about, indent=1) + "\n")
    )
    seal(folder)
    return read(folder, run.job)


def small_facts(run: Run) -> Facts:
    """The facts of the test set, by index, with one score. Accuracy and purity are over more images, and stand as numbers."""
    test, n = run.test, len(run.test["index"])
    rows = np.flatnonzero(test["in_test"])
    rows = rows[np.argsort(test["index"][rows])]
    kept = [*KEPT, *(name for name in test if name.startswith("clusters_")), run.score]
    return {
        name: narrow(test[name][rows] if len(test[name]) == n else test[name])
        for name in kept
        if name in test
    }


def narrow(values: np.ndarray) -> np.ndarray:
    """Numbers in as few bytes as they need: whole ones in the smallest type, scores in float32.

    Scores that rounding would make a tie are set one step apart: their order, and so every AUC, stays as it was.
    """
    if values.dtype == np.int64:
        return values.astype(np.min_scalar_type(-int(abs(values).max(initial=0)) - 1))
    if values.dtype != np.float64:
        return values
    found = values.astype(np.float32)
    for before, here in itertools.pairwise(np.argsort(values, kind="stable")):
        if values[here] == values[before]:
            found[here] = found[before]
        elif found[here] <= found[before]:
            found[here] = np.nextafter(found[before], np.float32(np.inf))
    return found


def _save(path: Path, facts: Facts) -> None:
    write_atomically(path, lambda p: np.savez_compressed(p, **facts))


def _save_networks(run: Run, folder: Path) -> None:
    """Save the halved networks, and all facts of images of the starter pack: pictures then need no full data.

    The latents are those of the halved networks.
    """
    state = load_file(run.folder / f"{run.weights}.safetensors")
    state = {name: t.half() if t.dim() == 4 else t for name, t in state.items()}
    write_atomically(folder / f"{run.weights}.safetensors", lambda p: save_file(state, p))
    model, c = Run(run.job, folder, run.weights).model(), run.config
    starter = load("mnist" if c.dataset == "color_mnist" else c.dataset, c.image_size, "starter")
    there = np.flatnonzero(np.isin(run.test["index"], starter.index.numpy()))
    kinds = pd.DataFrame({key: run.test[key][there] for key in ("label", "anomalous")})
    rows = there[kinds.groupby(list(kinds)).cumcount().to_numpy() < SHOWN]
    n, here = len(run.test["index"]), scores.encode(model, run.images(rows))
    facts = {name: fact[rows] for name, fact in run.test.items() if len(fact) == n}
    facts |= {name: getattr(here, name).numpy().astype(np.float16) for name in ("z_s", "z_r")}
    _save(folder / PICTURED, {name: narrow(fact) for name, fact in facts.items()})
