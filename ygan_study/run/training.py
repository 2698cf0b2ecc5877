"""Training a job into its folder: from its last checkpoint, if any; sealed when it is whole."""

import json
import traceback
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout
from safetensors.torch import save_file
from torch import Tensor

from ygan_core.checkpoints import checkpoints, write_atomically
from ygan_core.config import ConfigError
from ygan_core.data import DataError, Dataset, Split, sub_classes
from ygan_core.fit import Callback
from ygan_study.engine.precision import convolutions_in
from ygan_study.engine.threads import one_thread
from ygan_study.measure.evaluation import Facts, each_epoch, evaluate, evaluate_baseline
from ygan_study.methods import method_of, train, trainer_of
from ygan_study.methods.weak_labels import FORMS
from ygan_study.plan.images import prepare
from ygan_study.plan.jobs import Job
from ygan_study.plan.settings import Settings
from ygan_study.run.checksums import SUMS, is_unchanged, seal
from ygan_study.run.folder import (
    AVERAGED,
    LAST,
    Run,
    holds_another,
    in_a_line,
    read,
    save_facts,
)
from ygan_study.run.provenance import provenance
from ygan_study.run.store import Study

# What run.json says of the networks: it stays where only the facts are made again.
OF_NETWORKS = ("precision", "device", "gpu", "inference_us")
OF_NETWORKS += ("commit", "versions", "machine", "processor")
COSINE = next(iter(FORMS))  # the clusters that are trained with
# No memory or no disk, now: what was trained is not at fault.
PASSING = (MemoryError, torch.OutOfMemoryError, OSError)


class JobFailed(RuntimeError):
    """A job that failed, now or before; the message names its log."""


def run_job(
    study: Study,
    job: Job,
    callbacks: Iterable[Callback] = (),
    wait: bool = True,
    anew: bool = False,
) -> Run | None:
    """The run of a job: loaded where it is done, else trained. Rebuilds runs.csv where it trained.

    Where another process is at it: waits for that, or returns None. anew: a record without weights
    does not count as done. Raises JobFailed, also for a job that failed before; DataError or
    ConfigError where its data or its settings do not do.
    """
    folder = study.path(job)
    if done := study.find(job, anew):
        return done
    folder.mkdir(parents=True, exist_ok=True)
    lock, log = FileLock(folder / ".lock"), folder / "error.txt"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not wait:
            return None
        print(f"{job.id}: another process is training it; waiting for it", flush=True)
        lock.acquire()
    try:
        if log.exists():
            raise JobFailed(f"{job.id} failed before ({log}): --retry tries again")
        if done := study.trained(job):
            return done
        if (other := _job_in(folder)) not in (None, job):
            raise JobFailed(holds_another(folder, other))
        with one_thread(), convolutions_in("float32"):  # a Trainer sets its own
            done = _train(study, job, folder, callbacks)
    except (JobFailed, DataError, ConfigError):
        raise
    except PASSING as error:
        raise JobFailed(
            f"{job.id}: {in_a_line(error)}: the same command goes on from the last epoch that was "
            "saved"
        ) from error
    except Exception as error:
        text = f"{traceback.format_exc()}\n{json.dumps(provenance())}\n"
        write_atomically(log, lambda p: p.write_text(text))
        raise JobFailed(f"{job.id}: {in_a_line(error)} ({log})") from error
    finally:
        lock.release()
    study.write_runs()
    return done


def run_all(study: Study, jobs: Iterable[Job]) -> list[Run]:
    """The runs of jobs, trained where they are missing. One that fails is named and left out.

    Raises JobFailed, DataError or ConfigError where none is left.
    """
    found, failed = [], None
    for job in jobs:
        try:
            found.append(run_job(study, job))
        except (JobFailed, DataError, ConfigError) as error:
            failed = error
            print(error, flush=True)
    if failed and not found:
        raise failed
    return found


def _train(study: Study, job: Job, folder: Path, callbacks: Iterable[Callback]) -> Run:
    data, parts = prepare(job.config)
    _write_json(folder / "config.json", job.config.as_json())
    sizes = {part: len(getattr(parts, part)) for part in ("train", "held_back", "test")}
    about = {"id": job.id, "classes": data.classes, "split": parts.hash, "images": sizes}
    how = _baseline if method_of(job.config).is_baseline else _ygan
    facts, found = how(study, job, folder, data, parts, callbacks)
    for weights, arrays in facts.items():
        save_facts(folder / f"{weights}.npz", arrays)
    seconds = float(pd.read_csv(folder / "losses.csv")["seconds"].sum())
    _write_json(folder / "run.json", {**about, **found, "seconds": round(seconds, 1)})
    seal(folder)
    for checkpoint in checkpoints(folder):
        checkpoint.unlink()
    return read(folder, job)


