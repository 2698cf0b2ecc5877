"""What a worker process does, which `executors` starts.

Nothing heavy is imported before it watches its parent, which it must not outlive.
"""

import multiprocessing
import os
import threading
import time
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing.connection import Connection, wait


def work(profile: str, overrides: dict, ids: list[str], anew: bool, outcomes: Connection) -> None:
    """Go through the jobs of a study and take each that no other process has.

    outcomes: gets the id of each job and why it failed, "" where it is done.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.update(OMP_NUM_THREADS="1", TQDM_DISABLE="1")
    from tqdm import tqdm

    from ygan_study.run.store import Study

    tqdm.set_lock(threading.RLock())  # the default one is reported as leaked after a stop
    study = Study(profile, **overrides)
    known = {job.id: job for job in study.jobs}
    left = [known[job_id] for job_id in ids]
    while left:
        busy = []
        for job in left:
            why = _attempt_with_log(study, job, anew)
            if why is None:
                busy.append(job)
            else:
                outcomes.send((job.id, why))
        left = busy
        if busy:
            time.sleep(1)


def _end_with_parent() -> None:
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _attempt_with_log(study, job, anew: bool) -> str | None:
    """`attempt` to run a job; all that this process and its libraries print goes to its log.txt."""
    log = study.path(job) / "log.txt"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "a", encoding="utf-8", buffering=1) as file:
            for output in (1, 2):
                os.dup2(file.fileno(), output)
            with redirect_stdout(file), redirect_stderr(file):
                return attempt(study, job, wait=False, anew=anew)
    except OSError as error:
        return f"{job.id}: {error}"


def attempt(study, job, wait: bool = True, anew: bool = False) -> str | None:
    """Run a job: "" where it is done, else why not, in one line; None if another process has it."""
    from ygan_study.run.folder import in_a_line
    from ygan_study.run.training import JobFailed, run_job

    try:
        return "" if run_job(study, job, wait=wait, anew=anew) else None
    except JobFailed as failed:
        return str(failed)
    except Exception as error:
        return f"{job.id}: {in_a_line(error)}"
