"""Training Y-GAN (section 3.2): a batch, the generator's gradient, the discriminator's, both updates."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from ygan_core import losses
from ygan_core.checkpoints import load_newest, save_state
from ygan_core.config import Config, ConfigError, as_dict
from ygan_core.data.augment import alternating, augment, shifted
from ygan_core.model import YGAN, running_statistics_untouched
from ygan_core.scores import to_input
from ygan_study.engine.batches import batches, too_large
from ygan_study.engine.cuda_graph import CapturedStep
from ygan_study.engine.precision import convolutions_in
from ygan_study.engine.threads import one_thread

# The triangular schedule: the learning rate begins at a share START, is whole when a share PEAK of the training is done, and
# falls to a share END (arXiv 2404.00498).
START, PEAK, END = 0.2, 0.23, 0.07
# With nesterov: how much faster the biases of batch norms learn (arXiv 2404.00498), and how much slower C and the layer before
# it. The second is ours: C is not theirs, no batch norm follows it, and it diverges at the rates of the others.
NORM_BIASES, HEAD = 64.0, 1 / 64
DCGAN_BETA_1 = 0.5  # of the Adam beside nesterov


class NonFiniteLoss(RuntimeError):
    """A loss became nan or infinite; the message names epoch, step and term."""


@dataclass
class Epoch:
    """What a callback sees when an epoch is done. losses: what `Trainer.epoch` returned."""

    number: int  # from 1
    of: int
    losses: dict[str, float]
    model: YGAN


Callback = Callable[[Epoch], None]


def build(config: Config, channels: int, classes: int) -> YGAN:
    """Networks with the initial weights of config.seed, whatever was drawn before in this process."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return YGAN.of(config, channels, classes)


def flipped(config: Config, images: int, epoch: int) -> Tensor:
    """Which of a training's images are mirrored in an epoch (from 0): bool (images,)."""
    return (
        alternating(images, config.seed, epoch)
        if config.augmentation == "flips"
        else torch.zeros(images, dtype=torch.bool)
    )


def batch_input(config: Config, images: Tensor, number: int, flips: Tensor) -> Tensor:
    """What the networks see of batch `number` of a training: uint8 (B, C, S, S) -> float32 in [-1, 1], augmented (4.2).

    flips: which of them are mirrored, bool (B,).
    """
    if config.augmentation == "leaves":
        return augment(images, config.seed * 2**32 + number)
    if config.augmentation == "flips":
        images = torch.where(flips[:, None, None, None], images.flip(3), images)
    if config.augmentation in ("shifts", "flips"):
        images = shifted(images, config.seed * 2**32 + number)
    return to_input(images)


