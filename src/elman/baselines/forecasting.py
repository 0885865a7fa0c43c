"""FORECASTING: the simple methods that a forecast must beat: last value, season, drift, a linear model.

Shape legend: N windows, C context, H horizon, S series, D inputs of the linear model (C + 1).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.baselines.baseline import Baseline
from elman.errors import DataError

Floats = NDArray[np.float64]

PENALTIES = tuple(10.0**power for power in range(-6, 3))
"""Shares of the mean square of the inputs that ridge regression adds; one is chosen on held-out windows."""

SHARES = (1, 2, 4, 8)
"""The linear model may read the whole context, or the last so many-th part of it."""

MOST_OWN = 32
"""Of at most so many series each may have a linear model of its own."""

LATE_SHARE = 0.2
"""The last windows of each series that choose the penalty."""


@dataclass(frozen=True)
class Block:
    """Some windows.

    Args:
        context: what was before, gaps filled; NaN before the first value, *[N, C]*.
        mean, deviation: of each window's series in the training part, *[N]*.
        series: which series each window is of, below S; -1: one that was not in the training data, *[N]*.
        target: what came, NaN where it is missing, *[N, H]*; None: not known.
        is_late: whether a window is one of the last of its series, *[N]*.
    """

    context: Floats
    mean: Floats
    deviation: Floats
    series: NDArray[np.int64]
    target: Floats | None = None
    is_late: NDArray[np.bool_] | None = None


class SimpleForecasts(Baseline):
    """Four simple forecasts, side by side.

    - last value: y[t]
    - seasonal naive: y[t + h - season], the last season again
    - drift: y[t] + h (y[t] - y[first]) / (t - first), over the context
    - linear: ridge regression on the whole context, one for each series or one for all

    Source: the first three are those of Hyndman and Athanasopoulos 2021, "Forecasting: principles and
    practice", section 5.2; the drift is taken over the context instead of the whole history.

    Args:
        season: steps of a season; 1: none.
        horizon: H.
        weights: of the linear model in scaled differences from the last value, *[S + 1, D, H]*; the last ones
            are for series that have none of their own.
        note: what was chosen for the linear model.

    Example:
        >>> block = Block(np.array([[1.0, 2.0, 3.0, 4.0]]), np.zeros(1), np.ones(1), np.array([-1]))
        >>> simple = SimpleForecasts(2, 3, torch.zeros(1, 5, 3), "")
        >>> {name: row[0].tolist() for name, row in simple.forecasts(block).items() if name != "linear"}
        {'last value': [4.0, 4.0, 4.0], 'seasonal naive': [3.0, 4.0, 3.0], 'drift': [5.0, 6.0, 7.0]}
    """

    name = "simple forecasts"

    def __init__(self, season: int, horizon: int, weights: Tensor, note: str) -> None:
        self.season, self.horizon, self.weights, self.note = season, horizon, weights, note

    @classmethod
    def fit(
        cls,
        blocks: Iterable[Block],
        *,
        num_series: int,
        context: int,
        horizon: int,
        season: int,
        refit: bool = True,
    ) -> "SimpleForecasts":
        """Fit the linear model by its normal equations, in one pass whatever the number of windows.

        Args:
            blocks: the windows; those that are late choose the penalty and how many rows are read.
            num_series: S.
            context, horizon, season: C, H and the steps of a season.
            refit: fit the chosen model on the late windows too (they are of the training part).
        """
        num_own = num_series if 1 < num_series <= MOST_OWN else 0
        sums = _Sums.zeros(num_own + 1, context + 1, horizon)
        for block in blocks:
            sums.add(block)
        # Of fewer rows the sums are parts of those of all: lengths cost nothing more.
        lengths = [context // share for share in SHARES if context // share >= max(season, 2)] or [context]
        own = sums.choose(slice(0, num_own), lengths)
        common = sums.choose(slice(num_own, num_own + 1), lengths)
        is_own = num_own > 0 and own[0] < common[0]
        made = sums.solve(slice(num_own, num_own + 1), *common[1:], refit=refit)
        if is_own:
            made = np.concatenate([sums.solve(slice(0, num_own), *own[1:], refit=refit), made])
        _, penalty, length = own if is_own else common
        chosen = "by the last training windows" if refit else "by the validation part"
        whose = "one for each series" if is_own else "one for all series"
        note = f"the last {length} rows, {whose}, penalty {penalty:g} of the mean square, {chosen}"
        return cls(season, horizon, torch.from_numpy(made.astype(np.float32)), note)

    @property
    def description(self) -> str:
        """What it does, in one line."""
        return (
            f"the best here of last value, seasonal naive (season {self.season}), drift, and ridge "
            f"regression on the context ({self.note})"
        )

    def forecasts(self, block: Block) -> dict[str, Floats]:
        """Return each method's forecast of the windows, *[N, H]*, by its name."""
        context, horizon = block.context, self.horizon
        last = context[:, -1:]
        steps = np.arange(1, horizon + 1)
        first = (~np.isnan(context)).argmax(1)
        span = np.maximum(context.shape[1] - 1 - first, 1)
        slope = (last[:, 0] - context[np.arange(len(context)), first]) / span
        made = {"last value": np.repeat(last, horizon, axis=1)}
        if 1 < self.season <= context.shape[1]:
            season = context[:, context.shape[1] - self.season :][:, np.arange(horizon) % self.season]
            made["seasonal naive"] = np.where(np.isnan(season), last, season)
        made["drift"] = last + slope[:, None] * steps
        made["linear"] = self._linear(block, last)
        return made

    def _linear(self, block: Block, last: Floats) -> Floats:
        weights = self.weights.numpy().astype(np.float64)
        inputs = _inputs(block)
        which = np.where((block.series >= 0) & (block.series < len(weights) - 1), block.series, -1)
        deltas = np.zeros((len(inputs), self.horizon))
        for one in np.unique(which):
            deltas[which == one] = inputs[which == one] @ weights[one]
        return last + block.deviation[:, None] * deltas

    def predict(self, inputs: Sequence[Any]) -> list[Any]:
        """Return the linear forecast after each history *[T]*, with at least as many rows as are read."""
        if not inputs:
            return []
        context = self.weights.size(1) - 1
        rows = np.array([np.asarray(history, np.float64).ravel()[-context:] for history in inputs])
        deviation = np.where(rows.std(1) > 0, rows.std(1), 1.0)
        block = Block(rows, rows.mean(1), deviation, np.full(len(rows), -1))
        return list(self.forecasts(block)["linear"].tolist())

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        info = {"season": self.season, "horizon": self.horizon, "note": self.note}
        return {"weights": self.weights}, info

    @classmethod
    def _from_state(cls, tensors: dict[str, Tensor], info: dict[str, Any]) -> "SimpleForecasts":
        return cls(info["season"], info["horizon"], tensors["weights"], info["note"])


