"""Scores against a few lines of NumPy, thresholds against cases made by hand, OOD scores against
their definitions; batch statistics at test time, and what drives E_s.
"""

import copy

import numpy as np
import pytest
import torch
from made_up import rand
from scipy.spatial.distance import cdist, mahalanobis
from scipy.special import logsumexp

from ygan_core import metrics, scores
from ygan_core.model import YGAN, LatentClassifier
from ygan_study.engine import Trainer
from ygan_study.measure import batch_statistics as statistics
from ygan_study.measure.evaluation import latent_scores, reconstruction_scores
from ygan_study.measure.objective import pulls_on_E_s
from ygan_study.measure.ood_scores import mahalanobis as by_hand
from ygan_study.measure.ood_scores import ood_scores
from ygan_study.methods import train
from ygan_study.methods.classifier import ClassifierNetwork


def unit(z):
    z = z.double().numpy()
    return z / np.linalg.norm(z, axis=1, keepdims=True)


# Eq. 13-18


def test_image_score_is_the_mean_squared_difference_of_each_image():
    x, x_hat = rand(4, 3, 8, 8), rand(4, 3, 8, 8, seed=1)
    expected = ((x.double().numpy() - x_hat.double().numpy()) ** 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(scores.s_x(x, x_hat).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("score", [scores.s_z, scores.s_zs])
def test_latent_scores_are_squared_distances_on_the_unit_sphere(score):
    z, z_hat = rand(6, 10), rand(6, 10, seed=1)
    expected = ((unit(z) - unit(z_hat)) ** 2).sum(1)
    np.testing.assert_allclose(score(z, z_hat).numpy(), expected, rtol=1e-12)
    torch.testing.assert_close(score(8 * z, z_hat / 4), score(z, z_hat), rtol=0, atol=0)
    assert score(z, -z).tolist() == pytest.approx([4] * 6)


def test_prototypes_are_means_of_unit_latents_and_the_nearest_one_counts():
    z, y, probe = rand(60, 10), torch.arange(60) % 4, rand(30, 10, seed=1)
    means = np.stack([unit(z[y == label]).mean(0) for label in range(4)])
    prototypes = scores.prototypes(z, y)
    np.testing.assert_allclose(prototypes.numpy(), means, rtol=1e-12)
    assert (np.linalg.norm(means, axis=1) < 0.9).all()  # not brought to unit norm again
    expected, found = (
        cdist(unit(probe), means, "sqeuclidean"),
        scores.s_prototype(probe, prototypes),
    )
    np.testing.assert_allclose(found.numpy(), expected.min(1), rtol=1e-12)
    assert scores.s_prototype(16 * probe, prototypes).equal(found)
    assert scores.prototypes(z, y * 7 + 2).equal(prototypes)  # labels may have gaps


def test_uncertainty_is_the_entropy():
    logits = rand(5, 9)
    p = np.exp(logits.double().numpy())
    p /= p.sum(1, keepdims=True)
    np.testing.assert_allclose(scores.s_c(logits).numpy(), -(p * np.log(p)).sum(1), rtol=1e-12)
    assert scores.s_c(torch.zeros(1, 9)).item() == pytest.approx(np.log(9))
    assert scores.s_c(torch.tensor([[2000.0, 0.0]])).item() == 0


# all of them, from images


def network(**latents):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return YGAN(3, 32, width=4, d=6, hidden=5, classes=3, **latents)


def all_scores(model, pictures, *train):
    encoding = scores.encode(model, pictures)
    found = reconstruction_scores(model, pictures, encoding)
    return found | latent_scores(encoding, *train)


@pytest.mark.parametrize("latents", ["dual", "split", "single"])
def test_all_scores_are_the_equations_of_the_networks_outputs(images, latents):
    pictures, y = images
    model, weak = network(latents=latents), torch.arange(len(pictures)) % 2
    encoding = scores.encode(model, pictures)
    z_s, z_r, logits = encoding.z_s, encoding.z_r, encoding.logits
    found = all_scores(model, pictures, z_s, y, weak)
    with torch.no_grad():
        x = scores.to_input(pictures)
        x_hat = model.D(z_s, z_r)
        z_s_hat, z_r_hat = model.encode(x_hat)
    expected = {
        "s_x": scores.s_x(x, x_hat),
        "s_z": scores.s_z(torch.cat([z_s, z_r], 1), torch.cat([z_s_hat, z_r_hat], 1)),
        "s_zs": scores.s_zs(z_s, z_s_hat),
        "s_zp": scores.s_prototype(z_s, scores.prototypes(z_s, y)),
        "s_zw": scores.s_prototype(z_s, scores.prototypes(z_s, weak)),
        "s_c": scores.s_c(logits),
        "s": scores.s(logits),
    }
    assert list(found) == list(expected)
    for name, score in found.items():
        assert score.shape == (80,) and score.dtype == torch.float64 and score.std() > 0
        # convolutions differ by the size of a batch
        torch.testing.assert_close(score, expected[name], rtol=1e-3, atol=1e-9)


def test_an_images_scores_do_not_depend_on_its_neighbours(images):
    pictures, y = images
    model = network().train()
    train = scores.encode(model, pictures).z_s
    together = all_scores(model, pictures, train, y)
    alone = all_scores(model.train(), pictures[7:8], train, y)
    assert "s_zw" not in alone and not model.training
    for name in alone:
        torch.testing.assert_close(alone[name], together[name][7:8], rtol=1e-3, atol=1e-9)


def test_a_classifier_has_the_scores_that_need_no_decoder(images):
    pictures, y = images
    encoding = scores.encode(ClassifierNetwork(3, 32, 4, 6, 5, 3), pictures)
    assert encoding.z_r.shape == (80, 0)
    assert set(latent_scores(encoding, encoding.z_s, y)) == {"s_zp", "s_c", "s"}


# thresholds


@pytest.mark.parametrize(
    "normal, anomalous, threshold, eer, rates",
    [
        ([1, 2, 3, 4, 7], [5, 6, 8, 9, 3.5], 4, 0.2, (0.8, 0.8)),  # 7 and 3.5 are on the wrong side
        # The shares cannot be equal: 1/2 are missed above 3, none above 2; 1/3 are false alarms.
        ([1, 2, 4], [3, 5], 3, 1 / 3, (1 / 2, 2 / 3)),
        (range(5), range(5, 10), 4, 0, (1, 1)),
        (range(5, 10), range(5), None, 1, None),  # never flipped
        # The line from (0.1 false alarms, 0.5 hits) to (1, 1) meets 1 - hits at 5 / 14.
        ([0] * 90 + [1] * 10, [0] * 50 + [2] * 50, 0, 5 / 14, (0.5, 0.9)),
        ([0] * 5, [0] * 5, 0, 0.5, (0, 1)),
    ],
)
def test_equal_error_rates_by_hand(normal, anomalous, threshold, eer, rates):
    values, kinds = [*normal, *anomalous], np.arange(len(normal) + len(anomalous)) >= len(normal)
    found, rate = metrics.eer_threshold(values, kinds)
    assert rate == pytest.approx(eer)
    if rates:
        assert found == threshold and metrics.rates(values, kinds, found) == pytest.approx(rates)


def test_equal_error_rate_against_every_threshold():
    random = np.random.RandomState(0)
    kinds = np.arange(500) % 3 == 0
    values = np.round(random.randn(500) + kinds, 1)  # some ties
    threshold, eer = metrics.eer_threshold(values, kinds)
    points = np.array([metrics.rates(values, kinds, t) for t in np.unique(values)])
    tpr, tnr = metrics.rates(values, kinds, threshold)
    assert abs(tpr - tnr) == pytest.approx(np.abs(points[:, 0] - points[:, 1]).min())
    assert min(1 - tpr, 1 - tnr) <= eer <= max(1 - tpr, 1 - tnr)


def test_rate_of_a_kind_that_is_not_there_is_nan():
    tpr, tnr = metrics.rates([1, 2], [True, True], 1)
    assert tpr == 0.5 and np.isnan(tnr)
    tpr, tnr = metrics.rates([1, 2, 3], [False] * 3, 1)
    assert np.isnan(tpr) and tnr == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="normal and anomalous"):
        metrics.eer_threshold([1, 2], [True, True])


@pytest.mark.parametrize("n", [1, 7, 20, 100, 1003])
def test_percentile_threshold_lets_enough_normal_images_pass(n):
    values = np.random.RandomState(n).randn(n)
    threshold = metrics.percentile_threshold(values)
    assert threshold in values
    tnr = metrics.rates(values, np.zeros(n, bool), threshold)[1]
    assert 0.95 <= tnr < 0.95 + 1 / n


# post-hoc OOD scores


@pytest.fixture(scope="module")
def clusters():
    """Three clusters in R^20, and C trained to tell them apart; test: 40 normal latents, 40 of a
    far cluster between them.
    """
    random = np.random.RandomState(0)
    centres = 3 * random.randn(3, 20)
    y = np.arange(300) % 3
    z = (centres[y] + random.randn(300, 20)).astype(np.float32)
    normal = centres[np.arange(40) % 3] + random.randn(40, 20)
    far = centres.mean(0) + 0.2 * random.randn(40, 20) + 20 * np.eye(20)[0]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        C = LatentClassifier(20, 30, 3)
    adam = torch.optim.Adam(C.parameters(), 1e-2)
    for _ in range(60):
        adam.zero_grad()
        torch.nn.functional.cross_entropy(C(torch.from_numpy(z)), torch.from_numpy(y)).backward()
        adam.step()
    return C, z, y, np.concatenate([normal, far]).astype(np.float32)


@pytest.fixture(scope="module")
def later(clusters):
    return ood_scores(*clusters)


def numpy_logits(C, z):
    layers = (C[0], C[2])
    first, last = ((la.weight.detach().numpy(), la.bias.detach().numpy()) for la in layers)
    h = z @ first[0].T + first[1]
    h = np.where(h > 0, h, 0.2 * h)
    return h, h @ last[0].T + last[1], last


def test_max_logit_and_energy(clusters, later):
    assert list(later) == ["max-logit", "energy", "Mahalanobis", "kNN", "ViM", "RMDS"]
    C, _, _, test = clusters
    logits = numpy_logits(C, test)[1].astype(np.float64)
    np.testing.assert_allclose(later["max-logit"], -logits.max(1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(later["energy"], -logsumexp(logits, axis=1), rtol=1e-4, atol=1e-5)


def test_mahalanobis(clusters, later):
    _, z, y, test = clusters
    means = [z[y == label].astype(np.float64).mean(0) for label in range(3)]
    within = np.stack([z[i] - means[y[i]] for i in range(len(z))])
    precision = np.linalg.inv(within.T @ within / len(z))
    each = ([mahalanobis(probe, mean, precision) for mean in means] for probe in test.astype(float))
    expected = [min(distances) ** 2 for distances in each]
    np.testing.assert_allclose(later["Mahalanobis"], expected, rtol=1e-8)


def test_mahalanobis_does_not_depend_on_the_axes(clusters):
    """Nor on how far latents spread along them: stretched by 1 to 10,000, turned, and with a unit
    that is always 0.
    """
    _, z, y, test = clusters
    turn = np.linalg.qr(np.random.RandomState(0).randn(20, 20))[0]
    stretched = (a * np.logspace(-2, 2, 20) @ turn for a in (z, test))
    mapped = [np.pad(a, ((0, 0), (0, 1))).astype(np.float32) for a in stretched]
    np.testing.assert_allclose(by_hand(mapped[0], y, mapped[1]), by_hand(z, y, test), rtol=1e-2)


def test_knn_against_brute_force(clusters, later):
    _, z, _, test = clusters
    distances = np.sort(cdist(unit(torch.from_numpy(test)), unit(torch.from_numpy(z))), axis=1)
    np.testing.assert_allclose(later["kNN"], distances[:, 49], rtol=1e-6)


def test_vim(clusters, later):
    C, z, _, test = clusters
    h, logits, (w, b) = numpy_logits(C, z)
    h_test, logits_test, _ = numpy_logits(C, test)
    origin = -np.linalg.pinv(w) @ b
    _, _, directions = np.linalg.svd(h - origin)
    residual = directions[15:].T  # C has 30 hidden units
    norm, norm_test = (np.linalg.norm((a - origin) @ residual, axis=1) for a in (h, h_test))
    alpha = logits.max(1).mean() / norm.mean()
    expected = alpha * norm_test - logsumexp(logits_test, axis=1)
    np.testing.assert_allclose(later["ViM"], expected, rtol=1e-2, atol=1e-2)


def test_few_latents_labels_with_gaps_and_tensors(clusters):
    C, z, y, test = clusters
    few = ood_scores(C, *map(torch.from_numpy, (z[:30], y[:30] * 4, test)))
    distances = cdist(unit(torch.from_numpy(test)), unit(torch.from_numpy(z[:30])))
    np.testing.assert_allclose(few["kNN"], distances.max(1), rtol=1e-6)
    assert np.isfinite(few["Mahalanobis"]).all()


def test_knn_looks_among_ten_thousand_at_most_drawn_by_seed(clusters):
    C, _, _, test = clusters
    z, y = np.random.RandomState(1).randn(10_500, 20).astype(np.float32), np.arange(10_500) % 3
    once, again, other = (ood_scores(C, z, y, test, seed)["kNN"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()


# batch statistics, and the objective at E_s

LABELS, ANOMALOUS = torch.arange(60) % 5, torch.arange(60) % 5 == 2


@pytest.mark.parametrize("kind", [statistics.SHUFFLED, statistics.SORTED, statistics.APART])
def test_batches_hold_every_image_once(kind):
    found = statistics.batches(kind, LABELS, ANOMALOUS, 7)
    assert torch.cat(found).sort().values.equal(torch.arange(60)) and max(map(len, found)) == 7
    mixed = sum(len(ANOMALOUS[rows].unique()) > 1 for rows in found)
    if kind == statistics.SORTED:
        order = torch.cat(found)
        assert not ANOMALOUS[order[:48]].any() and (LABELS[order[:48]].diff() >= 0).all()
        assert mixed == 1  # as the loader: the last normal images and the first anomalies
    if kind == statistics.APART:
        assert mixed == 0 and len(LABELS[found[0]].unique()) > 1
    if kind == statistics.SHUFFLED:
        assert mixed > 4


def test_only_running_statistics_score_an_image_by_itself(images, small):
    model, (shown, _) = train(small, *images).model, images
    before = copy.deepcopy(model.state_dict())
    rows = [torch.arange(16), torch.arange(16, 80)]
    one, other = (
        statistics.uncertainty(model, shown, together) for together in (rows, [torch.arange(80)])
    )
    assert not torch.allclose(one, other, atol=1e-4)
    brighter = shown.clone()
    brighter[1:] = 255 - brighter[1:]
    alone = [statistics.uncertainty(model, pictures)[0].item() for pictures in (shown, brighter)]
    assert alone[0] == pytest.approx(alone[1], abs=1e-9)
    assert abs(one[0] - statistics.uncertainty(model, brighter, rows)[0]) > 1e-4
    assert all(model.state_dict()[name].equal(tensor) for name, tensor in before.items())
    assert not any(module.training for module in model.modules())

    trained = copy.deepcopy(model).train()
    with torch.no_grad():
        logits = trained.C(trained.E_s(scores.to_input(shown[:16])))
    torch.testing.assert_close(one[:16], scores.s(logits))


def test_the_pulls_on_E_s_are_those_of_a_step_and_cosines_are_between_different_images(
    images, small
):
    trainer = Trainer(small, *images)
    x, y = images[0][:16], images[1][:16]
    before = copy.deepcopy(trainer.model.state_dict())
    found = pulls_on_E_s(trainer, x, y)
    assert all(tensor.equal(before[name]) for name, tensor in trainer.model.state_dict().items())
    assert found["L_r"] == 0  # E_s has no part in C(z_r)
    partner, lambda_R = torch.arange(16).roll(1), torch.tensor(0.5)
    terms = trainer.forward_losses(scores.to_input(x), y, partner, lambda_R)
    trainer.model.zero_grad()
    (small.weights["L_con"] * terms["L_con"]).backward()
    squares = [p.grad.square().sum() for p in trainer.model.E_s.parameters() if p.grad is not None]
    assert found["L_con"] == pytest.approx(torch.stack(squares).sum().sqrt().item(), rel=1e-4)
    z_s = trainer.model.encode_s(scores.to_input(x)).detach()
    cosines = unit(z_s) @ unit(z_s).T
    expected = cosines[~np.eye(16, dtype=bool)].mean()
    assert found["cos z_s"] == pytest.approx(expected, rel=1e-4)
