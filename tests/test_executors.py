"""Where jobs run: processes that are killed and started again; a Dask cluster that goes; a command
line that is stopped, or whose outputs are gone.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from processes import start, wait_for

from ygan_core.checkpoints import checkpoints
from ygan_study import command_line
from ygan_study.__main__ import STOPPED, main
from ygan_study.run import executors, training
from ygan_study.run.executors import ClusterGone, run_jobs
from ygan_study.run.store import Study

TIMES = ("inference_us", "training_seconds")  # of the metrics in runs.csv
posix = pytest.mark.skipif(os.name != "posix", reason="signals, numbers of files")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def few(study):
    return study.select(method=("ganomaly", "skip_ganomaly", "knn_pixels"))


def numbers(study):
    table = pd.read_csv(study.root / "runs.csv")
    return table[~table["metric"].isin(TIMES)].reset_index(drop=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The numbers of a few jobs, trained here one by one: (settings, numbers)."""
    settings = {"epochs": 6}
    study = Study("smoke", tmp_path_factory.mktemp("undisturbed"), settings=settings)
    assert run_jobs(study, few(study), workers=1) == {}
    return settings, numbers(study)


def written(study):
    return {path for job in few(study) for path in checkpoints(study.path(job))}


@linux
def test_killed_and_started_again_it_gives_the_same_runs_csv(tmp_path, undisturbed):
    settings, expected = undisturbed
    study = Study("smoke", tmp_path, settings=settings)
    line = ["-m", "ygan_study", "run", "--profile", "smoke", "--set", "epochs=6"]
    line += ["--results", tmp_path, "--workers", "2", *(job.id for job in few(study))]
    process = start(*line)
    wait_for(lambda: written(study) or process.poll() is not None)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [pid for pid in children if b"spawn_main" in command_of(pid)]
    assert len(workers) == 2
    process.kill()  # the parent alone: its workers have to notice
    out, err = process.communicate()
    assert "jobs to do" in out and not err
    wait_for(lambda: not any(map(command_of, workers)), seconds=10)
    # A process that ends gives up its memory first, and its locks a moment later.
    wait_for(lambda: "running" not in map(study.state, few(study)), seconds=10)
    states = [study.state(job) for job in few(study)]
    assert "stopped" in states and {*states} <= {"done", "stopped", "waiting"}
    (job, *_) = [job for job in few(study) if study.state(job) == "stopped"]
    assert "epoch 1/6" in (study.path(job) / "log.txt").read_text()  # it is printed there alone
    assert run_jobs(study, few(study), workers=1) == {}
    pd.testing.assert_frame_equal(numbers(study), expected)
    assert not written(study)  # checkpoints are gone once a job is done


def command_of(pid):
    place = Path(f"/proc/{pid}/cmdline")
    return place.read_bytes() if place.exists() else b""


@linux
def test_ctrl_c_while_workers_start_is_one_line(tmp_path):
    line = ["-m", "ygan_study", "run", "--profile", "smoke", "--workers", "2"]
    process = start(*line, "--results", tmp_path, start_new_session=True)
    process.stdout.readline()  # so many jobs to do
    time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to every process
    assert process.communicate(timeout=60)[1] == STOPPED


def test_workers_that_die_are_named_and_the_command_ends(tmp_path, monkeypatch):
    study = Study("smoke", tmp_path)
    monkeypatch.setattr(executors, "work", print)  # ends at once
    jobs = few(study)[:2]
    died = "the process that trained it died: run it again"
    assert run_jobs(study, jobs, workers=2) == {job.id: f"{job.id}: {died}" for job in jobs}


@pytest.fixture
def cluster(free_port, tmp_path):
    """A Dask scheduler and two workers: (address, workers)."""
    pytest.importorskip("distributed")
    address, environment = f"tcp://127.0.0.1:{free_port}", {**os.environ, "OMP_NUM_THREADS": "1"}
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    dask = ["-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--no-dashboard"]
    running = [start(*dask, "--port", free_port, **quiet)]
    one = ["-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"]
    one += ["--no-dashboard", "--local-directory", tmp_path / "dask"]
    running += [start(*one, **quiet) for _ in range(2)]
    yield address, running[1:]
    for process in running:
        process.kill()
        process.wait()


def kill_when(condition, process):
    def kill():
        wait_for(condition)
        process.kill()

    threading.Thread(target=kill).start()


def test_a_dask_cluster_that_loses_a_worker_then_all(cluster, tmp_path, undisturbed):
    settings, expected = undisturbed
    address, workers = cluster
    study = Study("smoke", tmp_path, settings=settings)
    kill_when(lambda: written(study), workers[0])  # in the middle of a job
    assert run_jobs(study, few(study), scheduler=address) == {}
    pd.testing.assert_frame_equal(numbers(study), expected)  # every job, and none twice
    other = Study("smoke", tmp_path, settings={**settings, "seed": 5})
    kill_when(lambda: written(other), workers[1])
    with pytest.raises(ClusterGone, match="has had no worker for 1 s: start one, and the same"):
        run_jobs(other, few(other), scheduler=address, patience=1)


def test_no_scheduler_there_is_one_clear_line(tmp_path, monkeypatch, capsys):
    pytest.importorskip("distributed")
    monkeypatch.setattr(executors, "ANSWERS_IN", 1)
    job = Study("smoke", tmp_path).select(method="knn_pixels")[0].id
    line = ["run", "--profile", "smoke", "--results", str(tmp_path), "--scheduler", "localhost"]
    assert main([*line, job]) == 2
    (said,) = capsys.readouterr().err.splitlines()[-1:]
    assert said == "--scheduler: no Dask scheduler answers at localhost"


