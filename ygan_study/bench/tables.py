"""What is measured, a table each: training, inference, cost, breakdown, tried."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.benchmark import Timer

from ygan_core.model import Encoder, LatentClassifier
from ygan_core.scores import s, to_input
from ygan_study.bench import loops
from ygan_study.bench.authors import authors_step
from ygan_study.bench.loops import Plain, loop, random_images
from ygan_study.engine import Trainer
from ygan_study.engine.precision import PRECISIONS
from ygan_study.measure.flops import counted
from ygan_study.plan.settings import Settings

OURS = "ours"
# Milliseconds by image size, width and batch size on an RTX 2080 Ti and an i7-8700K (section 4.3).
PAPER_MS = {(32, 64, 1): 2.6, (256, 64, 1): 13.5}
# The kind of an operator, by the first of these parts that its name contains.
KINDS = {
    "convolution_backward": "convolution, backward",
    "conv": "convolution, forward",
    "batch_norm": "batch norm",
    "adam": "optimiser",
    "foreach_lerp": "averaged weights",
    "copy_": "copies and changes of precision",
    "": "rest",
}
TRIED = {
    "as it is": Trainer,
    "default memory format": loops.Contiguous,
    "Ds read twice": loops.ReadTwice,
    "Adam parameter by parameter": loops.UnfusedAdam,
    "torch.compile": loops.Compiled,
}
COSTS = {
    "batch_size": (16, 32, 64, 128, 256),
    "width": (8, 16, 32, 64),
    "image_size": (32, 64, 128),
}
SCORED = (32, 1), (32, 64), (256, 1), (256, 16)  # image size, batch size


@dataclass(frozen=True)
class Extent:
    """What is measured, and for how long."""

    widths: tuple[int, ...] = (16, 32, 64)  # `cost` takes the first one, the others the last
    precisions: tuple[str, ...] = ("float32", "bfloat16")
    steps: int = 2  # training steps in an epoch
    side: int = 2048  # rows, and columns, of the matrices that are multiplied
    turns: int = 5
    seconds: float = 0.5  # of a run in a turn, at least
    quick: bool = False  # leaves out what takes long


CPU = Extent()
CUDA = Extent(precisions=PRECISIONS, steps=50, side=8192, turns=3)
QUICK = Extent(widths=(8,), steps=1, side=512, turns=2, seconds=0, quick=True)


@dataclass(frozen=True)
class Run:
    """What is timed: a call that processes so many images."""

    what: str
    precision: str
    config: Settings
    images: float
    call: Callable[[], object]


def training_run(
    what: str, kind: type[Trainer], precision: str, config: Settings, extent: Extent, device: str
) -> Run:
    """An epoch of a training loop on random images. On CUDA ours is one captured graph a step."""
    captured = what == OURS
    trainer = loop(kind, config, extent.steps, device, precision, captured=captured)
    return Run(what, precision, config, len(trainer.images), trainer.epoch)


def speeds(runs: list[Run], extent: Extent) -> np.ndarray:
    """Images per second of each run in each turn: (runs, turns). In a turn the runs are timed one
    after the other, each after a warm-up and with the work that it leaves to a GPU."""
    threads = torch.get_num_threads()
    timers = [Timer("call()", globals={"call": run.call}, num_threads=threads) for run in runs]
    seconds = [
        [timer.blocked_autorange(min_run_time=extent.seconds).median for timer in timers]
        for _ in range(extent.turns)
    ]
    return np.array([[run.images] for run in runs]) / np.transpose(seconds)


def spread(name: str, values: np.ndarray) -> dict[str, float]:
    """The columns of a figure: its median, lowest and highest value over the turns."""
    return {name: np.median(values), f"{name}_low": values.min(), f"{name}_high": values.max()}


def rows(runs: list[Run], speed: np.ndarray, **ratios: list[int]) -> pd.DataFrame:
    """A row a run. ratios: of each further column the runs whose speed each run's is divided by."""
    table = []
    for i, run in enumerate(runs):
        row = {"what": run.what, "precision": run.precision, "width": run.config.width}
        row |= spread("images_per_s", speed[i])
        for name, by in ratios.items():
            row |= spread(name, speed[i] / speed[by[i]])
        table.append(row)
    return pd.DataFrame(table)


def training(extent: Extent, device: str) -> pd.DataFrame:
    """Training images per second at each width, as a multiple of the plain loop's (times_plain) and
    of what the machine's matrix product would reach in the same precision (of_product), if it did
    the operations of a training image.
    """
    tables = []
    for width in extent.widths:
        config = Settings(width=width)
        operations = counted(loop(Trainer, replace(config, batch_size=8)).epoch) / 8
        runs = [training_run("plain loop", Plain, "float32", config, extent, device)]
        for precision in extent.precisions:
            for what in (OURS, "ours, not captured")[: 2 if device == "cuda" else 1]:
                runs.append(training_run(what, Trainer, precision, config, extent, device))
        product = {}
        for precision in extent.precisions:
            dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
            a = torch.randn(extent.side, extent.side, device=device, dtype=dtype)
            images, call = 2 * extent.side**3 / operations, partial(_multiply, a, precision)
            product[precision] = len(runs)
            runs.append(Run("matrix product", precision, config, images, call))
        of = [product[run.precision] for run in runs]
        speed = speeds(runs, extent)
        tables.append(rows(runs, speed, times_plain=[0] * len(runs), of_product=of))
    return pd.concat(tables, ignore_index=True)


