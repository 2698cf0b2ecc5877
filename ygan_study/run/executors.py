"""Where jobs run: here one by one, in processes side by side, on a Dask cluster.

Nobody hands out the work. Every worker goes through the same list: group by group, in a group the
first seed of every held-out class before the second, and of these the costliest job first. It
takes the first one that is neither done nor locked by another; a lock ends with the process that
holds it. So a worker that is killed loses at most an epoch, which another one takes over, and any
number of workers may share a results folder.
"""

import contextlib
import logging
import multiprocessing
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
from ygan_study.run.checksums import SUMS
from ygan_study.run.costs import cost
from ygan_study.run.store import Study
from ygan_study.run.worker import attempt, work

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
    """Run what is not done, on `workers` processes or on the Dask cluster at `scheduler`.

    Returns {id: why} of what failed, and rebuilds runs.csv. workers: by default as many as
    `processes` says. anew: a record without weights is not done. Raises ConfigError where no
    scheduler answers, and ClusterGone, also where it has no worker for `patience` seconds.
    """
    todo = [job for job in jobs if not study.find(job, anew)]
    for job in todo if retry else []:
        study.forget_failure(job)
    groups = list(dict.fromkeys(job.group for job in study.jobs))
    todo.sort(key=lambda job: (groups.index(job.group), job.config.seed, -cost(job)))
    workers = min(workers or processes(study), len(todo))
    study.folder.mkdir(parents=True, exist_ok=True)
    if todo:
        print(f"{len(todo)} of {len(jobs)} jobs to do", flush=True)
    if scheduler and todo:
        outcomes = _on_dask(study, todo, scheduler, anew, patience)
    elif workers > 1:
        outcomes = _in_processes(study, todo, workers, anew)
    else:
        outcomes = ((job.id, attempt(study, job, anew=anew)) for job in todo)
    failed, left, start = {}, {job.id: cost(job) for job in todo}, time.perf_counter()
    total = sum(left.values())
    try:
        for job_id, why in outcomes:
            if left.pop(job_id, None):  # another worker may have said so before
                failed |= {job_id: why} if why else {}
                done = 1 - sum(left.values()) / total
                minutes = (time.perf_counter() - start) * (1 / done - 1) / 60
                place = f"{len(todo) - len(left)} of {len(todo)}"
                tqdm.write(f"{place}: {why or f'{job_id} done'}, about {minutes:.1f} min left")
    finally:
        study.write_runs()
    died = "the process that trained it died: run it again"
    return failed | {job_id: f"{job_id}: {died}" for job_id in left}


def _in_processes(
    study: Study, jobs: list[Job], workers: int, anew: bool
) -> Iterator[tuple[str, str]]:
    """What workers say of each job. They end when this generator or this process does."""
    tqdm.set_lock(threading.RLock())  # the default one is reported as leaked after a stop
    context, started = multiprocessing.get_context("spawn"), {}
    todo = (study.profile, study.overrides, [job.id for job in jobs], anew)
    with tqdm(total=100, unit="%", desc=f"{len(jobs)} jobs", disable=None) as bar:
        try:
            for _ in range(workers):
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=work, args=(*todo, sender))
                with _ctrl_c_blocked():
                    process.start()
                sender.close()  # the worker's alone, so that its end is seen
                started[receiver] = process
            heard = set(started)
            while heard:
                for receiver in wait(heard, timeout=1):
                    try:
                        yield receiver.recv()
                    except (EOFError, OSError):  # it ended, perhaps in the middle of a message
                        heard.remove(receiver)
                bar.update(round(100 * _progress(study, jobs)) - bar.n)
        finally:
            for process in started.values():
                process.kill()
                process.join()


@contextlib.contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """A process that starts inside never hears Ctrl-C: it ends when its parent does."""
    if not hasattr(signal, "pthread_sigmask"):  # under Windows
        yield
        return
    resource_tracker.ensure_running()  # it comes with the first process, and unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _progress(study: Study, jobs: list[Job]) -> float:
    """The share of jobs that is done, by their newest checkpoints."""

    def done(job: Job) -> float:
        folder = study.path(job)
        epochs = [epoch_of(path) for path in checkpoints(folder)[-1:]]
        return float((folder / SUMS).exists()) or sum(epochs) / job.config.epochs

    return sum(cost(job) * done(job) for job in jobs) / sum(map(cost, jobs))


def _on_dask(
    study: Study, jobs: list[Job], address: str, anew: bool, patience: float
) -> Iterator[tuple[str, str]]:
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError("--scheduler needs Dask: pip install -e '.[distributed]'") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # it is said here, in one line
    try:
        client = Client(address, timeout=ANSWERS_IN)
    except (OSError, ValueError):  # ValueError: an address without a port
        raise ConfigError(f"--scheduler: no Dask scheduler answers at {address}") from None
    # `auto` is for the worker to resolve: it may have the GPU that this machine lacks.
    what = (study.profile, study.overrides | study.asked)
    try:
        left = {
            client.submit(_on_worker, *what, job.id, anew, pure=False, priority=-number): job.id
            for number, job in enumerate(jobs)
        }
        seen = time.monotonic()
        while left:
            for future in [one for one in left if one.status in ("finished", "error")]:
                job_id, failed = left.pop(future), future.status == "error"
                yield job_id, f"{job_id}: {future.exception()}" if failed else future.result()
            if _has_workers(client, address):
                seen = time.monotonic()
            elif time.monotonic() - seen > patience:
                raise ClusterGone(
                    f"{address} has had no worker for {patience:.0f} s: start one, and the same "
                    "command goes on"
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
