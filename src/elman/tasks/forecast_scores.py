"""FORECAST SCORES: what a network says of windows, its intervals calibrated, and made ready to be scored.

Shape legend: N windows, C context, H horizon, Q quantiles.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from elman.data.time_series import TimeSeries
from elman.data.windows import Window
from elman.metrics.forecast import Floats, Scored, naive2, seasonal_error, seasonal_indices
from elman.patterns.forecast import Forecaster
from elman.tasks.forecast_inputs import Numbers, Reader
from elman.tasks.window_batches import scores_of

FEWEST_CALIBRATED = 20
"""With fewer validation forecasts, intervals stay as they were learned."""

LONGEST_INDICES = 20_000
"""Rows of history, the last ones, by which Naive2 finds its seasons."""


@dataclass(frozen=True)
class Said:
    """What was said of windows, in the units of the data, and what came.

    Args:
        point: *[N, H]*.
        quantiles: *[N, H, Q]*; Q may be 0.
        truth: NaN where it is missing, *[N, H]*.
        last: the last value before each origin, *[N]*.
        deviation: of each window's series in the training part, *[N]*.
        series, origin: which series, and where in it, *[N]*.
        loss: the mean training loss.
    """

    point: Floats
    quantiles: Floats
    truth: Floats
    last: Floats
    deviation: Floats
    series: NDArray[np.int64]
    origin: NDArray[np.int64]
    loss: float = float("nan")

    @classmethod
    def of(cls, windows: Sequence[Window], point: Floats, reader: Reader) -> "Said":
        """Return forecasts of windows that came from elsewhere."""
        return cls(
            point,
            np.zeros((*point.shape, 0)),
            np.concatenate([window.target for window in windows]),
            np.concatenate([window.context[:, -1] for window in windows]),
            np.concatenate([reader.means_and_deviations(window)[1] for window in windows]),
            np.concatenate([window.series for window in windows]),
            np.concatenate([window.origin for window in windows]),
        )

    def widened(self, pattern: Forecaster) -> "Said":
        """Return the same with calibrated quantiles, in rising order."""
        moved = pattern.widening.double().cpu().numpy() * self.deviation[:, None, None]
        return replace(self, quantiles=np.sort(self.quantiles + moved, axis=2))


def forecast_windows(pattern: Forecaster, reader: Reader, windows: Iterable[Window], horizon: int) -> Said:
    """Return what a network says of windows, not calibrated."""
    taken, points, quantiles, scores, targets = [], [], [], [], []
    for window in windows:
        numbers = reader.numbers(window)  # of the whole horizon, so that its covariates are asked for
        if pattern.horizon < horizon:
            numbers = reader.numbers(window.until(pattern.horizon))
        found = scores_of(pattern, numbers)
        taken.append(window)
        scores.append(found)
        targets.append(numbers.target[:, : pattern.horizon])
        point, spread = numbers.restore(found[:, :, 0]), numbers.restore(pattern.quantiles_of(found))
        if pattern.horizon < horizon:
            point, spread = _recursive(pattern, reader, window, horizon)
        points.append(point)
        quantiles.append(spread)
    said = Said.of(taken, np.concatenate(points), reader)
    with torch.no_grad():
        target = torch.cat(targets)
        loss = float(pattern.loss_of(torch.cat(scores), target))
    if target.isnan().all():
        loss = float("nan")  # nothing was measured
    return replace(said, quantiles=np.concatenate(quantiles), loss=loss)


def _recursive(pattern: Forecaster, reader: Reader, window: Window, horizon: int) -> tuple[Floats, Floats]:
    """Return point and quantiles of each step, each forecast from a context that ends in those before it."""
    points, quantiles = [], []
    context, observed, length = window.context, window.observed, window.context.shape[1]
    for step in range(horizon):
        known = None if window.known is None else window.known[:, step : step + length + 1]
        origin = window.origin + step
        now = replace(
            window,
            context=context,
            observed=observed,
            target=window.target[:, step : step + 1],
            known=known,
            origin=origin,
        )
        numbers: Numbers = reader.numbers(now)
        found = scores_of(pattern, numbers)
        point = numbers.restore(found[:, :, 0])
        points.append(point)
        quantiles.append(numbers.restore(pattern.quantiles_of(found)))
        context = np.concatenate([context[:, 1:], point], axis=1)
        observed = np.concatenate([observed[:, 1:], np.ones((len(observed), 1), bool)], axis=1)
    return np.concatenate(points, axis=1), np.concatenate(quantiles, axis=1)


def calibrate(pattern: Forecaster, said: Said) -> None:
    """Move each quantile of each step so that its share of validation truths lies below it.

    Split conformal prediction for each bound: with n truths, the quantile q of (truth - forecast) with ranks
    counted as ceil((n + 1) q) above the middle and floor((n + 1) q) below it, in the scale of each series.

    Source: Romano, Patterson, Candes 2019, "Conformalized quantile regression", theorem 2 (each bound by
    itself); windows that overlap are not exchangeable, so the promise is approximate.
    """
    if not pattern.levels:
        return
    errors = (said.truth[:, :, None] - said.quantiles) / said.deviation[:, None, None]
    made = np.zeros(tuple(pattern.widening.shape))
    for step in range(errors.shape[1]):
        known = errors[~np.isnan(errors[:, step, 0]), step]
        if len(known) < FEWEST_CALIBRATED:
            continue
        ranked = np.sort(known, axis=0)
        for place, level in enumerate(pattern.levels):
            rank = (len(known) + 1) * level
            index = int(np.ceil(rank)) if level > 0.5 else int(np.floor(rank))
            made[step, place] = ranked[min(max(index, 1), len(known)) - 1, place]
    pattern.widening.copy_(torch.from_numpy(made))


def made_ready(
    said: Said, series: Sequence[TimeSeries], season: int, levels: tuple[float, ...] = ()
) -> Scored:
    """Return forecasts with what metrics need of each series' history: the rows before its part."""
    histories = [one.values[: one.first or 1] for one in series]
    scale = np.array([seasonal_error(history, season) for history in histories])
    indices = np.stack([seasonal_indices(history[-LONGEST_INDICES:], season) for history in histories])
    # Factors are counted from the first row kept.
    shift = np.array([max(0, len(history) - LONGEST_INDICES) for history in histories], np.int64)
    rival = naive2(said.last, said.origin - shift[said.series], indices[said.series], said.truth.shape[1])
    return Scored(
        said.truth,
        said.point,
        scale[said.series],
        said.deviation,
        rival,
        levels,
        said.quantiles if levels else None,
    )