def _baseline(
    study: Study, job: Job, folder: Path, data: Dataset, parts: Split, _
) -> tuple[dict[str, Facts], dict]:
    """Train a baseline: its facts, and what run.json says of it."""
    baseline = trainer_of(job.config)(job.config, study.device)
    baseline.fit(data.images[parts.train], folder=folder, title=_title(job))
    _save_losses(folder, baseline.history)
    _save_weights(folder, LAST, baseline.state_dict())
    facts, microseconds = evaluate_baseline(baseline, data, parts)
    where = {"precision": "float32", **_where(study)}
    return {LAST: facts}, {**where, "inference_us": {LAST: microseconds}}


def _ygan(
    study: Study, job: Job, folder: Path, data: Dataset, parts: Split, callbacks
) -> tuple[dict[str, Facts], dict]:
    """Train Y-GAN or a classifier: the facts with both weights, and what run.json says of it."""
    config, images = job.config, data.images[parts.train]
    truth = sub_classes(data, *config.outside)[parts.train]
    weak = config.labels == "weak"
    # Eq. 17 has the clusters' means also where the true classes are trained on.
    scored_by_clusters = (
        config.dataset != "color_mnist" and config.stand_in < 0 and config.method != "strong"
    )
    clusters = study.weak_labels(config) if weak else {}
    y = clusters[COSINE].labels if weak else truth
    about = _networks_in(folder, job, parts.hash)
    if not about:
        trainer = train(
            config,
            images,
            y,
            folder,
            study.device,
            study.precision,
            callbacks=callbacks,
            title=_title(job),
            measure=each_epoch(config, data, parts),
        )
        about = {"precision": trainer.precision, **_where(study)}
        _save_weights(folder, AVERAGED, trainer.averaged.module.state_dict())
        _save_weights(folder, LAST, trainer.model.state_dict())
        _save_losses(folder, trainer.history)
    if scored_by_clusters and not clusters:  # after the training: a GPU would wait for minutes
        clusters = study.weak_labels(config)
    of_clusters = clusters[COSINE].labels if clusters else None
    facts, microseconds = {}, {}
    for weights in (LAST, AVERAGED):
        model = Run(job, folder, weights).model().to(study.device)
        found = evaluate(model, config, data, parts, y, of_clusters)
        facts[weights], microseconds[weights] = found
        if weak:
            made = {f"clusters_{form}": clusters[form].labels for form in FORMS}
            made["train_class"] = truth
            facts[weights] |= {name: a.numpy().astype(np.int16) for name, a in made.items()}
    about = {"inference_us": microseconds, **about}
    if weak:
        tried, first = {form: clusters[form].silhouette for form in FORMS}, clusters[COSINE]
        about["weak_labels"] = {"network": first.network, "side": first.side, "silhouette": tried}
    return facts, about


def _job_in(folder: Path) -> Job | None:
    """The job whose settings lie in a folder, unless it was damaged or is of an older version."""
    try:
        job = Job(Settings(**json.loads((folder / "config.json").read_text())))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return job if not (folder / SUMS).exists() or is_unchanged(folder, "config.json") else None


def _where(study: Study) -> dict:
    """What run.json says of where a network was trained."""
    gpu = {"gpu": torch.cuda.get_device_name()} if study.device == "cuda" else {}
    return {"device": study.device, **gpu, **provenance()}


def _networks_in(folder: Path, job: Job, split: str) -> dict:
    """What run.json says of the trained networks in a folder; {} where they have to be trained.

    They need not be where only facts were lost or damaged: then these alone are made again.
    """
    if not (folder / SUMS).exists():  # not sealed yet: a training that was stopped goes on
        return {}
    files = ("last.safetensors", "averaged.safetensors", "losses.csv", "run.json")
    if is_unchanged(folder, *files):
        about = json.loads((folder / "run.json").read_text())
        if about["id"] == job.id and about["split"] == split:
            return {key: about[key] for key in OF_NETWORKS if key in about}
    print(f"{folder}: what was trained is damaged, or of other data; trained anew", flush=True)
    return {}


def _save_losses(folder: Path, history: list[dict]) -> None:
    table = pd.DataFrame(history, index=pd.RangeIndex(1, len(history) + 1, name="epoch"))
    write_atomically(folder / "losses.csv", table.to_csv)


def _save_weights(folder: Path, weights: str, state: dict[str, Tensor]) -> None:
    state = {name: tensor.contiguous().cpu() for name, tensor in state.items()}
    write_atomically(folder / f"{weights}.safetensors", lambda p: save_file(state, p))


def _write_json(path: Path, content: dict) -> None:
    write_atomically(path, lambda p: p.write_text(json.dumps(content, indent=2) + "\n"))


def _title(job: Job) -> str:
    return " ".join(job.id.split("-")[:-1])
