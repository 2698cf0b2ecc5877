"""Skip-GANomaly: Akcay, Atapour-Abarghouei and Breckon, "Skip-GANomaly: skip connected and
adversarially trained encoder-decoder anomaly detection" (IJCNN 2019).

x --U-Net--> x_hat;  Ds, with features f, tells x from x_hat
score = 0.9 mean (x - x_hat)^2 + 0.1 mean (f(x) - f(x_hat))^2

Written from the paper, which is for 32 px: nothing is adapted; the U-Net goes down to 1 x 1 at
every size. From the authors' public code come the weight of 50 and the square in the score: the
absolute error that the paper names was weaker on both MNIST digits tried. Left out is that this
code adds the latent loss to the objective of Ds, scales the scores to [0, 1] over the test set,
keeps the epoch that is best there, and scores with batch statistics. Its Ds ends in a 3 x 3
convolution of a 1 x 1 map, of which only the centre counts: here it is a linear layer.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ygan_core import losses
from ygan_core.model import dcgan_init
from ygan_study.methods.baseline import Baseline, Schedule, adam, descend, encoder

LATENT = 100
W_ADV, W_CON, W_LAT = 1.0, 50.0, 1.0
IMAGE_PART = 0.9  # of the score; lambda in the paper


class UNet(nn.Module):
    """The generator: x (B, channels, S, S) -> x_hat like x in (-1, 1).

    Stages of stride 2 lead down to 1 x 1 and back up. Each stage upwards reads the one below it
    and, except the innermost, the stage downwards of its own size.
    """

    def __init__(self, channels: int, image_size: int, width: int):
        super().__init__()
        filters = [width * min(2**i, 8) for i in range(image_size.bit_length() - 1)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, (outside, inside) in enumerate(pairwise([channels, *filters])):
            first, last = i == 0, i == len(filters) - 1
            read, same = (1 if last else 2) * inside, dict(kernel_size=4, stride=2, padding=1)
            down = [nn.Conv2d(outside, inside, bias=False, **same)]
            up = [nn.ReLU(), nn.ConvTranspose2d(read, outside, bias=first, **same)]
            if not first:
                down.insert(0, nn.LeakyReLU(0.2))
                if not last:
                    down.append(nn.BatchNorm2d(inside))
            self.down.append(nn.Sequential(*down))
            self.up.append(nn.Sequential(*up, nn.Tanh() if first else nn.BatchNorm2d(outside)))

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for down in self.down:
            x = down(x)
            skips.append(x)
        y = self.up[-1](skips.pop())
        for up in reversed(self.up[:-1]):
            y = up(torch.cat([skips.pop(), y], dim=1))
        return y


class SkipGANomaly(Baseline):
    """A U-Net that reconstructs normal images, in pixels and in features of Ds (its section 3)."""

    title, kind = "Skip-GANomaly", "RB"
    authors = Schedule(
        15 * 45_000, "samet-akcay/skip-ganomaly: niter 15, CIFAR10 without one class"
    )

    def prepare(self, images: Tensor) -> None:
        (channels, size), width = images.shape[1:3], self.config.width
        self.G = UNet(channels, size, width)
        self.f = encoder(channels, size, width, LATENT)
        self.to_logit = nn.Linear(LATENT, 1, bias=False)
        self.apply(dcgan_init)
        nn.init.normal_(self.to_logit.weight, 0.0, 0.02)
        self.optimisers = {
            "G": adam(2e-4, 0.5, 0.999, self.G),
            "Ds": adam(2e-4, 0.5, 0.999, self.f, self.to_logit),
        }

    def step(self, x: Tensor, p: float) -> dict[str, Tensor]:
        x_hat = self.G(x)
        f_x, f_x_hat = self.f(x), self.f(x_hat)
        logit_x, logit_x_hat = self.to_logit(f_x), self.to_logit(f_x_hat)
        terms = {
            "L_adv": -F.logsigmoid(logit_x_hat).mean(),
            "L_con": losses.L_rec(x, x_hat),
            "L_lat": losses.L_adv(f_x, f_x_hat),
            "L_bce": losses.L_bce(logit_x, logit_x_hat),
        }
        L_G = W_ADV * terms["L_adv"] + W_CON * terms["L_con"] + W_LAT * terms["L_lat"]
        # Ds is updated last, so it reads x and x_hat once for both losses
        descend(self.optimisers["G"], L_G, retain_graph=True)
        descend(self.optimisers["Ds"], terms["L_bce"])
        return terms

    def score_batch(self, x: Tensor) -> Tensor:
        x_hat = self.G(x)
        image = (x - x_hat).square().flatten(1).mean(dim=1)
        features = (self.f(x) - self.f(x_hat)).square().mean(dim=1)
        return IMAGE_PART * image + (1 - IMAGE_PART) * features
