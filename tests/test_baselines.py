"""What every baseline and floor has to do, and the training that they share."""

import functools
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ygan_core.data import load
from ygan_core.data.augment import augment
from ygan_core.metrics import auc
from ygan_core.scores import to_input
from ygan_study import Study
from ygan_study.methods import BASELINES, METHODS, Baseline, patch_svdd
from ygan_study.plan.jobs import Job
from ygan_study.plan.profiles import profile_settings
from ygan_study.plan.settings import Settings
from ygan_study.report.printed import printed

TRAINED = [name for name in BASELINES if METHODS[name].trains]
EACH = [(name, dataset) for name in BASELINES for dataset in ("cifar10", "plantvillage")]
SLOW = [pytest.param(*one, marks=pytest.mark.slow) for one in EACH]
GANS = ("ganomaly", "skip_ganomaly", "ocgan", "f_anogan")


@pytest.fixture(scope="module", autouse=True)
def small_bank():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patch_svdd, "BANK", 300)
        yield


@pytest.fixture(scope="module")
def grey():
    """Larger images of one channel: uint8 (16, 1, 64, 64)."""
    random = torch.Generator().manual_seed(1)
    return torch.randint(256, (16, 1, 64, 64), dtype=torch.uint8, generator=random)


@pytest.fixture(scope="module")
def fitted(grey):
    """Each baseline, trained once for all tests."""

    def fit(name):
        epochs = 8 if name == "f_anogan" else 2  # steps; f-AnoGAN has its phases
        config = Settings(width=4, epochs=epochs, batch_size=16, image_size=64)
        return METHODS[name].trainer(config).fit(grey)

    return functools.cache(fit)


def test_the_baselines_are_those_of_table_1_and_the_floors():
    ours = [(METHODS[name].title, METHODS[name].kind) for name in BASELINES]
    table = printed(1)
    assert ours[:8] == list(zip(table["model"], table["type"], strict=True))[:8]
    assert [kind for _, kind in ours[8:]] == ["floor", "floor"]


@pytest.mark.parametrize("name", BASELINES)
def test_an_image_has_the_same_score_in_any_batch(fitted, name, grey):
    score, new = fitted(name).score, 255 - grey
    scores = score(new)
    assert scores.shape == (16,) and scores.dtype == torch.float64 and len(scores.unique()) == 16
    near = functools.partial(torch.testing.assert_close, rtol=1e-4, atol=1e-5)
    near(torch.cat([score(new[i : i + 1]) for i in range(5)]), scores[:5])
    near(score(new.flip(0), batch_size=7).flip(0), scores)
    near(score(torch.cat([new[:1], torch.zeros_like(new[:9])]))[:1], scores[:1])


@pytest.mark.parametrize("name", BASELINES)
def test_the_seed_alone_decides(fitted, name, grey):
    first = fitted(name)
    torch.randn(7)
    again = METHODS[name].trainer(first.config).fit(grey)
    assert again.score(255 - grey).equal(first.score(255 - grey))
    before, after = first.state_dict(), again.state_dict()
    assert before.keys() == after.keys() and all(before[key].equal(after[key]) for key in before)


@pytest.mark.parametrize("name", TRAINED)
def test_every_part_learns(fitted, name, grey):
    torch.manual_seed(0)
    start = METHODS[name].trainer(fitted(name).config)
    start.prepare(grey)
    before = dict(start.named_parameters())
    for key, parameter in fitted(name).named_parameters():
        # the last bias of f-AnoGAN's critic cancels in the distance that it measures
        offset = name == "f_anogan" and key.startswith("D.") and key.endswith("bias")
        assert offset or not parameter.equal(before[key]), key


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in TRAINED)) for n in BASELINES]
)
def test_ones_are_told_from_other_digits(name):
    """Digit 1 is normal, all others are anomalous."""
    data, epochs, width = load("mnist"), *((10, 16) if name in GANS else (3, 8))
    ones, others = data.images[data.labels == 1], data.images[data.labels != 1][::180]
    baseline = METHODS[name].trainer(Settings(width=width, epochs=epochs, batch_size=16))
    fitted = baseline.fit(ones[: 320 if name in TRAINED else 100])
    scores = fitted.score(torch.cat([ones[320:370], others]))
    assert auc(scores, torch.arange(len(scores)) >= 50) > 0.85


# the training that they share


class Watched(Baseline):
    """Learns nothing, and keeps what it was shown."""

    title = "Watched"

    def prepare(self, images):
        self.seen, self.finished = [], None

    def step(self, x, p):
        self.seen.append((x, p))
        return {"L": x.mean()}

    def finish(self, images):
        self.finished = images
        time.sleep(0.2)


@pytest.mark.parametrize("augmentation", ["none", "leaves"])
def test_batches_are_augmented_as_y_gans_are_and_nothing_else_is(small, noise, augmentation):
    fitted = Watched(replace(small, seed=3, augmentation=augmentation)).fit(noise)
    assert [p for _, p in fitted.seen] == [step / 8 for step in range(8)]
    assert fitted.finished.equal(noise) and fitted.history[-1]["seconds"] > 0.2
    order = torch.randperm(32, generator=torch.Generator().manual_seed(3))
    for step, batch in enumerate(order.split(16)):
        images = noise[batch]
        augmented = augmentation == "leaves"
        shown = augment(images, 3 * 2**32 + step) if augmented else to_input(images)
        assert fitted.seen[step][0].equal(shown)
    assert len(fitted.fit(noise).history) == 4 and len(fitted.seen) == 8  # a second fit begins anew


def test_stopped_in_either_phase_and_resumed_equals_undisturbed(noise, tmp_path):
    """f-AnoGAN: three optimisers, random numbers in each step, and a phase that changes."""
    kind, config = METHODS["f_anogan"].trainer, Settings(width=4, epochs=4, batch_size=16)
    undisturbed = kind(config).fit(noise, folder=tmp_path / "a")
    for epochs in (1, 3):
        made = kind(config)

        def stopping(x, p, made=made, step=made.step, epochs=epochs):
            if len(made.history) == epochs:
                raise KeyboardInterrupt
            return step(x, p)

        made.step = stopping
        with pytest.raises(KeyboardInterrupt):
            made.fit(noise, folder=tmp_path / "b")
    resumed = kind(config).fit(noise, folder=tmp_path / "b")
    assert len(resumed.history) == 4
    before, after = undisturbed.state_dict(), resumed.state_dict()
    assert all(before[key].equal(after[key]) for key in before)


@pytest.mark.parametrize("name, dataset", [("patch_svdd", "mnist"), *SLOW])
def test_a_study_runs_and_keeps_every_baseline(name, dataset, tmp_path):
    held_out = {} if dataset == "plantvillage" else {"held_out": 4}
    config = profile_settings("smoke", dataset, "balanced", held_out)
    study, job = Study("smoke", tmp_path), Job(replace(config, method=name))
    run = study.run(job)
    assert study.run(job).metrics == run.metrics and study.state(job) == "done"
    assert run.scores.dtype == np.float64 and np.isfinite(run.scores).all()
    assert len(run.losses) == (run.config.epochs if name in TRAINED else 1)
    assert {"auc", "tpr", "training_seconds"} <= set(study.write_runs()["metric"])
    kept = load_file(run.folder / "last.safetensors").values()
    numbers = sum(tensor.numel() for tensor in kept)
    assert (numbers > 0) == (name in TRAINED) and numbers < 2_000_000  # no bank, no frozen network
