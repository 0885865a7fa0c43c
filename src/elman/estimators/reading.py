"""READING: X as the rows that a run trains on or predicts, held against what `fit` saw."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from elman.config import split_names
from elman.data.in_memory import table_from
from elman.errors import ConfigError, DataError
from elman.estimators.forms import NOTHING, Form, Sorted, as_series, sort_out

FORMS_IN_WORDS: dict[Form, str] = {
    "texts": "texts",
    "tokens": "lists of tokens",
    "series": "series [T, I]",
    "vectors": "vectors",
    "rows": "rows of a table",
}


def read_inputs(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Return X as a list of inputs, and note its form in the estimator, or hold it against the form noted.

    Vectors go through scikit-learn's own check, which also sets `n_features_in_` and `feature_names_in_`.

    Args:
        estimator: gets `_form`, `n_features_in_` and, of frames, `feature_names_in_`.
        X: what the user gave.
        reset: whether this is `fit`.

    Raises:
        DataError: X is of another form than in `fit`, or is empty.
        ConfigError: names are said to stand in a table without columns.
    """
    has_names = getattr(estimator, "categories", None) is not None
    found = sort_out(X, has_names=has_names)
    if has_names and found.form != "rows":
        raise ConfigError("categories names columns of a data frame, and X is none; leave it out.")
    if not reset:
        found = _as_before(found, estimator._form)
    estimator._form = found.form
    if found.form == "vectors":
        return _vectors(estimator, found.items, reset)
    if found.form == "rows":
        return _rows(estimator, found.items, reset)
    if not len(found.items):
        raise DataError(NOTHING)
    if found.form != "series":
        return list(found.items)
    made = as_series(found.items)
    _check_width(estimator, made[0].shape[1], reset)
    return made


def _as_before(found: Sorted, form: Form) -> Sorted:
    """Return X in the form that `fit` saw, where it can be seen so."""
    if found.form == form:
        return found
    if form == "rows" and found.form == "vectors" and hasattr(found.items, "columns"):
        return Sorted("rows", found.items)
    if form in ("tokens", "series") and found.form == "vectors" and not any(map(np.size, found.items)):
        return Sorted(form, list(found.items))  # nothing but empty sequences
    raise DataError(
        f"X holds {FORMS_IN_WORDS[found.form]}, but {FORMS_IN_WORDS[form]} when fit was called; "
        "give the same form."
    )


def _vectors(estimator: Any, X: Any, reset: bool) -> list[np.ndarray]:
    from sklearn.utils.validation import validate_data

    array = validate_data(estimator, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
    return list(array[:, None])


def _check_width(estimator: Any, width: int, reset: bool) -> None:
    if reset:
        estimator.n_features_in_ = width
    elif width != estimator.n_features_in_:
        raise DataError(
            f"X has {width} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input."
        )


def _rows(estimator: Any, X: Any, reset: bool) -> list[list[Any]]:
    """Return the cells of a frame's rows; the frame's columns are noted, or held against those noted."""
    from sklearn.utils.validation import validate_data

    validate_data(estimator, X, reset=reset, skip_check_array=True)
    table = table_from(X, "X")
    assert table is not None  # of frames
    names, cells = table
    if any("," in name for name in names):
        raise DataError(
            f"X: column {next(n for n in names if ',' in n)!r} has a comma in its name; rename it."
        )
    if reset:
        estimator._columns = names
    elif names != estimator._columns:  # numbers for names, of which scikit-learn says nothing
        raise DataError(
            f"X has the columns {', '.join(names)}; {', '.join(estimator._columns)} were expected, in the "
            "order of fit."
        )
    of_names = split_names(estimator.categories)
    is_number = [name not in of_names for name in names]
    return [
        [float(c) if number and isinstance(c, bool) else c for c, number in zip(row, is_number, strict=True)]
        for row in cells
    ]


def training_rows(
    estimator: Any, inputs: Sequence[Any], targets: Sequence[Any]
) -> tuple[Any, dict[str, Any]]:
    """Return inputs and targets as rows to train on, and the settings that say which column is which."""
    if estimator._form != "rows":
        return list(zip(inputs, targets, strict=True)), {}
    names, target = estimator._columns, "target"
    while target in names:
        target += "_"
    rows = [
        {**dict(zip(names, cells, strict=True)), target: wanted}
        for cells, wanted in zip(inputs, targets, strict=True)
    ]
    return rows, {"input": ",".join(names), "target": target}
