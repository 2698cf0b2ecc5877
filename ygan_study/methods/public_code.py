"""How the authors' public code departs from the paper in training, one class for each difference.

The code is github MIvanovska/Y-GAN at 154cda5. Each class overrides the one small method of Trainer
that the difference concerns, so two of them combine by inheritance; `PublicCode` has them all.
Where the code differs only in how it scores, see `measure/batch_statistics.py`.
"""

import math
from dataclasses import replace

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ygan_core import losses
from ygan_core.config import Config
from ygan_core.model import YGAN, running_statistics_untouched
from ygan_study.methods.tuned import Tuned as Trainer

BUG = "looks like an oversight"
CHOICE = "a choice that differs from the paper"
OPEN = "the paper leaves it open"


class DetachedFeatures(Trainer):
    """Ds reads a detached reconstruction, so L_adv does not reach the generator.

    It trains Ds instead, beside half of L_bce.
    """

    what, kind = "features of a detached reconstruction: L_adv trains Ds, not D", BUG

    def adversarial(self, x: Tensor, x_hat: Tensor) -> tuple[Tensor, Tensor]:
        return super().adversarial(x, x_hat.detach())

    def L_D(self, terms: dict[str, Tensor]) -> Tensor:
        bce = losses.L_D(terms["L_bce"], self.config.lambda_6) / 2
        return self.config.lambda_2 * terms["L_adv"] + bce


class NormFirst(Trainer):
    """Batch norm before the activation, as in DCGAN; none after an encoder's first convolution.

    The same holds for Ds. The initial weights are those of the paper's order.
    """

    what, kind = "batch norm before the activation, none after the first convolution", CHOICE

    @classmethod
    def networks(cls, config: Config, channels: int, classes: int) -> YGAN:
        model = super().networks(config, channels, classes)
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
    """L_con is a mean over several permutations of the batch, which estimates it with less noise.

    The code's default is 64; 4 are used here, for time (`step_seconds` measures it). They are
    shifts of one permutation, so that every image meets as many different partners.
    """

    what, kind = "L_con averaged over several permutations per step (here 4; 64 in the code)", OPEN
    permutations = 4

    def consistency(self, z_s: Tensor, z_r: Tensor, partner: Tensor) -> Tensor:
        one = super().consistency
        shifts = (partner.roll(shift) for shift in range(self.permutations))
        return torch.stack([one(z_s, z_r, shifted) for shifted in shifts]).mean()


class AbsoluteCosine(Trainer):
    """L_con = 1 - |cos|, so that latents of opposite directions count as equal."""

    what, kind = "1 - abs(cos) in place of -cos in L_con", CHOICE

    def L_con(self, z: Tensor, z_hybrid: Tensor) -> Tensor:
        return 1 - F.cosine_similarity(z, z_hybrid, dim=1).abs().mean()


class DetachedInputs(Trainer):
    """Hybrids are decoded from detached latents: L_con does not reach the encoders through D."""

    what, kind = "hybrids decoded from detached latents", CHOICE

    def hybrid(self, z_s: Tensor, z_r: Tensor) -> Tensor:
        return super().hybrid(z_s.detach(), z_r.detach())


class RescaledHybrids(Trainer):
    """Every hybrid is stretched to [-1, 1] by its own minimum and maximum before E_s reads it."""

    what, kind = "each hybrid rescaled to [-1, 1]", CHOICE

    def hybrid(self, z_s: Tensor, z_r: Tensor) -> Tensor:
        x = super().hybrid(z_s, z_r)
        x = x - x.amin((1, 2, 3), keepdim=True)
        return x / x.amax((1, 2, 3), keepdim=True) * 2 - 1


class Mirrored(Trainer):
    """A second consistency loss of the same weight: z_r must survive an exchange of z_s.

    The recorded L_con is the sum of both.
    """

    what, kind = "the mirrored loss: z_s is shuffled, z_r must stay", CHOICE

    def consistency(self, z_s: Tensor, z_r: Tensor, partner: Tensor) -> Tensor:
        with running_statistics_untouched(self.model.D, self.model.E_r):
            z_r_hybrid = self.model.E_r(self.hybrid(z_s[partner], z_r))
        return super().consistency(z_s, z_r, partner) + self.L_con(z_r, z_r_hybrid)


