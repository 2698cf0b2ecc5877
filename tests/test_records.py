"""Records: what they hold, and what is trained anew."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from ygan_core.data import datasets
from ygan_study.__main__ import main
from ygan_study.plan.settings import Settings
from ygan_study.report import study as shown
from ygan_study.report import verify as verifying
from ygan_study.report.verify import _chosen, _judged, _spread, verify
from ygan_study.run import pretrained
from ygan_study.run.folder import Damaged, MissingWeights, Run, read
from ygan_study.run.provenance import processor
from ygan_study.run.records import has_scores_of, narrow, write_record
from ygan_study.run.store import Study
from ygan_study.run.tidy import tidy
from ygan_study.run.training import run_all, run_job

RECORDS = datasets.REPOSITORY / "results" / "laptop" / "records"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A smoke study whose one training left its folder, and remains as a record.

    (the study, {weights: (metrics, facts)} and batch statistics as trained, the record)
    """
    study = Study("smoke", tmp_path_factory.mktemp("records"))
    run = run_job(study, study.select(dataset="mnist", group="balanced")[0])
    trained = {w: (run.at(w).metrics, run.at(w).test) for w in run.kinds}, run.batch_statistics
    small = write_record(study, replace(run, job=replace(run.job, group="a later group")))
    assert [small.at(weights).has_facts for weights in run.kinds] == [False, True]
    assert small.kinds == run.kinds and has_scores_of(small, run)
    shutil.rmtree(small.folder)
    write_record(study, run)
    run.folder.rename(study.root / "as trained")
    shutil.rmtree(study.root / "cache")
    return study, trained, study.find(run.job)


@pytest.fixture
def copied_record(recorded, tmp_path):
    """A copy that a test may damage: (study, record)."""
    shutil.copytree(recorded[0].root, tmp_path / "smoke")
    study = Study("smoke", tmp_path)
    return study, study.find(recorded[2].job)


def test_a_record_stands_in_for_a_folder(recorded):
    study, (trained, batch_statistics), record = recorded
    assert record.folder.parent.name == "records" and record.weights == "averaged"
    assert {weights: record.at(weights).metrics for weights in record.kinds} == {
        weights: metrics for weights, (metrics, _) in trained.items()
    }
    assert record.batch_statistics == batch_statistics
    assert study.state(record.job) == "done" and set(study.write_runs()["job"]) == {record.job.id}


def test_an_auc_can_be_recomputed_from_a_record_and_its_split(recorded):
    _, (trained, _), record = recorded
    split = np.load(record.folder.parent / "splits" / f"{record.about['split']}.npz")
    assert set(split) == {"index", "label", "anomalous"}
    for weights, (metrics, whole) in trained.items():
        facts = np.load(record.folder / f"{weights}.npz")
        assert set(facts) == {"s"} | ({"calibration"} if weights == record.weights else set())
        assert roc_auc_score(split["anomalous"], facts["s"]) == pytest.approx(metrics["auc"])
        s = dict(zip(whole["index"], whole["s"], strict=True))
        np.testing.assert_allclose(facts["s"], [s[i] for i in split["index"]], rtol=1e-6)
    files = {path.name for path in record.folder.iterdir() if path.suffix == ".safetensors"}
    assert files == {"averaged.safetensors"}


def test_scores_keep_their_order_where_rounding_would_make_ties():
    random = np.random.RandomState(0)
    close, far = 0.5 + 1e-12 * np.arange(50), [*random.rand(500), *random.rand(50) * 1e-30]
    scores = random.permutation([*close, *far, 0.25, 0.25])
    small = narrow(scores)
    assert small.dtype == np.float32
    assert len(np.unique(scores.astype(np.float32))) < len(np.unique(scores))
    same_order = [np.unique(values, return_inverse=True)[1] for values in (scores, small)]
    assert np.array_equal(*same_order) and narrow(small) is small
    np.testing.assert_allclose(small, scores, rtol=1e-5)
    assert narrow(np.array([3, -4])).dtype == np.int8 and narrow(np.array([70_000])).dtype == "i4"


