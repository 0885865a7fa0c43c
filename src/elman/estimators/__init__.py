"""ESTIMATORS: elman's tasks with scikit-learn's manners: fit, predict, score, and all that builds on them.

They go into pipelines, grid searches and cross-validations, and take sequences of unequal length. They need
the extra `sklearn`.
"""

from elman.estimators.classifier import SequenceClassifier
from elman.estimators.forecaster import SequenceForecaster
from elman.estimators.regressor import SequenceRegressor
from elman.estimators.tagger import SequenceTagger

__all__ = ["SequenceClassifier", "SequenceForecaster", "SequenceRegressor", "SequenceTagger"]
