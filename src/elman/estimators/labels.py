"""LABELS: the labels of y as texts, which a run knows them by, and back to what they were."""

import json
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError


def flat_labels(y: Any) -> NDArray[Any]:
    """Return labels as an array *[N]* of the dtype they came in; tuples stand in an array of objects.

    Raises:
        DataError: there are none, one is missing, or a value is a number of no class.
        ValueError: scikit-learn's own, where y has two dimensions or holds continuous numbers.

    Example:
        >>> flat_labels([True, False]).dtype, flat_labels([("a", 1), ("b", 2)])[1]
        (dtype('bool'), ('b', 2))
    """
    from sklearn.utils import check_array, column_or_1d
    from sklearn.utils.multiclass import check_classification_targets

    if hasattr(y, "to_list") and not isinstance(y, np.ndarray):  # a Series
        values = y.to_numpy() if getattr(getattr(y, "dtype", None), "kind", "O") in "biuf" else y.to_list()
        y = values
    elif hasattr(y, "__array__"):
        y = np.asarray(y)
    if isinstance(y, list | tuple) and y and isinstance(y[0], tuple):
        array = np.empty(len(y), object)
        array[:] = y
        return array
    _refuse_missing(y)
    if len(np.shape(y)) == 1 and isinstance(y, list) and len({type(label) for label in y}) > 1:
        _refuse_mixed(y)
    array = column_or_1d(y, warn=True)
    if array.dtype.kind == "O" and not all(isinstance(label, Hashable) for label in array):
        raise DataError(
            "y holds lists, sets or the like, which are no labels; texts or numbers were expected."
        )
    if array.dtype.kind in "biufc":
        array = check_array(array, ensure_2d=False, dtype=None, input_name="y")
    if array.dtype.kind != "O" or isinstance(array[0], str | int | float):
        check_classification_targets(array)
    return array


def _refuse_missing(y: Any) -> None:
    if isinstance(y, list | tuple) or (isinstance(y, np.ndarray) and y.dtype == object):
        for place, label in enumerate(y):
            if is_missing(label):
                raise DataError(f"y[{place}] is missing; every example needs its label.")


def is_missing(label: Any) -> bool:
    """Say whether a label stands for a missing one: None, NaN, or what pandas writes.

    Example:
        >>> is_missing(None), is_missing(float("nan")), is_missing(""), is_missing(0)
        (True, True, False, False)
    """
    is_nan = isinstance(label, float | np.floating) and bool(label != label)
    return label is None or is_nan or type(label).__name__ in ("NAType", "NaTType")


def _refuse_mixed(labels: Sequence[Any]) -> None:
    """Refuse texts among numbers: NumPy would write the numbers as texts."""
    is_text = [isinstance(label, str) for label in labels]
    if any(is_text) and not all(is_text):
        one = labels[is_text.index(True)], labels[is_text.index(False)]
        raise DataError(
            f"y holds texts and others, such as {one[0]!r} and {one[1]!r}; give labels of one type."
        )


def distinct(labels: NDArray[Any]) -> NDArray[Any]:
    """Return the different labels in order, in the dtype that they came in.

    Example:
        >>> distinct(flat_labels(["b", "a", "b"])).tolist(), distinct(np.array([2, 1, 2], np.int8)).dtype
        (['a', 'b'], dtype('int8'))
    """
    try:
        return np.unique(labels)
    except TypeError as error:
        raise DataError(f"y: its labels cannot be put in order ({error}); give labels of one type.") from None


def names_of(classes: Sequence[Hashable]) -> list[str]:
    """Return a text for each label, as a run shows it; where two would be alike, all are counted instead.

    Example:
        >>> names_of([1, 2]), names_of(["a", "b"]), names_of([("a", 1)]), names_of(["", "x"])
        (['1', '2'], ['a', 'b'], ["('a', 1)"], ['class 0', 'class 1'])
    """
    names = [_name(label) for label in classes]
    if all(names) and len(set(names)) == len(names):
        return names
    return [f"class {place}" for place in range(len(names))]


def _name(label: Any) -> str:
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, str):
        return label
    return json.dumps(label) if isinstance(label, bool | int | float) else repr(label)
