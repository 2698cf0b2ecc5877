"""Where jobs run: processes side by side, killed and started again; a real Dask cluster that loses a worker."""

import os
import random
import signal
import socket
import subprocess
import sys
import time

import pandas as pd
import pytest

from ygan_core.study import Study
from ygan_core.study.__main__ import main
from ygan_core.study.run.executors import costs, run_jobs

STUDY = [sys.executable, "-m", "ygan_core.study"]
TIMES = ("inference_us", "training_seconds")  # of the metrics in runs.csv
posix = pytest.mark.skipif(os.name != "posix", reason="signals")


def few(study):
    return [*study.select(dataset="color_mnist"), *study.select(dataset="cifar10", method="classifier")]


def numbers(study):
    table = pd.read_csv(study.folder / "runs.csv")
    return table[~table["metric"].isin(TIMES)].reset_index(drop=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    study = Study("smoke", tmp_path_factory.mktemp("undisturbed"), settings={"epochs": 6})
    assert run_jobs(study, few(study), workers=1) == {}
    return numbers(study)


def command(study, *more):
    line = [*STUDY, "run", "--profile", "smoke", "--results", str(study.folder.parent), "--set", "epochs=6"]
    return [*line, *more, *(job.id for job in few(study))]


@posix
def test_killed_at_random_moments_and_run_again_gives_the_same_runs_csv(tmp_path, undisturbed):
    study, moments = Study("smoke", tmp_path, settings={"epochs": 6}), random.Random(0)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for _ in range(3):
        process = subprocess.Popen(
            command(study, "--jobs", "2"), env=environment, stdout=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(moments.uniform(4, 12))
        process.kill()  # SIGKILL, of the parent alone: its workers have to notice
        process.wait()
    done = subprocess.run(command(study, "--jobs", "2"), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pd.testing.assert_frame_equal(numbers(study), undisturbed)
    assert not list((study.folder / "jobs").glob("*/epoch-*"))  # checkpoints are gone once a job is done


@posix
def test_a_dask_cluster_that_loses_a_worker(tmp_path, undisturbed):
    pytest.importorskip("distributed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--no-dashboard"]
    running = [subprocess.Popen([*dask, "--port", address.rpartition(":")[2]], **quiet)]
    study = Study("smoke", tmp_path, settings={"epochs": 6})
    try:
        one = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        workers = [subprocess.Popen([*one, "--local-directory", str(tmp_path / "dask")], **quiet) for _ in range(2)]
        running += workers
        client = subprocess.Popen(
            command(study, "--scheduler", address), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        running.append(client)
        deadline = time.monotonic() + 120
        while not list((study.folder / "jobs").glob("*/epoch-*.pt")):  # a job is in the middle
            assert time.monotonic() < deadline and client.poll() is None
            time.sleep(0.05)
        workers[0].send_signal(signal.SIGKILL)
        out, _ = client.communicate(timeout=240)
        assert client.returncode == 0, out
    finally:
        for process in running:
            process.kill()
    pd.testing.assert_frame_equal(numbers(study), undisturbed)  # every job, and none twice


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "localhost"])
def test_no_scheduler_there_is_one_clear_line(address, tmp_path, capsys):
    pytest.importorskip("distributed")
    job = Study("smoke", tmp_path).jobs[0].id
    line = ["run", "--profile", "smoke", "--results", str(tmp_path), "--scheduler", address, job]
    assert main(line) == 2
    assert f"no Dask scheduler answers at {address}" in capsys.readouterr().err


def test_a_failure_is_kept_and_tried_again_only_when_asked(tmp_path, monkeypatch, capsys):
    study, calls = Study("smoke", tmp_path), []
    job, other = few(study)[:2]
    import ygan_core.study.run.store as jobs

    train = jobs.train

    def broken(config, *rest, **more):
        if config == job.config:
            calls.append(config)
            raise RuntimeError("no ink left")
        return train(config, *rest, **more)

    monkeypatch.setattr(jobs, "train", broken)
    line = ["run", "--profile", "smoke", "--results", str(tmp_path), "--jobs", "1", job.id, other.id]
    assert main(line) == 1  # the other one is done all the same
    captured = capsys.readouterr()
    assert "no ink left" in captured.err and "1 of 2 jobs done" in captured.out and study.find(other)
    assert "RuntimeError: no ink left" in (study.path(job) / "error.txt").read_text()
    assert study.state(job) == "failed" and main(line) == 1 and len(calls) == 1
    assert "--retry tries again" in capsys.readouterr().err
    assert main([*line, "--retry"]) == 1 and len(calls) == 2
    monkeypatch.setattr(jobs, "train", train)
    assert main([*line, "--retry"]) == 0 and study.state(job) == "done"


def test_the_list_has_every_job_with_state_and_cost(smoke, capsys):
    study, _ = smoke
    assert main(["list", "--profile", "smoke", "--results", str(study.folder.parent)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(study.jobs) + 1 and lines[-1].startswith(f"{len(study.jobs)} jobs: ")
    for number, (job, line) in enumerate(zip(study.jobs, lines, strict=False), 1):
        words = line.split()
        assert words[:2] == [str(number), job.id] and words[2] == study.state(job)
        assert (words[2] == "done") != (words[-1] == "min")
    assert not [folder for folder in study.folder.glob("jobs/*") if folder.name not in {job.id for job in study.jobs}]


def test_one_job_by_its_number(tmp_path, capsys):
    study = Study("smoke", tmp_path)
    number = 1 + study.jobs.index(study.select(dataset="cifar10", method="classifier")[0])
    line = ["run", "--profile", "smoke", "--results", str(tmp_path), "--jobs", "1"]
    assert main([*line, "--index", str(number)]) == 0
    assert [folder.name for folder in (study.folder / "jobs").iterdir()] == [study.jobs[number - 1].id]
    assert main([*line, "--index", "0"]) == 2 and main([*line, "--index", str(len(study.jobs) + 1)]) == 2
    assert f"numbered from 1 to {len(study.jobs)}" in capsys.readouterr().err
    assert main([*line, "mnist-of-another-study"]) == 2


def test_costs_follow_the_images_seen_and_the_width():
    small, long, wide = (Study("smoke", settings=s) for s in ({}, {"epochs": 40}, {"width": 64}))
    cost = {}
    for name, study in (("small", small), ("long", long), ("wide", wide)):
        (job,) = study.select(dataset="mnist", method="ygan", variant="full", labels="true")
        cost[name] = costs(study, [job])[job.id] - 3
    assert 5 < cost["long"] / cost["small"] < 80 and cost["wide"] > 2 * cost["small"]
