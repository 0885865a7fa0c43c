"""FORMS: which of the many things that people call X stands before us.

    texts    strings
    tokens   lists of strings
    series   arrays [T, I] of unequal length, or one array [N, T, I]
    vectors  an array [N, I], a table of numbers: sequences of one step
    rows     a table in which some columns hold names instead of numbers

pandas, polars and torch are never imported: what is used of their objects is asked of the objects.

Shape legend: N examples, T steps, I columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from elman.data.values import show
from elman.errors import DataError

Form = Literal["texts", "tokens", "series", "vectors", "rows"]
EXPECTED = "a list of texts, token lists or arrays [T, I], an array [N, I] or [N, T, I], or a data frame"

NOTHING = "X is empty: found 0 sample(s), and a minimum of 1 is required."
"""In the words that scikit-learn has for it."""


@dataclass(frozen=True)
class Sorted:
    """What X holds, of which form.

    Args:
        form: one of the forms above.
        items: a list of the examples; of "vectors" and "rows", X as it came.
    """

    form: Form
    items: Any


def sort_out(X: Any, *, has_names: bool = False) -> Sorted:
    """Return what X holds, and its form.

    Args:
        X: what a user gave.
        has_names: whether the user said that some columns of a table hold names.

    Raises:
        DataError: it is nothing of the kind.

    Example:
        >>> [sort_out(X).form for X in (["ja", "nein"], [["so", "good"], []], [[1, 2], [3, 4]])]
        ['texts', 'tokens', 'vectors']
        >>> sort_out([np.zeros((3, 2)), np.zeros((5, 2))]).form, sort_out(np.zeros((4, 3, 2))).form
        ('series', 'series')
    """
    if is_frame(X):
        return _of_frame(X, has_names)
    if hasattr(X, "toarray"):  # a sparse matrix, for scikit-learn to refuse
        return Sorted("vectors", X)
    if hasattr(X, "to_list") and not isinstance(X, np.ndarray):  # a Series of pandas or polars
        X = X.to_list()
    elif hasattr(X, "__array__"):
        X = np.asarray(X)
    if isinstance(X, np.ndarray):
        return _of_array(X)
    if isinstance(X, str | bytes | dict) or not hasattr(X, "__len__") or not hasattr(X, "__iter__"):
        raise DataError(f"X is {_name(X)}; {EXPECTED} was expected.")
    return _of_list(list(X))


def is_frame(X: Any) -> bool:
    """Say whether an object is a data frame of pandas or polars."""
    return hasattr(X, "columns") and (hasattr(X, "to_dicts") or hasattr(X, "to_dict"))


def _of_frame(frame: Any, has_names: bool) -> Sorted:
    names = list(frame.columns)
    if len(names) == 1:
        cells = frame[names[0]].to_list()
        first = next((cell for cell in cells if not _is_missing(cell)), None)
        if isinstance(first, str | list | tuple | np.ndarray) and not has_names:
            return _of_list(cells)
    times = [name for name, dtype in zip(names, frame.dtypes, strict=True) if _is_time(dtype)]
    if times:
        raise DataError(
            f"X: column {times[0]!r} holds times, which are no numbers; leave it out, or make numbers of it."
        )
    dtypes = zip(names, list(frame.dtypes), strict=True)
    texts = any(not _is_numeric(dtype) and _holds_text(frame[name]) for name, dtype in dtypes)
    return Sorted("rows" if texts or has_names else "vectors", frame)


def _is_numeric(dtype: Any) -> bool:
    if hasattr(dtype, "is_numeric"):  # of polars
        return bool(dtype.is_numeric())
    return getattr(dtype, "kind", "O") in "biuf"


def _is_time(dtype: Any) -> bool:
    if hasattr(dtype, "is_temporal"):  # of polars
        return bool(dtype.is_temporal())
    return getattr(dtype, "kind", "O") in "mM"


def _holds_text(column: Any) -> bool:
    return any(isinstance(cell, str) for cell in column.to_list())


def _of_array(array: np.ndarray) -> Sorted:
    if array.ndim == 3:
        return Sorted("series", list(array))
    is_text = array.dtype.kind in "OUT"
    if array.ndim == 2 and array.shape[1] == 1 and is_text and array.size and isinstance(array[0, 0], str):
        array = array[:, 0]
    if (array.ndim == 1 and is_text) or (array.ndim == 2 and array.dtype.kind in "UT"):
        return _of_list(array.tolist())  # of two dimensions: token lists that NumPy found to be equally long
    return Sorted("vectors", array)


def _of_list(items: list[Any]) -> Sorted:
    if not items:
        raise DataError(NOTHING)
    missing = next((place for place, item in enumerate(items) if _is_missing(item)), None)
    if missing is not None and not isinstance(items[0], int | float):  # of numbers scikit-learn will say more
        raise DataError(f"X[{missing}] is missing; fill it in, or leave the example out.")
    first = _first(items)
    if isinstance(first, str):
        return Sorted("texts", items)
    if isinstance(first, dict):
        raise DataError(f"X is a list of dicts; {EXPECTED} was expected.")
    if isinstance(first, list | tuple | np.ndarray) and len(first) and isinstance(first[0], str):
        return Sorted("tokens", [_as_tokens(item, place) for place, item in enumerate(items)])
    if _dimensions(first) == 2:
        return Sorted("series", items)
    lengths = [len(item) for item in items if hasattr(item, "__len__")]
    if _dimensions(first) == 1 and len(set(lengths)) > 1:
        row = next(place for place, length in enumerate(lengths) if length != lengths[0])
        raise DataError(
            f"X[{row}] holds {lengths[row]} numbers and X[0] {lengths[0]}; rows of a table need as many. A "
            "series with one number a step is an array [T, 1]: np.reshape(x, (-1, 1))."
        )
    return Sorted("vectors", items)


def _first(items: Sequence[Any]) -> Any:
    """Return the first item that says something."""
    return next(
        (item for item in items if isinstance(item, str) or not hasattr(item, "__len__") or len(item)), None
    )


def _as_tokens(item: Any, place: int) -> tuple[Any, ...]:
    if isinstance(item, str) or not hasattr(item, "__len__"):
        raise DataError(f"X[{place}] is {show(item)}; a list of tokens was expected, as before.")
    return tuple(item)


def _dimensions(item: Any) -> int:
    """Return how deep numbers are nested in an item: 2 for a series [T, I]."""
    if hasattr(item, "shape"):
        return len(item.shape)
    if isinstance(item, list | tuple):
        return 1 + (_dimensions(item[0]) if item else 0)
    return 0


def as_series(items: Sequence[Any]) -> list[np.ndarray]:
    """Return series as arrays *[T, I]*, those without a step included.

    Raises:
        DataError: one of them is no array of two dimensions, or has another number of columns.

    Example:
        >>> [each.shape for each in as_series([[[1, 2]], [], np.ones((3, 2))])]
        [(1, 2), (0, 2), (3, 2)]
    """
    made: list[np.ndarray] = []
    for place, item in enumerate(items):
        array = np.asarray(item.to_numpy() if is_frame(item) else item)
        if array.dtype.kind not in "biuf":
            try:
                array = array.astype(np.float64)
            except (TypeError, ValueError):
                raise DataError(f"X[{place}] is no array of numbers; an array [T, I] was expected.") from None
        made.append(array)
    width = next((array.shape[1] for array in made if array.ndim == 2 and array.shape[1]), 1)
    for place, array in enumerate(made):
        if not array.size:
            made[place] = np.zeros((0, width), np.float32)
        elif array.ndim != 2:
            raise DataError(
                f"X[{place}] has {array.ndim} dimension{'s' * (array.ndim != 1)}; a series is an array "
                "[T, I], [T, 1] with one number a step."
            )
        elif array.shape[1] != width:
            raise DataError(
                f"X[{place}] has {array.shape[1]} columns, those before {width}; give all as many."
            )
    return made


def _is_missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and cell != cell)


def _name(X: Any) -> str:
    if isinstance(X, str | bytes):
        return "one text"
    return "None" if X is None else f"a {type(X).__name__}"
