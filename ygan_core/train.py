"""Training Y-GAN (section 3.2): a batch, the generator's gradient, the discriminator's, both updates; a checkpoint an epoch."""

from __future__ import annotations

import os
import pickle
import time
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ygan_core import losses
from ygan_core.config import Config, ConfigError, as_dict
from ygan_core.data.augment import augment
from ygan_core.model import YGAN, running_statistics_untouched
from ygan_core.scores import to_input

TERMS = ("L_rec", "L_adv", "L_s", "L_r", "L_con", "L_bce")  # of lambda_1 to lambda_6; recorded at every step, unweighted


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
        return YGAN(channels, config.image_size, config.width, config.d, config.hidden, classes, config.latents)


class Trainer:
    """One training under way: networks, both optimisers, the random state and the place in the schedule.

    images: uint8 (n, C, S, S), normal ones only, in memory or memory-mapped; labels: int64 (n,) in [0, N). precision: float32,
    or bfloat16 for the convolutions (weights, latents and losses stay float32). captured: whether a CUDA device replays the
    step as one graph. Raises ConfigError where n is under one batch.
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
            raise ConfigError(f"{len(images)} training images do not fill one batch of {config.batch_size}: lower batch_size")
        self.config, self.device, self.precision = config, torch.device(device), precision
        self.streamed = too_large(images, self.device)
        self.images = images if self.streamed else images.to(device)
        self.labels = labels.to(device)
        self.model = self.build(config, images.shape[1], int(labels.max()) + 1)
        self.model.to(self.device, memory_format=torch.channels_last)
        on_cuda = self.device.type == "cuda"
        adam = dict(lr=config.lr, betas=(config.beta_1, config.beta_2), fused=True, capturable=on_cuda)
        trained = [self.model.generator_parameters(), self.model.discriminator_parameters()]
        self.optimisers = [torch.optim.Adam(parameters, **adam) for parameters in trained if parameters]
        self.captured = CapturedStep(self) if on_cuda and captured else None
        self.random = torch.Generator().manual_seed(config.seed)  # on the CPU: the same batches on every device
        self.history: list[dict[str, float]] = []  # one entry an epoch

    @classmethod
    def build(cls, config: Config, channels: int, classes: int) -> YGAN:
        """The networks that this kind of training trains."""
        return build(config, channels, classes)

    @property
    def steps(self) -> int:
        """Steps an epoch; the last, partial batch is dropped."""
        return len(self.images) // self.config.batch_size

    @property
    def terms(self) -> list[str]:
        """The loss terms of this training: those whose weight is not 0."""
        c = self.config
        weights = (c.lambda_1, c.lambda_2, c.lambda_3, c.lambda_4, c.lambda_5, c.lambda_6)
        return [name for name, weight in zip(TERMS, weights, strict=True) if weight]

    def epoch(self, on_step: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Every training image once, in a fresh order. Raises NonFiniteLoss.

        Returns the mean of each loss term over the steps, lambda_R at the end, and the seconds it took; `history` keeps them.
        """
        cfg, done, start = self.config, len(self.history), time.perf_counter()
        order = torch.randperm(len(self.images), generator=self.random)[: self.steps * cfg.batch_size].view(self.steps, -1)
        partners = torch.stack([torch.randperm(cfg.batch_size, generator=self.random) for _ in order]).to(self.device)
        first = done * self.steps
        schedule = [losses.lambda_R(step / (cfg.epochs * self.steps)) for step in range(first, first + self.steps)]
        lambdas_R = torch.tensor(schedule, dtype=next(self.model.parameters()).dtype).to(self.device)
        labels = self.labels[order.to(self.device)]
        record = torch.zeros(self.steps, len(self.terms), device=self.device)  # read at the end: no waiting for a GPU

        self.model.train()
        run_step = self.captured or self.step
        for step, images in enumerate(self.batches(order)):
            x = augment(images, cfg.seed * 2**32 + first + step) if cfg.augmentation == "leaves" else to_input(images)
            x = x.contiguous(memory_format=torch.channels_last)
            record[step] = run_step(x, labels[step], partners[step], lambdas_R[step])
            on_step()

        bad = (~record.isfinite()).nonzero()
        if len(bad):
            step, term = bad[0].tolist()
            raise NonFiniteLoss(f"epoch {done + 1}, step {step + 1}: {self.terms[term]} is {record[step, term].item()}")
        means = dict(zip(self.terms, record.double().mean(0).tolist(), strict=True))
        self.history.append({**means, "lambda_R": schedule[-1], "seconds": time.perf_counter() - start})
        return self.history[-1]

    def batches(self, order: Tensor) -> Iterator[Tensor]:
        """The images of an epoch, uint8 (B, C, S, S) on the device, in the given order (steps, B)."""
        if not self.streamed:
            yield from (self.images[batch] for batch in order.to(self.device))
            return

        def read(batch: Tensor) -> Tensor:
            return self.images[batch].pin_memory() if self.device.type == "cuda" else self.images[batch]

        with ThreadPoolExecutor(1) as reader:  # reads the batches to come while this one is trained on
            ahead = deque()
            for batch in order:
                ahead.append(reader.submit(read, batch))
                if len(ahead) > 2:
                    yield ahead.popleft().result().to(self.device, non_blocking=True)
            while ahead:
                yield ahead.popleft().result().to(self.device, non_blocking=True)

    def step(self, x: Tensor, y: Tensor, partner: Tensor, lambda_R: Tensor) -> Tensor:
        """Both updates for one batch. Returns the unweighted loss terms, in the order of `terms`.

        x (B, C, S, S) in [-1, 1], y (B,), partner (B,) a permutation, lambda_R a scalar.
        """
        cfg, model = self.config, self.model
        lambdas = {
            "L_rec": cfg.lambda_1,
            "L_adv": cfg.lambda_2,
            "L_s": cfg.lambda_3,
            "L_r": cfg.lambda_4,
            "L_con": cfg.lambda_5 * lambda_R if cfg.ramp_con else cfg.lambda_5,
        }
        lambdas = {name: weight for name, weight in lambdas.items() if name in self.terms}

        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            terms = self.forward_losses(x, y, partner, lambda_R)

        # Ds is the same network in both objectives, since it is updated last: it reads x and x_hat once for the two of them.
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        if lambdas:
            losses.L_G(terms, lambdas).backward(inputs=model.generator_parameters(), retain_graph="L_bce" in self.terms)
        if "L_bce" in self.terms:
            self.L_D(terms).backward(inputs=model.discriminator_parameters())
        for optimiser in self.optimisers:
            optimiser.step()
        return torch.stack([terms[name].detach() for name in self.terms])

    def forward_losses(self, x: Tensor, y: Tensor, partner: Tensor, lambda_R: Tensor) -> dict[str, Tensor]:
        """The terms of Eq. 10 and 11 for a batch, those of weight 0 left out. Shapes as for `step`."""
        model, wanted, terms = self.model, set(self.terms), {}
        z_s, z_r = model.encode(x)
        if "L_s" in wanted:
            terms["L_s"] = losses.L_s(model.C(z_s), y)
        if "L_r" in wanted:
            terms["L_r"] = losses.L_r(model.C(losses.R(z_r, lambda_R)), y)
        if wanted & {"L_rec", "L_adv", "L_bce"}:
            x_hat = model.D(z_s, z_r)
            terms["L_rec"] = losses.L_rec(x, x_hat)
        if wanted & {"L_adv", "L_bce"}:
            terms["L_adv"], terms["L_bce"] = self.adversarial(x, x_hat)
        if "L_con" in wanted:
            terms["L_con"] = self.consistency(z_s, z_r, partner)
        return terms

    def adversarial(self, x: Tensor, x_hat: Tensor) -> tuple[Tensor, Tensor]:
        """L_adv (Eq. 4) and L_bce (Eq. 5) of images and their reconstructions."""
        logit_x, f_x = self.model.Ds(x)
        logit_x_hat, f_x_hat = self.model.Ds(x_hat)
        return losses.L_adv(f_x, f_x_hat), losses.L_bce(logit_x, logit_x_hat)

    def consistency(self, z_s: Tensor, z_r: Tensor, partner: Tensor) -> Tensor:
        """L_con (Eq. 9) of a batch's latents, each z_s with the z_r of its partner."""
        with running_statistics_untouched(self.model.D, self.model.E_s):
            z_s_hybrid = self.model.encode_s(self.hybrid(z_s, z_r[partner]))
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
            "config": as_dict(self.config),
            "images": len(self.images),
            "precision": self.precision,
            "model": self.model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "random": self.random.get_state(),
            "history": self.history,
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on from `state`. Raises ConfigError where it belongs to another training."""
        if {**as_dict(Config()), **state["config"]} != as_dict(self.config) or state["images"] != len(self.images):
            raise ConfigError("the checkpoint belongs to another configuration: remove its folder, or train under another name")
        self.precision = state["precision"]  # a training ends in the precision that it began in
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
            for group in optimiser.param_groups:  # saved with them, but a property of the device: it may be another now
                group["capturable"] = self.device.type == "cuda"
        self.random.set_state(state["random"])
        self.history = list(state["history"])


class CapturedStep:
    """`Trainer.step` as one CUDA graph: a launch in place of a thousand, which a batch of 64 is too small to hide.

    The first calls are ordinary steps, on a stream of their own, as capturing wants it; then the step is recorded (which
    executes nothing) and replayed. So every call trains once, and the weights are those of as many calls of `Trainer.step`.
    Make it anew where the optimisers' state is replaced.
    """

    WARM_UP = 3

    def __init__(self, trainer: Trainer):
        self.trainer, self.calls, self.graph = trainer, 0, None
        self.stream = torch.cuda.Stream(trainer.device)

    def __call__(self, *inputs: Tensor) -> Tensor:
        self.calls += 1
        if self.calls <= self.WARM_UP:
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                terms = self.trainer.step(*inputs)
            torch.cuda.current_stream().wait_stream(self.stream)
            return terms
        if not self.graph:
            self._capture(*inputs)
        for static, new in zip(self.inputs, inputs, strict=True):
            static.copy_(new)
        self.graph.replay()
        return self.terms

    def _capture(self, *inputs: Tensor) -> None:
        self.inputs = tuple(new.clone() for new in inputs)
        for parameter in self.trainer.model.parameters():
            parameter.grad = None  # so that the gradients are made in the graph's own memory
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=self.stream):
            self.terms = self.trainer.step(*self.inputs)


def too_large(images: Tensor, device: torch.device) -> bool:
    """Whether images stay on the host: more than half of the memory that a CUDA device has free."""
    return device.type == "cuda" and images.nbytes > torch.cuda.mem_get_info(device)[0] / 2


def train(
    config: Config,
    images: Tensor,
    labels: Tensor,
    folder: Path | None = None,
    device: str | torch.device = "cpu",
    precision: str = "float32",
    callbacks: Iterable[Callback] = (),
    title: str = "training",
    measure: Callable[[YGAN], dict[str, float]] = lambda model: {},
    kind: type[Trainer] = Trainer,
) -> Trainer:
    """Train to the end, from the last good checkpoint in `folder` where there is one. Shapes as for Trainer.

    After every epoch what `measure` finds is put beside the losses, a checkpoint is written (the newest two are kept), and
    callbacks are called. Shows a bar in a notebook or a terminal, and a line an epoch elsewhere. kind: how a step is made.
    """
    trainer = kind(config, images, labels, device, precision)
    if folder:
        resume(trainer, folder)
    first, start = len(trainer.history), time.perf_counter()
    total, before = config.epochs * trainer.steps, first * trainer.steps
    with tqdm(total=total, initial=before, desc=title, unit=" batch", disable=None) as bar:
        for number in range(first + 1, config.epochs + 1):
            means = trainer.epoch(bar.update)
            means.update(measure(trainer.model))
            if folder:
                save_checkpoint(trainer, folder)
            shown = {name: f"{means[name]:.3f}" for name in ("L_rec", "L_s", "L_r", "L_con") if name in means}
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
    save_state(trainer.state_dict(), folder, len(trainer.history))


def resume(trainer: Trainer, folder: Path) -> None:
    """Go on from the newest checkpoint that can be read, if there is one."""
    if state := load_newest(folder, set(trainer.state_dict())):
        trainer.load_state_dict(state)


def save_state(state: dict, folder: Path, epoch: int) -> None:
    """Write a checkpoint atomically, and keep the one before it."""
    write_atomically(folder / f"epoch-{epoch:05d}.pt", lambda path: torch.save(state, path))
    for old in checkpoints(folder)[:-2]:
        old.unlink()


def load_newest(folder: Path, keys: set[str] = frozenset()) -> dict | None:
    """The newest checkpoint that can be read and has these keys; a damaged one is named, and the one before it is used."""
    for left in folder.glob(".*.epoch-*.pt"):  # half-written by a process that was killed
        left.unlink()
    for path in reversed(checkpoints(folder)):
        try:
            with zipfile.ZipFile(path) as archive:  # torch.load alone does not notice a flipped byte
                if archive.testzip():
                    raise zipfile.BadZipFile
            state = torch.load(path, map_location="cpu", weights_only=True)
            if not keys <= set(state):
                raise zipfile.BadZipFile
            return state
        except (TypeError, zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError, OSError):
            print(f"{path} is damaged: going on from before it", flush=True)
    return None
