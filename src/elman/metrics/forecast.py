"""FORECAST METRICS: how far forecasts are from what came, in the units of the data and beside simple methods.

Shape legend: N windows, H horizon, Q quantiles, T time.

Missing truths (NaN) count nowhere. sMAPE is in per cent, 0 to 200, as the M4 competition writes it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SEASONALITY_T = 1.645
"""A seasonal autocorrelation beyond so many standard errors is a season: 90 % in M4's test."""

INTERVAL = (0.1, 0.9)
"""The quantiles between which 80 % of the truth should lie."""


@dataclass(frozen=True)
class Scored:
    """Forecasts of some windows beside what came.

    Args:
        truth, forecast: *[N, H]*.
        scale: what MASE divides each window's error by (`seasonal_error` of its series), *[N]*; NaN: unknown.
        deviation: standard deviation of each window's series in the training part, *[N]*.
        naive2: the same windows by `naive2`, *[N, H]*; None: not asked for.
        levels: the quantiles that were forecast, Q.
        quantiles: *[N, H, Q]*; None: none were.
    """

    truth: Floats
    forecast: Floats
    scale: Floats
    deviation: Floats
    naive2: Floats | None = None
    levels: tuple[float, ...] = ()
    quantiles: Floats | None = None


def scores(scored: Scored) -> dict[str, float]:
    """Return every metric; those that cannot be measured are left out, or NaN where no truth is known.

    mae, mse, rmse and pinball are in the units of the data, scaled_mse and scaled_mae in standard deviations
    of each series' training part. owa is the mean of sMAPE and MASE, each over that of Naive2.

    Source: Makridakis, Spiliotis, Assimakopoulos 2020, "The M4 Competition", section 2 (sMAPE, MASE, OWA).

    Example:
        >>> truth, scale = np.array([[1.0, 2.0]]), np.array([2.0])
        >>> found = scores(Scored(truth, truth + 1, scale, np.array([1.0])))
        >>> found["mae"], found["mase"], found["scaled_mse"]
        (1.0, 0.5, 1.0)
    """
    is_known = ~np.isnan(scored.truth)
    error = np.where(is_known, scored.forecast - scored.truth, 0.0)
    if not is_known.any():
        return dict.fromkeys(("mae", "mse", "rmse", "smape", "scaled_mse", "scaled_mae"), float("nan"))
    count = int(is_known.sum())
    scaled = error / scored.deviation[:, None]
    out = {
        "mae": float(np.abs(error).sum() / count),
        "mse": float(np.square(error).sum() / count),
        "rmse": float(np.sqrt(np.square(error).sum() / count)),
        "smape": smape(scored.truth, scored.forecast),
    }
    mase_own = mase(scored.truth, scored.forecast, scored.scale)
    if np.isfinite(mase_own):
        out["mase"] = mase_own
        if scored.naive2 is not None:
            rival = mase(scored.truth, scored.naive2, scored.scale)
            rival_smape = smape(scored.truth, scored.naive2)
            if rival > 0 and rival_smape > 0:
                out["owa"] = (mase_own / rival + out["smape"] / rival_smape) / 2
    if scored.quantiles is not None:
        out["pinball"] = pinball(scored.truth, scored.quantiles, scored.levels)
        if set(INTERVAL) <= set(scored.levels):
            low, high = (scored.quantiles[:, :, scored.levels.index(level)] for level in INTERVAL)
            out["coverage_80"] = coverage(scored.truth, low, high)
    out["scaled_mse"] = float(np.square(scaled).sum() / count)
    out["scaled_mae"] = float(np.abs(scaled).sum() / count)
    return out


def smape(truth: Floats, forecast: Floats) -> float:
    """Return the symmetric mean absolute percentage error, 0 to 200.

        mean of 200 |y - f| / (|y| + |f|), and 0 where both are 0

    Example:
        >>> smape(np.array([[1.0, 0.0]]), np.array([[3.0, 0.0]]))
        50.0
    """
    is_known = ~np.isnan(truth)
    size = np.abs(truth) + np.abs(forecast)
    parts = np.divide(
        200 * np.abs(truth - forecast), size, out=np.zeros_like(size), where=is_known & (size > 0)
    )
    return float(parts[is_known].mean()) if is_known.any() else float("nan")


def mase(truth: Floats, forecast: Floats, scale: Floats) -> float:
    """Return the mean absolute scaled error; windows whose scale is 0 or unknown are left out.

    Args:
        truth, forecast: *[N, H]*.
        scale: mean absolute error of the seasonal naive method within the series' history, *[N]*.

    Source: Hyndman and Koehler 2006, "Another look at measures of forecast accuracy", section 2.4.
    """
    counts = (~np.isnan(truth)).sum(1)
    usable = (scale > 0) & (counts > 0)
    if not usable.any():
        return float("nan")
    sums = np.nansum(np.abs(truth[usable] - forecast[usable]), axis=1)
    return float((sums / counts[usable] / scale[usable]).mean())


