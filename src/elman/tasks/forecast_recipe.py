"""FORECAST RECIPE: what is chosen where the user says nothing, by frequency and what the series hold."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from elman.config import Settings, split_names
from elman.data.seasons import season_and_horizon
from elman.data.time_series import Floats, TimeSeries
from elman.errors import ConfigError

RECIPE: dict[str, Any] = {
    "hidden_size": 64,
    "num_layers": 1,
    "bidirectional": False,
    "dropout": 0.0,
    "learning_rate": 1e-3,
    "decay": "linear",
    "clip_norm": 1.0,
    "init": "orthogonal",
    "recursive": False,
    "calendar": False,
    "point": "mse",
    "interval": "quantiles",
    "quantiles": "0.1,0.5,0.9",
}
"""What is chosen where the user says nothing; `lengths_of` adds what depends on the frequency."""

LARGEST_BATCH, SMALLEST_BATCH, WANTED_BATCHES = 128, 8, 32
"""Windows of a batch: so many that an epoch has about so many batches."""

MAX_EPOCHS, WANTED_STEPS = 100, 3000
"""Passes at most, and steps that are wanted."""

CONTEXT_SEASONS = 14
"""Seasons that are read by default: two weeks of hours."""

SHORTEST_CONTEXT = 24
"""Rows that are read by default where no season is known."""

LONGEST_PATCH, MANY_ROWS = 64, 5_000

REPEATS = 0.25
"""Where the squared difference to the last season is a smaller share of the variance, it is subtracted.

On the validation parts of M4's hourly series (0.16) that beats subtracting the last value, on ETTh1's (0.35)
it does not.
"""

LONGEST_LOOK = 20_000
"""Rows of a series, the last ones, by which that is seen."""


def levels_of(chosen: Settings) -> tuple[float, ...]:
    """Return the quantiles that are asked for.

    Raises:
        ConfigError: they are no rising numbers between 0 and 1.
    """
    try:
        levels = tuple(float(text) for text in split_names(chosen.quantiles))
    except ValueError:
        levels = ()
    if not levels or list(levels) != sorted(set(levels)) or not all(0 < level < 1 for level in levels):
        raise ConfigError(
            f"quantiles = {chosen.quantiles!r}: rising numbers between 0 and 1 were expected: 0.1,0.5,0.9."
        )
    return levels


def lengths_of(settings: Settings, series: Sequence[TimeSeries]) -> dict[str, Any]:
    """Return season, horizon, patch and context: as asked, else by the frequency and what the series hold."""
    season, horizon = season_and_horizon(series[0].clock, settings.season, settings.horizon)
    patch = settings.patch or (season if season <= LONGEST_PATCH else 1)
    if settings.patch is None and settings.context is not None and settings.context % patch:
        patch = 1
    if settings.context is not None and settings.context % patch:
        raise ConfigError(
            f"context = {settings.context} is no multiple of patch = {patch}; choose another of them."
        )
    wanted = max(CONTEXT_SEASONS * season if season > 1 else SHORTEST_CONTEXT, 2 * horizon)
    # At most half of what a typical series has, so that there are windows to learn from; of few, a quarter.
    share = 2 if sum(len(one) for one in series) >= MANY_ROWS else 4
    room = max(patch, (int(np.median([len(one) for one in series])) - horizon) // share)
    context = settings.context or max(patch, min(wanted, room) // patch * patch)
    return {
        "season": season,
        "horizon": horizon,
        "patch": patch,
        "context": context,
        "batch_size": _batch_size(series, context, horizon),
        "difference": "season" if 1 < season <= context and _repeats(series, season, horizon) else "last",
    }


def _batch_size(series: Sequence[TimeSeries], context: int, horizon: int) -> int:
    """Return how many windows make a batch: fewer where there are few."""
    windows = sum(max(1, len(one) - context - horizon + 1) for one in series)
    return min(LARGEST_BATCH, max(SMALLEST_BATCH, windows // WANTED_BATCHES))


def _repeats(series: Sequence[TimeSeries], season: int, horizon: int) -> bool:
    """Say whether a typical series all but repeats its last season, more than its last value."""
    shares = []
    for one in series:
        values = one.values[-LONGEST_LOOK:]
        variance = float(np.nanvar(values)) if not np.isnan(values).all() else 0.0
        if len(values) > max(season, horizon) and variance > 0:
            to_season = _square_distance(values, season)
            to_last = np.mean([_square_distance(values, lead) for lead in range(1, horizon + 1)])
            shares.append(to_season / variance if to_season < to_last else np.inf)
    return bool(shares) and float(np.median(np.array(shares))) < REPEATS


def _square_distance(values: Floats, lag: int) -> float:
    """Return the mean squared difference to the value so many rows before; infinite where there is none."""
    squares = np.square(values[lag:] - values[:-lag])
    known = squares[~np.isnan(squares)]
    return float(known.mean()) if len(known) else np.inf
