"""Each baseline against its paper's formulas, written out once more or taken from SciPy."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from made_up import rand
from scipy.spatial.distance import cdist, mahalanobis

from ygan_core.scores import to_input
from ygan_study.methods import knn, padim, patch_svdd
from ygan_study.methods.arnet import ARNet
from ygan_study.methods.f_anogan import FAnoGAN, gradient_penalty
from ygan_study.methods.ganomaly import GANomaly
from ygan_study.methods.imagenet import feature_maps, frozen_network, network_input, pooled_features
from ygan_study.methods.knn import FeatureKNN, PixelKNN, nearest
from ygan_study.methods.ocgan import OCGAN
from ygan_study.methods.p_net import PNet, structure
from ygan_study.methods.padim import PaDiM
from ygan_study.methods.patch_svdd import PatchSVDD, pairs
from ygan_study.methods.skip_ganomaly import SkipGANomaly
from ygan_study.plan.images import background_only
from ygan_study.plan.settings import Settings

CONFIG = Settings(width=4, epochs=4, batch_size=16)


@pytest.fixture
def x(noise):
    return to_input(noise[:16])


def prepared(system, images, config=CONFIG):
    torch.manual_seed(0)
    made = system(config)
    made.prepare(images)
    return made


# GANomaly and Skip-GANomaly


def test_ganomaly_scores_by_its_latents_and_skip_ganomaly_by_image_and_features(noise, x):
    made = prepared(GANomaly, noise).eval()
    z = made.E(x)
    expected = (z - made.E_hat(made.De(z))).pow(2).sum(dim=1) / 100
    torch.testing.assert_close(made.score_batch(x), expected)
    made = prepared(SkipGANomaly, noise).eval()
    x_hat = made.G(x)
    image, features = (x - x_hat).pow(2).sum((1, 2, 3)), (made.f(x) - made.f(x_hat)).pow(2).sum(1)
    expected = 0.9 * image / (3 * 32 * 32) + 0.1 * features / 100
    torch.testing.assert_close(made.score_batch(x), expected)


# OCGAN


def test_a_mining_step_by_hand(noise):
    """With C(De(z)) = w z, C's loss log(1 + exp(w z)) slopes by sigmoid(w z) w (1 - z^2)."""
    made, w = prepared(OCGAN, noise), torch.tensor([1.0, -2.0])
    made.De, made.C = torch.nn.Identity(), torch.nn.Linear(2, 1, bias=False)
    made.C.weight.data = w[None]
    z = torch.tensor([[0.5, 0.25], [-0.9, 0.0], [1.0, -1.0]])
    slope = torch.sigmoid(z @ w[:, None]) * w * (1 - z**2)
    mined = made.mine(z)
    assert mined.abs().max() <= 1 and not mined.requires_grad
    torch.testing.assert_close(mined[:2], torch.tanh(torch.atanh(z) - 2.0 * slope)[:2])


def test_random_points_stay_out_of_ocgans_running_statistics(noise, x):
    made = prepared(OCGAN, noise).train()
    reference = copy.deepcopy(made)
    torch.manual_seed(5)
    made.step(x, 0.9)
    torch.manual_seed(5)
    reference.De(reference.En(x + 0.2 * torch.randn(x.shape)))
    for name, buffer in made.De.named_buffers():
        torch.testing.assert_close(buffer, reference.De.get_buffer(name))


# f-AnoGAN


def test_gradient_penalty_of_critics_whose_gradient_is_known():
    """Of w x it is w everywhere, so the penalty slopes by 2 (|w| - 1) w / |w|; of |x|^2 / 2, x."""
    w = torch.tensor([3.0, 4.0, 0.0, 0.0], requires_grad=True)
    x, generated = torch.rand(6, 1, 2, 2), 2 * torch.rand(6, 1, 2, 2)
    alpha = torch.tensor([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]).view(6, 1, 1, 1)
    penalty = gradient_penalty(lambda image: image.flatten(1) @ w, x, generated, alpha)
    assert penalty.item() == pytest.approx(16.0)
    penalty.backward()
    torch.testing.assert_close(w.grad, 2 * 4 * torch.tensor([0.6, 0.8, 0.0, 0.0]))
    halves = lambda image: image.flatten(1).square().sum(1) / 2  # noqa: E731
    norms = ((1 - alpha) * x + alpha * generated).flatten(1).norm(dim=1)
    found = gradient_penalty(halves, x, generated, alpha)
    torch.testing.assert_close(found, (norms - 1).square().mean())


def test_f_anogan_scores_by_image_and_features_of_a_critic_that_knows_no_batch(noise, x):
    made = prepared(FAnoGAN, noise).eval()
    x_hat, f = made.G(made.E(x)), made.D[:-1]
    expected = (x - x_hat).pow(2).mean((1, 2, 3)) + (f(x) - f(x_hat)).pow(2).mean(1)
    torch.testing.assert_close(made.score_batch(x), expected)
    made.train()
    torch.testing.assert_close(made.D(x)[:1], made.D(x[:1]), rtol=1e-4, atol=1e-5)


