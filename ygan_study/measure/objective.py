"""What drives an encoder: the gradient of each loss term, and how alike the latents are."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor

from ygan_core import scores
from ygan_study.engine import Trainer


def pulls_on_E_s(trainer: Trainer, images: Tensor, y: Tensor, lambda_R: float = 0.5) -> dict:
    """The length of each term's weighted gradient at E_s, and the cosines between latents.

    images: a batch, uint8 (B, C, S, S); y: their classes (B,). The cosines are means over all pairs
    of different images, `cos z_s` and `cos z_r`. Leaves the trainer as it was.
    """
    model, before = trainer.model, copy.deepcopy(trainer.model.state_dict())
    x, partner = scores.to_input(images), torch.arange(len(images)).roll(1)
    terms = trainer.forward_losses(x, y, partner, torch.tensor(lambda_R))
    weights, found = trainer.config.weights, {}
    for name in terms:
        if name != "L_bce":  # it trains Ds alone
            asked = dict(retain_graph=True, materialize_grads=True)
            loss = weights[name] * terms[name]
            gradient = torch.autograd.grad(loss, list(model.E_s.parameters()), **asked)
            found[name] = torch.cat([part.flatten() for part in gradient]).norm().item()
    with torch.no_grad():
        for name, z in zip(("cos z_s", "cos z_r"), model.encode(x), strict=True):
            found[name] = _between(z)
    model.load_state_dict(before)  # batch norms count the batches that they see
    return found


def _between(z: Tensor) -> float:
    """The mean cosine of two different rows of z (n, d)."""
    unit, n = F.normalize(z, dim=1), len(z)
    return ((unit.sum(0).square().sum() - n) / (n * (n - 1))).item()
