"""Training Y-GAN (section 3.2): a batch, the generator's gradient, the discriminator's, both updates; a checkpoint an epoch."""

from __future__ import annotations

import os
import pickle
import time
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ygan_core import losses
from ygan_core.config import Config, ConfigError, as_dict
from ygan_core.model import YGAN, running_statistics_untouched
from ygan_core.scores import to_input

TERMS = ("L_rec", "L_adv", "L_s", "L_r", "L_con", "L_bce")  # recorded at every step, unweighted


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
        return YGAN(channels, config.image_size, config.width, config.d, config.hidden, classes)


class Trainer:
    """One training under way: networks, both optimisers, the random state and the place in the schedule.

    images: uint8 (n, C, S, S), normal ones only; labels: int64 (n,) in [0, N). Raises ConfigError where n is under one batch.
    """

    def __init__(self, config: Config, images: Tensor, labels: Tensor, device: str | torch.device = "cpu"):
        if len(images) < config.batch_size:
            raise ConfigError(f"{len(images)} training images do not fill one batch of {config.batch_size}: lower batch_size")
        self.config, self.device = config, torch.device(device)
        self.images, self.labels = images.to(device), labels.to(device)
        self.model = build(config, images.shape[1], int(labels.max()) + 1)
        self.model.to(self.device, memory_format=torch.channels_last)
        adam = dict(lr=config.lr, betas=(config.beta_1, config.beta_2), fused=True)
        self.adam_G = torch.optim.Adam(self.model.generator_parameters(), **adam)
        self.adam_D = torch.optim.Adam(self.model.discriminator_parameters(), **adam)
        self.random = torch.Generator().manual_seed(config.seed)  # on the CPU: the same batches on every device
        self.history: list[dict[str, float]] = []  # one entry an epoch

    @property
    def steps(self) -> int:
        """Steps an epoch; the last, partial batch is dropped."""
        return len(self.images) // self.config.batch_size

    def epoch(self, on_step: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Every training image once, in a fresh order. Raises NonFiniteLoss.

        Returns the mean of each loss term over the steps, lambda_R at the end, and the seconds it took; `history` keeps them.
        """
        cfg, done, start = self.config, len(self.history), time.perf_counter()
        order = torch.randperm(len(self.images), generator=self.random)[: self.steps * cfg.batch_size]
        batches = order.view(self.steps, cfg.batch_size).to(self.device)
        partners = torch.stack([torch.randperm(cfg.batch_size, generator=self.random) for _ in batches]).to(self.device)
        record = torch.zeros(self.steps, len(TERMS), device=self.device)  # read once, at the end: no waiting for a GPU

        self.model.train()
        for step, (batch, partner) in enumerate(zip(batches, partners, strict=True)):
            lambda_R = losses.lambda_R((done * self.steps + step) / (cfg.epochs * self.steps))
            x = to_input(self.images[batch]).contiguous(memory_format=torch.channels_last)
            record[step] = self.step(x, self.labels[batch], partner, lambda_R)
            on_step()

        bad = (~record.isfinite()).nonzero()
        if len(bad):
            step, term = bad[0].tolist()
            raise NonFiniteLoss(f"epoch {done + 1}, step {step + 1}: {TERMS[term]} is {record[step, term].item()}")
        means = dict(zip(TERMS, record.double().mean(0).tolist(), strict=True))
        self.history.append({**means, "lambda_R": lambda_R, "seconds": time.perf_counter() - start})
        return self.history[-1]

    def step(self, x: Tensor, y: Tensor, partner: Tensor, lambda_R: float) -> Tensor:
        """Both updates for one batch: x (B, C, S, S) in [-1, 1], y (B,), partner (B,) a permutation. Returns TERMS (6,)."""
        cfg, model = self.config, self.model

        z_s, z_r, x_hat, logits_s = model(x)
        logits_r = model.C(losses.R(z_r, lambda_R))
        logit_x, f_x = model.Ds(x)
        logit_x_hat, f_x_hat = model.Ds(x_hat)
        with running_statistics_untouched(model.D, model.E_s):
            x_hybrid = model.D(z_s, z_r[partner])
            z_s_hybrid = model.E_s(x_hybrid)

        terms = {
            "L_rec": losses.L_rec(x, x_hat),
            "L_adv": losses.L_adv(f_x, f_x_hat),
            "L_s": losses.L_s(logits_s, y),
            "L_r": losses.L_r(logits_r, y),
            "L_con": losses.L_con(z_s, z_s_hybrid),
            "L_bce": losses.L_bce(logit_x, logit_x_hat),
        }
        lambda_5 = cfg.lambda_5 * (lambda_R if cfg.ramp_con else 1.0)
        L_G = losses.L_G(terms, (cfg.lambda_1, cfg.lambda_2, cfg.lambda_3, cfg.lambda_4, lambda_5))
        L_D = losses.L_D(terms["L_bce"], cfg.lambda_6)

        # Ds is the same network in both objectives, since it is updated last: it reads x and x_hat once for the two of them.
        self.adam_G.zero_grad()
        self.adam_D.zero_grad()
        L_G.backward(inputs=model.generator_parameters(), retain_graph=True)
        L_D.backward(inputs=model.discriminator_parameters())
        self.adam_G.step()
        self.adam_D.step()
        return torch.stack([terms[name].detach() for name in TERMS])

    def state_dict(self) -> dict:
        """All that a resumed training needs to end in the same weights."""
        return {
            "config": as_dict(self.config),
            "images": len(self.images),
            "model": self.model.state_dict(),
            "adam_G": self.adam_G.state_dict(),
            "adam_D": self.adam_D.state_dict(),
            "random": self.random.get_state(),
            "history": self.history,
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on from `state`. Raises ConfigError where it belongs to another training."""
        if {**as_dict(Config()), **state["config"]} != as_dict(self.config) or state["images"] != len(self.images):
            raise ConfigError("the checkpoint belongs to another configuration: remove its folder, or train under another name")
        self.model.load_state_dict(state["model"])
        self.adam_G.load_state_dict(state["adam_G"])
        self.adam_D.load_state_dict(state["adam_D"])
        self.random.set_state(state["random"])
        self.history = list(state["history"])


def train(
    config: Config,
    images: Tensor,
    labels: Tensor,
    folder: Path | None = None,
    device: str | torch.device = "cpu",
    callbacks: Iterable[Callback] = (),
    title: str = "training",
) -> Trainer:
    """Train to the end, from the last good checkpoint in `folder` where there is one. Shapes as for Trainer.

    A checkpoint is written after every epoch (the newest two are kept); callbacks are called after it. Shows a bar in a
    notebook or a terminal, and a line an epoch elsewhere.
    """
    trainer = Trainer(config, images, labels, device)
    if folder:
        resume(trainer, folder)
    first, start = len(trainer.history), time.perf_counter()
    total, before = config.epochs * trainer.steps, first * trainer.steps
    with tqdm(total=total, initial=before, desc=title, unit=" batch", disable=None) as bar:
        for number in range(first + 1, config.epochs + 1):
            means = trainer.epoch(bar.update)
            if folder:
                save_checkpoint(trainer, folder)
            shown = {name: f"{means[name]:.3f}" for name in ("L_rec", "L_s", "L_r", "L_con")}
            bar.set_postfix(epoch=f"{number}/{config.epochs}", **shown)
            if bar.disable:
                left = (time.perf_counter() - start) / (number - first) * (config.epochs - number)
                values = "  ".join(f"{name} {value}" for name, value in shown.items())
                print(f"{title}: epoch {number}/{config.epochs}  {values}  {left / 60:.1f} min left", flush=True)
            for callback in callbacks:
                callback(Epoch(number, config.epochs, means, trainer.model))
    return trainer


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then put it in its place: `path` is never half-written, whatever happens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.{path.name}")  # the ending stays: some writers choose the format by it
    try:
        write(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, oldest first."""
    return sorted(folder.glob("epoch-[0-9]*.pt"))


def save_checkpoint(trainer: Trainer, folder: Path) -> None:
    """Write the state after the newest epoch, and keep the one before it."""
    write_atomically(folder / f"epoch-{len(trainer.history):05d}.pt", lambda path: torch.save(trainer.state_dict(), path))
    for old in checkpoints(folder)[:-2]:
        old.unlink()


def resume(trainer: Trainer, folder: Path) -> None:
    """Load the newest checkpoint that can be read; a damaged one is named, and the one before it is used."""
    for left in folder.glob(".*.epoch-*.pt"):  # half-written by a process that was killed
        left.unlink()
    for path in reversed(checkpoints(folder)):
        try:
            with zipfile.ZipFile(path) as archive:  # torch.load alone does not notice a flipped byte
                if archive.testzip():
                    raise zipfile.BadZipFile
            state = torch.load(path, map_location="cpu", weights_only=True)
            if not set(trainer.state_dict()) <= set(state):
                raise zipfile.BadZipFile
        except (TypeError, zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError, OSError):
            print(f"{path} is damaged: going on from before it", flush=True)
            continue
        trainer.load_state_dict(state)
        return