def seasonal_error(history: Floats, season: int) -> float:
    """Return the mean absolute difference to the value a season before; NaN where there is none.

    Example:
        >>> seasonal_error(np.array([1.0, 2.0, 4.0]), 1)
        1.5
    """
    differences = np.abs(history[season:] - history[:-season])
    known = differences[~np.isnan(differences)]
    return float(known.mean()) if len(known) else float("nan")


def pinball(truth: Floats, quantiles: Floats, levels: tuple[float, ...]) -> float:
    """Return the mean pinball loss over truths and quantiles.

        q (y - f) where y > f, else (1 - q) (f - y)

    Source: Koenker and Bassett 1978, "Regression quantiles".

    Example:
        >>> round(pinball(np.array([[2.0]]), np.array([[[1.0, 3.0]]]), (0.1, 0.9)), 6)
        0.1
    """
    error = truth[:, :, None] - quantiles
    level = np.array(levels)
    losses = np.maximum(level * error, (level - 1) * error)
    return float(np.nanmean(losses))


def coverage(truth: Floats, low: Floats, high: Floats) -> float:
    """Return the share of truths between two bounds, the bounds included."""
    is_known = ~np.isnan(truth)
    inside = (truth >= low) & (truth <= high)
    return float(inside[is_known].mean()) if is_known.any() else float("nan")


def is_seasonal(history: Floats, season: int) -> bool:
    """Say whether the autocorrelation at a season is beyond chance, as M4's Naive2 asks.

    Args:
        history: *[T]*, nothing missing.
        season: steps of a season.
    """
    if season < 2 or len(history) < 3 * season:
        return False
    centred = history - history.mean()
    total = float(centred @ centred)
    if total == 0:
        return False
    lags = [float(centred[lag:] @ centred[:-lag]) / total for lag in range(1, season + 1)]
    limit = SEASONALITY_T / np.sqrt(len(history)) * np.sqrt(1 + 2 * np.square(lags[:-1]).sum())
    return bool(abs(lags[-1]) > limit)


def seasonal_indices(history: Floats, season: int) -> Floats:
    """Return the factor of each step of a season by classical multiplicative decomposition, *[season]*.

    Factor i belongs to rows i, i + season, ...; all are 1 where no season is found, or a value is 0 or less.

    Source: the decomposition is that of R's `decompose(x, "multiplicative")`, as M4's Naive2 uses it.

    Example:
        >>> seasonal_indices(np.tile([1.0, 3.0], 10), 2).tolist()
        [0.5, 1.5]
    """
    present = history[~np.isnan(history)]
    if not len(present) or present.min() <= 0 or not is_seasonal(present, season):
        return np.ones(max(season, 1))
    filled = _filled(history)
    weights = np.ones(season + 1 - season % 2)
    if season % 2 == 0:
        weights[[0, -1]] = 0.5
    trend = np.convolve(filled, weights / season, mode="valid")
    half = len(weights) // 2
    ratio = filled[half : len(filled) - half] / trend
    phases = (np.arange(len(ratio)) + half) % season
    figures = np.bincount(phases, ratio, season) / np.bincount(phases, minlength=season)
    return figures / figures.mean()


def _filled(history: Floats) -> Floats:
    """Return a history without gaps: each takes the value before it, the first ones the first value."""
    present = np.flatnonzero(~np.isnan(history))
    last = np.searchsorted(present, np.arange(len(history)), side="right") - 1
    return history[present[np.maximum(last, 0)]]


def naive2(last: Floats, origin: NDArray[np.int64], indices: Floats, horizon: int) -> Floats:
    """Return the last value without its season, repeated, with the season of each step put back.

    Args:
        last: the last value before each origin, *[N]*.
        origin: the row of each first forecast step, *[N]*.
        indices: `seasonal_indices` of each window's series, *[N, season]*.
        horizon: H.

    Returns:
        *[N, H]*.

    Source: Makridakis, Spiliotis, Assimakopoulos 2020, "The M4 Competition", table 2.

    Example:
        >>> naive2(np.array([3.0]), np.array([4]), np.array([[0.5, 1.5]]), 3).tolist()
        [[1.0, 3.0, 1.0]]
    """
    season = indices.shape[1]
    rows = np.arange(len(last))
    level = last / indices[rows, (origin - 1) % season]
    steps = (origin[:, None] + np.arange(horizon)) % season
    return level[:, None] * np.take_along_axis(indices, steps, axis=1)
