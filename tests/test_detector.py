"""The detector as an estimator: PyOD's names and signs, the threshold, settings, saving and loading."""

import json
import os
import shutil
import warnings
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from scipy.stats import norm
from sklearn.base import clone
from small_detector import CLASSES, TINY, pictures, trained, write_folder

from ygan_core import scores
from ygan_detector import DetectorError, YGANDetector, training
from ygan_detector.settings import check

pytestmark = pytest.mark.filterwarnings(
    "ignore:threshold", "ignore:class", "ignore:C names"
)  # so few images


def test_names_signs_and_shapes():
    detector, (images, _) = trained(), pictures(5, seed=1)
    score, flags = detector.decision_function(images), detector.predict(images)
    assert score.dtype == np.float64 and score.shape == flags.shape == (15,)
    assert np.array_equal(flags, score > detector.threshold_) and set(flags) <= {0, 1}
    assert detector.classes_.tolist() == ["0", "1", "2"] and not detector.weak_
    assert (
        detector.decision_scores_.shape == detector.labels_.shape == detector.names_.shape == (90,)
    )
    assert np.array_equal(detector.labels_, detector.decision_scores_ > detector.threshold_)


def test_the_score_is_that_of_eq_12_with_the_averaged_weights():
    detector, (images, _) = trained(), pictures(5, seed=1)
    x = torch.from_numpy(images).permute(0, 3, 1, 2)
    assert np.array_equal(
        detector.decision_function(images), scores.s(scores.classify(detector.model_, x)).numpy()
    )


def test_scores_of_the_images_it_was_fitted_on_are_theirs_in_their_order():
    detector, (images, _) = trained(), pictures()
    assert np.allclose(detector.decision_function(images), detector.decision_scores_, atol=1e-6)
    assert set(detector.calibration_scores_) <= set(detector.decision_scores_)


def test_an_easy_anomaly_scores_higher_than_normal_images():
    images, labels = pictures(40)
    detector = YGANDetector(**{**TINY, "epochs": 12}).fit(
        images[:80], labels[:80]
    )  # stripes were never seen
    new, kinds = pictures(20, seed=1)
    score = detector.decision_function(new)
    assert score[kinds == 2].mean() > 1.5 * score[kinds < 2].mean()


def test_the_same_seed_gives_the_same_detector_and_another_another():
    images, labels = pictures(15)
    first, second, third = (
        YGANDetector(**TINY, seed=seed).fit(images, labels).decision_scores_ for seed in (0, 0, 1)
    )
    assert np.array_equal(first, second) and not np.array_equal(first, third)


def test_fitted_again_it_forgets_what_it_knew():
    images, labels = pictures(15)
    detector = clone(trained()).fit(*pictures(20, seed=3)).fit(images, labels)
    assert np.array_equal(
        detector.decision_scores_, YGANDetector(**TINY).fit(images, labels).decision_scores_
    )


# ---- the threshold


@pytest.mark.parametrize(
    "n, rate, expected",
    [(19, 0.05, 1 / 20), (99, 0.05, 5 / 100), (50, 0.05, 2 / 51), (10, 0.01, 1 / 11)],
)
def test_the_threshold_is_the_order_statistic_that_keeps_the_rate(n, rate, expected):
    detector = YGANDetector(false_alarms=rate)
    detector.calibration_scores_ = np.random.RandomState(0).permutation(n) / n
    mean, low, high = detector.false_alarm_interval()
    assert mean == pytest.approx(expected) and low < mean < high
    assert (detector.calibration_scores_ > detector.threshold_).sum() == round(
        expected * (n + 1)
    ) - 1


def test_new_normal_images_pass_the_threshold_as_often_as_is_promised():
    random, detector = np.random.RandomState(0), YGANDetector(false_alarms=0.1)
    rates = []
    for _ in range(400):
        detector.calibration_scores_ = random.normal(size=50)
        rates.append(norm.sf(detector.threshold_))  # of an endless number of new images
    expected, low, high = detector.false_alarm_interval()
    assert np.mean(rates) == pytest.approx(expected, abs=0.01) and expected <= 0.1
    assert np.mean((low <= np.array(rates)) & (np.array(rates) <= high)) == pytest.approx(
        0.95, abs=0.03
    )


