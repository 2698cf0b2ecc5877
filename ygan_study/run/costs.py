"""What jobs will cost on this machine, from two steps of each kind of training that differs."""

from __future__ import annotations

import contextlib
import functools
import io
import time
from collections.abc import Iterable
from dataclasses import replace

import torch

from ygan_study.engine.threads import one_thread
from ygan_study.methods import BASELINES, method_of, trainer_of
from ygan_study.plan.jobs import Job
from ygan_study.plan.settings import Settings
from ygan_study.run.store import Study

# About how many images a class has, and the share that is trained on.
IMAGES = {
    "full": {
        "color_mnist": 7000,
        "mnist": 7000,
        "fmnist": 7000,
        "cifar10": 6000,
        "plantvillage": 950,
    },
    "starter": {
        "color_mnist": 1000,
        "mnist": 1000,
        "fmnist": 1000,
        "cifar10": 500,
        "plantvillage": 120,
    },
}
TRAINED_ON = 0.8 * 0.95
AS_DEAR = {"fmnist": "mnist", "color_mnist": "cifar10"}  # a step of as many channels


def images_seen(config: Settings) -> float:
    """About how many images a training sees, over all epochs."""
    per_class = config.images_per_class or IMAGES[config.source][config.dataset]
    classes = 10 if config.dataset == "plantvillage" else 9
    trains = method_of(config).trains
    return per_class * classes * TRAINED_ON * (config.epochs if trains else 1)


def costs(study: Study, jobs: Iterable[Job]) -> dict[str, float]:
    """What each job will take on one worker of this machine, in seconds, by id: the training, and something for the rest."""
    with one_thread():
        found = {}
        for job in jobs:
            alike = dict(
                seed=0,
                split_seed=0,
                held_out=min(job.config.held_out, 0),
                stand_in=-1,
                labels="true",
                epochs=2,
            )
            alike |= dict(dataset=AS_DEAR.get(job.config.dataset, job.config.dataset), pixels="all")
            like = replace(job.config, **alike, lr=2e-4, name="paper", source="full")
            try:
                found[job.id] = 3 + images_seen(job.config) * _seconds_per_image(
                    like, study.device, study.precision
                )
            except (
                RuntimeError,
                MemoryError,
            ):  # no memory for two steps, say: the training will tell, and the others go on
                found[job.id] = 3.0
        return found


@functools.cache
def _seconds_per_image(config: Settings, device: str, precision: str) -> float:
    """Of one training image in one epoch. config has two epochs, of a batch each; the second is timed."""
    # What is lost by small batches is little where images are large.
    batch = min(config.batch_size, 256) if config.image_size <= 64 else 8
    config = replace(config, batch_size=batch)
    channels = 1 if config.dataset in ("mnist", "fmnist") else 3
    random = torch.Generator().manual_seed(0)
    images = torch.randint(
        256,
        (batch, channels, config.image_size, config.image_size),
        dtype=torch.uint8,
        generator=random,
    )
    with contextlib.redirect_stdout(io.StringIO()):
        if config.method not in BASELINES:
            trainer = trainer_of(config)(config, images, torch.arange(batch) % 9, device, precision)
            return [trainer.epoch()["seconds"] for _ in range(2)][-1] / batch
        start = time.perf_counter()
        baseline = trainer_of(config)(config, device).fit(images)
        if baseline.trains:
            return baseline.history[-1]["seconds"] / batch
        baseline.score(images)
        return (time.perf_counter() - start) / batch