def _inputs(block: Block) -> Floats:
    """Return differences from the last value, that value and 1, in the series' scale, *[N, D]*."""
    last, deviation = block.context[:, -1:], block.deviation[:, None]
    differences = np.nan_to_num((block.context[:, :-1] - last) / deviation)
    level = np.nan_to_num((last - block.mean[:, None]) / deviation)
    return np.concatenate([differences, level, np.ones_like(level)], axis=1)


@dataclass
class _Sums:
    """What ridge regression needs of all windows: early ones and late ones, of each series and of all.

    Args:
        squares: sums of x x', *[2, S, D, D]*.
        products: sums of x y', *[2, S, D, H]*.
        targets: sums of y y', *[2, S]*.
    """

    squares: Floats
    products: Floats
    targets: Floats

    @classmethod
    def zeros(cls, num_series: int, num_inputs: int, horizon: int) -> "_Sums":
        return cls(
            np.zeros((2, num_series, num_inputs, num_inputs)),
            np.zeros((2, num_series, num_inputs, horizon)),
            np.zeros((2, num_series)),
        )

    def add(self, block: Block) -> None:
        """Add windows whose targets are whole; the last place is that of all series together."""
        if block.target is None or block.is_late is None:
            raise DataError("a linear forecast is fitted on windows with targets; these have none.")
        whole = ~np.isnan(block.target).any(1)
        inputs = _inputs(block)
        targets = (block.target - block.context[:, -1:]) / block.deviation[:, None]
        num_own = self.squares.shape[1] - 1
        for late in (0, 1):
            rows = whole & (block.is_late == bool(late))
            own = np.unique(block.series[rows & (block.series >= 0)]) if num_own else ()
            for one in [*own, num_own]:
                chosen = rows if one == num_own else rows & (block.series == one)
                x, y = inputs[chosen], targets[chosen]
                self.squares[late, one] += x.T @ x
                self.products[late, one] += x.T @ y
                self.targets[late, one] += np.square(y).sum()

    def choose(self, which: slice, lengths: Sequence[int]) -> tuple[float, float, int]:
        """Return the smallest squared error on the late windows, and the penalty and length that give it."""
        late, products, targets = self.squares[1, which], self.products[1, which], self.targets[1, which]
        errors = []
        for length in lengths:
            for penalty in PENALTIES:
                w = _ridge(self.squares[0, which], self.products[0, which], penalty, length)
                error = targets.sum() - 2 * (w * products).sum() + (w * (late @ w)).sum()
                errors.append((float(error), penalty, length))
        return min(errors)

    def solve(self, which: slice, penalty: float, length: int, *, refit: bool) -> Floats:
        """Return the weights on early, or all, windows, *[S, D, H]*; of rows that are not read they are 0."""
        used = slice(0, 2 if refit else 1)
        return _ridge(self.squares[used, which].sum(0), self.products[used, which].sum(0), penalty, length)


def _ridge(squares: Floats, products: Floats, penalty: float, length: int) -> Floats:
    """Solve for the inputs of the last `length` rows; the level and the constant are always among them."""
    used = slice(squares.shape[-1] - length - 1, None)
    squares = squares[:, used, used]
    size = squares.shape[-1]
    diagonal = np.trace(squares, axis1=1, axis2=2) / size
    added = penalty * np.maximum(diagonal, 1e-12)[:, None, None] * np.eye(size)
    weights = np.zeros_like(products)
    weights[:, used] = np.linalg.solve(squares + added, products[:, used])
    return weights
