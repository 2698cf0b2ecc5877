"""The training objective of section 3, one function per equation: Eq. 3 to 11, under their names.

Where the paper writes a norm, the mean is taken over pixels or features and over the batch: a sum
would let L_rec, which is weighted by 50, drown every other term. All losses are scalars.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def L_rec(x: Tensor, x_hat: Tensor) -> Tensor:
    """Eq. 3, reconstruction: ||x - x_hat||_1, a mean over pixels. Both (B, C, H, W) in [-1, 1]."""
    return (x - x_hat).abs().mean()


def L_adv(f_x: Tensor, f_x_hat: Tensor) -> Tensor:
    """Eq. 4, feature matching: ||f(x) - f(x_hat)||_2^2, a mean. Both (B, F, 4, 4), from Ds."""
    return (f_x - f_x_hat).square().mean()


def L_bce(logit_x: Tensor, logit_x_hat: Tensor) -> Tensor:
    """Eq. 5: -[log Ds(x) + log(1 - Ds(x_hat))], from the logits of Ds, both (B,)."""
    return -(F.logsigmoid(logit_x) + F.logsigmoid(-logit_x_hat)).mean()


def L_s(logits_s: Tensor, y: Tensor) -> Tensor:
    """Eq. 6: cross-entropy of C(z_s). logits_s (B, N), y (B,) int64 in [0, N)."""
    return F.cross_entropy(logits_s, y)


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, lambda_R):
        ctx.lambda_R = lambda_R
        return z.view_as(z)

    @staticmethod
    def backward(ctx, gradient):
        return -ctx.lambda_R * gradient, None


def R(z_r: Tensor, lambda_R: "float | Tensor") -> Tensor:
    """Eq. 7, gradient reversal: the identity forward, -lambda_R times the gradient backward.

    z_r (B, d); lambda_R a scalar.
    """
    return _Reversal.apply(z_r, lambda_R)


def lambda_R(p: float) -> float:
    """The schedule of Eq. 7's lambda_R: 0 at p = 0, near 1 at p = 1.

    p: the fraction of the training that is done. The formula is Ganin and Lempitsky's (2015), whom
    section 4.3 cites without printing it.
    """
    return 2 / (1 + math.exp(-10 * p)) - 1


def L_r(logits_r: Tensor, y: Tensor) -> Tensor:
    """Eq. 8: cross-entropy of C(R(z_r)). Shapes as for L_s.

    C minimises it. Because R reverses the gradient, E_r maximises it, which is meant to remove the
    class from z_r. It fools C alone: another classifier may still find the class there.
    """
    return F.cross_entropy(logits_r, y)


def L_con(z_s: Tensor, z_s_hybrid: Tensor) -> Tensor:
    """Eq. 9, consistency: minus the cosine between z_s and E_s(D(z_s (+) z_r')). Both (B, d).

    z_r' is the z_r of another image. Nothing is detached, so the gradient runs through D and
    through both passes of E_s.
    """
    return -F.cosine_similarity(z_s, z_s_hybrid, dim=1).mean()


def L_G(terms: dict[str, Tensor], lambdas: dict[str, "float | Tensor"]) -> Tensor:
    """Eq. 10, the generator's objective: the weighted sum of the terms in `lambdas`."""
    return sum(weight * terms[name] for name, weight in lambdas.items())


def L_D(bce: Tensor, lambda_6: float) -> Tensor:
    """Eq. 11, the discriminator's objective. lambda_1 * L_rec is left out: Ds has no part in it."""
    return lambda_6 * bce
