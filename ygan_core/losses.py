"""The training objective, one function an equation: Eq. 3 to 11 of section 3, under the paper's names.

Where the paper writes a norm, the mean is taken over pixels or features, and over the batch: a sum would let L_rec, weighted by
50, drown every other term. All tensors are float32, all losses scalars.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def L_rec(x: Tensor, x_hat: Tensor) -> Tensor:
    """Eq. 3, reconstruction: ||x - x_hat||_1, a mean over pixels. Both (B, C, H, W) in [-1, 1]."""
    return (x - x_hat).abs().mean()


def L_adv(f_x: Tensor, f_x_hat: Tensor) -> Tensor:
    """Eq. 4, feature matching: ||f(x) - f(x_hat)||_2^2, a mean over features. Both (B, F, 4, 4), activations of Ds."""
    return (f_x - f_x_hat).square().mean()


def L_bce(logit_x: Tensor, logit_x_hat: Tensor) -> Tensor:
    """Eq. 5: -[log Ds(x) + log(1 - Ds(x_hat))]. Both (B,), the logits of Ds: log(1 - sigmoid(a)) = logsigmoid(-a)."""
    return -(F.logsigmoid(logit_x) + F.logsigmoid(-logit_x_hat)).mean()


def L_s(logits_s: Tensor, y: Tensor, smoothing: float = 0.0) -> Tensor:
    """Eq. 6: cross-entropy of C(z_s). logits_s (B, N), y (B,) int64 in [0, N). smoothing: of the labels; the paper has none."""
    return F.cross_entropy(logits_s, y, label_smoothing=smoothing)


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, lambda_R):
        ctx.lambda_R = lambda_R
        return z.view_as(z)

    @staticmethod
    def backward(ctx, gradient):
        return -ctx.lambda_R * gradient, None


def R(z_r: Tensor, lambda_R: float | Tensor) -> Tensor:
    """Eq. 7, gradient reversal: the identity forward, -lambda_R times the gradient backward. z_r (B, d), lambda_R a scalar."""
    return _Reversal.apply(z_r, lambda_R)


def lambda_R(p: float) -> float:
    """The schedule of Eq. 7's lambda_R (section 4.3, after Ganin & Lempitsky): 0 at p = 0, near 1 at p = 1.

    p: the fraction of the training that is done.
    """
    return 2 / (1 + math.exp(-10 * p)) - 1


def L_r(logits_r: Tensor, y: Tensor, smoothing: float = 0.0) -> Tensor:
    """Eq. 8: cross-entropy of C(R(z_r)). C learns it as it stands; behind R, E_r unlearns it. Shapes, smoothing: as for L_s."""
    return F.cross_entropy(logits_r, y, label_smoothing=smoothing)


def L_con(z_s: Tensor, z_s_hybrid: Tensor) -> Tensor:
    """Eq. 9, consistency: minus the cosine between z_s and E_s(D(z_s (+) z_r')), z_r' another image's. Both (B, d).

    Nothing is detached: the gradient runs through D and through both passes of E_s.
    """
    return -F.cosine_similarity(z_s, z_s_hybrid, dim=1).mean()


def L_con_detached(z_s: Tensor, z_s_hybrid: Tensor) -> Tensor:
    """Eq. 9 with its target z_s held: the gradient runs through the hybrid alone, by E_s and D. Not the paper's."""
    return L_con(z_s.detach(), z_s_hybrid)


def L_con_contrastive(z_s: Tensor, z_s_hybrid: Tensor, temperature: float = 0.1) -> Tensor:
    """Which image of the batch is a hybrid of? Cross-entropy over its cosines to all z_s (InfoNCE). Both (B, d).

    Not the paper's. Latents that all point one way, which satisfy Eq. 9, are no answer here.
    """
    cosines = F.cosine_similarity(
        z_s_hybrid[:, None], z_s[None], dim=2
    )  # a matrix product would be taken in bfloat16
    return F.cross_entropy(cosines / temperature, torch.arange(len(z_s), device=z_s.device))


def L_con_logits(logits_s: Tensor, logits_hybrid: Tensor) -> Tensor:
    """C's probabilities of an image and of its hybrid agree: the Kullback-Leibler divergence. Not the paper's. Both (B, N)."""
    return F.kl_div(
        logits_hybrid.log_softmax(dim=1),
        logits_s.log_softmax(dim=1),
        reduction="batchmean",
        log_target=True,
    )


def L_G(terms: dict[str, Tensor], lambdas: dict[str, float | Tensor]) -> Tensor:
    """Eq. 10, the generator's objective: the terms that `lambdas` names (L_rec, L_adv, L_s, L_r, L_con), each weighted."""
    return sum(weight * terms[name] for name, weight in lambdas.items())


def L_D(bce: Tensor, lambda_6: float) -> Tensor:
    """Eq. 11, the discriminator's objective, less its first term: lambda_1 * L_rec has no gradient with respect to Ds."""
    return lambda_6 * bce
