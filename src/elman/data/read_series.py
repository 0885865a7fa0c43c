"""READ SERIES: a table of numbers in time as `TimeSeries`, one for each numeric column of each series.

A table is wide (a column for each series) or long (a column says which series a row belongs to). Rows of a
series stand in the order of time. Steps without a row are missing values, and so are empty cells and those
that say NA, NaN, null or None.
"""

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise
from typing import Any

import numpy as np

from elman.data.categories import Row
from elman.data.columns import find_column
from elman.data.series_table import SeriesTable, open_table, to_number
from elman.data.static_columns import read_static
from elman.data.time_series import TimeSeries
from elman.data.timestamps import (
    MIXED_SHARE,
    Clock,
    Ints,
    Moment,
    find_clock,
    looks_like_time,
    parse_moment,
    positions_on,
    whole_numbers_in,
)
from elman.errors import DataError

TIME_NAMES = frozenset({"date", "datetime", "day", "ds", "month", "step", "t", "time", "timestamp", "year"})
"""A column of numbers with one of these names, in any case, is taken for times if its numbers rise."""

MOST_SHOWN = 5
"""Columns that were not read and are named."""

PROBE_ROWS = 100
"""Rows by which the kind of a column is seen."""


@dataclass(frozen=True)
class SeriesColumns:
    """Which column of a table is what; all but `target` may be absent.

    Args:
        target: the numbers to be forecast.
        known_future: covariates that are known ahead.
        series_id: which series a row belongs to.
        time: when it is.
        static: what stays the same within a series.
    """

    target: tuple[str, ...]
    known_future: tuple[str, ...] = ()
    series_id: str | None = None
    time: str | None = None
    static: tuple[str, ...] = ()

    def names(self) -> set[str]:
        """Return all columns that are read."""
        alone = {name for name in (self.series_id, self.time) if name is not None}
        return {*self.target, *self.known_future, *self.static} | alone

    def roles(self, names: Sequence[str]) -> tuple[list[int], list[int], int | None, int | None]:
        """Return the places of the columns among names."""

        def place(name: str | None) -> int | None:
            return None if name is None else names.index(name)

        numbers = [names.index(name) for name in self.target]
        known = [names.index(name) for name in self.known_future]
        return numbers, known, place(self.series_id), place(self.time)


@dataclass(frozen=True)
class SeriesReading:
    """What a table held.

    Args:
        series: one for each target column of each series, in the order of the file.
        columns: which column was what.
        notes: what a person should know: missing steps and values, what was seen for them.
        left_out: columns that were not read, though no target was named: they hold no number.
    """

    series: list[TimeSeries]
    columns: SeriesColumns
    notes: list[str]
    left_out: Sequence[str] = ()


@dataclass
class _Rows:
    """The rows of one series, while they are read."""

    walls: array = field(default_factory=lambda: array("q"))
    offsets: array = field(default_factory=lambda: array("q"))
    numbers: array = field(default_factory=lambda: array("q"))
    values: array = field(default_factory=lambda: array("d"))
    where: str = ""
    last: int | None = None


def read_series(
    source: Any,
    *,
    target: Sequence[str] = (),
    known_future: Sequence[str] = (),
    series_id: str | None = None,
    static: Sequence[str] = (),
    time: str | None = None,
    columns: Sequence[str] | None = None,
    name: str = "data",
    clock: Clock | None = None,
) -> SeriesReading:
    """Return the series in a .csv, .tsv, .jsonl or .parquet file, or in a data frame or dicts.

    Args:
        source: a path, a data frame, dicts, or numbers *[T]* or *[T, I]*.
        target: columns to forecast (default: every column of numbers that is nothing else).
        known_future: columns of covariates that are known ahead.
        series_id: the column that says which series a row belongs to (default: all are one).
        static: columns that stay the same within a series, of numbers or names.
        time: the column of times (default: the first that is written as times, or is called so and rises).
        columns: names for the columns of a text file without a header.
        name: what to call data in memory.
        clock: the steps of the data before these; used where none can be seen, for no series has two rows.

    Raises:
        DataError: a cell is no number or no time, times are double, unsorted or of several frequencies, a
            column is not there; file and row are named.

    Example:
        >>> rows = [{"day": f"2020-01-0{day}", "load": day} for day in (1, 2, 4)]
        >>> reading = read_series(rows)
        >>> reading.series[0].values.tolist(), reading.columns.time, reading.notes[0]
        ([1.0, 2.0, nan, 4.0], 'day', 'time: column day, one row a day')
    """
    table = open_table(source, columns, name)
    chosen = _choose(table, target, known_future, static, series_id, time)
    rows, is_number = _collect(table, chosen)
    found = _clock_of(rows, is_number, clock) if chosen.time is not None else Clock("rows")
    series, notes = _on_a_grid(table, chosen, rows, found)
    left_out = [] if target else [name for name in table.names if name not in chosen.names()]
    if left_out:
        notes.append(_not_read(left_out))
    return SeriesReading(series, chosen, notes, left_out)


