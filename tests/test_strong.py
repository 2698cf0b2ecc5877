"""The strong classifier of notebook 11: its encoder, its schedule, its optimiser, its augmentation,
what it costs.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ygan_core import losses, scores
from ygan_core.model import Encoder
from ygan_study.measure.flops import training_operations
from ygan_study.measure.ood_scores import mahalanobis, relative_mahalanobis
from ygan_study.methods import METHODS, train
from ygan_study.methods.speed_run import SpeedRun, Strong, WhitenedEncoder, alternating, shifted
from ygan_study.methods.tuned import contrastive, divergence
from ygan_study.plan.settings import Settings

LABELS = torch.arange(200) % 4


@pytest.fixture
def config():
    """The strong classifier, small."""
    return small_settings("strong")


def small_settings(key):
    small = dict(dataset="cifar10", augmentation="flips", width=4, epochs=3, batch_size=16)
    return Settings(**METHODS[key].settings | small)


@pytest.fixture
def smooth():
    """Images whose neighbouring pixels are alike, as in photographs: uint8 (200, 3, 32, 32)."""
    rough = torch.rand(200, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return (F.interpolate(rough, size=32, mode="bilinear") * 255).to(torch.uint8)


def test_the_first_layer_whitens_patches(smooth):
    encoder = WhitenedEncoder(3, 32, 4, 10)
    encoder.whiten(smooth)
    first = encoder.features[0]
    seen = F.conv2d(scores.to_input(smooth), first.weight).transpose(0, 1).flatten(1).double()
    half = len(seen) // 2
    torch.testing.assert_close(seen[:half], -seen[half:])
    variances = torch.linalg.eigvalsh(torch.cov(seen[:half]))
    # 1 along every direction in which patches differ, less where they hardly do
    assert variances.max() <= 1 + 1e-3
    raw = F.unfold(scores.to_input(smooth), 2).transpose(0, 1).flatten(1).double()
    assert variances.max() / variances.min() < 1e-2 * np.linalg.cond(torch.cov(raw).numpy())


def test_a_block_begins_near_the_identity_and_keeps_its_scale(config, smooth):
    trainer = train(config, smooth, LABELS)
    model = trainer.model
    assert not model.E_s.features[0].weight.requires_grad
    fresh = Strong(config, smooth, LABELS).model
    assert model.E_s.features[0].weight.equal(fresh.E_s.features[0].weight)  # not trained
    assert not model.E_s.features[2].weight.equal(fresh.E_s.features[2].weight)
    second = fresh.E_s.features[6]  # as many filters out as in
    x = torch.rand(2, second.in_channels, 9, 9)
    torch.testing.assert_close(second(x), x)
    norms = [module for module in model.E_s.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(norms) == 6
    assert all(norm.weight.eq(1).all() and norm.bias.ne(0).any() for norm in norms)


def test_an_image_and_its_mirror_image_score_alike(config, smooth):
    for augmentation in ("flips", "shifts"):
        model = Strong(replace(config, augmentation=augmentation), smooth, LABELS).model
        there, back = (scores.s(scores.classify(model, x)) for x in (smooth, smooth.flip(3)))
        assert torch.allclose(there, back, rtol=1e-5) == (augmentation == "flips")


def test_in_two_epochs_every_image_is_seen_both_ways():
    first, second, third = (alternating(1000, 5, epoch) for epoch in range(3))
    assert (first ^ second).all() and first.equal(third) and 400 < first.sum() < 600
    assert not first.equal(alternating(1000, 6, 0))


def test_shifts_are_crops_of_the_mirrored_surroundings(images):
    x, _ = images
    moved, wide = shifted(x, 3), F.pad(x.float(), (2,) * 4, mode="reflect").to(torch.uint8)
    crops = torch.stack([wide[:, :, i : i + 32, j : j + 32] for i in range(5) for j in range(5)])
    same = (crops == moved).flatten(2).all(dim=2)  # (25 places, 80 images)
    assert same.any(dim=0).all() and same.any(dim=1).sum() > 20
    assert moved.equal(shifted(x, 3)) and not moved.equal(shifted(x, 4))


def test_what_a_batch_looks_like(config, images):
    trainer = Strong(replace(config, seed=1), *images)
    trainer.history = [{}]  # in the second epoch
    order, number = torch.arange(80).flip(0).view(5, 16), trainer.steps + 2
    x, flipped = images[0][order[2]], alternating(80, 1, 1)[order[2]][:, None, None, None]
    expected = torch.where(flipped, x.flip(3), x)
    seen = trainer.batch_input(list(trainer.batches(order))[2], number)
    assert seen.equal(scores.to_input(shifted(expected, 2**32 + number)))


def test_the_triangular_schedule(config, images):
    found = [*map(Strong(config, *images).lr_factor, (0, 0.115, 0.23, 0.615, 1))]
    assert found == pytest.approx([0.2, 0.6, 1, 0.535, 0.07])


def test_nesterov_moves_each_group_at_its_own_rate(config, images):
    trainer = Strong(config, *images)
    (optimiser,) = trainer.optimisers
    trainer.set_lr(0.5 / config.lr)
    rates = {p: group["lr"] for group in optimiser.param_groups for p in group["params"]}
    features, C = trainer.model.E_s.features, trainer.model.C
    assert rates[features[2].weight] == 0.5 and rates[features[4].bias] == 32
    assert rates[C[0].weight] == rates[trainer.model.E_s.to_latent.weight] == 0.5 / 64
    assert features[4].weight not in rates and features[0].weight not in rates
    trainer.set_lr(1)
    before = {p: p.detach().clone() for p in trainer.model.generator_parameters()}
    for p in before:
        p.grad = torch.zeros_like(p)
    optimiser.step()
    # Without a gradient only the decay moves, first with its own momentum on top.
    decayed = 1 - config.weight_decay * (1 + config.beta_1)
    for p, was in before.items():
        torch.testing.assert_close(p.detach(), was * decayed, atol=1e-7, rtol=1e-6)


def test_nesterov_trains_the_semantic_branch_and_adam_the_rest(images):
    config = small_settings("whitened")
    trainer = SpeedRun(config, *images)
    nesterov, rest, adversary = trainer.optimisers
    model, parts = trainer.model, []
    for optimiser in trainer.optimisers:
        parts.append({p for group in optimiser.param_groups for p in group["params"]})
    semantic = (*model.E_s.parameters(), *model.C.parameters())
    assert parts[0] == {p for p in semantic if p.requires_grad}
    assert parts[1] == {*model.E_r.parameters(), *model.D.parameters()}
    assert parts[2] == {*model.Ds.parameters()}
    assert rest.defaults["betas"] == adversary.defaults["betas"] == (0.5, 0.999)
    trainer.set_lr(0.5)
    rates = [optimiser.param_groups[0]["lr"] for optimiser in trainer.optimisers]
    assert rates == pytest.approx([config.lr / 2, *[config.lr_adam / 2] * 2])
    assert isinstance(model.E_r, Encoder)  # the paper's


def test_consistency_losses_by_hand(images):
    random = torch.Generator().manual_seed(0)
    z, hybrid = (torch.randn(4, 3, generator=random, requires_grad=True) for _ in range(2))
    config = replace(small_settings("whitened"), consistency="detached")
    detached = SpeedRun(config, *images)
    detached.L_con(z, hybrid).backward()
    assert z.grad is None and hybrid.grad.abs().sum() > 0
    z, hybrid = z.detach(), hybrid.detach()
    cosines = torch.tensor([[F.cosine_similarity(h, own, dim=0) for own in z] for h in hybrid])
    by_hand = torch.stack([row.logsumexp(0) - row[i] for i, row in enumerate(cosines / 0.1)]).mean()
    torch.testing.assert_close(contrastive(z, hybrid), by_hand)
    alike = torch.ones(4, 3)  # satisfies Eq. 9
    assert losses.L_con(alike, alike) == pytest.approx(-1)
    assert contrastive(alike, alike) == pytest.approx(np.log(4))
    p, q = z.softmax(1), hybrid.softmax(1)
    torch.testing.assert_close(divergence(z, hybrid), (p * (p / q).log()).sum(1).mean())


def test_label_smoothing(config, images):
    logits, y = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.1, 0.2]]), torch.tensor([0, 2])
    log_p = logits.log_softmax(dim=1)
    by_hand = -(0.8 * log_p[[0, 1], y] + 0.2 * log_p.mean(dim=1)).mean()
    found = Strong(config, *images).L_r(logits, y)
    torch.testing.assert_close(found, by_hand)


def test_relative_mahalanobis_takes_off_the_distance_to_the_mean_of_all():
    random, y = np.random.RandomState(0), np.arange(400) % 2
    z, z_test = random.randn(400, 3) + 4 * y[:, None], random.randn(5, 3)
    gaps, inverse = z_test - z.mean(0), np.linalg.inv(np.cov(z.T, bias=True))
    expected = mahalanobis(z, y, z_test) - np.einsum("ij,jk,ik->i", gaps, inverse, gaps)
    np.testing.assert_allclose(relative_mahalanobis(z, y, z_test), expected)


def test_operations_are_those_of_the_convolutions(config):
    """Each convolution and linear layer once forward, and twice backward; but the first trained one
    hands no gradient on.
    """
    w, patches = config.width, 12
    blocks = [(31, 2 * patches, w), (15, w, w), (15, w, 4 * w)]  # side, inputs, outputs
    blocks += [(7, 4 * w, 4 * w), (7, 4 * w, 4 * w), (3, 4 * w, 4 * w)]
    whitening = 2 * 31**2 * patches * 2 * patches
    convolutions = sum(2 * side**2 * 9 * inputs * outputs for side, inputs, outputs in blocks)
    heads = 2 * (4 * w * config.d + config.d * config.hidden + config.hidden * 4)  # four classes
    first = 2 * 31**2 * 9 * 2 * patches * w
    seen = config.epochs * (1000 // config.batch_size) * config.batch_size
    expected = seen * (whitening + 3 * (convolutions + heads) - first)
    found = training_operations(config, 1000)
    assert found == pytest.approx(expected, rel=0.01)
    assert training_operations(replace(config, epochs=6, seed=3), 1000) == pytest.approx(2 * found)
    assert training_operations(replace(config, method="knn_pixels"), 1000) == 0
