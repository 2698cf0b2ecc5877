"""What a training costs in floating-point operations, counted by PyTorch in a few steps: matrix products and convolutions."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from ygan_core.config import Config
from ygan_core.train import Trainer
from ygan_study.engine.threads import one_thread
from ygan_study.methods import BASELINES
from ygan_study.methods.public_code import DEVIATIONS

PFLOP = 1e15
FEW = 4  # images a step
STEPS = 20  # of a baseline, from the first to the last: some change what they train on the way


def training_operations(config: Config, images: int) -> float:
    """Floating-point operations of a whole training on so many images: forward, backward, and what a baseline does at its end.

    Left out: what is no matrix product and no convolution, and the ImageNet features that weak labels are made of.
    """
    channels = 1 if config.dataset in ("mnist", "fmnist") else 3
    # What an operation count does not depend on is set to one value, so that trainings that cost the same are counted once.
    alike = replace(
        config,
        seed=0,
        split_seed=0,
        held_out=min(config.held_out, 0),
        stand_in=-1,
        labels="true",
        batch_size=FEW,
    )
    each, last = _an_image(
        replace(alike, epochs=STEPS if config.method in BASELINES else 1), channels
    )
    seen = config.epochs * (images // config.batch_size) * config.batch_size
    return each * seen + last * images


@functools.cache
def _an_image(config: Config, channels: int) -> tuple[float, float]:
    """Operations for a training image: every time that it is seen, and once at the end."""
    random = torch.Generator().manual_seed(0)
    images = torch.randint(
        256,
        (FEW, channels, config.image_size, config.image_size),
        dtype=torch.uint8,
        generator=random,
    )
    with one_thread(), contextlib.redirect_stdout(io.StringIO()):
        if config.method not in BASELINES:
            trainer = DEVIATIONS.get(config.deviation, Trainer)(
                config, images, torch.arange(FEW) % 9
            )
            return counted(trainer.epoch) / FEW, 0.0
        baseline = BASELINES[config.method](config)
        both, last = counted(lambda: baseline.fit(images)), counted(lambda: baseline.finish(images))
        return (both - last) / (FEW * STEPS), last / FEW


def counted(act: Callable[[], object]) -> int:
    """The floating-point operations that PyTorch counts while something is done."""
    with torch.enable_grad(), FlopCounterMode(display=False) as counter:
        act()
    return counter.get_total_flops()
