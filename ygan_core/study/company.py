"""The company that an image is scored in: E_s's batch norms by running statistics, or by those of the batch around it.

The authors' public code keeps no running statistics in its encoders, so that every image is normalised by its batch, at test
time too, and the batches come in the order of the folders, sorted by class.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ygan_core import metrics, scores
from ygan_core.model import YGAN, running_statistics_untouched

if TYPE_CHECKING:
    from ygan_core.study.jobs import Run

ALONE, SHUFFLED, SORTED, APART = "alone", "shuffled", "sorted", "apart"
COMPANIES = {
    ALONE: "by itself: running statistics",
    SHUFFLED: "shuffled batches",
    SORTED: "batches sorted by class, as the public code's loader has them",
    APART: "normal images shuffled, anomalies in batches of their own",
}
SIZES = (8, 64, 256)
PLACES = [(ALONE, 1), *((company, size) for company in (SHUFFLED, SORTED, APART) for size in SIZES)]
AUTHORS = (SORTED, 64)  # how the public code scores


def batches(company: str, labels: Tensor, anomalous: Tensor, size: int, seed: int = 0) -> list[Tensor]:
    """The rows of each batch, every image in one. labels (n,) int64, anomalous (n,) bool; no last batch is dropped."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    if company == SHUFFLED:
        return list(order.split(size))
    if company == SORTED:  # the normal classes first, then the anomalies; a batch may hold the end of one and the next
        return list((labels + anomalous * (labels.max() + 1)).argsort(stable=True).split(size))
    if company == APART:
        return [*order[~anomalous[order]].split(size), *order[anomalous[order]].split(size)]
    raise ValueError(f"no company {company!r} in batches: choose from {SHUFFLED}, {SORTED}, {APART}")


@contextmanager
def batch_statistics(network: nn.Module) -> Iterator[None]:
    """Inside, batch norms normalise by the batch, in eval mode too; their running statistics stay as they are."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    with running_statistics_untouched(network):
        for norm in norms:
            norm.train()
        try:
            yield
        finally:
            for norm in norms:
                norm.eval()


@torch.inference_mode()
def doubt(model: YGAN, images: Tensor, together: list[Tensor] | None = None) -> Tensor:
    """Eq. 12 of images uint8 (n, C, S, S) -> float64 (n,). together: the rows of each batch; None: running statistics.

    Leaves the model in eval mode.
    """
    if together is None:
        return scores.s(scores.classify(model, images))
    model.eval()
    device, found = next(model.parameters()).device, torch.empty(len(images), dtype=torch.float64)
    with batch_statistics(model.E_s):
        for rows in together:
            z_s = model.encode_s(scores.to_input(images[rows].to(device)))
            found[rows] = scores.s(model.C(z_s).cpu())
    return found


def auc(model: YGAN, images: Tensor, labels: Tensor, anomalous: Tensor, company: str, size: int) -> float:
    """The AUC of a test set in a company, in batches of `size`. Shapes as for `batches` and `doubt`."""
    together = None if company == ALONE else batches(company, labels, anomalous, size)
    return metrics.auc(doubt(model, images, together), anomalous)


def test_set(run: Run) -> tuple[Tensor, Tensor, Tensor]:
    """A run's balanced test set: images uint8 (n, C, S, S), labels (n,), anomalous (n,) bool."""
    rows = np.flatnonzero(run.test["in_test"])
    return run.images(rows), torch.from_numpy(run.test["label"][rows]), torch.from_numpy(run.test["anomalous"][rows])


@functools.cache  # figures, tables and the verdict ask for the same
def of_run(run: Run) -> dict[tuple[str, int], float]:
    """The AUC of a run's networks on its test set in every company of PLACES."""
    model, (images, labels, anomalous) = run.model(), test_set(run)
    return {place: auc(model, images, labels, anomalous, *place) for place in PLACES}
