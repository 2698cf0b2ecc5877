"""What is stored or supplied is checked before it is believed: one line that says what to do, and the other jobs go on."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import papermill
import pytest
import torch

from ygan_core.checkpoints import checkpoints, save_state
from ygan_core.config import ConfigError
from ygan_study.__main__ import main
from ygan_study.methods import train
from ygan_study.plan.settings import Settings, with_overrides
from ygan_study.run import training
from ygan_study.run.checksums import SUMS, seal
from ygan_study.run.folder import Damaged, read
from ygan_study.run.store import Study
from ygan_study.run.training import JobFailed, run_job


def jobs_in(study):
    return set(pd.read_csv(study.root / "runs.csv")["job"])


def run(study, *more):
    return main(
        ["run", "--profile", "smoke", "--results", str(study.root.parent), "--workers", "1", *more]
    )


def swap(study, jobs):
    one, other = (study.path(job) for job in jobs.values())
    one.rename(study.root / "between")
    other.rename(one)
    (study.root / "between").rename(other)


# --- folders of jobs ---


def test_folders_that_were_swapped_are_not_believed_and_nothing_is_lost(copied, capsys):
    study, jobs = copied
    swap(study, jobs)
    assert [study.find(job) for job in jobs.values()] == [None, None]
    assert [study.state(job) for job in jobs.values()] == ["damaged", "damaged"]
    third = study.select(method="knn_pixels")[0]
    assert run(study, third.id, *(job.id for job in jobs.values())) == 1
    captured = capsys.readouterr()
    assert (
        "1 of 3 jobs done" in captured.out
        and jobs_in(study) == {third.id}
        and len(captured.err.splitlines()) == 2
    )
    for own, other in (("ganomaly", "classifier"), ("classifier", "ganomaly")):
        assert (
            f"{study.path(jobs[own])} holds another job, {jobs[other].id}: move it" in captured.err
        )
    swap(study, jobs)
    assert all(study.find(job) for job in jobs.values())


def test_networks_of_another_job_are_not_measured_as_this_ones(copied, quickest, capsys):
    study, jobs = copied
    job = study.select(dataset="mnist", group="balanced")[0]
    shutil.copytree(study.path(jobs["classifier"]), study.path(job))
    with pytest.raises(JobFailed, match="holds another job"):
        run_job(study, job)
    weights = study.path(jobs["classifier"]) / "averaged.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    run_job(study, jobs["classifier"])
    assert (
        weights.read_bytes()
        == (quickest[1]["classifier"].folder / "averaged.safetensors").read_bytes()
    )
    assert "what was trained is damaged, or of other data; trained anew" in capsys.readouterr().out


@pytest.mark.parametrize("same_data", [True, False])
def test_networks_that_are_measured_once_more_keep_who_trained_them(copied, same_data, capsys):
    study, jobs = copied
    folder = study.path(jobs["classifier"])
    now = json.loads((folder / "run.json").read_text())
    then = {
        "device": "cuda",
        "gpu": "A GPU",
        "commit": "an older one",
        "inference_us": {"last": 1.0, "averaged": 1.0},
    }
    then |= {} if same_data else {"split": "of other images"}
    (folder / "run.json").write_text(json.dumps(now | then))
    seal(folder)
    (folder / "last.npz").write_bytes(b"damaged")
    about = run_job(study, jobs["classifier"]).about
    assert "trained anew" in capsys.readouterr().out or same_data
    assert about["split"] == now["split"] and about["device"] == ("cuda" if same_data else "cpu")
    assert ({key: about.get(key) for key in then} == then) == same_data and (
        "gpu" in about
    ) == same_data


EDITS = {
    "an AUC": {"metrics": {"auc": 0.999}},
    "no seconds": {"seconds": None},
    "seconds that are text": {"seconds": "fast"},
    "seconds that are not a number": {"seconds": float("nan")},
    "no images": {"images": {}},
    "no classes": {"classes": []},
    "classes that are numbers": {"classes": list(range(9))},
    "another id": {"id": "mnist-9-ganomaly-s0-0123456789"},
}


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_run_json_is_not_believed_and_the_other_jobs_count(copied, edit, sealed, capsys):
    study, jobs = copied
    file = study.path(jobs["ganomaly"]) / "run.json"
    auc = study.find(jobs["ganomaly"]).metrics["auc"]
    file.write_text(json.dumps({**json.loads(file.read_text()), **EDITS[edit]}))
    if sealed:
        seal(file.parent)
    table = study.write_runs()
    if sealed and edit == "an AUC":  # numbers follow from the scores
        rows = table[
            (table["job"] == jobs["ganomaly"].id)
            & (table["metric"] == "auc")
            & (table["epoch_rule"] == "last")
        ]
        assert rows["value"].tolist() == [auc]
    else:
        assert study.find(jobs["ganomaly"]) is None
    if not sealed or "id" not in EDITS[edit] and edit != "an AUC":
        assert set(table["job"]) == {jobs["classifier"].id}
        assert f"left out of runs.csv: {file.parent} " in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "{}", "[" * 100_000, "[]", "null", '{"id": 1}'])
def test_a_run_json_that_is_something_else_is_named_and_left_out(copied, text, capsys):
    study, jobs = copied
    folder = study.path(jobs["ganomaly"])
    (folder / "run.json").write_text(text)
    seal(folder)
    assert study.find(jobs["ganomaly"]) is None and set(study.write_runs()["job"]) == {
        jobs["classifier"].id
    }
    assert f"left out of runs.csv: {folder} is not whole" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["no scores", "not an archive"])
def test_facts_that_are_missing_are_named_and_left_out(copied, damage, capsys):
    study, jobs = copied
    file = study.path(jobs["ganomaly"]) / "last.npz"
    if damage == "no scores":
        np.savez_compressed(file, index=np.arange(3))
    else:
        file.write_bytes(b"something else")
    seal(file.parent)
    assert set(study.write_runs()["job"]) == {jobs["classifier"].id}
    assert f"left out of runs.csv: {file.parent} (" in capsys.readouterr().out


@pytest.mark.parametrize("sums", ["", "{}", "\n\n", "some  last.npz\n", "without"])
def test_edited_checksums_are_not_believed(copied, sums):
    study, jobs = copied
    file = study.path(jobs["classifier"]) / SUMS
    if sums == "without":  # of a file that was replaced
        (file.parent / "averaged.safetensors").write_bytes(
            (file.parent / "last.safetensors").read_bytes()
        )
        sums = "".join(
            line for line in file.read_text().splitlines(True) if "averaged.safetensors" not in line
        )
    file.write_text(sums)
    assert study.find(jobs["classifier"]) is None and set(study.write_runs()["job"]) == {
        jobs["ganomaly"].id
    }
    with pytest.raises(Damaged):
        read(file.parent)


def test_the_averaged_half_of_a_folder_cannot_be_taken_away(copied):
    study, jobs = copied
    folder = study.path(jobs["classifier"])
    for name in ("averaged.npz", "averaged.safetensors"):
        (folder / name).unlink()
    seal(folder)
    assert study.find(jobs["classifier"]) is None


# --- trainings that cannot go on ---


def failed_at_the_end(study, job):
    """A job that failed after its last epoch; its newest checkpoint."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.BASELINES["ganomaly"], "finish", lambda self, images: 1 / 0)
        with pytest.raises(JobFailed, match="ZeroDivisionError"):
            run_job(study, job)
    return checkpoints(study.path(job))[-1]


