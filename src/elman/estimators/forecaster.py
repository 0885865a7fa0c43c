"""SEQUENCE FORECASTER: what a series does next, with scikit-learn's manners.

Shape legend: T time, C columns, H horizon, Q quantiles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from elman.config import DifferenceName, IntervalName, PointName
from elman.data.example import Example
from elman.data.time_series import TimeSeries, join
from elman.errors import ConfigError, DataError
from elman.estimators.histories import Histories, Shape, read_histories
from elman.estimators.sequence_estimator import SequenceEstimator, said_in_python
from elman.run_train import use_threads
from elman.tasks.prediction import Prediction

Forecasts = NDArray[np.float64] | list[NDArray[np.float64]]


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceForecaster(SequenceEstimator):
    """Say what comes after the end of a series, or of many.

    The parameters are settings of `elman.train`, under the same names (`elman.config.Settings` says what each
    does); None leaves the choice to the recipe.

    Args:
        validation_fraction: share of each series' rows, the last ones, that is held out to choose the best
            epoch by (default 0.1).
        random_state, verbose: see `SequenceEstimator`.

    Attributes:
        series_names_: names of the training series, in the order of the forecasts.
        quantiles_: the levels of `predict_quantiles`.
        run_: the trained `elman.Run`, with its report, scores and layers.
        n_iter_: epochs that were trained.

    Example:
        >>> wave = np.sin(np.arange(60) / 3)
        >>> model = SequenceForecaster(horizon=4, context=8, hidden_size=4, epochs=1, threads=1).fit(wave)
        >>> model.predict().shape, model.predict_quantiles().shape
        ((4,), (4, 3))
    """

    task: ClassVar[str] = "forecast"

    target: str | None = None
    time: str | None = None
    series_id: str | None = None
    known_future: str | None = None
    static: str | None = None
    horizon: int | None = None
    context: int | None = None
    season: int | None = None
    patch: int | None = None
    difference: DifferenceName | None = None
    recursive: bool | None = None
    calendar: bool | None = None
    point: PointName | None = None
    interval: IntervalName | None = None
    quantiles: str | None = None

    def fit(self, X: Any, y: Any = None) -> "SequenceForecaster":
        """Train on a series or many, and return the estimator.

        Args:
            X: numbers *[T]* or *[T, C]*; a data frame with a column or an index of times; a Series; or a list
                of series with one column each. NaN: a missing value.
            y: not used; it is there for scikit-learn.

        Raises:
            DataError: X cannot be used, or is too short for the horizon.
            ConfigError: a parameter is not valid.
        """
        self._forget()
        if self.validation_fraction == 0:
            raise ConfigError(
                f"{type(self).__name__}: validation_fraction = 0 leaves no rows to calibrate intervals on; "
                "give a share above 0."
            )
        with said_in_python():
            found = read_histories(X, self._settings())
        self._train(found.reading, target=",".join(found.reading.columns.target))
        self._form, self._history = found.shape, list(found.reading.series)
        self.series_names_ = [one.name for one in self._history]
        levels = self.run_.chosen.quantiles if self.run_.chosen.interval != "none" else None
        self.quantiles_ = [float(level) for level in (levels or "").split(",") if level]
        return self

    def predict(self, X: Any = None) -> Forecasts:
        """Return what comes after the training series, or after other histories.

        Args:
            X: None: the training series; otherwise histories, in any form that `fit` takes. A table's columns
                that training saw, by their names, keep their scale; each of a list is a series of its own.

        Returns:
            Values *[H]* after one series, *[H, C]* after a table's columns, a list of *[H]* for many series.

        Raises:
            NotFittedError: `fit` was not called.
            DataError: a history has no value, or other steps in time than the training series.
        """
        shape, predictions = self._predictions(X)
        return _in_shape([np.array(each.prediction, np.float64) for each in predictions], shape)

    def predict_quantiles(self, X: Any = None) -> Forecasts:
        """Return the quantiles of what comes: *[H, Q]*, *[H, C, Q]* or a list of *[H, Q]*; see `predict`.

        Raises:
            ConfigError: the model was trained without intervals.
        """
        shape, predictions = self._predictions(X)
        if not self.quantiles_:
            raise ConfigError(
                "interval = 'none' was set, and leaves no quantiles; fit with interval='quantiles'."
            )
        made = [np.array(list((each.quantiles or {}).values()), np.float64).T for each in predictions]
        return _in_shape(made, shape)

    def score(self, X: Any, y: Any = None) -> float:
        """Return minus the mean absolute scaled error (MASE): -1 is as good as the last season again.

        Forecasts are made from each row of X that leaves a horizon. Source: Hyndman and Koehler, 2006.

        Args:
            X: one series or a table: the rows that follow the training series, as `TimeSeriesSplit` cuts them
                off (rows up to its last time are dropped). A list: series that training did not see; their
                first rows are context.
            y: not used.

        Raises:
            DataError: X has fewer rows than the horizon, or all of them are missing.
        """
        found = self._read(X)
        series: Sequence[TimeSeries] = found.reading.series
        if found.shape != "many" or self.series_id is not None:
            history = {one.name: one for one in self._history}
            strange = [one.name for one in series if one.name not in history]
            if strange:
                raise DataError(
                    f"X: {strange[0]!r} is none of the training series ({', '.join(list(history)[:5])}), "
                    "which it was expected to follow; give series of their own in a list."
                )
            series = [join(history[one.name], one) for one in series]
        examples = [Example(one, None, one.where) for one in series]
        task: Any = self.run_.task
        with torch.inference_mode(), use_threads(self.run_.chosen.threads):
            error = task.evaluate(self.run_.model.eval(), examples).metrics["mase"]
        if error is None or not np.isfinite(error):
            raise DataError("X: the training series never changes, so errors have no scale; use predict.")
        return -float(error)

    def _read(self, X: Any) -> Histories:
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        settings = self._settings()
        is_table = self._form != "many" or self.series_id is not None
        if is_table and hasattr(X, "columns"):  # a table as before: its columns are known
            settings = settings.model_copy(update={"target": self.run_.chosen.target})
        task: Any = self.run_.task
        with said_in_python():
            return read_histories(X, settings, name="history", clock=task.inputs.clock)

    def _predictions(self, X: Any) -> tuple[Shape, list[Prediction]]:
        """Return a forecast for each series of X, or of the training data, and the shape to give it."""
        if X is None:
            from sklearn.utils.validation import check_is_fitted

            check_is_fitted(self)
            shape, series = self._form, self._history
        else:
            found = self._read(X)
            shape, series = found.shape, list(found.reading.series)
        with use_threads(self.run_.chosen.threads):
            examples = [Example(one, None, one.where) for one in series]
            return shape, self.run_.predict_examples(examples)

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of an estimator: series, and no y."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = False
        tags.input_tags.string = False
        tags.input_tags.one_d_array = True
        return tags


def _in_shape(made: list[NDArray[np.float64]], shape: Shape) -> Forecasts:
    """Return forecasts *[H, ...]* of each series as `predict` gives them."""
    if shape == "many":
        return made
    return made[0] if shape == "one" else np.stack(made, axis=1)
