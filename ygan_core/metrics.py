"""How good a score is, and what can be read from a latent."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler


def auc(scores, anomalous) -> float:
    """Area under the ROC curve (section 4.2). scores (n,), anomalous (n,) bool.

    A value below 0.5 is never flipped. Raises ValueError where one of the two kinds is missing.
    """
    return float(roc_auc_score(_both_kinds(anomalous, "an AUC"), np.asarray(scores)))


def _both_kinds(anomalous, what: str) -> np.ndarray:
    anomalous = np.asarray(anomalous, dtype=bool)
    if anomalous.all() or not anomalous.any():
        raise ValueError(f"{what} needs normal and anomalous images")
    return anomalous


def rates(scores, anomalous, threshold: float) -> tuple[float, float]:
    """(TPR, TNR): the fractions of anomalous and of normal images that are recognised (4.2).

    scores (n,), anomalous (n,) bool. A score above the threshold is called anomalous. The rate of a
    kind that is missing is NaN.
    """
    called, anomalous = np.asarray(scores) > threshold, np.asarray(anomalous, dtype=bool)
    tpr = called[anomalous].mean() if anomalous.any() else np.nan
    tnr = (~called[~anomalous]).mean() if not anomalous.all() else np.nan
    return float(tpr), float(tnr)


def eer_threshold(scores, anomalous) -> tuple[float, float]:
    """The equal error rate (section 4.2): (threshold, EER). scores (n,), anomalous (n,) bool.

    The threshold, as `rates` takes it, is the score at which the false positive rate and the false
    negative rate are closest. The EER is where they are equal on the interpolated ROC curve; with
    many tied scores the rates at the threshold can differ from it. Raises ValueError where one of
    the two kinds is missing.
    """
    truth = _both_kinds(anomalous, "an EER")
    false_alarms, hits, at_least = roc_curve(truth, np.asarray(scores), drop_intermediate=False)
    excess = false_alarms - (1 - hits)
    above = at_least[1:]  # at least t means above the next lower score
    return float(above[np.abs(excess[:-1]).argmin()]), float(np.interp(0, excess, false_alarms))


def percentile_threshold(scores, q: float = 0.95) -> float:
    """The lowest score that at least a fraction q of the scores (n,) do not exceed.

    A threshold as `rates` takes it. On normal images that were left untrained
    (`Split.calibration`), it does not depend on any anomaly. Section 4.2 sets it at the EER on
    training samples, none of which is anomalous.
    """
    return float(np.quantile(np.asarray(scores), q, method="inverted_cdf"))


def neighbours_agree(z, y, most: int = 5_000) -> float:
    """The fraction of latents whose nearest neighbour, by the angle, has the same class.

    z (n, d), y (n,); of the first `most`. Not in the paper: it quantifies what a t-SNE map shows.
    """
    z, y = Normalizer().fit_transform(np.asarray(z[:most], dtype=float)), np.asarray(y[:most])
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(z)
    nearest = search.kneighbors(return_distance=False)[:, 0]
    return float((y[nearest] == y).mean())


def linear_probe(z, y, z_test, y_test, seed: int = 0, unit: bool = False) -> float:
    """Accuracy of a logistic regression, fitted on latents z (n, d) and labels y (n,).

    Latents are standardised, or scaled to unit length (`unit`), and at most 10,000 are used. Not in
    the paper: it measures the leakage that L_r and L_con are meant to prevent.
    """
    z, y = np.asarray(z), np.asarray(y)
    if len(z) > 10_000:
        few = np.random.RandomState(seed).permutation(len(z))[:10_000]
        z, y = z[few], y[few]
    scaler = Normalizer() if unit else StandardScaler()
    probe = make_pipeline(scaler, LogisticRegression(max_iter=1000)).fit(z, y)
    return float(probe.score(np.asarray(z_test), np.asarray(y_test)))
