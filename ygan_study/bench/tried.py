"""The table of what was tried: our loop with one thing done in another way."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from ygan_core import losses
from ygan_core.config import Config
from ygan_core.train import Trainer
from ygan_study.bench.extent import OURS, PRECISIONS, Extent
from ygan_study.bench.loops import loop
from ygan_study.bench.timing import seconds, spread, take_turns


class ContiguousTrainer(Trainer):
    """Our loop in PyTorch's default memory format."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.model.to(
            memory_format=torch.contiguous_format
        )  # before the averaged weights are copied from it

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
        for optimiser in self.optimisers:
            optimiser.defaults.update(fused=False, foreach=False)
            for group in optimiser.param_groups:
                group.update(fused=False, foreach=False)


class Compiled(Trainer):
    """Our loop, with its convolutional networks compiled by torch.compile."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        for network in (self.model.E_s, self.model.E_r, self.model.D, self.model.Ds):
            network.compile()


AS_IT_IS = "as it is"
TRIED: dict[str, type[Trainer]] = {
    AS_IT_IS: Trainer,
    "default memory format": ContiguousTrainer,
    "Ds read twice": ReadTwice,
    "Adam parameter by parameter": UnfusedAdam,
    "torch.compile": Compiled,
}


def tried(extent: Extent, device: str) -> pd.DataFrame:
    """Training images per second, the speed as a multiple of our loop as it is, and the seconds of the first step.

    Compiling pays only if the steps after it win back the seconds of the first step. It needs a C++ compiler: without one the
    row is left out, and a line is printed. A quick look leaves it out too, because compiling takes half a minute.
    """
    rows = []
    for precision in PRECISIONS:
        loops, first = {}, {}
        for name, kind in TRIED.items():
            if kind is Compiled and extent.quick:
                continue
            options = {} if device == "cpu" else {"captured": False}
            trainer = loop(
                (OURS, precision),
                Config(width=extent.widths[-1]),
                extent.steps,
                device,
                kind=kind,
                **options,
            )
            try:
                first[name] = seconds(trainer.epoch)
                loops[name] = trainer
            except RuntimeError as error:
                if kind is not Compiled:
                    raise
                print(f"torch.compile does not work here: {str(error).splitlines()[0]}")
        took = take_turns({name: trainer.epoch for name, trainer in loops.items()}, extent)
        for name, taken in took.items():
            row = {
                "what": name,
                "precision": precision,
                "width": extent.widths[-1],
                "first_step_s": first[name] / extent.steps,
            }
            speed = extent.steps * loops[name].config.batch_size / taken
            rows.append(
                row
                | spread("images_per_s", speed)
                | spread("times_as_it_is", took[AS_IT_IS] / taken)
            )
    return pd.DataFrame(rows)
