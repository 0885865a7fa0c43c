"""TIME SPLIT: the last part of each series is held out, never a random one."""

from collections.abc import Sequence
from dataclasses import dataclass

from elman.data.time_series import TimeSeries
from elman.errors import ConfigError, DataError


@dataclass(frozen=True)
class HeldOut:
    """The parts of some series.

    Args:
        train: what stays, from the first row on.
        valid, test: each series up to the end of that part; `first` is the part's first row, and what stands
            before it is context.
        short: names of series that are too short to be trained on, and are left out of all parts.
    """

    train: list[TimeSeries]
    valid: list[TimeSeries]
    test: list[TimeSeries]
    short: list[str]


def hold_out(
    series: Sequence[TimeSeries], *, valid: float | None, test: float | None, horizon: int
) -> HeldOut:
    """Return the parts of each series in the order of time: train, then valid, then test.

    A part has the asked share of a series' rows, and at least as many as one forecast has steps.

    Args:
        series: the series.
        valid, test: shares of rows, above 0 and below 1; None: no such part.
        horizon: steps of a forecast.

    Raises:
        ConfigError: a share is out of range, or they leave nothing to train on.
        DataError: every series is too short: for each part, and for training, a horizon's rows are needed,
            and one row before.

    Example:
        >>> import numpy as np
        >>> from elman.data.timestamps import Clock
        >>> made = hold_out([TimeSeries("a", np.arange(20.0), Clock("rows"))], valid=0.1, test=0.2, horizon=3)
        >>> len(made.train[0]), len(made.valid[0]), made.valid[0].first, made.test[0].first
        (13, 16, 13, 16)
    """
    for name, share in (("valid", valid), ("test", test)):
        if share is not None and not 0 < share < 1:
            raise ConfigError(f"{name} = {share:g} is no fraction; give a number between 0 and 1, or a file.")
    if (valid or 0) + (test or 0) >= 1:
        raise ConfigError("valid and test leave no rows to train on; lower the fractions.")
    made = HeldOut([], [], [], [])
    for one in series:
        num_rows = len(one)
        num_valid, num_test = (
            0 if share is None else max(horizon, round(share * num_rows)) for share in (valid, test)
        )
        end = num_rows - num_valid - num_test
        if end < horizon + 1:
            made.short.append(one.name)
            continue
        made.train.append(one.part(0, end))
        if num_valid:
            made.valid.append(one.part(0, end + num_valid, first=end))
        if num_test:
            made.test.append(one.part(0, num_rows, first=num_rows - num_test))
    if not made.train:
        parts = 1 + (valid is not None) + (test is not None)
        longest = max(series, key=len)
        raise DataError(
            f"{longest.where}: the longest series ({longest.name!r}) has {len(longest):,} rows; forecasts of "
            f"{horizon} steps need at least {parts * horizon + 1:,} ({parts} parts of {horizon}, and one row "
            "before). Lower --horizon, or give longer series."
        )
    return made
