"""A comparison of `PublicCode` with the authors' public code: `python -m ygan_study.bench.authors CHECKOUT`.

Both get the same weights and the same batch. They must give the same losses, the same gradients and the same scores.
"""

from __future__ import annotations

import sys
from itertools import chain
from pathlib import Path
from unittest import mock

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from ygan_core import metrics
from ygan_core.config import Config, ConfigError
from ygan_core.scores import to_input
from ygan_core.train import Trainer
from ygan_study.bench.authors_code import authors_model, on_any_device
from ygan_study.measure.batch_statistics import SORTED, batches, doubt
from ygan_study.methods.public_code import PublicCode

Pairs = dict[
    str, tuple[nn.Module, nn.Module]
]  # a network of ours and the same one of theirs, by its name
Row = tuple[str, float, float, float]  # what is compared, ours, theirs, the difference


def held_against(
    folder: Path, batch_size: int = 8, permutations: int = 3, seed: int = 0
) -> pd.DataFrame:
    """One training step of `PublicCode` and of the code in `folder`; then the scores of a test set, sorted by class.

    Both begin with the same weights, images and permutations. The rows are:
    the six loss terms; the gradient of each network, as its norm; the scores, as their mean; their AUC.
    difference: the absolute one. Of gradients and scores it is the largest entry's; of a gradient, as a share of the gradient's
    largest entry. The step is in float64, because in float32 an activation near 0 may fall to either side.
    Raises ConfigError if the folder does not hold the authors' code.
    """
    config, random = (
        Config(dataset="cifar10", batch_size=batch_size, seed=seed),
        torch.Generator().manual_seed(seed),
    )
    images = torch.randint(
        256, (4 * batch_size + 3, 3, 32, 32), dtype=torch.uint8, generator=random
    )
    labels = (
        torch.arange(len(images)) * 10 // len(images)
    )  # sorted; the last of the ten classes is anomalous
    x, y, partner = (
        to_input(images[:batch_size]),
        torch.arange(batch_size) % 9,
        torch.randperm(batch_size, generator=random),
    )
    ours = type("Drawn", (PublicCode,), {"permutations": permutations})(
        config, images, torch.arange(len(images)) % 9
    )
    theirs = authors_model(folder, batch_size, config.image_size, permutations)
    pairs = _pairs(ours, theirs)

    for own, other in pairs.values():
        _copy(own.double(), other.double())
    rows = _loss_rows(ours, theirs, x.double(), y, partner) + _gradient_rows(pairs)
    for own, other in pairs.values():
        _copy(own.float(), other.float())
    rows += _score_rows(ours, theirs, images, labels, labels == 9)
    return pd.DataFrame(
        rows, columns=["what", "ours", "the authors' code", "difference"]
    ).set_index("what")


def _pairs(ours: Trainer, theirs) -> Pairs:
    model = ours.model
    return {
        "E_s": (model.E_s, theirs.netg.encoderShape),
        "E_r": (model.E_r, theirs.netresg),
        "D": (model.D, theirs.netg.decoder),
        "C": (model.C, theirs.netlatd),
        "Ds": (model.Ds, theirs.netd),
    }


@torch.no_grad()
def _copy(source: nn.Module, target: nn.Module) -> None:
    for value, copied in zip(source.parameters(), target.parameters(), strict=True):
        copied.copy_(value)


def _loss_rows(ours: PublicCode, theirs, x: Tensor, y: Tensor, partner: Tensor) -> list[Row]:
    """Both take one step on x (B, 3, S, S) float64, y (B,), partner (B,). lambda_R is 0.7."""
    shifts = [partner.roll(shift) for shift in range(ours.permutations)]
    drawn = [
        partner,
        *chain.from_iterable(zip(shifts, shifts, strict=True)),
    ]  # the code draws the first one and does not use it
    theirs.alpha, theirs.input, theirs.gt_classes = 0.7, x, y
    theirs.real_label, theirs.fake_label = theirs.real_label.double(), theirs.fake_label.double()
    with on_any_device(), mock.patch.object(torch, "randperm", side_effect=drawn):
        theirs.optimize_params()
    expected = {
        "L_rec": theirs.err_g_rec / theirs.opt.w_rec,
        "L_adv": theirs.err_g_adv / theirs.opt.w_adv,
        "L_s": theirs.err_semantic,
        "L_r": theirs.err_residual,
        "L_con": theirs.error_perm + theirs.error_perm_zres,  # L_con and its mirrored form
        "L_bce": 2 * theirs.err_d,
    }
    ours.model.train()
    found = dict(zip(ours.terms, ours.step(x, y, partner, torch.tensor(0.7).double()), strict=True))
    return [
        (name, found[name].item(), term.item(), (found[name] - term).abs().item())
        for name, term in expected.items()
    ]


def _gradient_rows(pairs: Pairs) -> list[Row]:
    rows = []
    for name, networks in pairs.items():
        own, other = (
            torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
            for network in networks
        )
        difference = (own - other).abs().max() / other.abs().max()
        rows.append(
            (f"gradient of {name}", own.norm().item(), other.norm().item(), difference.item())
        )
    return rows


def _score_rows(
    ours: Trainer, theirs, images: Tensor, labels: Tensor, anomalous: Tensor
) -> list[Row]:
    """images uint8 (n, 3, S, S), labels (n,), anomalous bool (n,)."""
    batch_size = ours.config.batch_size
    theirs.input = to_input(images[:batch_size])
    theirs.data_valid = DataLoader(
        TensorDataset(to_input(images), labels, anomalous.float()), batch_size
    )
    with on_any_device():
        auc_theirs = theirs.test()["AUC"]
    s, s_theirs = (
        doubt(ours.model, images, batches(SORTED, labels, anomalous, batch_size)),
        theirs.an_scores,
    )
    s = (s - s.min()) / (s.max() - s.min())  # the code scales its scores so
    auc = metrics.auc(s, anomalous)
    return [
        ("s", s.mean().item(), s_theirs.mean().item(), (s - s_theirs).abs().max().item()),
        ("AUC", auc, auc_theirs, abs(auc - auc_theirs)),
    ]


if __name__ == "__main__":
    try:
        print(held_against(Path(*sys.argv[1:2])).to_string(float_format="%.7g"))
    except ConfigError as error:
        sys.exit(str(error))
