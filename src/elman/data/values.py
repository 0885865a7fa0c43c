"""VALUES: what stands in one cell becomes a text, tokens, an array of numbers, or a label.

A cell of a .csv or .tsv file is always a text and stays as written ("01", "NA", "true"). A cell of a .jsonl
or .parquet file, or of data in memory, has a type: a string is a text, a list of strings is tokens, an
array of numbers *[T]* or *[T][I]* is a series.

Among numbers, an empty cell, a null and a not-a-number of NumPy or pandas are missing values: NaN.
`tasks/inputs.py` decides what a model makes of them. The text "NaN" is no number and no gap.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.data.categories import Row, find_categories, separate
from elman.data.columns import Columns
from elman.data.example import Example, Reading
from elman.data.measures import Unit, to_measures
from elman.errors import DataError

MAX_NUMBERS = 2**28
"""The most numbers that one example may hold: 1 GiB as float32."""


def make_reading(
    rows: Iterable[Row],
    columns: Columns,
    *,
    kind: str | None,
    need_target: bool,
    measures: Unit | None = None,
    categories: Sequence[str] | None = None,
) -> Reading:
    """Return the examples in the rows.

    Args:
        rows: place and cells of each row; one cell for each of `columns.names`.
        columns: which cells to use.
        kind: "text", "series", or None: seen from the first input that is not empty.
        need_target: a missing target is an error.
        measures: what the targets are numbers of; None: targets are labels.
        categories: the input columns that hold names instead of numbers; None: seen from the rows.

    Raises:
        DataError: a cell does not hold what its column holds elsewhere, or a needed target is missing.
    """
    rows, of_names = find_categories(rows, columns, categories)
    places = [columns.inputs.index(position) for position in of_names]
    numbered = [columns.names[position] for position in columns.inputs if position not in of_names]
    converter = InputConverter(numbered, "series" if of_names else kind)
    examples = []
    first, only_one = columns.inputs[0], len(columns.inputs) == 1
    for where, cells in rows:
        value = cells[first] if only_one else [cells[position] for position in columns.inputs]
        names: tuple[str, ...] = ()
        if of_names:
            value, names = separate(value, places, where)
        sequence = converter.convert(value, where)
        target: Any = None
        if measures is not None:
            # Where none is needed, none is looked at: to predict, a target may be anything.
            used = columns.targets if need_target else ()
            target_cells = {columns.names[position]: cells[position] for position in used}
            target = to_measures(target_cells, where, measures) if used else None
        elif columns.target is not None:
            target = to_target(cells[columns.target], where)
        if need_target and target is None:
            raise DataError(
                f"{where}: column {columns.target_name!r} has no target. Every row needs one here; "
                "fill it in or leave the row out."
            )
        is_aligned = measures == "step" and target is not None and not isinstance(sequence, str)
        if is_aligned and len(target) != len(sequence):
            raise DataError(
                f"{where}: {len(target)} targets stand beside {len(sequence)} tokens or steps; "
                "a list of targets holds one for each."
            )
        examples.append(Example(sequence, target, where, names))
    return Reading(
        converter.finish(examples),
        converter.kind or "text",
        columns.input_names,
        columns.target_name,
        columns.names,
        tuple(columns.names[position] for position in of_names),
    )


def to_target(value: Any, where: str = "") -> str | tuple[str, ...] | None:
    """Return a cell as a label, a tuple of labels, or None where it is empty.

    Numbers and booleans become texts, as JSON writes them.

    Example:
        >>> to_target("01"), to_target(3), to_target(True), to_target(["B", "O"]), to_target("")
        ('01', '3', 'true', ('B', 'O'), None)
    """
    if isinstance(value, str):
        return str(value) or None  # a plain str, not numpy's
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(_to_label(item, where) for item in value)
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return None
    return _to_label(value, where)


def _to_label(value: Any, where: str) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str) and value:
        return str(value)
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        try:
            return json.dumps(value)
        except ValueError:  # an integer of thousands of digits
            pass
    raise DataError(
        f"{where}: {show(value)} is no label; a text, a whole number or a list of those was expected."
    )


def show(value: Any) -> str:
    """Return a short picture of a value for a message."""
    if isinstance(value, str | int | float | bool | None) and not (
        isinstance(value, int) and abs(value) > 10**40
    ):
        text = repr(value)
        return text if len(text) <= 40 else text[:37] + "..."
    return f"a value of type {type(value).__name__}"


class InputConverter:
    """Turns the input cells of one table into sequences of one kind.

    Args:
        names: the input columns; several are the numbers of a vector, or the columns of a series.
        kind: "text", "series", or None: decided by the first input that is not empty.
    """

    def __init__(self, names: Sequence[str], kind: str | None) -> None:
        self.names = list(names)
        self.kind = "series" if len(names) > 1 else kind
        self.width: int | None = None
        self.first_where = ""
        self._type: type | None = None  # str or tuple, once a text has been seen

    def convert(self, value: Any, where: str) -> Any:
        """Return a cell (or the list of cells of several columns) as a text, a tuple of tokens or an array.

        An empty list is returned as (); `finish` gives it the right type.
        """
        if isinstance(value, str) and self.kind != "series":
            return self._text(str(value), where)  # a plain str, not numpy's
        if not isinstance(value, list) and hasattr(value, "__array__"):
            value = np.asarray(value)
            if value.dtype.kind in "OU":
                value = value.tolist()
        if isinstance(value, tuple):
            value = list(value)
        if isinstance(value, list) and not value:
            return ()
        if len(self.names) > 1:
            return self._numbers(_join(value, self.names, where), where)
        if isinstance(value, list) and self.kind != "series" and isinstance(value[0], str):
            return self._text(_tokens(value, where), where)
        if isinstance(value, bool | int | float | np.generic) and self.kind != "series":
            return self._text(_to_label(value, where), where)
        if value is None:
            raise DataError(
                f"{where}: column {self.names[0]!r} has no input. Fill it in or leave the row out."
            )
        return self._numbers([value] if isinstance(value, str | int | float) else value, where)

    def _text(self, value: str | tuple[str, ...], where: str) -> str | tuple[str, ...]:
        try:
            "".join(value).encode("utf-8")
        except UnicodeEncodeError:
            raise DataError(
                f"{where}: {show(value)} holds half a surrogate pair, which is no character. Mend the text "
                "(was it decoded with errors='surrogateescape'?)."
            ) from None
        if self._type is None:
            self.kind, self._type, self.first_where = "text", type(value), where
        elif type(value) is not self._type:
            here, there = ("text", "tokens") if isinstance(value, str) else ("tokens", "a text")
            raise DataError(
                f"{where}: column {self.names[0]!r} holds {here} here but {there} in {self.first_where}; "
                "write all rows the same way: a string, or a list of strings."
            )
        return value

    def _numbers(self, value: Any, where: str) -> NDArray[np.float32]:
        if self.kind == "text":
            raise DataError(
                f"{where}: column {self.names[0]!r} holds {show(value)}; a text was expected (a string or a "
                "list of strings)" + (f", as in {self.first_where}." if self.first_where else ".")
            )
        array = to_array(value, where, self.names, may_miss=True)
        if self.width is None:
            self.kind, self.width, self.first_where = "series", array.shape[1], where
        elif array.shape[1] != self.width:
            raise DataError(
                f"{where}: has {array.shape[1]} numbers a step, but {self.first_where} has {self.width}; "
                "all series need the same number of columns."
            )
        return array

    def finish(self, examples: list[Example]) -> list[Example]:
        """Return the examples with empty inputs typed like the others."""
        if self.kind == "series":
            if self.width is None and examples:
                raise DataError(
                    f"{examples[0].where}: every input is empty; at least one array of numbers was expected."
                )
            nothing: Any = np.zeros((0, self.width or 1), np.float32)
        elif self._type is str:
            nothing = ""
        else:
            return examples
        return [
            replace(example, input=nothing)
            if isinstance(example.input, tuple) and not example.input
            else example
            for example in examples
        ]


def _tokens(values: list[Any], where: str) -> tuple[str, ...]:
    for number, token in enumerate(values, 1):
        if not isinstance(token, str) or not token:
            raise DataError(
                f"{where}: token {number} is {show(token)}; a list of tokens holds strings "
                "that are not empty."
            )
    return tuple(map(str, values))


def _join(values: list[Any], names: Sequence[str], where: str) -> Any:
    """Return the cells of several columns as one vector, or as the columns of one series."""
    if not any(isinstance(value, list | np.ndarray) for value in values):
        return [values]
    arrays = [
        to_array(value, where, [name], may_miss=True) for value, name in zip(values, names, strict=True)
    ]
    lengths = {len(array) for array in arrays}
    if len(lengths) > 1:
        counts = ", ".join(f"{name} {len(array)}" for name, array in zip(names, arrays, strict=True))
        raise DataError(
            f"{where}: the columns of one series differ in steps ({counts}); the same number was expected."
        )
    return np.concatenate(arrays, axis=1)


def to_array(
    value: Any, where: str, names: Sequence[str] = ("input",), *, may_miss: bool = False
) -> NDArray[np.float32]:
    """Return numbers as an array *[T, I]*, float32; one number a step becomes *[T, 1]*.

    Args:
        value: a list of numbers, or of lists of them, or an array.
        where: its place, for messages.
        names: of the columns, or of the one that holds it all.
        may_miss: whether an empty text, None and NaN stand for missing values, which become NaN.

    Raises:
        DataError: something is no finite float32 number, rows have unequal lengths, or there are too many.

    Example:
        >>> to_array([1, 2.5], "row 1").shape, to_array([["1", "2"]], "row 1").shape
        ((2, 1), (1, 2))
    """
    if isinstance(value, np.ndarray):
        array = value
        if array.dtype.kind not in "fiu" or array.ndim not in (1, 2):
            raise DataError(
                f"{where}: is an array of {array.dtype} with {array.ndim} dimensions; numbers [T] or [T, I] "
                "were expected."
            )
    else:
        array = _list_to_array(value, where, names, may_miss)
    if array.ndim == 1:
        array = array[:, None]
    if array.shape[1] == 0:
        raise DataError(f"{where}: has steps without numbers; each step needs at least one.")
    if array.size > MAX_NUMBERS:
        raise DataError(
            f"{where}: holds {array.size:,} numbers, more than {MAX_NUMBERS:,}. Cut it into shorter series."
        )
    with np.errstate(over="ignore"):
        made = array.astype(np.float32)
    finite = np.isfinite(made) | (may_miss & np.isnan(array))
    if not finite.all():
        step, column = (int(index) for index in np.argwhere(~finite)[0])
        named = f"column {names[column]!r}" if len(names) == made.shape[1] else f"column {column + 1}"
        raise DataError(
            f"{where}: step {step + 1}, {named} is {array[step, column]}; a finite number that fits float32 "
            "was expected. "
            "Fill missing values, or leave the row out."
        )
    return made


def _list_to_array(value: Any, where: str, names: Sequence[str], may_miss: bool) -> NDArray[np.float64]:
    if not isinstance(value, list | tuple):
        raise DataError(
            f"{where}: {show(value)} is no series; an array of numbers [T] or [T][I] was expected."
        )
    rows = [item.tolist() if isinstance(item, np.ndarray) else item for item in value]
    nested = bool(rows) and isinstance(rows[0], list | tuple)
    if nested:
        for step, row in enumerate(rows, 1):
            if not isinstance(row, list | tuple) or len(row) != len(rows[0]):
                got = f"{len(row)} numbers" if isinstance(row, list | tuple) else show(row)
                raise DataError(
                    f"{where}: step {step} holds {got}, step 1 holds {len(rows[0])} numbers; "
                    "all steps need as many."
                )
    flat = [item for row in rows for item in row] if nested else rows
    numbers = [
        item
        if type(item) is float
        else math.nan
        if may_miss and (item is None or (isinstance(item, str) and not item.strip()))
        else _to_float(item, index, where, names)
        for index, item in enumerate(flat)
    ]
    array = np.array(numbers, np.float64)
    return array.reshape(len(rows), len(rows[0])) if nested else array


def _to_float(value: Any, index: int, where: str, names: Sequence[str]) -> float:
    if isinstance(value, np.generic):
        value = value.item()
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if isinstance(value, str) and value.isascii() and "_" not in value:
            number = float(value)
            if not math.isnan(number):
                return number
    except (ValueError, OverflowError):
        pass
    named = (
        f"column {names[index % len(names)]!r}"
        if len(names) > 1
        else f"column {names[0]!r}, number {index + 1},"
    )
    hint = " An empty cell stands for a missing value." if isinstance(value, str) else ""
    raise DataError(
        f"{where}: {named} is {show(value)}, which is no number; finite numbers were expected.{hint}"
    )
