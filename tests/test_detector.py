"""The detector as an estimator: scores, threshold, settings, one file, going on, threads."""

import contextlib
import copy
import functools
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from scipy.stats import norm
from sklearn.base import clone
from sklearn.neighbors import LocalOutlierFactor
from small_detector import TINY, pictures, trained, write_folder
from threadpoolctl import threadpool_info, threadpool_limits

from ygan_core import scores, train
from ygan_core.metrics import auc
from ygan_detector import DetectorError, YGANDetector, training
from ygan_detector.images import find_images
from ygan_detector.pixels import resize
from ygan_study.engine.threads import one_thread

pytestmark = pytest.mark.filterwarnings("ignore:threshold", "ignore:C recog", "ignore:.*fewer than")


def test_names_signs_and_shapes():
    detector, (images, _) = trained(), pictures(5, seed=1)
    score, flags = detector.decision_function(images), detector.predict(images)
    assert score.dtype == np.float64 and score.shape == flags.shape == (15,)
    assert np.array_equal(flags, score > detector.threshold_) and set(flags) <= {0, 1}
    assert detector.classes_.tolist() == ["0", "1", "2"] and not detector.clustered_
    assert detector.decision_scores_.shape == detector.names_.shape == (90,)
    assert np.array_equal(detector.labels_, detector.decision_scores_ > detector.threshold_)
    p = detector.predict_proba(images)
    assert p.shape == (15, 2) and np.allclose(p.sum(axis=1), 1) and p.min() >= 0
    assert (np.diff(p[np.argsort(score), 1]) >= 0).all()
    again = detector.decision_function(pictures()[0])
    assert np.allclose(again, detector.decision_scores_, atol=1e-6)
    assert set(detector.calibration_scores_) <= set(detector.decision_scores_)


def test_the_score_is_that_of_eq_12_with_the_averaged_weights():
    detector, (images, _) = trained(), pictures(5, seed=1)
    x = torch.from_numpy(images).permute(0, 3, 1, 2)
    expected = scores.s(scores.classify(detector.model_.networks, x)).numpy()
    assert np.allclose(detector.decision_function(images), expected, rtol=1e-6)


def test_an_easy_anomaly_scores_higher_and_only_a_class_that_is_not_recognised_is_warned_of():
    images, labels = pictures(30)  # stripes are not trained on
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "C recognises")
        detector = YGANDetector(**{**TINY, "epochs": 12}).fit(images[:60], labels[:60])
    new, kinds = pictures(20, seed=1)
    score = detector.decision_function(new)
    assert score[kinds == 2].mean() > 1.5 * score[kinds < 2].mean()
    labels[[3, 4]] = 2  # two of thirty discs are called by another name
    with pytest.warns(UserWarning, match="C recognises .* of 0% of those of class 2: .* epochs"):
        clone(detector).fit(images[:60], labels[:60])


def test_the_seed_alone_decides_and_a_second_fit_forgets_the_first():
    again = clone(trained()).fit(*pictures(8, seed=3))
    assert np.array_equal(again.fit_predict(*pictures()), again.labels_)
    assert np.array_equal(trained().decision_scores_, again.decision_scores_)
    assert not np.array_equal(trained().decision_scores_, trained(seed=1).decision_scores_)


# ---- the threshold


def with_scores(scores, **params):
    """A detector that knows the scores of images left out, and nothing else."""
    detector = YGANDetector(**params)
    detector.recipe_, detector.calibration_scores_ = "balanced", scores
    return detector


@pytest.mark.parametrize(
    "n, rate, expected", [(50, 0.1, 5 / 51), (19, 0.05, 1 / 20), (10, 0.01, 1 / 11)]
)
def test_new_normal_images_pass_the_threshold_as_often_as_promised(n, rate, expected):
    random = np.random.RandomState(0)
    detectors = [with_scores(random.normal(size=n), false_alarms=rate) for _ in range(400)]
    mean, low, high = detectors[0].false_alarm_interval()
    assert mean == pytest.approx(expected)
    rates = norm.sf([detector.threshold_ for detector in detectors])  # of infinitely many images
    assert rates.mean() == pytest.approx(mean, abs=0.01)
    assert ((low <= rates) & (rates <= high)).mean() == pytest.approx(0.95, abs=0.03)


def test_the_rate_can_be_changed_after_fitting():
    detector = copy.deepcopy(trained())
    few = detector.labels_.sum()
    assert detector.set_params(false_alarms=0.5).labels_.sum() > few
    for wrong, said in (
        ({"heat_map": "distance"}, "balanced makes no heat_map distance"),
        ({"false_alarms": 5}, "'false_alarms' parameter"),
    ):
        with pytest.raises(ValueError, match=said):
            detector.set_params(**wrong).predict(pictures(1)[0])


