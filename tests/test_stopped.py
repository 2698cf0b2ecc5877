"""Processes that are stopped or killed, a reader or a cluster that goes: one line at the most, and the same command goes on."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ygan_core.checkpoints import checkpoints
from ygan_study.__main__ import STOPPED, main
from ygan_study.run import executors
from ygan_study.run.checksums import SUMS
from ygan_study.run.store import Study
from ygan_study.terminal import _patient

COMMAND = [sys.executable, "-m", "ygan_study"]
posix = pytest.mark.skipif(os.name != "posix", reason="numbers of files")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def run(study, *more):
    return main(
        ["run", "--profile", "smoke", "--results", str(study.root.parent), "--workers", "1", *more]
    )


def start(study, *more, **options):
    line = [*COMMAND, "run", "--profile", "smoke", "--results", str(study.root.parent), *more]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)

    def listen():  # what a shell's background or nohup starts is deaf
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    return subprocess.Popen(line, preexec_fn=listen, **pipes, **options)


def until(condition, seconds=600):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def has(pid, mask, number):
    """Whether a signal is in a mask of a process: SigCgt has those that it handles, SigBlk those that it is deaf to."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{mask}:")[2].split()[0], 16) >> (number - 1) & 1


@linux
@pytest.mark.parametrize(
    "moment, number",
    [("importing", "SIGINT"), ("importing", "SIGHUP"), ("starting workers", "SIGINT")],
)
def test_stopped_at_any_moment_it_says_one_line_and_130(moment, number, tmp_path):
    process = start(Study("smoke", tmp_path), "--group", "baselines", "--workers", "3")
    until(lambda: has(process.pid, "SigCgt", signal.SIGTERM))  # Python itself has no handler of it
    if moment == "importing":
        time.sleep(0.2)
        assert process.poll() is None
    else:
        assert "jobs to do" in process.stdout.readline()
        until(lambda: children(process))
    os.killpg(process.pid, getattr(signal, number))  # all that the terminal started, as Ctrl-C does
    _, err = process.communicate(timeout=600)
    assert process.returncode == 130 and err == STOPPED, err


def test_stopped_twice_it_says_so_once():
    code = (
        f"import os, signal, ygan_study.terminal as m; m.take_over({STOPPED!r}); write = os.write\n"
    )
    code += "m.os.write = lambda *what: (write(*what), signal.raise_signal(signal.SIGTERM))\nsignal.raise_signal(signal.SIGTERM)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 130 and done.stderr == STOPPED, done.stderr


def test_no_worker_is_left_half_started(monkeypatch):
    order = []

    def begin(_):
        os.kill(os.getpid(), signal.SIGTERM)
        order.append("up")

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", begin)
    before = signal.signal(signal.SIGTERM, lambda *_: order.append("stopped"))
    try:
        executors._start(("smoke", {}, [], False))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert order == ["up", "stopped"]


