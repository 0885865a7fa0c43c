"""CALENDAR FEATURES: the hour, the day of the week and the like, as points on a circle.

Shape legend: T time, K features.
"""

import numpy as np
from numpy.typing import NDArray

from elman.data.time_series import Floats
from elman.data.timestamps import DAY, HOUR, Clock

YEAR = 365.2425 * DAY
EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday, three days after a Monday."""


def calendar_names(clock: Clock) -> tuple[str, ...]:
    """Return which features a clock has: those of cycles at least twice as long as its step.

    Example:
        >>> calendar_names(Clock("time", HOUR)), calendar_names(Clock("months", 1))
        (('day', 'week', 'year'), ('year',))
    """
    if clock.unit == "months":
        return ("year",) if clock.step < 12 else ()
    if clock.unit != "time":
        return ()
    cycles = {"hour": HOUR, "day": DAY, "week": 7 * DAY, "year": YEAR}
    return tuple(name for name, length in cycles.items() if clock.step * 2 <= length)


def calendar_features(clock: Clock, positions: NDArray[np.int64]) -> Floats:
    """Return cosine and sine of where in each cycle steps lie, *[..., K]*.

    Args:
        clock: whose cycles are meant (`calendar_names`).
        positions: places on the clock.

    Example:
        >>> calendar_features(Clock("time", DAY), np.array([4 * DAY])).round(3)[0, :2].tolist()
        [1.0, 0.0]
    """
    walls = clock.walls(positions.ravel()).reshape(positions.shape)
    phases = {
        "hour": walls / HOUR,
        "day": walls / DAY,
        "week": walls / (7 * DAY) + EPOCH_WEEKDAY / 7,
        "year": walls / YEAR,
    }
    angles = [2 * np.pi * (phases[name] % 1.0) for name in calendar_names(clock)]
    if not angles:
        return np.zeros((*positions.shape, 0))
    return np.stack([part(angle) for angle in angles for part in (np.cos, np.sin)], axis=-1)
