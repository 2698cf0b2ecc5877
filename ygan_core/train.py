"""Training (section 3.2): for each batch the gradients of both objectives, and both updates."""

import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ygan_core import losses
from ygan_core.config import Config, ConfigError
from ygan_core.data.augment import batch_input
from ygan_core.model import YGAN, running_statistics_untouched


class NonFiniteLoss(RuntimeError):
    """A loss became nan or infinite; the message names epoch, step and term."""


class Trainer:
    """One training of Y-GAN: the networks, their optimisers, and the progress through the epochs.

    images: uint8 (n, C, S, S), normal ones only; labels: int64 (n,) in [0, N). A variant of the
    method subclasses this and overrides one of the losses or small methods below. Raises
    ConfigError where the images do not fill a batch, or where every lambda is 0.
    """

    L_s = staticmethod(losses.L_s)
    L_r = staticmethod(losses.L_r)
    L_con = staticmethod(losses.L_con)

    def __init__(
        self, config: Config, images: Tensor, labels: Tensor, device: "str | torch.device" = "cpu"
    ):
        if len(images) < config.batch_size:
            too_few = f"{len(images)} training images do not fill a batch of {config.batch_size}"
            raise ConfigError(f"{too_few}: lower batch_size")
        if not any(config.weights.values()):
            raise ConfigError("every lambda is 0, so nothing would be trained: set one above 0")
        self.config, self.device = config, torch.device(device)
        self.images, self.labels = images, labels.to(device)
        self.terms = [name for name, weight in config.weights.items() if weight]
        self.model = self.build(config, images.shape[1], int(labels.max()) + 1).to(self.device)
        self.optimisers = self.make_optimisers()
        # On the CPU, so that it draws the same numbers whatever the device is.
        self.random = torch.Generator().manual_seed(config.seed)
        self.history: list[dict[str, float]] = []  # one entry per epoch

    @classmethod
    def build(cls, config: Config, channels: int, classes: int) -> YGAN:
        """Networks whose initial weights depend on config.seed alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            return cls.networks(config, channels, classes)

    @classmethod
    def networks(cls, config: Config, channels: int, classes: int) -> YGAN:
        """The networks to train."""
        c = config
        return YGAN(channels, c.image_size, c.width, c.d, c.hidden, classes, c.latents)

    def make_optimisers(self) -> list[torch.optim.Optimizer]:
        """Adam for the generator (Eq. 10), Adam for the discriminator (Eq. 11)."""
        G, Ds = self.model.generator_parameters(), self.model.discriminator_parameters()
        return [self.adam(G), self.adam(Ds)]

    def adam(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """Adam with the settings of section 4.3, which names no decay of the learning rate."""
        c = self.config
        return torch.optim.Adam(parameters, lr=c.lr, betas=(c.beta_1, c.beta_2), fused=True)

    @property
    def steps(self) -> int:
        """Steps per epoch; the last, partial batch is dropped."""
        return len(self.images) // self.config.batch_size

    def epoch(self, on_step: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Train on every image once, in a fresh order. Raises NonFiniteLoss.

        Returns the mean of each loss term over the steps, lambda_R at the end, and the seconds that
        it took; `history` keeps them. on_step is called after each step.
        """
        batch, done, start = self.config.batch_size, len(self.history), time.perf_counter()
        order = torch.randperm(len(self.images), generator=self.random)
        order = order[: self.steps * batch].view(self.steps, batch)
        partners = torch.stack([torch.randperm(batch, generator=self.random) for _ in order])
        first, total = done * self.steps, self.config.epochs * self.steps
        schedule = [losses.lambda_R(step / total) for step in range(first, first + self.steps)]
        lambdas_R = torch.tensor(schedule, dtype=next(self.model.parameters()).dtype)
        lambdas_R, partners = lambdas_R.to(self.device), partners.to(self.device)
        labels = self.labels[order.to(self.device)]
        record = torch.zeros(self.steps, len(self.terms), device=self.device)

        self.model.train()
        for step, images in enumerate(self.batches(order)):
            x = self.batch_input(images, first + step)
            record[step] = self.step(x, labels[step], partners[step], lambdas_R[step])
            on_step()

        record = record.cpu()  # read once, at the end, so that no step waits for a GPU
        for step, term in (~record.isfinite()).nonzero().tolist()[:1]:
            value = record[step, term].item()
            raise NonFiniteLoss(f"epoch {done + 1}, step {step + 1}: {self.terms[term]} is {value}")
        means = dict(zip(self.terms, record.double().mean(0).tolist(), strict=True))
        seconds = time.perf_counter() - start
        self.history.append({**means, "lambda_R": schedule[-1], "seconds": seconds})
        return self.history[-1]

    def batches(self, order: Tensor) -> Iterator[Tensor]:
        """The training images, batch by batch. order: their indices, int64 (steps, B)."""
        return (self.images[rows].to(self.device) for rows in order)

    def batch_input(self, images: Tensor, number: int) -> Tensor:
        """What the networks see of batch `number` of the training: uint8 (B, C, S, S) -> x."""
        return batch_input(images, self.config.augmentation, self.config.seed, number)

    def step(self, x: Tensor, y: Tensor, partner: Tensor, lambda_R: Tensor) -> Tensor:
        """Both updates for one batch. Returns the unweighted loss terms, in the order of `terms`.

        x (B, C, S, S) in [-1, 1], y (B,), partner (B,) a permutation, lambda_R a scalar.
        """
        terms, lambdas = self.forward_losses(x, y, partner, lambda_R), self.lambdas(lambda_R)
        # Both gradients are computed before either update, so that both objectives see the same
        # networks and Ds reads x and x_hat once. Section 3.2 updates them alternately.
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        if lambdas:
            generator = self.model.generator_parameters()
            losses.L_G(terms, lambdas).backward(inputs=generator, retain_graph="L_bce" in terms)
        if "L_bce" in self.terms:
            self.L_D(terms).backward(inputs=self.model.discriminator_parameters())
        for optimiser in self.optimisers:
            optimiser.step()
        return torch.stack([terms[name].detach() for name in self.terms])

    def lambdas(self, lambda_R: Tensor) -> dict[str, "float | Tensor"]:
        """The weights of the terms of Eq. 10; those of a variant may follow lambda_R."""
        return {name: self.config.weights[name] for name in self.terms if name != "L_bce"}

    def forward_losses(
        self, x: Tensor, y: Tensor, partner: Tensor, lambda_R: Tensor
    ) -> dict[str, Tensor]:
        """The terms of Eq. 10 and 11, at least those of non-zero weight. Shapes as for `step`."""
        model, wanted, terms = self.model, set(self.terms), {}
        z_s, z_r = model.encode(x)
        if "L_s" in wanted:
            terms["L_s"] = self.L_s(model.C(z_s), y)
        if "L_r" in wanted:
            terms["L_r"] = self.L_r(model.C(losses.R(z_r, lambda_R)), y)
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
        """L_con (Eq. 9) of a batch: each z_s is decoded with the z_r of its partner."""
        with running_statistics_untouched(self.model.D, self.model.E_s):
            z_s_hybrid = self.model.encode_s(self.hybrid(z_s, z_r[partner]))
        return self.L_con(z_s, z_s_hybrid)

    def hybrid(self, z_s: Tensor, z_r: Tensor) -> Tensor:
        """Images with the z_s of one image and the z_r of another."""
        return self.model.D(z_s, z_r)

    def L_D(self, terms: dict[str, Tensor]) -> Tensor:
        """What Ds minimises (Eq. 11)."""
        return losses.L_D(terms["L_bce"], self.config.lambda_6)

    def state_dict(self) -> dict:
        """All that a resumed training needs in order to end in the same weights."""
        return {
            "model": self.model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "random": self.random.get_state(),
            "history": self.history,
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on from `state`."""
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.random.set_state(state["random"])
        self.history = list(state["history"])
