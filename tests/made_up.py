"""What is made up: tensors, rows of runs.csv, and runs with a few facts replaced."""

from dataclasses import replace

import pandas as pd
import torch

from ygan_study.plan.jobs import Job
from ygan_study.plan.settings import TENS
from ygan_study.report.printed import class_names
from ygan_study.run.folder import Run
from ygan_study.run.tidy import RUNS_COLUMNS

DEFAULTS = dict.fromkeys(RUNS_COLUMNS, 0) | dict(
    stand_in=-1, method="ygan", variant="full", deviation="none", labels="true", pixels="all",
    width=16, epochs=4, batch_size=64, image_size=32, configuration="balanced",
    precision="float32",
)  # fmt: skip
CLASSIFIER = dict(method="classifier", configuration="classifier")
PADIM = dict(method="padim", configuration="")


def rand(*shape, seed=0, dtype=torch.float32):
    """Normal random numbers of this shape; the seed alone decides."""
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def training(dataset="mnist", held_out=4, auc=0.9, averaged=None, metrics=None, **settings):
    """The rows of one training. averaged: the AUC of averaged weights, beside the last ones."""
    c = {**DEFAULTS, "dataset": dataset, "held_out": held_out, **settings}
    names = class_names(TENS.index(dataset) + 1) if dataset in TENS else ["0"] * 9 + ["diseased"]
    c |= {"class": names[held_out]}
    c["job"] = str(c)
    found = {"last": {"auc": auc, "training_images": 1000, "training_operations": 2e14}}
    found["last"] |= metrics or {}
    if averaged is not None:
        found["averaged"] = found["last"] | {"auc": averaged}
    return [
        c | dict(weights=weights, headline=weights == "last", epoch_rule="last", epoch=c["epochs"])
        | dict(metric=name, value=value)
        for weights, numbers in found.items()
        for name, value in numbers.items()
    ]  # fmt: skip


def ten(auc, seeds=1, **settings):
    """A training of each of ten classes and each seed. auc: a number, or one of the class."""
    value = auc if callable(auc) else lambda held_out: auc + held_out / 1000
    cells = [(h, s) for h in range(10) for s in range(seeds)]
    return [training(held_out=h, auc=value(h), seed=s, **settings) for h, s in cells]


def rows_of(*trainings):
    return pd.DataFrame([row for rows in trainings for row in rows], columns=RUNS_COLUMNS)


def like(run, settings=None, **facts):
    """A run as if it had been of other settings, with these metrics, losses, test, about."""
    other = Run(Job(replace(run.config, **(settings or {}))), run.folder, run.weights)
    if "about" in facts:
        facts["about"] = run.about | facts["about"]
    other.__dict__.update({"metrics": run.metrics, "test": run.test, **facts})
    return other
