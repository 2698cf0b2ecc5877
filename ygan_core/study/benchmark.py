"""What Y-GAN costs on this machine: `python -m ygan_core.study benchmark`.

Our training stands beside a plain loop of the same equations and beside the machine's own matrix product. What is compared
takes turns, so that whatever else the machine is doing slows all of it alike: a figure is the median over the turns, with the
lowest and the highest next to it, and a ratio is one of runs in the same turn.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import platform
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from joblib import cpu_count
from torch import Tensor
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.flop_counter import FlopCounterMode

from ygan_core import losses
from ygan_core.checkpoints import write_atomically
from ygan_core.config import Config
from ygan_core.model import Encoder, LatentClassifier, running_statistics_untouched
from ygan_core.scores import s, to_input
from ygan_core.study.benchmark_authors import authors_step
from ygan_core.study.figures.base import STYLE
from ygan_core.study.jobs import provenance, resolve_device
from ygan_core.train import Trainer, build

PRECISIONS = ("float32", "bfloat16")
PLAIN, OURS, PRODUCT = ("plain loop", "float32"), "ours", "matrix product"
PAPER_MS = {(32, 64, 1): 2.6, (256, 64, 1): 13.5}  # image size, width, batch (section 4.3: RTX 2080 Ti and i7-8700K)
COLOURS = dict(zip(("float32", "tf32", "bfloat16"), sns.color_palette("colorblind"), strict=False))


@dataclass(frozen=True)
class Extent:
    """How much is measured: what the tables hold, and how long their figures are gathered."""

    widths: tuple[int, ...]  # of the training table
    base: Config  # what the cost curves start from, changing one setting at a time
    curves: dict[str, tuple[int, ...]]
    inference: tuple[tuple[int, int], ...]  # image size, batch size
    inference_width: int
    alone: tuple[tuple[str, str], ...]  # what is trained in processes of its own
    steps: int  # of a turn
    product: int  # the side of the square matrices
    rounds: int  # at least so many turns, and
    seconds: float  # at least so long


BATCHES, WIDTHS, SIZES = (16, 32, 64, 128, 256), (8, 16, 32, 64), (32, 64, 128)
CURVES = {"batch_size": BATCHES, "width": WIDTHS, "image_size": SIZES}
SCORED = ((32, 1), (32, 64), (256, 1), (256, 16))
ALONE = (PLAIN, *((OURS, precision) for precision in PRECISIONS))
EXTENTS = {
    "cpu": Extent((16, 32, 64), Config(width=16), CURVES, SCORED, 64, ALONE, 2, 2048, 5, 15),
    "cuda": Extent((16, 32, 64), Config(), CURVES, (*SCORED, (32, 1024)), 64, ALONE, 100, 8192, 5, 10),
    "quick": Extent((8,), Config(width=8), {"batch_size": (8, 16), "width": (8,)}, ((32, 1),), 8, ALONE[1:2], 1, 128, 2, 0),
}


class Plain:
    """Eq. 1 to 11 as they stand, in the plainest PyTorch: what ours is measured against.

    float32 and NCHW; a pass of Ds for each of the two updates; losses read at every step; Adam parameter by parameter.
    Images uint8 (n, C, S, S), labels (n,).
    """

    def __init__(self, config: Config, images: Tensor, labels: Tensor, device: str):
        self.config = config
        self.x, self.y = to_input(images).to(device), labels.to(device)
        self.model = build(config, images.shape[1], int(labels.max()) + 1).to(device).train()
        adam = dict(lr=config.lr, betas=(config.beta_1, config.beta_2), foreach=False, fused=False)
        self.adam_G = torch.optim.Adam(self.model.generator_parameters(), **adam)
        self.adam_D = torch.optim.Adam(self.model.discriminator_parameters(), **adam)

    def epoch(self) -> list[list[float]]:
        """Every image once, in a fresh order; the losses of each step."""
        batches = torch.randperm(len(self.x)).split(self.config.batch_size)
        lambdas_R = (losses.lambda_R(step / len(batches)) for step in range(len(batches)))
        return [
            self.step(self.x[batch], self.y[batch], torch.randperm(len(batch)), lambda_R)
            for batch, lambda_R in zip(batches, lambdas_R, strict=True)
        ]

    def step(self, x: Tensor, y: Tensor, partner: Tensor, lambda_R: float) -> list[float]:
        """The generator's update, then the discriminator's. Shapes and result as for `Trainer.step`, as numbers."""
        cfg, model = self.config, self.model

        z_s, z_r, x_hat, logits_s = model(x)
        logits_r = model.C(losses.R(z_r, lambda_R))
        _, f_x = model.Ds(x)
        _, f_x_hat = model.Ds(x_hat)
        with running_statistics_untouched(model.D, model.E_s):
            z_s_hybrid = model.E_s(model.D(z_s, z_r[partner]))
        L_rec, L_adv = losses.L_rec(x, x_hat), losses.L_adv(f_x, f_x_hat)
        L_s, L_r = losses.L_s(logits_s, y), losses.L_r(logits_r, y)
        L_con = losses.L_con(z_s, z_s_hybrid)
        L_G = cfg.lambda_1 * L_rec + cfg.lambda_2 * L_adv + cfg.lambda_3 * L_s + cfg.lambda_4 * L_r + cfg.lambda_5 * L_con
        self.adam_G.zero_grad()
        L_G.backward()
        self.adam_G.step()

        logit_x, _ = model.Ds(x)
        logit_x_hat, _ = model.Ds(x_hat.detach())
        L_bce = losses.L_bce(logit_x, logit_x_hat)
        self.adam_D.zero_grad()
        losses.L_D(L_bce, cfg.lambda_6).backward()
        self.adam_D.step()
        return [loss.item() for loss in (L_rec, L_adv, L_s, L_r, L_con, L_bce)]


def loop(
    what: tuple[str, str], config: Config, steps: int, device: str, kind: type[Trainer] = Trainer, **options
) -> Plain | Trainer:
    """The plain loop, or ours in a precision, over random images of nine classes."""
    random = torch.Generator().manual_seed(0)
    shape = (steps * config.batch_size, 3, config.image_size, config.image_size)
    images, labels = torch.randint(256, shape, dtype=torch.uint8, generator=random), torch.arange(shape[0]) % 9
    return Plain(config, images, labels, device) if what == PLAIN else kind(config, images, labels, device, what[1], **options)


def seconds(run: Callable[[], object]) -> float:
    """What `run` takes, with all that it leaves to a GPU."""
    wait = torch.cuda.synchronize if torch.cuda.is_initialized() else lambda: None
    wait()
    start = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - start


def take_turns(runs: dict, extent: Extent) -> dict:
    """The seconds of each run (turns,), once each has been run to warm up. runs: {name: callable}."""
    for run in runs.values():
        run()
    start, turns = time.perf_counter(), []
    while len(turns) < extent.rounds or time.perf_counter() - start < extent.seconds:
        turns.append([seconds(run) for run in runs.values()])
    return dict(zip(runs, np.transpose(turns), strict=True))


def spread(name: str, values: np.ndarray) -> dict[str, float]:
    """Median, lowest and highest, as columns."""
    return {name: np.median(values), f"{name}_low": values.min(), f"{name}_high": values.max()}


def matrix_product(side: int, precision: str, device: str) -> Callable[[], object]:
    """A product of two square matrices: 2 side^3 operations. tf32 is how CUDA rounds float32 convolutions by default."""
    a = torch.randn(side, side, device=device, dtype=torch.bfloat16 if precision == "bfloat16" else torch.float32)

    def run() -> None:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        torch.mm(a, a)
        torch.set_float32_matmul_precision(before)

    return run


def operations(what: tuple[str, str], config: Config) -> float:
    """Floating-point operations an image, counted over one real step, forward and backward."""
    small = loop(what, replace(config, batch_size=8), 1, "cpu")
    with FlopCounterMode(display=False) as counter:
        small.epoch()
    return counter.get_total_flops() / 8


def training(extent: Extent, device: str, authors: Path | None) -> pd.DataFrame:
    """Training images/s at each width, against the plain loop and the matrix product of the same precision."""
    rows = []
    for width in extent.widths:
        config = Config(width=width)
        loops = {what: loop(what, config, extent.steps, device) for what in ALONE}
        precisions = PRECISIONS
        if device == "cuda":
            precisions = ("float32", "tf32", "bfloat16")
            for precision in PRECISIONS:
                eager = loop((OURS, precision), config, extent.steps, device, captured=False)
                loops["ours, not captured", precision] = eager
        runs = {what: trained.epoch for what, trained in loops.items()}
        amount = dict.fromkeys(runs, extent.steps * config.batch_size)
        for precision in precisions:
            runs[PRODUCT, precision] = matrix_product(extent.product, precision, device)
        if authors and width == 64:  # the only width that it has
            x, y = loops[PLAIN].x[: config.batch_size], loops[PLAIN].y[: config.batch_size]
            name = "authors' code, {} permutations"
            runs[name.format(1), "float32"] = authors_step(authors, x, y, permutations=1)
            amount[name.format(1), "float32"] = len(x)
        took = take_turns(runs, extent)
        if authors and width == 64:  # a hundred times a step of ours: once must do
            took[name.format(64), "float32"] = np.array([seconds(authors_step(authors, x, y, permutations=64))])
            amount[name.format(64), "float32"] = len(x)

        products = {p: 2 * extent.product**3 / took[PRODUCT, p] / 1e9 for p in precisions}
        rate = {what: amount[what] / took[what] for what in amount}
        for what in took:
            row = {"what": what[0], "precision": what[1], "width": width}
            if what[0] == PRODUCT:
                row |= {"GFLOP_per_s": np.median(products[what[1]])}
            else:
                row |= spread("images_per_s", rate[what])
                row |= spread("times_plain", rate[what] / (rate[PLAIN] if len(rate[what]) > 1 else np.median(rate[PLAIN])))
            if what in loops:
                GFLOP_per_s = operations(PLAIN if what == PLAIN else (OURS, what[1]), config) * rate[what] / 1e9
                like = "tf32" if device == "cuda" and what[1] == "float32" else what[1]
                row |= {"GFLOP_per_s": np.median(GFLOP_per_s), "of_product": np.median(GFLOP_per_s / products[like])}
            rows.append(row)
    return pd.DataFrame(rows)


def captured_against_eager(device: str, steps: int = 20, width: int = 16) -> float:
    """The largest relative difference of a loss term between the captured step and the eager one, on the same batches.

    Raises RuntimeError above 1 %: rounding stays far below that over 20 steps, a term left out of the graph does not.
    """
    config = Config(width=width)
    captured, eager = (loop((OURS, "float32"), config, steps, device, captured=graph) for graph in (True, False))
    random, largest = torch.Generator().manual_seed(1), 0.0
    with torch.backends.cudnn.flags(deterministic=True, allow_tf32=False):
        for trainer in (captured, eager):
            trainer.model.train()
        for number in range(steps):
            rows = torch.randperm(len(eager.images), generator=random)[: config.batch_size].to(device)
            partner = torch.randperm(config.batch_size, generator=random).to(device)
            x = to_input(eager.images[rows]).contiguous(memory_format=torch.channels_last)
            batch = (x, eager.labels[rows], partner, torch.tensor(number / steps, device=device))
            ours, theirs = (captured.captured or captured.step)(*batch), eager.step(*batch)
            largest = max(largest, float(((ours - theirs).abs() / (theirs.abs() + 1e-3)).max()))
    if largest > 0.01:
        raise RuntimeError(
            f"the captured step differs from the eager one: by {largest:.2%} of a loss term within {steps} steps"
        )
    return largest


def inference(extent: Extent, device: str) -> pd.DataFrame:
    """Scoring (Eq. 12, by E_s and C): from a uint8 image on the host to its score on the host."""
    config, runs = Config(width=extent.inference_width), {}
    for size, batch in extent.inference:
        E_s, C = Encoder(3, size, config.width, config.d), LatentClassifier(config.d, config.hidden, 9)
        networks = torch.nn.Sequential(E_s, C).eval().to(device, memory_format=torch.channels_last)
        images = torch.zeros(batch, 3, size, size, dtype=torch.uint8)
        runs[size, batch] = lambda n=networks, i=images: s(n(to_input(i.to(device)))).cpu()
    with torch.inference_mode():
        took = take_turns(runs, extent)
    return pd.DataFrame(
        {
            "image_size": size,
            "width": config.width,
            "batch_size": batch,
            **spread("ms_per_image", 1e3 * taken / batch),
            "ms_per_image_paper": PAPER_MS.get((size, config.width, batch), np.nan),
        }
        for (size, batch), taken in took.items()
    )


def cost(extent: Extent, device: str) -> pd.DataFrame:
    """Training images/s of ours against batch size, width and image size, one changed at a time."""
    steps = extent.steps if device == "cuda" else 1
    points = [(key, value, p) for key, values in extent.curves.items() for value in values for p in PRECISIONS]
    loops = {(key, value, p): loop((OURS, p), replace(extent.base, **{key: value}), steps, device) for key, value, p in points}
    took = take_turns({point: trained.epoch for point, trained in loops.items()}, extent)
    rows = []
    for (key, value, precision), taken in took.items():
        config = loops[key, value, precision].config
        settings = {name: getattr(config, name) for name in CURVES}
        speed = spread("images_per_s", steps * config.batch_size / taken)
        rows.append({"against": key, **settings, "precision": precision, **speed})
    return pd.DataFrame(rows)


class ContiguousTrainer(Trainer):
    """Ours in PyTorch's default memory format."""

    def step(self, x: Tensor, *rest: Tensor) -> Tensor:
        self.model.to(memory_format=torch.contiguous_format)
        return super().step(x.contiguous(), *rest)


