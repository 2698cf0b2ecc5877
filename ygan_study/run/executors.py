"""Where jobs run: here one by one, in processes side by side, on a Dask cluster.

Nobody hands out the work. Every worker goes through the same list: group by group, in a group the first seed of every cell
before the second, and of these the costliest job first. It takes the first one that is neither done nor locked by another; a
lock ends with the process that holds it. So a worker that is killed loses at most an epoch, which another one takes over, and
any number of workers may share a results folder.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import wait

from joblib import cpu_count
from tqdm.auto import tqdm

from ygan_core.checkpoints import checkpoints, epoch_of
from ygan_core.config import ConfigError
from ygan_study.plan.jobs import Job
from ygan_study.run.costs import costs
from ygan_study.run.store import Study
from ygan_study.run.worker import attempt, lock_bars_here, work

PATIENCE = 60  # seconds that a Dask cluster may be without a worker
ANSWERS_IN = 20  # seconds, or there is no scheduler


class ClusterGone(RuntimeError):
    """The Dask cluster ended before the jobs did; the message is one line that says what to do."""


def processes(study: Study) -> int:
    """How many processes work side by side: one a core, eight at the most; one on a GPU."""
    return min(cpu_count(), 8) if study.device == "cpu" else 1


def run_jobs(
    study: Study,
    jobs: list[Job],
    workers: int | None = None,
    scheduler: str = "",
    retry: bool = False,
    anew: bool = False,
    patience: float = PATIENCE,
) -> dict[str, str]:
    """Run what is not done, on `workers` processes or on the Dask cluster at `scheduler`. Returns {id: why} of what failed.

    workers: by default as many as `processes` says. anew: a record without weights is not done. Raises
    ConfigError where no scheduler answers, and ClusterGone, also where the cluster has no worker for `patience` seconds.
    """
    todo = [job for job in jobs if not study.find(job, anew)]
    if not todo:
        study.write_runs()
        return {}
    workers = workers or processes(study)
    cost = costs(study, todo)
    for job in todo if retry else []:
        study.forget_failure(job)
    groups = list(
        dict.fromkeys(job.group for job in study.jobs)
    )  # each is whole before the next begins
    todo.sort(key=lambda job: (groups.index(job.group), job.config.seed, -cost[job.id]))
    total = sum(cost.values())
    share = max(total / workers, max(cost.values()))
    print(
        f"{len(todo)} of {len(jobs)} jobs to do, about {total / 60:.1f} minutes of one worker, {share / 60:.1f} of {workers}"
    )
    study.folder.mkdir(parents=True, exist_ok=True)
    if scheduler:
        finished = _on_dask(study, todo, scheduler, anew, patience)
    elif workers > 1:
        finished = _in_processes(study, todo, workers, cost, anew)
    else:
        finished = _here(study, todo, anew)
    try:
        return {job_id: why for job_id, why in finished if why}
    finally:
        study.write_runs()


def _here(study: Study, jobs: list[Job], anew: bool) -> Iterator[tuple[str, str]]:
    for number, job in enumerate(jobs, 1):
        print(f"[training {number} of {len(jobs)}] {job.id}", flush=True)
        yield job.id, attempt(study, job, anew=anew)


def _in_processes(
    study: Study, jobs: list[Job], workers: int, cost: dict[str, float], anew: bool
) -> Iterator[tuple[str, str]]:
    lock_bars_here()
    arguments = (study.profile, study.overrides, [job.id for job in jobs], anew)
    pipes: dict = {}
    left, start, total = {job.id: job for job in jobs}, time.perf_counter(), sum(cost.values())
    with tqdm(total=round(total), unit="s", desc=f"{len(jobs)} jobs", disable=None) as bar:
        try:
            for _ in range(min(workers, len(jobs))):
                pipes.update([_start(arguments)])
            while left and pipes:
                for pipe in wait(list(pipes), timeout=1):
                    try:
                        job_id, why = pipe.recv()
                    except EOFError:  # the worker ended
                        pipes.pop(pipe).join()
                        continue
                    if left.pop(job_id, None):
                        done = 1 - sum(cost[j] for j in left) / total
                        after = (time.perf_counter() - start) * (1 / done - 1)
                        place = f"{len(jobs) - len(left)} of {len(jobs)}"
                        bar.write(
                            f"{place}: {why or f'{job_id} done'}, about {after / 60:.1f} min left"
                        )
                        yield job_id, why
                bar.update(
                    round(total - sum(cost[j] * _left(study, job) for j, job in left.items()))
                    - bar.n
                )
            for job_id, job in left.items():
                died = f"{job_id}: the process that trained it died: run it again"
                yield job_id, "" if study.find(job, anew) else died
        finally:
            for process in pipes.values():
                process.join(
                    0 if left else 10
                )  # one that has nothing left to do cleans up after itself
                process.terminate()
                process.join()


def _start(arguments: tuple) -> tuple:
    """Start a worker; the pipe through which it says what it did, and its process."""
    context = multiprocessing.get_context("spawn")  # a forked torch may hang
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(*arguments, theirs), daemon=True)
    with (
        _environment(OMP_NUM_THREADS="1", TQDM_DISABLE="1"),
        _not_stopped_meanwhile(),
        _deaf_to_the_terminal(),
    ):
        process.start()
    theirs.close()
    return ours, process


@contextlib.contextmanager
def _not_stopped_meanwhile() -> Iterator[None]:
    """Signals that this process handles take effect afterwards: a worker that is half started would print a traceback."""
    late, handlers = [], {}
    if threading.current_thread() is threading.main_thread():  # no other may set a handler
        heard = [number for number in signal.valid_signals() if callable(signal.getsignal(number))]
        handlers = {
            number: signal.signal(number, lambda number, _: late.append(number)) for number in heard
        }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in late:
            signal.raise_signal(number)


@contextlib.contextmanager
def _deaf_to_the_terminal() -> Iterator[None]:
    """What is started in here never hears the terminal's Ctrl-C or end: it ends with its parent, which says so in one line."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    unheard = {signal.SIGINT, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, unheard)
    resource_tracker.ensure_running()  # else the first worker starts it, and Python 3.10 and 3.11 then let SIGINT through again
    signal.pthread_sigmask(signal.SIG_BLOCK, unheard)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _environment(**changes: str) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})


