"""The strong control of notebook 11: its encoder, its schedule, its optimiser, its augmentation, what it costs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from scipy import stats

from ygan_core import losses, scores
from ygan_core.config import ConfigError
from ygan_core.data.augment import alternating, shifted
from ygan_core.model import Encoder
from ygan_study.engine import Trainer, batch_input, train
from ygan_study.measure.flops import training_operations
from ygan_study.measure.ood_scores import relative_mahalanobis
from ygan_study.methods import METHODS, GANomaly
from ygan_study.methods.speed_run import WhitenedEncoder
from ygan_study.methods.tuned import CONSISTENCY
from ygan_study.plan.settings import Settings
from ygan_study.report.printed import paper_auc
from ygan_study.report.spread import ONE_DRAW, UNTOLD
from ygan_study.report.tables import beyond
from ygan_study.run.folder import RUNS_COLUMNS


@pytest.fixture
def config():
    """The strong control, small."""
    strong = Settings(
        **METHODS["strong"].settings, dataset="cifar10", augmentation="flips", width=4, epochs=3
    )
    return replace(strong, batch_size=16)


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
    assert (
        variances.max() <= 1 + 1e-3
    )  # 1 along every direction in which patches differ, less where they hardly do
    raw = F.unfold(scores.to_input(smooth), 2).transpose(0, 1).flatten(1).double()
    assert variances.max() / variances.min() < 1e-2 * np.linalg.cond(torch.cov(raw).numpy())


def test_a_block_begins_near_the_identity_and_keeps_its_scale(config, smooth):
    trainer = train(config, smooth, torch.arange(200) % 4)
    model = trainer.model
    assert not model.E_s.features[0].weight.requires_grad
    fresh = Trainer(config, smooth, torch.arange(200) % 4).model
    assert model.E_s.features[0].weight.equal(fresh.E_s.features[0].weight)  # not trained
    assert not model.E_s.features[2].weight.equal(fresh.E_s.features[2].weight)
    second = fresh.E_s.features[6]  # as many filters out as in
    x = torch.rand(2, second.in_channels, 9, 9)
    torch.testing.assert_close(second(x), x)
    norms = [module for module in model.E_s.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(norms) == 6 and all(
        norm.weight.eq(1).all() and norm.bias.ne(0).any() for norm in norms
    )


def test_an_image_and_its_mirror_image_score_alike(config, smooth):
    trainer = train(config, smooth, torch.arange(200) % 4)
    there, back = (
        scores.s(scores.classify(trainer.model, images)) for images in (smooth, smooth.flip(3))
    )
    torch.testing.assert_close(there, back)
    straight = train(replace(config, augmentation="shifts"), smooth, torch.arange(200) % 4)
    there, back = (
        scores.s(scores.classify(straight.model, images)) for images in (smooth, smooth.flip(3))
    )
    assert (there - back).abs().max() > 1e-6


def test_in_two_epochs_every_image_is_seen_both_ways():
    first, second, third = (alternating(1000, 5, epoch) for epoch in range(3))
    assert (first ^ second).all() and first.equal(third) and 400 < first.sum() < 600
    assert not first.equal(alternating(1000, 6, 0))


def test_shifts_are_crops_of_the_mirrored_surroundings(images):
    x, _ = images
    moved, wide = shifted(x, 3), F.pad(x.float(), (2,) * 4, mode="reflect").to(torch.uint8)
    crops = torch.stack([wide[:, :, i : i + 32, j : j + 32] for i in range(5) for j in range(5)])
    same = (crops == moved).flatten(2).all(dim=2)
    assert (
        same.any(dim=0).all() and same.any(dim=1).sum() > 20
    )  # of the 25 places nearly all are met in 80 images
    assert moved.equal(shifted(x, 3)) and not moved.equal(shifted(x, 4))


def test_what_a_batch_looks_like(config, images):
    x, flipped = images[0][:8], torch.arange(8) % 2 == 0
    seen = batch_input(replace(config, seed=1), x, 7, flipped)
    expected = torch.where(flipped[:, None, None, None], x.flip(3), x)
    assert seen.equal(scores.to_input(shifted(expected, 2**32 + 7)))
    assert batch_input(replace(config, augmentation="none"), x, 7, flipped).equal(
        scores.to_input(x)
    )


def test_the_triangular_schedule(config, images):
    factor = Trainer(config, *images).lr_factor
    assert [factor(0), factor(0.115), factor(0.23), factor(0.615), factor(1)] == pytest.approx(
        [0.2, 0.6, 1, 0.535, 0.07]
    )


def test_nesterov_moves_each_group_at_its_own_rate(config, images):
    trainer = Trainer(config, *images)
    (optimiser,) = trainer.optimisers
    trainer.set_lr(0.5)
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    features, C = trainer.model.E_s.features, trainer.model.C
    assert rates[id(features[2].weight)] == 0.5 and rates[id(features[4].bias)] == 32
    assert rates[id(C[0].weight)] == rates[id(trainer.model.E_s.to_latent.weight)] == 0.5 / 64
    assert id(features[4].weight) not in rates and id(features[0].weight) not in rates
    trainer.set_lr(config.lr)
    before = {p: p.detach().clone() for p in trainer.model.generator_parameters()}
    for p in before:
        p.grad = torch.zeros_like(p)
    optimiser.step()
    for (
        p,
        was,
    ) in (
        before.items()
    ):  # without a gradient only the decay moves, first with its own momentum on top
        torch.testing.assert_close(
            p.detach(), was * (1 - config.weight_decay * (1 + config.beta_1)), atol=1e-7, rtol=1e-6
        )


@pytest.fixture
def whole(config):
    """Y-GAN on the strong control's encoder, small."""
    whitened = Settings(
        **METHODS["whitened"].settings, dataset="cifar10", augmentation="flips", width=4, epochs=3
    )
    return replace(whitened, batch_size=16)


