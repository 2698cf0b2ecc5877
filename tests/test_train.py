"""The networks, and their training: against an independent implementation, and when it is stopped."""

import ast
import copy
import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ygan_core import train as core
from ygan_core.checkpoints import checkpoints, save_state, write_atomically
from ygan_core.config import TERMS, ConfigError
from ygan_core.model import YGAN
from ygan_core.train import NonFiniteLoss
from ygan_study.engine import Trainer
from ygan_study.engine import trainer as engine
from ygan_study.methods import METHODS, train
from ygan_study.methods.tuned import Tuned
from ygan_study.plan.settings import Settings

WHITENED = METHODS["whitened"].settings | dict(dataset="cifar10", augmentation="flips")


NO_TERMS = dict.fromkeys((f"lambda_{i}" for i in range(1, 7)), 0.0)


def weights(trainer):
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def same(a, b):
    return all(a[name].equal(b[name]) for name in a)


# the networks


def test_parameters_are_those_of_the_authors_networks():
    """Published at 32 px, 3 channels, width 64: encoders 1.07 M each, decoder 1.48 M, Ds 0.66 M."""
    model = Trainer.build(Settings(), channels=3, classes=9)
    parts = model.E_s, model.E_r, model.D, model.Ds
    counts = [sum(p.numel() for p in part.parameters()) for part in parts]
    assert [round(count / 1e6, 2) for count in counts] == [1.07, 1.07, 1.48, 0.66]


@pytest.mark.parametrize("channels, size", [(1, 32), (3, 64), (3, 8)])
def test_shapes(channels, size):
    model = YGAN(channels, size, width=4, d=10, hidden=30, classes=9)
    x = torch.zeros(2, channels, size, size)
    z_s, z_r, x_hat, logits = model(x)
    logit, f = model.Ds(x)
    assert (z_s.shape, z_r.shape, x_hat.shape, logits.shape) == ((2, 10), (2, 10), x.shape, (2, 9))
    assert logit.shape == (2,) and f.shape[-2:] == (4, 4)


# a step


def reference_losses(model, images, labels, cfg):
    """The equations of section 3 once more, plainly: own passes for each update, losses by hand,
    Adam unfused.
    """
    G = [p for name, p in model.named_parameters() if not name.startswith("Ds.")]
    adam_G, adam_D = (
        torch.optim.Adam(p, lr=cfg.lr, betas=(0.5, 0.999)) for p in (G, list(model.Ds.parameters()))
    )
    generator = torch.Generator().manual_seed(cfg.seed)
    steps, batch, found = len(images) // cfg.batch_size, cfg.batch_size, []
    model.train()
    for epoch in range(cfg.epochs):
        order = torch.randperm(len(images), generator=generator)
        partners = [torch.randperm(batch, generator=generator) for _ in range(steps)]
        for step in range(steps):
            lam = 2 / (1 + math.exp(-10 * (epoch * steps + step) / (cfg.epochs * steps))) - 1
            rows = order[step * batch : (step + 1) * batch]
            x, y = images[rows].double() / 127.5 - 1, labels[rows]
            z_s, z_r = model.E_s(x), model.E_r(x)
            x_hat = model.D(z_s, z_r)
            for_C = F.cross_entropy(model.C(z_r.detach()), y)
            frozen_C = copy.deepcopy(model.C).requires_grad_(False)
            for_E_r = -lam * F.cross_entropy(frozen_C(z_r), y)
            modules = (*model.E_s.modules(), *model.D.modules())
            norms = [m for m in modules if isinstance(m, torch.nn.BatchNorm2d)]
            for norm in norms:
                norm.momentum = 0.0
            z_hat = model.E_s(model.D(z_s, z_r[partners[step]]))
            for norm in norms:
                norm.momentum = 0.1
            con = -((z_s * z_hat).sum(1) / (z_s.norm(dim=1) * z_hat.norm(dim=1))).mean()
            rec, s_ = (x - x_hat).abs().mean(), F.cross_entropy(model.C(z_s), y)
            adv = (model.Ds(x)[1].detach() - model.Ds(x_hat)[1]).pow(2).mean()
            lambda_5 = cfg.lambda_5 * (lam if getattr(cfg, "ramp_con", False) else 1)
            total = cfg.lambda_1 * rec + cfg.lambda_2 * adv + cfg.lambda_3 * s_ + lambda_5 * con
            total = total + cfg.lambda_4 * (for_C + for_E_r)
            adam_G.zero_grad()
            total.backward()
            adam_D.zero_grad()
            real, fake = (torch.sigmoid(model.Ds(image)[0]) for image in (x, x_hat.detach()))
            bce = -(real.log() + (1 - fake).log()).mean()
            (cfg.lambda_6 * bce).backward()
            adam_G.step()
            adam_D.step()
            found.append(torch.stack([rec, adv, s_, for_C, con, bce]).detach())
    return torch.stack(found)


