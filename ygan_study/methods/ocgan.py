"""OCGAN: Perera, Nallapati and Xiang, "OCGAN: one-class novelty detection using GANs with
constrained latent representations" (CVPR 2019).

x + noise --En--> z in (-1, 1)^d --De--> x_hat;  score = mean (x - x_hat)^2
D_l makes z uniform in its box, D_v makes De(any point of the box) look normal, and the classifier C
finds the points where it does not yet ("informative negative mining").

Written from the paper. Adapted to 32 px: convolutions of 4 x 4 with padding in place of 5 x 5
without, which need 61 px, and a last one from the 4 x 4 map to the latent (d = 16, as in the
example of the authors' public code). Norms are means, as everywhere in this project. Start and
step size of the mining are that code's. It also adds noise to the images that it scores; here a
score depends on its image alone. The paper picks the epoch by the error on validation images; here
it is the last.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ygan_core import losses
from ygan_core.model import dcgan_init, running_statistics_untouched
from ygan_study.methods.baseline import Baseline, Schedule, adam, decoder, descend, encoder

LATENT = 16
NOISE = 0.2  # standard deviation
W_REC = 10.0  # lambda in the paper
MINING_FROM = 0.75  # of the training
MINING_STEP = 2.0


def latent_discriminator(d: int) -> nn.Sequential:
    """D_l: z (B, d) -> logit (B, 1), by layers of 128, 64, 32 and 16."""
    layers = []
    for inputs, outputs in pairwise((d, 128, 64, 32, 16)):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(16, 1))


class OCGAN(Baseline):
    """A denoising auto-encoder whose whole latent box is to hold normal images (its section 3)."""

    title, kind = "OCGAN", "RB"
    authors = Schedule(201 * 5_600, "PramuPerera/OCGAN: 201 epochs, 80 % of one digit of MNIST")

    def prepare(self, images: Tensor) -> None:
        (channels, size), width = images.shape[1:3], self.config.width
        self.En = nn.Sequential(encoder(channels, size, width, LATENT), nn.Tanh())
        self.De = decoder(channels, size, width, LATENT)
        self.D_l = latent_discriminator(LATENT)
        # in the paper 12 filters, where the auto-encoder has 64
        self.D_v = encoder(channels, size, max(1, width * 12 // 64), 1)
        self.C = encoder(channels, size, width, 1)
        self.apply(dcgan_init)
        networks = {"C": [self.C], "D": [self.D_l, self.D_v], "G": [self.En, self.De]}
        self.optimisers = {name: adam(1e-4, 0.5, 0.999, *parts) for name, parts in networks.items()}

    def mine(self, z: Tensor) -> Tensor:
        """Informative negatives: points z (B, d), moved to where C finds De(z) less normal.

        The step is taken before the tanh that bounds the box, so that no point can leave it.
        """
        free = z.clamp(-0.999999, 0.999999).atanh().requires_grad_()
        as_negative = F.softplus(self.C(self.De(free.tanh()))).sum()  # C's loss of this answer
        (gradient,) = torch.autograd.grad(as_negative, free)
        return (free - MINING_STEP * gradient).tanh().detach()

    def step(self, x: Tensor, p: float) -> dict[str, Tensor]:
        # random numbers are drawn on the CPU, so that they are the same on every device
        z = self.En(x + NOISE * torch.randn(x.shape).to(x.device))
        x_hat = self.De(z)
        uniform = (2 * torch.rand(z.shape) - 1).to(x.device)
        # no image that is scored comes from a random point of the box
        with running_statistics_untouched(self.De):
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