def test_the_rate_can_be_changed_after_fitting():
    detector = YGANDetector(**TINY).fit(*pictures())
    few = detector.labels_.sum()
    assert detector.set_params(false_alarms=0.5).labels_.sum() > few


def test_few_images_left_untrained_are_warned_of_with_the_interval():
    with pytest.warns(
        UserWarning,
        match=r"95 % interval [\d.]+ to [\d.]+ %, from 9 normal images left untrained: 50 would",
    ):
        YGANDetector(**TINY).fit(*pictures(15))


@pytest.mark.parametrize("n, count", [(2000, 100), (400, 50), (100, 20), (20, 4)])
def test_how_many_are_left_untrained(n, count):
    labels = np.random.RandomState(0).randint(0, 4, n)
    learnt, left_out = training.hold_out(labels, 0)
    assert len(left_out) == count and sorted([*learnt, *left_out]) == list(range(n))
    shares = [np.mean(labels[left_out] == c) - np.mean(labels == c) for c in range(4)]
    assert np.abs(shares).max() < 1 / count + 0.01  # of each class the same share


def test_a_class_of_one_image_is_trained_on():
    labels = np.array([0] * 40 + [1])
    assert 40 in training.hold_out(labels, 0)[0]


# ---- how long, how large


def test_sizes():
    for sides, size in (
        ((20, 30), 32),
        ((64, 64), 64),
        ((100, 80), 64),
        ((3000, 4000), 256),
        ((180, 180), 128),
    ):
        assert training.nearest_size(np.array([sides])) == size


def test_epochs_fill_the_minutes_and_a_size_that_leaves_too_few_is_halved(monkeypatch):
    cost = {256: 1.0, 128: 0.1, 64: 0.01}
    monkeypatch.setattr(training, "seconds_an_image", lambda config, *_: cost[config.image_size])
    plan = lambda size: training.configuration(YGANDetector().get_params(), size, 3, 1000)  # noqa: E731
    config, seconds = training.within(10, [256, 128, 64], plan, 1000, 3, "cpu")
    assert (config.image_size, config.epochs, seconds) == (64, 60, pytest.approx(600))
    config, seconds = training.within(
        10, [256], plan, 1000, 3, "cpu"
    )  # asked for: kept, one epoch at least
    assert (config.image_size, config.epochs, seconds) == (256, 1, pytest.approx(1000))
    assert training.within(1e4, [64], plan, 1000, 3, "cpu")[0].epochs == training.MOST_EPOCHS


def test_a_time_budget_fixes_the_epochs_beforehand(capsys):
    images, labels = pictures(15)
    detector = YGANDetector(**{**TINY, "epochs": None, "verbose": True}, minutes=0.02).fit(
        images, labels
    )
    assert len(detector.history_) == detector.config_.epochs >= 1
    assert "epochs, about" in capsys.readouterr().out
    assert (
        detector.history_[-1]["lambda_R"] > 0.9 or detector.config_.epochs == 1
    )  # its schedule ended with it


@pytest.mark.parametrize("recipe", training.RECIPES)
def test_recipes(recipe):
    detector = trained(recipe=recipe)
    heat = detector.heat_map_of(torch.from_numpy(pictures(2)[0]).permute(0, 3, 1, 2).contiguous())
    assert heat.shape == (6, 32, 32) and heat.isfinite().all()
    assert hasattr(detector.model_, "D") == (recipe == "balanced")


