"""ARNet: Fei, Huang, Cao, Li, Zhang and Lu, "Attribute restoration framework for anomaly detection"
(IEEE Transactions on Multimedia, 2021; arXiv 1911.10676).

A U-Net learns to restore images whose colour and orientation were erased: greyed, and turned by 0,
90, 180 or 270 degrees. It can do so only where it knows what is upright. The score is the L1 error
of the restoration, averaged over the four turns, each divided by its mean over the training images,
since some turns are harder to undo than others.

From the paper: both erasures, one random turn for each image in training, squared error there, L1
in the score, SGD from 0.1 with step decay. Adapted: the learning rate falls tenfold at one half and
at three quarters of the training, whatever its length; CIFAR10 is not flipped, as for no method
here. Greying changes nothing on grey images (MNIST, FMNIST).
"""

import torch
from torch import Tensor

from ygan_study.methods.baseline import Baseline, descend
from ygan_study.methods.unet import Contracting, Expanding

TURNS = range(4)  # quarter turns
LEARNING_RATE, MOMENTUM = 0.1, 0.9


def erase(x: Tensor, turns: int) -> Tensor:
    """x (B, C, S, S) -> (B, 1, S, S), greyed and turned by `turns` times 90 degrees."""
    return x.mean(dim=1, keepdim=True).rot90(turns, dims=(2, 3))


class ARNet(Baseline):
    """A U-Net that restores colour and orientation; the score is its error."""

    title, kind = "ARNet", "PT"
    authors = None  # their schedule was not found

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
        (group,) = self.optimisers["sgd"].param_groups
        group["lr"] = LEARNING_RATE * 0.1 ** sum(p >= mark for mark in (0.5, 0.75))
        # batches are shuffled, so it is random which quarter an image is in
        quarters = [x[turns :: len(TURNS)] for turns in TURNS]
        erased = torch.cat([erase(x, turns) for x, turns in zip(quarters, TURNS, strict=True)])
        loss = (self.restore(erased) - torch.cat(quarters)).square().mean()
        descend(self.optimisers["sgd"], loss)
        return {"L2": loss}

    def errors(self, x: Tensor) -> Tensor:
        """The L1 error of each image after each turn: (B, C, S, S) -> (B, 4)."""
        restored = [self.restore(erase(x, turns)) for turns in TURNS]
        return torch.stack([(y - x).abs().mean(dim=(1, 2, 3)) for y in restored], dim=1)

    def finish(self, images: Tensor) -> None:
        errors = torch.cat([self.errors(x) for x in self.inputs(images)])
        self.register_buffer("usual", errors.mean(dim=0))

    def score_batch(self, x: Tensor) -> Tensor:
        return (self.errors(x) / self.usual).mean(dim=1)
