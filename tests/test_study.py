"""The study: settings, ids, what a job's folder holds and what follows, the command line."""

import json
import multiprocessing
import shutil
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
import torch

from ygan_core.config import ConfigError
from ygan_core.data import sub_classes
from ygan_study.__main__ import main
from ygan_study.engine import Trainer
from ygan_study.methods import BASELINES, METHODS
from ygan_study.methods.weak_labels import weak_labels
from ygan_study.plan.images import prepare
from ygan_study.plan.jobs import Job, settings_read, study_jobs
from ygan_study.plan.profiles import PROFILES, profile_settings
from ygan_study.plan.settings import Settings, with_overrides
from ygan_study.run import cache, store
from ygan_study.run.checksums import SUMS
from ygan_study.run.store import Study
from ygan_study.run.tidy import RUNS_COLUMNS
from ygan_study.run.training import run_all, run_job

FACTS = {"config.json", "losses.csv", "run.json", "last.npz", "averaged.npz"}
FACTS |= {"last.safetensors", "averaged.safetensors"}


# --- settings, jobs, profiles ---


def test_the_paper_configuration_is_the_papers():
    c = Settings()
    assert [getattr(c, f"lambda_{i}") for i in range(1, 7)] == [50, 1, 1, 1, 50, 1]
    assert (c.lr, c.beta_1, c.beta_2, c.epochs, c.d, c.hidden) == (2e-4, 0.5, 0.999, 100, 100, 30)
    assert METHODS["paper"].settings == {} and not c.ramp_con and c.headline == "last"
    assert profile_settings("paper", "color_mnist", "paper") == c


@pytest.mark.parametrize("name", PROFILES)
def test_no_job_of_a_profile_is_there_twice(name):
    jobs = study_jobs(name)
    assert jobs and len({job.id for job in jobs}) == len(jobs)


def test_an_id_hashes_what_the_method_reads_and_nothing_else():
    other = dict(lambda_5=0.0, ramp_con=True, lr=1e-3, d=50, width=8, epochs=3, batch_size=32)
    other |= dict(seed=1, split_seed=1)
    for method in BASELINES:
        own = Settings(dataset="mnist", method=method)
        ids = {key: Job(replace(own, **{key: value})).id for key, value in other.items()}
        changed = {key for key in other if ids[key] != Job(own).id}
        assert changed == other.keys() & settings_read(own)
        assert "lambda_5" not in changed and "split_seed" in changed
    assert settings_read(Settings()) == {field.name for field in fields(Settings)}


def test_the_ids_of_recorded_trainings_stay():
    ids = {
        "cifar10-4-balanced-s0-107bdc21cc",
        "cifar10-4-strong-s0-88c8595687",
        "mnist-4-classifier-s1-d20c015f5d",
        "mnist-4-weak-balanced-s0-ee17daa67f",
    }
    assert ids <= {job.id for job in study_jobs("laptop")}
    assert Job(Settings()).id == "color_mnist-0-paper-s0-d916c65e2a"


@pytest.mark.parametrize(
    "key, value, typed",
    [("epochs", "3", 3), ("lr", "1e-3", 1e-3), ("ramp_con", "true", True), ("lambda_5", 0, 0.0)],
)
def test_overrides_are_typed(key, value, typed):
    got = getattr(with_overrides(Settings(), {key: value}), key)
    assert got == typed and type(got) is type(typed)