@pytest.mark.parametrize("kind", [core.Trainer, Tuned])
def test_twenty_steps_against_an_independent_implementation(images, kind, monkeypatch):
    """The core's Trainer, and the study's with the ramp of `balanced`."""
    monkeypatch.setattr(kind, "batch_input", lambda self, x, number: x.double() / 127.5 - 1)
    some = dict(width=4, epochs=4, batch_size=16, lr=1e-3, lambda_3=10, lambda_4=5, lambda_6=2)
    cfg = Settings(**some) if kind is core.Trainer else Settings(**some, ramp_con=True)
    trainer = kind(cfg, *images)
    trainer.model.double()
    expected = reference_losses(copy.deepcopy(trainer.model), *images, cfg)
    steps, step = [], trainer.step
    monkeypatch.setattr(trainer, "step", lambda *a: steps.append(step(*a)) or steps[-1])
    for _ in range(cfg.epochs):
        trainer.epoch()
    torch.testing.assert_close(torch.stack(steps), expected, atol=1e-6, rtol=1e-6)


def test_training_updates_running_statistics_by_real_images_alone(small, images):
    trainer = Trainer(small, *images)
    alone = copy.deepcopy(trainer.model).train()
    x = images[0][:16].float() / 127.5 - 1
    alone(x)
    trainer.model.train()
    trainer.step(x, images[1][:16], torch.randperm(16), torch.tensor(0.5))
    for part in ("E_s", "E_r", "D"):
        ours, theirs = (getattr(m, part).state_dict() for m in (trainer.model, alone))
        for key in (key for key in ours if "running" in key or "tracked" in key):
            torch.testing.assert_close(ours[key], theirs[key], msg=f"{part}.{key}")


# a training


def test_same_seed_same_weights_whatever_ran_before(small, images):
    seen, before = [], torch.get_rng_state()
    trainer = train(small, *images, callbacks=[seen.append])
    assert torch.get_rng_state().equal(before)
    torch.randn(10)
    assert same(weights(trainer), weights(train(small, *images)))
    fresh, other = (Trainer(replace(small, seed=seed), *images) for seed in (0, 1))
    assert not same(weights(fresh), weights(other))
    # every term is recorded each epoch
    assert [e.number for e in seen] == [1, 2, 3, 4] and seen[-1].losses == trainer.history[-1]
    for row in trainer.history:
        assert set(row) == {*TERMS, "lambda_R", "seconds"} and all(map(math.isfinite, row.values()))


@pytest.mark.parametrize("method", [{}, WHITENED], ids=["paper", "whitened"])
def test_stopped_and_resumed_equals_undisturbed(images, tmp_path, stop_after, method):
    config = Settings(**method | dict(width=4, epochs=4, batch_size=16))
    undisturbed = train(config, *images, folder=tmp_path / "a")
    options = dict(folder=tmp_path / "b", measure=lambda trainer: {"auc": 0.5})
    with pytest.raises(KeyboardInterrupt):
        train(config, *images, **options, callbacks=[stop_after(2)])
    resumed = train(config, *images, **options)
    assert same(weights(undisturbed), weights(resumed))
    assert same(undisturbed.averaged.state_dict(), resumed.averaged.state_dict())
    assert [row["auc"] for row in resumed.history] == [0.5] * 4  # measured before the stop, too


