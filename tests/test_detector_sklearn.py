"""scikit-learn's own checks of an estimator, on the detector, as far as an estimator of images can pass them.

The checks make tables, a row of numbers an image. `Rows` makes images of them and is the detector in all else.
"""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks
from small_detector import TINY

from ygan_detector import YGANDetector, training

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = "is about the columns of a table, which images have not: each is resized, so any size and number of columns is taken"
SKIPPED = {
    "check_n_features_in": ROWS,
    "check_n_features_in_after_fitting": ROWS,
    "check_estimators_empty_data_messages": "asks for the word feature(s) where an array has no columns; images have pixels",
}


class Rows(YGANDetector):
    """The detector, fed with tables: each row becomes a grey image 32 px wide, its numbers squeezed into [0, 1]."""

    def fit(self, X, y=None, checkpoint=None):
        return super().fit(images(X), None if y is None else np.asarray(y), checkpoint)

    def open(self, X):
        return super().open(images(X))


def images(X):
    """(n, columns) -> (n, 1, columns) in [0, 1]; what is no table goes to the detector as it is."""
    if hasattr(X, "toarray"):
        return X
    X = np.asarray(X)
    if X.dtype.kind == "O":
        X = X.astype(np.float64)
    if X.ndim != 2 or X.dtype.kind not in "iuf" or not np.isfinite(X).all():
        return X if X.ndim != 2 else X[:, None]
    return 1 / (1 + np.exp(-X.astype(np.float64)))[:, None]


@parametrize_with_checks([Rows(**TINY)], expected_failed_checks=lambda _: SKIPPED)
def test_scikit_learns_checks(estimator, check, monkeypatch):
    monkeypatch.setattr(training, "FEW", 2)  # they fit ten rows
    check(estimator)


def test_parameters_are_kept_as_given_and_cloned():
    given = dict(recipe="classifier", minutes=3, seed=7)
    detector = YGANDetector(**given)
    assert given.items() <= detector.get_params().items()
    assert detector.set_params(minutes=5) is detector and detector.minutes == 5
