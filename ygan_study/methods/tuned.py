"""Y-GAN with settings that the paper does not have, of `balanced` and of the search for it."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ygan_study import engine

# Chosen on validation (plan/search.py; results/search.csv is the log).
BALANCED = dict(lambda_1=10.0, lambda_3=50.0, lambda_4=5.0, lambda_5=10.0, ramp_con=True, lr=1e-3)
CONSISTENCY = ("latents", "detached", "contrastive", "logits", "labels")
LR_DECAY = ("none", "cosine", "triangular")

# The triangular schedule: the learning rate begins at START of its height, reaches it when a
# fraction PEAK of the training is done, and falls to END of it (arXiv 2404.00498).
START, PEAK, END = 0.2, 0.23, 0.07


class Tuned(engine.Trainer):
    """The paper's training, unless one of these settings says otherwise.

    ramp_con: lambda_5 follows the schedule of lambda_R; lr_decay: an entry of LR_DECAY;
    label_smoothing: of L_s and L_r; consistency: what L_con compares, an entry of CONSISTENCY:
    `latents` is Eq. 9, `detached` the same with z_s as a fixed target, `contrastive` InfoNCE,
    `logits` the divergence between the predictions of C, `labels` treats a hybrid as one more image
    of its class.
    """

    def lambdas(self, lambda_R: Tensor) -> dict[str, float | Tensor]:
        found = super().lambdas(lambda_R)
        if self.config.ramp_con and "L_con" in found:
            found["L_con"] = found["L_con"] * lambda_R
        return found

    def lr_factor(self, p: float) -> float:
        if self.config.lr_decay == "cosine":
            return (1 + math.cos(math.pi * p)) / 2
        if self.config.lr_decay == "triangular":
            rising = START + (1 - START) * p / PEAK
            return rising if p < PEAK else 1 - (1 - END) * (p - PEAK) / (1 - PEAK)
        return super().lr_factor(p)

    def forward_losses(self, x, y, partner, lambda_R) -> dict[str, Tensor]:
        self.y = y  # for L_con, where hybrids are images of their class
        return super().forward_losses(x, y, partner, lambda_R)

    def L_s(self, logits_s: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(logits_s, y, label_smoothing=self.config.label_smoothing)

    L_r = L_s

    def L_con(self, z: Tensor, z_hybrid: Tensor) -> Tensor:
        C = self.model.C
        match self.config.consistency:
            case "detached":
                return super().L_con(z.detach(), z_hybrid)
            case "contrastive":
                return contrastive(z, z_hybrid)
            case "logits":
                return divergence(C(z), C(z_hybrid))
            case "labels":
                return self.L_s(C(z_hybrid), self.y)
        return super().L_con(z, z_hybrid)


def contrastive(z_s: Tensor, z_s_hybrid: Tensor, temperature: float = 0.1) -> Tensor:
    """InfoNCE: which image of the batch is a hybrid made of, by its cosines to all z_s? (B, d).

    Latents that all point the same way satisfy Eq. 9, but not this.
    """
    # Not a matrix product, which autocast would take in bfloat16.
    cosines = F.cosine_similarity(z_s_hybrid[:, None], z_s[None], dim=2)
    return F.cross_entropy(cosines / temperature, torch.arange(len(z_s), device=z_s.device))


def divergence(logits: Tensor, logits_hybrid: Tensor) -> Tensor:
    """Kullback-Leibler divergence of C's prediction for hybrids from that for images. (B, N)."""
    log_p, log_q = logits.log_softmax(dim=1), logits_hybrid.log_softmax(dim=1)
    return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
