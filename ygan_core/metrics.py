"""How good a score is, and what a latent gives away."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler


def auc(scores, anomalous) -> float:
    """Area under the ROC curve (section 4.2). scores (n,), higher is more anomalous; anomalous (n,) bool.

    Below 0.5 stays below 0.5. Raises ValueError where normal or anomalous images are missing.
    """
    return float(roc_auc_score(_both_kinds(anomalous, "an AUC"), np.asarray(scores)))


def _both_kinds(anomalous, what: str) -> np.ndarray:
    anomalous = np.asarray(anomalous, dtype=bool)
    if anomalous.all() or not anomalous.any():
        raise ValueError(f"{what} needs normal and anomalous images")
    return anomalous


def rates(scores, anomalous, threshold: float) -> tuple[float, float]:
    """TPR, the share of anomalous images that are called so, and TNR, the share of normal ones that are not (section 4.2).

    scores (n,), anomalous (n,) bool. An image is called anomalous when its score is above the threshold; a score equal to it is
    normal. NaN is the rate of a kind that is not there.
    """
    called, anomalous = np.asarray(scores) > threshold, np.asarray(anomalous, dtype=bool)
    tpr = called[anomalous].mean() if anomalous.any() else np.nan
    tnr = (~called[~anomalous]).mean() if not anomalous.all() else np.nan
    return float(tpr), float(tnr)


def eer_threshold(scores, anomalous) -> tuple[float, float]:
    """The equal error rate (section 4.2): (threshold, EER). scores (n,), higher is more anomalous; anomalous (n,) bool.

    The threshold, as `rates` takes it, is the score where the share of normal images called anomalous comes nearest to the
    share of anomalous ones missed. The EER is where the two are equal on the straight lines of the ROC curve. Images that tie
    fall on one side of any threshold, so with many ties the rates at this one can lie far from the EER. Raises ValueError where
    normal or anomalous images are missing.
    """
    false_alarms, hits, at_least = roc_curve(
        _both_kinds(anomalous, "an EER"), np.asarray(scores), drop_intermediate=False
    )
    excess = false_alarms - (1 - hits)
    above = at_least[
        1:
    ]  # what is at least one score is above the next lower one; to call all anomalous is never the nearest
    return float(above[np.abs(excess[:-1]).argmin()]), float(np.interp(0, excess, false_alarms))


def percentile_threshold(scores, q: float = 0.95) -> float:
    """The lowest score that at least a share q of the scores (n,) do not exceed: a threshold as `rates` takes it.

    Of normal images that were not trained on (`Split.calibration`) it is a threshold that no anomaly has a part in: at
    most 1 - q of them are above it, however many tie. Section 4.2 speaks of the EER on training samples, where no anomaly is.
    """
    return float(np.quantile(np.asarray(scores), q, method="inverted_cdf"))


def neighbours_agree(z, y, most: int = 5_000) -> float:
    """Of how many latents the nearest other one, by the angle, has the same class: z (n, d), y (n,) -> a share in [0, 1].

    Not in the paper: it puts a number on what a t-SNE map shows. Of the first `most` latents.
    """
    z, y = Normalizer().fit_transform(np.asarray(z[:most], dtype=float)), np.asarray(y[:most])
    nearest = (
        NearestNeighbors(n_neighbors=1, algorithm="brute")
        .fit(z)
        .kneighbors(return_distance=False)[:, 0]
    )
    return float((y[nearest] == y).mean())


def linear_probe(z, y, z_test, y_test, seed: int = 0, unit: bool = False) -> float:
    """How well a linear classifier, fitted on latents z (n, d) and labels y (n,), reads y_test off z_test: accuracy in [0, 1].

    Not in the paper: it measures the leakage that L_r and L_con are there to stop. Logistic regression on standardised latents,
    fitted on at most 10,000 of them. unit: on latents of unit length instead, as the paper's scores take them. There a number
    that is small beside the others stays small, so this probe finds less.
    """
    z, y = np.asarray(z), np.asarray(y)
    if len(z) > 10_000:
        few = np.random.RandomState(seed).permutation(len(z))[:10_000]
        z, y = z[few], y[few]
    probe = make_pipeline(
        Normalizer() if unit else StandardScaler(), LogisticRegression(max_iter=1000)
    )
    return float(probe.fit(z, y).score(np.asarray(z_test), np.asarray(y_test)))
