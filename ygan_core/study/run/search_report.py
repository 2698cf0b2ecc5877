"""What the search of `plan/search.py` found: its log, and the choice by its rule."""

from __future__ import annotations

import pandas as pd

from ygan_core.checkpoints import write_atomically
from ygan_core.data.datasets import REPOSITORY
from ygan_core.study.plan import search
from ygan_core.study.run.store import Study

LOG = REPOSITORY / "results" / "search.csv"
SWAPS = 0.8  # of the hybrids show the digit of one image, and the ground of the other


def log(study: Study) -> pd.DataFrame:
    """A row a training of the search that is done: candidate, cell, AUC of both weights, accuracy, on Color-MNIST the swaps."""
    rows = []
    for run in study.found():
        method, candidate = run.job.group.split(", ", 1)
        c, averaged, last = run.config, run.at("averaged").metrics, run.at("last").metrics
        row = {"method": method, "candidate": candidate, "dataset": c.dataset, "held_out": c.held_out, "stand_in": c.stand_in}
        row |= {"auc_last": last["auc"], "auc_averaged": averaged["auc"], "accuracy_averaged": averaged["normal_accuracy"]}
        names = ("swap_digit", "swap_colour", "probe_colour_z_s", "probe_digit_z_r", "unit_colour_z_s", "unit_digit_z_r")
        rows.append(row | {name: averaged[name] for name in names if name in averaged and method == "ygan"} | {"job": run.job.id})
    return pd.DataFrame(rows)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A row a candidate: the mean AUC, with each stand-in alone too; whether its hybrids swap; whether the rule chooses it."""
    keys = ["method", "candidate"]
    grouped = table.groupby(keys, sort=False)
    found = pd.DataFrame({"AUC": grouped["auc_averaged"].mean(), "AUC, last": grouped["auc_last"].mean()})
    alone = table.pivot_table("auc_averaged", keys, "stand_in", sort=False)
    for stand_in in search.STAND_INS:
        found[f"stand-in {stand_in}"] = alone[stand_in]
    for name in ("swap_digit", "swap_colour"):
        found[name] = grouped[name].mean()
    found["cells"] = grouped.size()
    eligible = (found[["swap_digit", "swap_colour"]] >= SWAPS).all(axis=1) | (found.index.get_level_values(0) == "classifier")
    eligible &= found["cells"] == len(search.HELD_OUT) * len(search.STAND_INS)
    for name in ("AUC", *(f"stand-in {stand_in}" for stand_in in search.STAND_INS)):
        best = found[eligible].groupby("method")[name].idxmax()
        found[f"best by {name}"] = ["yes" if key in set(best) else "" for key in found.index]
    return found


def report(study: Study) -> str:
    """Write the log, results/search.csv, where the whole search is done; say what was found and what the rule chooses."""
    table = log(study)
    if table.empty:
        return "nothing of the search is done yet"
    left = len(study.jobs) - len(table)
    if not left:
        write_atomically(LOG, lambda path: table.to_csv(path, index=False, float_format="%.6f"))
    found = summary(table).to_string(float_format="{:.3f}".format)
    return f"{found}\n\n" + (f"{left} of {len(study.jobs)} trainings are missing" if left else f"log: {LOG}")