def _choose(
    table: SeriesTable,
    target: Sequence[str],
    known: Sequence[str],
    static: Sequence[str],
    series_id: str | None,
    time: str | None,
) -> SeriesColumns:
    """Return the columns as asked, with those left open seen from the first rows."""
    names, where = table.names, table.name

    def named(wanted: str) -> str:
        return names[find_column(names, wanted, where=where)]

    targets, futures = [named(each) for each in target], [named(each) for each in known]
    identity = None if series_id is None else named(series_id)
    constant = [named(each) for each in static]
    if constant and identity is None:
        raise DataError(
            f"{where}: --static names what is known of each series; name the column that tells them apart "
            "with --series-id."
        )
    probe = list(islice(table.open(), PROBE_ROWS))
    if not probe:
        raise DataError(f"{where}: has no rows; a series of numbers was expected.")
    taken = {*targets, *futures, *constant, identity}
    free = [name for name in names if name not in taken]
    when = named(time) if time is not None else _time_among(probe, names, free)
    used = [*targets, *futures, *constant, *([identity] if identity else []), *([when] if when else [])]
    twice = next((name for name in used if used.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{where}: column {twice!r} is named for two things at once; name each column once.")
    if not targets:
        targets = [name for name in free if name != when and _is_numeric(probe, names.index(name))]
    if not targets:
        raise DataError(
            f"{where}: no column of numbers is left to forecast (columns: {', '.join(names)}); "
            "name one with --target."
        )
    comma = next((name for name in [*targets, *futures] if "," in name), None)
    if comma is not None:
        raise DataError(f"{where}: column {comma!r} has a comma in its name; rename it.")
    return SeriesColumns(tuple(targets), tuple(futures), identity, when, tuple(constant))


def _not_read(left_out: Sequence[str]) -> str:
    shown = ", ".join(left_out[:MOST_SHOWN]) + (", ..." if len(left_out) > MOST_SHOWN else "")
    return (
        f"not read, for want of numbers: {shown} (what tells series apart is named with --series-id, what "
        "stays the same within one with --static)"
    )


def _time_among(probe: Sequence[Row], names: Sequence[str], free: Sequence[str]) -> str | None:
    """Return the first column that is written as times, or called so and rising; None: there is none."""
    for name in free:
        cells = [row[names.index(name)] for _, row in probe]
        if looks_like_time(cells[0]):
            return name
        if name.lower() in TIME_NAMES and _is_numeric(probe, names.index(name)):
            numbers = [to_number(cell, "", "") for cell in cells]
            if all(one < other for one, other in pairwise(numbers)):
                return name
    return None


def _is_numeric(probe: Sequence[Row], place: int) -> bool:
    try:
        found = [to_number(cells[place], "", "") for _, cells in probe]
    except DataError:
        return False
    return any(not math.isnan(number) for number in found)


def _collect(table: SeriesTable, chosen: SeriesColumns) -> tuple[dict[str, _Rows], bool]:
    """Return the rows of each series, having checked that its times rise, and whether they are numbers."""
    numbers, known, identity, when = chosen.roles(table.names)
    places = [(place, table.names[place]) for place in [*numbers, *known]]
    found: dict[str, _Rows] = {}
    first: Moment | None = None
    column = (cells[when] for _, cells in table.open()) if when is not None else ()
    whole = whole_numbers_in(column, str(chosen.time))
    for number, (where, cells) in enumerate(table.open()):
        key = "" if identity is None else str(cells[identity])
        rows = found.get(key)
        if rows is None:
            if identity is not None and (cells[identity] is None or not key.strip()):
                raise DataError(f"{where}: column {chosen.series_id!r} is empty; every row names its series.")
            rows = found[key] = _Rows(where=where)
        if when is not None:
            moment = parse_moment(cells[when], where, whole)
            first = first or moment
            _add_moment(rows, moment, first, where, key, chosen)
        rows.numbers.append(number)
        rows.values.extend([to_number(cells[place], where, column) for place, column in places])
    if not found:
        raise DataError(f"{table.name}: has no rows; a series of numbers was expected.")
    return found, first is not None and first.is_number


def _add_moment(
    rows: _Rows, moment: Moment, first: Moment, where: str, key: str, chosen: SeriesColumns
) -> None:
    if moment.is_number != first.is_number or (moment.offset is None) != (first.offset is None):
        raise DataError(
            f"{where}: the time is written in another form than in the first row (a number, or with or "
            "without an offset from UTC); write all in one form."
        )
    instant = moment.wall - (moment.offset or 0)
    if rows.last is not None and instant <= rows.last:
        of_series = f" of series {key!r}" if key else ""
        if instant == rows.last:
            hint = (
                "one row for each time was expected; drop or average the others"
                + ("" if key else ", or name the column that tells series apart with --series-id")
                + ("" if moment.offset is not None else "; where clocks are set back, write the offset from "
                   "UTC behind each time: 2024-10-27T02:30+01:00")
            )  # fmt: skip
            raise DataError(f"{where}: the same time as the row before{of_series}; {hint}.")
        raise DataError(
            f"{where}: is earlier than the row before{of_series}; sort the rows by time, or name the column "
            "that tells series apart with --series-id."
        )
    rows.last = instant
    rows.walls.append(moment.wall)
    if moment.offset is not None:
        rows.offsets.append(moment.offset)


def _times_of(found: dict[str, _Rows]) -> tuple[list[Ints], list[Ints] | None]:
    """Return the wall-clock times and the offsets of each series."""
    walls = [np.frombuffer(rows.walls, np.int64) for rows in found.values()]
    has_offsets = any(rows.offsets for rows in found.values())
    return walls, [np.frombuffer(rows.offsets, np.int64) for rows in found.values()] if has_offsets else None


def _clock_of(found: dict[str, _Rows], is_number: bool, before: Clock | None) -> Clock:
    """Return the steps in which the rows are written; where none can be seen, those of the data before."""
    walls, offsets = _times_of(found)
    seen = find_clock(walls, offsets, is_number=is_number)
    is_known = any(len(wall) > 1 for wall in walls)
    if is_known or before is None or before.unit == "rows" or (before.unit == "number") != is_number:
        return seen
    return replace(before, offset=seen.offset)


def _on_a_grid(
    table: SeriesTable, chosen: SeriesColumns, found: dict[str, _Rows], clock: Clock
) -> tuple[list[TimeSeries], list[str]]:
    """Put the rows of each series on steps of one length; steps without a row are missing values."""
    walls, offsets = _times_of(found)
    width = len(chosen.target) + len(chosen.known_future)
    fixed = read_static(table, chosen.static, chosen.series_id or "") if chosen.static else {}
    series: list[TimeSeries] = []
    gaps: list[str] = []
    for index, (key, rows) in enumerate(found.items()):
        values = np.frombuffer(rows.values, np.float64).reshape(-1, width)
        start, places = 0, np.arange(len(values))
        if clock.unit != "rows":
            positions = positions_on(clock, walls[index], offsets[index] if offsets else None)
            start = int(positions[0])
            places = _places(table, clock, rows, positions, key)
        length = int(places[-1]) + 1
        if length > len(values):
            full = np.full((length, width), np.nan)
            full[places] = values
            values = full
            gaps.append(f"{length - len(places):,}{f' in {key!r}' if key else ''}")
        made = _columns_of(key, values, chosen, clock, start, rows.where)
        series += [replace(one, static=fixed[key]) for one in made] if fixed else made
    return series, _notes(chosen, clock, series, gaps, len(found))


def _places(table: SeriesTable, clock: Clock, rows: _Rows, positions: Any, key: str) -> Any:
    places, rest = np.divmod(positions - positions[0], clock.step)
    of_series = f"series {key!r}, " if key else ""
    if rest.any():
        row = int(np.flatnonzero(rest)[0])
        raise DataError(
            f"{table.place_of(rows.numbers[row])}: {of_series}this time falls on no step: most rows are "
            f"one {clock.name} apart. One frequency was expected; resample the series, or split the file."
        )
    if len(places) < MIXED_SHARE * (int(places[-1]) + 1):
        row = int(np.diff(places).argmax()) + 1
        raise DataError(
            f"{table.place_of(rows.numbers[row])}: {of_series}{int(places[-1]) + 1 - len(places):,} of "
            f"{int(places[-1]) + 1:,} steps of one {clock.name} have no row, most of them before this one. "
            "One frequency was expected; resample the series, or split the file."
        )
    return places


def _columns_of(
    key: str, values: Any, chosen: SeriesColumns, clock: Clock, start: int, where: str
) -> Iterator[TimeSeries]:
    count = len(chosen.target)
    known = values[:, count:].copy() if chosen.known_future else None
    for place, column in enumerate(chosen.target):
        name = column if not chosen.series_id else key if count == 1 else f"{key}/{column}"
        yield TimeSeries(name, values[:, place].copy(), clock, start, known, None, where)


def _notes(
    chosen: SeriesColumns, clock: Clock, series: Sequence[TimeSeries], gaps: list[str], count: int
) -> list[str]:
    notes = [f"time: column {chosen.time}, one row a {clock.name}"]
    if chosen.time is None:
        notes = ["time: no column of times, so rows are counted (name one with --time)"]
    if clock.offset is not None:
        how = "on the wall clock" if clock.is_on_the_wall else "in UTC"
        notes.append(f"time zone: steps are equal {how}; times are written with the last row's offset")
    if gaps:
        more = f" and in {len(gaps) - 3:,} more series" if len(gaps) > 3 else ""
        notes.append(f"gaps: steps without a row, taken as missing values: {', '.join(gaps[:3])}{more}")
    missing = sum(int(np.isnan(one.values).sum()) for one in series)
    if missing:
        notes.append(f"missing: {missing:,} of {sum(map(len, series)):,} values; none of them is scored")
    if chosen.series_id is not None:
        notes.append(f"series: {count:,}, by column {chosen.series_id}")
    return notes
