"""STATIC FEATURES: what is known of a whole series, as numbers for the network.

A column in which every training series has a number is standardised over the series. Any other holds names:
each that training saw is a number of its own, 1 where a series has it, and a name that it never saw has none,
as for names beside a vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.data.series_table import to_number
from elman.data.time_series import TimeSeries
from elman.errors import DataError


@dataclass(frozen=True)
class Measured:
    """A column of numbers: their mean and deviation over the training series."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Named:
    """A column of names: those that training saw, in the order of the alphabet."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class StaticFeatures:
    """How static columns are read.

    Args:
        columns: what each of them holds.

    Example:
        >>> from elman.data.timestamps import Clock
        >>> clock = Clock("rows")
        >>> shops = [TimeSeries(name, np.zeros(3), clock, static=cells) for name, cells in
        ...          (("a", ("north", "1")), ("b", ("south", "3")))]
        >>> features = StaticFeatures.fit(shops)
        >>> features.of(shops[0]).tolist(), features.size
        ([1.0, 0.0, -1.0], 3)
    """

    columns: tuple[Measured | Named, ...]

    @classmethod
    def fit(cls, series: Sequence[TimeSeries]) -> "StaticFeatures | None":
        """Measure the static cells of the training series; None where there are none."""
        if not series[0].static:
            return None
        return cls(tuple(map(_column, zip(*(one.static for one in series), strict=True))))

    @property
    def size(self) -> int:
        """How many numbers a series has."""
        return sum(len(column.names) if isinstance(column, Named) else 1 for column in self.columns)

    def told(self, names: Sequence[str]) -> str:
        """Return what each column is read as, in a line to be printed.

        Args:
            names: of the columns, in their order.
        """
        kinds = [
            f"{name} holds names ({len(column.names)}), one number for each"
            if isinstance(column, Named)
            else f"{name} holds numbers, standardised"
            for name, column in zip(names, self.columns, strict=True)
        ]
        return f"static: {'; '.join(kinds)}"

    def of(self, series: TimeSeries) -> NDArray[np.float32]:
        """Return the numbers of a series.

        Raises:
            DataError: it has no static cells, or a text where the model was trained on numbers.
        """
        if len(series.static) != len(self.columns):
            raise DataError(
                f"{series.where or series.name}: series {series.name!r} has {len(series.static)} static "
                f"values; the model was trained with {len(self.columns)}. Give a file with the columns of "
                "the training data."
            )
        numbers: list[float] = []
        for column, cell in zip(self.columns, series.static, strict=True):
            if isinstance(column, Named):
                numbers += [float(cell == name) for name in column.names]
            else:
                number = _number(cell)
                if number is None:
                    raise DataError(
                        f"{series.where}: series {series.name!r} has the static value {cell!r}; a number was "
                        "expected, as in the training data."
                    )
                numbers.append((number - column.mean) / column.deviation)
        return np.array(numbers, np.float32)

    def to_json(self) -> list[Any]:
        """Return what `vocab.json` holds; floats come back exactly."""
        return [
            {"names": list(column.names)}
            if isinstance(column, Named)
            else {"mean": column.mean, "deviation": column.deviation}
            for column in self.columns
        ]

    @classmethod
    def from_json(cls, values: Sequence[dict[str, Any]]) -> "StaticFeatures":
        """Read what `to_json` gave."""
        return cls(
            tuple(
                Named(tuple(column["names"]))
                if "names" in column
                else Measured(column["mean"], column["deviation"])
                for column in values
            )
        )


def _column(cells: Sequence[str]) -> Measured | Named:
    """Return what a column holds."""
    numbers = [_number(cell) for cell in cells]
    known = np.array([number for number in numbers if number is not None])
    if len(known) < len(cells):
        return Named(tuple(sorted(set(cells))))
    # Not the deviation: that of equal numbers may be off zero by rounding.
    deviation = 1.0 if known.min() == known.max() else float(known.std()) or 1.0
    return Measured(float(known.mean()), deviation)


def _number(cell: str) -> float | None:
    """Return a cell as a number; None where it is a text, or stands for a missing number."""
    try:
        number = to_number(cell, "", "")
    except DataError:
        return None
    return None if np.isnan(number) else number
