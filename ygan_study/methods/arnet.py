"""ARNet: Fei, Huang, Cao, Li, Zhang and Lu, "Attribute restoration framework for anomaly detection" (IEEE Transactions on
Multimedia, 2021; arXiv 1911.10676).

A U-Net learns to restore images whose colour and orientation were erased: greyed, and turned by 0, 90, 180 or 270 degrees. It
can do so only where it knows what is upright. The score is the L1 restoration error, averaged over the four erasures, each in
units of its mean over the training images: some turns are harder to undo than others.
From the paper: both erasures, one turn drawn for each image in training, squared error there, L1 in the score, SGD from 0.1
with step decay. Adapted: the learning rate falls tenfold at one half and at three quarters of the training, whatever its
length; CIFAR10 is not flipped, as for no other system. Greying is void on grey images (MNIST, FMNIST).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ygan_core.scores import to_input
from ygan_study.methods.rival import BATCH, Baseline, descend
from ygan_study.methods.unet import Contracting, Expanding

TURNS = range(4)  # quarter turns
LEARNING_RATE, MOMENTUM = 0.1, 0.9


def erase(x: Tensor, turns: int) -> Tensor:
    """Grey an image and turn it: x (B, C, S, S) -> (B, 1, S, S), turned by `turns` times 90 degrees."""
    return x.mean(dim=1, keepdim=True).rot90(turns, dims=(2, 3))


class ARNet(Baseline):
    """Score: the mean absolute difference between an image and what is restored of it, of each turn in its usual size."""

    title, kind = "ARNet", "PT"

    def prepare(self, images: Tensor) -> None:
        width = self.config.width
        self.encoder = Contracting(1, width)
        self.decoder = Expanding(8 * width, images.shape[1], width)
        self.optimisers = {"sgd": torch.optim.SGD(self.parameters(), LEARNING_RATE, MOMENTUM)}

    def restore(self, erased: Tensor) -> Tensor:
        """(B, 1, S, S) -> (B, C, S, S), in colour and upright again."""
        *skips, lowest = self.encoder(erased)
        return self.decoder(lowest, skips[::-1])

    def step(self, x: Tensor, p: float) -> dict[str, Tensor]:
        (sgd,) = self.optimisers.values()
        for group in sgd.param_groups:
            group["lr"] = LEARNING_RATE * 0.1 ** sum(p >= mark for mark in (0.5, 0.75))
        # batches come shuffled: which quarter an image is in, and so how it is turned, is chance
        erased = torch.cat([erase(x[turns :: len(TURNS)], turns) for turns in TURNS])
        whole = torch.cat([x[turns :: len(TURNS)] for turns in TURNS])
        loss = (self.restore(erased) - whole).square().mean()
        descend(sgd, loss)
        return {"L2": loss}

    def errors(self, x: Tensor) -> Tensor:
        """L1 restoration error of each image after each turn: (B, C, S, S) -> (B, 4)."""
        return torch.stack(
            [(self.restore(erase(x, turns)) - x).abs().mean(dim=(1, 2, 3)) for turns in TURNS],
            dim=1,
        )

    def finish(self, images: Tensor) -> None:
        errors = torch.cat(
            [self.errors(to_input(part.to(self.device))) for part in images.split(BATCH)]
        )
        self.register_buffer("usual", errors.mean(dim=0))

    def score_batch(self, x: Tensor) -> Tensor:
        return (self.errors(x) / self.usual).mean(dim=1)
