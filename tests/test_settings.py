"""Settings: types, bounds, what a record says, and the ids of jobs."""

import json

import pytest

from ygan_core.config import ConfigError
from ygan_study.methods import METHODS
from ygan_study.plan.jobs import Job, study_jobs
from ygan_study.plan.profiles import profile_settings
from ygan_study.plan.settings import Settings, with_overrides


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
        ({"epochs": "3.5"}, "epochs takes a whole number, not '3.5'"),
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


def test_the_ids_of_recorded_trainings_stay():
    ids = {
        "cifar10-4-balanced-s0-107bdc21cc",
        "cifar10-4-strong-s0-88c8595687",
        "mnist-4-classifier-s1-d20c015f5d",
        "mnist-4-weak-balanced-s0-ee17daa67f",
    }
    assert ids <= {job.id for job in study_jobs("laptop")}
    assert Job(Settings()).id == "color_mnist-0-paper-s0-d916c65e2a"
