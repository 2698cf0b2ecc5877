"""scikit-learn's own checks of an estimator, as far as an estimator of images can pass them.

The checks make tables, a row of numbers an image. `Rows` makes images of them and is the detector
in all else.
"""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.utils.estimator_checks import parametrize_with_checks
from small_detector import TINY, pictures

from ygan_detector import YGANDetector, training

pytestmark = pytest.mark.filterwarnings("ignore")

COLUMNS = "images have no columns: they are resized, so any number of pixels is accepted"
EXPECTED = {
    "check_n_features_in": COLUMNS,
    "check_n_features_in_after_fitting": COLUMNS,
    "check_estimators_empty_data_messages": "asks for the word feature(s); images have pixels",
}


class Rows(YGANDetector):
    """The detector for tables: each row becomes a grey image, its numbers squeezed to [0, 1]."""

    def fit(self, X, y=None, checkpoint=None):
        return super().fit(images(X), None if y is None else np.asarray(y), checkpoint)

    def examine(self, X):
        return super().examine(images(X))


def images(X):
    """(n, columns) -> (n, 1, columns) in [0, 1]; what is no table is returned as it is."""
    if hasattr(X, "toarray"):
        return X
    X = np.asarray(X)
    if X.dtype.kind == "O":
        X = X.astype(np.float64)
    if X.ndim != 2 or X.dtype.kind not in "iuf" or not np.isfinite(X).all():
        return X if X.ndim != 2 else X[:, None]
    return 1 / (1 + np.exp(-X.astype(np.float64)))[:, None]


QUICK = {**TINY, "recipe": "classifier", "epochs": 1}


@parametrize_with_checks([Rows(**QUICK)], expected_failed_checks=lambda _: EXPECTED)
def test_scikit_learns_checks(estimator, check, monkeypatch):
    monkeypatch.setattr(training, "FEWEST", 2)  # they fit ten rows
    check(estimator)


@pytest.mark.parametrize("given", ["y", "nothing"])
def test_scores_by_cross_validation(given):
    X, y = pictures(20)
    y, folds = (y, StratifiedKFold(2)) if given == "y" else (None, 2)
    scores = cross_val_predict(YGANDetector(**QUICK), X, y, cv=folds, method="decision_function")
    assert scores.shape == (60,) and np.isfinite(scores).all()