@pytest.mark.parametrize("n, count", [(2000, 100), (400, 50), (100, 20)])
def test_how_many_are_left_out(n, count):
    labels = np.random.RandomState(0).randint(0, 4, n)
    labels[n // 2] = 9
    learnt, left_out = training.hold_out(labels, 0)
    assert len(left_out) == count and sorted([*learnt, *left_out]) == list(range(n))
    shares = [np.mean(labels[left_out] == c) - np.mean(labels == c) for c in range(4)]
    assert np.abs(shares).max() < 1 / count + 0.01  # the same share of each class
    assert n // 2 in learnt  # the only image of a class


# ---- how long, how large


def test_sizes():
    for sides, size in (((20, 30), 32), ((100, 80), 64), ((3000, 4000), 256), ((180, 180), 128)):
        assert training.nearest_size(np.array([sides])) == size


def test_epochs_fill_the_minutes_and_the_size_is_one_that_leaves_enough_of_them(monkeypatch):
    cost, said = {256: 1.0, 128: 0.1, 64: 0.01}, []
    monkeypatch.setattr(training, "seconds_per_epoch", lambda s, n: n * cost[s.image_size])
    images = find_images(np.zeros((2, 300, 300, 3), np.uint8))

    def plan(**params):
        params = YGANDetector("balanced", **params).get_params()
        size, settings = training.plan(params, images, 1000, said.append)
        return size, settings.epochs

    assert plan(minutes=10) == (64, 60) and "256 px is nearer" in said[1]
    assert plan(minutes=10, image_size=256) == (256, 1) and plan(epochs=7) == (256, 7)
    assert plan(minutes=50) == (128, 30) and plan(minutes=1e4) == (256, training.MOST_EPOCHS)


@pytest.mark.parametrize(
    "params, message",
    [
        (dict(recipe="classifier", heat_map="hybrid"), "no heat_map hybrid: choose uncertainty"),
        (dict(device="tpu9"), "PyTorch cannot use a device 'tpu9'"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_read(params, message):
    with pytest.raises(ValueError, match=message) as raised:
        YGANDetector(**params).fit("no folder")
    assert "\n" not in str(raised.value)


# ---- features


@functools.cache
def of_features():
    """A detector of two kinds of pictures; stripes are not among them."""
    images, _ = pictures(30)
    return YGANDetector(**{**TINY, "recipe": "auto", "image_size": 64}).fit(images[:60])


def test_one_kind_of_normal_images_is_judged_by_features_and_two_kinds_by_y_gan():
    detector = of_features()
    assert detector.recipe_ == "features" and detector.classes_.tolist() == ["normal"]
    new, kinds = pictures(20, seed=1)
    assert auc(detector.decision_function(new), kinds == 2) > 0.95
    assert trained().recipe_ == "balanced"


def test_the_score_of_features_is_scikit_learns_local_outlier_factor():
    detector, (images, _) = of_features(), pictures(5, seed=1)
    bank = detector.model_.bank.numpy()
    lof = LocalOutlierFactor(n_neighbors=10, novelty=True).fit(bank)
    pixels = torch.from_numpy(np.stack([resize(image, 64, 3) for image in images]))
    expected = -lof.score_samples(detector.model_.latents(scores.to_input(pixels)).numpy())
    assert np.allclose(detector.decision_function(images), expected, rtol=1e-5)
    own = ~np.isin(detector.decision_scores_, detector.calibration_scores_)
    assert np.allclose(detector.decision_scores_[own], -lof.negative_outlier_factor_, rtol=1e-5)


def test_images_that_are_all_the_same_give_finite_scores():
    detector = clone(of_features()).fit(np.zeros((30, 32, 32), np.uint8))
    assert np.isfinite(detector.decision_function(pictures(1)[0])).all()


# ---- copies, and one file


@pytest.mark.parametrize("make", [trained, of_features])
def test_what_is_loaded_or_copied_scores_as_the_original(make, tmp_path):
    before, images, saved = make(), pictures(5, seed=1)[0], tmp_path / "a.ygan"
    before.save(saved)
    for after in (YGANDetector.load(saved, "cpu"), pickle.loads(pickle.dumps(before))):
        assert np.array_equal(before.decision_function(images), after.decision_function(images))
        assert before.threshold_ == after.threshold_
        x = torch.from_numpy(np.stack([resize(image, before.size_, 3) for image in images]))
        assert torch.equal(before.heat_maps(x), after.heat_maps(x))
        assert before.most_similar(x[0]) == after.most_similar(x[0])
        assert np.array_equal(before.labels_, after.labels_)


def test_a_file_of_before_the_recipe_features_is_loaded(tmp_path):
    before, file = trained(), tmp_path / "old.ygan"
    before.save(file)
    with safe_open(file, "pt") as saved:
        metadata = saved.metadata()
    about = json.loads(metadata["about"])
    del about["recipe_"], about["size_"]
    save_file(load_file(file), file, metadata | {"about": json.dumps(about)})
    after = YGANDetector.load(file, "cpu")
    assert (after.recipe_, after.size_) == (before.recipe_, before.size_)


def test_a_file_that_is_damaged_or_something_else_is_refused(tmp_path):
    half = tmp_path / "half.ygan"
    trained().save(half)
    content = half.read_bytes()
    wider = content.replace(b'"width\\": 4', b'"width\\": 8')
    assert wider != content  # its parts do not fit together
    save_file(load_file(half), half)  # without metadata
    for part in (b"", content[:-100], half.read_bytes(), wider):
        half.write_bytes(part)
        with pytest.raises(DetectorError, match="is damaged, or no detector of this") as raised:
            YGANDetector.load(half, "cpu")
        assert "\n" not in str(raised.value)


# ---- going on


def test_a_stopped_training_goes_on_and_ends_in_the_same_weights(tmp_path, monkeypatch, capsys):
    folder, place = write_folder(tmp_path / "images", 15), tmp_path / "place"
    of_numpy = {**TINY, "seed": np.int64(0), "epochs": np.int64(2)}
    whole, epoch = YGANDetector(**of_numpy).fit(folder), train.Trainer.epoch

    def stopped(trainer, *arguments):
        if trainer.history:
            raise KeyboardInterrupt
        return epoch(trainer, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(train.Trainer, "epoch", stopped)
        with pytest.raises(KeyboardInterrupt):
            clone(whole).fit(folder, checkpoint=place)
    assert list(place.glob("*/epoch-00001.pt"))
    other = clone(whole).set_params(seed=1).fit(folder, checkpoint=place)  # beside it
    assert other.settings_.seed == 1 and list(place.glob("*/epoch-00001.pt"))
    capsys.readouterr()
    monkeypatch.setenv("HOME", str(tmp_path))
    resumed = clone(whole).set_params(verbose=True)
    resumed.fit(folder, checkpoint=place, save="~/resumed.ygan")
    shown = capsys.readouterr().out
    assert "going on at epoch 2" in shown and "epoch 1/2" not in shown
    assert np.array_equal(resumed.decision_scores_, whole.decision_scores_) and not place.exists()
    assert YGANDetector.load(tmp_path / "resumed.ygan", "cpu").get_params()["epochs"] == 2


def test_more_images_than_fit_into_memory_lie_in_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "IN_MEMORY", 1000)
    mapped = YGANDetector(**TINY).fit(*pictures(), checkpoint=tmp_path / "place")
    assert np.array_equal(mapped.decision_scores_, trained().decision_scores_)
    monkeypatch.setattr(training, "SPARE", 2**60)
    with pytest.raises(DetectorError, match="GB of disk space in"):
        clone(mapped).fit(*pictures())


# ---- threads, and forked processes


FORKED = """
import multiprocessing, sys, warnings
from concurrent.futures import ProcessPoolExecutor
import torch
sys.path.insert(0, "tests")
warnings.simplefilter("ignore")
from small_detector import TINY, pictures
from ygan_detector import YGANDetector

def work(recipe):
    detector = YGANDetector(**{**TINY, "recipe": recipe, "image_size": 64}).fit(*pictures(8))
    pixels = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    detector.decision_function(pixels)
    return detector.heat_maps(pixels).sum(), detector.most_similar(pixels[0])

torch.set_num_threads(2)
(torch.ones(500, 500) @ torch.ones(500, 500)).exp()  # starts OpenMP's threads
for recipe in ("features", "balanced"):
    work(recipe)
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        pool.submit(work, recipe).result()
"""


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_a_forked_process_does_not_wait_for_threads_that_it_does_not_have():
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    process = subprocess.Popen(
        [sys.executable, "-c", FORKED], env=environment, start_new_session=True
    )
    try:
        assert process.wait(timeout=120) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the processes that wait, too


def threads():
    found = [
        pool["num_threads"] for pool in threadpool_info() if pool["internal_api"] == "openblas"
    ]
    return torch.get_num_threads(), *found


def test_side_by_side_each_thread_has_one_inside_and_afterwards_all_are_back():
    detector, images = trained(), pictures(4)[0]
    entered, leave, of_pytest = threading.Event(), threading.Event(), torch.get_num_threads()

    def stay():
        with one_thread():
            entered.set()
            assert leave.wait(60)
            return threads()

    try:
        torch.set_num_threads(2)
        with ThreadPoolExecutor(1) as pool:  # OpenBLAS belongs to whoever sets it, while it lives
            pool.submit(threadpool_limits, 2, "blas").result()
        before = threads()
        for first_leaves_last in (True, False):
            with ThreadPoolExecutor(5) as pool:
                entered.clear()
                leave.clear()
                staying = pool.submit(stay)
                assert entered.wait(60)
                others = [pool.submit(detector.decision_function, images) for _ in range(4)]
                if first_leaves_last:
                    wait(others)
                leave.set()
                assert set(staying.result()) == {1}
            assert threads() == before
    finally:
        torch.set_num_threads(of_pytest)
