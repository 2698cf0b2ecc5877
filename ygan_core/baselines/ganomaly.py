"""GANomaly: Akcay, Atapour-Abarghouei & Breckon, "GANomaly: Semi-Supervised Anomaly Detection via Adversarial Training", 2018.

x ──► E ──► z ──► De ──► x_hat ──► E_hat ──► z_hat;  Ds tells x from x_hat;  score = mean (z - z_hat)^2

Written from the paper. It was made for 32 px: nothing is adapted, and at a larger power of two each network has more stages.
The blocks are the authors' DCGAN ones, not those of `model.py`: batch norm comes before the activation, and none after the
first convolution, so the number of parameters is theirs. Their public code scales the scores to [0, 1] over the test set,
keeps the epoch that is best on it, uses batch statistics there, and starts Ds anew where its loss is under 1e-5; none of
these is done here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ygan_core import losses
from ygan_core.baselines.base import Baseline
from ygan_core.model import _dcgan_init

LATENT = 100
W_ADV, W_CON, W_ENC = 1.0, 50.0, 1.0


def encoder(channels: int, image_size: int, width: int, outputs: int) -> nn.Sequential:
    """A DCGAN encoder, x (B, channels, S, S) -> (B, outputs). Its part [0] ends in a 4 x 4 map: Ds's features."""
    features, inputs = [nn.Conv2d(channels, width, 4, stride=2, padding=1, bias=False), nn.LeakyReLU(0.2)], width
    while image_size > 8:
        convolution = nn.Conv2d(inputs, inputs * 2, 4, stride=2, padding=1, bias=False)
        image_size, inputs = image_size // 2, inputs * 2
        features += [convolution, nn.BatchNorm2d(inputs), nn.LeakyReLU(0.2)]
    return nn.Sequential(nn.Sequential(*features), nn.Conv2d(inputs, outputs, 4, bias=False), nn.Flatten())


def decoder(channels: int, image_size: int, width: int, latent: int) -> nn.Sequential:
    """A DCGAN decoder, z (B, latent) -> image (B, channels, S, S) in (-1, 1)."""
    filters = width * image_size // 8
    layers = [nn.Unflatten(1, (latent, 1, 1)), nn.ConvTranspose2d(latent, filters, 4, bias=False)]
    while filters > width:
        upward = nn.ConvTranspose2d(filters, filters // 2, 4, stride=2, padding=1, bias=False)
        layers += [nn.BatchNorm2d(filters), nn.ReLU(), upward]
        filters //= 2
    layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1, bias=False)]
    return nn.Sequential(*layers, nn.Tanh())


def adam(lr: float, beta_1: float, beta_2: float, *networks: nn.Module) -> torch.optim.Adam:
    """Adam over all parameters of these networks."""
    return torch.optim.Adam(nn.ModuleList(networks).parameters(), lr=lr, betas=(beta_1, beta_2), fused=True)


def descend(optimiser: torch.optim.Optimizer, loss: Tensor, retain_graph: bool = False) -> None:
    """One update of the optimiser's own parameters down `loss`; whatever else lies in the graph gets no gradient."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    optimiser.zero_grad()
    loss.backward(inputs=parameters, retain_graph=retain_graph)
    optimiser.step()


class GANomaly(Baseline):
    """Encoder, decoder, encoder; an image is anomalous where the two latents differ (section 3.2 of the paper)."""

    title, kind = "GANomaly", "RB"

    def prepare(self, images: Tensor) -> None:
        (channels, size), width = images.shape[1:3], self.config.width
        self.E, self.E_hat = (encoder(channels, size, width, LATENT) for _ in range(2))
        self.De = decoder(channels, size, width, LATENT)
        self.Ds = encoder(channels, size, width, 1)
        self.apply(_dcgan_init)
        self.optimisers = {"G": adam(2e-4, 0.5, 0.999, self.E, self.De, self.E_hat), "Ds": adam(2e-4, 0.5, 0.999, self.Ds)}

    def latents(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, C, S, S) -> z (B, 100), x_hat like x, z_hat (B, 100)."""
        z = self.E(x)
        x_hat = self.De(z)
        return z, x_hat, self.E_hat(x_hat)

    def step(self, x: Tensor, p: float) -> dict[str, Tensor]:
        z, x_hat, z_hat = self.latents(x)
        f_x, f_x_hat = self.Ds[0](x), self.Ds[0](x_hat)
        terms = {
            "L_adv": losses.L_adv(f_x, f_x_hat),
            "L_con": losses.L_rec(x, x_hat),
            "L_enc": (z - z_hat).square().mean(),
            "L_bce": losses.L_bce(self.Ds[1:](f_x), self.Ds[1:](f_x_hat)),
        }
        L_G = W_ADV * terms["L_adv"] + W_CON * terms["L_con"] + W_ENC * terms["L_enc"]
        descend(self.optimisers["G"], L_G, retain_graph=True)  # Ds is the same in both: it reads x and x_hat once
        descend(self.optimisers["Ds"], terms["L_bce"] / 2)
        return terms

    def score_batch(self, x: Tensor) -> Tensor:
        z, _, z_hat = self.latents(x)
        return (z - z_hat).square().mean(dim=1)
