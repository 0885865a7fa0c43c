"""WINDOWS: the pieces of series that a network reads and is asked for, none of them copied before it is used.

A window is an origin in a series: the `context` rows before it are read, the `horizon` rows from it on are
to be forecast. The rows to be forecast lie in one part of the data (from the series' `first` row on), so no
window of the training part holds a value of another part.

Shape legend: N windows, C context, H horizon, K covariates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from elman.data.time_series import Floats, TimeSeries
from elman.errors import DataError

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Window:
    """Some windows as arrays.

    Args:
        context: what is read, missing values filled with the last one before; NaN before the first, *[N, C]*.
        observed: where a value was read and not filled, *[N, C]*.
        target: what is to be forecast, NaN where it is missing or the context holds no value, *[N, H]*.
        known: covariates over context and horizon, NaN before the first row, *[N, C + H, K]*; None: there
            are none.
        series: which series each window is of, *[N]*.
        origin: the first row of the horizon, in that series, *[N]*.
    """

    context: Floats
    observed: NDArray[np.bool_]
    target: Floats
    known: Floats | None
    series: Ids
    origin: Ids

    def until(self, horizon: int) -> "Window":
        """Return the same windows with a shorter horizon."""
        stop = self.context.shape[1] + horizon
        known = None if self.known is None else self.known[:, :stop]
        return replace(self, target=self.target[:, :horizon], known=known)


class Windows:
    """Every window of some series, by number: those of the first series first, each in the order of time.

    A series shorter than context and horizon together has one window, with what it lacks missing in front.
    Only the rows that windows need are kept.

    Args:
        series: each with its `first` row decided.
        context, horizon: rows before an origin and from it on.
        stride: rows from one origin to the next.
        most: take windows farther apart, until there are at most so many of all series together.

    Attributes:
        stride: rows from one origin to the next, as chosen.

    Raises:
        DataError: no series has a horizon's rows in its part.

    Example:
        >>> from elman.data.timestamps import Clock
        >>> windows = Windows([TimeSeries("a", np.arange(6.0), Clock("rows"), first=4)], context=3, horizon=1)
        >>> made = windows.take(np.arange(len(windows)))
        >>> made.context.tolist(), made.target.tolist()
        ([[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]], [[4.0], [5.0]])
    """

    def __init__(
        self,
        series: Sequence[TimeSeries],
        context: int,
        horizon: int,
        *,
        stride: int = 1,
        most: int | None = None,
    ) -> None:
        self.context, self.horizon = context, horizon
        firsts = np.array([first_origin(one, context, horizon) for one in series], np.int64)
        lasts = np.array([len(one) - horizon for one in series], np.int64)
        spans = np.maximum(lasts - firsts + 1, 0)
        if not len(spans) or not spans.any():
            where = series[0].where if series else "data"
            raise DataError(
                f"{where}: no series has {horizon} rows to be forecast with a row before them; "
                "lower --horizon, or give longer series."
            )
        if most is not None:
            stride = max(stride, -(-int(spans.sum()) // most))
        self.stride = stride
        self._counts = -(-spans // stride)
        self._ends = np.cumsum(self._counts)
        # From the end, so that the latest rows are always forecast.
        self._firsts = lasts - (self._counts - 1) * stride
        starts = np.maximum(self._firsts - context, 0)
        pieces = [
            one.values[start:] if count else one.values[:0]
            for one, start, count in zip(series, starts, self._counts, strict=True)
        ]
        self._values = np.concatenate(pieces)
        self._offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])])[:-1] - starts
        self._starts = starts
        self._has_gaps = bool(np.isnan(self._values).any())
        self._known: Floats | None = None
        if series[0].known is not None:
            known = [
                _covering(one.known, start, len(one))[: len(piece)]
                for one, start, piece in zip(series, starts, pieces, strict=True)
            ]
            self._known = np.concatenate(known)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def locate(self, ids: Ids) -> tuple[Ids, Ids]:
        """Return series and origin of windows."""
        series = np.searchsorted(self._ends, ids, side="right")
        place = ids - (self._ends[series] - self._counts[series])
        return series, self._firsts[series] + place * self.stride

    def take(self, ids: Ids) -> Window:
        """Return windows by their numbers."""
        series, origin = self.locate(ids)
        rows = origin[:, None] + np.arange(-self.context, self.horizon)
        before = rows < self._starts[series, None]
        flat = np.where(before, 0, rows + self._offsets[series, None])
        values = np.where(before, np.nan, self._values[flat])
        context, target = values[:, : self.context], values[:, self.context :]
        observed = ~before[:, : self.context]
        if self._has_gaps:
            observed = ~np.isnan(context)
        if not observed.all():
            context = fill_forward(context)
            target = np.where(np.isnan(context[:, -1:]), np.nan, target)
        # Nothing is known of rows before a series: what stands at `flat` there is another one's.
        known = None if self._known is None else np.where(before[:, :, None], np.nan, self._known[flat])
        return Window(context, observed, target, known, series, origin)


def first_origin(series: TimeSeries, context: int, horizon: int) -> int:
    """Return the first row of a series from which a forecast is asked for.

    It lies in the series' part and has a whole context before it, or as much of one as there is.
    """
    first = 0 if series.first is None else series.first
    return max(first, min(context, len(series) - horizon), 1)


def fill_forward(values: Floats) -> Floats:
    """Return values with each NaN replaced by the last number before it in its row; NaN where there is none.

    Example:
        >>> fill_forward(np.array([[np.nan, 1.0, np.nan, 3.0]])).tolist()
        [[nan, 1.0, 1.0, 3.0]]
    """
    steps = np.where(np.isnan(values), 0, np.arange(values.shape[1]))
    return np.take_along_axis(values, np.maximum.accumulate(steps, axis=1), axis=1)


def _covering(known: Floats | None, start: int, stop: int) -> Floats:
    if known is None:
        raise DataError("some series have known covariates and some have none; give all of them the columns.")
    return known[start:stop]
