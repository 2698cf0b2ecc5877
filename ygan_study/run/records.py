"""The part of a job's folder that is small enough for git, under results/<profile>/records/<id>/.

    python -m ygan_study records --profile laptop

A record holds config.json, losses.csv, run.json, and of each image of the test set the headline's
score. Which images these are stands in records/splits/, once for all records of a split. Other
scores' AUCs, and what follows from latents and networks, are numbers in its run.json. The record of
a job that pictures show also has the headline's networks, their convolutions in half precision and
without Ds, and the scores of those unseen images that the starter pack has too.
"""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.torch import load_file, save_file

from ygan_core.checkpoints import write_atomically
from ygan_core.data import load
from ygan_study.measure.evaluation import Facts
from ygan_study.plan.jobs import first_seeds, pictured, pictured_at_paper_size
from ygan_study.plan.settings import TENS
from ygan_study.run.checksums import SUMS, seal
from ygan_study.run.folder import (
    LATENTS,
    PICTURED,
    SPLITS,
    Damaged,
    Run,
    load_facts,
    read,
    save_facts,
)
from ygan_study.run.store import Study

PICTURED_PER_CLASS = 250  # images of a class that pictures show: as many as the maps draw
OF_SPLIT = ("index", "label", "anomalous", "colour")  # the same for all trainings on a split
OF_RUN = ("calibration", "train_class", "clusters_cosine", "clusters_as_written")
# Groups whose records have the scores with the last and with the averaged weights; others have
# those of the headline.
BOTH_WEIGHTS = ("color_mnist", "classifier", "balanced", "paper", "strong", "whitened")
# Of notebook 09, on TENS.
IN_BATCHES = ("classifier", "balanced", "paper", "mirrored", "public_code", "all_but_permutations")


def write_record(study: Study, run: Run) -> Run:
    """Put a finished run under results/<profile>/records/, and return it as it is read from there.

    A record that is there is kept. Raises MissingWeights, and Damaged where the record that is
    there cannot be believed.
    """
    folder = study.root / "records" / run.job.id
    if (folder / SUMS).exists():
        return read(folder, run.job)
    made = folder.with_name(f".{folder.name}")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    for name in ("config.json", "losses.csv"):
        shutil.copyfile(run.folder / name, made / name)
    for own in map(run.at, run.kinds):
        if own.weights == run.weights or run.job.group in BOTH_WEIGHTS:
            save_facts(made / f"{own.weights}.npz", small_facts(own, own.weights == run.weights))
    about = run.about | _numbers(run)
    (made / "run.json").write_text(json.dumps(about, indent=1) + "\n")
    if run.job in _pictured_jobs(study):
        _save_networks(run, made)
    seal(made, _save_split(run, folder.parent))
    shutil.rmtree(folder, ignore_errors=True)  # of a copy that was not finished
    made.rename(folder)
    return read(folder, run.job)


def small_facts(run: Run, calibration: bool = True) -> Facts:
    """The facts of the test set that are of this run alone, in the order of the index.

    calibration: with the scores of the normal images that were left untrained. Accuracy and purity
    are over more images, and stand as numbers.
    """
    kept = [name for name in OF_RUN if calibration or name != "calibration"]
    facts = {name: narrow(run.test[name]) for name in kept if name in run.test}
    return facts | {run.score: narrow(run.scores[_test_rows(run)])}


def narrow(values: np.ndarray) -> np.ndarray:
    """Numbers in as few bytes as they need: whole ones in the smallest type, scores in float32.

    Scores that rounding would make a tie are set one step apart: their order, and so every AUC,
    stays as it was.
    """
    if values.dtype.kind == "i":
        return values.astype(np.min_scalar_type(-int(abs(values).max(initial=0)) - 1))
    if values.dtype != np.float64:
        return values
    found = values.astype(np.float32)
    for lower, next_one in itertools.pairwise(np.argsort(values, kind="stable")):
        if values[next_one] == values[lower]:
            found[next_one] = found[lower]
        elif found[next_one] <= found[lower]:
            found[next_one] = np.nextafter(found[lower], np.float32(np.inf))
    return found


def has_scores_of(record: Run, run: Run) -> bool:
    """Whether all scores that a record keeps are those of another run, byte for byte."""
    pairs = [
        (small_facts(record.at(weights)), small_facts(run.at(weights)))
        for weights in record.kinds
        if record.at(weights).has_facts
    ]
    return all(np.array_equal(a[name], b[name]) for a, b in pairs for name in a)


def _numbers(run: Run) -> dict:
    """What follows from all facts and networks of a run, for its record's run.json."""
    found = {"numbers": {w: run.at(w).metrics for w in run.kinds}, "batch_statistics": {}}
    if run.config.dataset in TENS and run.job.group in IN_BATCHES:
        for own in map(run.at, run.kinds):
            aucs = own.batch_statistics.items()
            found["batch_statistics"][own.weights] = [[*setting, auc] for setting, auc in aucs]
    return found


def _pictured_jobs(study: Study) -> list:
    color_mnist = first_seeds(study.select(group="color_mnist"))
    return [*color_mnist, *pictured(study.jobs), *pictured_at_paper_size(study.jobs)]


def _test_rows(run: Run) -> np.ndarray:
    rows = np.flatnonzero(run.test["in_test"])
    return rows[np.argsort(run.test["index"][rows])]


def _save_split(run: Run, records: Path) -> Path:
    """Keep the images of a run's split, once for all records. Raises Damaged where others are."""
    rows, path = _test_rows(run), records / SPLITS / f"{run.about['split']}.npz"
    images = {name: narrow(run.test[name][rows]) for name in OF_SPLIT if name in run.test}
    if not path.exists():
        save_facts(path, images)
    kept = load_facts(path)
    if not all(np.array_equal(kept[name], images[name]) for name in images):
        raise Damaged(f"{path} has other images than {run.folder}: remove one of them")
    return path


def _save_networks(run: Run, made: Path) -> None:
    """Save the halved networks, and the scores of images of the starter pack, for pictures."""
    state = load_file(run.folder / f"{run.weights}.safetensors")
    state = {k: t.half() if t.dim() == 4 else t for k, t in state.items() if k[:3] != "Ds."}
    write_atomically(made / f"{run.weights}.safetensors", lambda p: save_file(state, p))
    test, n, c = run.test, len(run.test["index"]), run.config
    name = "mnist" if c.dataset == "color_mnist" else c.dataset
    starter = load(name, c.image_size, "starter")
    there = np.flatnonzero(np.isin(test["index"], starter.index.numpy()))
    kinds = pd.DataFrame({key: test[key][there] for key in ("label", "anomalous")})
    rows = there[kinds.groupby(list(kinds)).cumcount().to_numpy() < PICTURED_PER_CLASS]
    of_images = (name for name, fact in test.items() if len(fact) == n and name not in LATENTS)
    save_facts(made / PICTURED, {name: narrow(test[name][rows]) for name in of_images})
