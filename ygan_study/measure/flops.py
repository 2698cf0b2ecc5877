"""What a training costs in floating-point operations, counted by PyTorch in a few steps.

Only matrix products and convolutions are counted.
"""

import contextlib
import functools
import io
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from ygan_study.engine.threads import one_thread
from ygan_study.methods import method_of, trainer_of

PFLOP = 1e15
FEW = 4  # images a step
STEPS = 20  # of a baseline, from first to last: some change what they train on the way


def training_operations(settings, images: int) -> float:
    """Floating-point operations of a whole training on so many images, forward and backward.

    With what a baseline computes at its end, but without the ImageNet features of weak labels.
    """
    s = settings
    channels = 1 if s.dataset in ("mnist", "fmnist") else 3
    # What does not matter is set to one value, so that trainings of equal cost are counted once.
    alike = replace(s, seed=0, split_seed=0, held_out=min(s.held_out, 0), stand_in=-1)
    epochs = STEPS if method_of(s).is_baseline else 1
    alike = replace(alike, labels="true", batch_size=FEW, epochs=epochs)
    each, last = _per_image(alike, channels)
    seen = s.epochs * (images // s.batch_size) * s.batch_size
    return each * seen + last * images


@functools.cache
def _per_image(settings, channels: int) -> tuple[float, float]:
    """Operations for a training image: each time that it is seen, and once at the end."""
    shape = (FEW, channels, settings.image_size, settings.image_size)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    trainer = trainer_of(settings)
    if not method_of(settings).is_baseline:
        with one_thread():
            return counted(trainer(settings, images, torch.arange(FEW) % 9).epoch) / FEW, 0.0
    with one_thread(), contextlib.redirect_stdout(io.StringIO()):
        baseline = trainer(settings)
        both, last = counted(lambda: baseline.fit(images)), counted(lambda: baseline.finish(images))
        return (both - last) / (FEW * STEPS), last / FEW


def counted(act: Callable[[], object]) -> int:
    """The floating-point operations that PyTorch counts while `act` runs."""
    with torch.enable_grad(), FlopCounterMode(display=False) as counter:
        act()
    return counter.get_total_flops()
