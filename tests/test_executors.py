"""Where jobs run: processes side by side, killed and started again; a real Dask cluster that loses a worker."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from ygan_core.data.datasets import REPOSITORY
from ygan_study.__main__ import main
from ygan_study.run import training
from ygan_study.run.costs import costs
from ygan_study.run.executors import run_jobs
from ygan_study.run.search_report import report
from ygan_study.run.store import Study

STUDY = [sys.executable, "-m", "ygan_study"]
TIMES = ("inference_us", "training_seconds")  # of the metrics in runs.csv
LONGER = {"epochs": 20}
posix = pytest.mark.skipif(os.name != "posix", reason="signals")


def few(study):
    return study.select(method=("ganomaly", "skip_ganomaly", "knn_pixels"))


def numbers(study):
    table = pd.read_csv(study.root / "runs.csv")
    return table[~table["metric"].isin(TIMES)].reset_index(drop=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    study = Study("smoke", tmp_path_factory.mktemp("undisturbed"), settings=LONGER)
    assert run_jobs(study, few(study), workers=1) == {}
    return numbers(study)


def command(study, *more):
    line = [
        *STUDY,
        "run",
        "--profile",
        "smoke",
        "--results",
        str(study.root.parent),
        "--set",
        "epochs=20",
    ]
    return [*line, *more, *(job.id for job in few(study))]


def checkpoints(study):
    return list((study.root / "jobs").glob("*/epoch-*.pt"))


def wait_for(condition, process, seconds=600):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)


@posix
def test_killed_at_random_moments_and_run_again_gives_the_same_runs_csv(tmp_path, undisturbed):
    study, moments = Study("smoke", tmp_path, settings=LONGER), random.Random(0)
    for _ in range(2):
        before = set(checkpoints(study))
        process = subprocess.Popen(
            command(study, "--workers", "2"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(
            lambda before=before: set(checkpoints(study)) - before, process
        )  # so that every life gets somewhere
        time.sleep(moments.uniform(0, 0.5))
        process.kill()  # SIGKILL, of the parent alone: its workers have to notice
        process.wait()
    assert run_jobs(study, few(study), workers=1) == {}
    pd.testing.assert_frame_equal(numbers(study), undisturbed)
    assert not checkpoints(study)  # they are gone once a job is done


@posix
def test_a_dask_cluster_that_loses_a_worker(tmp_path, undisturbed, free_port):
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
    running = [subprocess.Popen([*dask, "--port", str(free_port)], **quiet)]
    study = Study("smoke", tmp_path, settings=LONGER)
    try:
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
        workers = [
            subprocess.Popen([*one, "--local-directory", str(tmp_path / "dask")], **quiet)
            for _ in range(2)
        ]
        running += workers
        client = subprocess.Popen(
            command(study, "--scheduler", address),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(client)
        wait_for(lambda: checkpoints(study), client)  # a job is in the middle
        workers[0].send_signal(signal.SIGKILL)
        out, _ = client.communicate(timeout=600)
        assert client.returncode == 0, out
    finally:
        for process in running:
            process.kill()
    pd.testing.assert_frame_equal(numbers(study), undisturbed)  # every job, and none twice


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "localhost"])
def test_no_scheduler_there_is_one_clear_line(address, tmp_path, monkeypatch, capsys):
    pytest.importorskip("distributed")
    monkeypatch.setattr("ygan_study.run.executors.ANSWERS_IN", 2)
    job = Study("smoke", tmp_path).select(method="knn_pixels")[0].id
    line = ["run", "--profile", "smoke", "--results", str(tmp_path), "--scheduler", address, job]
    assert main(line) == 2
    assert f"no Dask scheduler answers at {address}" in capsys.readouterr().err.splitlines()[-1]


def test_a_failure_is_kept_and_tried_again_only_when_asked(tmp_path, monkeypatch, capsys):
    study, calls = Study("smoke", tmp_path), []
    job, other = few(study)[:2]
    evaluate = training.evaluate_baseline

    def broken(baseline, *rest):
        if baseline.config == job.config:
            calls.append(baseline)
            raise RuntimeError("no ink left")
        return evaluate(baseline, *rest)

    monkeypatch.setattr(training, "evaluate_baseline", broken)
    line = [
        "run",
        "--profile",
        "smoke",
        "--results",
        str(tmp_path),
        "--workers",
        "1",
        job.id,
        other.id,
    ]
    assert main(line) == 1  # the other one is done all the same
    captured = capsys.readouterr()
    assert (
        "no ink left" in captured.err and "1 of 2 jobs done" in captured.out and study.find(other)
    )
    assert "RuntimeError: no ink left" in (study.path(job) / "error.txt").read_text()
    assert study.state(job) == "failed" and main(line) == 1 and len(calls) == 1
    assert "--retry tries again" in capsys.readouterr().err
    assert main([*line, "--retry"]) == 1 and len(calls) == 2
    monkeypatch.setattr(training, "evaluate_baseline", evaluate)
    assert main([*line, "--retry"]) == 0 and study.state(job) == "done"


@pytest.mark.parametrize("error", [MemoryError("no room"), OSError(28, "No space left on device")])
def test_what_passes_is_no_failure_of_the_job(error, tmp_path, monkeypatch, capsys):
    study = Study("smoke", tmp_path)
    job = few(study)[0]
    evaluate = training.evaluate_baseline
    monkeypatch.setattr(training, "evaluate_baseline", lambda *_: (_ for _ in ()).throw(error))
    line = ["run", "--profile", "smoke", "--results", str(tmp_path), "--workers", "1", job.id]
    assert main(line) == 1
    assert "the same command goes on from the last epoch that was saved" in capsys.readouterr().err
    assert not (study.path(job) / "error.txt").exists() and study.state(job) != "failed"
    monkeypatch.setattr(training, "evaluate_baseline", evaluate)
    assert main(line) == 0 and study.state(job) == "done"


def test_the_list_has_every_job_with_state_and_cost(quickest, capsys):
    study, _ = quickest
    assert main(["list", "--profile", "smoke", "--results", str(study.root.parent)]) == 0
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert first == f"{len(study.jobs)} jobs" and "2 done" in last
    for number, (job, line) in enumerate(zip(study.jobs, lines, strict=True), 1):
        words = line.split()
        assert words[:2] == [str(number), job.id] and words[2] == study.state(job)
        assert (words[2] == "done") != (words[-1] == "min")
    assert len(list(study.root.glob("jobs/*"))) == 2  # it made nothing


def test_jobs_by_their_number_and_by_their_group(tmp_path, capsys):
    study = Study("smoke", tmp_path)
    number = 1 + study.jobs.index(study.select(method="knn_pixels")[0])
    line = ["run", "--profile", "smoke", "--results", str(tmp_path), "--workers", "1"]
    assert main([*line, "--index", str(number)]) == 0
    assert [folder.name for folder in (study.root / "jobs").iterdir()] == [
        study.jobs[number - 1].id
    ]
    for index in ("0", str(len(study.jobs) + 1)):
        assert main([*line, "--index", index]) == 2
        assert f"numbered from 1 to {len(study.jobs)}" in capsys.readouterr().err
    assert main([*line, "mnist-of-another-study"]) == 2
    assert (
        main([*line, "--group", "baseline"]) == 2
        and "choose from color_mnist, classifier" in capsys.readouterr().err
    )
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "ygan_study.run.commands.run_jobs",
            lambda study, jobs, *_, **__: asked.extend(jobs) or {},
        )
        assert main([*line, "--group", "baselines", "weak_labels"]) == 0
    assert asked == study.select(group=("baselines", "weak_labels"))


def test_jobs_go_group_by_group_and_the_costliest_of_a_group_first(tmp_path, monkeypatch):
    study, order = Study("smoke", tmp_path), []
    monkeypatch.setattr(
        "ygan_study.run.executors.attempt", lambda study, job, **_: order.append(job) or ""
    )
    assert run_jobs(study, list(reversed(study.jobs)), workers=1) == {}
    assert [job.group for job in order] == [job.group for job in study.jobs] and len(order) == len(
        study.jobs
    )
    cost = costs(study, study.jobs)
    for one, other in zip(order, order[1:], strict=False):
        assert one.group != other.group or cost[one.id] >= cost[other.id]


def test_a_record_is_trained_anew_only_when_asked(copied, tmp_path, capsys):
    study, jobs = copied
    job = jobs["ganomaly"]
    record = study.root / "records" / job.id
    record.parent.mkdir()
    study.path(job).rename(record)
    assert study.find(job).folder == record
    line = ["run", "--profile", "smoke", "--results", str(tmp_path), "--workers", "1", job.id]
    assert main(line) == 0 and not study.path(job).exists()
    assert main([*line, "--anew"]) == 0 and study.find(job).folder == study.path(job)


def test_the_search_is_a_profile_of_list_and_run_and_a_verb(tmp_path, monkeypatch, capsys):
    asked = []

    def ran(study, jobs, *_, **__):
        asked.append((study.profile, len(jobs)))
        return {}

    monkeypatch.setattr("ygan_study.run.commands.run_jobs", ran)
    count = len(Study("search", tmp_path).jobs)
    assert main(["search", "--results", str(tmp_path), "--workers", "1"]) == 0
    assert main(["run", "--profile", "search", "--results", str(tmp_path)]) == 0
    assert (
        asked == [("search", count)] * 2
        and "nothing of the search is done yet" in capsys.readouterr().out
    )
    with pytest.raises(SystemExit):
        main(["all", "--profile", "search"])
    (tmp_path / "search.csv").write_text("half")
    assert (
        main(["search", "--results", str(tmp_path)]) == 2 and len(asked) == 2
    )  # said before the training begins
    assert "search.csv is damaged: restore it" in capsys.readouterr().err


def test_the_log_of_the_search_keeps_what_it_has(tmp_path):
    study, kept = Study("search", tmp_path), tmp_path / "search.csv"
    shutil.copy(REPOSITORY / "results" / "search.csv", kept)
    before = kept.read_bytes()
    text, left = report(study), len({job.id for job in study.jobs} - set(pd.read_csv(kept)["job"]))
    assert (
        kept.read_bytes() == before and "lambda_3 50" in text and ("missing" in text) == (left > 0)
    )
    kept.write_bytes(b"".join(before.splitlines(keepends=True)[:-1]))
    assert f"{left + 1} of {len(study.jobs)} trainings are missing" in report(study)
    kept.write_bytes(before)
    with kept.open("a") as file:
        file.write("ygan,base,mnist,4,7,0.5,0.5,0.5,of-a-version-before" + "," * 7 + "\n")
    report(study)
    assert kept.read_bytes().startswith(before) and b"of-a-version-before" in kept.read_bytes()


def test_costs_follow_the_images_seen_and_the_width():
    small, long, wide = (Study("smoke", settings=s) for s in ({}, {"epochs": 40}, {"width": 64}))
    cost = {}
    for name, study in (("small", small), ("long", long), ("wide", wide)):
        (job,) = study.select(dataset="mnist", group="balanced")
        cost[name] = costs(study, [job])[job.id] - 3
    assert 5 < cost["long"] / cost["small"] < 80 and cost["wide"] > 2 * cost["small"]


def test_a_worker_imports_nothing_that_draws():
    code = "import sys, ygan_study.run.worker as w; early = 'torch' in sys.modules; import ygan_study.run.commands\n"
    code += "print(early, sorted({'matplotlib', 'papermill', 'IPython'} & sys.modules.keys()))"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out == "False []\n"