def test_pictures_are_made_of_the_images_that_the_starter_pack_has(recorded, tmp_path):
    _, (trained, _), record = recorded
    run, whole = record.pictured(), trained["averaged"][1]
    assert run.test["z_s"].shape == (len(run.test["index"]), 100) and run.metrics == record.metrics
    places = [list(whole["index"]).index(index) for index in run.test["index"]]
    # the networks are halved
    np.testing.assert_allclose(run.test["z_s"], whole["z_s"][places], atol=0.01, rtol=0.01)
    np.testing.assert_array_equal(run.test["anomalous"], whole["anomalous"][places])
    assert run.images(np.arange(3)).shape == (3, 1, 32, 32)
    with pytest.raises(MissingWeights, match=f"run --profile smoke --anew {record.job.id}"):
        record.at("last").model()


def test_a_split_that_was_changed_or_is_another_is_not_believed(copied_record):
    study, record = copied_record
    run = read(study.root / "as trained", record.job)
    (file,) = (record.folder.parent / "splits").iterdir()
    arrays = dict(np.load(file))
    np.savez_compressed(file, **{**arrays, "index": arrays["index"] + 1})
    assert study.recorded(record.job) is None
    shutil.rmtree(record.folder)
    with pytest.raises(Damaged, match="has other images than"):
        write_record(study, run)
    shutil.copytree(RECORDS.parent.parent / "weights" / "color_mnist-balanced", record.folder)
    assert study.recorded(record.job) is None  # it holds another job


