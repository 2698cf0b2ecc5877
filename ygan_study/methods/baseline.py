"""What the baselines of Tables 1 to 4 share: `fit` on normal images without labels, and `score`.

Also the training loop with its checkpoints, one update of an optimiser, and the networks of DCGAN
as the authors of GANomaly have them.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ygan_core import train
from ygan_core.config import Config, ConfigError
from ygan_core.data.augment import batch_input, to_input
from ygan_core.fit import fit

BATCH = 32  # images at a time outside training; more leave the cache of a CPU, and are slower


@dataclass(frozen=True)
class Schedule:
    """How long the authors of a baseline train it: how many images its networks see.

    images: epochs times the images of one epoch, nan where it is not known; source: where it says
    so.
    """

    images: float
    source: str


class Baseline(nn.Module):
    """One baseline of Tables 1 to 4. A subclass defines `score_batch`, and what it needs of
    `prepare`, `step` and `finish`.

    config gives epochs, batch_size, width, image_size, augmentation and seed; learning rates and
    loss weights are those of the authors.
    """

    title: str  # as tables print it
    kind: str  # RB reconstruction-based, PT proxy task, PC pre-trained classification, or floor
    knows = "nothing else"  # what it may see beside unlabelled normal images
    trains = True  # by gradient
    authors: Schedule | None = None  # of a baseline that trains
    reads = frozenset(("epochs", "batch_size", "width", "augmentation", "seed"))  # of the settings

    def __init__(self, config: Config, device: str | torch.device = "cpu"):
        super().__init__()
        self.config, self.device = config, torch.device(device)
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self.history: list[dict[str, float]] = []  # one entry an epoch: mean loss terms and seconds

    def prepare(self, images: Tensor) -> None:
        """Make networks and `optimisers`, by name, for images like these, uint8 (n, C, S, S)."""

    def step(self, x: Tensor, p: float) -> dict[str, Tensor]:
        """One update, after a fraction p of the training. Returns the loss terms, by name.

        x: a batch (B, C, S, S) float32 in [-1, 1], augmented as in Y-GAN's training.
        """
        raise NotImplementedError

    def finish(self, images: Tensor) -> None:
        """Compute what all training images (uint8) are needed for, once, after the last epoch."""

    def score_batch(self, x: Tensor) -> Tensor:
        """The scores (B,) of a batch, in eval mode; higher is more anomalous."""
        raise NotImplementedError

    def fit(self, images: Tensor, folder: Path | None = None, title: str = "") -> "Baseline":
        """Train on normal images, uint8 (n, C, S, S), from the last checkpoint in `folder` if any.

        Raises NonFiniteLoss, and ConfigError where the images do not fill a batch.
        """
        c, self.history = self.config, []
        if self.trains and len(images) < c.batch_size:
            raise ConfigError(
                f"{len(images)} training images do not fill a batch of {c.batch_size}: "
                "lower batch_size"
            )
        with torch.random.fork_rng(devices=[]):  # the same start, whatever was drawn before
            torch.manual_seed(c.seed)
            self.prepare(images)
            self.to(self.device, memory_format=torch.channels_last)  # up to half the time
            random = torch.Generator().manual_seed(c.seed)
            if self.trains:
                training = _Training(self, images.to(self.device), random)
                fit(training, folder, title=title or self.title)
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
        """Anomaly scores: uint8 (n, C, S, S) -> float64 (n,), higher is more anomalous."""
        self.eval()
        batches = self.inputs(images, batch_size)
        return torch.cat([self.score_batch(x).cpu().double() for x in batches])


class _Training:
    """The training of a baseline, as `fit` needs it.

    images: uint8 (n, C, S, S), on the baseline's device.
    """

    def __init__(self, model: Baseline, images: Tensor, random: torch.Generator):
        self.model, self.images, self.random = model, images, random
        self.config, self.history = model.config, model.history

    @property
    def steps(self) -> int:
        """Steps an epoch; the last, partial batch is dropped."""
        return len(self.images) // self.config.batch_size

    def epoch(self, on_step: Callable[[], None]) -> dict[str, float]:
        """Every image once. Returns the mean of each loss term over the steps that have it."""
        c, done, steps, start = self.config, len(self.history), self.steps, time.perf_counter()
        sums, counts = {}, Counter()
        self.model.train()
        order = torch.randperm(len(self.images), generator=self.random)
        order = order[: steps * c.batch_size].view(steps, -1).to(self.images.device)
        for number, rows in enumerate(order, start=done * steps):
            x = batch_input(self.images[rows], c.augmentation, c.seed, number)
            for name, value in self.model.step(x, number / (c.epochs * steps)).items():
                sums[name] = sums.get(name, 0) + value.detach()
                counts[name] += 1
            on_step()
        means = {name: (total / counts[name]).item() for name, total in sums.items()}
        for name, mean in means.items():
            if not math.isfinite(mean):
                raise train.NonFiniteLoss(f"epoch {done + 1}: {name} is {mean}")
        self.history.append({**means, "seconds": time.perf_counter() - start})
        return self.history[-1]

    def state_dict(self) -> dict:
        """All that a resumed training needs in order to end in the same weights."""
        optimisers = self.model.optimisers.items()
        return {
            "model": self.model.state_dict(),
            "optimisers": {name: optimiser.state_dict() for name, optimiser in optimisers},
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
    """A DCGAN encoder, x (B, channels, S, S) -> (B, outputs). Its part [0] ends in a 4 x 4 map."""
    first = nn.Conv2d(channels, width, 4, stride=2, padding=1, bias=False)
    features, inputs = [first, nn.LeakyReLU(0.2)], width
    while image_size > 8:
        convolution = nn.Conv2d(inputs, inputs * 2, 4, stride=2, padding=1, bias=False)
        image_size, inputs = image_size // 2, inputs * 2
        features += [convolution, nn.BatchNorm2d(inputs), nn.LeakyReLU(0.2)]
    last = nn.Conv2d(inputs, outputs, 4, bias=False)
    return nn.Sequential(nn.Sequential(*features), last, nn.Flatten())


def decoder(channels: int, image_size: int, width: int, latent: int) -> nn.Sequential:
    """A DCGAN decoder, z (B, latent) -> image (B, channels, S, S) in (-1, 1)."""
    filters = width * image_size // 8
    layers = [nn.Unflatten(1, (latent, 1, 1)), nn.ConvTranspose2d(latent, filters, 4, bias=False)]
    while filters > width:
        upward = nn.ConvTranspose2d(filters, filters // 2, 4, stride=2, padding=1, bias=False)
        layers += [nn.BatchNorm2d(filters), nn.ReLU(), upward]
        filters //= 2
    last = nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(*layers, nn.BatchNorm2d(width), nn.ReLU(), last, nn.Tanh())


def adam(lr: float, beta_1: float, beta_2: float, *networks: nn.Module) -> torch.optim.Adam:
    """Adam over all parameters of these networks."""
    parameters = nn.ModuleList(networks).parameters()
    return torch.optim.Adam(parameters, lr=lr, betas=(beta_1, beta_2), fused=True)


def descend(optimiser: torch.optim.Optimizer, loss: Tensor, retain_graph: bool = False) -> None:
    """One update of the parameters of `optimiser` by the gradient of `loss`, and of no others."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    optimiser.zero_grad()
    loss.backward(inputs=parameters, retain_graph=retain_graph)
    optimiser.step()