def test_phases_of_f_anogan(noise):
    """Ten steps of the critic, two of them followed by one of G, then five of the encoder."""
    made, moved = FAnoGAN(Settings(width=4, epochs=5, batch_size=16)), []
    step = made.step

    def watched(x, p):
        before = copy.deepcopy(made.state_dict())
        terms = step(x, p)
        moved.append({name[0] for name, p in made.named_parameters() if not p.equal(before[name])})
        if moved[-1] == {"E"}:  # the generator is as at test time, in its statistics too
            assert all(t.equal(before[f"G.{name}"]) for name, t in made.G.state_dict().items())
        return terms

    made.step = watched
    made.fit(torch.cat([noise, noise[:16]]))
    assert moved == ([{"D"}] * 4 + [{"D", "G"}]) * 2 + [{"E"}] * 5
    assert set(made.history[0]) == {"Wasserstein", "penalty", "seconds"}
    assert set(made.history[-1]) == {"L_image", "L_features", "seconds"}


# P-Net


def test_structure_is_where_a_step_is_and_passes_gradients():
    x = torch.full((1, 3, 32, 32), -1.0)
    x[:, 1, :, 20:] = 1  # in one channel only
    expected = torch.zeros(32, 32)
    expected[:, 19:21] = 1
    assert structure(x)[0, 0].equal(expected) and structure(x.mT)[0, 0].equal(expected.T)
    assert not structure(x.clamp(-1, -0.85)).any()  # 0.075 of the range: under the weak threshold
    for image, slopes in ((torch.full((1, 3, 8, 8), 0.3), False), (0.15 * rand(1, 1, 8, 8), True)):
        image.requires_grad_()
        structure(image).sum().backward()
        assert image.grad.isfinite().all() and image.grad.any() == slopes


def test_p_net_score_weighs_image_and_structure(noise):
    made, x = prepared(PNet, noise), torch.full((1, 3, 32, 32), -1.0)
    x[..., 16:] = 1
    made.rebuild = lambda x, s: torch.full_like(x, -1.0)  # half the image, an edge of two columns
    assert made.score_batch(x).item() == pytest.approx(0.2 * 0.5 + 0.8 * 2 / 32)
    made.rebuild = lambda x, s: x
    assert made.score_batch(x).item() == 0


# ARNet


def test_arnet_is_to_restore_the_upright_image(noise):
    x, model = to_input(noise[:16, :1]), prepared(ARNet, noise[:, :1])

    def held():
        return 0 * next(model.parameters()).sum()  # so that there is a gradient

    def turned_back(erased):
        quarters = enumerate(erased.chunk(4))
        return torch.cat([part.rot90(-k, dims=(2, 3)) for k, part in quarters]) + held()

    model.restore = turned_back
    assert model.step(x, 0.0)["L2"] == 0
    model.restore = lambda erased: erased + held()  # what is turned stays turned
    assert model.step(x, 0.0)["L2"] > 0.1
    a, b, c, d = ((x.rot90(k, dims=(2, 3)) - x).abs().mean(dim=(1, 2, 3)) for k in range(4))
    model.usual = torch.tensor([0.5, 1.0, 2.0, 4.0])
    torch.testing.assert_close(model.score_batch(x), (2 * a + b + c / 2 + d / 4) / 4)


def test_arnet_learning_rate_falls_and_normal_images_score_one_on_average(noise, x):
    model, rates = prepared(ARNet, noise), []
    for p in (0, 0.49, 0.5, 0.75, 0.99):
        model.step(x[:4], p)
        rates.append(model.optimisers["sgd"].param_groups[0]["lr"])
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.001, 0.001])
    with torch.no_grad():
        model.eval().finish(noise)
    assert model.score(noise).mean().item() == pytest.approx(1, rel=1e-4)


# Patch SVDD


