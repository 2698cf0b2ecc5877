"""The loops that are compared: the plain one and ours."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ygan_core import losses
from ygan_core.config import Config
from ygan_core.model import running_statistics_untouched
from ygan_core.scores import to_input
from ygan_core.train import Trainer, build
from ygan_study.bench.extent import PLAIN
from ygan_study.engine.precision import convolutions_in
from ygan_study.measure.flops import counted


class Plain:
    """Eq. 1 to 11, written in the plainest PyTorch. Our loop is compared with it.

    It computes in float32 and in the memory format NCHW. Each of the two updates has its own pass of Ds.
    It reads the losses at every step. Adam updates one parameter after the other.
    It averages the weights after every step exactly as `Trainer` does, so that both loops do the same work.
    images: uint8 (n, C, S, S); labels: int64 (n,).
    """

    def __init__(self, config: Config, images: Tensor, labels: Tensor, device: str):
        self.config = config
        self.x, self.y = to_input(images).to(device), labels.to(device)
        self.model = build(config, images.shape[1], int(labels.max()) + 1).to(device).train()
        adam = dict(lr=config.lr, betas=(config.beta_1, config.beta_2), foreach=False, fused=False)
        self.adam_G = torch.optim.Adam(self.model.generator_parameters(), **adam)
        self.adam_D = torch.optim.Adam(self.model.discriminator_parameters(), **adam)
        steps = config.epochs * math.ceil(len(images) / config.batch_size)
        decay = get_ema_multi_avg_fn(math.exp(-1 / max(1.0, config.average * steps)))
        self.averaged = AveragedModel(self.model, multi_avg_fn=decay, use_buffers=True)

    def epoch(self) -> list[list[float]]:
        """Train once on every image, in a new random order. Returns the six loss terms of each step."""
        batches, found = torch.randperm(len(self.x)).split(self.config.batch_size), []
        with convolutions_in("float32"):
            for step, batch in enumerate(batches):
                partner, lambda_R = torch.randperm(len(batch)), losses.lambda_R(step / len(batches))
                found.append(self.step(self.x[batch], self.y[batch], partner, lambda_R))
                self.averaged.update_parameters(self.model)
        return found

    def step(self, x: Tensor, y: Tensor, partner: Tensor, lambda_R: float) -> list[float]:
        """The generator's update, then the discriminator's. Returns the six loss terms, in the order of `Trainer.step`.

        x (B, C, S, S) in [-1, 1]; y (B,); partner (B,), a permutation.
        """
        cfg, model = self.config, self.model

        z_s, z_r, x_hat, logits_s = model(x)
        logits_r = model.C(losses.R(z_r, lambda_R))
        _, f_x = model.Ds(x)
        _, f_x_hat = model.Ds(x_hat)
        with running_statistics_untouched(model.D, model.E_s):
            z_s_hybrid = model.E_s(model.D(z_s, z_r[partner]))
        L_rec, L_adv = losses.L_rec(x, x_hat), losses.L_adv(f_x, f_x_hat)
        L_s, L_r = losses.L_s(logits_s, y), losses.L_r(logits_r, y)
        L_con = losses.L_con(z_s, z_s_hybrid)
        L_G = (
            cfg.lambda_1 * L_rec
            + cfg.lambda_2 * L_adv
            + cfg.lambda_3 * L_s
            + cfg.lambda_4 * L_r
            + cfg.lambda_5 * L_con
        )
        self.adam_G.zero_grad()
        L_G.backward()
        self.adam_G.step()

        logit_x, _ = model.Ds(x)
        logit_x_hat, _ = model.Ds(x_hat.detach())
        L_bce = losses.L_bce(logit_x, logit_x_hat)
        self.adam_D.zero_grad()
        losses.L_D(L_bce, cfg.lambda_6).backward()
        self.adam_D.step()
        return [loss.item() for loss in (L_rec, L_adv, L_s, L_r, L_con, L_bce)]


def loop(
    what: tuple[str, str],
    config: Config,
    steps: int,
    device: str,
    kind: type[Trainer] = Trainer,
    **options,
) -> Plain | Trainer:
    """A loop whose epoch has so many steps, on random images with 3 channels, of nine classes.

    what: PLAIN, or (OURS, precision); kind, options: the class of our loop, and further arguments of it.
    """
    random = torch.Generator().manual_seed(0)
    shape = (steps * config.batch_size, 3, config.image_size, config.image_size)
    images, labels = (
        torch.randint(256, shape, dtype=torch.uint8, generator=random),
        torch.arange(shape[0]) % 9,
    )
    return (
        Plain(config, images, labels, device)
        if what == PLAIN
        else kind(config, images, labels, device, what[1], **options)
    )


def operations(what: tuple[str, str], config: Config) -> float:
    """Floating-point operations for one training image, counted in one real step: forward and backward."""
    small = loop(what, replace(config, batch_size=8), 1, "cpu")
    return counted(small.epoch) / 8
