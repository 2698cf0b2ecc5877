"""What the search of `plan/search.py` found: its log, results/search.csv, and what it chooses."""

from contextlib import suppress
from pathlib import Path

import pandas as pd
import torch
from torch.optim.swa_utils import update_bn

from ygan_core import metrics, scores
from ygan_core.checkpoints import write_atomically
from ygan_core.config import ConfigError
from ygan_study.measure.ood_scores import knn
from ygan_study.plan import search
from ygan_study.plan.images import prepare
from ygan_study.run.folder import AVERAGED, LAST, Run
from ygan_study.run.store import Study

SWAPS = 0.8  # of the hybrids show the digit of one image, and the background of the other
SWAPPED = ["swap_digit", "swap_colour"]
SHOW_NO_SWAPS = ("classifier", "strong", "whitened")  # no hybrids, or searched on another dataset
PROBED = ["probe_colour_z_s", "probe_digit_z_r", "unit_colour_z_s", "unit_digit_z_r"]
AUCS = {"auc_averaged": "AUC", "auc_last": "AUC, last", "auc_reestimated": "AUC, reestimated"}
RESIDUAL = ["auc_residual", "auc_combined"]


def report(study: Study) -> str:
    """Write the log of what is done; return what was found and what the rules choose."""
    table, file = log(study), _file(study)
    if table.empty:
        return "nothing of the search is done yet: python -m ygan_study search"
    write_atomically(file, lambda path: table.to_csv(path, index=False, float_format="%.6f"))
    left = len({job.id for job in study.jobs} - set(table["job"]))
    parts = [summary(table).to_string(float_format="{:.3f}".format, na_rep=""), f"log: {file}"]
    parts += [f"{left} of {len(study.jobs)} trainings are missing"] if left else []
    return "\n\n".join(parts)


def log(study: Study) -> pd.DataFrame:
    """A row a training of the search: candidate, images, AUC of both weights, accuracy, swaps.

    Trainings whose folders are gone are taken from the log that there is. auc_reestimated: the
    averaged weights, with running statistics estimated anew on the training images.
    """
    table = pd.concat([logged(study), pd.DataFrame([_row(run) for run in study.found()])])
    if table.empty:
        return table
    place = {job.id: place for place, job in enumerate(study.jobs)}
    order = dict(key=lambda ids: ids.map(place), kind="stable", ignore_index=True)
    return table.drop_duplicates("job", keep="last").sort_values("job", **order)


def logged(study: Study) -> pd.DataFrame:
    """The log as it stands; no rows where there is none. Raises ConfigError for a damaged one."""
    if not (path := _file(study)).exists():
        return pd.DataFrame()
    with suppress(ValueError, KeyError):  # empty, or no text; a column is gone
        known = pd.read_csv(path)
        if known[["method", "candidate", "job"]].notna().all(axis=None):
            return known
    raise ConfigError(f"{path} is damaged: restore it with git checkout, or remove it")


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A row a candidate: its mean AUCs, also with each stand-in alone; what each rule chooses."""
    keys = ["method", "candidate"]
    table = table.reindex(columns=[*table, *({*AUCS, *SWAPPED, *RESIDUAL} - {*table})])
    grouped = table.groupby(keys, sort=False)
    found = grouped[[*AUCS]].mean().rename(columns=AUCS)
    for stand_in in search.STAND_INS:
        of = table[table["stand_in"] == stand_in].groupby(keys)
        found[f"stand-in {stand_in}"] = of["auc_averaged"].mean()
    found = found.join(grouped[[*SWAPPED, *RESIDUAL]].mean())
    found["trainings"] = grouped.size()
    method, candidate = (found.index.get_level_values(key) for key in keys)
    swaps = (found[SWAPPED] >= SWAPS).all(axis=1) | method.isin(SHOW_NO_SWAPS)
    eligible = swaps & ~candidate.str.contains("average") & ~candidate.isin(search.NO_CHOICE)
    for name in ["AUC", *(f"stand-in {stand_in}" for stand_in in search.STAND_INS)]:
        best = set(found[eligible].dropna(subset=[name]).groupby("method")[name].idxmax())
        found[f"chosen by {name}"] = ["yes" if key in best else "" for key in found.index]
    return found


def _file(study: Study) -> Path:
    return study.root.parent / "search.csv"


def _row(run: Run) -> dict:
    method, candidate = run.job.group.split(", ", 1)
    c, averaged = run.config, run.at(AVERAGED)
    row = {"method": method, "candidate": candidate, "dataset": c.dataset}
    row |= {"held_out": c.held_out, "stand_in": c.stand_in}
    row |= {"auc_last": run.at(LAST).metrics["auc"], "auc_averaged": averaged.metrics["auc"]}
    if candidate.startswith(search.AVERAGED_AT.get(method, "none")):
        row["auc_reestimated"] = averaged.computed(auc_reestimated, averaged)
    if method == "whitened":
        row |= averaged.computed(aucs_with_residual, averaged)
    row["accuracy_averaged"] = averaged.metrics["normal_accuracy"]
    known = [name for name in (*SWAPPED, *PROBED) if name in averaged.metrics]
    return {**row, **{name: averaged.metrics[name] for name in known}, "job": run.job.id}


def auc_reestimated(run: Run) -> float:
    """The AUC once the running statistics of E_s are estimated anew on the training images."""
    (data, parts), model = prepare(run.config), run.model()
    update_bn((scores.to_input(batch) for batch in data.images[parts.train].split(512)), model.E_s)
    anomalous = torch.arange(len(parts.test)) >= len(parts.test_normal)
    return metrics.auc(scores.s(scores.classify(model, data.images[parts.test])), anomalous)


def aucs_with_residual(run: Run) -> dict[str, float]:
    """Does z_r help? The AUC of its kNN distance to training images, alone and beside s.

    auc_residual: of the distance r. auc_combined: of log s + log r, each brought to mean 0 and
    deviation 1 on the normal images that were left untrained.
    """
    (data, parts), model = prepare(run.config), run.model()
    sets = (parts.train, parts.calibration, parts.test)
    train, normal, test = (scores.encode(model, data.images[part]) for part in sets)
    n, both = len(normal.z_r), [normal.logits, test.logits]
    r = knn(train.z_r, torch.cat([normal.z_r, test.z_r]))
    logs = (scores.s(torch.cat(both)).log(), r.log())
    combined = sum((values - values[:n].mean()) / values[:n].std() for values in logs)
    anomalous = torch.arange(len(parts.test)) >= len(parts.test_normal)
    found = {"auc_residual": r, "auc_combined": combined}
    return {name: metrics.auc(values[n:], anomalous) for name, values in found.items()}