def test_what_a_worker_and_its_libraries_print_goes_to_the_log_of_the_job(tmp_path):
    code = """
import os, sys, warnings
from ygan_study.run import training, worker
from ygan_study.run.store import Study

def loud(*_, **__):
    print("epoch 1")
    warnings.warn("Loky-backed parallel loops")
    os.write(1, b"a library\\n")
    os.write(2, b"another library\\n")

training.run_job = loud
study = Study("smoke", sys.argv[1])
worker._logged(study, study.jobs[0], anew=False)
warnings.warn("at the end")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0 and done.stdout == done.stderr == "", done.stderr
    (log,) = tmp_path.glob("smoke/jobs/*/log.txt")
    for said in (
        "epoch 1\n",
        "UserWarning: Loky-backed parallel loops",
        "a library\n",
        "another library\n",
        "at the end",
    ):
        assert said in log.read_text()


@linux
def test_sigterm_in_a_training_leaves_a_state_from_which_the_same_command_goes_on(tmp_path, capsys):
    study = Study("smoke", tmp_path, settings={"epochs": "60"})
    job = study.select(method="ganomaly")[0]
    process = start(study, job.id, "--workers", "1", "--set", "epochs=60")
    until(lambda: len(checkpoints(study.path(job))) == 2 or process.poll())
    process.terminate()
    _, err = process.communicate(timeout=600)
    assert process.returncode == 130 and err == STOPPED, err
    assert study.state(job) == "stopped" and not (study.path(job) / SUMS).exists()
    assert run(study, job.id, "--set", "epochs=60") == 0
    assert "epoch 60/60" in (out := capsys.readouterr().out) and "epoch 1/60" not in out


def children(process):
    """The worker processes that a process has started."""
    there = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [pid for pid in there if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@linux
def test_workers_end_within_two_seconds_when_the_parent_is_killed(tmp_path):
    process = start(Study("smoke", tmp_path), "--group", "baselines", "--workers", "2")
    assert "jobs to do" in process.stdout.readline()
    until(lambda: len(children(process)) == 2)
    pids = children(process)
    assert all(has(pid, "SigBlk", signal.SIGINT) for pid in pids)  # the first one too
    until(
        lambda: all(b"libtorch" in Path(f"/proc/{pid}/maps").read_bytes() for pid in pids)
    )  # in the middle of importing it
    process.kill()
    process.wait()
    time.sleep(2)
    assert not [
        pid
        for pid in pids
        if Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


@linux
@pytest.mark.parametrize("killed", ["the terminal", "all workers"])
def test_in_the_middle_of_trainings_there_is_a_line_and_no_word_of_python(killed, tmp_path):
    study = Study("smoke", tmp_path, settings={"epochs": "60"})
    jobs = study.select(method=("ganomaly", "skip_ganomaly"))
    process = start(study, *(job.id for job in jobs), "--workers", "2", "--set", "epochs=60")
    until(lambda: all(checkpoints(study.path(job)) for job in jobs) or process.poll())
    if killed == "the terminal":
        os.killpg(process.pid, signal.SIGHUP)
    else:
        for pid in children(process):
            os.kill(int(pid), signal.SIGKILL)
    _, err = process.communicate(timeout=600)
    died = {f"{job.id}: the process that trained it died: run it again" for job in jobs}
    assert set(err.strip().splitlines()) == (
        {STOPPED.strip()} if killed == "the terminal" else died
    ), err
    assert process.returncode == (130 if killed == "the terminal" else 1)


def test_a_reader_that_leaves_does_not_stop_the_work(quickest):
    study, _ = quickest
    line = [*COMMAND, "list", "--profile", "smoke", "--results", str(study.root.parent)]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process = subprocess.Popen(line, **pipes, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait() == 0
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as file:
        print("nobody", file=(stream := _patient(file)), flush=True)
        stream.detach()


def test_a_line_is_in_the_file_as_soon_as_it_is_printed(tmp_path):
    """`./run_all.sh > log` tells how far it is."""
    with open(tmp_path / "log", "w") as file:
        print("1 of 2", file=(stream := _patient(file)))
        assert (tmp_path / "log").read_text() == "1 of 2\n"
        stream.detach()


@posix
def test_closed_outputs_are_no_reason_to_fail(copied):
    study, jobs = copied
    shutil.rmtree(study.path(jobs["ganomaly"]))
    line = [
        *COMMAND,
        "run",
        "--profile",
        "smoke",
        "--results",
        str(study.root.parent),
        "--workers",
        "2",
        jobs["ganomaly"].id,
    ]
    assert (
        subprocess.run(
            line, close_fds=False, preexec_fn=lambda: os.closerange(0, 3), timeout=600
        ).returncode
        == 0
    )
    assert (
        study.find(jobs["ganomaly"])
        and "epoch 2/2" in (study.path(jobs["ganomaly"]) / "log.txt").read_text()
    )


# --- a Dask cluster that goes ---


@pytest.fixture
def cluster(free_port, tmp_path):
    """A scheduler and a worker: (address, scheduler, worker)."""
    pytest.importorskip("distributed")
    address, environment = f"tcp://127.0.0.1:{free_port}", {**os.environ, "OMP_NUM_THREADS": "1"}
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    dask = [
        sys.executable,
        "-m",
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--no-dashboard",
    ]
    one = [
        sys.executable,
        "-m",
        "distributed.cli.dask_worker",
        address,
        "--nthreads",
        "1",
        "--no-nanny",
        "--no-dashboard",
    ]
    scheduler = subprocess.Popen([*dask, "--port", str(free_port)], **quiet)
    worker = subprocess.Popen([*one, "--local-directory", str(tmp_path / "dask")], **quiet)
    yield address, scheduler, worker
    for process in (scheduler, worker):
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "killed, said",
    [("scheduler", "is gone: start it again"), ("worker", "has had no worker for 2 s")],
)
def test_a_cluster_that_goes_in_the_middle_is_one_line(killed, said, cluster, tmp_path, capfd):
    address, scheduler, worker = cluster
    study = Study("smoke", tmp_path, settings={"epochs": "60"})
    job = study.select(method="ganomaly")[0]

    def kill():
        until(lambda: checkpoints(study.path(job)))
        (scheduler if killed == "scheduler" else worker).kill()

    from distributed import Client

    with Client(address, timeout=600) as client:
        client.wait_for_workers(1, timeout=600)
    threading.Thread(target=kill).start()
    arguments = [job.id, "--set", "epochs=60"]
    assert run(study, *arguments, "--scheduler", address, "--patience", "2") == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert address in line and said in line and "the same command goes on" in line
    worker.kill()
    worker.wait()
    assert run(study, *arguments) == 0
    assert "epoch 1/60" not in capfd.readouterr().out
