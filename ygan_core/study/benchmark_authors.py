"""A step of the authors' public code (github MIvanovska/Y-GAN), timed from outside: nothing of it is kept or changed."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from torch import Tensor

from ygan_core.config import ConfigError


def authors_step(folder: Path, x: Tensor, y: Tensor, permutations: int) -> Callable[[], None]:
    """One training step of the checkout in `folder`, both updates, for a batch: x (B, 3, 32, 32), y (B,) of nine classes.

    permutations: of its consistency loss a step; its default is 64. Raises ConfigError where no such code is found.
    """
    if not (folder / "lib" / "models" / "y_gan.py").is_file():
        raise ConfigError(f"--authors: {folder} holds no lib/models/y_gan.py: give a checkout of MIvanovska/Y-GAN")
    with mock.patch.object(sys, "path", [str(folder.resolve()), *sys.path]):
        from lib.models.y_gan import Y_GAN

    said = io.StringIO()
    options = dict(isize=x.shape[-1], nc=3, nz=100, batchsize=len(x), ngpu=1, niter=1, nperm=permutations, load_checkpoint="")
    options |= dict(w_adv=1, w_rec=50, w_sem=1, w_res=1, w_perm=50, alpha=0, lr=2e-4, beta1=0.5, mode="train")
    with tempfile.TemporaryDirectory() as out, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        (Path(out) / "timed" / "train").mkdir(parents=True)  # it logs there
        theirs = Y_GAN(
            Namespace(**options, device=x.device.type, outf=out, name="timed", dataset="", abnormal_class=""), [], [], 9
        )
        theirs.test = lambda: {"AUC": 0.0}
        theirs.train()  # an epoch of no batches: it makes its optimisers there
    theirs.alpha = 0.5

    def step() -> None:
        theirs.input.copy_(x)
        theirs.gt_classes.copy_(y)
        # A tensor's get_device() is -1 on a CPU, where the code makes a torch.device of it.
        with mock.patch.object(Tensor, "get_device", lambda t: t.device), contextlib.redirect_stdout(said):
            theirs.optimize_params()

    return step
