"""The authors' public code (github MIvanovska/Y-GAN) driven from outside, nothing of it kept or changed.

`python -m ygan_core.study.authors CHECKOUT` holds `PublicCode` against it: same weights in, same losses and gradients out.
"""

from __future__ import annotations

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
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from ygan_core import metrics
from ygan_core.config import Config, ConfigError
from ygan_core.scores import to_input
from ygan_core.study.company import SORTED, batches, doubt
from ygan_core.study.departures import PublicCode


def authors_model(folder: Path, batch_size: int, image_size: int, permutations: int, device: str = "cpu"):
    """The networks of the checkout in `folder`, ready for a step, for nine classes of images with 3 channels.

    permutations: of its consistency loss a step; its default is 64. Raises ConfigError where no such code is found.
    """
    if not (folder / "lib" / "models" / "y_gan.py").is_file():
        raise ConfigError(f"--authors: {folder} holds no lib/models/y_gan.py: give a checkout of MIvanovska/Y-GAN")
    with mock.patch.object(sys, "path", [str(folder.resolve()), *sys.path]):
        from lib.models.y_gan import Y_GAN

    options = dict(
        isize=image_size, nc=3, nz=100, batchsize=batch_size, ngpu=1, niter=1, nperm=permutations, load_checkpoint=""
    )
    options |= dict(w_adv=1, w_rec=50, w_sem=1, w_res=1, w_perm=50, alpha=0, lr=2e-4, beta1=0.5, mode="train")
    with tempfile.TemporaryDirectory() as out, on_any_device():
        (Path(out) / "held" / "train").mkdir(parents=True)  # it logs there
        theirs = Y_GAN(Namespace(**options, device=device, outf=out, name="held", dataset="", abnormal_class=""), [], [], 9)
        with mock.patch.object(theirs, "test", lambda: {"AUC": 0.0}):
            theirs.train()  # an epoch of no batches: it makes its optimisers there
    return theirs


@contextlib.contextmanager
def on_any_device() -> Iterator[None]:
    """Inside, the code runs on a CPU too, and keeps quiet. There a tensor's get_device() is -1, of which it makes a device."""
    said = io.StringIO()
    with mock.patch.object(Tensor, "get_device", lambda tensor: tensor.device):
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            yield


def held_against(folder: Path, batch_size: int = 8, permutations: int = 3, seed: int = 0) -> pd.DataFrame:
    """A step of `PublicCode` and of the code in `folder`, from the same weights, images and permutations; then scores.

    Rows: the six loss terms; the gradient that reaches each network, as its norm; the scores of a test set sorted by class, as
    their mean, and their AUC. difference: of a gradient or the scores the largest, of a gradient relative to its largest
    entry. The step is taken in float64: in float32 an activation at 0 may fall to either side.
    """
    config, random = Config(dataset="cifar10", batch_size=batch_size, seed=seed), torch.Generator().manual_seed(seed)
    images = torch.randint(256, (4 * batch_size + 3, 3, 32, 32), dtype=torch.uint8, generator=random)
    labels = torch.arange(len(images)) * 10 // len(images)  # sorted; the last is anomalous
    x, y, partner = to_input(images[:batch_size]), torch.arange(batch_size) % 9, torch.randperm(batch_size, generator=random)
    ours = type("Drawn", (PublicCode,), {"permutations": permutations})(config, images, torch.arange(len(images)) % 9)
    theirs, model = authors_model(folder, batch_size, config.image_size, permutations), ours.model
    E_s, D, E_r, C, Ds = theirs.netg.encoderShape, theirs.netg.decoder, theirs.netresg, theirs.netlatd, theirs.netd
    pairs = {"E_s": (model.E_s, E_s), "E_r": (model.E_r, E_r), "D": (model.D, D), "C": (model.C, C), "Ds": (model.Ds, Ds)}
    for own, other in pairs.values():
        _copy(own.double(), other.double())

    shifts = [partner.roll(shift) for shift in range(permutations)]
    drawn = [partner, *chain.from_iterable(zip(shifts, shifts, strict=True))]  # the first is for an image that it never uses
    theirs.alpha, theirs.input, theirs.gt_classes = 0.7, x.double(), y
    theirs.real_label, theirs.fake_label = theirs.real_label.double(), theirs.fake_label.double()
    with on_any_device(), mock.patch.object(torch, "randperm", side_effect=drawn):
        theirs.optimize_params()
    expected = {
        "L_rec": theirs.err_g_rec / theirs.opt.w_rec,
        "L_adv": theirs.err_g_adv / theirs.opt.w_adv,
        "L_s": theirs.err_semantic,
        "L_r": theirs.err_residual,
        "L_con": theirs.error_perm + theirs.error_perm_zres,  # this one and the mirrored one
        "L_bce": 2 * theirs.err_d,
    }
    model.train()
    found = dict(zip(ours.terms, ours.step(x.double(), y, partner, torch.tensor(0.7).double()), strict=True))
    rows = [(name, found[name].item(), term.item(), (found[name] - term).abs().item()) for name, term in expected.items()]
    for name, networks in pairs.items():
        own, other = (torch.cat([parameter.grad.flatten() for parameter in network.parameters()]) for network in networks)
        difference = (own - other).abs().max() / other.abs().max()
        rows.append((f"gradient of {name}", own.norm().item(), other.norm().item(), difference.item()))

    for own, other in pairs.values():
        _copy(own.float(), other.float())
    anomalous, theirs.input = labels == 9, x
    theirs.data_valid = DataLoader(TensorDataset(to_input(images), labels, anomalous.float()), batch_size)
    with on_any_device():
        auc = theirs.test()["AUC"]
    s, s_theirs = doubt(model, images, batches(SORTED, labels, anomalous, batch_size)), theirs.an_scores
    s = (s - s.min()) / (s.max() - s.min())  # as the code scales them
    rows.append(("s", s.mean().item(), s_theirs.mean().item(), (s - s_theirs).abs().max().item()))
    rows.append(("AUC", metrics.auc(s, anomalous), auc, abs(metrics.auc(s, anomalous) - auc)))
    return pd.DataFrame(rows, columns=["what", "ours", "the authors' code", "difference"]).set_index("what")


@torch.no_grad()
def _copy(source: torch.nn.Module, target: torch.nn.Module) -> None:
    for value, copied in zip(source.parameters(), target.parameters(), strict=True):
        copied.copy_(value)


if __name__ == "__main__":
    try:
        print(held_against(Path(*sys.argv[1:2])).to_string(float_format="%.7g"))
    except ConfigError as error:
        sys.exit(str(error))
