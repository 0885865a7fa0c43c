"""LEAKAGE: what no forecast may know, checked before each training.

Three leaks make a forecast look good that is not: a scale measured on rows to be forecast, a window that
reaches over the split, and a covariate "known ahead" that is the target in disguise.
"""

from collections.abc import Sequence

import numpy as np

from elman.data.time_series import TimeSeries
from elman.data.windows import Windows
from elman.errors import DataError
from elman.tasks.forecast_inputs import Scale

SAME = 0.9999
"""Beyond this correlation with the target, a covariate is the target."""

FEWEST_ROWS = 8
"""Fewer rows correlate by chance."""


def check_scales(scales: dict[str, Scale], train: Sequence[TimeSeries]) -> None:
    """Refuse scales that were measured on anything but the training part.

    Raises:
        DataError: a scale is not that of the series' training rows.
    """
    for one in train:
        if scales.get(one.name) != Scale.fit(one):
            raise DataError(
                f"leak: the scale of series {one.name!r} was not measured on its {len(one):,} training rows "
                "alone; measure it anew on those."
            )


def check_windows(windows: Windows, series: Sequence[TimeSeries], scales: dict[str, Scale]) -> None:
    """Refuse training windows that reach over the split.

    Args:
        windows: those of the training part.
        series: the series that they are of.
        scales: of each series, where its training part ends.

    Raises:
        DataError: a window's last row is not in the training part.
    """
    which, origin = windows.locate(np.arange(len(windows)))
    last = np.full(len(series), -1)
    np.maximum.at(last, which, origin + windows.horizon - 1)
    for one, row in zip(series, last.tolist(), strict=True):
        end = scales[one.name].end
        if row >= 0 and one.start + row * one.clock.step >= end:
            raise DataError(
                f"leak: a training window of series {one.name!r} reaches to {one.time(row)}, over the split "
                f"at {one.clock.text(end)}; windows of the training part must end before it."
            )


def check_covariates(train: Sequence[TimeSeries], names: Sequence[str]) -> None:
    """Refuse covariates known ahead that are the target itself, shifted or scaled at most.

    Args:
        train: the training part of each series.
        names: of the covariates.

    Raises:
        DataError: a covariate's correlation with the target of its row is beyond `SAME` in every series.
    """
    for place, name in enumerate(names):
        found = [
            _correlation(one.values, one.known[: len(one), place]) for one in train if one.known is not None
        ]
        known = [value for value in found if value is not None]
        if known and min(known) > SAME:
            raise DataError(
                f"leak: the column {name!r}, said to be known ahead, is the target itself (correlation "
                f"{min(known):.6f} in every series); when a forecast is made nobody knows it. Leave it out "
                "of --known-future."
            )


def _correlation(values: np.ndarray, other: np.ndarray) -> float | None:
    both = ~(np.isnan(values) | np.isnan(other))
    x, y = values[both], other[both]
    if len(x) < FEWEST_ROWS or x.min() == x.max() or y.min() == y.max():
        return None
    return abs(float(np.corrcoef(x, y)[0, 1]))
