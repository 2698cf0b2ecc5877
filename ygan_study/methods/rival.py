"""What the baselines have in common: `fit` on normal images without labels, `score`, the loop and its checkpoints, a step of an
optimiser, and the networks of DCGAN as GANomaly's authors have them.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from ygan_core.config import Config, ConfigError
from ygan_core.scores import to_input
from ygan_core.train import NonFiniteLoss, batch_input, flipped
from ygan_core.train import fit as train_loop
from ygan_study.engine.batches import batches

BATCH = 32  # images at a time outside training: with more a CPU is up to three times slower, since they leave its cache


class Baseline(nn.Module):
    """One baseline of Tables 1-4. A subclass says what makes it itself, in up to four methods:

    prepare(images): makes networks and optimisers (`self.optimisers`, by name) for images like these;
    step(x, p): one update for a batch x (B, C, S, S) float32 in [-1, 1], p the fraction of the training done; returns its loss
    terms as scalars, by name;
    finish(images): what is computed once after the last epoch, from all training images (uint8), e.g. a memory bank;
    score_batch(x): the scores (B,) of a batch, higher is more anomalous, each from its image alone (eval mode).

    From config it takes epochs, batch_size, width, image_size, augmentation and seed; learning rates and loss weights are its
    authors'. What is augmented are the batches of `step`, as in Y-GAN's training; `finish` sees the images as they are.
    """

    title: str  # as tables print it
    kind: str  # as in Tables 1-4: RB reconstruction-based, PT proxy task, PC pre-trained classification; floor: not in the paper
    knows = "nothing else"  # what it may see beside unlabelled normal images
    trains = True  # by gradient
    reads = frozenset(
        ("epochs", "batch_size", "width", "augmentation", "seed")
    )  # settings of Config, beside those of the data

    def __init__(self, config: Config, device: str | torch.device = "cpu"):
        super().__init__()
        self.config, self.device = config, torch.device(device)
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self.history: list[
            dict[str, float]
        ] = []  # an entry an epoch: mean loss terms and seconds; `finish` is in the last

    def prepare(self, images: Tensor) -> None:
        """Make networks and optimisers for images like these, uint8 (n, C, S, S)."""

    def step(self, x: Tensor, p: float) -> dict[str, Tensor]:
        """One update; see the class."""
        raise NotImplementedError

    def finish(self, images: Tensor) -> None:
        """After the last epoch; see the class."""

    def score_batch(self, x: Tensor) -> Tensor:
        """Scores of a batch; see the class."""
        raise NotImplementedError

    def fit(
        self,
        images: Tensor,
        labels: Tensor | None = None,
        folder: Path | None = None,
        title: str = "",
    ) -> Baseline:
        """Train on normal images, uint8 (n, C, S, S), from the last checkpoint in `folder` where there is one.

        labels: taken for the sake of one interface, never looked at. Raises NonFiniteLoss, and ConfigError where the images
        do not fill a batch.
        """
        cfg, self.history = self.config, []
        if self.trains and len(images) < cfg.batch_size:
            raise ConfigError(
                f"{len(images)} training images do not fill one batch of {cfg.batch_size}: lower batch_size"
            )
        with torch.random.fork_rng(
            devices=[]
        ):  # the same start whatever was drawn before in this process
            torch.manual_seed(cfg.seed)
            self.prepare(images)
            self.to(
                self.device, memory_format=torch.channels_last
            )  # up to half the time, as in train.py
            random = torch.Generator().manual_seed(cfg.seed)
            if self.trains:
                train_loop(
                    _Training(self, images.to(self.device), random),
                    folder,
                    title=title or self.title,
                )
            self.eval()
            start = time.perf_counter()
            with torch.no_grad():
                self.finish(images)
            self.history = self.history or [{"seconds": 0.0}]
            self.history[-1]["seconds"] += time.perf_counter() - start
        return self

    def inputs(self, images: Tensor, batch_size: int = BATCH) -> Iterator[Tensor]:
        """Images uint8 (n, C, S, S), batch by batch, as a network sees them: float32 in [-1, 1]."""
        return (to_input(part.to(self.device)) for part in images.split(batch_size))

    @torch.inference_mode()
    def score(self, images: Tensor, batch_size: int = BATCH) -> Tensor:
        """Anomaly scores of images, uint8 (n, C, S, S) -> float64 (n,), higher is more anomalous."""
        self.eval()
        scores = [self.score_batch(x).cpu().double() for x in self.inputs(images, batch_size)]
        return torch.cat(scores)


class _Training:
    """The training of a baseline, as `train.fit` goes through it. images: uint8 (n, C, S, S), on the baseline's device."""

    averaged = None  # baselines are as their authors have them

    def __init__(self, model: Baseline, images: Tensor, random: torch.Generator):
        self.model, self.images, self.random = model, images, random
        self.config, self.history = model.config, model.history

    @property
    def steps(self) -> int:
        """Steps an epoch; the last, partial batch is dropped."""
        return len(self.images) // self.config.batch_size

    def epoch(self, on_step: Callable[[], None]) -> dict[str, float]:
        """Every image once; the mean of each loss term over the steps that have it, and the seconds. Raises NonFiniteLoss."""
        cfg, done, steps, start = self.config, len(self.history), self.steps, time.perf_counter()
        sums, counts = {}, Counter()
        self.model.train()
        order = torch.randperm(len(self.images), generator=self.random)[
            : steps * cfg.batch_size
        ].view(steps, -1)
        flips = flipped(cfg, len(self.images), done)[order].to(self.images.device)
        images = batches(self.images, order, self.images.device, streamed=False)
        for number, (batch, flip) in enumerate(zip(images, flips, strict=True), start=done * steps):
            terms = self.model.step(
                batch_input(cfg, batch, number, flip), number / (cfg.epochs * steps)
            )
            for name, value in terms.items():
                sums[name] = sums.get(name, 0) + value.detach()
                counts[name] += 1
            on_step()
        means = {name: (total / counts[name]).item() for name, total in sums.items()}
        for name, mean in means.items():
            if not math.isfinite(mean):
                raise NonFiniteLoss(f"epoch {done + 1}: {name} is {mean}")
        self.history.append({**means, "seconds": time.perf_counter() - start})
        return self.history[-1]

    def state_dict(self) -> dict:
        """All that a resumed training needs to end in the same weights."""
        return {
            "model": self.model.state_dict(),
            "optimisers": {
                name: optimiser.state_dict() for name, optimiser in self.model.optimisers.items()
            },
            "history": self.history,
            "random": self.random.get_state(),
            "torch": torch.get_rng_state(),
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on from `state`."""
        self.model.load_state_dict(state["model"])
        for name, optimiser in self.model.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        self.random.set_state(state["random"])
        torch.set_rng_state(state["torch"])
        self.history[:] = state["history"]


def encoder(channels: int, image_size: int, width: int, outputs: int) -> nn.Sequential:
    """A DCGAN encoder, x (B, channels, S, S) -> (B, outputs). Its part [0] ends in a 4 x 4 map: Ds's features."""
    features, inputs = (
        [nn.Conv2d(channels, width, 4, stride=2, padding=1, bias=False), nn.LeakyReLU(0.2)],
        width,
    )
    while image_size > 8:
        convolution = nn.Conv2d(inputs, inputs * 2, 4, stride=2, padding=1, bias=False)
        image_size, inputs = image_size // 2, inputs * 2
        features += [convolution, nn.BatchNorm2d(inputs), nn.LeakyReLU(0.2)]
    return nn.Sequential(
        nn.Sequential(*features), nn.Conv2d(inputs, outputs, 4, bias=False), nn.Flatten()
    )


def decoder(channels: int, image_size: int, width: int, latent: int) -> nn.Sequential:
    """A DCGAN decoder, z (B, latent) -> image (B, channels, S, S) in (-1, 1)."""
    filters = width * image_size // 8
    layers = [nn.Unflatten(1, (latent, 1, 1)), nn.ConvTranspose2d(latent, filters, 4, bias=False)]
    while filters > width:
        upward = nn.ConvTranspose2d(filters, filters // 2, 4, stride=2, padding=1, bias=False)
        layers += [nn.BatchNorm2d(filters), nn.ReLU(), upward]
        filters //= 2
    layers += [
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1, bias=False),
    ]
    return nn.Sequential(*layers, nn.Tanh())


def adam(lr: float, beta_1: float, beta_2: float, *networks: nn.Module) -> torch.optim.Adam:
    """Adam over all parameters of these networks."""
    return torch.optim.Adam(
        nn.ModuleList(networks).parameters(), lr=lr, betas=(beta_1, beta_2), fused=True
    )


def descend(optimiser: torch.optim.Optimizer, loss: Tensor, retain_graph: bool = False) -> None:
    """One update of the optimiser's own parameters down `loss`; whatever else lies in the graph gets no gradient."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    optimiser.zero_grad()
    loss.backward(inputs=parameters, retain_graph=retain_graph)
    optimiser.step()