class LearningRateSteps(Trainer):
    """The learning rate falls to 3/4 after 8 epochs and to 1/2 after 25: 2e-4, 1.5e-4, 1e-4.

    The code's default of 15 epochs never reaches the last step; there the optimiser of C keeps
    1.5e-4, which it does not here.
    """

    what, kind = "learning rate lowered to 3/4 after 8 epochs and to 1/2 after 25", CHOICE
    steps_at = ((0, 1.0), (8, 0.75), (25, 0.5))

    def lr_factor(self, p: float) -> float:
        epoch = math.floor(p * self.config.epochs + 1e-9)  # 12 / 47 * 47 is less than 12
        return next(factor for first, factor in reversed(self.steps_at) if epoch >= first)


class OutOfRange(Trainer):
    """MNIST is normalised by its mean and deviation, so inputs reach 2.8, beyond tanh's range.

    Other datasets are unaffected. The networks normalise by themselves in eval mode; only the
    scores of E_s and C are then those of the code.
    """

    what, kind = "MNIST normalised by its mean and deviation: up to 2.8, beyond tanh's range", BUG

    @classmethod
    def networks(cls, config: Config, channels: int, classes: int) -> YGAN:
        model = super().networks(config, channels, classes)
        if config.dataset == "mnist":
            for encoder in (model.E_s, model.E_r):
                encoder.register_forward_pre_hook(_normalise_in_eval)
        return model

    def batch_input(self, images: Tensor, number: int) -> Tensor:
        x = super().batch_input(images, number)
        return _out_of_range(x) if self.config.dataset == "mnist" else x


def _out_of_range(x: Tensor) -> Tensor:
    return ((x + 1) / 2 - 0.1307) / 0.3081


def _normalise_in_eval(encoder: nn.Module, inputs: tuple[Tensor]) -> Tensor | None:
    return None if encoder.training else _out_of_range(inputs[0])


class SmallSlope(Trainer):
    """C's LeakyReLU has PyTorch's default slope of 0.01."""

    what, kind = "a slope of 0.01 in C, PyTorch's default, in place of 0.2", CHOICE

    @classmethod
    def networks(cls, config: Config, channels: int, classes: int) -> YGAN:
        model = super().networks(config, channels, classes)
        model.C[1].negative_slope = 0.01
        return model


ALONE: dict[str, type[Trainer]] = {
    "detached_features": DetachedFeatures,
    "norm_first": NormFirst,
    "permutations": Permutations,
    "absolute_cosine": AbsoluteCosine,
    "detached_inputs": DetachedInputs,
    "rescaled_hybrids": RescaledHybrids,
    "mirrored": Mirrored,
    "lr_steps": LearningRateSteps,
    "out_of_range": OutOfRange,
    "small_slope": SmallSlope,
}


class PublicCode(*ALONE.values()):
    """All of them.

    Compared with the code itself by `ygan_study.bench.authors`. Left out: Ds is initialised anew
    when its loss falls below 1e-5, and grey images are repeated to three channels.
    """

    what, kind = "all of them", ""


def _all_but(deviation: type[Trainer]) -> type[Trainer]:
    """The public code without one of its deviations."""
    others = tuple(kind for kind in ALONE.values() if kind is not deviation)
    about = dict(__doc__=f"All but {deviation.__name__}.", what=deviation.what, kind=deviation.kind)
    return type(f"AllBut{deviation.__name__}", others, about)


PROGRAM = ("public_code", "all_but_permutations")  # the whole program; at half the cost
TAKEN_BACK = "all_but_"  # the prefix of the public code without one of its deviations
DEVIATIONS: dict[str, type[Trainer]] = {
    **ALONE,
    "public_code": PublicCode,
    **{f"{TAKEN_BACK}{name}": _all_but(kind) for name, kind in ALONE.items()},
}


def applies(name: str, config: Config) -> bool:
    """Whether a deviation changes anything in a training of Y-GAN with these settings."""
    own = name.removeprefix(TAKEN_BACK) != "out_of_range" or config.dataset == "mnist"
    return config.latents == "dual" and own


def step_seconds(
    config: Config, permutations: tuple[int, ...] = (1, 4, 16, 64), device: str = "cpu"
) -> pd.DataFrame:
    """The time of a step with L_con over so many permutations, the faster of two."""
    shape = (config.batch_size, 3, config.image_size, config.image_size)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    labels, seconds = torch.arange(len(images)) % 9, {}
    for number in permutations:
        kind = type("Drawn", (Permutations,), {"permutations": number})
        trainer = kind(replace(config, epochs=3), images, labels, device, captured=False)
        seconds[number] = min([trainer.epoch()["seconds"] for _ in range(3)][1:])
    table = pd.DataFrame({"seconds per step": seconds}).rename_axis("permutations")
    return table.assign(**{"images/s": config.batch_size / table["seconds per step"]})
