"""What a worker process does. Nothing heavy is imported before it watches its parent, which it must not outlive."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import redirect_stderr, redirect_stdout

from tqdm import tqdm

PR_SET_PDEATHSIG = 1  # of linux/prctl.h


def work(profile: str, overrides: dict, ids: list[str], anew: bool, outcomes) -> None:
    """Go through the jobs of a study and take each that no other process has.

    outcomes: a pipe, for the id of each job and why it failed, "" where it is done.
    """
    _end_with_parent()
    lock_bars_here()
    from ygan_study.run.store import Study

    study = Study(profile, **overrides)
    known = {job.id: job for job in study.jobs}
    left = [known[job_id] for job_id in ids]
    while left:
        busy = []
        for job in left:
            why = _logged(study, job, anew)
            if why is None:
                busy.append(job)
            else:
                outcomes.send((job.id, why))
        left = busy
        if busy:
            time.sleep(1)


def _logged(study, job, anew: bool) -> str | None:
    """`attempt` to run a job. From here on all that this process prints, warnings and libraries too, goes to its log.txt."""
    log = study.path(job) / "log.txt"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with (
            open(log, "a", encoding="utf-8", buffering=1) as file,
            redirect_stdout(file),
            redirect_stderr(file),
        ):
            for output in (1, 2):
                os.dup2(file.fileno(), output)
            return attempt(study, job, wait=False, anew=anew)
    except OSError as error:
        return f"{job.id}: {error}"


def attempt(study, job, wait: bool = True, anew: bool = False) -> str | None:
    """Run a job: "" where it is done, what went wrong in one line where it failed, None where another process is at it."""
    from ygan_study.run.training import JobFailed, run_job

    try:
        return "" if run_job(study, job, wait=wait, anew=anew) else None
    except Exception as error:
        line = (str(error).splitlines() or [""])[0]
        return line if isinstance(error, JobFailed) else f"{job.id}: {type(error).__name__}: {line}"


def lock_bars_here() -> None:
    """Give progress bars a lock of this process alone: theirs is a semaphore, which Python reports as leaked after a stop."""
    tqdm.set_lock(threading.RLock())


def _end_with_parent() -> None:
    """From here on this process ends when its parent does."""
    if (
        sys.platform == "linux"
    ):  # the kernel sees to it, also while a library is being loaded and no thread can run
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
