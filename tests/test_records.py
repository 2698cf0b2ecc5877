import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from ygan_core import model
from ygan_study.__main__ import main
from ygan_study.plan.settings import Settings
from ygan_study.report import commands, tables
from ygan_study.report import verify as verify_module
from ygan_study.report.figures import curves
from ygan_study.report.printed import paper_auc
from ygan_study.report.study import NotTrained
from ygan_study.report.study import Study as ShownStudy
from ygan_study.report.verify import _chosen, _judged, _same, _spread, verify
from ygan_study.run.folder import MissingWeights, Run, read
from ygan_study.run.provenance import processor
from ygan_study.run.records import narrow, write_record
from ygan_study.run.store import Study
from ygan_study.run.training import run_job

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A smoke study whose one training left its folder, and remains as a record: (study, the run, the record)."""
    study = Study("smoke", tmp_path_factory.mktemp("records"))
    run = run_job(study, study.select(dataset="mnist", group="balanced")[0])
    kept = (
        {weights: (run.at(weights).metrics, run.at(weights).test) for weights in run.kinds},
        run.batch_statistics,
    )
    write_record(study, run)
    shutil.rmtree(run.folder)
    shutil.rmtree(study.root / "cache")
    return study, kept, study.find(run.job)


def test_a_record_stands_in_for_a_folder(recorded):
    study, (kept, batch_statistics), record = recorded
    assert record.folder.parent.name == "records" and record.weights == "averaged"
    for weights, (metrics, _) in kept.items():
        assert record.at(weights).metrics == metrics
    assert record.batch_statistics == batch_statistics
    assert study.state(record.job) == "done" and len(study.write_runs()["job"].unique()) == 1


def test_an_auc_can_be_recomputed_from_a_record_alone(recorded):
    _, (kept, _), record = recorded
    for weights, (metrics, whole) in kept.items():
        with np.load(record.folder / f"{weights}.npz") as facts:
            assert (
                set(facts) == {"index", "label", "anomalous", "in_test", "calibration", "s"}
                and facts["in_test"].all()
            )
            assert roc_auc_score(facts["anomalous"], facts["s"]) == pytest.approx(
                metrics["auc"], abs=1e-12
            )
            s = dict(zip(whole["index"], whole["s"], strict=True))
            np.testing.assert_allclose(
                facts["s"], [s[index] for index in facts["index"]], rtol=1e-6
            )


def test_a_record_of_a_later_group_holds_the_scores_of_the_headline_alone(recorded, tmp_path):
    _, (kept, _), record = recorded
    study = Study("smoke", tmp_path)
    later = replace(record, job=replace(record.job, group="ablations"))
    small = write_record(study, later)
    assert (small.folder / "averaged.npz").exists() and not (small.folder / "last.npz").exists()
    assert small.kinds == ("last", "averaged") and not small.at("last").has_facts
    for weights, (metrics, _) in kept.items():
        assert small.at(weights).metrics == metrics
    assert set(study.write_runs()["weights"]) == set(kept)
    assert _same(small, record)


def test_scores_keep_their_order_where_rounding_would_make_ties():
    random = np.random.RandomState(0)
    scores = np.concatenate(
        [0.5 + 1e-12 * np.arange(50), random.rand(500), random.rand(50) * 1e-30, [0.25, 0.25]]
    )
    scores = random.permutation(scores)
    small = narrow(scores)
    assert small.dtype == np.float32 and len(np.unique(scores.astype(np.float32))) < len(
        np.unique(scores)
    )
    assert np.array_equal(
        np.unique(scores, return_inverse=True)[1], np.unique(small, return_inverse=True)[1]
    )
    np.testing.assert_allclose(small, scores, rtol=1e-5)
    assert narrow(small) is small
    assert (
        narrow(np.array([3, -4])).dtype == np.int8 and narrow(np.array([70_000])).dtype == np.int32
    )


def test_a_record_is_small(recorded):
    _, (kept, _), record = recorded
    for weights, (_, whole) in kept.items():
        assert (record.folder / f"{weights}.npz").stat().st_size < 3000 + 15 * whole[
            "in_test"
        ].sum()
    assert (
        not (record.folder / "last.safetensors").exists()
        and (record.folder / "averaged.safetensors").exists()
    )


def test_pictures_are_made_of_the_images_that_the_starter_pack_has(recorded):
    _, (kept, _), record = recorded
    run, whole = record.pictured(), kept["averaged"][1]
    assert run.test["z_s"].shape == (len(run.test["index"]), 100) and run.metrics == record.metrics
    places = [list(whole["index"]).index(index) for index in run.test["index"]]
    np.testing.assert_allclose(
        run.test["z_s"], whole["z_s"][places], atol=0.01, rtol=0.01
    )  # of halved networks
    np.testing.assert_array_equal(run.test["anomalous"], whole["anomalous"][places])
    assert run.images(np.arange(3)).shape == (3, 1, 32, 32)
    assert run.model()(run.images(np.arange(2)).float())[0].shape == (2, 100)
    with pytest.raises(MissingWeights):
        record.at("last").pictured()


def test_a_record_without_networks_says_how_to_train_them(recorded, tmp_path):
    _, _, record = recorded
    copy = tmp_path / "smoke" / "records" / record.job.id
    shutil.copytree(record.folder, copy)
    for path in copy.glob("*.safetensors"):
        path.unlink()
    bare = replace(record, folder=copy)
    with pytest.raises(MissingWeights, match=f"run --profile smoke --anew {record.job.id}"):
        bare.model()


def test_a_record_is_never_written_again(recorded):
    study, _, record = recorded
    before = {path.name: path.stat().st_mtime_ns for path in record.folder.iterdir()}
    write_record(study, record)
    assert {path.name: path.stat().st_mtime_ns for path in record.folder.iterdir()} == before
    assert read(record.folder, record.job) == record


def test_a_record_trained_anew_gives_the_same_bytes(recorded, capsys):
    study, _, record = recorded
    line = [
        "all",
        "--profile",
        "smoke",
        "--results",
        str(study.root.parent),
        "--verify",
        "cheapest",
        "--workers",
        "1",
    ]
    assert main(line) == 0
    said = capsys.readouterr().out
    assert record.job.id in said and "same bytes" in said
    assert study.find(record.job).folder == record.folder  # what was trained anew lies elsewhere
    again = ShownStudy("smoke", study.root / "verified")
    shutil.copytree(
        record.folder, again.root / "records" / record.job.id
    )  # a folder of its own, and a record
    assert (
        again.trained(record.job).folder == again.path(record.job) == again.find(record.job).folder
    )
    assert again.recorded(record.job).folder.parent.name == "records" and verify(
        again, "3"
    ).index.tolist() == [record.job.id]
    row = verify(study, "3").loc[record.job.id]
    assert row["difference"] == 0 and row["alike made"] and row["verdict"] == "same bytes"
    assert row["recorded on"] == row["anew on"] == processor()
    assert pd.read_csv(study.root / "verified.csv", index_col="job").index.tolist() == [
        record.job.id
    ]


def test_the_cheapest_record_is_one_of_a_device_like_this(recorded, monkeypatch, capsys):
    study, _, record = recorded
    line = [
        "all",
        "--profile",
        "smoke",
        "--results",
        str(study.root.parent),
        "--verify",
        "cheapest",
    ]
    took = {"a GPU's": ("cuda", 1.0), "a core's": ("cpu", 3.0), "the cheapest": ("cpu", 2.0)}
    those = {
        name: SimpleNamespace(about={"device": device, "seconds": s})
        for name, (device, s) in took.items()
    }
    assert _chosen(study, those, "cheapest", 0) == ["the cheapest"]
    monkeypatch.setattr(Run, "about", record.about | {"device": "cuda"})
    assert main(line) == 2 and "no record of a training on cpu" in capsys.readouterr().err


def test_what_differs_is_held_against_the_spread_over_seeds():
    assert _judged(0.05, 0.02) == "near" and _judged(-0.1, 0.02) == "far"
    assert _judged(0.05, float("nan")) == "differs"


def test_the_spread_is_that_of_trainings_that_differ_in_seed_alone():
    trainings = {(0.90, 4, 0), (0.92, 4, 1), (0.50, 5, 0), (0.52, 5, 1), (0.70, 6, 0)}
    runs = [
        SimpleNamespace(
            config=Settings(dataset="mnist", held_out=held_out, seed=seed), metrics={"auc": auc}
        )
        for auc, held_out, seed in sorted(trainings)
    ]
    longer = SimpleNamespace(config=replace(runs[0].config, epochs=30), metrics={"auc": 0.1})
    records = dict(enumerate([*runs, longer]))
    assert _spread(runs[0], records) == pytest.approx(0.01 * 2**0.5)
    assert np.isnan(_spread(longer, records))


def test_a_damaged_record_is_named_and_the_others_are_kept(tmp_path, capsys):
    study, line = (
        Study("smoke", tmp_path),
        ["records", "--profile", "smoke", "--results", str(tmp_path)],
    )
    damaged, _ = (
        run_job(study, job).job.id
        for job in study.select(dataset="mnist", group="classifier")[:1]
        + study.select(method="padim")[:1]
    )
    assert main(line) == 0
    (study.root / "records" / damaged / "last.npz").write_bytes(b"half")
    capsys.readouterr()
    assert main(line) == 1
    said = capsys.readouterr()
    assert "1 of" in said.out and damaged in said.err


@pytest.mark.parametrize("damage", ["changed", "unsealed"])
def test_a_record_that_is_left_out_is_named_and_no_success(damage, recorded, tmp_path, capsys):
    study, _, record = recorded
    shutil.copytree(study.root, tmp_path / "smoke")
    folder = tmp_path / "smoke" / "records" / record.job.id
    folder.joinpath("last.npz").write_bytes(b"half") if damage == "changed" else (
        folder / "SHA256SUMS"
    ).unlink()
    copy = ShownStudy("smoke", tmp_path)
    assert copy.state(record.job) == "damaged" and not copy.find(record.job)
    assert main(["draw", "table1", "--profile", "smoke", "--results", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"`git checkout -- {folder}` brings it back" in line
    assert main(["all", "--profile", "smoke", "--results", str(tmp_path), "--verify", "1"]) != 0
    assert line in capsys.readouterr().err


def test_a_record_in_the_folder_of_another_is_named(recorded, tmp_path):
    shutil.copytree(recorded[0].root, tmp_path / "smoke")
    folder = tmp_path / "smoke" / "records" / recorded[2].job.id
    folder.rename(folder.with_name("copied"))
    (line,) = ShownStudy("smoke", tmp_path).damaged_records()
    assert f"copied holds {folder.name}" in line


def test_a_figure_without_trainings_does_not_replace_the_one_that_is_there(tmp_path, capsys):
    there = tmp_path / "laptop" / "figures" / "fig7.webp"
    there.parent.mkdir(parents=True)
    there.write_bytes(b"drawn before")
    line = [
        "all",
        "--profile",
        "laptop",
        "--results",
        str(tmp_path),
        "--only",
        "fig7",
        "deviations",
    ]
    assert main(line) == 0 and there.read_bytes() == b"drawn before"
    said = capsys.readouterr().out
    assert "not made yet: 2" in said and "run --profile laptop cifar10-4-balanced" in said


@pytest.mark.parametrize(
    "line, said",
    [
        (["all", "--verify", "1", "--only", "table1"], "--verify goes with none of"),
        (["all", "--verify", "1", "--set", "epochs=3"], "--verify goes with none of"),
        (["run", "--index", "3", "--group", "classifier"], "--index is one job"),
    ],
)
def test_options_that_do_not_go_together_are_refused(line, said, tmp_path, capsys):
    assert main([*line, "--profile", "smoke", "--results", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err


def test_a_record_that_cannot_be_trained_anew_says_why_in_a_line(recorded, monkeypatch, capsys):
    study, _, record = recorded
    row = {"job": record.job.id, "recorded": 0.9, "verdict": f"{record.job.id}: no data"}
    monkeypatch.setattr(commands, "verify", lambda *_: pd.DataFrame([row]).set_index("job"))
    assert (
        main(["all", "--profile", "smoke", "--results", str(study.root.parent), "--verify", "1"])
        == 1
    )
    said = capsys.readouterr()
    assert said.err.strip() == row["verdict"] and "failed" in said.out and "no data" not in said.out


def test_verify_without_records_says_so(tmp_path, capsys):
    assert main(["all", "--profile", "smoke", "--results", str(tmp_path), "--verify", "2"]) == 2
    assert "no records to draw on this device in" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["all", "--verify", "0"])


def test_the_edition_has_trainings_of_the_papers_size_and_no_core_is_asked_for_them(
    tmp_path, monkeypatch
):
    laptop, paper = (ShownStudy(name, tmp_path, device="cpu") for name in ("laptop", "paper"))
    whole = laptop.select(group=("paper_size", "strong_wide"))
    assert {job.id for job in whole} <= {job.id for job in paper.jobs} and {
        job.config.width for job in whole
    } == {64}
    (control,) = laptop.select(group="paper_size", method="classifier")
    (other,) = laptop.select(group="classifier", dataset="cifar10", held_out=0)
    for job in (control, other):
        shutil.copytree(model.RECORDS / job.id, laptop.root / "records" / job.id)
    assert [run.job for run in laptop.found()] == [other, control]
    monkeypatch.setattr(
        verify_module,
        "run_jobs",
        lambda again, chosen, workers, **_: {job.id: "asked for" for job in chosen},
    )
    monkeypatch.setattr(verify_module, "Study", lambda *_: laptop)
    assert verify(laptop, "9").index.tolist() == [other.id]
    laptop.device = "cuda"
    assert set(verify(laptop, "9").index) == {other.id, control.id}
    changed = ShownStudy(
        "laptop", tmp_path, settings={"epochs": 3}
    )  # what a notebook then trains is for one core
    assert not changed.select(group=("paper_size", "strong_wide")) and changed.select(
        group="strong"
    )


def test_curves_of_the_papers_size_end_at_the_recorded_numbers():
    study = ShownStudy("laptop")
    runs = {run.config.name: run for run in study.found(study.select(group="paper_size"))}
    axes = np.reshape(curves.paper_size(list(runs.values())).axes, (2, 2))
    for row, weights in zip(axes, ("last", "averaged"), strict=True):
        for ax, measured in zip(row, ("auc", "normal_accuracy"), strict=True):
            raw = [line for line in ax.lines if len(line.get_xdata()) == 100][::2]
            for line, run in zip(raw, runs.values(), strict=True):
                number = run.at(weights).metrics[measured]
                assert line.get_ydata()[-1] == pytest.approx(number, abs=1e-4)
    printed = [line.get_ydata()[0] for line in axes[0, 0].lines if line.get_ls() == ":"]
    assert len(runs) == 3 and printed == [pytest.approx(paper_auc("cifar10", [4]))]


def test_networks_by_their_name(recorded, monkeypatch):
    _, _, record = recorded
    monkeypatch.setattr(model, "RECORDS", record.folder.parent)
    shown, x = model.YGAN.from_pretrained("mnist-4-balanced"), torch.zeros(1, 1, 32, 32)
    assert (
        shown.C(shown.encode(x)[0]).equal(record.model().C(record.model().encode(x)[0]))
        and not shown.training
    )
    with pytest.raises(ValueError, match="there are mnist-4-balanced"):
        model.YGAN.from_pretrained("mnist-5-balanced")
    changed = record.folder / "averaged.safetensors"
    whole = changed.read_bytes()
    changed.write_bytes(whole[:-1] + b"\0")
    with pytest.raises(ValueError, match="was changed: restore it with git checkout"):
        model.YGAN.from_pretrained("mnist-4-balanced")
    changed.write_bytes(whole)


def test_a_study_with_records_trains_nothing_by_itself(tmp_path, monkeypatch):
    study = ShownStudy("laptop", tmp_path)
    job = study.select(group="balanced")[0]
    assert (
        study.run_all([job]) == []
        and not study.trains
        and ShownStudy("laptop", tmp_path, settings={"epochs": 1}).trains
    )
    with pytest.raises(NotTrained, match=f"run --profile laptop {job.id}"):
        study.run(job)
    said = []
    monkeypatch.setattr("ygan_study.report.study.display", lambda what: said.append(what.data))
    study.show("table1")
    assert said == [
        f"*0 of the {len(tables.TABLES['table1'].jobs(study))} trainings that it plans are done.*"
    ]


def test_what_is_shown_has_its_caption(tmp_path, monkeypatch):
    (tmp_path / "laptop").mkdir()
    (tmp_path / "laptop" / "records").symlink_to(ROOT / "results" / "laptop" / "records")
    said = []
    monkeypatch.setattr(
        "ygan_study.report.study.display", lambda what: said.append(getattr(what, "data", what))
    )
    study = ShownStudy("laptop", tmp_path)
    study.show("table4")
    assert (
        "<table" in said[0]
        and "calibration images: how many these are" in said[1]
        and "Y-GAN 0.962" in said[-1]
    )
    said.clear()
    study.show("ladder")
    assert isinstance(said[0], Figure) and "every length is a training of its own" in said[1]
