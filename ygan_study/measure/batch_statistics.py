"""Batch statistics at test time: an image is normalised by the batch that it is scored in.

The encoders of the authors' public code have no running statistics, so every image is normalised by
its batch, at test time too, and the batches come in the order of the folders, sorted by class. The
score of an image then depends on its neighbours.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ygan_core import metrics, scores
from ygan_core.model import YGAN, running_statistics_untouched

# running: each image by itself; sorted: by class, as in the public code; apart: anomalies together
RUNNING, SHUFFLED, SORTED, APART = STATISTICS = ("running", "shuffled", "sorted", "apart")
SIZES = (8, 64, 256)
SETTINGS = [
    (RUNNING, 1),
    *((statistics, size) for statistics in (SHUFFLED, SORTED, APART) for size in SIZES),
]
AUTHORS = (SORTED, 64)  # how the public code scores


def batches(
    statistics: str, labels: Tensor, anomalous: Tensor, size: int, seed: int = 0
) -> list[Tensor]:
    """The rows of each batch. labels (n,) int64, anomalous (n,) bool; every image is in one batch.

    statistics: SHUFFLED, SORTED or APART.
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    if statistics == SHUFFLED:
        return list(order.split(size))
    if statistics == SORTED:
        # The normal classes first, then the anomalies. A batch may hold the end of one class and
        # the beginning of the next.
        return list((labels + anomalous * (labels.max() + 1)).argsort(stable=True).split(size))
    return [*order[~anomalous[order]].split(size), *order[anomalous[order]].split(size)]


@contextmanager
def batch_statistics(network: nn.Module) -> Iterator[None]:
    """Inside, batch norms use the batch, in eval mode too, and keep their running statistics."""
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
def uncertainty(model: YGAN, images: Tensor, together: list[Tensor] | None = None) -> Tensor:
    """Eq. 12 of images, uint8 (n, C, S, S) -> float64 (n,).

    together: the rows of each batch; None: running statistics. Leaves the model in eval mode.
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


def auc(
    model: YGAN, images: Tensor, labels: Tensor, anomalous: Tensor, statistics: str, size: int
) -> float:
    """The AUC (Eq. 12) of a test set in batches of `size`. Shapes as above."""
    together = None if statistics == RUNNING else batches(statistics, labels, anomalous, size)
    return metrics.auc(uncertainty(model, images, together), anomalous)


def aucs(
    model: YGAN, images: Tensor, labels: Tensor, anomalous: Tensor
) -> dict[tuple[str, int], float]:
    """The AUC of a test set in each of SETTINGS. Shapes as for `batches` and `uncertainty`."""
    return {setting: auc(model, images, labels, anomalous, *setting) for setting in SETTINGS}