def test_a_record_trained_anew_gives_the_same_bytes(recorded, capsys):
    study, _, record = recorded
    line = ["all", "--profile", "smoke", "--results", str(study.root.parent)]
    assert main([*line, "--verify", "cheapest", "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert record.job.id in said and "same bytes" in said
    assert study.find(record.job).folder == record.folder  # what was trained anew lies elsewhere
    row = verify(study, "3").loc[record.job.id]
    assert row["difference"] == 0 and row["alike made"] and row["verdict"] == "same bytes"
    assert row["recorded on"] == row["anew on"] == processor()
    file = study.root / "verified.csv"
    table = pd.read_csv(file, index_col="job")
    assert table.index.tolist() == [record.job.id]
    table.assign(**{"anew on": "another processor"}).to_csv(file)
    assert main([*line, "--verify", "cheapest", "--workers", "1"]) == 0
    assert pd.read_csv(file)["anew on"].tolist() == ["another processor", processor()]


def test_what_is_verified(recorded, monkeypatch, capsys, tmp_path):
    study, _, record = recorded
    took = (("a GPU's", "cuda", 1.0), ("a core's", "cpu", 3.0), ("the cheapest", "cpu", 2.0))
    those = {name: SimpleNamespace(about={"device": d, "seconds": s}) for name, d, s in took}
    assert _chosen(study, those, "cheapest", 0) == ["the cheapest"]
    line = ["all", "--profile", "smoke", "--results", str(study.root.parent), "--verify"]
    assert main([*line, "1", "--only", "table1"]) == 2
    assert "--verify goes with none of" in capsys.readouterr().err
    assert main([*line, "1", "--results", str(tmp_path)]) == 2
    assert "no records to draw on this device in" in capsys.readouterr().err
    monkeypatch.setattr(Run, "about", record.about | {"device": "cuda"})
    assert main([*line, "cheapest"]) == 2
    assert "no record of a training on cpu" in capsys.readouterr().err


def test_what_differs_is_held_against_the_spread_over_seeds():
    assert _judged(0.05, 0.02) == "near" and _judged(-0.1, 0.02) == "far"
    assert _judged(0.05, float("nan")) == "differs"
    trainings = [(0.50, 5, 0), (0.52, 5, 1), (0.90, 4, 0), (0.92, 4, 1)]
    runs = [
        SimpleNamespace(config=Settings(dataset="mnist", held_out=c, seed=s), metrics={"auc": auc})
        for auc, c, s in trainings
    ]
    assert _spread(runs[0], dict(enumerate(runs))) == pytest.approx(0.01 * 2**0.5)


def test_a_record_that_is_left_out_is_named_and_no_success(copied_record, capsys):
    study, record = copied_record
    copied = record.folder.with_name("copied")
    shutil.copytree(record.folder, copied)
    (record.folder / "SHA256SUMS").unlink()
    said = f"`git checkout -- {record.folder.parent}` brings it back"
    assert [said in line for line in study.damaged_records()] == [False, True]
    shutil.rmtree(record.folder)
    assert not study.find(record.job)
    line = ["--profile", "smoke", "--results", str(study.root.parent)]
    assert main(["draw", "table1", *line]) == 1
    (why,) = capsys.readouterr().err.strip().splitlines()
    assert f"copied holds another job, {record.job.id}" in why
    assert main(["all", "--verify", "1", *line]) != 0 and why in capsys.readouterr().err


def test_the_papers_size_is_verified_on_a_gpu_alone(tmp_path, monkeypatch):
    laptop = Study("laptop", tmp_path, device="cpu")
    (large,) = laptop.select(group="paper_size", method="classifier")
    (other,) = laptop.select(group="classifier", dataset="cifar10", held_out=0)
    (laptop.root / "records").mkdir(parents=True)
    for name in (large.id, other.id, "splits"):
        (laptop.root / "records" / name).symlink_to(RECORDS / name)
    monkeypatch.setattr(verifying, "run_jobs", lambda *_, **__: {})
    monkeypatch.setattr(verifying, "Study", lambda *_: laptop)
    assert verify(laptop, "9").index.tolist() == [other.id]
    laptop.device = "cuda"
    assert set(verify(laptop, "9").index) == {other.id, large.id}


def test_networks_by_their_name(recorded, tmp_path, monkeypatch):
    _, _, record = recorded
    results = tmp_path / "results"
    shutil.copytree(record.folder.parent, results / "laptop" / "records")
    shutil.copytree(RECORDS.parent.parent / "weights", results / "weights")
    monkeypatch.setattr(datasets, "REPOSITORY", tmp_path)
    assert pretrained("mnist-4-balanced").job == record.job
    run = pretrained("color_mnist-paper-w32")
    assert not run.model().training and run.config.width == 32 and run.weights == "last"
    assert run.test["z_r"].shape == (len(run.test["s"]), 100) and 0.9 < run.metrics["auc"] < 1
    with pytest.raises(datasets.DataError, match="there are mnist-4-balanced, color_mnist-"):
        pretrained("mnist-5-balanced")
    (results / "weights" / "color_mnist-balanced" / "last.safetensors").write_bytes(b"changed")
    with pytest.raises(datasets.DataError, match=r"was changed \(last.safetensors\)"):
        pretrained("color_mnist-balanced")


def test_a_study_with_records_trains_nothing_by_itself(tmp_path, capsys):
    study = shown.Study("laptop", tmp_path)
    job = study.select(group="balanced")[0]
    assert study.run_all([job]) == [] and not study.trains
    assert shown.Study("laptop", tmp_path, settings={"epochs": 1}).trains
    with pytest.raises(shown.NotTrained, match=f"run --profile laptop {job.id}"):
        study.run(job)
    there = study.folder / "figures" / "fig7.webp"
    there.parent.mkdir(parents=True)
    there.write_bytes(b"drawn before")
    line = ["all", "--profile", "laptop", "--results", str(tmp_path), "--only", "fig7"]
    assert main(line) == 0 and there.read_bytes() == b"drawn before"
    assert "run --profile laptop cifar10-4-balanced" in capsys.readouterr().out


def test_the_records_of_the_edition_share_their_splits_and_name_none_in_vain():
    splits = {path.stem for path in (RECORDS / "splits").iterdir()}
    used = {json.loads(path.read_text())["split"] for path in RECORDS.glob("*/run.json")}
    assert splits == used
    assert read(next(RECORDS.glob("mnist-4-padim-*"))).test["in_test"].all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_every_kind_of_training_runs_on_a_gpu_whose_seconds_are_no_cost_of_a_core(tmp_path):
    study = Study("smoke", tmp_path, device="cuda")
    groups = ("classifier", "balanced", "strong", "whitened", "deviations")
    jobs = {job.group: job for job in study.select(group=groups)}
    for run in run_all(study, jobs.values()):
        write_record(study, run)
        assert run.about["device"] == "cuda" and run.about["gpu"]
        # others may share the GPU
        assert "training_seconds" not in {row[-3] for row in tidy(run)}
