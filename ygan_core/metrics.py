"""How good a score is, and what a latent gives away."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def auc(scores, anomalous) -> float:
    """Area under the ROC curve (section 4.2). scores (n,), higher is more anomalous; anomalous (n,) bool.

    Below 0.5 stays below 0.5. Raises ValueError where normal or anomalous images are missing.
    """
    anomalous = np.asarray(anomalous, dtype=bool)
    if anomalous.all() or not anomalous.any():
        raise ValueError("an AUC needs normal and anomalous images")
    return float(roc_auc_score(anomalous, np.asarray(scores)))


def linear_probe(z, y, z_test, y_test, seed: int = 0) -> float:
    """How well a linear classifier, fitted on latents z (n, d) and labels y (n,), reads y_test off z_test: accuracy in [0, 1].

    Not in the paper: it measures the leakage that L_r and L_con are there to stop. Logistic regression on standardised latents,
    fitted on at most 10,000 of them.
    """
    z, y = np.asarray(z), np.asarray(y)
    if len(z) > 10_000:
        few = np.random.RandomState(seed).permutation(len(z))[:10_000]
        z, y = z[few], y[few]
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return float(probe.fit(z, y).score(np.asarray(z_test), np.asarray(y_test)))
