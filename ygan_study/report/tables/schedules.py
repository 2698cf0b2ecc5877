"""How long the authors of each baseline train it, and how much of that was trained here.

A baseline that had less than its authors give it is no fair comparison: the tables say how much it had, and subtract nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ygan_study.methods import BASELINES, METHODS
from ygan_study.methods.f_anogan import PHASE_2_FROM


@dataclass(frozen=True)
class Schedule:
    """amount: how long the authors train, in `unit`, epochs or encoder steps, as `source` has it. 0: not known."""

    amount: int
    unit: str
    source: str


# The defaults of the authors' public code. An epoch is one of the authors' own training set (Patch SVDD's has every image a
# hundred times), a step is one batch of 64.
AUTHORS = {
    "ganomaly": Schedule(15, "epochs", "samet-akcay/ganomaly, options.py: niter"),
    "skip_ganomaly": Schedule(15, "epochs", "samet-akcay/skip-ganomaly, options.py: niter"),
    "ocgan": Schedule(201, "epochs", "PramuPerera/OCGAN, options.py: epochs"),
    "f_anogan": Schedule(
        50_000, "encoder steps", "tSchlegl/f-AnoGAN, z_encoding_izif.py: ITERS_ENC"
    ),
    "p_net": Schedule(800, "epochs", "YutingXiao/P-Net_Mvtec_AD, README: n_epochs"),
    "arnet": Schedule(0, "epochs", "not found"),
    "patch_svdd": Schedule(
        300, "epochs", "nuclearboy95/Anomaly-Detection-PatchSVDD-PyTorch, main_train.py: epochs"
    ),
}


def is_trained(method: str) -> bool:
    """Whether a method is trained by gradient: PaDiM and the nearest neighbours are not."""
    return method not in BASELINES or METHODS[method].trains


def amount(training: pd.Series) -> int:
    """How long a training was, in its schedule's unit. training: a row of `cells`."""
    if AUTHORS[training["method"]].unit == "epochs":
        return int(training["epochs"])
    return int(
        training["epochs"]
        * (training["training_images"] // training["batch_size"])
        * (1 - PHASE_2_FROM)
    )  # f-AnoGAN's E comes last


def extent(training: pd.Series) -> str | None:
    """`2 of 15 epochs`; None for what is no baseline, or is not trained. training: a row of `cells`."""
    schedule = AUTHORS.get(training["method"])
    if not schedule:
        return None
    if not schedule.amount:
        return f"{amount(training):,} {schedule.unit}, theirs unknown"
    return f"{amount(training):,} of {schedule.amount:,} {schedule.unit}"


def is_short(training: pd.Series) -> bool:
    """Whether a baseline had less than its authors give it, or than can be known. training: a row of `cells`."""
    schedule = AUTHORS.get(training["method"])
    return schedule is not None and not 0 < schedule.amount <= amount(training)
