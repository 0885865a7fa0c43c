"""HISTORIES: the X of a forecaster as time series.

    one     numbers [T], or a Series: one series
    table   numbers [T, C], a data frame or dicts: a series for each column
    many    a list of these, each of one column; or a table with a column that tells series apart

Shape legend: T time, C columns.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from elman.config import Settings
from elman.data.read_series import SeriesReading
from elman.data.timestamps import Clock
from elman.errors import DataError
from elman.estimators.forms import is_frame
from elman.series_dataset import read_source

Shape = Literal["one", "table", "many"]


@dataclass(frozen=True)
class Histories:
    """What X holds.

    Args:
        shape: one of the shapes above.
        reading: the series, and which column was what.
    """

    shape: Shape
    reading: SeriesReading


def read_histories(
    X: Any, settings: Settings, *, name: str = "series", clock: Clock | None = None
) -> Histories:
    """Return the series in X.

    Args:
        X: what the user gave.
        settings: `target`, `time`, `series_id` and `known_future` name columns of a table.
        name: what the series of a list are called, with a number behind.
        clock: the steps of the training data.

    Raises:
        DataError: X holds no series, or a list holds something with several columns.

    Example:
        >>> [read_histories(X, Settings()).shape for X in (np.zeros(5), np.zeros((5, 2)), [[1, 2], [3]])]
        ['one', 'table', 'many']
    """
    if isinstance(X, list | tuple) and len(X) and not _is_plain(X[0]) and not isinstance(X[0], dict):
        return _many(list(X), settings, name, clock)
    if isinstance(X, str | bytes | type(None)):
        raise DataError(f"X is {'None' if X is None else 'a text'}; a series of numbers was expected.")
    table = _with_times_as_column(X)
    reading = read_source(settings, table, name="X", clock=clock)
    _check_columns(table, reading)
    if settings.series_id is not None:
        return Histories("many", reading)
    is_one = not is_frame(X) and (np.ndim(X) == 1 if hasattr(X, "__array__") else _is_plain(X[0]))
    return Histories("one" if is_one else "table", reading)


def _check_columns(table: Any, reading: SeriesReading) -> None:
    """Refuse columns that hold no number and are named for nothing: forecasts would silently lack them."""
    if not reading.left_out:
        return
    if isinstance(table, np.ndarray):
        raise DataError(
            f"X: {len(reading.left_out)} of its {table.shape[1]} columns hold no number; forecasts have as "
            "many columns as X, so leave those out."
        )
    name = reading.left_out[0]
    raise DataError(
        f"X: column {name!r} holds no number and is named for nothing; drop it, name the columns to forecast "
        "with --target, or say what it is: --series-id (it tells series apart) or --static (it stays the "
        "same within a series)."
    )


def _is_plain(value: Any) -> bool:
    return isinstance(value, bool | int | float | np.generic | type(None))


def _many(items: list[Any], settings: Settings, name: str, clock: Clock | None) -> Histories:
    found: list[SeriesReading] = []
    alone = settings.model_copy(update={"series_id": None})
    for place, item in enumerate(items, 1):
        reading = read_histories(item, alone, clock=clock).reading
        if len(reading.series) > 1:
            raise DataError(
                f"X[{place - 1}] has {len(reading.series)} columns; of a list, each is one series. "
                "Give each column as a series of its own."
            )
        one = replace(reading.series[0], name=f"{name} {place}", where=f"X[{place - 1}]")
        first = found[0].series[0].clock if found else one.clock
        if not one.clock.agrees(first):
            raise DataError(f"X[{place - 1}]: has {one.clock.unlike(first)} in X[0]; write all in one form.")
        found.append(replace(reading, series=[one]))
    series = [reading.series[0] for reading in found]
    return Histories("many", replace(found[0], series=series))


def _with_times_as_column(X: Any) -> Any:
    """Return a table whose index holds times with the index as a column; anything else as it is."""
    is_series = hasattr(X, "to_list") and not isinstance(X, np.ndarray)
    if not is_frame(X) and not is_series:
        return X if isinstance(X, list | tuple) else np.asarray(X)
    index = getattr(X, "index", None)
    if hasattr(index, "to_timestamp"):  # periods
        X = X.to_timestamp()
        index = X.index
    has_times = getattr(getattr(index, "dtype", None), "kind", "") == "M"
    if not has_times:
        return np.asarray(X.to_numpy(), np.float64) if is_series else X
    if is_series:
        X = X.to_frame("value" if X.name is None else str(X.name))
    return X.reset_index()
