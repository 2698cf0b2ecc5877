"""Anomaly scores, Eq. 12 to 18, and the swap of Fig. 6a. A higher score is more anomalous.

Networks are in eval mode, so the score of an image depends on that image alone.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ygan_core.data.augment import to_image, to_input
from ygan_core.model import YGAN

BATCH = 128  # images at a time; it affects no score beyond rounding


def s(logits: Tensor) -> Tensor:
    """Eq. 12, the anomaly score: 1 - max_i p_i. logits C(z_s) (B, N) -> float64 (B,).

    Computed as the sum of all p_i but the highest, so that confident images do not tie at 0.
    """
    return logits.double().softmax(dim=1).sort(dim=1).values[:, :-1].sum(dim=1)


def s_x(x: Tensor, x_hat: Tensor) -> Tensor:
    """Eq. 13, image score: ||x - x_hat||_2^2. Both (B, C, H, W) in [-1, 1] -> float64 (B,).

    A mean over pixels, as L_rec: a constant factor, which changes no AUC.
    """
    return (x.double() - x_hat.double()).square().flatten(1).mean(dim=1)


def _unit(z: Tensor) -> Tensor:
    return F.normalize(z.double(), dim=1)


def s_z(z: Tensor, z_hat: Tensor) -> Tensor:
    """Eq. 14, latent score: ||z - z_hat||_2^2. Both (B, 2d) -> float64 (B,) in [0, 4].

    z = z_s (+) z_r of an image and of its reconstruction, scaled to unit norm (section 6.3; read
    here as the norm of the concatenation).
    """
    return (_unit(z) - _unit(z_hat)).square().sum(dim=1)


def s_zs(z_s: Tensor, z_s_hat: Tensor) -> Tensor:
    """Eq. 15, semantic latent score: Eq. 14 of z_s alone. Both (B, d) -> float64 (B,) in [0, 4]."""
    return s_z(z_s, z_s_hat)


def prototypes(z_s: Tensor, labels: Tensor) -> Tensor:
    """The class means of Eq. 16 and 17: z_s (n, d), labels (n,) -> float64 (N, d), by label.

    Latents are scaled to unit norm before the mean is taken (section 6.3), and not again after it.
    """
    return torch.stack([_unit(z_s[labels == label]).mean(dim=0) for label in labels.unique()])


def s_prototype(z_s: Tensor, prototypes: Tensor) -> Tensor:
    """Eq. 16 and 17: min_i ||z_s - prototype_i||_2^2. (B, d), (N, d) -> float64 (B,) in [0, 4].

    s_zp for prototypes of the true labels, s_zw for those of weak labels (section 6.3).
    """
    exactly = "donot_use_mm_for_euclid_dist"  # matrix products lose small distances to rounding
    return torch.cdist(_unit(z_s), prototypes, compute_mode=exactly).square().amin(dim=1)


def s_c(logits: Tensor) -> Tensor:
    """Eq. 18, classifier uncertainty, in nats: -sum_i p_i log p_i. (B, N) -> float64 (B,)."""
    log_p = logits.double().log_softmax(dim=1)
    return -(log_p.exp() * log_p).sum(dim=1)


@dataclass(frozen=True)
class Encoding:
    """The outputs for n images, float32 on the CPU: z_s and z_r (n, d), logits C(z_s) (n, N)."""

    z_s: Tensor
    z_r: Tensor
    logits: Tensor


def _device(model: YGAN) -> torch.device:
    return next(model.eval().parameters()).device


@torch.inference_mode()
def encode(model: YGAN, images: Tensor, batch_size: int = BATCH) -> Encoding:
    """Latents and logits of images, uint8 (n, C, S, S). Leaves the model in eval mode."""
    device, parts = _device(model), []
    for batch in images.split(batch_size):
        z_s, z_r = model.encode(to_input(batch.to(device)))
        parts.append((z_s.cpu(), z_r.cpu(), model.C(z_s).cpu()))
    return Encoding(*(torch.cat(column) for column in zip(*parts, strict=True)))


@torch.inference_mode()
def classify(model: YGAN, images: Tensor, batch_size: int = BATCH) -> Tensor:
    """C(E_s(x)), all that Eq. 12 needs: images uint8 (n, C, S, S) -> logits (n, N) on the CPU."""
    inputs = (to_input(batch.to(_device(model))) for batch in images.split(batch_size))
    return torch.cat([model.C(model.encode_s(x)).cpu() for x in inputs])


@torch.inference_mode()
def decode(model: YGAN, z_s: Tensor, z_r: Tensor) -> Tensor:
    """D(z_s (+) z_r) (Eq. 2) as images: z_s, z_r (n, d) -> uint8 (n, C, S, S), on the CPU."""
    device = _device(model)
    pairs = zip(z_s.split(BATCH), z_r.split(BATCH), strict=True)
    return torch.cat([to_image(model.D(s_.to(device), r_.to(device))).cpu() for s_, r_ in pairs])


def swap(model: YGAN, z_s: Tensor, z_r: Tensor) -> Tensor:
    """The hybrids of Fig. 6a: row i, column j is D(z_s[j] (+) z_r[i]).

    z_s (m, d), z_r (n, d) -> uint8 (n, m, C, S, S).
    """
    n, m = len(z_r), len(z_s)
    return decode(model, z_s.repeat(n, 1), z_r.repeat_interleave(m, dim=0)).unflatten(0, (n, m))