def _left(study: Study, job: Job) -> float:
    """The part of a job that is still to do, by its newest checkpoint."""
    there = checkpoints(study.path(job))
    return max(0.0, 1 - epoch_of(there[-1]) / job.config.epochs) if there else 1.0


def _on_dask(
    study: Study, jobs: list[Job], address: str, anew: bool, patience: float
) -> Iterator[tuple[str, str]]:
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError("--scheduler needs Dask: pip install -e '.[distributed]'") from None
    logging.getLogger("distributed").setLevel(
        logging.CRITICAL
    )  # what goes wrong is said here, in one line
    try:
        client = Client(address, timeout=ANSWERS_IN)
    except (OSError, ValueError):  # ValueError: an address without a port
        raise ConfigError(f"--scheduler: no Dask scheduler answers at {address}") from None
    overrides = (
        study.overrides | study.asked
    )  # `auto` is for the worker to say: it may have the GPU that this machine lacks
    try:
        left = {
            client.submit(
                _on_worker, study.profile, overrides, job.id, anew, pure=False, priority=-number
            ): job.id
            for number, job in enumerate(jobs)
        }
        seen = time.monotonic()
        while left:
            for future in [future for future in left if future.status in ("finished", "error")]:
                job_id = left.pop(future)
                why = (
                    f"{job_id}: {future.exception()}"
                    if future.status == "error"
                    else future.result()
                )
                print(
                    f"{len(jobs) - len(left)} of {len(jobs)}: {why or f'{job_id} done'}", flush=True
                )
                yield job_id, why
            if _has_workers(client, address):
                seen = time.monotonic()
            elif time.monotonic() - seen > patience:
                raise ClusterGone(
                    f"{address} has had no worker for {patience:.0f} s: start one, and the same command goes on"
                )
            time.sleep(0.5)
    finally:
        client.close(timeout=2)


def _has_workers(client, address: str) -> bool:
    try:
        if client.status != "running":
            raise OSError
        return bool(client.nthreads())
    except Exception:  # which one depends on the moment
        raise ClusterGone(
            f"the Dask scheduler at {address} is gone: start it again, and the same command goes on"
        ) from None


def _on_worker(profile: str, overrides: dict, job_id: str, anew: bool) -> str:
    study = Study(profile, **overrides)
    return attempt(study, next(job for job in study.jobs if job.id == job_id), anew=anew) or ""
