"""The study: settings and ids, what a job's folder holds, what follows from it, runs.csv, the command line."""

import io
import json
import multiprocessing
import shutil
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
import torch

from ygan_core.config import ConfigError
from ygan_core.data import DataError, sub_classes
from ygan_study import Study
from ygan_study.__main__ import main
from ygan_study.engine import Trainer
from ygan_study.methods import BASELINES, METHODS
from ygan_study.methods.weak_labels import WeakLabels, weak_labels
from ygan_study.plan.images import prepare
from ygan_study.plan.jobs import Job, _groups, settings_read
from ygan_study.plan.profiles import PROFILES, profile_settings
from ygan_study.plan.settings import Settings, with_overrides
from ygan_study.run import shipped, store, training
from ygan_study.run.checksums import SUMS
from ygan_study.run.tidy import RUNS_COLUMNS
from ygan_study.run.training import run_all, run_job

FACTS = (
    "config.json",
    "losses.csv",
    "run.json",
    "last.npz",
    "averaged.npz",
    "last.safetensors",
    "averaged.safetensors",
)


def test_the_paper_configuration_is_the_papers():
    c = Settings()
    assert (c.lambda_1, c.lambda_2, c.lambda_3, c.lambda_4, c.lambda_5, c.lambda_6) == (
        50,
        1,
        1,
        1,
        50,
        1,
    )
    assert (c.lr, c.beta_1, c.beta_2, c.epochs, c.d, c.hidden, c.image_size) == (
        2e-4,
        0.5,
        0.999,
        100,
        100,
        30,
        32,
    )
    assert METHODS["paper"].settings == {} and not c.ramp_con and c.headline == "last"
    assert profile_settings("paper", "color_mnist", "paper") == c


def test_profiles():
    assert list(PROFILES) == ["smoke", "quick", "laptop", "paper"]
    quick = store.Study("quick")
    assert [job.config.name for job in quick.select(group="color_mnist")] == ["balanced", "paper"]
    assert [job.config.seed for job in Study("laptop").select(group="color_mnist")] == [0, 1, 2] * 2
    draws = [
        (job.config.seed, job.config.split_seed)
        for job in quick.select(group="balanced", dataset="mnist")
    ]
    assert draws == [(0, 0), (1, 0), (2, 1)]  # the third moves the split too
    planned = [Job(config).id for configs in _groups("smoke", {}).values() for config in configs]
    assert [job.id for job in store.Study("smoke").jobs] == list(
        dict.fromkeys(planned)
    )  # asked for twice: the first place
    groups = [job.group for job in store.Study("laptop").jobs]
    assert groups == sorted(
        groups, key=list(dict.fromkeys(groups)).index
    )  # each is whole before the next begins


def test_ids_are_stable_and_tell_configs_apart():
    assert Job(Settings()).id == "color_mnist-0-paper-s0-d916c65e2a"
    ids = {
        Job(with_overrides(Settings(), {key: value})).id
        for key, value in [("seed", 1), ("width", 8), ("lambda_5", 0)]
    }
    assert len(ids | {Job(Settings()).id}) == 4


@pytest.mark.parametrize("method", BASELINES)
def test_an_id_hashes_what_the_method_reads_and_nothing_else(method):
    own = Settings(dataset="mnist", method=method)
    other = dict(
        lambda_5=0.0,
        ramp_con=True,
        lr=1e-3,
        d=50,
        width=8,
        epochs=3,
        batch_size=32,
        seed=1,
        split_seed=1,
    )
    changed = {
        key for key, value in other.items() if Job(replace(own, **{key: value})).id != Job(own).id
    }
    assert (
        changed == other.keys() & settings_read(own)
        and "lambda_5" not in changed
        and "split_seed" in changed
    )
    assert settings_read(Settings()) == {field.name for field in fields(Settings)}


