"""scikit-learn's own checks of an estimator, on vectors; those of the array API skip themselves."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from elman.estimators import SequenceClassifier, SequenceRegressor

QUICK = {
    "hidden_size": 8,
    "num_layers": 1,
    "epochs": 10,
    "batch_size": 32,
    "learning_rate": 0.02,
    "threads": 1,
}

EXCUSED: dict[str, str] = {}
"""Check -> why it does not hold. docs/estimators.md lists the same."""


@pytest.mark.slow
@parametrize_with_checks(
    [SequenceClassifier(**QUICK), SequenceRegressor(**QUICK)], expected_failed_checks=lambda _: EXCUSED
)
def test_an_estimator_has_scikit_learns_manners(estimator, check):
    check(estimator)