@pytest.mark.parametrize(
    "settings, said",
    [
        (dict(recipe="best"), "recipe is one of balanced, classifier"),
        (dict(minutes=0), "minutes is a number above 0"),
        (dict(minutes=float("nan")), "minutes"),
        (dict(minutes="ten"), "minutes"),
        (dict(epochs=0), "epochs is a whole number"),
        (dict(epochs=2.5), "epochs"),
        (dict(false_alarms=1.0), "false_alarms is a share between 0 and 1"),
        (dict(image_size=64.0), "image_size is 32"),
        (dict(image_size=100), "image_size is 32, 64, 128, 256"),
        (dict(width=0), "width"),
        (dict(augmentation="mirror"), "augmentation is auto, none or leaves"),
        (dict(heat_map="warm"), "heat_map is auto, doubt, reconstruction, hybrid"),
        (dict(recipe="classifier", heat_map="hybrid"), "recipe classifier has none: take doubt"),
        (dict(seed=-1), "seed"),
        (dict(device="tpu9"), "no device 'tpu9'"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_read(settings, said):
    with pytest.raises(DetectorError, match=said) as raised:
        YGANDetector(**settings).fit("no folder")
    assert "\n" not in str(raised.value)


# ---- one file


@pytest.fixture
def saved(tmp_path):
    trained().save(tmp_path / "a.ygan")
    return tmp_path / "a.ygan"


def test_what_is_loaded_scores_as_what_was_saved(saved):
    before, after, images = trained(), YGANDetector.load(saved, "cpu"), pictures(5, seed=1)[0]
    assert np.array_equal(before.decision_function(images), after.decision_function(images))
    assert before.threshold_ == after.threshold_ and np.array_equal(before.labels_, after.labels_)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    assert torch.equal(before.heat_map_of(x), after.heat_map_of(x))
    assert after.references_ == before.references_ and after.thumbnails_.shape == (72, 3, 64, 64)
    check(after.get_params())


def test_settings_of_numpy_are_saved(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    detector = (
        clone(trained())
        .set_params(seed=np.int64(0), epochs=np.int64(1))
        .fit(*pictures(20), checkpoint=tmp_path / "c")
    )
    detector.save("~/numpy.ygan")
    assert YGANDetector.load(tmp_path / "numpy.ygan", "cpu").get_params()["epochs"] == 1


def test_no_pickle_in_it(saved):
    with zipfile.ZipFile(saved) as archive:
        assert sorted(archive.namelist()) == [
            "detector.json",
            "tensors.safetensors",
            "training.jpg",
        ]
        about = json.loads(archive.read("detector.json"))
        assert (about["format"], about["version"]) == ("ygan-detector", 1)
        load(archive.read("tensors.safetensors"))


def changed(path, about=lambda about: None, tensors=lambda tensors: None):
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    read, weights = json.loads(parts["detector.json"]), load(parts["tensors.safetensors"])
    about(read)
    tensors(weights)
    parts |= {"detector.json": json.dumps(read), "tensors.safetensors": save(weights)}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    "about, tensors, said",
    [
        (lambda a: a.update(version=2), lambda t: None, "of format 2"),
        (lambda a: a.update(format="other"), lambda t: None, "is no detector"),
        (lambda a: a["classes"].append("fourth"), lambda t: None, "no whole detector"),
        (lambda a: a["config"].update(width=8), lambda t: None, "no whole detector"),
        (lambda a: a["params"].update(colour=1), lambda t: None, "no whole detector"),
        (lambda a: a.pop("channels"), lambda t: None, "no whole detector"),
        (lambda a: None, lambda t: t.pop("model.C.0.bias"), "no whole detector"),
        (lambda a: None, lambda t: t["model.C.0.bias"].fill_(torch.nan), "do not fit together"),
        (lambda a: None, lambda t: t.update(more=torch.zeros(1)), "no whole detector"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(saved, about, tensors, said):
    changed(saved, about, tensors)
    with pytest.raises(DetectorError, match=said) as raised:
        YGANDetector.load(saved, "cpu")
    assert "\n" not in str(raised.value)


def test_a_damaged_or_absent_file_is_refused(saved, tmp_path):
    content = saved.read_bytes()
    for damaged in (b"", b"text", content[:-100], content[:1000]):
        saved.write_bytes(damaged)
        with pytest.raises(DetectorError, match="is no detector, or is damaged"):
            YGANDetector.load(saved)
    with pytest.raises(DetectorError, match="there is no"):
        YGANDetector.load(tmp_path / "absent.ygan")


# ---- going on


def test_a_stopped_training_goes_on_and_ends_in_the_same_weights(tmp_path, monkeypatch):
    folder, place = write_folder(tmp_path / "images", 15), tmp_path / "place"
    whole = YGANDetector(**TINY).fit(folder)
    epoch, done = training.Trainer.epoch, []

    def stopped(trainer, *arguments):
        if done:
            raise KeyboardInterrupt
        done.append(1)
        return epoch(trainer, *arguments)

    monkeypatch.setattr(training.Trainer, "epoch", stopped)
    with pytest.raises(KeyboardInterrupt):
        YGANDetector(**TINY).fit(folder, checkpoint=place)
    assert (place / "epoch-00001.pt").exists() and (place / "pixels.npy").exists()
    monkeypatch.setattr(training.Trainer, "epoch", epoch)
    plan = (place / "config.json").read_text()
    (place / "config.json").write_text(plan[:20])
    with pytest.raises(DetectorError, match="config.json is damaged: remove the folder"):
        YGANDetector(**TINY).fit(folder, checkpoint=place)
    (place / "config.json").write_text(plan)
    os.truncate(place / "pixels.npy", 1000)  # read anew
    resumed = YGANDetector(**TINY).fit(folder, checkpoint=place)
    assert np.array_equal(resumed.decision_scores_, whole.decision_scores_) and not place.exists()
    assert resumed.classes_.tolist() == list(CLASSES)


def test_a_checkpoint_of_other_images_or_settings_is_refused_and_a_strangers_folder_left_alone(
    tmp_path,
):
    folder, place = write_folder(tmp_path / "images", 15), tmp_path / "place"
    with pytest.raises(DetectorError, match="is there already, and is no training"):
        YGANDetector(**TINY).fit(folder, checkpoint=folder)
    assert len(list(folder.rglob("*.png"))) == 45
    place.mkdir()
    (place / training.MARK).write_text("of others")
    with pytest.raises(DetectorError, match="holds a training of other images or settings"):
        YGANDetector(**TINY).fit(folder, checkpoint=place)
    shutil.rmtree(place)


def test_many_pixels_lie_in_a_mapped_file_and_are_trained_on_where_they_lie(tmp_path, monkeypatch):
    folder, seen = write_folder(tmp_path / "images", 15), []
    in_memory = YGANDetector(**TINY).fit(folder)
    monkeypatch.setattr(training, "IN_MEMORY", 1000)
    init = training.Trainer.__init__

    def noted(trainer, config, images, *arguments):
        init(trainer, config, images, *arguments)
        seen.append((images.data_ptr(), trainer.images.data_ptr(), len(images)))

    monkeypatch.setattr(training.Trainer, "__init__", noted)
    mapped = YGANDetector(**TINY).fit(folder)
    assert np.array_equal(mapped.decision_scores_, in_memory.decision_scores_)
    assert seen == [(seen[0][0], seen[0][0], 36)]  # no copy


def test_a_training_that_fell_apart_is_said():
    images, labels = pictures(15)
    with pytest.warns(
        UserWarning,
        match="C names the class of .* the scores say little, try other epochs or recipe='classifier'",
    ):
        YGANDetector(**TINY).fit(
            images, np.random.RandomState(0).permutation(labels)
        )  # labels that nothing can be learnt from


def test_a_training_of_two_classes_that_went_well_is_not_warned_of():
    images, labels = (part[:80] for part in pictures(40))
    labels[::20] = 1 - labels[::20]  # a few are wrong, so C is not right on all
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        YGANDetector(**{**TINY, "epochs": 12}).fit(images, labels)
    assert not [str(warning.message) for warning in said if "C names" in str(warning.message)]
