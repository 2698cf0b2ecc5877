import shutil
from dataclasses import replace

import numpy as np
import pytest

from ygan_core.study.run.records import write_record
from ygan_core.study.run.store import MissingWeights, Study, read
from ygan_core.study.run.training import run_job


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A smoke study whose one training left its folder, and remains as a record: (study, the run, the record)."""
    study = Study("smoke", tmp_path_factory.mktemp("records"))
    run = run_job(study, study.select(dataset="mnist", group="balanced")[0])
    kept = {weights: (run.at(weights).metrics, run.at(weights).batch_statistics) for weights in run.kinds}
    write_record(study, run)
    shutil.rmtree(run.folder)
    shutil.rmtree(study.root / "cache")
    return study, kept, study.find(run.job)


def test_a_record_stands_in_for_a_folder(recorded):
    study, kept, record = recorded
    assert record.folder.parent.name == "records" and record.weights == "averaged"
    for weights, (metrics, batch_statistics) in kept.items():
        assert record.at(weights).metrics == metrics
        assert record.at(weights).batch_statistics == batch_statistics
    assert study.state(record.job) == "done" and len(study.write_runs()["job"].unique()) == 1


def test_a_record_is_small(recorded):
    _, _, record = recorded
    for weights in record.kinds:
        assert set(record.at(weights).test) >= {"index", "label", "anomalous", "in_test", "s", "calibration", "right"}
        assert "s_x" not in record.at(weights).test and record.at(weights).test["index"].dtype != np.int64
        assert (record.folder / f"{weights}.npz").stat().st_size < 200_000


def test_pictures_are_made_of_the_images_that_the_starter_pack_has(recorded):
    _, _, record = recorded
    run = record.pictured()
    assert run.test["z_s"].shape == (len(run.test["index"]), 100) and np.isfinite(run.test["z_s"]).all()
    assert run.images(np.arange(3)).shape == (3, 1, 32, 32) and run.metrics == record.metrics
    assert run.model()(run.images(np.arange(2)).float())[0].shape == (2, 100)


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
