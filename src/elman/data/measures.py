"""MEASURES: targets that are numbers, one or several of a sequence or of each of its steps.

Shape legend: T time, K targets.

They are kept as float64, as they are written: what a network makes of them is scaled back to their own units.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError

Unit = Literal["sequence", "step"]
"""What a target is a number of."""


def to_measures(cells: Mapping[str, Any], where: str, unit: Unit) -> NDArray[np.float64]:
    """Return the target cells of a row as numbers, *[K]* or *[T, K]*.

    Args:
        cells: column -> what stands in it. Of a sequence: a number (one column may also hold K of them). Of
            steps: T numbers (one column may also hold *[T][K]*), null where a step has none.
        where: the row's place, for messages.
        unit: what they are numbers of.

    Raises:
        DataError: a cell is empty, holds no finite number, or columns differ in steps; the place is named.

    Example:
        >>> to_measures({"height": "1.8", "weight": 75}, "a.csv:2", "sequence").tolist()
        [1.8, 75.0]
        >>> to_measures({"price": [3, None]}, "a.jsonl:1", "step").tolist()
        [[3.0], [nan]]
    """
    missing = [name for name, value in cells.items() if _is_missing(value)]
    if missing:
        raise DataError(
            f"{where}: column {missing[0]!r} has no target. Every row needs a number here; fill it in or "
            "leave the row out."
        )
    if unit == "sequence":
        rows = [_numbers_of(value, name, where) for name, value in cells.items()]
        return np.concatenate(rows)
    columns = [_steps_of(value, name, where) for name, value in cells.items()]
    lengths = {name: len(column) for name, column in zip(cells, columns, strict=True)}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise DataError(f"{where}: the targets differ in steps ({counts}); the same number was expected.")
    return np.concatenate(columns, axis=1)


def _numbers_of(value: Any, name: str, where: str) -> NDArray[np.float64]:
    """Return the one number in a cell, or the several."""
    value = _plain(value)
    items = value if isinstance(value, list) else [value]
    if not items:
        raise DataError(f"{where}: column {name!r} is an empty list; a number was expected.")
    return np.array([_number(item, name, where) for item in items], np.float64)


def _steps_of(value: Any, name: str, where: str) -> NDArray[np.float64]:
    """Return the numbers of a cell's steps, [T, K]."""
    value = _plain(value)
    if isinstance(value, str):  # of a .csv or .tsv file: numbers with white space between them
        value = value.split()
    if not isinstance(value, list):
        raise DataError(
            f"{where}: column {name!r} is {value!r}, one number; regress_steps needs one a step: a list, "
            "[1.5, 2.5, null]. For one number a sequence use --task regress."
        )
    rows = [item if isinstance(item, list) else [item] for item in value]
    for step, row in enumerate(rows, 1):
        if len(row) != len(rows[0]) or not row:
            raise DataError(
                f"{where}: column {name!r}, step {step} holds {len(row)} targets, step 1 holds "
                f"{len(rows[0])}; all steps need as many."
            )
    flat = [_number(item, name, where, step) for step, row in enumerate(rows, 1) for item in row]
    return np.array(flat, np.float64).reshape(len(rows), len(rows[0]) if rows else 1)


def _number(item: Any, name: str, where: str, step: int | None = None) -> float:
    """Return one number; NaN for a step without one."""
    place = f"{where}: column {name!r}" + (f", step {step}," if step else "")
    if step and _is_missing(item):
        return math.nan
    number = math.nan
    if isinstance(item, int | float) and not isinstance(item, bool):
        try:
            number = float(item)
        except OverflowError:
            number = math.inf
    elif isinstance(item, str) and item.isascii() and "_" not in item:
        try:
            number = float(item)
        except ValueError:
            pass
    if math.isinf(number):
        raise DataError(f"{place} is {str(item)[:40]}; a finite number was expected as target.")
    if math.isnan(number):
        said = repr(item) if isinstance(item, str | float | bool | None) else f"a {type(item).__name__}"
        raise DataError(
            f"{place} is {said[:40]}, which is no number; a target of regress and regress_steps is one "
            "(for labels use --task classify or tag)."
        )
    return number


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float | np.floating) and math.isnan(value))


def _plain(value: Any) -> Any:
    """Return arrays, tuples and numpy's numbers as lists and Python's numbers."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