def test_nesterov_trains_the_semantic_branch_and_adam_the_rest(whole, images):
    trainer = Trainer(whole, *images)
    nesterov, rest, adversary = trainer.optimisers
    model, parts = (
        trainer.model,
        [{p for group in o.param_groups for p in group["params"]} for o in trainer.optimisers],
    )
    assert parts[0] == {
        p for p in (*model.E_s.parameters(), *model.C.parameters()) if p.requires_grad
    }
    assert parts[1] == {*model.E_r.parameters(), *model.D.parameters()} and parts[2] == set(
        model.Ds.parameters()
    )
    assert isinstance(nesterov, torch.optim.SGD) and {
        rest.defaults["betas"],
        adversary.defaults["betas"],
    } == {(0.5, 0.999)}
    trainer.set_lr(whole.lr / 2)
    assert [o.param_groups[0]["lr"] for o in trainer.optimisers] == pytest.approx(
        [whole.lr / 2, *[whole.lr_adam / 2] * 2]
    )
    assert isinstance(model.E_s, WhitenedEncoder) and isinstance(
        model.E_r, Encoder
    )  # E_r is the paper's


@pytest.mark.parametrize("kind", CONSISTENCY)
def test_every_consistency_loss_trains_and_resumes(whole, images, kind, tmp_path):
    config = replace(whole, consistency=kind, lambda_5=1.0)
    trained = train(config, *images)
    with pytest.raises(KeyboardInterrupt):
        train(config, *images, folder=tmp_path, callbacks=[_stop])
    resumed = train(config, *images, folder=tmp_path).model.state_dict()
    assert all(t.equal(resumed[name]) for name, t in trained.model.state_dict().items())
    ours, papers = (
        train(replace(config, epochs=1, consistency=k), *images).history[0]["L_con"]
        for k in (kind, "latents")
    )
    assert (ours == papers) == (kind == "latents")


