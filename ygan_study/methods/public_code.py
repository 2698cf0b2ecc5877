"""The deviations of the authors' public code (github MIvanovska/Y-GAN, at 154cda5) from the paper in training, a class each.

A deviation overrides the one small method of `Trainer` that it changes, so two of them combine by inheriting from both;
`PublicCode` is all of them. What the code does otherwise only while scoring is in `measure/batch_statistics.py`.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ygan_core import losses
from ygan_core.config import Config
from ygan_core.model import YGAN, running_statistics_untouched
from ygan_core.train import Trainer

BUG, CHOICE, OPEN = (
    "looks like an oversight",
    "a choice, not the paper's",
    "the paper leaves it open",
)


class DetachedFeatures(Trainer):
    """Ds reads a detached reconstruction. So L_adv never reaches the generator; it reaches Ds instead, beside half of L_bce."""

    what, kind = "features of a detached reconstruction: L_adv trains Ds, not D", BUG

    def adversarial(self, x: Tensor, x_hat: Tensor) -> tuple[Tensor, Tensor]:
        return super().adversarial(x, x_hat.detach())

    def L_D(self, terms: dict[str, Tensor]) -> Tensor:
        return (
            self.config.lambda_2 * terms["L_adv"]
            + losses.L_D(terms["L_bce"], self.config.lambda_6) / 2
        )


class NormFirst(Trainer):
    """Batch norm before the activation, as in DCGAN; E_s, E_r and Ds have none after their first convolution.

    The initial weights are those of the paper's order.
    """

    what, kind = "batch norm before the activation, none after the first convolution", CHOICE

    @classmethod
    def build(cls, config: Config, channels: int, classes: int) -> YGAN:
        model = super().build(config, channels, classes)
        for network in (model.E_s, model.E_r, model.Ds):
            first, activation, _, *others = network.features
            network.features = nn.Sequential(first, activation, *_norm_first(others))
        model.D.layers = nn.Sequential(*_norm_first(list(model.D.layers)))
        return model


def _norm_first(layers: list[nn.Module]) -> list[nn.Module]:
    for place in range(2, len(layers), 3):
        if isinstance(layers[place], nn.BatchNorm2d):
            layers[place - 1 : place + 1] = layers[place], layers[place - 1]
    return layers


class Permutations(Trainer):
    """L_con is a mean over several permutations of the batch a step. It estimates what one does, with less noise.

    The code's default is 64; `step_seconds` says why 4 are trained with here. They are drawn as shifts of one permutation, so
    every image meets as many different partners.
    """

    what, kind = "L_con averaged over several permutations a step (here 4; 64 in the code)", OPEN
    permutations = 4

    def consistency(self, z_s: Tensor, z_r: Tensor, partner: Tensor, y: Tensor) -> Tensor:
        drawn = [
            super(Permutations, self).consistency(z_s, z_r, partner.roll(shift), y)
            for shift in range(self.permutations)
        ]
        return torch.stack(drawn).mean()


class AbsoluteCosine(Trainer):
    """L_con = 1 - |cos|: a latent that points the opposite way agrees just as well."""

    what, kind = "1 - abs(cos) in place of -cos in L_con", CHOICE

    def agreement(self, z: Tensor, z_hybrid: Tensor) -> Tensor:
        return 1 - F.cosine_similarity(z, z_hybrid, dim=1).abs().mean()


class DetachedInputs(Trainer):
    """The latents that hybrids are decoded from are detached: L_con does not reach the encoders through D."""

    what, kind = "hybrids decoded from detached latents", CHOICE

    def hybrid(self, z_s: Tensor, z_r: Tensor) -> Tensor:
        return super().hybrid(z_s.detach(), z_r.detach())


class RescaledHybrids(Trainer):
    """Every hybrid is stretched to [-1, 1] before E_s reads it: by its own darkest and brightest value, all channels alike."""

    what, kind = "each hybrid rescaled to [-1, 1]", CHOICE

    def hybrid(self, z_s: Tensor, z_r: Tensor) -> Tensor:
        x = super().hybrid(z_s, z_r)
        x = x - x.amin((1, 2, 3), keepdim=True)
        return x / x.amax((1, 2, 3), keepdim=True) * 2 - 1


class Mirrored(Trainer):
    """A second consistency loss, as heavy as the first: with another image's z_s, z_r must stay. Part of L_con's record."""

    what, kind = "the mirrored loss: z_s shuffled, z_r must stay", CHOICE

    def consistency(self, z_s: Tensor, z_r: Tensor, partner: Tensor, y: Tensor) -> Tensor:
        with running_statistics_untouched(self.model.D, self.model.E_r):
            z_r_hybrid = self.model.E_r(self.hybrid(z_s[partner], z_r))
        return super().consistency(z_s, z_r, partner, y) + self.agreement(z_r, z_r_hybrid)


class LearningRateSteps(Trainer):
    """The learning rate falls to three quarters after 8 epochs and to half after 25: 2e-4, 1.5e-4, 1e-4.

    From the configuration's own learning rate. The code's default is 15 epochs, which never see the last step; there C's
    optimiser keeps 1.5e-4, which it does not here.
    """

    what, kind = "learning rate lowered to 3/4 after 8 epochs and to 1/2 after 25", CHOICE
    steps_at = ((0, 1.0), (8, 0.75), (25, 0.5))

    def lr_factor(self, p: float) -> float:
        epoch = math.floor(
            p * self.config.epochs + 1e-9
        )  # it falls between epochs; 12 / 47 * 47 < 12
        return next(factor for first, factor in reversed(self.steps_at) if epoch >= first)


class OutOfRange(Trainer):
    """MNIST is normalised by its mean and deviation, so its inputs reach 2.8, and D's tanh cannot. Other datasets as ever.

    Networks built so normalise by themselves what they are given in eval mode; of the scores only those on E_s and C then mean
    what they say.
    """

    what, kind = "MNIST normalised by its mean and deviation: up to 2.8, out of tanh's reach", BUG

    @classmethod
    def build(cls, config: Config, channels: int, classes: int) -> YGAN:
        model = super().build(config, channels, classes)
        if config.dataset == "mnist":
            for encoder in (model.E_s, model.E_r):
                encoder.register_forward_pre_hook(_normalise_in_eval)
        return model

    def step(self, x: Tensor, *others: Tensor) -> Tensor:
        return super().step(_out_of_range(x) if self.config.dataset == "mnist" else x, *others)


def _out_of_range(x: Tensor) -> Tensor:
    return ((x + 1) / 2 - 0.1307) / 0.3081


def _normalise_in_eval(encoder: nn.Module, inputs: tuple[Tensor]) -> Tensor | None:
    return None if encoder.training else _out_of_range(inputs[0])


class PublicCode(
    OutOfRange,
    LearningRateSteps,
    NormFirst,
    DetachedFeatures,
    Permutations,
    Mirrored,
    AbsoluteCosine,
    RescaledHybrids,
    DetachedInputs,
):
    """All of them, and the slope of C's LeakyReLU: 0.01, PyTorch's default. Held against the code itself by `authors`.

    Left out: Ds is drawn anew where its loss falls under 1e-5, and grey images are repeated to three channels.
    """

    what, kind = "all of them", ""

    @classmethod
    def build(cls, config: Config, channels: int, classes: int) -> YGAN:
        model = super().build(config, channels, classes)
        model.C[1].negative_slope = 0.01
        return model


DEVIATIONS: dict[str, type[Trainer]] = {
    "detached_features": DetachedFeatures,
    "norm_first": NormFirst,
    "permutations": Permutations,
    "absolute_cosine": AbsoluteCosine,
    "detached_inputs": DetachedInputs,
    "rescaled_hybrids": RescaledHybrids,
    "mirrored": Mirrored,
    "lr_steps": LearningRateSteps,
    "out_of_range": OutOfRange,
    "public_code": PublicCode,
}


def applies(name: str, config: Config) -> bool:
    """Whether a deviation changes anything in a training: Y-GAN's with both latents; MNIST's normalisation, MNIST."""
    return config.latents == "dual" and (name != "out_of_range" or config.dataset == "mnist")


def step_seconds(
    config: Config, permutations: tuple[int, ...] = (1, 4, 16, 64), device: str = "cpu"
) -> pd.DataFrame:
    """What a training step takes with L_con over so many permutations, on random images: the faster of two, after one."""
    shape = (config.batch_size, 3, config.image_size, config.image_size)
    images = torch.randint(
        256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    rows = []
    for number in permutations:
        drawn = type("Drawn", (Permutations,), {"permutations": number})
        trainer = drawn(
            replace(config, epochs=3), images, torch.arange(len(images)) % 9, device, captured=False
        )
        seconds = [trainer.epoch()["seconds"] for _ in range(3)][1:]
        rows.append(
            {
                "permutations": number,
                "seconds a step": min(seconds),
                "images/s": config.batch_size / min(seconds),
            }
        )
    return pd.DataFrame(rows).set_index("permutations")