def test_a_setting_trains_anew_what_reads_it_and_nothing_else(quickest):
    study, runs = quickest
    for profile in ("smoke", "laptop"):
        plain, changed = store.Study(profile), store.Study(profile, settings={"lambda_5": "0"})
        ids = {job.id for job in changed.select(method=tuple(BASELINES))}
        assert ids == {job.id for job in plain.select(method=tuple(BASELINES))}
        assert not {job.id for job in changed.select(group="balanced")} & {
            job.id for job in plain.select(group="balanced")
        }
    changed = store.Study("smoke", study.root.parent, settings={"lambda_5": "0"})
    assert changed.find(runs["ganomaly"].job).folder == runs["ganomaly"].folder
    assert changed.folder == study.root / "changed" / "lambda_5=0"


def test_a_run_leaves_all_its_files_and_no_checkpoint(smoke):
    _, runs = smoke
    for run in runs.values():
        assert {p.name for p in run.folder.iterdir()} - {".lock", "log.txt"} == {*FACTS, SUMS}
        assert (
            len(run.losses) == run.config.epochs
            and run.about["split"] == prepare(run.config)[1].hash
        )
        assert Settings(**json.loads((run.folder / "config.json").read_text())) == run.config


def test_numbers_follow_from_the_facts_with_both_weights(smoke):
    _, runs = smoke
    for run in (run.at(weights) for run in runs.values() for weights in ("last", "averaged")):
        test = {
            key: array[run.test["in_test"]]
            for key, array in run.test.items()
            if len(array) == len(run.test["index"])
        }
        normal, anomalous = test["s"][~test["anomalous"]], test["s"][test["anomalous"]]
        assert len(normal) == len(anomalous)
        wins = (anomalous[:, None] > normal).mean() + 0.5 * (anomalous[:, None] == normal).mean()
        assert run.metrics["auc"] == pytest.approx(wins) and "auc" not in run.about
        data, _ = prepare(run.config)
        rows = np.arange(5)
        places = [data.index.tolist().index(place) for place in run.test["index"][rows]]
        assert run.images(rows).equal(data.images[places])


def test_stored_networks_give_the_stored_latents_with_both_weights(smoke):
    run = smoke[1]["balanced"]
    x = run.images(np.arange(9)).float() / 127.5 - 1
    for weights in run.kinds:
        with torch.inference_mode():
            np.testing.assert_allclose(
                run.at(weights).model()(x)[0], run.at(weights).test["z_s"][:9], atol=1e-4, rtol=1e-4
            )
    assert run.kinds == ("last", "averaged") and not np.allclose(
        run.at("last").scores, run.at("averaged").scores
    )
    assert (run.weights, smoke[1]["paper"].weights) == (
        "averaged",
        "last",
    )  # whose result is the headline


def test_runs_csv_has_a_row_a_number_and_both_weights(smoke):
    study, runs = smoke
    table = pd.read_csv(study.root / "runs.csv")
    assert list(table) == RUNS_COLUMNS
    for run in runs.values():
        rows = table[
            (table["job"] == run.job.id)
            & (table["metric"] == "auc")
            & (table["epoch_rule"] == "last")
        ]
        assert dict(rows[["weights", "value"]].values) == {
            w: pytest.approx(run.at(w).metrics["auc"]) for w in run.kinds
        }
        assert rows[rows["headline"]]["weights"].tolist() == [run.config.headline]
        best = table[
            (table["job"] == run.job.id)
            & (table["metric"] == "auc")
            & (table["epoch_rule"] == "best_on_test")
        ]
        assert best[best["weights"] == "last"]["value"].tolist() == [
            pytest.approx(run.losses["auc"].max())
        ]


