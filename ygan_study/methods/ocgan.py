"""OCGAN: Perera, Nallapati & Xiang, "OCGAN: One-class Novelty Detection Using GANs with Constrained Latent Representations",
CVPR 2019.

x + noise ──► En ──► z in (-1, 1)^d ──► De ──► x_hat;  score = mean (x - x_hat)^2
D_l makes z uniform in its box; D_v makes De(any point of the box) look normal; C finds the points where it does not yet.

Written from the paper. Adapted to 32 px: convolutions of 4 x 4 with padding in place of 5 x 5 without, which need 61 px, and a
last one that takes the 4 x 4 map to the latent (d = 16, as in the example of the authors' public code). Norms are means, as
everywhere in this project. Start and size of the mining's step are that code's. It also adds noise to the images it scores,
where here a score is the image's own; the paper picks its epoch by the error on validation images, where here it is the last.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ygan_core import losses
from ygan_core.model import dcgan_init, running_statistics_untouched
from ygan_study.methods.rival import Baseline, adam, decoder, descend, encoder

LATENT = 16
NOISE = 0.2  # standard deviation
W_REC = 10.0  # lambda in the paper
MINING_FROM = 0.75  # of the training
MINING_STEP = 2.0


def latent_discriminator(d: int) -> nn.Sequential:
    """D_l: z (B, d) -> logit (B, 1), by layers of 128, 64, 32 and 16."""
    sizes, layers = (d, 128, 64, 32, 16), []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 1))


class OCGAN(Baseline):
    """A denoising auto-encoder whose whole latent box is to hold normal images alone (section 3 of the paper)."""

    title, kind = "OCGAN", "RB"

    def prepare(self, images: Tensor) -> None:
        (channels, size), width = images.shape[1:3], self.config.width
        self.En = nn.Sequential(encoder(channels, size, width, LATENT), nn.Tanh())
        self.De = decoder(channels, size, width, LATENT)
        self.D_l = latent_discriminator(LATENT)
        self.D_v = encoder(
            channels, size, max(1, width * 12 // 64), 1
        )  # 12 filters to the auto-encoder's 64
        self.C = encoder(channels, size, width, 1)
        self.apply(dcgan_init)
        networks = {"C": [self.C], "D": [self.D_l, self.D_v], "G": [self.En, self.De]}
        self.optimisers = {name: adam(1e-4, 0.5, 0.999, *parts) for name, parts in networks.items()}

    def mine(self, z: Tensor) -> Tensor:
        """Informative negatives: points z (B, d) of the box, moved to where C is surer that De(z) is no normal image.

        The step is taken before the tanh that bounds the box, so that no point can leave it.
        """
        free = z.clamp(-0.999999, 0.999999).atanh().requires_grad_()
        as_negative = F.softplus(self.C(self.De(free.tanh()))).sum()  # C's loss of calling them so
        (gradient,) = torch.autograd.grad(as_negative, free)
        return (free - MINING_STEP * gradient).tanh().detach()

    def step(self, x: Tensor, p: float) -> dict[str, Tensor]:
        z = self.En(
            x + NOISE * torch.randn(x.shape).to(x.device)
        )  # drawn on the CPU: the same on every device
        x_hat = self.De(z)
        uniform = (2 * torch.rand(z.shape) - 1).to(x.device)
        with running_statistics_untouched(
            self.De
        ):  # no scored image comes from a random point of the box
            with torch.no_grad():
                x_uniform = self.De(uniform)
            L_C = losses.L_bce(self.C(x_hat.detach()), self.C(x_uniform))
            descend(self.optimisers["C"], L_C)

            L_latent = losses.L_bce(self.D_l(uniform), self.D_l(z.detach()))
            L_visual = losses.L_bce(self.D_v(x), self.D_v(x_uniform))
            descend(self.optimisers["D"], L_latent + L_visual)

            x_informative = self.De(self.mine(uniform) if p >= MINING_FROM else uniform)
        L_rec = (x - x_hat).square().mean()
        fooled = -F.logsigmoid(self.D_l(z)).mean() - F.logsigmoid(self.D_v(x_informative)).mean()
        descend(self.optimisers["G"], fooled + W_REC * L_rec)
        return {"L_MSE": L_rec, "L_latent": L_latent, "L_visual": L_visual, "L_classifier": L_C}

    def score_batch(self, x: Tensor) -> Tensor:
        return (x - self.De(self.En(x))).square().flatten(1).mean(dim=1)
