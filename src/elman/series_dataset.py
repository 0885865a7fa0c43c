"""SERIES DATASET: the parts of a forecasting set, in the order of time; each part's context reaches back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from elman.config import Settings, split_names
from elman.data.example import Example, Reading
from elman.data.read_series import SeriesReading, read_series
from elman.data.seasons import season_and_horizon
from elman.data.time_series import TimeSeries, join, too_few_rows
from elman.data.time_split import hold_out
from elman.data.timestamps import Clock
from elman.errors import ConfigError, DataError


def read_source(
    settings: Settings, source: Any, *, name: str = "data", clock: Clock | None = None
) -> SeriesReading:
    """Return the series of a file or of rows in memory, by the columns that the settings name.

    Rows after a series' last value are no part of it: they hold covariates at most, which stay known.
    """
    if isinstance(source, SeriesReading):
        return source
    if settings.input is not None:
        raise ConfigError(
            "input is not for forecast; name the columns to forecast with --target, and those that are known "
            "ahead with --known-future."
        )
    reading = read_series(
        source,
        target=split_names(settings.target),
        known_future=split_names(settings.known_future),
        series_id=settings.series_id,
        static=split_names(settings.static),
        time=settings.time,
        columns=split_names(settings.columns) or None,
        name=name,
        clock=clock,
    )
    # A series without any value stays as it is, to be refused by its name.
    series = [one.without_future() if one.has_truth() else one for one in reading.series]
    return replace(reading, series=series)


def read_series_file(settings: Settings, source: Any, clock: Clock | None = None) -> Reading:
    """Return each series of a file as an example, whole: nothing says yet which rows may be forecast."""
    series = read_source(settings, source, clock=clock).series
    return reading_of([Example(one, None, one.where) for one in series])


def reading_of(examples: list[Example]) -> Reading:
    """Return examples as what a reader gives."""
    return Reading(examples, "series", [], None, [])


def read_parts(
    settings: Settings, sources: Mapping[str, Any]
) -> tuple[dict[str, list[Example]], Settings, list[str]]:
    """Return the examples of train, valid and test, the settings with the columns that were read, and notes.

    Args:
        settings: the columns, and `horizon` and `season` where they are given.
        sources: part -> a file, rows in memory, a fraction of the training data, or None.

    Raises:
        ConfigError: a back-test is asked for, and a part is no fraction.
        DataError: a file cannot be used, or holds no row after the data before it.
    """
    if settings.backtest and not all(isinstance(sources[part], float) for part in ("valid", "test")):
        raise ConfigError(
            "backtest cuts the end of the training file into blocks; give --test as a fraction (0.3), and "
            "--valid as one or not at all."
        )
    reading = read_source(settings, sources["train"], name="train")
    columns = reading.columns
    settings = settings.model_copy(
        update={
            "target": ",".join(columns.target),
            "time": columns.time,
        }
    )
    _, horizon = season_and_horizon(reading.series[0].clock, settings.season, settings.horizon)
    shares = {
        part: source if isinstance(source, int | float) else None
        for part, source in sources.items()
        if part != "train"
    }
    held = hold_out(reading.series, valid=shares["valid"], test=shares["test"], horizon=horizon)
    notes = list(reading.notes)
    if held.short:
        notes.append(
            f"too short: {len(held.short):,} of {len(reading.series):,} series are left out, such as "
            f"{held.short[0]!r}; for forecasts of {horizon} steps every part needs as many rows"
        )
    parts = {"train": held.train, "valid": held.valid, "test": held.test}
    history = {one.name: one for one in reading.series}
    for part in ("valid", "test"):
        source = sources[part]
        if source is None or shares[part] is not None:
            continue
        more = read_source(settings, source, name=part, clock=reading.series[0].clock).series
        joined = _following(history, more)
        parts[part] = _long_enough(joined, horizon, _name(source))
        if len(parts[part]) < len(joined):
            short = len(joined) - len(parts[part])
            notes.append(f"{part}: {too_few_rows(short, len(joined), horizon)}")
        history |= {one.name: one for one in joined}
    for part in ("valid", "test"):
        _check_truth(part, parts[part], None if shares[part] is not None else _name(sources[part]))
    return (
        {part: [Example(one, None, one.where) for one in rows] for part, rows in parts.items()},
        settings,
        notes,
    )


def _check_truth(part: str, series: Sequence[TimeSeries], where: str | None) -> None:
    """Refuse a part in which nothing could be scored."""
    if series and not any(one.has_truth() for one in series):
        raise DataError(
            f"{where or series[0].where}: no series has a value in the rows that the {part} part would "
            f"score; give values there, or other rows to the {part} part."
        )


def _following(history: Mapping[str, TimeSeries], more: Sequence[TimeSeries]) -> list[TimeSeries]:
    """Return series going on from what is known of them."""
    return [join(history[one.name], one) if one.name in history else replace(one, first=None) for one in more]


def _long_enough(series: Sequence[TimeSeries], horizon: int, where: str) -> list[TimeSeries]:
    """Return the series with a horizon's new rows."""
    if not any(one.num_new for one in series):
        raise DataError(
            f"{where}: has no row after the last time of the data before it, so nothing can be scored; rows "
            "at or before that time are context only."
        )
    long_enough = [one for one in series if one.num_new >= horizon]
    if not long_enough:
        raise DataError(
            f"{where}: no series has {horizon} rows (the horizon) after the last time of the data before it, "
            "so nothing can be scored; give more rows, or lower --horizon."
        )
    return long_enough


def _name(source: Any) -> str:
    return str(source) if isinstance(source, str | Path) else "data"
