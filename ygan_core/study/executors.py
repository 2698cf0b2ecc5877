"""Where jobs run: here one by one, in processes side by side, on a Dask cluster; and what they will cost.

Nobody hands out the work. Every worker goes through the same list, the costliest job first, and takes the first one that is
neither done nor locked by another; a lock ends with the process that holds it. So a worker that is killed loses at most an
epoch, which another one takes over, and any number of workers may share a results folder.
"""

from __future__ import annotations

import contextlib
import functools
import io
import multiprocessing
import os
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch
from joblib import cpu_count
from tqdm.auto import tqdm

from ygan_core.baselines import RIVALS
from ygan_core.checkpoints import checkpoints
from ygan_core.config import Config, ConfigError
from ygan_core.study.departures import DEPARTURES
from ygan_core.study.jobs import Job, JobFailed, Study, one_thread
from ygan_core.train import Trainer

# About how many images a class has, and the share that is trained on: for estimates alone.
IMAGES = {
    "full": {"color_mnist": 7000, "mnist": 7000, "fmnist": 7000, "cifar10": 6000, "plantvillage": 1200},
    "starter": {"color_mnist": 1000, "mnist": 1000, "fmnist": 1000, "cifar10": 500, "plantvillage": 110},
}
TRAINED_ON = 0.8 * 0.95


def images_seen(config: Config) -> float:
    """About how many images a training sees, over all epochs."""
    per_class = config.images_per_class or IMAGES[config.source][config.dataset]
    classes = 10 if config.dataset == "plantvillage" else 9
    trains = config.method not in RIVALS or RIVALS[config.method].trains
    return per_class * classes * TRAINED_ON * (config.epochs if trains else 1)


def costs(study: Study, jobs: Iterable[Job]) -> dict[str, float]:
    """What each job will take on one worker of this machine, in seconds, by id: the training, and something for the rest.

    From two steps of each kind of training that differs, on random images.
    """
    with one_thread():
        found = {}
        for job in jobs:
            like = replace(job.config, seed=0, split_seed=0, held_out=min(job.config.held_out, 0), labels="true", epochs=2)
            found[job.id] = 3 + images_seen(job.config) * _seconds_per_image(like, study.device, study.precision)
        return found


@functools.cache
def _seconds_per_image(config: Config, device: str, precision: str) -> float:
    """Of one training image in one epoch. config has two epochs, of a batch each; the second is timed."""
    batch = (
        config.batch_size if config.image_size <= 64 else 8
    )  # what is lost by small batches is little where images are large
    config = replace(config, batch_size=batch, source="full")
    channels = 1 if config.dataset in ("mnist", "fmnist") else 3
    random = torch.Generator().manual_seed(0)
    images = torch.randint(256, (batch, channels, config.image_size, config.image_size), dtype=torch.uint8, generator=random)
    with contextlib.redirect_stdout(io.StringIO()):
        if config.method not in RIVALS:
            trainer = DEPARTURES.get(config.variant, Trainer)(config, images, torch.arange(batch) % 9, device, precision)
            return [trainer.epoch()["seconds"] for _ in range(2)][-1] / batch
        start = time.perf_counter()
        rival = RIVALS[config.method](config, device).fit(images)
        if rival.trains:
            return rival.history[-1]["seconds"] / batch
        rival.score(images)
        return (time.perf_counter() - start) / batch


def run_jobs(
    study: Study, jobs: list[Job], workers: int | None = None, scheduler: str = "", retry: bool = False
) -> dict[str, str]:
    """Run what is not done, on `workers` processes or on the Dask cluster at `scheduler`. Returns {id: why} of what failed.

    workers: by default a process a core, eight at the most; one on a GPU. runs.csv is rebuilt at the end, whatever happened.
    """
    todo = [job for job in jobs if not study.find(job)]
    if not todo:
        study.write_runs()
        return {}
    workers = workers or (min(cpu_count(), 8) if study.device == "cpu" else 1)
    cost = costs(study, todo)
    for job in todo if retry else []:
        study.forget_failure(job)
    todo.sort(key=lambda job: -cost[job.id])
    total = sum(cost.values())
    share = max(total / workers, max(cost.values()))
    print(f"{len(todo)} of {len(jobs)} jobs to do, about {total / 60:.1f} minutes of one worker, {share / 60:.1f} of {workers}")
    study.folder.mkdir(parents=True, exist_ok=True)
    try:
        if scheduler:
            finished = _on_dask(study, todo, scheduler)
        elif workers > 1:
            finished = _in_processes(study, todo, workers, cost)
        else:
            finished = _here(study, todo)
        return {job_id: why for job_id, why in finished if why}
    finally:
        study.write_runs()


