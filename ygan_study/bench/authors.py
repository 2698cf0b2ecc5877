"""The authors' public code (github MIvanovska/Y-GAN), run from outside, beside `PublicCode`.

Nothing of it is copied or changed. Two calls are patched while it runs: otherwise it does not run
on a CPU, and draws its permutations from no seed.
"""

import contextlib
import io
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from unittest import mock

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.utils.data import DataLoader, TensorDataset

from ygan_core import metrics
from ygan_core.config import ConfigError
from ygan_core.scores import to_input
from ygan_study.bench.loops import random_images
from ygan_study.engine import Trainer
from ygan_study.measure.batch_statistics import SORTED, batches, uncertainty
from ygan_study.methods.public_code import PublicCode
from ygan_study.plan.settings import Settings

Row = tuple[str, float, float, float]  # what is compared, ours, theirs, the difference


def authors_model(folder: Path, x: Tensor, y: Tensor, permutations: int):
    """The authors' `Y_GAN`, whose optimize_params is a training step, with both updates, on x
    (B, 3, S, S) in [-1, 1], y int64 (B,), nine classes. Its lambda_R, `alpha`, is 0.7.

    folder: a checkout of their code. permutations: how many their consistency loss has in a step;
    their default is 64. Raises ConfigError if the folder does not hold their code.
    """
    if not (folder / "lib" / "models" / "y_gan.py").is_file():
        raise ConfigError(
            f"--authors: {folder} holds no lib/models/y_gan.py: give a checkout of MIvanovska/Y-GAN"
        )
    with mock.patch.object(sys, "path", [str(folder.resolve()), *sys.path]):
        from lib.models.y_gan import Y_GAN

    options = dict(isize=x.shape[-1], nc=3, nz=100, batchsize=len(x), niter=1, nperm=permutations)
    options |= dict(w_adv=1, w_rec=50, w_sem=1, w_res=1, w_perm=50, alpha=0, lr=2e-4, beta1=0.5)
    options |= dict(device=x.device.type, ngpu=1, mode="train", load_checkpoint="")
    options |= dict(name="held", dataset="", abnormal_class="")
    with tempfile.TemporaryDirectory() as out, on_any_device():
        (Path(out) / "held" / "train").mkdir(parents=True)  # the code writes a log there
        theirs = Y_GAN(Namespace(**options, outf=out), [], [], 9)
        with mock.patch.object(theirs, "test", lambda: {"AUC": 0.0}):
            theirs.train()  # an epoch without batches: the code makes its optimisers there
    theirs.alpha, theirs.input, theirs.gt_classes = 0.7, x, y
    return theirs


@contextlib.contextmanager
def on_any_device() -> Iterator[None]:
    """Inside, the authors' code runs on a CPU too, and prints nothing.

    It makes a device of a tensor's `get_device()`, which is -1 on a CPU.
    """
    printed = io.StringIO()
    with (
        mock.patch.object(Tensor, "get_device", lambda tensor: tensor.device),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        yield


def held_against(folder: Path) -> pd.DataFrame:
    """A training step of `PublicCode` and of the code in `folder` from the same weights, images and
    permutations; then the scores of a test set, sorted by class.

    Rows: the six loss terms; the gradient of each network, as its norm; the scores, as their mean;
    their AUC. difference: the absolute one, of gradients and scores the largest entry's; of a
    gradient, as a share of its largest entry. The step is in float64, because in float32 an
    activation near 0 may fall to either side. Raises ConfigError as `authors_model`.
    """
    config = Settings(dataset="cifar10", batch_size=8)
    images, _ = random_images(35, 32)
    labels = torch.arange(35) * 10 // 35  # sorted; the last class is anomalous
    x, y = to_input(images[:8]).double(), torch.arange(8) % 9
    partner = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    kind = type("Several", (PublicCode,), {"permutations": 3})
    ours, theirs = kind(config, images, labels % 9), authors_model(folder, x, y, kind.permutations)
    model, G = ours.model, theirs.netg
    pairs = {
        "E_s": (model.E_s, G.encoderShape),
        "E_r": (model.E_r, theirs.netresg),
        "D": (model.D, G.decoder),
        "C": (model.C, theirs.netlatd),
        "Ds": (model.Ds, theirs.netd),
    }
    _equalise(pairs, torch.float64)
    compared = _losses(ours, theirs, x, y, partner) + _gradients(pairs)
    _equalise(pairs, torch.float32)
    compared += _scores(ours, theirs, images, labels)
    columns = ["what", "ours", "the authors' code", "difference"]
    return pd.DataFrame(compared, columns=columns).set_index("what")


def _equalise(pairs: dict[str, tuple[nn.Module, nn.Module]], dtype: torch.dtype) -> None:
    for own, other in pairs.values():
        own.to(dtype, memory_format=torch.contiguous_format)
        vector_to_parameters(parameters_to_vector(own.parameters()), other.to(dtype).parameters())


def _losses(ours: Trainer, theirs, x: Tensor, y: Tensor, partner: Tensor) -> list[Row]:
    """Both take one step on x (B, 3, S, S) float64, y (B,), partner (B,). lambda_R is 0.7."""
    shifts = [partner.roll(shift) for shift in range(ours.permutations)]
    # The code draws the first permutation and does not use it.
    drawn = [partner, *chain.from_iterable(zip(shifts, shifts, strict=True))]
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


def _gradients(pairs: dict[str, tuple[nn.Module, nn.Module]]) -> list[Row]:
    compared = []
    for name, networks in pairs.items():
        own, other = (torch.cat([p.grad.flatten() for p in n.parameters()]) for n in networks)
        difference = ((own - other).abs().max() / other.abs().max()).item()
        compared.append((f"gradient of {name}", own.norm().item(), other.norm().item(), difference))
    return compared


def _scores(ours: Trainer, theirs, images: Tensor, labels: Tensor) -> list[Row]:
    """images uint8 (n, 3, S, S), labels (n,), of which 9 is anomalous."""
    batch_size, anomalous = ours.config.batch_size, labels == 9
    theirs.input = to_input(images[:batch_size])
    test_set = TensorDataset(to_input(images), labels, anomalous.float())
    theirs.data_valid = DataLoader(test_set, batch_size)
    with on_any_device():
        auc_theirs = theirs.test()["AUC"]
    s_theirs = theirs.an_scores
    s = uncertainty(ours.model, images, batches(SORTED, labels, anomalous, batch_size))
    s = (s - s.min()) / (s.max() - s.min())  # the code scales its scores so
    auc = metrics.auc(s, anomalous)
    return [
        ("s", s.mean().item(), s_theirs.mean().item(), (s - s_theirs).abs().max().item()),
        ("AUC", auc, auc_theirs, abs(auc - auc_theirs)),
    ]
