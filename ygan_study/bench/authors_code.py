"""The authors' public code (github MIvanovska/Y-GAN), run from outside. Nothing of it is copied or changed."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

from torch import Tensor

from ygan_core.config import ConfigError


def authors_model(
    folder: Path, batch_size: int, image_size: int, permutations: int, device: str = "cpu"
):
    """The authors' `Y_GAN`, ready for a training step, for nine classes of images with 3 channels.

    folder: a checkout of their code. permutations: how many their consistency loss has in a step; their default is 64.
    Raises ConfigError if the folder does not hold their code.
    """
    if not (folder / "lib" / "models" / "y_gan.py").is_file():
        raise ConfigError(
            f"--authors: {folder} holds no lib/models/y_gan.py: give a checkout of MIvanovska/Y-GAN"
        )
    with mock.patch.object(sys, "path", [str(folder.resolve()), *sys.path]):
        from lib.models.y_gan import Y_GAN

    options = dict(
        isize=image_size,
        nc=3,
        nz=100,
        batchsize=batch_size,
        ngpu=1,
        niter=1,
        nperm=permutations,
        load_checkpoint="",
    )
    options |= dict(
        w_adv=1, w_rec=50, w_sem=1, w_res=1, w_perm=50, alpha=0, lr=2e-4, beta1=0.5, mode="train"
    )
    with tempfile.TemporaryDirectory() as out, on_any_device():
        (Path(out) / "held" / "train").mkdir(parents=True)  # the code writes a log there
        theirs = Y_GAN(
            Namespace(
                **options, device=device, outf=out, name="held", dataset="", abnormal_class=""
            ),
            [],
            [],
            9,
        )
        with mock.patch.object(theirs, "test", lambda: {"AUC": 0.0}):
            theirs.train()  # an epoch without batches: the code makes its optimisers there
    return theirs


@contextlib.contextmanager
def on_any_device() -> Iterator[None]:
    """Inside, the authors' code runs on a CPU too, and prints nothing.

    The code makes a device from a tensor's `get_device()`. On a CPU that is -1, so it is replaced by the tensor's device.
    """
    said = io.StringIO()
    with mock.patch.object(Tensor, "get_device", lambda tensor: tensor.device):
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            yield


def authors_step(folder: Path, x: Tensor, y: Tensor, permutations: int) -> Callable[[], None]:
    """A function that trains the authors' networks for one step, with both updates, on one batch.

    x: (B, 3, 32, 32) in [-1, 1]; y: int64 (B,), nine classes; folder, permutations: as for `authors_model`.
    Raises ConfigError if the folder does not hold their code.
    """
    theirs = authors_model(folder, len(x), x.shape[-1], permutations, x.device.type)
    theirs.alpha = 0.5

    def step() -> None:
        theirs.input.copy_(x)
        theirs.gt_classes.copy_(y)
        with on_any_device():
            theirs.optimize_params()

    return step