class ReadTwice(Trainer):
    """Ours with a pass of Ds for each of the two objectives."""

    def adversarial(self, x: Tensor, x_hat: Tensor) -> tuple[Tensor, Tensor]:
        L_adv, _ = super().adversarial(x, x_hat)
        return L_adv, losses.L_bce(self.model.Ds(x)[0], self.model.Ds(x_hat.detach())[0])


class UnfusedAdam(Trainer):
    """Ours with Adam parameter by parameter."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        for optimiser in self.optimisers:
            optimiser.defaults.update(fused=False, foreach=False)
            for group in optimiser.param_groups:
                group.update(fused=False, foreach=False)


class Compiled(Trainer):
    """Ours with its convolutional networks through torch.compile."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        for network in (self.model.E_s, self.model.E_r, self.model.D, self.model.Ds):
            network.compile()


TRIED = {
    "as it is": Trainer,
    "default memory format": ContiguousTrainer,
    "Ds read twice": ReadTwice,
    "Adam parameter by parameter": UnfusedAdam,
    "torch.compile": Compiled,
}


def tried(extent: Extent, device: str) -> pd.DataFrame:
    """Ours with one thing done otherwise: images/s beside ours as it is, and the seconds of the first step.

    torch.compile is worth it where its first step's seconds come back: it needs a C++ compiler, and is left out without one.
    """
    rows = []
    for precision in PRECISIONS:
        loops, first = {}, {}
        for name, kind in TRIED.items():
            if kind is Compiled and extent.rounds < 5:  # half a minute of compiling is no quick look
                continue
            options = {} if device == "cpu" else {"captured": False}
            trainer = loop((OURS, precision), Config(width=extent.widths[-1]), extent.steps, device, kind=kind, **options)
            try:
                first[name] = seconds(trainer.epoch)
                loops[name] = trainer
            except RuntimeError as error:
                if kind is not Compiled:
                    raise
                print(f"torch.compile does not work here: {str(error).splitlines()[0]}")
        took = take_turns({name: trainer.epoch for name, trainer in loops.items()}, extent)
        for name, taken in took.items():
            row = {"what": name, "precision": precision, "width": extent.widths[-1], "first_step_s": first[name] / extent.steps}
            rate = extent.steps * loops[name].config.batch_size / taken
            rows.append(row | spread("images_per_s", rate) | spread("times_as_it_is", took["as it is"] / taken))
    return pd.DataFrame(rows)


