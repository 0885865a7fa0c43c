"""LAG ALARM: says when a model merely repeats the last value, which looks like a forecast in a plot.

Shape legend: N windows, H horizon.
"""

import numpy as np

from elman.metrics.forecast import Floats

NEAR = 0.25
"""A forecast that is so much nearer to the last value than to the truth repeats it (squared distances)."""

NO_GAIN = 0.9
"""A squared error of more than so much of the last value's has learned nothing beyond it."""


def lag_alarm(truth: Floats, forecast: Floats, last: Floats) -> str | None:
    """Return a warning where a forecast is its last value again; None where it is not.

    Two things must hold: the forecast lies far nearer to the truth shifted by its lead (the last value known)
    than to the truth, and it is no better than the last value itself.

    Args:
        truth: *[N, H]*, NaN where it is missing.
        forecast: *[N, H]*.
        last: the last value before each origin, *[N]*.

    Example:
        >>> truth = np.cumsum(np.random.default_rng(0).normal(size=200))
        >>> lag_alarm(truth[1:, None], truth[:-1, None], truth[:-1])[:34]
        'the forecast repeats the last valu'
    """
    is_known = ~np.isnan(truth)
    if not is_known.any():
        return None
    shifted = np.repeat(last[:, None], truth.shape[1], axis=1)
    from_truth = float(np.square(forecast - truth)[is_known].mean())
    from_last = float(np.square(forecast - shifted)[is_known].mean())
    of_last = float(np.square(shifted - truth)[is_known].mean())
    if of_last == 0 or from_last >= NEAR * from_truth or from_truth <= NO_GAIN * of_last:
        return None
    return (
        f"the forecast repeats the last value: its squared distance to the truth shifted by its lead is "
        f"{from_last:.4g}, to the truth {from_truth:.4g}, and that of the last value itself {of_last:.4g}; "
        "the series may be a random walk, or the context lack what decides."
    )