def authors_speed(folder: Path, extent: Extent, device: str) -> pd.DataFrame:
    """Training images per second of the authors' public code in `folder`, beside the plain loop.

    With its default of 64 permutations a step takes a hundred times as long as ours, so there is
    one turn. A quick look leaves it out.
    """
    config = Settings(width=64)  # the authors' code has no other width
    runs = [training_run("plain loop", Plain, "float32", config, extent, device)]
    images, labels = random_images(config.batch_size, config.image_size)
    for permutations in (1,) if extent.quick else (1, 64):
        x, what = to_input(images).to(device), f"authors' code, {permutations} permutations"
        step = authors_step(folder, x, labels.to(device), permutations)
        runs.append(Run(what, "float32", config, config.batch_size, step))
    return rows(runs, speeds(runs, replace(extent, turns=1)), times_plain=[0] * len(runs))


def _multiply(a: torch.Tensor, precision: str) -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.mm(a, a)
    torch.set_float32_matmul_precision(before)


def inference(extent: Extent, device: str) -> pd.DataFrame:
    """Milliseconds for an image, from uint8 on the host to its score (Eq. 12) on the host, by E_s
    and C; and what the paper reports for this size and batch, if anything."""

    @torch.inference_mode()
    def score(networks: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
        return s(networks(to_input(images.to(device)))).cpu()

    width, runs, scored = extent.widths[-1], [], SCORED[:1] if extent.quick else SCORED
    for size, batch in scored:
        config = Settings(width=width, image_size=size)
        E_s, C = Encoder(3, size, width, config.d), LatentClassifier(config.d, config.hidden, 9)
        networks = torch.nn.Sequential(E_s, C).eval()
        networks.to(device, memory_format=torch.channels_last)
        call = partial(score, networks, random_images(batch, size)[0])
        runs.append(Run("E_s and C", "float32", config, batch, call))
    table = pd.DataFrame(scored, columns=["image_size", "batch_size"]).assign(width=width)
    table = table.join(pd.DataFrame(spread("ms_per_image", 1e3 / t) for t in speeds(runs, extent)))
    paper = [PAPER_MS.get((size, width, batch), np.nan) for size, batch in scored]
    return table.assign(ms_per_image_paper=paper)


def cost(extent: Extent, device: str) -> pd.DataFrame:
    """Training images per second of our loop where one setting is changed."""
    base = Settings(width=extent.widths[0])
    points = [
        (key, replace(base, **{key: value}), precision)
        for key, values in COSTS.items()
        for value in values[: 2 if extent.quick else None]
        for precision in extent.precisions
    ]
    runs = [
        training_run(OURS, Trainer, precision, config, extent, device)
        for _, config, precision in points
    ]
    changed = [(key, getattr(config, key)) for key, config, _ in points]
    found = rows(runs, speeds(runs, extent)).drop(columns=["what", "width"])
    return pd.DataFrame(changed, columns=["setting", "value"]).join(found)


def breakdown(extent: Extent, device: str) -> pd.DataFrame:
    """Milliseconds of a training step by kind of operator, and their share of the step.

    On a GPU this is the time of its kernels, in eager steps: a captured one names no operators.
    """
    own_time = "self_device_time_total" if device == "cuda" else "self_cpu_time_total"
    activities = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * (device == "cuda")]
    tables = []
    for precision in extent.precisions:
        config = Settings(width=extent.widths[-1])
        trainer = loop(Trainer, config, extent.steps, device, precision, captured=False)
        trainer.epoch()
        with profile(activities=activities) as profiled:
            trainer.epoch()
        spent = dict.fromkeys(KINDS.values(), 0.0)  # in microseconds
        for event in profiled.key_averages():
            if event.device_type == torch.autograd.DeviceType.CPU:
                kind = next(kind for part, kind in KINDS.items() if part in event.key.lower())
                spent[kind] += getattr(event, own_time)
        table = pd.DataFrame({"kind": list(spent), "precision": precision, "width": config.width})
        table["ms_per_step"] = np.array(list(spent.values())) / extent.steps / 1e3
        tables.append(table.assign(share=table["ms_per_step"] / table["ms_per_step"].sum()))
    return pd.concat(tables, ignore_index=True)


def tried(extent: Extent, device: str) -> pd.DataFrame:
    """Training images per second of our loop with one thing done in another way, and as a multiple
    of our loop as it is. first_s: the seconds of the first epoch, in which compiling happens.

    Compiling needs a C++ compiler: without one its row is left out, and a line is printed. A quick
    look leaves it out too.
    """
    config, tables = Settings(width=extent.widths[-1]), []
    for precision in extent.precisions:
        runs, first = [], []
        for what, kind in list(TRIED.items())[: -1 if extent.quick else None]:
            run, start = training_run(what, kind, precision, config, extent, device), time.time()
            try:
                run.call()
            except RuntimeError as error:
                if kind is not loops.Compiled:
                    raise
                print(f"torch.compile does not work here: {str(error).splitlines()[0]}")
                continue
            runs.append(run)
            first.append(time.time() - start)
        table = rows(runs, speeds(runs, extent), times_as_it_is=[0] * len(runs))
        tables.append(table.assign(first_s=first))
    return pd.concat(tables, ignore_index=True)
