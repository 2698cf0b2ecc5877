"""What the search of `plan/search.py` found: its log, and the choices by its rules."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pandas as pd
import torch
from torch.optim.swa_utils import update_bn

from ygan_core import metrics, scores
from ygan_core.checkpoints import write_atomically
from ygan_core.config import ConfigError
from ygan_study.fresh import cached
from ygan_study.measure.ood_scores import knn
from ygan_study.plan import search
from ygan_study.plan.images import prepare
from ygan_study.run.folder import Run
from ygan_study.run.store import Study

SWAPS = 0.8  # of the hybrids show the digit of one image, and the ground of the other
SWAPPED = ("swap_digit", "swap_colour")
RESIDUAL = ("auc_residual", "auc_combined")
SHOW_NO_SWAPS = (
    "classifier",
    "strong",
    "whitened",
)  # without hybrids, or searched on another dataset
PROBED = ("probe_colour_z_s", "probe_digit_z_r", "unit_colour_z_s", "unit_digit_z_r")


def log(study: Study) -> pd.DataFrame:
    """A row a training of the search that is done: candidate, cell, AUC of both weights, accuracy, on Color-MNIST the swaps.

    Trainings that the log in results/search.csv has, and whose folders are gone, are taken from there.

    auc_reestimated: the averaged weights, with running statistics estimated anew on the training images.
    """
    rows = []
    for run in study.found():
        method, candidate = run.job.group.split(", ", 1)
        c, averaged, last = run.config, run.at("averaged"), run.at("last")
        row = {
            "method": method,
            "candidate": candidate,
            "dataset": c.dataset,
            "held_out": c.held_out,
            "stand_in": c.stand_in,
        }
        row |= {"auc_last": last.metrics["auc"], "auc_averaged": averaged.metrics["auc"]}
        if candidate.startswith(search.AVERAGED_AT.get(method, "none")):
            row["auc_reestimated"] = cached(
                run.cache, averaged.hash_of("safetensors"), auc_reestimated, averaged
            )
        if method == "whitened":
            row |= cached(run.cache, averaged.hash_of("safetensors"), aucs_with_residual, averaged)
        row["accuracy_averaged"] = averaged.metrics["normal_accuracy"]
        row |= {
            name: averaged.metrics[name] for name in (*SWAPPED, *PROBED) if name in averaged.metrics
        }
        rows.append(row | {"job": run.job.id})
    table, place = pd.DataFrame(rows), {job.id: place for place, job in enumerate(study.jobs)}
    known = logged(study)
    if len(known):
        table = pd.concat([known[~known["job"].isin(table.get("job", ()))], table])
    return (
        table.sort_values("job", key=lambda ids: ids.map(place), kind="stable", ignore_index=True)
        if len(table)
        else table
    )


def logged(study: Study) -> pd.DataFrame:
    """The log as it stands; no rows where there is none. Raises ConfigError where it cannot be read."""
    if not (path := _file(study)).exists():
        return pd.DataFrame()
    with suppress(ValueError, KeyError):  # empty, or no text; a column is gone
        known = pd.read_csv(path)
        if known[["method", "candidate", "job"]].notna().all(axis=None):
            return known
    raise ConfigError(f"{path} is damaged: restore it with git checkout, or remove it")


def _file(study: Study) -> Path:
    return study.root.parent / "search.csv"


def auc_reestimated(run: Run) -> float:
    """The AUC of a run's networks once E_s's running statistics are estimated anew on the training images (`update_bn`)."""
    data, parts = prepare(run.config)
    model = run.model()
    update_bn((scores.to_input(batch) for batch in data.images[parts.train].split(512)), model.E_s)
    anomalous = torch.arange(len(parts.test)) >= len(parts.test_normal)
    return metrics.auc(scores.s(scores.classify(model, data.images[parts.test])), anomalous)


def aucs_with_residual(run: Run) -> dict[str, float]:
    """Does z_r help? The AUC of its kNN distance to training images, alone and beside s.

    auc_residual: of the distance r. auc_combined: of log s + log r, each brought to mean 0 and deviation 1 on the normal images
    that were left untrained.
    """
    data, parts, model = *prepare(run.config), run.model()
    train, normal, test = (
        scores.encode(model, data.images[part])
        for part in (parts.train, parts.calibration, parts.test)
    )
    distances = knn(train.z_r, torch.cat([normal.z_r, test.z_r]))
    doubt = scores.s(torch.cat([normal.logits, test.logits]))
    combined = sum(_standard(values.log(), len(normal.z_r)) for values in (doubt, distances))
    anomalous = torch.arange(len(parts.test)) >= len(parts.test_normal)
    found = {"auc_residual": distances, "auc_combined": combined}
    return {
        name: metrics.auc(values[len(normal.z_r) :], anomalous) for name, values in found.items()
    }


def _standard(values: torch.Tensor, first: int) -> torch.Tensor:
    """Values, by mean and deviation of the first of them."""
    return (values - values[:first].mean()) / values[:first].std()


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A row a candidate: the mean AUC, with each stand-in alone too; whether its hybrids swap; what each rule chooses."""
    keys = ["method", "candidate"]
    grouped = table.groupby(keys, sort=False)
    found = pd.DataFrame(
        {"AUC": grouped["auc_averaged"].mean(), "AUC, last": grouped["auc_last"].mean()}
    )
    alone = table.pivot_table("auc_averaged", keys, "stand_in", sort=False)
    names = ["AUC", *(f"stand-in {stand_in}" for stand_in in search.STAND_INS)]
    for name, stand_in in zip(names[1:], search.STAND_INS, strict=True):
        found[name] = alone[stand_in]
    for name in (*SWAPPED, *(name for name in RESIDUAL if name in table)):
        found[name] = grouped[name].mean()
    found["cells"] = grouped.size()
    method, candidate = (found.index.get_level_values(key) for key in keys)
    swaps = (found[list(SWAPPED)] >= SWAPS).all(axis=1) | method.isin(SHOW_NO_SWAPS)
    eligible = swaps & ~candidate.str.contains("average") & ~candidate.isin(search.NO_CHOICE)
    for name in names:
        best = set(found[eligible].dropna(subset=[name]).groupby("method")[name].idxmax())
        found[f"chosen by {name}"] = ["yes" if key in best else "" for key in found.index]
    return found


def averages(table: pd.DataFrame) -> pd.DataFrame:
    """A row a span of the averaged weights: the mean AUC over both methods, as averaged and with statistics estimated anew."""
    base = table["method"].map(search.AVERAGED_AT)
    own = table[
        [
            c == b or c.startswith(f"{b}, average")
            for c, b in zip(table["candidate"], base, strict=True)
        ]
    ]
    span = own["candidate"].str.extract(r"average (.*)")[0].fillna("0.1").rename("span")
    return own.groupby(span)[["auc_averaged", "auc_reestimated", "auc_last"]].mean()


def report(study: Study) -> str:
    """Write the log, results/search.csv, of what is done; say what was found and what the rules choose."""
    table = log(study)
    if table.empty:
        return "nothing of the search is done yet: python -m ygan_study search"
    left, file = len({job.id for job in study.jobs} - set(table["job"])), _file(study)
    write_atomically(file, lambda path: table.to_csv(path, index=False, float_format="%.6f"))
    shown = [
        each.to_string(float_format="{:.3f}".format, na_rep="")
        for each in (summary(table), averages(table))
    ]
    return "\n\n".join(
        [
            *shown,
            f"log: {file}",
            *[f"{left} of {len(study.jobs)} trainings are missing"] * bool(left),
        ]
    )