@pytest.mark.parametrize("door", ["run_job", "run_all", "Study.run", "command line"])
def test_runs_csv_is_rebuilt_by_whichever_door_a_training_came_in(door, copied, tmp_path):
    _, jobs = copied
    study = Study("smoke", tmp_path)
    job, before = study.select(method="knn_pixels")[0], set(study.write_runs()["job"])
    doors = {
        "run_job": lambda: run_job(store.Study("smoke", tmp_path), job),
        "run_all": lambda: run_all(store.Study("smoke", tmp_path), [job]),
        "Study.run": lambda: study.run(job),
        "command line": lambda: main(
            ["run", "--profile", "smoke", "--results", str(tmp_path), "--workers", "1", job.id]
        ),
    }
    doors[door]()
    assert set(pd.read_csv(study.root / "runs.csv")["job"]) == before | {job.id} and len(
        before
    ) == len(jobs)


def test_what_is_done_is_not_trained_again(smoke, monkeypatch):
    study, runs = smoke
    monkeypatch.setattr(training, "train", None)
    assert [run.folder for run in study.run_all(study.select(dataset="color_mnist"))] == [
        run.folder for run in runs.values()
    ]


def test_a_lost_result_is_measured_again_without_training(copied, monkeypatch):
    study, jobs = copied
    run = study.find(jobs["classifier"])
    before, metrics = (run.folder / "averaged.npz").read_bytes(), run.metrics
    (run.folder / "averaged.npz").unlink()
    assert study.state(run.job) == "damaged"
    monkeypatch.setattr(training, "train", None)
    again = run_job(study, run.job)
    assert again.metrics == metrics
    assert all(np.array_equal(again.test[k], v) for k, v in np.load(io.BytesIO(before)).items())


@pytest.mark.parametrize("name", [*FACTS, SUMS])
@pytest.mark.parametrize("damage", ["cut", "gone", "flip"])
def test_a_damaged_file_of_a_job_is_noticed_and_made_again(copied, quickest, name, damage):
    study, jobs = copied
    job, whole = jobs["classifier"], quickest[1]["classifier"]
    file = study.path(job) / name
    content, half = file.read_bytes(), len(file.read_bytes()) // 2
    damaged = {
        "cut": content[:half],
        "flip": content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :],
    }
    file.unlink() if damage == "gone" else file.write_bytes(damaged[damage])
    assert study.find(job) is None
    run = run_job(study, job)
    assert study.find(job) and run.metrics == pytest.approx(whole.metrics)
    for weights in run.kinds:
        assert (run.folder / f"{weights}.safetensors").read_bytes() == (
            whole.folder / f"{weights}.safetensors"
        ).read_bytes()


def test_an_interrupted_job_can_be_run_again_in_the_same_process(tmp_path):
    study = store.Study("smoke", tmp_path)
    job = study.select(dataset="color_mnist")[0]

    def stop(epoch):
        raise KeyboardInterrupt

    with pytest.raises(
        KeyboardInterrupt
    ) as kept:  # a notebook keeps the traceback, and all that it refers to
        run_job(study, job, callbacks=[stop])
    assert run_job(study, job).metrics and kept


def test_no_anomaly_and_no_test_image_in_a_training_batch(tmp_path, monkeypatch):
    """Watches every batch of a real job, image by image."""
    seen = set()

    def watch(self, x, y, partner, lambda_R):
        seen.update(
            (image.numpy().tobytes(), int(label))
            for image, label in zip(x.contiguous(), y, strict=True)
        )
        return torch.zeros(6)

    monkeypatch.setattr(Trainer, "step", watch)
    study = store.Study("smoke", tmp_path)
    job = study.select(dataset="color_mnist")[0]
    run_job(study, job)
    data, parts = prepare(job.config)

    def images(which):
        x, y = data.images[which].float() / 127.5 - 1, sub_classes(data, 0)[which]
        return {(image.numpy().tobytes(), int(label)) for image, label in zip(x, y, strict=True)}

    assert seen and seen <= images(parts.train)
    for part in (parts.calibration, parts.held_back, parts.test_normal, parts.test_anomalous):
        assert not {image for image, _ in seen} & {image for image, _ in images(part)}


