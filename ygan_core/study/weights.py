"""Small trained networks that come with the repository, under results/weights/: a job's folder, made small.

    python -m ygan_core.study.weights laptop     (puts a profile's finished Color-MNIST runs there)

Convolution kernels are in half precision (batch-norm statistics and C are not), latents are those of these halved networks, and
only for images that the starter pack has too: so they can be looked at without the full data. The metrics are the full run's.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import torch
from safetensors.torch import save_file

from ygan_core import scores
from ygan_core.checkpoints import write_atomically
from ygan_core.config import Config, ConfigError
from ygan_core.data.datasets import REPOSITORY, DataError, load
from ygan_core.study.jobs import FILES, Job, Run, Study, sha256

WEIGHTS = REPOSITORY / "results" / "weights"
SUMS = "SHA256SUMS"  # as sha256sum -c reads it


def shipped(name: str) -> Run:
    """A trained network that comes with the repository, e.g. color_mnist-paper-w32. Raises DataError."""
    folder = WEIGHTS / name
    mend = "restore it with: git checkout -- results/weights"
    if not (folder / SUMS).exists():
        there = ", ".join(sorted(path.parent.name for path in WEIGHTS.glob(f"*/{SUMS}"))) or "none"
        raise DataError(f"no weights {name!r} in {WEIGHTS} (there are: {there}): {mend}")
    listed = (folder / SUMS).read_text().splitlines()
    for file in FILES:
        if not (folder / file).exists() or f"{sha256(folder / file)}  {file}" not in listed:
            raise DataError(f"{folder / file} is missing or damaged: {mend}")
    return Run(Job(Config(**json.loads((folder / "config.json").read_text()))), folder, source="starter")


def export(run: Run) -> Run:
    """Put a finished run under results/weights/ and return it as `shipped` does."""
    folder = WEIGHTS / f"{run.config.dataset}-{run.config.name}"
    model = run.model()
    for module in model.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
            module.weight.data = module.weight.data.half().float()
    state = {key: t.half() if t.dim() == 4 else t for key, t in model.state_dict().items()}
    few = np.isin(run.test["index"], load("mnist", run.config.image_size).index.numpy())
    kept = ("index", "label", "colour", "anomalous", "in_test")
    test = {key: run.test[key][few] for key in kept}
    latents = scores.encode(model, run.images(np.flatnonzero(few)))
    test |= {"z_s": latents.z_s.numpy(), "z_r": latents.z_r.numpy(), "s": scores.s(latents.logits).numpy()}

    write_atomically(folder / "weights.safetensors", lambda path: save_file(state, path))
    write_atomically(folder / "test.npz", lambda path: np.savez_compressed(path, **test))
    for name in ("config.json", "losses.csv", "run.json"):
        write_atomically(folder / name, lambda path, name=name: path.write_bytes((run.folder / name).read_bytes()))
    sums = "".join(f"{sha256(folder / name)}  {name}\n" for name in FILES)
    write_atomically(folder / SUMS, lambda path: path.write_text(sums))
    return shipped(folder.name)


if __name__ == "__main__":
    try:
        study = Study(*sys.argv[1:2])
    except ConfigError as error:
        sys.exit(str(error))
    for job in study.select(dataset="color_mnist"):
        if done := study.find(job):
            print(f"{job.config.name}: {export(done).folder}")
        else:
            print(f"{job.config.name}: not trained yet; ./run_all.sh --profile {study.profile} --only 01_color_mnist trains it")
