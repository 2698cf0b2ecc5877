import functools
import io
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from ygan_core.config import CONFIGURATIONS, PROFILES, Config, ConfigError, profile_config, with_overrides
from ygan_core.data import DataError, sub_classes
from ygan_core.study import Job, Study, View, jobs, weights
from ygan_core.study.__main__ import main
from ygan_core.study.measure.evaluation import prepare
from ygan_core.study.run.store import FILES
from ygan_core.study.measure.weak_labels import WeakLabels
from ygan_core.train import Trainer


def test_the_paper_configuration_is_the_papers():
    c = Config()
    assert (c.lambda_1, c.lambda_2, c.lambda_3, c.lambda_4, c.lambda_5, c.lambda_6) == (50, 1, 1, 1, 50, 1)
    assert (c.lr, c.beta_1, c.beta_2, c.epochs, c.d, c.hidden, c.image_size) == (2e-4, 0.5, 0.999, 100, 100, 30, 32)
    assert CONFIGURATIONS["paper"] == {} and not c.ramp_con


def test_profiles():
    assert list(PROFILES) == ["smoke", "quick", "laptop", "paper"]
    quick = [job.config for job in Study("quick").select(dataset="color_mnist")]
    assert [c.name for c in quick] == ["balanced", "paper"] and [c.lambda_5 for c in quick] == [10, 50]
    assert profile_config("laptop", "color_mnist", "paper-w32").width == 32
    assert profile_config("paper", "color_mnist", "paper") == Config()


def test_ids_are_stable_and_tell_configs_apart():
    assert Job(Config()).id == "color_mnist-0-paper-s0-0899eaeee7"
    ids = {Job(with_overrides(Config(), {key: value})).id for key, value in [("seed", 1), ("width", 8), ("lambda_5", 0)]}
    assert len(ids | {Job(Config()).id}) == 4


@pytest.mark.parametrize(
    "key, value, typed", [("epochs", "3", 3), ("lr", "1e-3", 1e-3), ("ramp_con", "true", True), ("lambda_5", 0, 0.0)]
)
def test_overrides_are_typed(key, value, typed):
    got = getattr(with_overrides(Config(), {key: value}), key)
    assert got == typed and type(got) is type(typed)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"epoch": "3"}, "no setting 'epoch'"),
        ({"epochs": "3.5"}, "epochs takes a whole number, not '3.5'"),
        ({"lr": "fast"}, "lr takes a number"),
        ({"lr": "nan"}, "lr takes a number"),
        ({"ramp_con": "yes"}, "ramp_con takes true or false"),
        ({"batch_size": "1"}, "batch_size is at least 2"),
        ({"image_size": "48"}, "power of two"),
        ({"image_size": "16"}, "32 at least"),
        ({"latents": "semantic", "score": "s_x"} | dict.fromkeys([f"lambda_{i}" for i in (1, 2, 4, 5, 6)], "0"), "image score"),
        ({"epochs": "0"}, "epochs is at least 1"),
        ({"held_out": "12"}, "held_out"),
        ({"name": "mine"}, "no setting 'name'"),
        ({"lambda_1": "-1"}, "a lambda is 0 or more"),
        ({"width": "5000"}, "between 1 and 1024"),
        ({"split_seed": "99999999999"}, "seeds lie between"),
        ({"images_per_class": "3"}, "at least 20"),
    ],
)
def test_wrong_settings_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        with_overrides(Config(), settings)


def test_a_run_leaves_all_its_files_and_no_checkpoint(smoke):
    _, runs = smoke
    for run in runs.values():
        assert sorted(p.name for p in run.folder.iterdir() if p.name != ".lock") == sorted(FILES)
        assert len(run.losses) == run.config.epochs and run.about["split"] == prepare(run.config)[1].hash
        assert Config(**json.loads((run.folder / "config.json").read_text())) == run.config


def test_metrics_recomputed_from_what_is_stored(smoke):
    _, runs = smoke
    for run in runs.values():
        test = {key: array[run.test["in_test"]] for key, array in run.test.items()}
        normal, anomalous = test["s"][~test["anomalous"]], test["s"][test["anomalous"]]
        assert len(normal) == len(anomalous)
        wins = (anomalous[:, None] > normal).mean() + 0.5 * (anomalous[:, None] == normal).mean()
        assert run.metrics["auc"] == pytest.approx(wins)
        data, _ = prepare(run.config)
        rows = np.arange(5)
        places = [data.index.tolist().index(place) for place in run.test["index"][rows]]
        assert run.images(rows).equal(data.images[places])


def test_a_stored_model_gives_the_stored_latents(smoke):
    _, runs = smoke
    run = next(iter(runs.values()))
    x = run.images(np.arange(9)).float() / 127.5 - 1
    with torch.inference_mode():
        np.testing.assert_allclose(run.model()(x)[0].numpy(), run.test["z_s"][:9], atol=1e-4, rtol=1e-4)


