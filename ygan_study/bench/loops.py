"""The training loops that are compared: ours, and ours with something done in another way."""

import torch
from torch import Tensor

from ygan_core import losses
from ygan_study.engine import Trainer


class Contiguous(Trainer):
    """Our loop in PyTorch's default memory format."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.model.to(memory_format=torch.contiguous_format)

    def step(self, x: Tensor, *rest: Tensor) -> Tensor:
        return super().step(x.contiguous(), *rest)


class ReadTwice(Trainer):
    """Our loop, with a pass of Ds for each of the two objectives."""

    def adversarial(self, x: Tensor, x_hat: Tensor) -> tuple[Tensor, Tensor]:
        L_adv, _ = super().adversarial(x, x_hat)
        return L_adv, losses.L_bce(self.model.Ds(x)[0], self.model.Ds(x_hat.detach())[0])


class UnfusedAdam(Trainer):
    """Our loop, with an Adam that updates one parameter after the other."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        for group in (group for optimiser in self.optimisers for group in optimiser.param_groups):
            group.update(fused=False, foreach=False)


class Compiled(Trainer):
    """Our loop, with its convolutional networks compiled by torch.compile."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        for network in (self.model.E_s, self.model.E_r, self.model.D, self.model.Ds):
            network.compile()


class Plain(Contiguous, ReadTwice, UnfusedAdam):
    """Our loop without what makes it fast; it also waits for the losses of every step."""

    def step(self, *batch: Tensor) -> Tensor:
        return super().step(*batch).cpu()


def random_images(n: int, size: int) -> tuple[Tensor, Tensor]:
    """Images uint8 (n, 3, size, size) and labels int64 (n,), of nine classes."""
    random = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n, 3, size, size), dtype=torch.uint8, generator=random)
    return images, torch.arange(n) % 9