def test_retry_mends_what_is_of_another_shape(tmp_path, capsys):
    study, wide = Study("smoke", tmp_path), Study("smoke", tmp_path, settings={"width": 16})
    (job,), (wider,) = (one.select(method="ganomaly") for one in (study, wide))
    newest, other = failed_at_the_end(study, job), failed_at_the_end(wide, wider)
    state, another = (torch.load(path, weights_only=True) for path in (newest, other))
    save_state(
        {**state, "model": another["model"]}, newest.parent, 2
    )  # as written, and of another network
    (newest.parent / "error.txt").unlink()
    (newest.parent / "a folder").mkdir()
    assert run(study, job.id) == 1 and "size mismatch" in (newest.parent / "error.txt").read_text()
    capsys.readouterr()
    assert run(study, job.id, "--retry") == 0 and study.state(job) == "done"
    assert "ganomaly s0: epoch 1/2" in capsys.readouterr().out


@pytest.mark.parametrize("change", [{"history": []}, {"precision": "bfloat16"}, {"model": {}}])
def test_a_checkpoint_that_was_changed_is_refused(change, small, images, tmp_path, capsys):
    whole = train(small, *images, folder=tmp_path).model.state_dict()
    newest = checkpoints(tmp_path)[-1]
    torch.save({**torch.load(newest, weights_only=True), **change}, newest)
    again = train(small, *images, folder=tmp_path)
    assert f"{newest} is damaged or was changed" in capsys.readouterr().out
    assert len(again.history) == 4 and again.precision == "float32"
    assert all(
        torch.equal(whole[name], tensor) for name, tensor in again.model.state_dict().items()
    )