def draw_tried(table: pd.DataFrame) -> plt.Figure:
    """How fast ours is with one thing done otherwise, as a multiple of ours as it is."""
    fig, ax = plt.subplots(figsize=(5.5, 2.6))
    table = table[table["what"] != "as it is"]
    sns.barplot(table, y="what", x="times_as_it_is", hue="precision", palette=COLOURS, ax=ax)
    ax.axvline(1, color="grey", lw=0.8, ls="--")
    for bars, (_, rows) in zip(ax.containers, table.groupby("precision", sort=False), strict=True):
        ax.bar_label(bars, [f"{value:.2f}" for value in rows["times_as_it_is"]], fontsize=7, padding=2)
    ax.set(xlabel=f"speed as a multiple of ours as it is, width {table['width'].iloc[0]}", ylabel="")
    ax.legend(title=None)
    return fig


KINDS = {  # an operator's kind is the first of these that is part of its name, or of the outermost operator's around it
    "convolutionbackward": "convolution, backward",
    "conv": "convolution, forward",
    "batchnorm": "batch norm",
    "optimizer.": "optimiser",
    "tocopy": "change of precision",
    "aten::to": "change of precision",
}


def breakdown(extent: Extent, device: str) -> pd.DataFrame:
    """Where a step's time goes, by kind of operator, from a profile: on a GPU, the time of its kernels."""
    cuda = device == "cuda"
    activities = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * cuda]
    rows = []
    for precision in PRECISIONS:
        options = dict(captured=False) if cuda else {}  # a replayed graph has no operators to name
        trainer = loop((OURS, precision), Config(width=extent.widths[-1]), extent.steps, device, **options)
        trainer.epoch()
        with profile(activities=activities) as profiled, record_function("epoch"):  # whose own time is Python's: rest
            trainer.epoch()
        spent = dict.fromkeys([*KINDS.values(), "rest"], 0.0)
        for event in profiled.events():
            if event.device_type == DeviceType.CPU:
                spent[_kind(event)] += event.self_device_time_total if cuda else event.self_cpu_time_total
        for kind, microseconds in spent.items():
            row = {"kind": kind, "precision": precision, "width": trainer.config.width}
            rows.append(row | {"ms_per_step": microseconds / extent.steps / 1e3, "share": microseconds / sum(spent.values())})
    return pd.DataFrame(rows)


