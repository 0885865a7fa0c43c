"""SERIES TABLE: a file, a data frame, dicts or an array as rows of cells, read as often as needed."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from elman.data.categories import Row
from elman.data.columns import Columns, check_names
from elman.data.in_memory import table_from
from elman.data.lines import absent
from elman.data.table import TABLES
from elman.data.values import show
from elman.errors import DataError

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})
"""What stands for a missing number, in any case."""

SCALARS = (bool, int, float, str, np.generic, type(None))
"""What a list of numbers may hold, right or wrong."""


@dataclass
class SeriesTable:
    """A table that can be read more than once."""

    name: str
    names: list[str]
    open: Callable[[], Iterator[Row]]

    def place_of(self, number: int) -> str:
        """Return where a row stands, counted from 0."""
        return next(islice(self.open(), number, None))[0]


def open_table(source: Any, columns: Sequence[str] | None, name: str) -> SeriesTable:
    """Return a source as a table; see `read_series`."""
    if not isinstance(source, str | Path):
        return _in_memory(source, name)
    if not Path(source).exists():
        raise DataError(absent(source))
    if Path(source).is_dir():
        raise DataError(f"{source}: is a folder; name a file in it.")
    opener = TABLES.get(str(source).lower().rpartition(".")[2])
    if opener is None:
        known = ", ".join(f".{suffix}" for suffix in TABLES)
        raise DataError(f"{source}: is no table; forecast reads {known}. The extension names the format.")

    def everything(names: Sequence[str], where: str) -> Columns:
        check_names(names, where=where)
        return Columns(list(names), list(range(len(names))), None)

    def again() -> Iterator[Row]:
        return opener(source, columns, everything)[1]

    return SeriesTable(str(source), opener(source, columns, everything)[0].names, again)


def _in_memory(source: Any, name: str) -> SeriesTable:
    is_list = isinstance(source, list | tuple) and bool(source)
    if isinstance(source, np.ndarray) or (is_list and isinstance(source[0], SCALARS)):
        rows = _rows_of_numbers(source, name)
        count = len(rows[0]) if rows else 1
        names = ["value"] if count == 1 else [f"value{n + 1}" for n in range(count)]
        table: tuple[list[str], Sequence[Sequence[Any]]] | None = (names, rows)
    elif isinstance(source, SCALARS) or (isinstance(source, list | tuple) and not source):
        table = None
    else:
        table = table_from(source, name)
    if table is None:
        raise DataError(
            f"{name}: has no rows of numbers; a file, a DataFrame, dicts or an array of numbers was expected."
        )
    names, cells = table
    return SeriesTable(name, names, lambda: ((f"{name}: row {n}", row) for n, row in enumerate(cells, 1)))


def _rows_of_numbers(source: Any, name: str) -> list[list[float]]:
    """Return an array *[T]* or *[T, I]*, or a list of numbers, as rows; None and NaN are missing numbers."""
    if isinstance(source, np.ndarray) and source.ndim not in (1, 2):
        raise DataError(f"{name}: has {source.ndim} dimensions; numbers [T] or [T, I] were expected.")
    cells = source.tolist() if isinstance(source, np.ndarray) else list(source)
    rows = cells if isinstance(source, np.ndarray) and source.ndim == 2 else [[cell] for cell in cells]
    return [
        [to_number(cell, f"{name}: number {row}", f"value{place}") for place, cell in enumerate(cells, 1)]
        for row, cells in enumerate(rows, 1)
    ]


def to_number(value: Any, where: str, column: str) -> float:
    """Return a cell as a number; NaN where it is missing.

    Raises:
        DataError: it is text, or infinite.

    Example:
        >>> to_number("1e3", "a.csv:2", "load"), to_number("NA", "a.csv:3", "load")
        (1000.0, nan)
    """
    if value is None or (isinstance(value, str) and value.strip().lower() in MISSING):
        return math.nan
    try:
        is_odd_text = isinstance(value, str) and ("_" in value or not value.isascii())
        if is_odd_text or isinstance(value, bool | np.bool_):
            raise ValueError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise DataError(
            f"{where}: column {column!r} is {show(value)}, which is no number; a number was expected, or "
            "nothing where it is missing (name the columns to forecast with --target)."
        ) from None
    if math.isinf(number):
        raise DataError(
            f"{where}: column {column!r} is {show(value)}; a finite number was expected, or nothing where it "
            "is missing."
        )
    return number
