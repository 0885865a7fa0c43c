"""SEQUENCE REGRESSOR: numbers for a sequence, with scikit-learn's manners."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from elman.config import DistanceName, PoolingName
from elman.errors import DataError
from elman.estimators.reading import read_inputs, training_rows
from elman.estimators.scikit_learn import RegressorMixin
from elman.estimators.sequence_estimator import SequenceEstimator
from elman.estimators.token_settings import TokenSettings


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceRegressor(RegressorMixin, TokenSettings, SequenceEstimator):
    """Give each sequence a number, or several.

    The parameters are settings of `elman.train`, under the same names (`elman.config.Settings` says what each
    does); None leaves the choice to the recipe.

    Args:
        validation_fraction, random_state, verbose: see `SequenceEstimator`.

    Attributes:
        run_: the trained `elman.Run`, with its report, scores and layers.
        n_iter_: epochs that were trained.
        n_features_in_: numbers a step; texts and tokens have none.
        feature_names_in_: names of the columns, where X was a data frame.

    Example:
        >>> X = [np.full((length, 1), length) for length in range(1, 11)]
        >>> model = SequenceRegressor(hidden_size=4, epochs=1, threads=1).fit(X, range(10))
        >>> model.predict(X[:3]).shape
        (3,)
    """

    task: ClassVar[str] = "regress"

    pooling: PoolingName | None = None
    categories: str | None = None
    max_length: int | None = None
    loss: DistanceName | None = None

    def fit(self, X: Any, y: Any) -> "SequenceRegressor":
        """Train on sequences and their numbers, and return the estimator.

        Args:
            X: as `SequenceClassifier.fit` takes it.
            y: numbers, *[N]* or *[N, K]*.

        Raises:
            DataError: X or y cannot be used.
            ConfigError: a parameter is not valid.
            ValueError: scikit-learn's own, for a y that is not finite numbers, or of another length than X.
        """
        from sklearn.utils import check_array, check_consistent_length

        self._forget()
        self._require(y)
        inputs = read_inputs(self, X, reset=True)
        y = list(y) if isinstance(y, range) else y
        targets = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        if targets.ndim > 2:
            raise DataError(f"y has {targets.ndim} dimensions; numbers [N] or [N, K] were expected.")
        check_consistent_length(inputs, targets)
        rows, more = training_rows(self, inputs, targets.tolist())
        self._num_targets = None if targets.ndim == 1 else targets.shape[1]
        self._train(rows, **more)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the numbers of each sequence, of the shape of y: *[N]* or *[N, K]*.

        Raises:
            NotFittedError: `fit` was not called.
            DataError: X is of another form than in `fit`.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        predictions = self._predict(read_inputs(self, X, reset=False))
        numbers = [each.prediction for each in predictions]
        if self._num_targets is None:
            return np.array(numbers, np.float64)
        rows = [list(each.values()) if isinstance(each, dict) else [each] for each in numbers]
        return np.array(rows, np.float64)

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of an estimator: several targets are welcome."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
