"""The loop over the epochs of a training, which can be stopped at any moment and resumed."""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import nn
from tqdm.auto import tqdm

from ygan_core.checkpoints import load_newest, save_state
from ygan_core.config import ConfigError
from ygan_core.data.datasets import sha256


@dataclass
class Epoch:
    """What a callback receives after an epoch. losses: what `Trainer.epoch` returned."""

    number: int  # from 1
    of: int
    losses: dict[str, float]
    model: nn.Module


Callback = Callable[[Epoch], None]


def fit(
    trainer,
    folder: Path | None = None,
    callbacks: Iterable[Callback] = (),
    title: str | None = "training",
    measure: Callable[..., dict[str, float]] = lambda trainer: {},
) -> None:
    """Let a Trainer train to the end, from the newest good checkpoint in `folder` if there is one.

    After every epoch, what `measure` returns is added to the losses, a checkpoint is written (the
    newest two are kept), and the callbacks are called. A notebook or a terminal shows a progress
    bar, other outputs a line per epoch; without a title nothing is shown. Raises ConfigError where
    the checkpoint belongs to another training.
    """
    config = trainer.config
    identity = {}
    if folder:
        identity = {"config": asdict(config), "images": sha256(trainer.images.cpu())}
        if state := load_newest(folder, {*identity, *trainer.state_dict()}):
            # A setting that an older checkpoint lacks has its default.
            settings = {**asdict(type(config)()), **state["config"]}
            if {"config": settings, "images": state["images"]} != identity:
                made = "was made with other settings or other images, or by an earlier version"
                raise ConfigError(
                    f"the checkpoint in {folder} {made}: remove it, or choose another folder"
                )
            trainer.load_state_dict(state)
    epochs, first, start = config.epochs, len(trainer.history), time.perf_counter()
    length = {"total": epochs * trainer.steps, "initial": first * trainer.steps}
    with tqdm(**length, desc=title, unit=" batch", disable=None if title else True) as bar:
        for number in range(first + 1, epochs + 1):
            means = trainer.epoch(bar.update)
            shown = {name: f"{means[name]:.3f}" for name in means if name.startswith("L_")}
            means.update(measure(trainer))
            if folder:
                save_state({**identity, **trainer.state_dict()}, folder, number)
            bar.set_postfix(epoch=f"{number}/{epochs}", **shown)
            if title and bar.disable:
                left = (time.perf_counter() - start) / (number - first) * (epochs - number) / 60
                values = "  ".join(f"{name} {value}" for name, value in shown.items())
                place = f"epoch {number}/{epochs}"
                print(f"{title}: {place}  {values}  {left:.1f} min left", flush=True)
            for callback in callbacks:
                callback(Epoch(number, epochs, means, trainer.model))
