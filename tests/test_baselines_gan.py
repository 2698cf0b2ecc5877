import copy
import functools
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from ygan_core.config import Config
from ygan_core.data import load
from ygan_core.metrics import auc
from ygan_core.scores import to_input
from ygan_study.methods.f_anogan import FAnoGAN, gradient_penalty
from ygan_study.methods.ganomaly import GANomaly
from ygan_study.methods.ocgan import OCGAN
from ygan_study.methods.skip_ganomaly import SkipGANomaly
from ygan_study.plan.jobs import study_jobs
from ygan_study.report.tables.schedules import AUTHORS

SYSTEMS = [GANomaly, SkipGANomaly, OCGAN, FAnoGAN]


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a)


@pytest.fixture(scope="module")
def noise():
    return torch.randint(
        256, (48, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


@pytest.fixture(scope="module")
def config():
    return Config(width=4, epochs=4, batch_size=16)


@pytest.fixture(scope="module")
def fitted(noise, config):
    """Each system, trained once for all tests."""
    return functools.cache(lambda system: system(config).fit(noise))


def prepared(system, config, images):
    torch.manual_seed(0)
    made = system(config)
    made.prepare(images)
    return made


@pytest.mark.parametrize("system", SYSTEMS)
def test_an_image_has_the_same_score_in_any_batch(fitted, system, noise):
    score = fitted(system).score
    scores = score(noise)
    assert scores.shape == (48,) and scores.dtype == torch.float64 and (scores > 0).all()
    alone = torch.cat([score(noise[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(alone, scores[:5], rtol=1e-4, atol=0)
    torch.testing.assert_close(
        score(noise.flip(0), batch_size=7).flip(0), scores, rtol=1e-4, atol=0
    )
    with_black = torch.cat([noise[:1], torch.zeros(9, 3, 32, 32, dtype=torch.uint8)])
    torch.testing.assert_close(score(with_black)[:1], scores[:1], rtol=1e-4, atol=0)
    assert len(set(scores.tolist())) > 40


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_seed_alone_decides_and_labels_are_not_seen(fitted, system, noise, config):
    first = fitted(system)
    torch.randn(7)
    again = system(config).fit(noise, labels=torch.arange(48) % 5)
    assert same(first, again) and first.score(noise).equal(again.score(noise))
    assert not same(first, prepared(system, replace(config, seed=1), noise))


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("channels, size", [(1, 32), (3, 64)])
def test_every_part_learns_at_other_sizes(system, channels, size):
    random = torch.Generator().manual_seed(1)
    images = torch.randint(256, (8, channels, size, size), dtype=torch.uint8, generator=random)
    made = prepared(
        system, Config(width=4, epochs=5, batch_size=8, image_size=size), images
    ).train()
    before = copy.deepcopy(made.state_dict())
    for p in (
        0.0,
        0.2,
        0.4,
        0.8,
        0.9,
    ):  # the last two: OCGAN mines, f-AnoGAN's encoder learns; a fifth step for its generator
        terms = made.step(to_input(images), p)
        assert terms and all(value.ndim == 0 and value.isfinite() for value in terms.values())
    if system is FAnoGAN:
        made.gan_step(to_input(images), with_generator=True)
    held = {
        id(p)
        for optimiser in made.optimisers.values()
        for group in optimiser.param_groups
        for p in group["params"]
    }
    trained = {name for name, p in made.named_parameters() if id(p) in held}
    for name, parameter in made.named_parameters():
        offset = (
            system is FAnoGAN and name.startswith("D.") and name.endswith("bias")
        )  # the last ones cancel in the distance
        assert name in trained and (offset or not parameter.equal(before[name])), name
    assert made.score(images).shape == (8,)


def test_a_loss_reaches_the_networks_of_its_optimiser_alone(noise, config):
    for system, generator, discriminator in [
        (GANomaly, "G", "Ds"),
        (SkipGANomaly, "G", "Ds"),
        (OCGAN, "G", "D"),
    ]:
        made = prepared(system, config, noise)
        frozen = [
            p for group in made.optimisers[discriminator].param_groups for p in group["params"]
        ]
        start = [p.clone() for p in frozen]
        made.optimisers[discriminator].step = lambda: None
        moving = made.optimisers[generator].param_groups[0]["params"][0]
        moving_start = moving.clone()
        made.train().step(to_input(noise[:16]), 0.0)
        assert all(p.equal(s) for p, s in zip(frozen, start, strict=True)) and not moving.equal(
            moving_start
        )


# GANomaly


@pytest.mark.parametrize("channels", [1, 3])
def test_ganomaly_has_as_many_parameters_as_its_authors_networks(channels):
    """nz 100, ngf = ndf 64, no extra layers, 32 px; kernels are 4 x 4 without bias, a batch norm has two numbers a channel."""
    pyramid = 64 * channels * 16 + (128 * 64 * 16 + 2 * 128) + (256 * 128 * 16 + 2 * 256)
    E, Ds = pyramid + 100 * 256 * 16, pyramid + 256 * 16
    De = (
        (100 * 256 * 16 + 2 * 256)
        + (256 * 128 * 16 + 2 * 128)
        + (128 * 64 * 16 + 2 * 64)
        + 64 * channels * 16
    )
    made = prepared(GANomaly, Config(), torch.zeros(1, channels, 32, 32))
    counts = {
        name: sum(p.numel() for p in part.parameters()) for name, part in made.named_children()
    }
    assert counts == {"E": E, "E_hat": E, "De": De, "Ds": Ds}
    assert sum(counts.values()) == {3: 3_869_824, 1: 3_861_632}[channels]


def test_ganomaly_score_is_the_distance_of_its_latents(fitted, noise):
    made = fitted(GANomaly)
    x = to_input(noise[:3])
    with torch.no_grad():
        z = made.E(x)
        z_hat = made.E_hat(made.De(z))
    by_hand = [
        sum((a - b) ** 2 for a, b in zip(z[i].tolist(), z_hat[i].tolist(), strict=True)) / 100
        for i in range(3)
    ]
    assert made.score(noise[:3]).tolist() == pytest.approx(by_hand, rel=1e-4)


# Skip-GANomaly


def test_skip_ganomaly_score_is_nine_parts_image_and_one_part_features(fitted, noise):
    made = fitted(SkipGANomaly)
    x = to_input(noise[:3])
    with torch.no_grad():
        x_hat = made.G(x)
        image = [(x[i] - x_hat[i]).pow(2).sum().item() / (3 * 32 * 32) for i in range(3)]
        features = [(made.f(x)[i] - made.f(x_hat)[i]).pow(2).sum().item() / 100 for i in range(3)]
    by_hand = [0.9 * a + 0.1 * b for a, b in zip(image, features, strict=True)]
    assert made.score(noise[:3]).tolist() == pytest.approx(by_hand, rel=1e-4)


def test_skip_connections_go_around_the_bottleneck(noise, config):
    """Each stage cut in turn: what goes around it still tells two images apart, and the outermost lets nothing around it."""
    made = prepared(SkipGANomaly, config, noise).eval()
    x = to_input(noise[:2])

    def differ():
        a, b = made.G(x)
        return not torch.allclose(a, b, atol=1e-6)

    for i, down in enumerate(made.G.down):
        hook = down.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
        assert differ() == (i > 0)
        hook.remove()
    assert [up[1].in_channels // up[1].out_channels for up in made.G.up[1:]] == [
        4,
        4,
        4,
        1,
    ]  # twice, but for the innermost


# OCGAN


def test_ocgan_latent_stays_in_its_box_and_its_score_is_the_image_error(fitted, noise):
    made = fitted(OCGAN)
    with torch.no_grad():
        x = to_input(noise)
        for z in (made.En(x), made.En(100 * x)):
            assert z.shape == (48, 16) and z.abs().max() <= 1
        by_hand = F.mse_loss(made.De(made.En(x)), x, reduction="none").mean((1, 2, 3))
    torch.testing.assert_close(made.score(noise).float(), by_hand)


def test_mined_negatives_are_in_the_box_and_worse_in_the_classifiers_eyes(noise, config):
    made = prepared(OCGAN, config, noise).double().eval()
    for module in [*made.De.modules(), *made.C.modules()]:
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    corners = torch.tensor([[1.0], [-1.0], [0.999]]).expand(3, 16)
    uniform = torch.cat([torch.rand(61, 16) * 2 - 1, corners]).double()
    mined = made.mine(uniform)
    assert mined.shape == uniform.shape and mined.abs().max() <= 1 and not mined.requires_grad

    def loss_of_calling_them_normal(z):
        logit = made.C(made.De(z))
        return F.binary_cross_entropy_with_logits(
            logit, torch.ones_like(logit), reduction="none"
        ).flatten()

    with torch.no_grad():
        before, after = (
            loss_of_calling_them_normal(uniform[:61]),
            loss_of_calling_them_normal(mined[:61]),
        )
    assert (after > before).all()


def test_a_mining_step_by_hand(noise, config):
    """With C(De(z)) = w z, the loss of calling z negative, log(1 + exp(w z)), slopes by s(w z) w (1 - z^2) before the tanh."""
    made = prepared(OCGAN, config, noise)
    made.De, made.C = torch.nn.Identity(), torch.nn.Linear(2, 1, bias=False)
    made.C.weight.data = torch.tensor([[1.0, -2.0]])
    z = torch.tensor([[0.5, 0.25], [-0.9, 0.0]])
    slope = (
        torch.sigmoid(z @ torch.tensor([[1.0], [-2.0]])) * torch.tensor([1.0, -2.0]) * (1 - z**2)
    )
    torch.testing.assert_close(made.mine(z), torch.tanh(torch.atanh(z) - 2.0 * slope))


def test_mining_starts_late(noise, config, monkeypatch):
    made, mined_at = OCGAN(config), []
    step, mine = made.step, made.mine
    now = []
    monkeypatch.setattr(made, "step", lambda x, p: now.append(p) or step(x, p))
    monkeypatch.setattr(made, "mine", lambda z: mined_at.append(now[-1]) or mine(z))
    made.fit(noise)
    assert len(now) == 12 and mined_at == [p for p in now if p >= 0.75] and len(mined_at) == 3


def test_random_points_stay_out_of_ocgans_running_statistics(noise, config):
    made = prepared(OCGAN, config, noise).train()
    reference = copy.deepcopy(made)
    torch.manual_seed(5)
    made.step(to_input(noise[:16]), 0.9)
    torch.manual_seed(5)
    x = to_input(noise[:16])
    reference.De(reference.En(x + 0.2 * torch.randn(x.shape)))
    for name, buffer in made.De.named_buffers():
        torch.testing.assert_close(buffer, reference.De.get_buffer(name))


# f-AnoGAN


def test_gradient_penalty_of_a_linear_critic():
    """Its gradient is w everywhere: the penalty is (|w| - 1)^2, and falls along 2 (|w| - 1) w / |w|."""
    w = torch.tensor([3.0, 4.0, 0.0, 0.0], requires_grad=True)
    x, generated = torch.rand(6, 1, 2, 2), torch.rand(6, 1, 2, 2)
    penalty = gradient_penalty(
        lambda image: image.flatten(1) @ w, x, generated, torch.rand(6, 1, 1, 1)
    )
    assert penalty.item() == pytest.approx(16.0)
    penalty.backward()
    torch.testing.assert_close(w.grad, 2 * 4 * torch.tensor([0.6, 0.8, 0.0, 0.0]))


def test_gradient_penalty_is_taken_between_the_images_and_of_each_alone():
    """critic |x|^2 / 2 has the gradient x: the norm of each point on its line."""
    x, generated = torch.rand(6, 3, 4, 4), 2 * torch.rand(6, 3, 4, 4)
    alpha = torch.tensor([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]).view(6, 1, 1, 1)
    found = gradient_penalty(
        lambda image: image.flatten(1).square().sum(1) / 2, x, generated, alpha
    )
    points = [
        (1 - a) * p + a * q for a, p, q in zip(alpha.flatten().tolist(), x, generated, strict=True)
    ]
    assert found.item() == pytest.approx(
        sum((point.norm().item() - 1) ** 2 for point in points) / 6, rel=1e-5
    )


def test_the_critic_judges_each_image_alone(noise, config):
    made = prepared(FAnoGAN, config, noise).train()
    x = to_input(noise[:8])
    torch.testing.assert_close(made.D(x)[:1], made.D(x[:1]), rtol=1e-4, atol=1e-5)


def test_phases_of_f_anogan(noise):
    """Fifteen steps: ten of the critic, of which two are followed by one of the generator, then five of the encoder."""
    made, moved, seen = FAnoGAN(Config(width=4, epochs=5, batch_size=16)), [], []
    step = made.step

    def watched(x, p):
        before = copy.deepcopy(made.state_dict())
        terms = step(x, p)
        seen.append({name: value.item() for name, value in terms.items()})
        moved.append({name[0] for name, p in made.named_parameters() if not p.equal(before[name])})
        if moved[-1] == {"E"}:  # the generator is as at test time, in its statistics too
            assert all(
                made.G.state_dict()[name].equal(before[f"G.{name}"]) for name in made.G.state_dict()
            )
        return terms

    made.step = watched
    made.fit(noise)
    assert moved == ([{"D"}] * 4 + [{"D", "G"}]) * 2 + [{"E"}] * 5
    assert set(made.history[0]) == {"Wasserstein", "penalty", "seconds"}
    assert set(made.history[-1]) == {"L_image", "L_features", "seconds"}
    mixed = {
        "Wasserstein": seen[9]["Wasserstein"],
        "L_image": (seen[10]["L_image"] + seen[11]["L_image"]) / 2,
    }
    assert {name: made.history[3][name] for name in mixed} == pytest.approx(
        mixed
    )  # over the steps that have the term


def test_f_anogan_score_is_its_encoders_loss(fitted, noise):
    made = fitted(FAnoGAN)
    with torch.no_grad():
        x = to_input(noise[:4])
        z = made.E(x)
        x_hat = made.G(z)
        f, f_hat = (made.D[:-1](image) for image in (x, x_hat))
    assert z.shape == (4, 128) and z.abs().max() <= 1 and f.shape == (4, 4 * 4 * 16)
    by_hand = (x - x_hat).pow(2).mean((1, 2, 3)) + (f - f_hat).pow(2).mean(1)
    torch.testing.assert_close(made.score(noise[:4]).float(), by_hand)


def test_f_anogan_stopped_in_either_phase_and_resumed_equals_undisturbed(noise, tmp_path):
    config, noise = Config(width=4, epochs=4, batch_size=16), noise[:32]
    undisturbed = FAnoGAN(config).fit(noise, folder=tmp_path / "a")

    def stop_after(epochs):
        made = FAnoGAN(config)
        step = made.step

        def stopping(x, p):
            if len(made.history) == epochs:
                raise KeyboardInterrupt
            return step(x, p)

        made.step = stopping
        with pytest.raises(KeyboardInterrupt):
            made.fit(noise, folder=tmp_path / "b")

    stop_after(1)
    stop_after(3)
    resumed = FAnoGAN(config).fit(noise, folder=tmp_path / "b")
    assert same(undisturbed, resumed) and len(resumed.history) == 4


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_one_digit_normal(system):
    """Digit 1 normal, all others anomalous. The ink in an image alone tells them apart: a system must do clearly better."""
    digits = load("mnist", source="starter")
    ones = (digits.labels == 1).nonzero().flatten()
    test = torch.cat([ones[800:], (digits.labels != 1).nonzero().flatten()[::10]])
    images, anomalous = digits.images[test], digits.labels[test] != 1
    made = system(Config(width=16, epochs=10, batch_size=16)).fit(digits.images[ones[:800]])
    assert (
        auc(made.score(images), anomalous) > auc(images.float().mean((1, 2, 3)), anomalous) + 0.03
    )


def test_in_the_reference_edition_two_are_trained_as_long_as_their_authors_train_them():
    def epochs(**settings) -> dict[str, set[int]]:
        trainings = [
            job.config for job in study_jobs("laptop", settings) if job.group == "baselines"
        ]
        return {method: {c.epochs for c in trainings if c.method == method} for method in AUTHORS}

    for method, own in epochs().items():
        assert (own == {AUTHORS[method].amount}) == (method in ("ganomaly", "skip_ganomaly")), (
            method
        )
    assert set().union(*epochs(epochs=3).values()) == {3}


def test_in_the_reference_edition_padim_which_trains_nothing_has_every_cell():
    def cells(name: str, method: str) -> int:
        return sum(job.config.method == method for job in study_jobs(name))

    assert [cells("laptop", method) for method in ("padim", "ganomaly", "knn_pixels")] == [31, 4, 4]
    assert [cells("quick", method) for method in ("padim", "knn_pixels")] == [1, 1]