NO_OTHERS = dict.fromkeys([f"lambda_{i}" for i in (1, 2, 4, 5, 6)], "0")


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"epoch": "3"}, "no setting 'epoch'"),
        ({"name": "mine"}, "no setting 'name'"),  # it says which training it is
        ({"lr": "nan"}, "lr takes a number"),
        ({"ramp_con": "yes"}, "ramp_con takes true or false"),
        ({"batch_size": "1"}, "batch_size is 1: choose 2 to 65536"),
        ({"latents": "triple"}, "latents is 'triple': choose dual, split, single, semantic"),
        ({"image_size": "48"}, "power of two"),
        ({"width": 1024, "image_size": 1024}, "width times image_size"),
        ({"latents": "semantic"}, "a classifier has L_s alone: set lambda_1"),
        ({"latents": "semantic", "score": "s_x", **NO_OTHERS}, "image score"),
        ({"held_out": "12"}, "held_out"),
        ({"optimiser": "nesterov", "beta_1": "0"}, "nesterov needs a momentum"),
        ({"images_per_class": "3"}, "at least 20"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        with_overrides(Settings(), settings)


@pytest.mark.parametrize(
    "override, of",
    [
        ({"lambda_5": "20"}, {"balanced", "paper", "whitened", "mirrored"}),
        ({"score": "s_x"}, {"balanced", "paper", "whitened", "mirrored"}),
        ({"latents": "split"}, {"balanced", "paper", "whitened", "mirrored"}),
        ({"consistency": "logits"}, {"balanced", "paper", "whitened"}),
        ({"optimiser": "adam", "weight_decay": "0.1"}, {"strong", "whitened"}),
        ({"lr_adam": "0.5"}, {"whitened"}),
        (
            {"lr_decay": "cosine"},
            {"balanced", "paper", "whitened", "mirrored", "strong", "classifier"},
        ),
        ({"augmentation": "flips"}, {"strong", "whitened"}),
    ],
)
def test_an_override_changes_the_methods_that_read_it(override, of):
    keys = ("balanced", "paper", "whitened", "mirrored", "strong", "classifier")
    plain = {key: profile_settings("laptop", "mnist", key) for key in keys}
    changed = {key: profile_settings("laptop", "mnist", key, override) for key in keys}
    assert {key for key in keys if changed[key] != plain[key]} == of
    assert study_jobs("smoke", override)


def test_a_wrong_override_is_refused_though_some_methods_do_not_read_it():
    for wrong in ({"lambda_5": "abc"}, {"augmentation": "foo"}, {"optimiser": "foo"}):
        with pytest.raises(ConfigError, match=f"{[*wrong][0]} "):
            study_jobs("smoke", wrong)


def test_epochs_given_are_those_of_every_training():
    trained = [
        job for job in study_jobs("laptop", {"epochs": "1"}) if METHODS[job.config.key].trains
    ]
    assert {job.config.epochs for job in trained} == {1}


def test_a_deviation_is_of_the_papers_encoder():
    with pytest.raises(ConfigError, match="needs encoder dcgan"):
        Settings(deviation="mirrored", encoder="whitened")


def test_a_configuration_names_what_was_changed_in_it():
    changed = with_overrides(Settings(), {"lambda_5": 0, "width": 8, "seed": 0})
    assert changed.configuration == "paper, lambda_5=0.0"
    assert profile_settings("quick", "mnist", "balanced").configuration == "balanced"


def test_a_record_of_a_classifier_is_read_under_its_new_name():
    settings = profile_settings("laptop", "mnist", "classifier")
    recorded = json.loads(json.dumps(settings.as_json()))
    assert recorded["name"] == "control" and Settings(**recorded) == settings


@pytest.mark.parametrize("key", METHODS)
def test_every_training_finds_its_method(key):
    method = METHODS[key]
    own = {"method": key} if method.is_baseline else method.settings
    assert Settings(**own).key == key


# --- a run ---


def test_a_run_leaves_all_its_files_and_no_checkpoint(smoke):
    for run in smoke[1].values():
        names = {path.name for path in run.folder.iterdir()}
        assert names - {".lock", "log.txt"} == {*FACTS, SUMS}
        assert len(run.losses) == run.config.epochs
        assert run.about["split"] == prepare(run.config)[1].hash
        recorded = json.loads((run.folder / "config.json").read_text())
        assert Settings(**recorded) == run.config


def test_numbers_follow_from_the_facts_with_both_weights(smoke):
    for run in (one.at(weights) for one in smoke[1].values() for weights in one.kinds):
        n, tested = len(run.test["index"]), run.test["in_test"]
        test = {key: array[tested] for key, array in run.test.items() if len(array) == n}
        normal, anomalous = test["s"][~test["anomalous"]], test["s"][test["anomalous"]]
        assert len(normal) == len(anomalous)
        wins = (anomalous[:, None] > normal).mean() + 0.5 * (anomalous[:, None] == normal).mean()
        assert run.metrics["auc"] == pytest.approx(wins) and "auc" not in run.about
        data, _ = prepare(run.config)
        places = [data.index.tolist().index(place) for place in run.test["index"][:5]]
        assert run.images(np.arange(5)).equal(data.images[places])


def test_stored_networks_give_the_stored_latents_with_both_weights(smoke):
    run = smoke[1]["balanced"]
    x = run.images(np.arange(9)).float() / 127.5 - 1
    for own in map(run.at, run.kinds):
        with torch.inference_mode():
            z_s = own.model()(x)[0]
        np.testing.assert_allclose(z_s, own.test["z_s"][:9], atol=1e-4, rtol=1e-4)
    assert not np.allclose(run.at("last").scores, run.at("averaged").scores)
    # whose result is the headline
    assert (run.weights, smoke[1]["paper"].weights) == ("averaged", "last")


def test_runs_csv_has_a_row_a_number_and_both_weights(smoke):
    study, runs = smoke
    table = pd.read_csv(study.root / "runs.csv")
    assert list(table) == RUNS_COLUMNS
    aucs = table[table["metric"] == "auc"]
    for run in runs.values():
        rows = aucs[aucs["job"] == run.job.id]
        last, best = (rows[rows["epoch_rule"] == rule] for rule in ("last", "best_on_test"))
        found = dict(last[["weights", "value"]].values)
        assert found == {w: pytest.approx(run.at(w).metrics["auc"]) for w in run.kinds}
        assert last[last["headline"]]["weights"].tolist() == [run.config.headline]
        of_last = best[best["weights"] == "last"]["value"].tolist()
        assert of_last == [pytest.approx(run.losses["auc"].max())]
    few = study.runs([runs["paper"].job])
    assert list(few) == RUNS_COLUMNS and len(few) == (table["job"] == runs["paper"].job.id).sum()
    assert len(study.runs()) == table["job"].isin([job.id for job in study.jobs]).sum()


def test_what_is_kept_is_not_computed_again_unless_it_is_damaged(tmp_path, monkeypatch):
    calls = []

    def double(x):
        calls.append(x)
        return 2 * x

    folder = tmp_path / "cache"
    assert cache.cached(folder, "key", double, 5) == cache.cached(folder, "key", double, 5) == 10
    assert cache.cached(folder, "other facts", double, 6) == 12 and calls == [5, 6]
    for file in folder.rglob("output.pkl"):
        file.write_bytes(file.read_bytes()[:-3] + b"abc")
    assert cache.cached(folder, "key", double, 5) == 10 and calls == [5, 6, 5]
    monkeypatch.setattr(cache, "MEASURE_VERSION", 0)
    assert cache.cached(folder, "key", double, 7) == 14
    (tmp_path / "file").write_text("in the place of a folder")
    assert cache.cached(tmp_path / "file", "key", double, 5) == 10


def test_a_damaged_file_of_a_job_is_noticed_and_made_again(copied, quickest):
    study, jobs = copied
    job, whole = jobs["classifier"], quickest[1]["classifier"]
    for name in sorted({*FACTS, SUMS}):
        file = study.path(job) / name
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2])
        assert study.find(job) is None, name
        file.unlink()
        assert study.find(job) is None, name
        file.write_bytes(content)
    (study.path(job) / "averaged.npz").unlink()
    assert study.state(job) == "damaged"
    run = run_job(study, job)
    assert run.metrics == whole.metrics
    for name in (f"{weights}.safetensors" for weights in run.kinds):
        assert (run.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    assert set(pd.read_csv(study.root / "runs.csv")["job"]) == {job.id for job in jobs.values()}


def test_an_interrupted_job_can_be_run_again_in_the_same_process(tmp_path):
    study = Study("smoke", tmp_path)
    job = study.select(dataset="color_mnist")[0]

    def stop(epoch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as kept:  # a notebook keeps all that it refers to
        run_job(study, job, callbacks=[stop])
    assert study.state(job) == "stopped" and run_job(study, job).metrics and kept


def test_no_anomaly_and_no_test_image_in_a_training_batch(tmp_path, monkeypatch):
    """Watches every batch of a real job, image by image."""
    seen = set()

    def as_set(x, y):
        pairs = zip(x.contiguous(), y, strict=True)
        return {(image.numpy().tobytes(), int(label)) for image, label in pairs}

    def watch(self, x, y, partner, lambda_R):
        seen.update(as_set(x, y))
        return torch.zeros(6)

    monkeypatch.setattr(Trainer, "step", watch)
    study = Study("smoke", tmp_path)
    job = study.select(dataset="color_mnist")[0]
    run_job(study, job)
    data, parts = prepare(job.config)

    def images(which):
        return as_set(data.images[which].float() / 127.5 - 1, sub_classes(data, 0)[which])

    assert seen and seen <= images(parts.train)
    for part in (parts.calibration, parts.held_back, parts.test_normal, parts.test_anomalous):
        assert not {image for image, _ in seen} & {image for image, _ in images(part)}


def _train_in_child(results):
    study = Study("smoke", results)
    run_all(study, study.select(method="ganomaly"))


def test_two_processes_never_train_the_same_job(tmp_path, capfd):
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_train_in_child, args=(tmp_path,)) for _ in range(2)]
    for process in children:
        process.start()
    for process in children:
        process.join()
    assert [process.exitcode for process in children] == [0, 0]
    assert capfd.readouterr().out.count("epoch 2/2") == 1


