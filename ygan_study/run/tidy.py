"""The rows of runs.csv."""

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
TERMS = ("L_s", "L_r", "L_con")  # of losses.csv, their means over the last epoch


def tidy(run: Run, batches: bool = False) -> list[tuple]:
    """The rows of runs.csv of a run, with its weights of one kind: one tidy row a number.

    weights: last or averaged; headline: whether tables print these. epoch_rule: `last`;
    `best_on_test`, the epoch whose AUC on the test set is the highest, which cannot be known
    without the labels of the test set; or `best_sorted`, the same in batches that are sorted by
    class. batches: with the AUC in batches at test time, also where it has yet to be computed.
    """
    c, about = run.config, run.about
    held_out = "diseased" if c.held_out < 0 else run.classes[c.held_out]
    label = "" if method_of(c).is_baseline else c.configuration
    headline = run.weights == (c.headline if c.headline in run.kinds else LAST)
    settings = tuple(getattr(c, key) for key in SETTINGS)
    first = (*settings, held_out, label, about["precision"], run.weights, headline)
    images = about["images"]["train"]
    found = {**run.metrics, "training_images": images, "training_operations": run.operations}
    if run.weights == LAST:
        terms = run.losses.reindex(columns=TERMS).iloc[-1].dropna()
        found |= terms.to_dict()
    if batches or run.weights in about.get("batch_statistics", {}):
        found |= {f"{way} batches of {n}": auc for (way, n), auc in run.batch_statistics.items()}
    if clusters := about.get("weak_labels"):
        found[f"features:{clusters['network']}"] = clusters["side"]
    if about["device"] == "cpu":  # of a core; what a GPU shared with others takes is no cost
        found["inference_us"] = about["inference_us"].get(run.weights, np.nan)
        found["training_seconds"] = about["seconds"]
    rows = [(*first, "last", c.epochs, name, value, run.job.id) for name, value in found.items()]
    suffix = "" if run.weights == LAST else f"_{run.weights}"
    measured = [name for name in EACH_EPOCH if name + suffix in run.losses]
    for rule, chosen in (("best_on_test", "auc"), ("best_sorted", "auc_sorted")):
        if chosen in measured:
            best = int(run.losses[chosen + suffix].idxmax())
            there = {name: run.losses.loc[best, name + suffix] for name in measured}
            rows += [(*first, rule, best, *number, run.job.id) for number in there.items()]
    return rows
