"""What is measured, a table each: training, inference, cost, breakdown, tried, processes."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import cpu_count
from torch import multiprocessing
from torch.profiler import ProfilerActivity, profile
from torch.utils.benchmark import Timer

from ygan_core.model import Encoder, LatentClassifier
from ygan_core.scores import s, to_input
from ygan_study.bench import loops
from ygan_study.bench.authors import authors_model, on_any_device
from ygan_study.bench.loops import Plain, random_images
from ygan_study.engine import Trainer
from ygan_study.engine.precision import PRECISIONS
from ygan_study.measure.flops import counted
from ygan_study.plan.settings import Settings

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
    """What is measured, on which device, and for how long."""

    device: str = "cpu"
    widths: tuple[int, ...] = (16, 32, 64)  # `cost` takes the first one, the others the last
    precisions: tuple[str, ...] = ("float32", "bfloat16")
    steps: int = 2  # training steps in an epoch
    side: int = 2048  # rows, and columns, of the matrices that are multiplied
    turns: int = 5
    seconds: float = 0.5  # of a run in a turn, at least
    quick: bool = False  # leaves out what takes long

    def loop(
        self, kind: type[Trainer], config: Settings, precision: str, captured: bool = False
    ) -> Trainer:
        """A training loop on random images. captured: on CUDA each step as one graph."""
        images, labels = random_images(self.steps * config.batch_size, config.image_size)
        return kind(config, images, labels, self.device, precision, captured)


CPU = Extent()
CUDA = Extent("cuda", precisions=PRECISIONS, steps=50, side=8192, turns=3)
QUICK = Extent(widths=(8,), steps=1, side=512, turns=2, seconds=0, quick=True)
Run = tuple[dict, float, Callable[[], object]]  # what is known of it, images, and a call for these


def epochs(what: str, trainer: Trainer, **about) -> Run:
    """A run of training epochs."""
    run = {"what": what, "precision": trainer.precision, "width": trainer.config.width}
    return {**run, **about}, len(trainer.images), trainer.epoch


def take_turns(runs: list[Run], extent: Extent) -> pd.DataFrame:
    """A row a run and turn: what is known of the run, and its images_per_s.

    In a turn the runs are timed one after the other, on one thread, each after a warm-up and with
    the work that it leaves to a GPU.
    """
    timers = [Timer("call()", globals={"call": call}) for _, _, call in runs]
    rows = []
    for turn in range(extent.turns):
        for (about, images, _), timer in zip(runs, timers, strict=True):
            seconds = timer.blocked_autorange(min_run_time=extent.seconds).median
            rows.append({**about, "turn": turn, "images_per_s": images / seconds})
    return pd.DataFrame(rows)


def times(table: pd.DataFrame, which: str, *by: str) -> pd.Series:
    """The speed of each run as a multiple of the `first` or the `last` one in the same turn, of
    those that are alike in width and in `by`."""
    speed = table.groupby(["width", *by, "turn"])["images_per_s"]
    return table["images_per_s"] / speed.transform(which)


def training(extent: Extent) -> pd.DataFrame:
    """Training images per second at each width, as a multiple of the plain loop's (times_plain) and
    of what the machine's matrix product would reach in the same precision (of_product), if it did
    the operations of a training image.
    """
    tables = []
    for width in extent.widths:
        config = Settings(width=width)
        few = QUICK.loop(Trainer, replace(config, batch_size=8), "float32")  # one step
        operations = counted(few.epoch) / 8
        runs = [epochs("plain loop", extent.loop(Plain, config, "float32"))]
        for precision in extent.precisions:
            runs.append(epochs("ours", extent.loop(Trainer, config, precision, captured=True)))
            if extent.device == "cuda":
                eager = extent.loop(Trainer, config, precision)
                runs.append(epochs("ours, not captured", eager))
            dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
            a = torch.randn(extent.side, extent.side, device=extent.device, dtype=dtype)
            about = {"what": "matrix product", "precision": precision, "width": width}
            runs.append((about, 2 * extent.side**3 / operations, partial(_multiply, a, precision)))
        tables.append(take_turns(runs, extent))
    table = pd.concat(tables, ignore_index=True)
    of_product = times(table, "last", "precision")
    return table.assign(times_plain=times(table, "first"), of_product=of_product)


def authors_speed(folder: Path, extent: Extent) -> pd.DataFrame:
    """Training images per second of the authors' public code in `folder`, beside the plain loop.

    With its default of 64 permutations a step takes a hundred times as long as ours, so there is
    one turn. A quick look leaves it out.
    """
    config = Settings(width=64)  # the authors' code has no other width
    runs = [epochs("plain loop", extent.loop(Plain, config, "float32"))]
    images, labels = random_images(config.batch_size, config.image_size)
    batch = to_input(images).to(extent.device), labels.to(extent.device)
    for permutations in (1,) if extent.quick else (1, 64):
        about = {**runs[0][0], "what": f"authors' code, {permutations} permutations"}
        step = authors_model(folder, *batch, permutations).optimize_params
        runs.append((about, len(images), on_any_device()(step)))
    table = take_turns(runs, replace(extent, turns=1))
    return table.assign(times_plain=times(table, "first"))


def _multiply(a: torch.Tensor, precision: str) -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.mm(a, a)
    torch.set_float32_matmul_precision(before)


def inference(extent: Extent) -> pd.DataFrame:
    """Milliseconds for an image, from uint8 on the host to its score (Eq. 12) on the host, by E_s
    and C; and what the paper reports for this size and batch, if anything."""

    @torch.inference_mode()
    def score(networks: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
        return s(networks(to_input(images.to(extent.device)))).cpu()

    width, runs = extent.widths[-1], []
    for size, batch in SCORED[:1] if extent.quick else SCORED:
        config = Settings(width=width, image_size=size)
        E_s, C = Encoder(3, size, width, config.d), LatentClassifier(config.d, config.hidden, 9)
        networks = torch.nn.Sequential(E_s, C).eval()
        networks.to(extent.device, memory_format=torch.channels_last)
        about = {"image_size": size, "batch_size": batch, "width": width}
        about["ms_per_image_paper"] = PAPER_MS.get((size, width, batch), np.nan)
        runs.append((about, batch, partial(score, networks, random_images(batch, size)[0])))
    table = take_turns(runs, extent)
    return table.assign(ms_per_image=1e3 / table.pop("images_per_s"))


def cost(extent: Extent) -> pd.DataFrame:
    """Training images per second of our loop where one setting is changed."""
    base, runs = Settings(width=extent.widths[0]), []
    for setting, values in COSTS.items():
        few = values[: 2 if extent.quick else None]
        for value, precision in product(few, extent.precisions):
            config = replace(base, **{setting: value})
            trainer = extent.loop(Trainer, config, precision, captured=True)
            runs.append(epochs("ours", trainer, setting=setting, value=value))
    columns = ["setting", "value", "precision", "turn", "images_per_s"]
    return take_turns(runs, extent)[columns]


def breakdown(extent: Extent) -> pd.DataFrame:
    """Milliseconds of a training step by kind of operator, and their share of the step.

    On a GPU this is the time of its kernels, in eager steps: a captured one names no operators.
    """
    cuda, tables = extent.device == "cuda", []
    activities = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * cuda]
    for precision in extent.precisions:
        config = Settings(width=extent.widths[-1])
        trainer = extent.loop(Trainer, config, precision)
        trainer.epoch()
        with profile(activities=activities) as profiled:
            trainer.epoch()
        spent = dict.fromkeys(KINDS.values(), 0.0)
        for event in profiled.key_averages():
            if event.device_type == torch.autograd.DeviceType.CPU:
                kind = next(kind for part, kind in KINDS.items() if part in event.key.lower())
                own = event.self_device_time_total if cuda else event.self_cpu_time_total
                spent[kind] += own / extent.steps / 1e3  # from microseconds
        table = pd.DataFrame({"precision": precision, "width": config.width, "ms_per_step": spent})
        tables.append(table.assign(share=table["ms_per_step"] / table["ms_per_step"].sum()))
    return pd.concat(tables).rename_axis("kind").reset_index()


def tried(extent: Extent) -> pd.DataFrame:
    """Training images per second of our loop with one thing done in another way, and as a multiple
    of our loop as it is. first_s: the seconds of the first epoch, in which compiling happens.

    Compiling needs a C++ compiler: without one its row is left out, and a line is printed. A quick
    look leaves it out too.
    """
    tables = []
    for precision in extent.precisions:
        runs = []
        for what, kind in list(TRIED.items())[: -1 if extent.quick else None]:
            config = Settings(width=extent.widths[-1])
            trainer = extent.loop(kind, config, precision)
            try:
                first = trainer.epoch()["seconds"]
            except RuntimeError as error:
                if kind is not loops.Compiled:
                    raise
                print(f"torch.compile does not work here: {str(error).splitlines()[0]}")
                continue
            runs.append(epochs(what, trainer, first_s=first))
        tables.append(take_turns(runs, extent))
    table = pd.concat(tables, ignore_index=True)
    return table.assign(times_as_it_is=times(table, "first", "precision"))


def processes(extent: Extent) -> pd.DataFrame:
    """Training images per second of all processes together, and the peak memory of the largest, in
    MB: of the process, or on a GPU what PyTorch allocated there. MB_before: before its training."""
    several = [n for n in (1, 2, 4, 8) if extent.device == "cuda" or n <= cpu_count()]
    wanted, table = product(extent.precisions, several), []
    for precision, n in [("float32", 2)] if extent.quick else wanted:
        rates, before, peak = train_together(n, extent, precision)
        row = {"precision": precision, "width": extent.widths[-1], "processes": n}
        row |= {"images_per_s": rates.sum(), "MB_peak": peak.max(), "MB_before": before.max()}
        table.append(row)
    return pd.DataFrame(table)


def train_together(n: int, extent: Extent, precision: str) -> np.ndarray:
    """Images per second, MB before the training, and MB at the peak of each process: (3, n).

    Raises ProcessRaisedException with the traceback of a training that failed; the others end.
    """
    context = multiprocessing.get_context("spawn")
    found, everyone = context.SimpleQueue(), context.Barrier(n)
    multiprocessing.spawn(_train, (everyone, found, extent, precision), n)
    return np.transpose([found.get() for _ in range(n)])


def _train(number, everyone, found, extent: Extent, precision: str) -> None:
    """Train in this process, measured from when every process has trained an epoch to warm up."""
    before = _peak_memory(extent.device)
    config = Settings(width=extent.widths[-1])
    trainer = extent.loop(Trainer, config, precision, captured=True)
    trainer.epoch()
    everyone.wait()
    timer = Timer("epoch()", globals={"epoch": trainer.epoch})
    seconds = timer.blocked_autorange(min_run_time=extent.turns * extent.seconds).mean
    found.put((len(trainer.images) / seconds, before, _peak_memory(extent.device)))


def _peak_memory(device: str) -> float:
    """In MB. On a CPU it is known under Linux only, and NaN elsewhere."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    with contextlib.suppress(OSError):  # getrusage begins in a child with its parent's peak
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))
    return np.nan