def _kind(event) -> str:
    kind = "rest"
    while event:
        name = event.name.lower().replace("_", "")
        kind = next((found for part, found in KINDS.items() if part in name), kind)
        event = event.cpu_parent
    return kind


def side_by_side(extent: Extent, device: str) -> pd.DataFrame:
    """Images/s of several trainings at once, each in a process of its own, and the peak memory of each (MB).

    Memory is the process's on a CPU, of which `MB_before` is Python and PyTorch, and what PyTorch allocated on a GPU.
    """
    cores = cpu_count()
    several = [(n, 1) for n in (1, 2, 4, 8) if device == "cuda" or n <= cores]
    if device == "cpu" and cores > 1:
        several.append((1, cores))
    config, rows = Config(width=extent.widths[-1]), []
    for what in extent.alone:
        for processes, threads in several[:1] if what == PLAIN or extent.rounds < 5 else several:
            context = multiprocessing.get_context("spawn")
            started = (context.Barrier(processes), threads)
            with ProcessPoolExecutor(processes, context, initializer=_start, initargs=started) as pool:
                asked = [pool.submit(_train_alone, what, config, extent, device) for _ in range(processes)]
                rates, before, peak = np.transpose([answer.result() for answer in asked])
            row = {
                "what": what[0],
                "precision": what[1],
                "width": config.width,
                "processes": processes,
                "threads_each": threads,
            }
            rows.append(row | {"images_per_s": rates.sum(), "MB_peak": peak.max(), "MB_before": before.max()})
    return pd.DataFrame(rows)


