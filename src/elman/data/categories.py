"""CATEGORIES: columns of names ("red", "blue") beside columns of numbers, in one row.

Of several input columns, one is a category if it holds a text and no number in any row. A column with numbers
in some rows and texts in others is neither: the first such text is refused. Names that are written as numbers
(codes) are told apart by nobody, so they are named: `--categories code`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from elman.config import unknown_name
from elman.data.columns import Columns
from elman.errors import DataError

Row = tuple[str, Sequence[Any]]
"""Where a row stands, and its cells."""


def find_categories(
    rows: Iterable[Row], columns: Columns, given: Sequence[str] | None
) -> tuple[Iterable[Row], list[int]]:
    """Return the rows, and which of the input columns hold names; positions count among all columns.

    Args:
        rows: place and cells of each row.
        columns: which of them are inputs.
        given: the columns that are categories; None: seen from the rows, where there are several inputs.

    Raises:
        DataError: a given column is no input, or no input is left that could hold numbers.

    Example:
        >>> columns = Columns(["a", "b", "label"], [0, 1], 2)
        >>> find_categories([("row 1", ["1", "red", "x"]), ("row 2", ["", "blue", "x"])], columns, None)[1]
        [1]
    """
    if given is not None:
        for name in given:
            if name not in columns.input_names:
                raise DataError(f"--categories: {unknown_name('input column', name, columns.input_names)}")
        found = [position for position in columns.inputs if columns.names[position] in given]
    elif len(columns.inputs) < 2:
        return rows, []
    else:
        rows = list(rows)
        found = [position for position in columns.inputs if _holds_names(rows, position)]
    if found and len(found) == len(columns.inputs):
        listed = ", ".join(columns.names[position] for position in found)
        raise DataError(
            f"every input column ({listed}) holds names; at least one column of numbers was expected. To "
            "read names alone, write them into one column, as a text."
        )
    if found and any("," in name for name in columns.input_names):
        raise DataError("a column beside names has a comma in its own name; rename it.")
    return rows, found


def _holds_names(rows: Iterable[Row], position: int) -> bool:
    """Say whether a column holds a text, and nothing but texts and empty cells."""
    has_name = False
    for _, cells in rows:
        cell = cells[position]
        if cell is None or (isinstance(cell, str) and not cell.strip()):
            continue
        if not isinstance(cell, str) or _is_number(cell):
            return False
        has_name = True
    return has_name


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def separate(cells: Sequence[Any], categories: Sequence[int], where: str = "") -> tuple[Any, tuple[str, ...]]:
    """Return the numbers of one example's input cells, and its names.

    Args:
        cells: what stands in the input columns.
        categories: positions among them of those that hold names.
        where: the row's place, for messages.

    Returns:
        The numbers: the list of a vector, or the series where the only other cell is one.

    Raises:
        DataError: a name is neither a text nor a whole number.

    Example:
        >>> separate([1.5, "red", 2], [1])
        ([1.5, 2], ('red',))
    """
    numbers: Any = [cell for position, cell in enumerate(cells) if position not in categories]
    if len(numbers) == 1 and isinstance(numbers[0], list | np.ndarray):
        numbers = numbers[0]
    return numbers, tuple(_name(cells[position], where) for position in categories)


def _name(cell: Any, where: str) -> str:
    if isinstance(cell, np.generic):
        cell = cell.item()
    if cell is None or (isinstance(cell, float) and cell != cell):
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if not isinstance(cell, str | int):
        raise DataError(
            f"{where}: a {type(cell).__name__} stands in a column of names; a text or a whole number was "
            "expected."
        )
    return str(cell) if str(cell).strip() else ""