def test_what_is_done_is_not_trained_again(smoke, monkeypatch):
    study, runs = smoke
    monkeypatch.setattr(jobs, "train", None)
    assert [run.folder for run in study.color_mnist()] == [run.folder for run in runs.values()]


def test_a_lost_result_is_measured_again_without_training(smoke, monkeypatch):
    study, runs = smoke
    run = runs["paper"]
    before, about = (run.folder / "test.npz").read_bytes(), run.about["metrics"]
    (run.folder / "test.npz").unlink()
    monkeypatch.setattr(jobs, "train", None)
    again = study.run(run.job)
    assert again.metrics == about
    assert all(np.array_equal(again.test[k], v) for k, v in np.load(io.BytesIO(before)).items())


@pytest.mark.parametrize(
    "name, damage",
    [(name, damage) for name in FILES for damage in ("cut", "gone", "flip") if (name, damage) != ("run.json", "flip")],
)
def test_a_damaged_file_of_a_job_is_noticed_and_made_again(smoke, tmp_path, name, damage):
    folder = smoke[0].folder / "jobs" / smoke[1]["paper"].job.id
    study = Study("smoke", tmp_path)
    (job,) = study.select(dataset="color_mnist", name="paper")
    copy = tmp_path / "smoke/jobs" / job.id
    shutil.copytree(folder, copy)
    assert study.find(job)
    content = (copy / name).read_bytes()
    half = len(content) // 2
    damaged = {"cut": content[:half], "flip": content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]}
    (copy / name).unlink() if damage == "gone" else (copy / name).write_bytes(damaged[damage])
    assert study.find(job) is None
    run = study.run(job)
    assert study.find(job) and len(run.losses) == 3
    assert (copy / "weights.safetensors").read_bytes() == (folder / "weights.safetensors").read_bytes()
    assert run.metrics == pytest.approx(smoke[1]["paper"].metrics)


def test_an_interrupted_job_can_be_run_again_in_the_same_process(tmp_path):
    study = Study("smoke", tmp_path)
    job = study.select(dataset="color_mnist")[0]

    def stop(epoch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as kept:  # a notebook keeps the traceback, and all that it refers to
        study.run(job, callbacks=[stop])
    assert study.run(job).metrics and kept


def test_a_changed_setting_shows_in_the_label():
    assert with_overrides(Config(), {"lambda_5": 0, "width": 8, "seed": 0}).label == "paper, lambda_5=0.0"
    assert profile_config("quick", "mnist", "balanced").label == "balanced"


def test_no_anomaly_and_no_test_image_in_a_training_batch(tmp_path, monkeypatch):
    """Watches every batch of a real job, image by image."""
    seen = set()

    def watch(self, x, y, partner, lambda_R):
        seen.update((image.numpy().tobytes(), int(label)) for image, label in zip(x.contiguous(), y, strict=True))
        return torch.zeros(6)

    monkeypatch.setattr(Trainer, "step", watch)
    job = Study("smoke", tmp_path).select(dataset="color_mnist")[0]
    Study("smoke", tmp_path).run(job)
    data, parts = prepare(job.config)

    def images(which):
        x, y = data.images[which].float() / 127.5 - 1, sub_classes(data, 0)[which]
        return {(image.numpy().tobytes(), int(label)) for image, label in zip(x, y, strict=True)}

    assert seen and seen <= images(parts.train)
    for part in (parts.calibration, parts.held_back, parts.test_normal, parts.test_anomalous):
        assert not {image for image, _ in seen} & {image for image, _ in images(part)}


def _train_in_child(results):
    Study("smoke", results, settings={"epochs": 2}).color_mnist()


def test_two_processes_never_train_the_same_job(tmp_path, capfd):
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_train_in_child, args=(tmp_path,)) for _ in range(2)]
    for process in children:
        process.start()
    for process in children:
        process.join()
    assert [process.exitcode for process in children] == [0, 0]
    out = capfd.readouterr().out
    assert out.count("epoch 2/2") == 2  # two jobs, each trained once


def test_shipped_weights_are_what_they_say(tmp_path, monkeypatch):
    run = weights.shipped("color_mnist-paper-w32")
    assert run.config == profile_config("laptop", "color_mnist", "paper-w32")
    assert run.model().E_s(torch.zeros(1, 3, 32, 32)).shape == (1, 100)
    x = run.images(np.arange(9)).float() / 127.5 - 1
    with torch.inference_mode():
        np.testing.assert_allclose(run.model()(x)[1].numpy(), run.test["z_r"][:9], atol=1e-2, rtol=1e-3)