def test_consistency_losses_by_hand():
    random = torch.Generator().manual_seed(0)
    z, hybrid = (torch.randn(4, 3, generator=random, requires_grad=True) for _ in range(2))
    losses.L_con_detached(z, hybrid).backward()
    assert z.grad is None and hybrid.grad.abs().sum() > 0
    z, hybrid = z.detach(), hybrid.detach()
    cosines = (
        torch.tensor([[F.cosine_similarity(h, own, dim=0) for own in z] for h in hybrid]) / 0.1
    )
    by_hand = -torch.stack([cosines[i, i] - cosines[i].exp().sum().log() for i in range(4)]).mean()
    torch.testing.assert_close(losses.L_con_contrastive(z, hybrid), by_hand)
    alike = torch.ones(4, 3)  # what Eq. 9 is content with
    assert losses.L_con(alike, alike) == pytest.approx(-1) and losses.L_con_contrastive(
        alike, alike
    ) == pytest.approx(np.log(4))
    p, q = z.softmax(1), hybrid.softmax(1)
    torch.testing.assert_close(losses.L_con_logits(z, hybrid), (p * (p / q).log()).sum(1).mean())


def test_a_stopped_training_ends_in_the_same_weights(config, images, tmp_path):
    whole = train(config, *images)
    with pytest.raises(KeyboardInterrupt):
        train(config, *images, folder=tmp_path, callbacks=[_stop])
    resumed = train(config, *images, folder=tmp_path)
    for kind in ("model", "averaged"):
        pairs = zip(
            getattr(whole, kind).state_dict().items(),
            getattr(resumed, kind).state_dict().values(),
            strict=True,
        )
        assert all(own.equal(other) for (_, own), other in pairs)


def _stop(epoch):
    if epoch.number == 2:
        raise KeyboardInterrupt


def test_label_smoothing():
    logits, y = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.1, 0.2]]), torch.tensor([0, 2])
    log_p = logits.log_softmax(dim=1)
    by_hand = -(0.8 * log_p[[0, 1], y] + 0.2 * log_p.mean(dim=1)).mean()
    for loss in (losses.L_s, losses.L_r):
        torch.testing.assert_close(loss(logits, y, 0.2), by_hand)
        torch.testing.assert_close(loss(logits, y), F.cross_entropy(logits, y))


@pytest.mark.parametrize(
    "wrong, said",
    [
        (dict(deviation="mirrored"), "set encoder to dcgan"),
        (
            dict(consistency="cosine"),
            "consistency is latents, detached, contrastive, logits or labels",
        ),
        (dict(optimiser="sgd"), "optimiser is adam or nesterov"),
        (dict(beta_1=0.0), "nesterov needs a momentum"),
        (dict(label_smoothing=1.0), "label_smoothing"),
        (dict(encoder="resnet"), "encoder is dcgan or whitened"),
        (dict(augmentation="flip"), "none, leaves, shifts or flips"),
        (dict(lr_decay="linear"), "none, cosine or triangular"),
    ],
)
def test_wrong_settings_are_refused(config, wrong, said):
    with pytest.raises(ConfigError, match=said):
        replace(config, **wrong)


def test_relative_mahalanobis_by_hand():
    random = np.random.RandomState(0)
    y = np.arange(400) % 2
    z, z_test = random.randn(400, 3) + 4 * y[:, None], random.randn(5, 3)
    within = np.cov((z - np.stack([z[y == label].mean(0) for label in (0, 1)])[y]).T, bias=True)
    whole, found = np.cov(z.T, bias=True), relative_mahalanobis(z, y, z_test)
    for row, score in zip(z_test, found, strict=True):
        gaps = [row - z[y == label].mean(0) for label in (0, 1)]
        own = min(gap @ np.linalg.inv(within) @ gap for gap in gaps)
        gap = row - z.mean(0)
        assert score == pytest.approx(own - gap @ np.linalg.inv(whole) @ gap)