def test_a_checkpoint_under_another_epochs_name_is_refused(small, images, tmp_path, capsys):
    train(small, *images, folder=tmp_path)
    older, newest = checkpoints(tmp_path)
    older.rename(newest.with_name("epoch-00009.pt"))
    assert len(train(small, *images, folder=tmp_path).history) == 4
    assert "epoch-00009.pt is damaged or was changed" in capsys.readouterr().out


def test_a_checkpoint_of_another_job_is_refused_also_for_a_baseline(tmp_path, capsys):
    study, seeded = Study("smoke", tmp_path), Study("smoke", tmp_path, settings={"seed": 3})
    (job,), (other,) = (one.select(method="ganomaly") for one in (study, seeded))
    study.path(job).mkdir(parents=True)
    shutil.copy(failed_at_the_end(seeded, other), study.path(job))
    assert run(study, job.id) == 1
    assert (
        f"the checkpoint in {study.path(job)} belongs to another configuration: remove it"
        in capsys.readouterr().err
    )


# --- what is supplied ---


@pytest.mark.parametrize(
    "key, value",
    [
        ("lr", "1000"),
        ("lr", "1e38"),
        ("batch_size", "1000000000000"),
        ("image_size", "1099511627776"),
        ("epochs", "1e25"),
        ("epochs", "9" * 25),
        ("epochs", "9" * 5000),
        ("lambda_1", "1e38"),
        ("images_per_class", "9" * 20),
        ("x" * 5000, "1"),
    ],
)
def test_settings_out_of_all_bounds_are_one_short_line(key, value, tmp_path, capsys):
    with pytest.raises(ConfigError):
        with_overrides(Settings(), {key: value})
    assert (
        main(["list", "--profile", "smoke", "--results", str(tmp_path), "--set", f"{key}={value}"])
        == 2
    )
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) < 600 and (key.partition("_")[0] in line or "no setting" in line)


def test_networks_that_no_memory_holds_are_refused():
    with pytest.raises(ConfigError, match="width times image_size"):
        with_overrides(Settings(), {"width": 1024, "image_size": 1024})


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"settings": "epochs=3"}, 'settings takes a dictionary such as {"epochs": 3}'),
        ({"profile": ["smoke"]}, "profile takes a profile's name"),
        ({"results": 5}, "results takes a folder's name"),
        ({"device": ["cpu"]}, "device takes a device's name"),
        ({"precision": None}, "precision takes a word"),
        ({"precision": "auto"}, "no precision 'auto'"),
    ],
)
def test_parameters_of_a_wrong_kind_are_one_clear_line(wrong, said):
    with pytest.raises(ConfigError, match=said):
        Study(**wrong)


def test_a_parameter_that_the_notebook_has_not_is_no_silent_quick_run(tmp_path, notebook):
    made = notebook(
        "from ygan_study import Study\nStudy(profile, results, device, precision, settings)"
    )
    with pytest.raises(
        papermill.PapermillExecutionError,
        match="this notebook has no parameter epochs: give it as settings",
    ):
        papermill.execute_notebook(
            str(made), str(tmp_path / "out.ipynb"), {"epochs": 3}, progress_bar=False
        )


def test_paths_with_an_umlaut_where_the_language_is_c(copied, tmp_path):
    study, jobs = copied
    shutil.copytree(study.root, tmp_path / "Ähren" / "smoke")
    line = [
        sys.executable,
        "-m",
        "ygan_study",
        "run",
        "--profile",
        "smoke",
        "--results",
        str(tmp_path / "Ähren"),
        jobs["ganomaly"].id,
    ]
    for language in (
        {"LANG": "C", "LC_ALL": "C"},
        {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ):
        done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, **language})
        assert done.returncode == 0 and "1 of 1 jobs done" in done.stdout, done.stderr