class Trainer:
    """One training under way: networks, optimisers, the random state and the place in the schedule.

    images: uint8 (n, C, S, S), normal ones only, in memory or memory-mapped; labels: int64 (n,) in [0, N). precision: of the
    convolutions, an entry of `precision.PRECISIONS` (weights, latents and losses stay float32). captured: whether a CUDA device
    replays the step as one graph. Raises ConfigError where n is under one batch, or every lambda is 0.
    """

    def __init__(
        self,
        config: Config,
        images: Tensor,
        labels: Tensor,
        device: str | torch.device = "cpu",
        precision: str = "float32",
        captured: bool = True,
    ):
        if len(images) < config.batch_size:
            raise ConfigError(
                f"{len(images)} training images do not fill one batch of {config.batch_size}: lower batch_size"
            )
        if not any(config.weights.values()):
            raise ConfigError(
                "every lambda is 0, so nothing would be trained: give one of them a weight"
            )
        self.config, self.device, self.precision = config, torch.device(device), precision
        self.streamed = too_large(images, self.device)
        self.images = images if self.streamed else images.to(device)
        self.labels = labels.to(device)
        self.terms = [
            name for name, weight in config.weights.items() if weight
        ]  # those of weight 0 are left out
        self.model = self.build(config, images.shape[1], int(labels.max()) + 1)
        self.model.whiten(images)
        self.model.to(self.device, memory_format=torch.channels_last)
        self.averaged: AveragedModel | None = (
            None  # made by the first epoch: a mean has to begin somewhere
        )
        self.optimisers = self.make_optimisers()
        on_cuda = self.device.type == "cuda"
        self.captured = (
            CapturedStep(self.step, self.model.parameters(), self.device)
            if on_cuda and captured
            else None
        )
        self.random = torch.Generator().manual_seed(
            config.seed
        )  # on the CPU: the same batches on every device
        self.history: list[dict[str, float]] = []  # one entry an epoch

    @classmethod
    def build(cls, config: Config, channels: int, classes: int) -> YGAN:
        """The networks that this kind of training trains."""
        return build(config, channels, classes)

    def make_optimisers(self) -> list[torch.optim.Optimizer]:
        """Adam for the generator, Adam for Ds; or nesterov for E_s and C, Adam for the rest of the generator, Adam for Ds."""
        cfg, model = self.config, self.model
        generator, discriminator = model.generator_parameters(), model.discriminator_parameters()
        if cfg.optimiser == "adam":
            return [
                self.adam(part, cfg.lr, cfg.beta_1) for part in (generator, discriminator) if part
            ]
        semantic = {*model.E_s.parameters(), *model.C.parameters()}
        others = [p for p in generator if p not in semantic]
        rest = [
            self.adam(part, cfg.lr_adam, DCGAN_BETA_1) for part in (others, discriminator) if part
        ]
        return [self.nesterov([p for p in generator if p in semantic]), *rest]

    def adam(
        self, parameters: list[nn.Parameter], lr: float, beta_1: float
    ) -> torch.optim.Optimizer:
        """Adam at a learning rate of its own, which follows the schedule."""
        group = {"params": parameters, "lr": self.learning_rate(lr), "factor": lr / self.config.lr}
        return torch.optim.Adam(
            [group],
            betas=(beta_1, self.config.beta_2),
            fused=True,
            capturable=self.device.type == "cuda",
        )

    def nesterov(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """Gradient descent with Nesterov's momentum for E_s and C."""
        cfg, factors = self.config, dict.fromkeys(parameters, 1.0)
        factors |= {
            norm.bias: NORM_BIASES
            for norm in self.model.E_s.modules()
            if isinstance(norm, nn.BatchNorm2d)
        }
        factors |= dict.fromkeys(
            [*self.model.C.parameters(), self.model.E_s.to_latent.weight], HEAD
        )
        groups = [
            {"params": [p for p in parameters if factors[p] == factor], "factor": factor}
            for factor in (1.0, NORM_BIASES, HEAD)
        ]
        for group in groups:
            group |= {
                "lr": self.learning_rate(cfg.lr),
                "weight_decay": cfg.weight_decay / cfg.lr / group["factor"],
            }
        return torch.optim.SGD(
            [group for group in groups if group["params"]],
            momentum=cfg.beta_1,
            nesterov=True,
            fused=True,
        )

    def learning_rate(self, value: float) -> float | Tensor:
        """As an optimiser takes it: on CUDA a tensor, since a recorded step reads it from where it lay."""
        return torch.tensor(value, device=self.device) if self.device.type == "cuda" else value

    @property
    def steps(self) -> int:
        """Steps an epoch; the last, partial batch is dropped."""
        return len(self.images) // self.config.batch_size

    def lr_factor(self, p: float) -> float:
        """What the learning rate is multiplied with when a share p of the training is done."""
        if self.config.lr_decay == "triangular":
            return (
                START + (1 - START) * p / PEAK
                if p < PEAK
                else 1 - (1 - END) * (p - PEAK) / (1 - PEAK)
            )
        return (1 + math.cos(math.pi * p)) / 2 if self.config.lr_decay == "cosine" else 1.0

    def epoch(self, on_step: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Every training image once, in a fresh order. Raises NonFiniteLoss.

        Returns the mean of each loss term over the steps, lambda_R at the end, and the seconds it took; `history` keeps them.
        """
        cfg, done, start = self.config, len(self.history), time.perf_counter()
        order = torch.randperm(len(self.images), generator=self.random)[
            : self.steps * cfg.batch_size
        ].view(self.steps, -1)
        partners = torch.stack(
            [torch.randperm(cfg.batch_size, generator=self.random) for _ in order]
        ).to(self.device)
        first, total = done * self.steps, cfg.epochs * self.steps
        schedule = [losses.lambda_R(step / total) for step in range(first, first + self.steps)]
        lambdas_R = torch.tensor(schedule, dtype=next(self.model.parameters()).dtype).to(
            self.device
        )
        labels = self.labels[order.to(self.device)]
        flips = flipped(cfg, len(self.images), done)[order].to(self.device)
        record = torch.zeros(
            self.steps, len(self.terms), device=self.device
        )  # read at the end: no waiting for a GPU

        self.model.train()
        averaged, run_step = self.averaged or self.start_average(), self.captured or self.step
        with convolutions_in(self.precision):
            for step, images in enumerate(batches(self.images, order, self.device, self.streamed)):
                self.set_lr(cfg.lr * self.lr_factor((first + step) / total))
                x = batch_input(cfg, images, first + step, flips[step]).contiguous(
                    memory_format=torch.channels_last
                )
                record[step] = run_step(x, labels[step], partners[step], lambdas_R[step])
                averaged.update_parameters(self.model)
                on_step()

        record = record.cpu()  # MPS has no float64
        bad = (~record.isfinite()).nonzero()
        if len(bad):
            step, term = bad[0].tolist()
            raise NonFiniteLoss(
                f"epoch {done + 1}, step {step + 1}: {self.terms[term]} is {record[step, term].item()}"
            )
        means = dict(zip(self.terms, record.double().mean(0).tolist(), strict=True))
        self.history.append(
            {**means, "lambda_R": schedule[-1], "seconds": time.perf_counter() - start}
        )
        return self.history[-1]

    def start_average(self) -> AveragedModel:
        """Begin the averaged weights: an exponential mean over the steps of all weights and running statistics.

        It spans a share `config.average` of the training, so that a short training is averaged over few steps.
        """
        span = max(1.0, self.config.average * self.config.epochs * self.steps)
        decay = get_ema_multi_avg_fn(math.exp(-1 / span))
        self.averaged = AveragedModel(self.model, multi_avg_fn=decay, use_buffers=True)
        return self.averaged

    def set_lr(self, lr: float) -> None:
        """Give every optimiser this learning rate, each group of its parameters at its own factor."""
        for group in (group for optimiser in self.optimisers for group in optimiser.param_groups):
            own = lr * group.get("factor", 1)
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(own)
            else:
                group["lr"] = own

    def step(self, x: Tensor, y: Tensor, partner: Tensor, lambda_R: Tensor) -> Tensor:
        """Both updates for one batch. Returns the unweighted loss terms, in the order of `terms`.

        x (B, C, S, S) in [-1, 1], y (B,), partner (B,) a permutation, lambda_R a scalar.
        """
        model, lambdas = (
            self.model,
            {name: self.config.weights[name] for name in self.terms if name != "L_bce"},
        )
        if self.config.ramp_con and "L_con" in lambdas:
            lambdas["L_con"] = lambdas["L_con"] * lambda_R

        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            terms = self.forward_losses(x, y, partner, lambda_R)

        # Ds is the same network in both objectives, since it is updated last: it reads x and x_hat once for the two of them.
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        if lambdas:
            losses.L_G(terms, lambdas).backward(
                inputs=model.generator_parameters(), retain_graph="L_bce" in self.terms
            )
        if "L_bce" in self.terms:
            self.L_D(terms).backward(inputs=model.discriminator_parameters())
        for optimiser in self.optimisers:
            optimiser.step()
        return torch.stack([terms[name].detach() for name in self.terms])

    def forward_losses(
        self, x: Tensor, y: Tensor, partner: Tensor, lambda_R: Tensor
    ) -> dict[str, Tensor]:
        """The terms of Eq. 10 and 11 for a batch, those of weight 0 left out. Shapes as for `step`."""
        model, wanted, terms = self.model, set(self.terms), {}
        z_s, z_r = model.encode(x)
        if "L_s" in wanted:
            terms["L_s"] = losses.L_s(model.C(z_s), y, self.config.label_smoothing)
        if "L_r" in wanted:
            terms["L_r"] = losses.L_r(
                model.C(losses.R(z_r, lambda_R)), y, self.config.label_smoothing
            )
        if wanted & {"L_rec", "L_adv", "L_bce"}:
            x_hat = model.D(z_s, z_r)
            terms["L_rec"] = losses.L_rec(x, x_hat)
        if wanted & {"L_adv", "L_bce"}:
            terms["L_adv"], terms["L_bce"] = self.adversarial(x, x_hat)
        if "L_con" in wanted:
            terms["L_con"] = self.consistency(z_s, z_r, partner, y)
        return terms

    def adversarial(self, x: Tensor, x_hat: Tensor) -> tuple[Tensor, Tensor]:
        """L_adv (Eq. 4) and L_bce (Eq. 5) of images and their reconstructions."""
        logit_x, f_x = self.model.Ds(x)
        logit_x_hat, f_x_hat = self.model.Ds(x_hat)
        return losses.L_adv(f_x, f_x_hat), losses.L_bce(logit_x, logit_x_hat)

    def consistency(self, z_s: Tensor, z_r: Tensor, partner: Tensor, y: Tensor) -> Tensor:
        """L_con (Eq. 9) of a batch's latents, each z_s with the z_r of its partner; or what stands in its place."""
        with running_statistics_untouched(self.model.D, self.model.E_s):
            z_s_hybrid = self.model.encode_s(self.hybrid(z_s, z_r[partner]))
        match self.config.consistency:
            case "detached":
                return losses.L_con_detached(z_s, z_s_hybrid)
            case "contrastive":
                return losses.L_con_contrastive(z_s, z_s_hybrid)
            case "logits":
                return losses.L_con_logits(self.model.C(z_s), self.model.C(z_s_hybrid))
            case "labels":  # a hybrid is one more image of its class
                return losses.L_s(self.model.C(z_s_hybrid), y, self.config.label_smoothing)
        return self.agreement(z_s, z_s_hybrid)

    def hybrid(self, z_s: Tensor, z_r: Tensor) -> Tensor:
        """Images of one's z_s and another's z_r."""
        return self.model.D(z_s, z_r)

    def agreement(self, z: Tensor, z_hybrid: Tensor) -> Tensor:
        """How far a latent and that of its hybrids agree: Eq. 9."""
        return losses.L_con(z, z_hybrid)

    def L_D(self, terms: dict[str, Tensor]) -> Tensor:
        """What Ds minimises: Eq. 11."""
        return losses.L_D(terms["L_bce"], self.config.lambda_6)

    def state_dict(self) -> dict:
        """All that a resumed training needs to end in the same weights."""
        return {
            "precision": self.precision,
            "model": self.model.state_dict(),
            "averaged": (self.averaged or self.start_average()).state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "random": self.random.get_state(),
            "history": self.history,
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on from `state`."""
        self.precision = state["precision"]  # a training ends in the precision that it began in
        self.model.load_state_dict(state["model"])
        self.start_average().load_state_dict(state["averaged"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
            for group in (
                optimiser.param_groups
            ):  # saved with them, but properties of the device: it may be another now
                group["capturable"] = self.device.type == "cuda"
                group["lr"] = self.learning_rate(float(group["lr"]))
        self.random.set_state(state["random"])
        self.history = list(state["history"])


def fit(
    trainer,
    folder: Path | None = None,
    callbacks: Iterable[Callback] = (),
    title: str = "training",
    measure: Callable[[nn.Module], dict[str, float]] = lambda model: {},
) -> None:
    """Let a Trainer, or a baseline, train to the end, from the last good checkpoint in `folder` where there is one.

    After every epoch what `measure` finds of the model is put beside the losses (and as `<name>_averaged` what it finds of the
    averaged one), a checkpoint is written (the newest two are kept), and callbacks are called. Shows a bar in a notebook or a
    terminal, and a line an epoch elsewhere. On a CPU it computes on one thread, whoever calls it. Raises ConfigError where the
    checkpoint belongs to another training.
    """
    whose = {"config": as_dict(trainer.config), "images": len(trainer.images)}
    if folder and (state := load_newest(folder, {*whose, *trainer.state_dict()})):
        if {**as_dict(Config()), **state["config"]} != whose["config"] or state["images"] != whose[
            "images"
        ]:
            raise ConfigError(
                f"the checkpoint in {folder} belongs to another configuration: remove it, or train elsewhere"
            )
        trainer.load_state_dict(state)
    epochs, first, start = trainer.config.epochs, len(trainer.history), time.perf_counter()
    total, begun = epochs * trainer.steps, first * trainer.steps
    with (
        one_thread(),
        tqdm(total=total, initial=begun, desc=title, unit=" batch", disable=None) as bar,
    ):
        for number in range(first + 1, epochs + 1):
            means = trainer.epoch(bar.update)
            shown = {
                name: f"{value:.3f}"
                for name, value in means.items()
                if name not in ("lambda_R", "seconds")
            }
            means.update(measure(trainer.model))
            if trainer.averaged:
                means.update(
                    {
                        f"{name}_averaged": value
                        for name, value in measure(trainer.averaged.module).items()
                    }
                )
            if folder:
                save_state({**whose, **trainer.state_dict()}, folder, number)
            bar.set_postfix(epoch=f"{number}/{epochs}", **shown)
            if bar.disable:
                left = (time.perf_counter() - start) / (number - first) * (epochs - number)
                values = "  ".join(f"{name} {value}" for name, value in shown.items())
                print(
                    f"{title}: epoch {number}/{epochs}  {values}  {left / 60:.1f} min left",
                    flush=True,
                )
            for callback in callbacks:
                callback(Epoch(number, epochs, means, trainer.model))


def train(
    config: Config,
    images: Tensor,
    labels: Tensor,
    folder: Path | None = None,
    device: str | torch.device = "cpu",
    precision: str = "float32",
    kind: type[Trainer] = Trainer,
    **options,
) -> Trainer:
    """Make a Trainer and `fit` it. Shapes as for Trainer, options as for `fit`. kind: how a step is made."""
    trainer = kind(config, images, labels, device, precision)
    fit(trainer, folder, **options)
    return trainer