def test_patch_svdd_map_against_brute_force(noise, monkeypatch):
    monkeypatch.setattr(patch_svdd, "BANK", 300)
    made, x = prepared(PatchSVDD, noise).eval(), to_input(255 - noise[:1])
    expected = np.ones((32, 32))
    with torch.no_grad():
        made.finish(noise)
        for name, encoder, size in made.scales:
            bank = made.get_buffer(f"bank_{name}")
            known = made.embed(to_input(noise), encoder, size).flatten(0, 2)
            assert len(bank.unique(dim=0)) == 300 and nearest(bank, known).max() < 1e-4
            total, count = np.zeros((32, 32)), np.zeros((32, 32))
            for row in range(0, 32 - size + 1, size // 4):
                for column in range(0, 32 - size + 1, size // 4):
                    here = np.s_[row : row + size, column : column + size]
                    total[here] += cdist(encoder(x[(..., *here)]).flatten(1), bank).min()
                    count[here] += 1
            expected *= total / count
        np.testing.assert_allclose(made.anomaly_map(x)[0].numpy(), expected, rtol=1e-3)
        assert made.score_batch(x).item() == pytest.approx(expected.max(), rel=1e-3)


def test_pairs_lie_as_far_apart_as_asked_and_inside():
    S, n = 32, 4000
    x = torch.arange(S * S).float().view(1, 1, S, S).expand(n, -1, -1, -1)
    offset = patch_svdd.DIRECTIONS[torch.arange(n) % 8] * torch.tensor([6, 7])
    patches = pairs(x, 8, offset)
    places = [patch[:, 0, 0, 0].long() for patch in patches]
    first, second = (torch.stack([place // S, place % S], dim=1) for place in places)
    assert (second - first).equal(offset)
    corners = torch.cat([first, second])
    assert corners.min() == 0 and corners.max() == S - 8
    row, column = first[0]
    assert patches[0][0].equal(x[0, :, row : row + 8, column : column + 8])


# PaDiM, the nearest neighbours, and their network


def test_padim_is_the_mahalanobis_distance_at_each_position(noise):
    train, test = noise[:28], noise[28:]
    fitted = PaDiM(CONFIG).fit(train)
    known, new = (fitted.embed(to_input(part)) for part in (train, test))
    assert known.shape == (28, 256, 100)
    distances = fitted.distances(new)
    for position in (0, 100, 255):
        at = known[:, position].double().numpy()
        inverse = np.linalg.inv(np.cov(at, rowvar=False) + 0.01 * np.eye(100))
        expected = [mahalanobis(e, at.mean(0), inverse) for e in new[:, position].double().numpy()]
        np.testing.assert_allclose(distances[:, position].numpy(), expected, rtol=1e-3)
    here = torch.ones(2, 256)
    here[1, 137] = 9
    fitted.embed, fitted.distances = lambda x: None, lambda embedding: here
    flat, peak = fitted.score_batch(train).tolist()
    assert flat == pytest.approx(1) and 3 < peak < 9  # the largest, after smoothing


def test_padim_accumulates_gaussians_far_from_zero():
    e = rand(50, 3, 4).double() + 1000
    mean, covariance = padim.gaussians(e.split(7))
    torch.testing.assert_close(mean, e.mean(dim=0))
    for p in range(3):
        expected = np.cov(e[:, p].numpy(), rowvar=False) + 0.01 * np.eye(4)
        np.testing.assert_allclose(covariance[p].numpy(), expected, rtol=1e-7, atol=1e-12)


def test_nearest_against_brute_force_and_at_small_distances(monkeypatch):
    monkeypatch.setattr(knn, "AT_ONCE", 1000)  # 5 queries at a time
    queries, bank = rand(23, 6), rand(200, 6, seed=1)
    expected = np.sort(cdist(queries.numpy(), bank.numpy()), axis=1)[:, :3]
    np.testing.assert_allclose(nearest(queries, bank, 3).numpy(), expected, rtol=1e-5)
    far = bank + 100
    assert nearest(far[:3], far).abs().max() == 0
    np.testing.assert_allclose(nearest(far[:1] + 1e-3, far).item(), 1e-3 * 6**0.5, rtol=1e-2)


def test_knn_score_is_the_mean_distance_to_two(noise):
    network = frozen_network()[0]
    features = {
        PixelKNN: lambda x: x.flatten(1),
        FeatureKNN: lambda x: pooled_features(network, network_input(x)),
    }
    for kind, feature in features.items():
        known, new = (feature(to_input(part)).numpy() for part in (noise[:24], noise[24:]))
        fitted = kind(CONFIG).fit(noise[:24])
        expected = np.sort(cdist(new, known), axis=1)[:, :2].mean(axis=1)
        np.testing.assert_allclose(fitted.score(noise[24:]).numpy(), expected, rtol=1e-3)
        assert not fitted.state_dict()  # neither the network nor the bank goes into a checkpoint


def test_frozen_network(noise):
    network, _ = frozen_network()
    assert not network.training and not any(p.requires_grad for p in network.parameters())
    pixels = F.interpolate(noise[:2], 64)
    x = network_input(to_input(pixels))
    torch.testing.assert_close(x, (pixels.float() - 127) / 128, rtol=0, atol=1e-6)
    sizes = [network_input(rand(1, c, s, s)).shape for c, s in ((1, 32), (3, 256))]
    assert sizes == [(1, 3, 64, 64), (1, 3, 224, 224)]
    shapes = [tuple(h.shape[1:]) for h in feature_maps(network, x, (2, 4, 10, 15))]
    assert shapes == [(24, 16, 16), (40, 8, 8), (112, 4, 4), (320, 2, 2)]


# background only


@pytest.mark.parametrize("size, width", [(32, 1), (256, 8)])
def test_background_only_keeps_the_outermost_pixels_and_nothing_else(size, width, noise):
    images = F.interpolate(noise[:2], size)
    kept, before = background_only(images), images.clone()
    inside = torch.zeros(size, size, dtype=torch.bool)
    inside[width:-width, width:-width] = True
    assert not kept[..., inside].any() and images.equal(before)
    assert kept[..., ~inside].equal(images[..., ~inside])
