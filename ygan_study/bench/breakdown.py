"""The breakdown table: the time of a training step, by kind of operator."""

from __future__ import annotations

import pandas as pd
from torch.autograd import DeviceType
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function

from ygan_core.config import Config
from ygan_study.bench.extent import OURS, PRECISIONS, Extent
from ygan_study.bench.loops import loop

# A part of an operator's name, and the kind of the operator. The first part that the name contains decides.
KINDS = {
    "convolutionbackward": "convolution, backward",
    "conv": "convolution, forward",
    "batchnorm": "batch norm",
    "optimizer.": "optimiser",
    "foreachlerp": "averaged weights",
    "tocopy": "change of precision",
    "aten::to": "change of precision",
}
REST = "rest"


def breakdown(extent: Extent, device: str) -> pd.DataFrame:
    """Milliseconds of a training step by kind of operator, and their share of the step, from a profile of our loop.

    On a GPU this is the time of its kernels. The profiled steps are eager there: a captured graph has no operators to name.
    """
    cuda = device == "cuda"
    activities = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * cuda]
    rows = []
    for precision in PRECISIONS:
        options = dict(captured=False) if cuda else {}
        trainer = loop(
            (OURS, precision), Config(width=extent.widths[-1]), extent.steps, device, **options
        )
        trainer.epoch()
        with (
            profile(activities=activities) as profiled,
            record_function("epoch"),
        ):  # its own time is Python's, so it is rest
            trainer.epoch()
        spent = dict.fromkeys([*KINDS.values(), REST], 0.0)  # in microseconds
        for event in profiled.events():
            if event.device_type == DeviceType.CPU:
                spent[_kind(event)] += (
                    event.self_device_time_total if cuda else event.self_cpu_time_total
                )
        for kind, microseconds in spent.items():
            row = {"kind": kind, "precision": precision, "width": trainer.config.width}
            rows.append(
                row
                | {
                    "ms_per_step": microseconds / extent.steps / 1e3,
                    "share": microseconds / sum(spent.values()),
                }
            )
    return pd.DataFrame(rows)


def _kind(event: FunctionEvent) -> str:
    """The kind of an operator: that of the outermost operator around it which has one."""
    kind = REST
    while event:
        name = event.name.lower().replace("_", "")
        kind = next((found for part, found in KINDS.items() if part in name), kind)
        event = event.cpu_parent
    return kind