def test_exported_weights_round_trip_and_damage_is_seen(smoke, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path)
    run = smoke[1]["paper"]
    out = weights.export(run)
    assert out.config == run.config and out.metrics == run.metrics
    np.testing.assert_allclose(out.scores, run.scores, atol=5e-3)
    file = out.folder / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match="damaged: restore it with"):
        weights.shipped(out.folder.name)
    with pytest.raises(DataError, match="no weights 'other'"):
        weights.shipped("other")


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
        (["--quick"], "unrecognized arguments"),
        (["--set", "epochs"], "not key=value"),
        (["--set", "epochs=many"], "epochs takes a whole number"),
        (["--set", "depth=3"], "no setting 'depth'"),
        (["--set", "epochs=1", "epochs=2"], "given twice"),
        (["--only", "fig99"], "no fig99: choose from"),
        (["--data", "/nowhere/at/all"], "no folder /nowhere/at/all"),
        (["--device", "tpu"], "invalid choice"),
    ],
)
def test_wrong_use_is_refused_in_one_line(arguments, said, tmp_path, capsys):
    try:
        status = main(["all", "--results", str(tmp_path / "r"), *arguments])
    except SystemExit as stop:
        status = stop.code
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert status == 2 and said in last and not (tmp_path / "r").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("verb", ["all", "benchmark"])
def test_a_device_that_is_not_there(verb, tmp_path, capsys):
    assert main([verb, "--device", "cuda", "--results", str(tmp_path)]) == 2
    assert "try --device auto" in capsys.readouterr().err


def test_a_dataset_that_is_not_there_leaves_the_other_runs(smoke, tmp_path, monkeypatch, capsys):
    shutil.copytree(smoke[0].folder / "jobs", tmp_path / "smoke/jobs")
    study = Study("smoke", tmp_path)
    monkeypatch.setenv("YGAN_DATA", "/nowhere/at/all")
    full = Study("laptop", tmp_path, device="cpu").select(dataset="plantvillage", method="classifier")
    assert len(study.runs([*full, *study.select(dataset="color_mnist")])) == 2
    assert "PlantVillage: no class folders in /nowhere/at/all" in capsys.readouterr().out


def test_each_kind_of_images_has_its_own_weak_labels(tmp_path, monkeypatch):
    study, asked = Study("smoke", tmp_path), []
    (job,) = study.select(dataset="mnist", labels="weak")

    def made(images, *_):
        asked.append(images)
        return {form: WeakLabels(images.sum((1, 2, 3)) % 2, 2, {2: 0.1}, "a network") for form in ("cosine", "as_written")}

    monkeypatch.setattr(jobs, "weak_labels", made)
    kinds = [replace(job.config, **change) for change in ({}, {"pixels": "border"}, {"image_size": 64})]
    first = [study.weak_labels(config)["cosine"].labels for config in kinds]
    again = [study.weak_labels(config)["cosine"].labels for config in kinds]
    assert len(asked) == 3 and all(a.equal(b) for a, b in zip(first, again, strict=True))
    assert not asked[0].equal(asked[1])


def test_results_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["all", "--profile", "smoke", "--results", str(tmp_path / "file")]) == 2
    assert "choose another folder with --results" in capsys.readouterr().err


def test_a_failed_part_does_not_stop_the_others(smoke, results, monkeypatch, capsys):
    from ygan_core.study import figures

    def broken(runs):
        raise RuntimeError("no ink left")

    monkeypatch.setitem(figures.FIGURES, "fig6a", View(broken, figures.FIGURES["fig6a"].jobs))
    line = ["all", "--profile", "smoke", "--results", str(results), "--only", "fig6a", "color_mnist_probes", "--force"]
    assert main(line) == 1
    out = capsys.readouterr().out
    assert "fig6a: RuntimeError: no ink left" in out and (results / "smoke/tables/color_mnist_probes.csv").exists()


def test_a_figure_is_made_anew_only_where_it_must_be(smoke, results, capsys):
    line = ["all", "--profile", "smoke", "--results", str(results), "--only", "color_mnist_scores"]
    picture = results / "smoke/figures/color_mnist_scores.png"
    assert main(line) == 0 and picture.exists()
    made = picture.stat().st_mtime_ns
    assert main(line) == 0 and picture.stat().st_mtime_ns == made and "skipped" in capsys.readouterr().out
    picture.unlink()
    assert main(line) == 0 and picture.exists()
    about = json.loads(picture.with_suffix(".json").read_text())
    assert about["profile"] == "smoke" and len(about["jobs"]) == 2 and about["versions"]["torch"]


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_leaves_a_state_from_which_the_same_command_goes_on(tmp_path):
    line = [sys.executable, "-m", "ygan_core.study", "all", "--profile", "smoke", "--results", str(tmp_path)]
    line += ["--only", "color_mnist_probes", "--jobs", "1", "--set", "epochs=30"]
    listen = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a job in a shell's background is deaf to Ctrl-C
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen)
    while "epoch 2/30" not in process.stdout.readline():
        assert process.poll() is None
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130 and "goes on from here" in errors and "Traceback" not in errors
    (folder,) = (tmp_path / "smoke/jobs").iterdir()
    assert list(folder.glob("epoch-*.pt")) and not (folder / "run.json").exists()
    again = subprocess.run([*line[:-2]], capture_output=True, text=True)  # 3 epochs: another job, so nothing is mixed up
    assert again.returncode == 0
    resumed = subprocess.run(line, capture_output=True, text=True)
    assert resumed.returncode == 0 and "balanced: epoch 1/30" not in resumed.stdout