def test_operations_are_those_of_the_convolutions(config):
    """Each convolution and linear layer once forward, and twice backward; but the first trained one hands no gradient on."""
    w, patches = config.width, 12
    maps = [
        (31, 2 * patches, w),
        (15, w, w),
        (15, w, 4 * w),
        (7, 4 * w, 4 * w),
        (7, 4 * w, 4 * w),
        (3, 4 * w, 4 * w),
    ]
    whitening = 2 * 31**2 * patches * 2 * patches
    blocks = sum(2 * side**2 * 9 * inputs * outputs for side, inputs, outputs in maps)
    heads = 2 * (
        4 * w * config.d + config.d * config.hidden + config.hidden * 4
    )  # of four classes in place of nine: C is small
    seen = config.epochs * (1000 // config.batch_size) * config.batch_size
    first = 2 * 31**2 * 9 * 2 * patches * w
    assert training_operations(config, 1000) == pytest.approx(
        seen * (whitening + 3 * (blocks + heads) - first), rel=0.01
    )


def test_operations_follow_the_length_and_not_the_seed(config):
    once = training_operations(config, 1000)
    assert training_operations(replace(config, epochs=6), 1000) == pytest.approx(2 * once)
    assert training_operations(replace(config, seed=3), 1000) == once
    assert training_operations(replace(config, method="knn_pixels"), 1000) == 0 < once


def test_in_bfloat16_latents_and_losses_stay_in_full_precision(config, images):
    trainer = Trainer(config, *images, precision="bfloat16")
    assert trainer.epoch()["L_s"] > 0
    assert trainer.model.encode_s(scores.to_input(images[0])).dtype == torch.float32


def test_a_baseline_is_shown_mirrored_images_too(config, images):
    seen = []

    class Seen(GANomaly):
        def step(self, x, p):
            seen.append(x)
            return super().step(x, p)

    for augmentation in ("flips", "shifts"):  # the same order and the same shifts
        Seen(replace(config, method="ganomaly", epochs=1, augmentation=augmentation)).fit(
            images[0][:16]
        )
    same = (seen[0] == seen[1]).flatten(1).all(dim=1)
    assert 0 < same.sum() < 16


def beside(configuration, epochs, operations, aucs, **others):
    """Rows of runs.csv of such trainings. aucs: by class held out, and seed; others: metrics of all."""
    settings = dict.fromkeys(RUNS_COLUMNS, 0) | {
        "class": "",
        "precision": "float32",
        "dataset": "cifar10",
    }
    settings |= {
        "method": "ygan" if configuration == "whitened" else configuration,
        "headline": True,
    }
    settings |= {
        "configuration": configuration,
        "epochs": epochs,
        "weights": "averaged",
        "epoch_rule": "last",
    }
    settings |= {
        "labels": "true",
        "pixels": "all",
        "variant": "full",
        "deviation": "none",
        "split_seed": 0,
    }
    for (held_out, seed), auc in aucs.items():
        own = settings | {
            "held_out": held_out,
            "seed": seed,
            "job": f"{configuration}-{epochs}-{held_out}-{seed}",
        }
        for metric, value in {
            "auc_s": auc,
            "auc": auc,
            "training_operations": operations,
            **others,
        }.items():
            yield own | {"metric": metric, "value": value}


def test_what_the_y_adds_is_paired_by_class_and_seed_and_by_length():
    whitened = beside("whitened", 4, 3.0, {(0, 0): 0.80, (1, 0): 0.70, (1, 1): 0.74, (2, 0): 0.9})
    as_long = beside("strong", 4, 1.0, {(0, 0): 0.75, (1, 0): 0.71, (1, 1): 0.72})
    longer = beside("strong", 10, 2.5, {(0, 0): 0.85, (3, 0): 0.9})
    rows = [*whitened, *as_long, *longer]
    table = beyond.added(pd.DataFrame(rows))
    first, second = (table.xs("s (Eq. 12)", level="score").iloc[i] for i in (0, 1))
    assert (
        first["Airplane"] == pytest.approx(0.05)
        and first["Car"] == pytest.approx(0.005)
        and np.isnan(first["Bird"])
    )
    assert first["mean"] == pytest.approx(0.0275) and first["n"] == 2 and first["pairs"] == 3
    assert first["df"] == 1 and (first["lower in"], second["lower in"]) == (0, 1)
    half = stats.t.ppf(0.975, 1) * np.std([-0.01, 0.02], ddof=1) * np.sqrt(1 + 1 / 2) / 2
    assert (first["low"], first["high"]) == pytest.approx((0.0275 - half, 0.0275 + half)) and first[
        "Y-GAN is"
    ] == UNTOLD
    assert (
        second["Airplane"] == pytest.approx(-0.05)
        and second["n"] == 1
        and second["Y-GAN is"] == ONE_DRAW
    )
    assert [name.split("classifier in ")[1] for name in table.index.unique("beside")] == [
        "4 epochs, 0.33 of the operations",
        "10 epochs, 0.83 of the operations",
    ]
    assert beyond.added(pd.DataFrame(beside("strong", 4, 1.0, {(0, 0): 0.7}))).empty


def test_the_sentences_of_notebook_11_are_those_of_the_numbers():
    whitened = beside("whitened", 4, 3.0, {(0, 0): 0.80, (1, 0): 0.70, (1, 1): 0.74})
    alone = pd.DataFrame(beside("strong", 4, 1.0, {(0, 0): 0.75, (1, 0): 0.71, (1, 1): 0.72}))
    rows = pd.concat([alone, pd.DataFrame(whitened)])
    (line,) = beyond.verdict_added(rows).splitlines()
    assert (
        "Y-GAN in 4 epochs, less the classifier in 4 epochs" in line
        and "+0.028" in line
        and f"({UNTOLD})" in line
    )
    assert (
        "over 2 of ten classes, 3 pairs" in line
        and "below in 0 of 2 (sign test over the classes: p = 0.5)." in line
    )
    assert "Degrees of freedom of the interval: 1." in line
    costly = alone.assign(
        value=alone["value"].where(alone["metric"] != "training_operations", 0.2e15)
    )
    (line,) = beyond.verdict(costly).splitlines()
    assert (
        "A training costs 0.200 PFLOP, one of each of these classes 0.400 in all; one training of the paper's Y-GAN 3.4."
        in line
    )
    above = sum(auc > paper_auc("cifar10", [held_out]) for held_out, auc in ((0, 0.75), (1, 0.715)))
    assert (
        f"above its number in {above} of 2" in line
        and "0.732" in line
        and f"{paper_auc('cifar10', [0, 1]):.3f}" in line
    )
    assert f"classes is 0.018, that of the paper's numbers {abs(0.729 - 0.767) / 2:.3f}" in line
    assert beyond.verdict_added(alone) == "Not trained yet."


def test_two_widths_of_the_strong_classifier_are_told_apart():
    narrow, wide = (
        pd.DataFrame(beside("strong", 10, 1.0, {(0, 0): auc}, normal_accuracy=0.9))
        for auc in (0.7, 0.8)
    )
    both = pd.concat([narrow.assign(width=32), wide.assign(width=64, job="wide")])
    means = beyond.strong(both)["mean"].xs("s (Eq. 12)", level="score")
    assert (means["CIFAR10", "32"], means["CIFAR10", "64"]) == (0.7, 0.8)
    first, second = beyond.verdict(both).splitlines()
    chosen = [
        beside("strong", 10, 1.0, {(held_out, 0): 0.7}, normal_accuracy=0.9) for held_out in (7, 0)
    ]
    chosen = pd.concat(
        [
            pd.DataFrame(rows).assign(width=width)
            for rows, width in zip(chosen, (32, 64), strict=True)
        ]
    )
    marks = beyond.strong(chosen).attrs["marks"]
    assert {row[1] for row, _ in marks} == {
        "32"
    }  # the Horse had a part in the choice, and was not trained in width 64
    assert (
        "width 32: $s$ (Eq. 12) has 0.700" in first and "width 64: $s$ (Eq. 12) has 0.800" in second
    )


def test_cells_that_a_choice_was_made_on_are_marked():
    alone, whitened = (
        pd.DataFrame(beside(name, 4, 1.0, {(1, 0): 0.7, (7, 0): 0.8}, normal_accuracy=0.9))
        for name in ("strong", "whitened")
    )
    both = pd.concat([alone, whitened])
    for table, marked in (
        (beyond.strong(alone), {"Horse", "mean"}),
        (beyond.added(both), {"Car", "Horse", "mean"}),
    ):
        assert {column for _, column in table.attrs["marks"]} == marked
    assert not beyond.strong(alone[alone["held_out"] == 1]).attrs.get("marks")
