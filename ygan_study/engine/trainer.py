"""The paper's Trainer with averaged weights, lower precision, and captured steps on a GPU."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ygan_core import train
from ygan_study.engine.cuda_graph import CapturedStep
from ygan_study.engine.precision import convolutions_in
from ygan_study.engine.threads import one_thread


class Trainer(train.Trainer):
    """`ygan_core.train.Trainer`, whose arguments it takes, and whose updates it makes.

    precision: of the convolutions, an entry of `precision.PRECISIONS` (weights, latents and losses
    stay float32). captured: whether a CUDA device replays the step as one graph. Images that do not
    fit on a CUDA device stay in memory, or memory-mapped. `averaged` holds the averaged weights,
    from the first step on; they span a fraction `config.average` of the training.
    """

    def __init__(
        self, config, images, labels, device="cpu", precision="float32", captured: bool = True
    ):
        super().__init__(config, images, labels, device)
        self.precision = precision
        if not too_large(images, self.device):
            self.images = images.to(self.device)
        self.model.to(memory_format=torch.channels_last)
        self.averaged: AveragedModel | None = None
        if self.device.type == "cuda" and captured:
            self.step = CapturedStep(self.step, self.model.parameters(), self.device)

    def batches(self, order: Tensor) -> Iterator[Tensor]:
        """As in the base class. The learning rate of a step is set before its batch is taken."""
        first, total = len(self.history) * self.steps, self.config.epochs * self.steps
        for number, rows in enumerate(order.to(self.images.device), start=first):
            self.set_lr(self.lr_factor(number / total))
            images = self.images[rows]
            if images.device.type != self.device.type:  # copied while the step before is computed
                images = images.pin_memory().to(self.device, non_blocking=True)
            yield images

    def batch_input(self, images: Tensor, number: int) -> Tensor:
        x = super().batch_input(images, number)
        return x.contiguous(memory_format=torch.channels_last)

    def adam(
        self, parameters: list[nn.Parameter], lr: float = 0, beta_1: float = 0
    ) -> torch.optim.Optimizer:
        """Adam, by default with the learning rate and the beta_1 of the configuration."""
        c, lr = self.config, lr or self.config.lr
        group = {"params": parameters, "lr": self.lr_value(lr), "factor": lr / c.lr}
        capturable = self.device.type == "cuda"
        betas = (beta_1 or c.beta_1, c.beta_2)
        return torch.optim.Adam([group], betas=betas, fused=True, capturable=capturable)

    def lr_value(self, lr: float) -> float | Tensor:
        """A learning rate as an optimiser takes it: on CUDA a tensor, for captured steps."""
        return torch.tensor(lr, device=self.device) if self.device.type == "cuda" else lr

    def lr_factor(self, p: float) -> float:
        """The learning rate after a fraction p of the training, as a multiple of config.lr."""
        return 1.0

    def set_lr(self, factor: float) -> None:
        """Let every optimiser learn at `factor` times config.lr."""
        for group in (group for optimiser in self.optimisers for group in optimiser.param_groups):
            lr = self.config.lr * factor * group["factor"]
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr

    def epoch(self, on_step: Callable[[], None] = lambda: None) -> dict[str, float]:
        averaged = self.averaged or self.start_average()

        def after_step():
            averaged.update_parameters(self.model)
            on_step()

        with one_thread(), convolutions_in(self.precision):
            return super().epoch(after_step)

    def start_average(self) -> AveragedModel:
        """Begin the averaged weights: an exponential mean of all weights and running statistics."""
        span = max(1.0, self.config.average * self.config.epochs * self.steps)
        decay = get_ema_multi_avg_fn(math.exp(-1 / span))
        self.averaged = AveragedModel(self.model, multi_avg_fn=decay, use_buffers=True)
        return self.averaged

    def forward_losses(self, x, y, partner, lambda_R) -> dict[str, Tensor]:
        low = self.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=low):
            return super().forward_losses(x, y, partner, lambda_R)

    def state_dict(self) -> dict:
        averaged = (self.averaged or self.start_average()).state_dict()
        return {**super().state_dict(), "precision": self.precision, "averaged": averaged}

    def load_state_dict(self, state: dict) -> None:
        super().load_state_dict(state)
        self.precision = state["precision"]  # a training ends in the precision that it began in
        self.start_average().load_state_dict(state["averaged"])
        for group in (group for optimiser in self.optimisers for group in optimiser.param_groups):
            group["capturable"] = self.device.type == "cuda"  # it may be another device now
            group["lr"] = self.lr_value(float(group["lr"]))


def too_large(images: Tensor, device: torch.device) -> bool:
    """Whether images stay on the host: more than half of the memory that a CUDA device has free."""
    return device.type == "cuda" and images.nbytes > torch.cuda.mem_get_info(device)[0] / 2