def _here(study: Study, jobs: list[Job]) -> Iterator[tuple[str, str]]:
    for number, job in enumerate(jobs, 1):
        print(f"[training {number} of {len(jobs)}] {job.id}", flush=True)
        yield job.id, _attempt(study, job)


def _attempt(study: Study, job: Job, wait: bool = True) -> str | None:
    """ "" where the job is done, what went wrong in one line where it failed, None where another process is at it."""
    try:
        return "" if study.run(job, wait=wait) else None
    except Exception as error:
        line = (str(error).splitlines() or [""])[0]
        return line if isinstance(error, JobFailed) else f"{job.id}: {type(error).__name__}: {line}"


def _in_processes(study: Study, jobs: list[Job], workers: int, cost: dict[str, float]) -> Iterator[tuple[str, str]]:
    context = multiprocessing.get_context("spawn")  # a forked torch may hang
    outcomes = context.Queue()
    arguments = (study.profile, study.overrides, [job.id for job in jobs], outcomes)
    with _environment(OMP_NUM_THREADS="1", TQDM_DISABLE="1"):
        processes = [context.Process(target=_worker, args=arguments) for _ in range(min(workers, len(jobs)))]
        for process in processes:
            process.start()
    left, start = {job.id: job for job in jobs}, time.perf_counter()
    total = sum(cost.values())
    with tqdm(total=round(total), unit="s", desc=f"{len(jobs)} jobs", disable=None) as bar:
        try:
            while left:
                with contextlib.suppress(Exception):
                    job_id, why = outcomes.get(timeout=1)
                    if left.pop(job_id, None):
                        done = 1 - sum(cost[j] for j in left) / total
                        after = (time.perf_counter() - start) * (1 / done - 1)
                        place = f"{len(jobs) - len(left)} of {len(jobs)}"
                        bar.write(f"{place}: {why or f'{job_id} done'}, about {after / 60:.1f} min left")
                        yield job_id, why
                        continue
                bar.update(round(total - sum(cost[j] * _left(study, job) for j, job in left.items())) - bar.n)
                if not any(process.is_alive() for process in processes) and outcomes.empty():
                    for job_id, job in left.items():
                        yield job_id, "" if study.find(job) else f"{job_id}: the process that trained it died: run it again"
                    return
        finally:
            for process in processes:
                process.join(0 if left else 10)  # one that has nothing left to do cleans up after itself
                process.terminate()
                process.join()


def _worker(profile: str, overrides: dict, ids: list[str], outcomes) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    study = Study(profile, **overrides)
    known = {job.id: job for job in study.jobs}
    left = [known[job_id] for job_id in ids]
    with contextlib.suppress(KeyboardInterrupt):
        while left:
            busy = []
            for job in left:
                study.path(job).mkdir(parents=True, exist_ok=True)
                with open(study.path(job) / "log.txt", "a") as log, contextlib.redirect_stdout(log):
                    why = _attempt(study, job, wait=False)
                if why is None:
                    busy.append(job)
                else:
                    outcomes.put((job.id, why))
            left = busy
            if busy:
                time.sleep(1)


def _end_with_parent() -> None:
    """A parent that was killed cannot stop its workers: they must not train on unseen."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _left(study: Study, job: Job) -> float:
    """The part of a job that is still to do, by its newest checkpoint."""
    there = checkpoints(study.path(job))
    return 1 - int(there[-1].stem.split("-")[1]) / job.config.epochs if there else 1.0


def _on_dask(study: Study, jobs: list[Job], address: str) -> Iterator[tuple[str, str]]:
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise ConfigError("--scheduler needs Dask: pip install -e '.[distributed]'") from None
    try:
        client = Client(address, timeout=20)
    except (OSError, ValueError):  # ValueError: an address without a port
        raise ConfigError(f"--scheduler: no Dask scheduler answers at {address}") from None
    overrides = study.overrides | study.asked  # `auto` is for the worker to say: it may have the GPU that this machine lacks
    with client:
        futures = {
            client.submit(_on_worker, study.profile, overrides, job.id, pure=False, priority=-number): job.id
            for number, job in enumerate(jobs)
        }
        for number, future in enumerate(as_completed(futures), 1):
            job_id = futures[future]
            why = f"{job_id}: {future.exception()}" if future.status == "error" else future.result()
            print(f"{number} of {len(jobs)}: {why or f'{job_id} done'}", flush=True)
            yield job_id, why


def _on_worker(profile: str, overrides: dict, job_id: str) -> str:
    study = Study(profile, **overrides)
    return _attempt(study, next(job for job in study.jobs if job.id == job_id)) or ""


@contextlib.contextmanager
def _environment(**changes: str) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})
