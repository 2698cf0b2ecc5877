"""f-AnoGAN: Schlegl, Seebock, Waldstein, Langs & Schmidt-Erfurth, "f-AnoGAN: Fast Unsupervised Anomaly Detection with
Generative Adversarial Networks", Medical Image Analysis 54, 2019.

Phase 1, a WGAN-GP:   z ──► G ──► image;  the critic D tells images from generated ones
Phase 2, an encoder:  x ──► E ──► z ──► G ──► x_hat, with G and D as they are
Loss of phase 2 (izi_f), and score:  mean (x - x_hat)^2 + kappa mean (f(x) - f(x_hat))^2, f being the last features of D

Written from the paper. Adapted to 32 px: at the authors' 64 px the residual networks are theirs, at 32 they have a stage less.
The first two thirds of the training are phase 1, where each batch is one critic step and every fifth is followed by one of G
(the authors, too, take fresh images for each critic step); the last third is phase 2. The authors train E for 50,000
iterations: a few epochs of a small dataset are far less.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ygan_study.methods.rival import Baseline, adam, descend

LATENT = 128
PENALTY = 10.0
CRITIC_STEPS = 5
KAPPA = 1.0
PHASE_2_FROM = 2 / 3  # of the training


class Residual(nn.Module):
    """A pre-activation residual block that halves ("down") or doubles ("up") an image of `inputs` channels."""

    def __init__(self, inputs: int, outputs: int, direction: str, norm: Callable[[int], nn.Module]):
        super().__init__()
        down, up = nn.Identity(), nn.Identity()
        middle = inputs if direction == "down" else outputs
        if direction == "down":
            down = nn.AvgPool2d(2)
        else:
            up = nn.Upsample(scale_factor=2)
        self.shortcut = nn.Sequential(down, up, nn.Conv2d(inputs, outputs, 1))
        self.residual = nn.Sequential(
            *(norm(inputs), nn.ReLU(), up, nn.Conv2d(inputs, middle, 3, padding=1, bias=False)),
            *(norm(middle), nn.ReLU(), nn.Conv2d(middle, outputs, 3, padding=1), down),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.residual(x)


def layer_norm(channels: int) -> nn.Module:
    """Over channels and pixels of one image: a gradient penalty is of each image alone, so the critic knows no batch."""
    return nn.GroupNorm(1, channels)


def _filters(image_size: int, width: int) -> list[int]:
    """Filters of each stage, from full size to 4 x 4; the innermost two are equal."""
    stages = image_size.bit_length() - 3
    return [width * 2 ** min(i, stages - 1) for i in range(stages + 1)]


def downward(
    channels: int, image_size: int, width: int, outputs: int, norm: Callable[[int], nn.Module]
) -> nn.Sequential:
    """E or the critic: x (B, channels, S, S) -> (B, outputs). Its part [:-1] gives the features f (B, F)."""
    filters = _filters(image_size, width)
    blocks = [Residual(a, b, "down", norm) for a, b in zip(filters, filters[1:], strict=False)]
    first = nn.Conv2d(channels, width, 3, padding=1)
    return nn.Sequential(first, *blocks, nn.Flatten(), nn.Linear(filters[-1] * 16, outputs))


def generator(channels: int, image_size: int, width: int) -> nn.Sequential:
    """G: z (B, 128) -> image (B, channels, S, S) in (-1, 1)."""
    filters = _filters(image_size, width)[::-1]
    blocks = [
        Residual(a, b, "up", nn.BatchNorm2d) for a, b in zip(filters, filters[1:], strict=False)
    ]
    start = [nn.Linear(LATENT, filters[0] * 16), nn.Unflatten(1, (filters[0], 4, 4))]
    end = [nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, channels, 3, padding=1), nn.Tanh()]
    return nn.Sequential(*start, *blocks, *end)


def _init(module: nn.Module) -> None:
    """The WGAN-GP authors' initial weights: uniform, Glorot's variance, twice that for 3 x 3 convolutions (He); no bias."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        he = isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)
        nn.init.xavier_uniform_(module.weight, gain=2**0.5 if he else 1.0)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], x: Tensor, generated: Tensor, alpha: Tensor
) -> Tensor:
    """WGAN-GP: mean (||grad critic(between)||_2 - 1)^2, `between` on the line from x to generated, at alpha (B, 1, 1, 1)."""
    # not a leaf: counting floating-point operations (FlopCounterMode) fails on one that enters a module
    between = x.clone().requires_grad_() + alpha * (generated - x)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


class FAnoGAN(Baseline):
    """A GAN of normal images, and an encoder that finds an image's place in it (section 2 of the paper)."""

    title, kind = "f-AnoGAN", "RB"

    def prepare(self, images: Tensor) -> None:
        (channels, size), width = images.shape[1:3], self.config.width
        self.G = generator(channels, size, width)
        self.D = downward(channels, size, width, 1, layer_norm)
        self.E = nn.Sequential(downward(channels, size, width, LATENT, nn.BatchNorm2d), nn.Tanh())
        self.apply(_init)
        self.optimisers = {
            "D": adam(1e-4, 0.0, 0.9, self.D),
            "G": adam(1e-4, 0.0, 0.9, self.G),
            "E": torch.optim.RMSprop(self.E.parameters(), lr=5e-5, alpha=0.9),
        }
        self.steps = self.config.epochs * (len(images) // self.config.batch_size)

    def step(self, x: Tensor, p: float) -> dict[str, Tensor]:
        if p >= PHASE_2_FROM:
            return self.encoder_step(x)
        return self.gan_step(
            x, with_generator=round(p * self.steps) % CRITIC_STEPS == CRITIC_STEPS - 1
        )

    def generate(self, n: int) -> Tensor:
        """n images from z ~ N(0, 1), drawn on the CPU: the same on every device."""
        return self.G(torch.randn(n, LATENT).to(self.device))

    def gan_step(self, x: Tensor, with_generator: bool) -> dict[str, Tensor]:
        """Phase 1: one step of the critic, and one of G where it is its turn."""
        with torch.no_grad():
            generated = self.generate(len(x))
        penalty = gradient_penalty(self.D, x, generated, torch.rand(len(x), 1, 1, 1).to(x.device))
        distance = self.D(x).mean() - self.D(generated).mean()
        descend(self.optimisers["D"], PENALTY * penalty - distance)
        if with_generator:
            descend(self.optimisers["G"], -self.D(self.generate(len(x))).mean())
        return {"Wasserstein": distance, "penalty": penalty}

    def encoder_step(self, x: Tensor) -> dict[str, Tensor]:
        """Phase 2: one step of E, through G as it is at test time."""
        self.G.eval()
        image, features = (part.mean() for part in self.residuals(x))
        descend(self.optimisers["E"], image + KAPPA * features)
        return {"L_image": image, "L_features": features}

    def residuals(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean squared differences between x and x_hat (B,), in pixels and in the critic's features."""
        x_hat, f = self.G(self.E(x)), self.D[:-1]
        return (x - x_hat).square().flatten(1).mean(dim=1), (f(x) - f(x_hat)).square().mean(dim=1)

    def score_batch(self, x: Tensor) -> Tensor:
        image, features = self.residuals(x)
        return image + KAPPA * features
