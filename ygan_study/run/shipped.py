"""Two trained Color-MNIST networks that come with the repository, under results/weights/: for the tour and a first look.

They are the last weights of trainings by an earlier state of this code. Convolution kernels are in half precision (batch-norm
statistics and C are not). The latents are those of the halved networks, and only for images that the starter pack has too. The
numbers in run.json are of all test images.
"""

from __future__ import annotations

from ygan_core.data.datasets import REPOSITORY, DataError
from ygan_study.run.checksums import SUMS
from ygan_study.run.folder import Damaged, Run, read

WEIGHTS = REPOSITORY / "results" / "weights"


def shipped(name: str) -> Run:
    """A trained network that comes with the repository, e.g. color_mnist-paper-w32. Raises DataError."""
    mend = "restore it with: git checkout -- results/weights"
    if not (WEIGHTS / name / SUMS).exists():
        there = ", ".join(sorted(path.parent.name for path in WEIGHTS.glob(f"*/{SUMS}"))) or "none"
        raise DataError(f"no weights {name!r} in {WEIGHTS} (there are: {there}): {mend}")
    try:
        return read(WEIGHTS / name, source="starter")
    except Damaged as error:
        raise DataError(f"{str(error).rpartition(':')[0]}: {mend}") from None