# --- weak labels ---


def test_features_are_computed_once_for_all_held_out_classes(tmp_path, monkeypatch):
    study, asked = Study("smoke", tmp_path), []
    weak = study.select(dataset="mnist", labels="weak")[0].config
    configs = [replace(weak, held_out=held_out) for held_out in (3, 4)]

    def features(images, device):
        asked.append(len(images))
        return images.flatten(1)[:, ::8].float(), "a network"

    monkeypatch.setattr(store, "imagenet_features", features)
    made = [study.weak_labels(config)["cosine"] for config in configs]
    assert asked == [len(prepare(configs[0])[0].images)]
    for config, found in zip(configs, made, strict=True):
        data, parts = prepare(config)
        own = data.images[parts.train]
        again = weak_labels(own, config.split_seed, lambda own=own: features(own, "cpu"))
        assert found.network == "a network" and found.labels.equal(again["cosine"].labels)


# --- the command line ---


def test_the_list_has_every_job_with_its_state_and_makes_nothing(quickest, tmp_path, capsys):
    study, _ = quickest
    assert main(["list", "--profile", "smoke", "--results", str(study.root.parent)]) == 0
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert first == f"{len(study.jobs)} jobs" and "2 done" in last and "% of the work" in last
    for number, (job, line) in enumerate(zip(study.jobs, lines, strict=True), 1):
        assert line.split() == [str(number), job.id, study.state(job)]
    assert main(["all", "--profile", "smoke", "--results", str(tmp_path / "r"), "--list"]) == 0
    assert "fig6a" in capsys.readouterr().out and not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--profil", "quick"], "unrecognized arguments"),
        (["--workers", "0"], "not a number from 1 to 1024"),
        (["--set", "epochs"], "not key=value"),
        (["--set", "epochs=1", "epochs=2"], "given twice"),
        (["--only", "fig99"], "no fig99: there are fig9"),
        (["--data", "/nowhere/at/all"], "no folder /nowhere/at/all"),
        (["--results", "{file}"], "choose another folder with --results"),
        (["--device", "cpu", "--precision", "tf32"], "cpu has no tf32"),
        pytest.param(
            ["--device", "cuda"],
            "try --device auto",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)
