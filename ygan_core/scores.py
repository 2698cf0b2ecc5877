"""Anomaly scores: Eq. 12. Higher is more anomalous. An image's score depends on that image alone (eval mode)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ygan_core.model import YGAN


def s(logits: Tensor) -> Tensor:
    """Eq. 12, the doubt of the latent classifier: 1 - max_i p_i. logits C(z_s) (B, N) -> float64 (B,) in [0, 1 - 1/N].

    Taken as the sum of all p_i but the highest, which is the same, but does not round the surest images to a tie at 0.
    """
    return logits.double().softmax(dim=1).sort(dim=1).values[:, :-1].sum(dim=1)


@dataclass(frozen=True)
class Encoding:
    """What the networks say of n images, on the CPU: z_s and z_r (n, d), logits C(z_s) (n, N), all float32."""

    z_s: Tensor
    z_r: Tensor
    logits: Tensor


def to_input(images: Tensor) -> Tensor:
    """uint8 (B, C, H, W) -> float32 in [-1, 1], the range of D's tanh."""
    return images.float() / 127.5 - 1


def to_image(x: Tensor) -> Tensor:
    """float in [-1, 1] (B, C, H, W) -> uint8, the inverse of `to_input`."""
    return ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


@torch.inference_mode()
def encode(model: YGAN, images: Tensor, batch_size: int = 512) -> Encoding:
    """Latents and logits of images, uint8 (n, C, S, S), with running batch-norm statistics. Leaves the model in eval mode."""
    model.eval()
    device = next(model.parameters()).device
    parts = []
    for batch in images.split(batch_size):
        x = to_input(batch.to(device))
        z_s = model.E_s(x)
        parts.append((z_s.cpu(), model.E_r(x).cpu(), model.C(z_s).cpu()))
    return Encoding(*(torch.cat(column) for column in zip(*parts, strict=True)))


@torch.inference_mode()
def decode(model: YGAN, z_s: Tensor, z_r: Tensor, batch_size: int = 512) -> Tensor:
    """D(z_s (+) z_r) (Eq. 2) as images: z_s, z_r (n, d) -> uint8 (n, C, S, S). Leaves the model in eval mode."""
    model.eval()
    device = next(model.parameters()).device
    pairs = zip(z_s.split(batch_size), z_r.split(batch_size), strict=True)
    return torch.cat([to_image(model.D(s_.to(device), r_.to(device))).cpu() for s_, r_ in pairs])


def swap(model: YGAN, z_s: Tensor, z_r: Tensor) -> Tensor:
    """The hybrids of Fig. 6a: row i, column j is D(z_s[j] (+) z_r[i]). z_s (m, d), z_r (n, d) -> uint8 (n, m, C, S, S)."""
    n, m = len(z_r), len(z_s)
    return decode(model, z_s.repeat(n, 1), z_r.repeat_interleave(m, dim=0)).unflatten(0, (n, m))
