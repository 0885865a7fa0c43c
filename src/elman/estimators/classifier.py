"""SEQUENCE CLASSIFIER: one label for a sequence, with scikit-learn's manners."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from elman.config import ClassWeightsName, PoolingName
from elman.errors import DataError
from elman.estimators.labels import distinct, flat_labels, names_of
from elman.estimators.reading import read_inputs, training_rows
from elman.estimators.scikit_learn import ClassifierMixin
from elman.estimators.sequence_estimator import SequenceEstimator
from elman.estimators.token_settings import TokenSettings


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceClassifier(ClassifierMixin, TokenSettings, SequenceEstimator):
    """Give each sequence a label: a text, a list of tokens, a series of numbers, or a vector.

    The parameters are settings of `elman.train`, under the same names (`elman.config.Settings` says what each
    does); None leaves the choice to the recipe.

    Args:
        validation_fraction, random_state, verbose: see `SequenceEstimator`.

    Attributes:
        classes_: the labels in order, in the dtype of y.
        run_: the trained `elman.Run`, with its report, scores and layers.
        n_iter_: epochs that were trained.
        n_features_in_: numbers a step; texts and tokens have none.
        feature_names_in_: names of the columns, where X was a data frame.

    Example:
        >>> X, y = ["good fun", "no good", "fun", "no fun"] * 5, [1, 0, 1, 0] * 5
        >>> model = SequenceClassifier(hidden_size=4, epochs=1, threads=1).fit(X, y)
        >>> model.classes_.tolist(), model.predict_proba(["good"]).shape
        ([0, 1], (1, 2))
    """

    task: ClassVar[str] = "classify"

    pooling: PoolingName | None = None
    categories: str | None = None
    max_length: int | None = None
    class_weights: ClassWeightsName | None = None

    def fit(self, X: Any, y: Any) -> "SequenceClassifier":
        """Train on sequences and their labels, and return the estimator.

        Args:
            X: N texts, token lists or arrays *[T, I]*; an array *[N, T, I]*, or *[N, I]*, which is N vectors;
                or a data frame, whose rows are vectors.
            y: N labels: texts, whole numbers, truth values or tuples.

        Raises:
            DataError: X or y cannot be used; all labels are the same.
            ConfigError: a parameter is not valid.
        """
        from sklearn.utils import check_consistent_length

        self._forget()
        self._require(y)
        inputs = read_inputs(self, X, reset=True)
        labels = flat_labels(y)
        check_consistent_length(inputs, labels)
        classes = distinct(labels)
        if len(classes) < 2:
            raise DataError(
                f"y holds one class, {classes.tolist()[0]!r}; a classifier needs at least two classes."
            )
        names = dict(zip(classes.tolist(), names_of(classes.tolist()), strict=True))
        rows, more = training_rows(self, inputs, [names[label] for label in labels.tolist()])
        self.classes_ = classes
        self._train(rows, **more)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each label, *[N, classes]*, in the order of `classes_`.

        Raises:
            NotFittedError: `fit` was not called.
            DataError: X is of another form than in `fit`.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        predictions = self._predict(read_inputs(self, X, reset=False))
        names = names_of(self.classes_.tolist())
        # A label whose only example was held out is unknown to the network.
        rows = [[(each.probabilities or {}).get(name, 0.0) for name in names] for each in predictions]
        return np.array(rows, np.float64)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable label of each sequence, *[N]*, in the dtype of `classes_`."""
        chosen = self.predict_proba(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[chosen]
        return labels

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy: the share of sequences that get their right label.

        Args:
            X: N sequences.
            y: N labels.
            sample_weight: how much each counts, *[N]* (default: all alike).
        """
        from sklearn.metrics import accuracy_score

        predicted = self.predict(X).tolist()
        places = {label: place for place, label in enumerate(self.classes_.tolist())}
        right = [places.get(label, -1) for label in flat_labels(y).tolist()]
        said = [places[label] for label in predicted]
        return float(accuracy_score(right, said, sample_weight=sample_weight))
