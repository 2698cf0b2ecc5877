import copy
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ygan_core import losses, scores
from ygan_core.model import running_statistics_untouched
from ygan_study.bench.authors import held_against
from ygan_study.methods.public_code import ALONE, DEVIATIONS, applies, step_seconds
from ygan_study.methods.tuned import Tuned as Trainer
from ygan_study.plan.jobs import Job
from ygan_study.run.store import Study
from ygan_study.run.training import run_job


@pytest.fixture
def batch(images, small):
    """The arguments of a step, by the deviation's name: its Trainer in training mode, x, y,
    partner, lambda_R.
    """

    def made(name=None, **settings):
        kind, config = DEVIATIONS.get(name, Trainer), replace(small, dataset="mnist", **settings)
        trainer = kind(config, *images)
        trainer.model.train()
        partner = torch.randperm(16, generator=torch.Generator().manual_seed(3))
        return trainer, scores.to_input(images[0][:16]), images[1][:16], partner, torch.tensor(0.5)

    return made


def gradients(network):
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in network.parameters()]


def test_detached_features_keep_L_adv_from_the_generator_and_give_it_to_Ds(batch):
    alone = dict(lambda_1=0.0, lambda_3=0.0, lambda_4=0.0, lambda_5=0.0)
    trainer, *rest = batch(**alone)
    trainer.step(*rest)
    assert any(gradient.any() for gradient in gradients(trainer.model.D))
    trainer, x, *rest = batch("detached_features", **alone)
    before = copy.deepcopy(trainer.model)
    terms = trainer.step(x, *rest)
    assert not any(
        gradient.any()
        for part in ("D", "E_s", "E_r", "C")
        for gradient in gradients(getattr(trainer.model, part))
    )
    x_hat = before.D(*before.encode(x)).detach()
    (logit_x, f_x), (logit_x_hat, f_x_hat) = before.Ds(x), before.Ds(x_hat)
    L_adv, L_bce = losses.L_adv(f_x, f_x_hat), losses.L_bce(logit_x, logit_x_hat)
    assert terms.tolist() == pytest.approx([L_adv.item(), L_bce.item()], rel=1e-5)
    (L_adv + L_bce / 2).backward()
    for found, expected in zip(gradients(trainer.model.Ds), gradients(before.Ds), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_norm_first_moves_the_norms_and_keeps_the_initial_weights(batch):
    plain, moved = batch()[0].model, batch("norm_first")[0].model
    kinds = {nn.Conv2d: "c", nn.ConvTranspose2d: "c", nn.LeakyReLU: "a", nn.ReLU: "a"}
    kinds |= {nn.BatchNorm2d: "n", nn.Tanh: "t"}

    def order(layers):
        return "".join(kinds[type(layer)] for layer in layers)

    assert order(plain.E_s.features) == "cancancan" and order(plain.D.layers) == "cancancanct"
    for network in (moved.E_s, moved.E_r, moved.Ds):
        assert order(network.features) == "cacnacna"
    assert order(moved.D.layers) == "cnacnacnact"
    kernels = ([p for p in model.parameters() if p.dim() == 4] for model in (plain, moved))
    assert all(a.equal(b) for a, b in zip(*kernels, strict=True))


def test_permutations_average_over_different_partners(batch):
    trainer, x, y, partner, _ = batch("permutations")
    z_s, z_r = trainer.model.encode(x)
    drawn = [partner.roll(shift) for shift in range(4)]
    assert torch.stack(drawn).sort(0).values.diff(dim=0).gt(0).all()  # four partners, none twice
    expected = torch.stack([Trainer.consistency(trainer, z_s, z_r, each) for each in drawn]).mean()
    torch.testing.assert_close(trainer.consistency(z_s, z_r, partner), expected)


def test_the_deviations_of_the_consistency_loss(batch):
    opposite = torch.eye(16), -torch.eye(16)
    assert batch()[0].L_con(*opposite).item() == pytest.approx(1)
    assert batch("absolute_cosine")[0].L_con(*opposite).item() == pytest.approx(0)
    right_angles = torch.eye(16), torch.eye(16).roll(1, 0)
    assert batch("absolute_cosine")[0].L_con(*right_angles).item() == pytest.approx(1)

    z_s, z_r = torch.randn(16, 100, requires_grad=True), torch.randn(16, 100, requires_grad=True)
    assert torch.autograd.grad(batch()[0].hybrid(z_s, z_r).square().sum(), z_s)[0].any()
    hybrid = batch("detached_inputs")[0].hybrid(z_s, z_r)
    assert torch.autograd.grad(hybrid.sum(), z_s, allow_unused=True)[0] is None

    stretched = batch("rescaled_hybrids")[0].hybrid(z_s, z_r)
    assert torch.allclose(stretched.amin((1, 2, 3)), -torch.ones(16))
    assert torch.allclose(stretched.amax((1, 2, 3)), torch.ones(16))
    flat, plain = stretched.flatten(1), batch()[0].hybrid(z_s, z_r).flatten(1)
    assert np.corrcoef(flat[0].detach(), plain[0].detach())[0, 1] == pytest.approx(1)

    trainer, x, y, partner, _ = batch("mirrored")
    z_s, z_r = trainer.model.encode(x)
    with running_statistics_untouched(trainer.model):
        both = [
            (z_s, trainer.model.E_s(trainer.model.D(z_s, z_r[partner]))),
            (z_r, trainer.model.E_r(trainer.model.D(z_s[partner], z_r))),
        ]
    before = copy.deepcopy(trainer.model.state_dict())
    found = trainer.consistency(z_s, z_r, partner)
    torch.testing.assert_close(found, sum(losses.L_con(*pair) for pair in both))
    after = trainer.model.state_dict()  # no hybrid in the running statistics
    assert all(after[name].equal(tensor) for name, tensor in before.items())


def test_the_learning_rate_falls_after_eight_and_twenty_five_epochs(images, small):
    trainer = DEVIATIONS["lr_steps"](replace(small, epochs=100), *images)
    found = [trainer.lr_factor(done / 100) for done in (0, 7, 8, 24, 25, 99)]
    assert found == [1, 1, 0.75, 0.75, 0.5, 0.5]
    short = DEVIATIONS["lr_steps"](replace(small, epochs=49), *images)
    # 25 / 49 * 49 is less than 25
    assert (short.lr_factor(24.9 / 49), short.lr_factor(25 / 49)) == (0.75, 0.5)


def test_out_of_range_reaches_both_training_and_scoring(batch, images):
    trainer = batch("out_of_range")[0]
    expected = (images[0][:16].float() / 255 - 0.1307) / 0.3081
    torch.testing.assert_close(trainer.batch_input(images[0][:16], 0), expected)
    seen = []
    first = trainer.model.E_s.features[0]
    first.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    scores.classify(trainer.model, images[0][:16])
    torch.testing.assert_close(seen[0], expected)
    other = DEVIATIONS["out_of_range"](replace(trainer.config, dataset="fmnist"), *images)
    assert not other.model.E_s._forward_pre_hooks
    assert applies("out_of_range", trainer.config) and not applies("out_of_range", other.config)


def test_one_of_them_can_be_taken_back():
    for name, kind in ALONE.items():
        others = DEVIATIONS[f"all_but_{name}"]
        assert not issubclass(others, kind)
        assert set(others.__bases__) == set(ALONE.values()) - {kind}


def test_a_step_is_timed_over_each_number_of_permutations(small, monkeypatch):
    once, calls = Trainer.consistency, []
    monkeypatch.setattr(Trainer, "consistency", lambda *a: calls.append(a) or once(*a))
    table = step_seconds(small, (1, 4))
    assert list(table.index) == [1, 4] and len(calls) == 3 * (1 + 4) and (table > 0).all(axis=None)


def test_a_deviation_is_built_anew_as_it_was_trained(tmp_path):
    study = Study("smoke", tmp_path)
    plain = study.select(dataset="color_mnist")[0].config
    run = run_job(study, Job(replace(plain, deviation="public_code", epochs=1)))
    rows = np.flatnonzero(run.test["in_test"])[:50]
    found = scores.s(scores.classify(run.model(), run.images(rows)))
    assert np.allclose(found, run.test["s"][rows], atol=1e-6)


CHECKOUT = os.environ.get("YGAN_AUTHORS")


@pytest.mark.skipif(not CHECKOUT, reason="YGAN_AUTHORS names no checkout of the authors' code")
def test_public_code_is_the_authors_code():
    table = held_against(Path(CHECKOUT))
    assert (table["difference"] < 1e-5).all()
