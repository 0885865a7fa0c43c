"""IN MEMORY: pairs, dicts or a data frame as examples, instead of a file."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from elman.data.categories import Row
from elman.data.columns import Columns, choose_columns
from elman.data.example import Example, Reading
from elman.data.measures import Unit
from elman.data.values import make_reading
from elman.errors import DataError

EXPECTED = "expected (input, target) pairs, dicts with the same keys, or a pandas or polars DataFrame"


def examples_from(
    data: Any,
    *,
    input: Sequence[str] | None = None,
    target: str | None = None,
    columns: Sequence[str] | None = None,
    kind: str | None = None,
    need_target: bool = True,
    name: str = "data",
    measures: Unit | None = None,
    categories: Sequence[str] | None = None,
) -> Reading:
    """Return the examples in data that Python holds.

    Args:
        data: a list of (input, target) pairs, a list of dicts, or a DataFrame; with `need_target=False`, a
            list of inputs. An input is a text, a list of tokens, or an array *[T]* or *[T, I]*.
        input: input columns of dicts or a DataFrame, by name or 1-based number (default: the first).
        target: target column (default: the last).
        columns: only files have columns without names, so this must be None.
        kind: "text", "series", or None: seen from the first input.
        need_target: whether a missing target is an error.
        name: what to call the data in messages ("train").
        measures: what the targets are numbers of; None: they are labels.
        categories: input columns that hold names instead of numbers; None: those without a number.

    Raises:
        DataError: data of another shape, or what a reader would refuse; the row is named, counted from 1.

    Example:
        >>> examples_from([("so good", "yes"), ("so bad", "no")]).examples[1]
        Example(input='so bad', target='no', where='data: row 2')
    """
    if columns:
        raise DataError(f"{name}: --columns names the columns of files without a header; leave it out.")
    table = table_from(data, name)
    if table is None:
        return _from_items(list(data), kind=kind, need_target=need_target, name=name, measures=measures)
    names, cells = table
    chosen = choose_columns(
        names,
        input=input,
        target=target,
        need_target=need_target,
        kind=kind,
        where=name,
        vectors=not any(isinstance(cell, list | tuple | np.ndarray) for cell in cells[0]),
        several_targets=measures is not None,
    )
    rows = ((f"{name}: row {number}", row) for number, row in enumerate(cells, 1))
    return make_reading(
        rows, chosen, kind=kind, need_target=need_target, measures=measures, categories=categories
    )


def table_from(data: Any, name: str) -> tuple[list[str], list[list[Any]]] | None:
    """Return the column names and rows of dicts or a DataFrame; None for other items.

    Raises:
        DataError: there are none, or they are uneven.
    """
    if hasattr(data, "columns") and (hasattr(data, "to_dicts") or hasattr(data, "to_dict")):
        return _from_frame(data, name)
    if isinstance(data, str | bytes | dict) or not isinstance(data, Iterable):
        raise DataError(f"{name}: is a {type(data).__name__}; {EXPECTED}.")
    items = list(data)
    if not items:
        raise DataError(f"{name}: is empty; {EXPECTED}.")
    return _from_dicts(items, name) if isinstance(items[0], dict) else None


def _from_items(
    items: list[Any], *, kind: str | None, need_target: bool, name: str, measures: Unit | None
) -> Reading:
    rows: list[Row] = []
    for number, item in enumerate(items, 1):
        where = f"{name}: row {number}"
        if isinstance(item, Example):
            rows.append((item.where or where, [item.input, item.target][: 1 + need_target]))
        elif need_target:
            if not isinstance(item, tuple | list) or len(item) != 2:
                raise DataError(f"{where}: is no pair; {EXPECTED}.")
            rows.append((where, list(item)))
        else:
            rows.append((where, [item]))
    if not need_target:
        columns = Columns(["input"], [0], None)
    else:
        columns = Columns(["input", "target"], [0], 1, (1,) if measures else ())
    return make_reading(rows, columns, kind=kind, need_target=need_target, measures=measures)


def _from_dicts(items: list[Any], name: str) -> tuple[list[str], list[list[Any]]]:
    keys = list(items[0])
    rows = []
    for number, item in enumerate(items, 1):
        if not isinstance(item, dict) or len(item) != len(keys) or any(key not in item for key in keys):
            raise DataError(
                f"{name}: row {number} is not a dict with the keys of row 1 ({', '.join(map(str, keys))}); "
                "give every row the same keys, with None for what is missing."
            )
        rows.append([item[key] for key in keys])
    return [str(key) for key in keys], rows


def _from_frame(frame: Any, name: str) -> tuple[list[str], list[list[Any]]]:
    """Return names and rows of a pandas or polars DataFrame; neither package is imported."""
    keys = list(frame.columns)
    names = [str(key) for key in keys]
    if len(set(names)) < len(names):
        twice = next(key for key in names if names.count(key) > 1)
        raise DataError(f"{name}: has two columns called {twice!r}; rename one.")
    records = frame.to_dicts() if hasattr(frame, "to_dicts") else frame.to_dict("records")
    if not records:
        raise DataError(f"{name}: is a table without rows; at least one was expected.")
    return names, [[_missing_to_none(record[key]) for key in keys] for record in records]


def _missing_to_none(value: Any) -> Any:
    """Return None for what pandas writes where a text is missing: NaN, NaT or NA."""
    if isinstance(value, float | np.floating):
        return None if value != value else value
    return None if type(value).__name__ in ("NAType", "NaTType") else value
