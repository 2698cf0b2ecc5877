"""Which loops are compared, and how much is measured: on a CPU, on a GPU, and for a quick look."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ygan_core.config import Config

PRECISIONS = ("float32", "bfloat16")
OURS, PRODUCT = "ours", "matrix product"
PLAIN = ("plain loop", "float32")
LOOPS = (
    PLAIN,
    *((OURS, precision) for precision in PRECISIONS),
)  # (what, precision) of each loop that trains


@dataclass(frozen=True)
class Extent:
    """The settings that are measured, and how long each measurement lasts."""

    widths: tuple[int, ...]  # of the training table
    base: Config  # the cost curves change one setting of it at a time
    curves: dict[str, tuple[int, ...]]  # the setting, and the values that it takes
    inference: tuple[tuple[int, int], ...]  # image size, batch size
    inference_width: int
    alone: tuple[tuple[str, str], ...]  # the loops that train in processes of their own
    steps: int  # training steps in a turn
    product: int  # rows, and columns, of the square matrices
    rounds: int  # turns, at least
    seconds: float  # of all turns together, at least
    quick: bool = False  # leaves out what takes long: torch.compile, and several processes at once


CPU = Extent(
    widths=(16, 32, 64),
    base=Config(width=16),
    curves={
        "batch_size": (16, 32, 64, 128, 256),
        "width": (8, 16, 32, 64),
        "image_size": (32, 64, 128),
    },
    inference=((32, 1), (32, 64), (256, 1), (256, 16)),
    inference_width=64,
    alone=LOOPS,
    steps=2,
    product=2048,
    rounds=5,
    seconds=15,
)
CUDA = replace(
    CPU,
    base=Config(),
    inference=(*CPU.inference, (32, 1024)),
    steps=50,
    product=8192,
    rounds=3,
    seconds=3,
)
QUICK = Extent(
    widths=(8,),
    base=Config(width=8),
    curves={"batch_size": (8, 16), "width": (8,)},
    inference=((32, 1),),
    inference_width=8,
    alone=((OURS, "float32"),),
    steps=1,
    product=512,
    rounds=2,
    seconds=0,
    quick=True,
)
EXTENTS = {"cpu": CPU, "cuda": CUDA, "quick": QUICK}
