"""Each equation against a few lines of NumPy, and the gradient reversal against a gradient negated
by hand.
"""

import functools

import made_up
import numpy as np
import pytest
import torch

from ygan_core import losses
from ygan_core.scores import s

rand = functools.partial(made_up.rand, dtype=torch.float64)


def cross_entropy(logits, y):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return -np.log((e / e.sum(1, keepdims=True))[np.arange(len(y)), y]).mean()


@pytest.mark.parametrize("term, by_hand", [(losses.L_rec, np.abs), (losses.L_adv, np.square)])
def test_mean_differences_of_images_and_of_features(term, by_hand):
    a, b = rand(4, 3, 8, 8), rand(4, 3, 8, 8, seed=1)
    assert term(a, b).item() == pytest.approx(by_hand((a - b).numpy()).mean())


def test_discriminator_loss():
    a, b = rand(6), rand(6, seed=1)
    sigmoid = lambda t: 1 / (1 + np.exp(-t.numpy()))  # noqa: E731
    assert losses.L_bce(a, b).item() == pytest.approx(
        -np.mean(np.log(sigmoid(a)) + np.log(1 - sigmoid(b)))
    )
    assert losses.L_D(losses.L_bce(a, b), 3.0).item() == pytest.approx(
        3 * losses.L_bce(a, b).item()
    )
    sure = torch.tensor([-200.0]), torch.tensor([200.0])
    assert losses.L_bce(*sure).item() == pytest.approx(400)  # it does not overflow


@pytest.mark.parametrize("term", [losses.L_s, losses.L_r])
def test_cross_entropies(term):
    logits, y = rand(5, 9), torch.tensor([0, 8, 3, 3, 1])
    assert term(logits, y).item() == pytest.approx(cross_entropy(logits.numpy(), y.numpy()))


def test_consistency_is_minus_the_cosine():
    a, b = rand(5, 7), rand(5, 7, seed=1)
    cosine = (a * b).sum(1).numpy() / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    assert losses.L_con(a, b).item() == pytest.approx(-cosine.mean())
    assert losses.L_con(a, 5 * a).item() == pytest.approx(-1)


def test_generator_objective_weighs_each_term_by_its_own_lambda():
    terms = {
        name: torch.tensor(10.0**i)
        for i, name in enumerate(("L_rec", "L_adv", "L_s", "L_r", "L_con"))
    }
    assert losses.L_G(terms, dict(zip(terms, (1, 2, 3, 4, 5), strict=True))).item() == 54321


def test_gradient_reversal_against_a_gradient_negated_by_hand():
    z, w, lam = rand(5, 7), rand(7, 9), 0.3
    y = torch.tensor([0, 8, 3, 3, 1])
    plain, behind = z.clone().requires_grad_(), z.clone().requires_grad_()
    w1, w2 = w.clone().requires_grad_(), w.clone().requires_grad_()
    losses.L_r(plain @ w1, y).backward()
    reversed_ = losses.R(behind, lam)
    assert reversed_.equal(behind)
    losses.L_r(reversed_ @ w2, y).backward()
    torch.testing.assert_close(behind.grad, -lam * plain.grad)
    torch.testing.assert_close(w2.grad, w1.grad)  # C learns L_r as it stands


def test_schedule_of_lambda_R():
    assert losses.lambda_R(0) == 0
    assert losses.lambda_R(0.5) == pytest.approx(2 / (1 + np.exp(-5)) - 1)
    assert losses.lambda_R(1) == pytest.approx(0.99990920)


def test_score_is_one_minus_the_highest_probability():
    logits = rand(5, 9).float()
    e = np.exp(logits.numpy().astype(np.float64))
    np.testing.assert_allclose(
        s(logits).numpy(), 1 - (e / e.sum(1, keepdims=True)).max(1), rtol=1e-12
    )


def test_surest_images_do_not_tie():
    sure = torch.tensor([[40.0, 0.0], [35.0, 0.0]])
    assert 0 < s(sure)[0] < s(sure)[1] < 1e-15