def picture(
    said: Said, series: Sequence[TimeSeries], context: int, levels: tuple[float, ...]
) -> dict[str, Any]:
    """Return the last forecast of the first series as lines of a chart: history, truth, forecast, bounds."""
    row = int(np.flatnonzero(said.series == said.series[0])[-1])
    one, origin, horizon = series[int(said.series[row])], int(said.origin[row]), said.truth.shape[1]
    past = range(max(0, origin - min(context, 4 * horizon)), origin)
    ahead = range(origin, origin + horizon)
    times = {step: one.time(step) for step in (*past, *ahead)}

    def line(
        name: str, steps: Iterable[int], values: Any, colour: str, dash: str = "solid"
    ) -> dict[str, Any]:
        numbers = [None if np.isnan(value) else float(value) for value in values]
        x = [times[step] for step in steps]
        return {"kind": "line", "name": name, "x": x, "y": numbers, "colour": colour, "dash": dash}

    lines = [
        line("history", past, one.values[past.start : origin], "soft"),
        line("truth", ahead, said.truth[row], "second"),
        line("forecast", ahead, said.point[row], "accent"),
    ]
    for place in (0, len(levels) - 1) if len(levels) > 1 else ():
        name = f"quantile {levels[place]:g}"
        lines.append(line(name, ahead, said.quantiles[row, :, place], "accent", "dot"))
    return {"forecast": {"traces": lines, "x": {"title": one.name}, "y": {"format": "~g"}}}
