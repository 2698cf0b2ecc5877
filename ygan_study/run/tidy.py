"""The rows of runs.csv."""

from __future__ import annotations

import numpy as np

from ygan_study.methods import method_of
from ygan_study.run.folder import LAST, Run

SETTINGS = (
    *("dataset", "held_out", "stand_in", "method", "variant", "deviation", "labels", "pixels"),
    *("width", "epochs", "batch_size", "image_size", "seed", "split_seed"),
)
RUNS_COLUMNS = [
    *(*SETTINGS, "class", "configuration", "precision", "weights", "headline"),
    *("epoch_rule", "epoch", "metric", "value", "job"),
]
EACH_EPOCH = ("auc", "auc_sorted", "normal_accuracy")  # of losses.csv, for the epoch best on test


def tidy(run: Run) -> list[tuple]:
    """The rows of runs.csv of a run, with its weights of one kind: one tidy row a number.

    weights: last or averaged; headline: whether tables print these. epoch_rule: `last`, or
    `best_on_test`: the epoch whose AUC on the test set is the highest, which nobody without the
    test's labels could pick.
    """
    c, about = run.config, run.about
    held_out = "diseased" if c.held_out < 0 else run.classes[c.held_out]
    label = "" if method_of(c).is_baseline else c.configuration
    headline = run.weights == (c.headline if c.headline in run.kinds else LAST)
    settings = tuple(getattr(c, key) for key in SETTINGS)
    first = (*settings, held_out, label, about["precision"], run.weights, headline)
    images = about["images"]["train"]
    found = {**run.metrics, "training_images": images, "training_operations": run.operations}
    if about["device"] == "cpu":  # of a core; what a GPU shared with others takes is no cost
        found["inference_us"] = about["inference_us"].get(run.weights, np.nan)
        found["training_seconds"] = about["seconds"]
    rows = [(*first, "last", c.epochs, name, value, run.job.id) for name, value in found.items()]
    suffix = "" if run.weights == LAST else f"_{run.weights}"
    if f"auc{suffix}" in run.losses:
        best = int(run.losses[f"auc{suffix}"].idxmax())
        rows += [
            (*first, "best_on_test", best, name, run.losses.loc[best, name + suffix], run.job.id)
            for name in EACH_EPOCH
            if name + suffix in run.losses
        ]
    return rows