def _train_in_child(results):
    study = store.Study("smoke", results)
    run_all(study, study.select(method=("ganomaly", "ocgan")))


def test_two_processes_never_train_the_same_job(tmp_path, capfd):
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_train_in_child, args=(tmp_path,)) for _ in range(2)]
    for process in children:
        process.start()
    for process in children:
        process.join()
    assert [process.exitcode for process in children] == [0, 0]
    assert capfd.readouterr().out.count("epoch 2/2") == 2  # two jobs, each trained once


def test_shipped_weights_are_what_they_say(tmp_path, monkeypatch):
    run = shipped.shipped("color_mnist-paper-w32")
    assert run.model().E_s(torch.zeros(1, 3, 32, 32)).shape == (1, 100) and run.config.width == 32
    x = run.images(np.arange(9)).float() / 127.5 - 1
    with torch.inference_mode():
        np.testing.assert_allclose(
            run.model()(x)[1].numpy(), run.test["z_r"][:9], atol=1e-2, rtol=1e-3
        )
    shutil.copytree(run.folder, tmp_path / "copy")
    monkeypatch.setattr(shipped, "WEIGHTS", tmp_path)
    content = bytearray((tmp_path / "copy/last.safetensors").read_bytes())
    content[-5] ^= 1
    (tmp_path / "copy/last.safetensors").write_bytes(content)
    with pytest.raises(DataError, match="restore it with"):
        shipped.shipped("copy")
    with pytest.raises(DataError, match="no weights 'other'"):
        shipped.shipped("other")


