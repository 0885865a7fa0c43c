"""SEASONS: how many steps a season of each frequency has, and what is usually forecast of it."""

from elman.data.timestamps import DAY, HOUR, MINUTE, Clock

LONGEST_SEASON = 288
"""Steps of a season at most: a day of five minutes each."""

HORIZONS = {1: 6, 4: 8, 7: 14, 12: 18, 52: 13}
"""Season -> steps that are forecast by default, as in the M4 competition; else one season.

Source: Makridakis, Spiliotis, Assimakopoulos 2020, "The M4 Competition: 100,000 time series and 61
forecasting methods", table 1.
"""


def season_of(clock: Clock) -> int:
    """Return the steps of a season: of a day for hours, a week for days, a year for months; 1: none known.

    Example:
        >>> [season_of(Clock("time", step)) for step in (MINUTE, 15 * MINUTE, HOUR, DAY, 7 * DAY)]
        [60, 96, 24, 7, 52]
    """
    if clock.unit == "months":
        return 12 // clock.step if 12 % clock.step == 0 else 1
    if clock.unit != "time":
        return 1
    if clock.step in (DAY, 7 * DAY):
        return 7 if clock.step == DAY else 52
    for length in (DAY, HOUR, MINUTE):
        steps, rest = divmod(length, clock.step)
        if not rest and 2 <= steps <= LONGEST_SEASON:
            return steps
    return 1


def horizon_of(season: int) -> int:
    """Return how many steps are forecast by default.

    Example:
        >>> horizon_of(24), horizon_of(12)
        (24, 18)
    """
    return HORIZONS.get(season, season)


def season_and_horizon(clock: Clock, season: int | None, horizon: int | None) -> tuple[int, int]:
    """Return season and horizon: as asked, else by the frequency.

    A season that is asked for says nothing of the horizon: nobody who names one of 400 steps wants 400 ahead.

    Example:
        >>> season_and_horizon(Clock("time", HOUR), 168, None)
        (168, 24)
    """
    own = season_of(clock)
    return season or own, horizon or horizon_of(own)