def test_wrong_use_is_refused_in_one_line(arguments, said, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("YGAN_DATA", "")
    (tmp_path / "file").write_text("")
    arguments = [word.format(file=tmp_path / "file") for word in arguments]
    try:
        status = main(["all", "--results", str(tmp_path / "r"), *arguments])
    except SystemExit as stop:
        status = stop.code
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert status == 2 and said in line and not list(tmp_path.rglob("*.*"))


def test_the_search_is_a_profile_and_a_verb_and_keeps_its_log(tmp_path, monkeypatch, capsys):
    asked, kept, line = [], tmp_path / "search.csv", ["--results", str(tmp_path)]
    monkeypatch.setattr(
        "ygan_study.command_line.run_jobs",
        lambda study, jobs, *_, **__: asked.append((study.profile, len(jobs))) or {},
    )
    assert main(["search", "--workers", "1", *line]) == 0
    assert main(["run", "--profile", "search", *line]) == 0
    assert asked == [("search", len(Study("search", tmp_path).jobs))] * 2
    assert "nothing of the search is done yet" in capsys.readouterr().out
    shutil.copy(store.REPOSITORY / "results" / "search.csv", kept)
    before = kept.read_bytes()
    assert main(["search", *line]) == 0 and kept.read_bytes() == before
    said = capsys.readouterr().out
    assert "lambda_3 50" in said and "chosen by AUC" in said
    kept.write_text("half")
    assert main(["search", *line]) == 2 and len(asked) == 3  # said before the training begins
    assert "search.csv is damaged: restore it" in capsys.readouterr().err