def test_the_list_makes_nothing(tmp_path, capsys):
    assert main(["all", "--profile", "smoke", "--results", str(tmp_path), "--list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("01_color_mnist", "fig6a", "fig6b", "color_mnist_probes"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--profile", "fast"], "invalid choice"),
        (["--profil", "quick"], "unrecognized arguments"),
        (["--jobs", "2"], "unrecognized arguments"),
        (["--workers", "0"], "not a number from 1 to 1024"),
        (["--precision", "auto"], "invalid choice"),
        (["--set", "epochs"], "not key=value"),
        (["--set", "epochs=many"], "epochs takes a whole number"),
        (["--set", "depth=3"], "no setting 'depth'"),
        (["--set", "epochs=1", "epochs=2"], "given twice"),
        (["--only", "fig99"], "no fig99: there are fig9"),
        (["--data", "/nowhere/at/all"], "no folder /nowhere/at/all"),
        (["--device", "tpu"], "invalid choice"),
    ],
)
def test_wrong_use_is_refused_in_one_line(arguments, said, tmp_path, capsys):
    try:
        status = main(["all", "--results", str(tmp_path / "r"), *arguments])
    except SystemExit as stop:
        status = stop.code
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert status == 2 and said in line and not list(tmp_path.rglob("*.*"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("verb", ["all", "benchmark"])
def test_a_device_that_is_not_there(verb, tmp_path, capsys):
    assert main([verb, "--device", "cuda", "--results", str(tmp_path)]) == 2
    assert "try --device auto" in capsys.readouterr().err


def test_a_dataset_that_is_not_there_leaves_the_other_runs(copied, tmp_path, monkeypatch, capsys):
    _, jobs = copied
    monkeypatch.setenv("YGAN_DATA", "/nowhere/at/all")
    full = store.Study("laptop", tmp_path, device="cpu").select(
        dataset="plantvillage", method="classifier"
    )[:1]
    assert len(run_all(store.Study("smoke", tmp_path), [*full, *jobs.values()])) == 2
    assert "PlantVillage: no class folders in /nowhere/at/all" in capsys.readouterr().out


def test_each_kind_of_images_has_its_own_weak_labels(tmp_path, monkeypatch):
    study, asked = store.Study("smoke", tmp_path), []
    (job,) = study.select(dataset="mnist", labels="weak")

    def made(images, *_):
        asked.append(images)
        return {
            form: WeakLabels(images.sum((1, 2, 3)) % 2, 2, {2: 0.1}, "a network", 32)
            for form in ("cosine", "as_written")
        }

    monkeypatch.setattr(store, "weak_labels", made)
    kinds = [
        replace(job.config, **change)
        for change in ({}, {"pixels": "background"}, {"image_size": 64})
    ]
    first = [study.weak_labels(config)["cosine"].labels for config in kinds]
    again = [study.weak_labels(config)["cosine"].labels for config in kinds]
    assert len(asked) == 3 and all(a.equal(b) for a, b in zip(first, again, strict=True))
    assert not asked[0].equal(asked[1])


def test_features_are_computed_once_for_all_cells_of_a_dataset(tmp_path, monkeypatch):
    study, asked = store.Study("smoke", tmp_path), []
    configs = [
        replace(study.select(dataset="mnist", labels="weak")[0].config, held_out=held_out)
        for held_out in (3, 4)
    ]

    def features(images, device):
        asked.append(len(images))
        return images.flatten(1)[:, ::8].float(), "a network"

    monkeypatch.setattr(store, "imagenet_features", features)
    made = [study.weak_labels(config)["cosine"] for config in configs]
    assert (
        asked == [len(prepare(configs[0])[0].images)]
        and [m.network for m in made] == ["a network"] * 2
    )
    for config, found in zip(configs, made, strict=True):
        data, parts = prepare(config)
        own = data.images[parts.train]
        again = weak_labels(own, config.split_seed, lambda own=own: features(own, "cpu"))
        assert found.labels.equal(again["cosine"].labels)


def test_results_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["all", "--profile", "smoke", "--results", str(tmp_path / "file")]) == 2
    assert "choose another folder with --results" in capsys.readouterr().err


def test_with_other_settings_what_is_drawn_lies_apart(smoke, results, capsys):
    study, _ = smoke
    line = [
        "all",
        "--profile",
        "smoke",
        "--results",
        str(results),
        "--workers",
        "1",
        "--only",
        "color_mnist_probes",
    ]
    assert main(line) == 0
    table = study.folder / "tables/color_mnist_probes.csv"
    before = table.read_bytes()
    assert main([*line, "--set", "lambda_5=0", "epochs=1"]) == 0
    changed = study.root / "changed" / "epochs=1 lambda_5=0"
    assert (changed / table.relative_to(study.folder)).read_bytes() != before
    assert table.read_bytes() == before and not list(study.root.glob("changed/jobs"))


def test_a_failed_part_does_not_stop_the_others(smoke, results, monkeypatch, capsys):
    from ygan_study.report.figures import FIGURES

    def broken(runs):
        raise RuntimeError("no ink left")

    monkeypatch.setitem(FIGURES, "fig6a", replace(FIGURES["fig6a"], make=broken))
    line = [
        "all",
        "--profile",
        "smoke",
        "--results",
        str(results),
        "--only",
        "fig6a",
        "color_mnist_probes",
    ]
    assert main(line) == 1
    out = capsys.readouterr().out
    assert (
        "fig6a: RuntimeError: no ink left" in out
        and (results / "smoke/tables/color_mnist_probes.csv").exists()
    )


def test_what_is_asked_for_by_name_is_always_drawn(smoke, results, monkeypatch):
    from ygan_study.report.figures import FIGURES

    calls, view = [], FIGURES["color_mnist_scores"]
    monkeypatch.setitem(
        FIGURES,
        "color_mnist_scores",
        replace(view, make=lambda runs: calls.append(runs) or view.make(runs)),
    )
    for line in (["all", "--only"], ["all", "--only"], ["draw"]):
        assert (
            main([*line, "color_mnist_scores", "--profile", "smoke", "--results", str(results)])
            == 0
        )
    assert len(calls) == 3
