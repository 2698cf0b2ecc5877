import shutil
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ygan_core.study.run.folder import MissingWeights, read
from ygan_core.study.run.records import _narrow, write_record
from ygan_core.study.run.store import Study
from ygan_core.study.run.training import run_job


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A smoke study whose one training left its folder, and remains as a record: (study, the run, the record)."""
    study = Study("smoke", tmp_path_factory.mktemp("records"))
    run = run_job(study, study.select(dataset="mnist", group="balanced")[0])
    kept = {weights: (run.at(weights).metrics, run.at(weights).test) for weights in run.kinds}, run.batch_statistics
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
            assert set(facts) == {"index", "label", "anomalous", "in_test", "calibration", "s"} and facts["in_test"].all()
            assert roc_auc_score(facts["anomalous"], facts["s"]) == pytest.approx(metrics["auc"], abs=1e-12)
            s = dict(zip(whole["index"], whole["s"], strict=True))
            np.testing.assert_allclose(facts["s"], [s[index] for index in facts["index"]], rtol=1e-6)


def test_scores_stay_double_where_rounding_would_make_ties():
    near = np.array([0.5, 0.5 + 1e-12])
    assert _narrow(near).dtype == np.float64 and _narrow(np.array([0.5, 0.25])).dtype == np.float32
    assert _narrow(np.array([3, -4])).dtype == np.int8 and _narrow(np.array([70_000])).dtype == np.int32


def test_a_record_is_small(recorded):
    _, (kept, _), record = recorded
    for weights, (_, whole) in kept.items():
        assert (record.folder / f"{weights}.npz").stat().st_size < 3000 + 15 * whole["in_test"].sum()
    assert not (record.folder / "last.safetensors").exists() and (record.folder / "averaged.safetensors").exists()


def test_pictures_are_made_of_the_images_that_the_starter_pack_has(recorded):
    _, (kept, _), record = recorded
    run, whole = record.pictured(), kept["averaged"][1]
    assert run.test["z_s"].shape == (len(run.test["index"]), 100) and run.metrics == record.metrics
    places = [list(whole["index"]).index(index) for index in run.test["index"]]
    np.testing.assert_allclose(run.test["z_s"], whole["z_s"][places], atol=0.01, rtol=0.01)  # of halved networks
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
