"""Records: the part of a job's folder that is small enough for git, under results/<profile>/records/<id>/.

    python -m ygan_core.study records --profile laptop

A record holds config, losses and run.json, and of each test image index, label and the headline's score, with the last and with
the averaged weights. Other scores' AUCs, and what follows from latents and networks, stand as numbers in its run.json. The
record of a cell that pictures show also has the networks, their convolutions in half precision, and latents of those images
that the starter pack has too, SHOWN of a class at most. A record is never written again once it is there.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from ygan_core import scores
from ygan_core.baselines import BASELINES
from ygan_core.checkpoints import write_atomically
from ygan_core.data import load
from ygan_core.study.measure.evaluation import Facts
from ygan_core.study.run.checksums import SUMS, seal
from ygan_core.study.run.store import Run, Study, read

SHOWN = 250  # images a class whose latents are kept: those that the maps draw
KEPT = ("index", "label", "anomalous", "in_test", "colour", "right", "calibration", "train_class")  # and clusters, the headline
TENS = ("mnist", "fmnist", "cifar10")


def write_record(study: Study, run: Run) -> Run:
    """Put a finished run under results/<profile>/records/, and return it as it is read from there. Raises MissingWeights."""
    folder = study.root / "records" / run.job.id
    if (folder / SUMS).exists():
        return read(folder, run.job)
    folder.mkdir(parents=True, exist_ok=True)
    about = {**run.about, "numbers": {}, "batch_statistics": {}}
    shown = is_shown(study, run)
    for weights in run.kinds:
        own = run.at(weights)
        facts = _small(own.test, own.score)
        if shown:
            facts |= _save_networks(own, folder)
        write_atomically(folder / f"{weights}.npz", lambda p, f=facts: np.savez_compressed(p, **f))
        about["numbers"][weights] = own.metrics
        if run.config.dataset in TENS and run.config.method not in BASELINES and run.config.score == "s":
            about["batch_statistics"][weights] = [[*setting, auc] for setting, auc in own.batch_statistics.items()]
    for name in ("config.json", "losses.csv"):
        write_atomically(folder / name, lambda p, n=name: p.write_bytes((run.folder / n).read_bytes()))
    write_atomically(folder / "run.json", lambda p: p.write_text(json.dumps(about, indent=1) + "\n"))
    seal(folder)
    return read(folder, run.job)


def is_shown(study: Study, run: Run) -> bool:
    """Whether pictures show this cell: the first training of each dataset and configuration of Y-GAN, and of Color-MNIST."""
    groups = ("color_mnist", "balanced", "paper")
    first = {}
    for job in study.select(group=groups):
        first.setdefault((job.config.dataset, job.config.name, _pictured(job.config.held_out)), job)
    return run.job in [job for (_, _, pictured), job in first.items() if pictured]


def _pictured(held_out: int) -> bool:
    return held_out in (-1, 0, 4)  # PlantVillage, Color-MNIST, and the class that quick holds out


def _small(facts: Facts, headline: str) -> Facts:
    clusters = [name for name in facts if name.startswith("clusters_")]
    return {name: _narrow(facts[name]) for name in (*KEPT, *clusters, headline) if name in facts}


def _narrow(values: np.ndarray) -> np.ndarray:
    """Whole numbers in as few bytes as they need. Scores stay float64: rounding could make ties of them."""
    if values.dtype == np.int64:
        return values.astype(np.min_scalar_type(-max(int(abs(values).max(initial=0)), 1)))
    return values


def _save_networks(run: Run, folder: Path) -> Facts:
    """Save the halved networks. The latents that they give to images of the starter pack: pictures then need no full data."""
    state = load_file(run.folder / f"{run.weights}.safetensors")
    state = {name: t.half() if t.dim() == 4 else t for name, t in state.items()}
    write_atomically(folder / f"{run.weights}.safetensors", lambda p: save_file(state, p))
    model, c = Run(run.job, folder, run.weights).model(), run.config
    starter = load("mnist" if c.dataset == "color_mnist" else c.dataset, c.image_size, "starter")
    there = np.flatnonzero(np.isin(run.test["index"], starter.index.numpy()))
    kinds = pd.DataFrame({key: run.test[key][there] for key in ("label", "anomalous")})
    rows = there[kinds.groupby(list(kinds)).cumcount().to_numpy() < SHOWN]
    here = scores.encode(model, run.images(rows))
    found = {"latent_rows": rows.astype(np.int32)}
    return found | {name: getattr(here, name).to(torch.float16).numpy() for name in ("z_s", "z_r")}
