"""TIME SERIES: numbers on a grid of equal steps, and the part of them that may be forecast.

Shape legend: T time, K covariates.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from elman.data.timestamps import Clock
from elman.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class TimeSeries:
    """One column of one series.

    Args:
        name: what it is called: the column, the series, or both.
        values: *[T]*, NaN where a value is missing.
        clock: how long a step is.
        start: where on the clock the first value stands.
        known: covariates that are known ahead, *[T, K]*; rows after the last value may follow.
        first: the first row that may be forecast; what stands before it is context only. None: not decided.
        where: file and row of its first value.
        static: what is known of the whole series, as texts: the cells of its static columns.

    Example:
        >>> series = TimeSeries("load", np.array([1.0, 2.0, 4.0]), Clock("rows"))
        >>> len(series), len(series.part(0, 2)), series.part(0, 3, first=2).first
        (3, 2, 2)
    """

    name: str
    values: Floats
    clock: Clock
    start: int = 0
    known: Floats | None = None
    first: int | None = None
    where: str = ""
    static: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        # What a run remembers its data by: the same for the same content alone.
        digest = hashlib.sha256(np.ascontiguousarray(self.values).tobytes())
        if self.known is not None:
            digest.update(np.ascontiguousarray(self.known).tobytes())
        for cell in self.static:
            digest.update(f"{len(cell)} {cell}".encode("utf-8", "surrogatepass"))
        place = f"{self.clock}, start={self.start}, first={self.first}"
        return f"TimeSeries({self.name!r}, {len(self)} steps, {place}, {digest.hexdigest()})"

    def part(self, start: int, stop: int, *, first: int | None = 0) -> "TimeSeries":
        """Return rows start to stop; `first` counts from the new start. Nothing is copied."""
        known = None if self.known is None else self.known[start:stop]
        return replace(
            self,
            values=self.values[start:stop],
            start=self.start + start * self.clock.step,
            known=known,
            first=first,
        )

    @property
    def num_new(self) -> int:
        """Rows that may be forecast."""
        return max(0, len(self) - (self.first or 0))

    @property
    def end(self) -> int:
        """The place on the clock after the last value."""
        return self.start + len(self) * self.clock.step

    def time(self, row: int) -> str:
        """Return when a row is (it may lie after the last one), as it is written."""
        return self.clock.text(self.start + row * self.clock.step)

    def row_at(self, position: int) -> int:
        """Return the row at a position of the clock; it may lie outside the series.

        Raises:
            DataError: the position is between two steps.
        """
        row, rest = divmod(position - self.start, self.clock.step)
        if rest:
            raise DataError(
                f"{self.where}: series {self.name!r} has no step at {self.clock.text(position)}; a step is "
                f"one {self.clock.name} from {self.time(0)} on, in all files alike."
            )
        return row

    def without_future(self) -> "TimeSeries":
        """Return the series up to its last value; known covariates after it stay."""
        present = np.flatnonzero(~np.isnan(self.values))
        stop = int(present[-1]) + 1 if len(present) else 0
        return replace(self, values=self.values[:stop])

    def has_truth(self) -> bool:
        """Say whether any row that may be forecast holds a value."""
        return not bool(np.isnan(self.values[self.first or 0 :]).all())


def too_few_rows(count: int, total: int, horizon: int) -> str:
    """Return what is said of series that cannot be scored."""
    return f"not scored: {count:,} of {total:,} series have fewer than {horizon} new rows (the horizon)"


def join(before: TimeSeries, after: TimeSeries) -> TimeSeries:
    """Return one series going on in another; what is new may be forecast, the rest is its context.

    Rows of `after` at or before the end of `before` are dropped, steps between the two are missing values.

    Raises:
        DataError: they are written in different steps, or one with offsets from UTC and one without; or what
            is static differs.

    Example:
        >>> clock = Clock("number")
        >>> past = TimeSeries("a", np.arange(3.0), clock, 0)
        >>> whole = join(past, TimeSeries("a", np.arange(2.0, 6), clock, 2))
        >>> whole.values.tolist(), whole.first
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 3)
    """
    end = len(before)
    if not after.clock.agrees(before.clock):
        raise DataError(
            f"{after.where}: series {after.name!r} has {after.clock.unlike(before.clock)} in {before.where}; "
            "write both in one form."
        )
    if after.static != before.static:
        raise DataError(
            f"{after.where}: series {after.name!r} has the static values {', '.join(after.static)} here and "
            f"{', '.join(before.static)} in {before.where}; one value for a whole series was expected."
        )
    row = end if before.clock.unit == "rows" else before.row_at(after.start)
    length = max(end, row + len(after))
    values = np.full(length, np.nan)
    values[:end] = before.values
    new = slice(max(end - row, 0), None)
    values[max(row, end) : row + len(after)] = after.values[new]
    known = None
    if before.known is not None and after.known is not None:
        known = np.full((max(length, row + len(after.known)), before.known.shape[1]), np.nan)
        known[max(row, 0) : row + len(after.known)] = after.known[max(-row, 0) :]
        known[:end] = before.known[:end]
    return replace(before, values=values, known=known, first=end)