def _start(barrier, threads: int) -> None:
    global _everyone
    _everyone = barrier
    torch.set_num_threads(threads)


def _train_alone(what: tuple[str, str], config: Config, extent: Extent, device: str) -> tuple[float, float, float]:
    before, turns = _peak_memory(device), 0
    trained = loop(what, config, extent.steps, device)
    trained.epoch()
    _everyone.wait(600)
    start = time.perf_counter()
    while (took := time.perf_counter() - start) < extent.seconds / 4 or not turns:
        seconds(trained.epoch)
        turns += 1
    return turns * extent.steps * config.batch_size / took, before, _peak_memory(device)


def _peak_memory(device: str) -> float:
    """In MB; not known for a process that is not Linux's."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    with contextlib.suppress(OSError):  # not getrusage: there a child starts from its parent's peak
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))
    return np.nan


def draw_training(table: pd.DataFrame) -> plt.Figure:
    """Training images/s, a panel a width, with what the turns ranged over."""
    table = table[table["images_per_s"].notna()]
    groups = table.groupby("width")
    fig, axes = plt.subplots(len(groups), 1, figsize=(5.5, 0.5 + 0.9 * len(groups)), squeeze=False)
    for ax, (width, rows) in zip(axes.flat, groups, strict=True):
        names = rows["what"] + ", " + rows["precision"]
        error = (rows["images_per_s"] - rows["images_per_s_low"], rows["images_per_s_high"] - rows["images_per_s"])
        ax.barh(names, rows["images_per_s"], xerr=error, color=rows["precision"].map(COLOURS), error_kw={"lw": 0.8})
        ax.invert_yaxis()
        ax.set_title(f"width {width}", loc="left")
    axes[-1, 0].set_xlabel("training images/s")
    return fig


def draw_cost(table: pd.DataFrame) -> plt.Figure:
    """Training images/s against batch size, width and image size."""
    groups = table.groupby("against", sort=False)
    fig, axes = plt.subplots(1, len(groups), figsize=(3 * len(groups), 2.6), squeeze=False, sharey=True)
    for ax, (key, group) in zip(axes.flat, groups, strict=True):
        for precision, rows in group.groupby("precision", sort=False):
            ax.plot(rows[key], rows["images_per_s"], marker="o", ms=3, color=COLOURS[precision], label=precision)
            ax.fill_between(
                rows[key], rows["images_per_s_low"], rows["images_per_s_high"], color=COLOURS[precision], alpha=0.2, lw=0
            )
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.set_xticks(group[key].unique(), group[key].unique())
        ax.set_xlabel(key.replace("_", " "))
    axes[0, 0].set_ylabel("training images/s")
    axes[0, 0].legend()
    return fig


def draw_breakdown(table: pd.DataFrame) -> plt.Figure:
    """Milliseconds of a step by kind of operator."""
    fig, ax = plt.subplots(figsize=(5.5, 2.8))
    sns.barplot(table, y="kind", x="ms_per_step", hue="precision", palette=COLOURS, ax=ax)
    for bars, (_, rows) in zip(ax.containers, table.groupby("precision", sort=False), strict=True):
        ax.bar_label(bars, [f"{share:.0%}" for share in rows["share"]], fontsize=7, padding=2)
    ax.set(xlabel=f"ms of a step, width {table['width'].iloc[0]}, batch {Config.batch_size}", ylabel="")
    ax.legend(title=None)
    return fig


def machine(device: str, threads: int) -> dict:
    """What it was measured on."""
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    gpu = torch.cuda.get_device_name() if device == "cuda" else ""
    return {"cpu": cpu, "cores": cpu_count(), "threads": threads, "gpu": gpu, **provenance()}


def benchmark(folder: Path, device: str = "auto", authors: Path | None = None, quick: bool = False, threads: int = 1) -> None:
    """Measure, print the tables, and leave each in `folder` as a CSV, with pictures and machine.json.

    device: auto, cpu or cuda; authors: a checkout of the authors' public code, timed too; quick: a few seconds, for a look;
    threads: of a training on the CPU.
    """
    device = resolve_device(device, "paper")
    extent, threads_before = EXTENTS["quick" if quick else device], torch.get_num_threads()
    if authors:  # a wrong folder is refused now, not minutes later
        authors_step(authors, torch.zeros(2, 3, 32, 32), torch.arange(2), permutations=1)
    torch.set_num_threads(threads)
    about = machine(device, threads) | {"quick": quick}
    name = f"{about['gpu'] or about['cpu']}, {about['cores']} cores, {threads} threads, torch {about['versions']['torch']}"
    measured = {
        "training": ("Training, 32 px, batch 64", lambda: training(extent, device, authors), draw_training),
        "inference": ("Scoring an image", lambda: inference(extent, device), None),
        "cost": ("What it costs to train with other settings", lambda: cost(extent, device), draw_cost),
        "breakdown": ("Where the time of a step goes", lambda: breakdown(extent, device), draw_breakdown),
        "tried": ("Ours with one thing done otherwise", lambda: tried(extent, device), draw_tried),
        "processes": ("Trainings side by side, and their memory", lambda: side_by_side(extent, device), None),
    }
    print(name)
    if device == "cuda":
        print(f"captured step against eager, 20 steps: loss terms differ by {captured_against_eager(device):.2e} at the most")
    try:
        for key, (title, measure, draw) in measured.items():
            table = measure().assign(machine=name)
            shown = table.drop(columns="machine").to_string(index=False, float_format="{:.4g}".format, na_rep="")
            print(f"\n{title}\n{shown}", flush=True)
            write_atomically(folder / f"{key}.csv", lambda p, t=table: t.to_csv(p, index=False, float_format="%.6g"))
            if draw:
                with plt.style.context(STYLE):
                    fig = draw(table)
                    write_atomically(folder / f"{key}.png", fig.savefig)
                plt.close(fig)
        write_atomically(folder / "machine.json", lambda p: p.write_text(json.dumps(about, indent=2) + "\n"))
    finally:
        torch.set_num_threads(threads_before)
