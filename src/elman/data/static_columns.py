"""STATIC COLUMNS: what stays the same within a series, such as the shop or the size of a household."""

from collections.abc import Sequence
from typing import Any

from elman.data.series_table import SeriesTable
from elman.data.values import show
from elman.errors import DataError


def read_static(table: SeriesTable, columns: Sequence[str], series_id: str) -> dict[str, tuple[str, ...]]:
    """Return the static cells of each series, as texts, by the series' name.

    Args:
        table: the rows.
        columns: the static columns.
        series_id: the column that says which series a row belongs to.

    Raises:
        DataError: a cell is empty, or another one stood in a row of the same series before; the row is named.
    """
    places = [table.names.index(name) for name in columns]
    identity = table.names.index(series_id)
    found: dict[str, tuple[str, ...]] = {}
    for where, cells in table.open():
        key = str(cells[identity])
        own = tuple(_text(cells[place], where, name) for place, name in zip(places, columns, strict=True))
        before = found.setdefault(key, own)
        if own != before:
            place = next(place for place, cell in enumerate(own) if cell != before[place])
            raise DataError(
                f"{where}: column {columns[place]!r} is {own[place]!r}, but {before[place]!r} in an earlier "
                f"row of series {key!r}; one value for a whole series was expected. Leave it out of "
                "--static; what changes in time and is known ahead is named with --known-future."
            )
    return found


def _text(cell: Any, where: str, column: str) -> str:
    """Return a cell as text, a whole number as it is written without a point."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    text = "" if cell is None or cell != cell else str(cell).strip()
    if not text:
        raise DataError(
            f"{where}: column {column!r} is empty ({show(cell)}); every row holds the value of its series. "
            "Fill it in, or leave the column out of --static."
        )
    return text