@pytest.mark.parametrize(
    "error, is_kept", [(RuntimeError("no ink left"), True), (OSError(28, "No space left"), False)]
)
def test_a_failure_is_tried_again_when_asked_and_what_passes_always(
    error, is_kept, tmp_path, monkeypatch, capsys
):
    study, evaluate = Study("smoke", tmp_path), training.evaluate_baseline
    job, other = few(study)[:2]

    def broken(baseline, *rest):
        if baseline.config == job.config:
            raise error
        return evaluate(baseline, *rest)

    monkeypatch.setattr(training, "evaluate_baseline", broken)
    line = ["run", "--profile", "smoke", "--results", str(tmp_path), "--workers", "1"]
    line += [job.id, other.id]
    assert main(line) == 1 and study.find(other)  # the other one is done all the same
    said = capsys.readouterr()
    assert str(error) in said.err and "1 of 2 jobs done" in said.out
    assert (study.path(job) / "error.txt").exists() == is_kept
    assert (study.state(job) == "failed") == is_kept
    monkeypatch.setattr(training, "evaluate_baseline", evaluate)
    assert main(line) == is_kept and ("--retry tries again" in capsys.readouterr().err) == is_kept
    left_behind = study.path(job) / "a folder"
    left_behind.mkdir()
    assert main([*line, "--retry"]) == 0 and study.state(job) == "done"
    # from its start: what lay there may be why it failed
    assert ("epoch 1/" in capsys.readouterr().out) == is_kept == (not left_behind.exists())


def test_jobs_by_their_number_and_by_their_group(tmp_path, monkeypatch, capsys):
    study, asked = Study("smoke", tmp_path), []
    monkeypatch.setattr(command_line, "run_jobs", lambda study, jobs, **_: asked.append(jobs) or {})
    line = ["run", "--profile", "smoke", "--results", str(tmp_path), "--workers", "1"]
    assert main([*line, "--index", "3"]) == main([*line, "--group", "baselines", "ablations"]) == 0
    assert asked == [study.jobs[2:3], study.select(group=("baselines", "ablations"))]
    count = len(study.jobs)
    for wrong, said in (
        (["--index", str(count + 1)], f"numbered from 1 to {count}"),
        (["--index", "1", "--group", "ablations"], "--index is one job"),
        (["mnist-of-another-study"], "no job mnist-of-another-study in profile smoke"),
        (["--group", "baseline"], "choose from color_mnist, classifier"),
    ):
        assert main([*line, *wrong]) == 2 and said in capsys.readouterr().err


def test_jobs_go_group_by_group_and_the_costliest_of_a_group_first(tmp_path, monkeypatch):
    study, order = Study("smoke", tmp_path), []
    monkeypatch.setattr(executors, "attempt", lambda study, job, **_: order.append(job) or "")
    assert run_jobs(study, list(reversed(study.jobs)), workers=1) == {}
    assert [job.group for job in order] == [job.group for job in study.jobs]
    cost = {job.id: executors.cost(job) for job in study.jobs}
    for one, other in zip(order, order[1:], strict=False):
        assert one.group != other.group or cost[one.id] >= cost[other.id]


# a command line that is stopped, or whose outputs are gone


def after_taking_over(code, **options):
    """A process that runs `code` after what every command line does."""
    code = f"import os, signal, sys\nfrom ygan_study.terminal import take_over\n{code}"
    return start("-c", code, **options)


@posix
def test_stopped_while_it_imports_it_says_one_line_and_130():
    process = start("-m", "ygan_study", "list", "--profile", "smoke")

    def handles_sigterm():  # Python itself has no handler of it
        status = Path(f"/proc/{process.pid}/status").read_text()
        return int(status.partition("SigCgt:")[2].split()[0], 16) >> (signal.SIGTERM - 1) & 1

    if sys.platform == "linux":
        wait_for(handles_sigterm)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, STOPPED)


@posix
def test_started_deaf_to_a_signal_as_by_nohup_it_stays_so():
    code = "signal.signal(signal.SIGHUP, signal.SIG_IGN); take_over('stopped')\n"
    process = after_taking_over(code + "signal.raise_signal(signal.SIGHUP); print('on')")
    assert (process.communicate(timeout=60), process.returncode) == (("on\n", ""), 0)


def test_a_reader_that_leaves_does_not_stop_the_work():
    code = "take_over('')\nfor _ in range(9): print('line' * 9999)\nsys.stderr.write('done')"
    process = after_taking_over(code)
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == ("done", 0)


def test_a_line_is_in_the_file_as_soon_as_it_is_printed(tmp_path):
    """`./run_all.sh > log` tells how far it is."""
    with open(tmp_path / "log", "w") as log:
        process = after_taking_over("take_over('')\nprint('1 of 2')\ninput()", stdin=-1, stdout=log)
        wait_for(lambda: (tmp_path / "log").read_text() == "1 of 2\n", seconds=60)
        process.communicate("\n", timeout=60)


@posix
def test_where_outputs_are_closed_nothing_is_printed_into_a_file(tmp_path):
    code = f"take_over('')\nfile = open({str(tmp_path / 'file')!r}, 'w')\n"
    code += "print('out'); print('err', file=sys.stderr); os.write(1, b'C'); file.write('own')"
    process = after_taking_over(
        code, stdout=None, stderr=None, close_fds=False, preexec_fn=lambda: os.closerange(0, 3)
    )
    assert process.wait(60) == 0 and (tmp_path / "file").read_text() == "own"


def test_a_path_with_an_umlaut_is_printed_where_the_language_is_c():
    language = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    process = after_taking_over(
        "take_over(''); print(chr(196) + 'hren')", env={**os.environ, **language}
    )
    assert process.communicate(timeout=60) == ("\\xc4hren\n", "")