@pytest.mark.parametrize("damage", ["a bit", "a key", "another epoch's name"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(
    small, images, tmp_path, damage, capsys
):
    undisturbed = weights(train(small, *images, folder=tmp_path))
    newest = checkpoints(tmp_path)[-1]
    if damage == "a key":
        save_state({**torch.load(newest, weights_only=True), "history": []}, tmp_path, 4)
    elif damage == "another epoch's name":
        newest = newest.rename(newest.with_name("epoch-00009.pt"))
    else:
        content = bytearray(newest.read_bytes())
        content[len(content) // 2] ^= 1
        newest.write_bytes(content)
    resumed = train(small, *images, folder=tmp_path)
    assert f"{newest} is damaged" in capsys.readouterr().out
    assert same(undisturbed, weights(resumed)) and len(resumed.history) == 4


def test_a_checkpoint_of_another_training_is_refused(small, images, tmp_path):
    train(small, *images, folder=tmp_path)
    pixels, labels = images
    for settings, others in ((replace(small, lr=1e-3), pixels), (small, 255 - pixels)):
        with pytest.raises(ConfigError, match="with other settings or other images"):
            train(settings, others, labels, folder=tmp_path)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_epoch(
    small, images, tmp_path, monkeypatch
):
    step = Trainer.step

    def break_later(self, *arguments):
        record = step(self, *arguments)
        if len(self.history) == 2:
            record[4] = float("nan")
        return record

    monkeypatch.setattr(Trainer, "step", break_later)
    with pytest.raises(NonFiniteLoss, match="epoch 3, step 1: L_con is nan"):
        train(small, *images, folder=tmp_path)
    assert checkpoints(tmp_path)[-1].name == "epoch-00002.pt"


def test_nothing_to_train_is_refused(small, images):
    with pytest.raises(ConfigError, match="lower batch_size"):
        Trainer(small, images[0][:15], images[1][:15])
    with pytest.raises(ConfigError, match="every lambda is 0"):
        Trainer(replace(small, **NO_TERMS), *images)


def test_writing_is_atomic(tmp_path):
    target = tmp_path / "file.txt"
    write_atomically(target, lambda path: path.write_text("good"))

    def half(path):
        path.write_text("ha")
        raise OSError("no space left")

    with pytest.raises(OSError):
        write_atomically(target, half)
    assert target.read_text() == "good" and list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="capturing needs a CUDA device")
def test_captured_against_eager_on_a_gpu(images):
    config = Settings(width=16, epochs=4, batch_size=16, lr=1e-3)  # 20 steps
    eager, captured = (Trainer(config, *images, "cuda", captured=c) for c in (False, True))
    for _ in range(config.epochs):
        expected, found = eager.epoch(), captured.epoch()
        for term in TERMS:
            assert found[term] == pytest.approx(expected[term], rel=1e-3, abs=1e-4)


def test_images_that_stay_on_the_host_train_alike(small, images, tmp_path, monkeypatch):
    expected = weights(train(small, *images))
    monkeypatch.setattr(engine, "too_large", lambda images, device: True)
    np.save(tmp_path / "images.npy", images[0].numpy())
    mapped = torch.from_numpy(np.load(tmp_path / "images.npy", mmap_mode="c"))
    assert same(expected, weights(train(small, mapped, images[1])))


def test_terms_of_weight_0_are_left_out_with_what_only_they_need(small, images):
    lambdas = {**NO_TERMS, "lambda_3": 1.0}
    classifier = replace(small, method="classifier", latents="semantic", **lambdas)
    trainer = train(classifier, *images)
    assert {name for name, _ in trainer.model.named_children()} == {"E_s", "C"}
    assert set(trainer.history[0]) == {"L_s", "lambda_R", "seconds"}
    assert trainer.history[-1]["L_s"] < trainer.history[0]["L_s"]


@pytest.mark.parametrize("latents, zeros", [("split", ()), ("single", ("lambda_4", "lambda_5"))])
def test_one_encoder(small, images, latents, zeros):
    trainer = train(replace(small, latents=latents, **dict.fromkeys(zeros, 0.0)), *images)
    assert not hasattr(trainer.model, "E_r")
    z_s, z_r = trainer.model.encode(torch.zeros(2, 3, 32, 32))
    assert z_s.shape == (2, 100) and z_r.shape == (2, 100 if latents == "split" else 0)
    with pytest.raises(ConfigError, match="set lambda_4, lambda_5 to 0"):
        replace(small, latents="single")


def test_bfloat16_stays_near_float32_with_weights_latents_and_losses_in_float32(small, images):
    full, half = (Trainer(small, *images, precision=p) for p in ("float32", "bfloat16"))
    for _ in range(2):
        a, b = full.epoch(), half.epoch()
    assert not same(weights(full), weights(half))
    assert all(p.dtype == torch.float32 for p in half.model.parameters())
    for term in TERMS:
        assert b[term] == pytest.approx(a[term], abs=0.15)


def test_float32_is_no_tf32_while_a_training_computes(small, images, monkeypatch):
    seen, step, before = [], Trainer.step, torch.backends.cudnn.allow_tf32

    def watched(self, *batch):
        seen.append(torch.backends.cudnn.allow_tf32)
        return step(self, *batch)

    monkeypatch.setattr(Trainer, "step", watched)
    for precision in ("float32", "tf32"):
        Trainer(small, *images, precision=precision).epoch()
    assert seen == [False] * 5 + [True] * 5 and torch.backends.cudnn.allow_tf32 == before


KILLS = """
import os, random, signal, sys, time, torch
from pathlib import Path
from ygan_core.checkpoints import checkpoints, epoch_of
from ygan_study.methods import train
from ygan_study.plan.settings import Settings
import torch._dynamo  # PyTorch's optimisers import it, for seconds: here once, and not in each child
torch.set_num_threads(1)
images = torch.randint(256, (80, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

def train_in_child(folder, kill=False):
    before, process = checkpoints(folder)[-1:], os.fork()  # this process has trained nothing: it has no threads to lose
    if not process:
        trainer = train(Settings(width=4, epochs=25, batch_size=16), images, torch.arange(80) % 3, folder)
        torch.save(trainer.model.state_dict(), folder / "final.pth")
        os._exit(0)
    if kill:
        while checkpoints(folder)[-1:] == before:  # so that every life gets somewhere, however slow the machine is
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.05))
        os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return epoch_of(checkpoints(folder)[-1])

undisturbed, killed = Path(sys.argv[1]), Path(sys.argv[2])
train_in_child(undisturbed)
starts = [train_in_child(killed, kill=True) for _ in range(5)]
train_in_child(killed)
print(starts)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_killed_at_random_moments_ends_in_the_same_weights(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)}
    line = [sys.executable, "-c", KILLS, tmp_path / "undisturbed", tmp_path / "killed"]
    out = subprocess.run(line, capture_output=True, text=True, env=environment, check=True).stdout
    starts = ast.literal_eval(out.splitlines()[-1])
    assert len(starts) == 5 and starts == sorted(starts) and 5 <= starts[-1]
    finals = (tmp_path / name / "final.pth" for name in ("undisturbed", "killed"))
    assert same(*(torch.load(path, weights_only=True) for path in finals))


def test_averaged_weights_are_the_exponential_mean_of_every_step(small, images):
    trainer = Trainer(replace(small, average=0.25), *images)
    seen = []
    for _ in range(small.epochs):
        trainer.epoch(lambda: seen.append(weights(trainer)))
    decay = math.exp(-1 / (0.25 * small.epochs * trainer.steps))
    for name in ("E_s.features.0.weight", "E_s.features.2.running_mean", "C.0.bias"):
        mean = seen[0][name].double()
        for later in seen[1:]:
            mean = decay * mean + (1 - decay) * later[name].double()
        averaged = trainer.averaged.module.state_dict()[name].double()
        torch.testing.assert_close(averaged, mean, atol=1e-5, rtol=1e-4)
    assert same(seen[-1], weights(train(small, *images)))  # it changes nothing in the last ones


def test_the_learning_rate_falls_along_a_cosine(small, images):
    trainer, seen = Tuned(replace(small, lr=1e-3, lr_decay="cosine"), *images), []
    for _ in range(small.epochs):
        trainer.epoch(lambda: seen.append(trainer.optimisers[0].param_groups[0]["lr"]))
    n = small.epochs * trainer.steps
    assert seen == pytest.approx([1e-3 * (1 + math.cos(math.pi * i / n)) / 2 for i in range(n)])
