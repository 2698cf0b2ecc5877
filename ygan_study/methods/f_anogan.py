"""f-AnoGAN: Schlegl, Seebock, Waldstein, Langs and Schmidt-Erfurth, "f-AnoGAN: fast unsupervised
anomaly detection with generative adversarial networks" (Medical Image Analysis 54, 2019).

Phase 1, a WGAN-GP:   z --G--> image; the critic D tells images from generated ones
Phase 2, an encoder:  x --E--> z --G--> x_hat, with G and D fixed
Loss of phase 2 (izi_f), and score:  mean (x - x_hat)^2 + kappa mean (f(x) - f(x_hat))^2, where f
are the last features of D

Written from the paper. Adapted to 32 px: at 64 px the residual networks are the authors', at 32
they have one stage less. Phase 1 is the first two thirds of the training: each batch is one step of
the critic, and each fifth is followed by a step of G (the authors, too, take fresh images for each
step of the critic). The last third is phase 2. The authors train E for 50,000 iterations, far more
than a few epochs of a small dataset.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from ygan_study.methods.baseline import Baseline, Schedule, adam, descend

LATENT = 128
PENALTY = 10.0
CRITIC_STEPS = 5
KAPPA = 1.0
PHASE_2_FROM = 2 / 3  # of the training
Norm = Callable[[int], nn.Module]
# Layer norm: over one image alone, so that the gradient penalty of an image knows no batch.
layer_norm = partial(nn.GroupNorm, 1)


class Residual(nn.Module):
    """A pre-activation residual block that halves (down) or doubles the sides of an image."""

    def __init__(self, inputs: int, outputs: int, down: bool, norm: Norm):
        super().__init__()
        halve = nn.AvgPool2d(2) if down else nn.Identity()
        double = nn.Identity() if down else nn.Upsample(scale_factor=2)
        middle = inputs if down else outputs
        self.shortcut = nn.Sequential(halve, double, nn.Conv2d(inputs, outputs, 1))
        self.residual = nn.Sequential(
            *(norm(inputs), nn.ReLU(), double, nn.Conv2d(inputs, middle, 3, padding=1, bias=False)),
            *(norm(middle), nn.ReLU(), nn.Conv2d(middle, outputs, 3, padding=1), halve),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.residual(x)


def _filters(image_size: int, width: int) -> list[int]:
    """Filters of each stage, from full size to 4 x 4; the innermost two are equal."""
    stages = image_size.bit_length() - 3
    return [width * 2 ** min(i, stages - 1) for i in range(stages + 1)]


def downward(channels: int, image_size: int, width: int, outputs: int, norm: Norm) -> nn.Sequential:
    """E or D: x (B, channels, S, S) -> (B, outputs). Its part [:-1] gives the features f (B, F)."""
    filters = _filters(image_size, width)
    blocks = [Residual(*ends, True, norm) for ends in pairwise(filters)]
    first = nn.Conv2d(channels, width, 3, padding=1)
    return nn.Sequential(first, *blocks, nn.Flatten(), nn.Linear(filters[-1] * 16, outputs))


def generator(channels: int, image_size: int, width: int) -> nn.Sequential:
    """G: z (B, 128) -> image (B, channels, S, S) in (-1, 1)."""
    filters = _filters(image_size, width)[::-1]
    blocks = [Residual(*ends, False, nn.BatchNorm2d) for ends in pairwise(filters)]
    start = [nn.Linear(LATENT, filters[0] * 16), nn.Unflatten(1, (filters[0], 4, 4))]
    end = [nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, channels, 3, padding=1), nn.Tanh()]
    return nn.Sequential(*start, *blocks, *end)


def _init(module: nn.Module) -> None:
    """The initial weights of the WGAN-GP authors: He's for 3 x 3 convolutions, else Glorot's."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        he = isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)
        nn.init.xavier_uniform_(module.weight, gain=2**0.5 if he else 1.0)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], x: Tensor, generated: Tensor, alpha: Tensor
) -> Tensor:
    """WGAN-GP: mean (||grad critic(x_alpha)||_2 - 1)^2, x_alpha = x + alpha (generated - x).

    x, generated: (B, C, S, S); alpha: (B, 1, 1, 1).
    """
    # not a leaf of the graph: FlopCounterMode fails on a leaf that enters a module
    between = x.clone().requires_grad_() + alpha * (generated - x)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


class FAnoGAN(Baseline):
    """A GAN of normal images, and an encoder that finds an image's place in it (its section 2)."""

    title, kind = "f-AnoGAN", "RB"
    authors = Schedule(
        3 * 50_000 * 64, "tSchlegl/f-AnoGAN: ITERS_ENC 50,000, batches of 64; here E has a third"
    )

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
        return self.gan_step(x, round(p * self.steps) % CRITIC_STEPS == CRITIC_STEPS - 1)

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
        """Phase 2: one step of E, through G as it is when it scores."""
        self.G.eval()
        image, features = (part.mean() for part in self.residuals(x))
        descend(self.optimisers["E"], image + KAPPA * features)
        return {"L_image": image, "L_features": features}

    def residuals(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean squared differences of x and x_hat, (B,) in pixels and (B,) in features of D."""
        x_hat, f = self.G(self.E(x)), self.D[:-1]
        return (x - x_hat).square().flatten(1).mean(dim=1), (f(x) - f(x_hat)).square().mean(dim=1)

    def score_batch(self, x: Tensor) -> Tensor:
        image, features = self.residuals(x)
        return image + KAPPA * features
