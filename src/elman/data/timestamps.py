"""TIMESTAMPS: texts to moments, moments to a grid of equal steps, and back.

A moment is a number of microseconds on the wall clock since 1970, and the offset from UTC where one is
written. Steps shorter than a day are equal in real time (UTC where offsets are written); steps of a day or
longer are equal on the wall clock, so that a day of 23 hours is a day. Months, quarters and years are counted
by the calendar.
"""

import datetime
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
"""In microseconds."""

Ints = NDArray[np.int64]
Unit = Literal["rows", "number", "time", "months"]
WholeNumbers = Literal["steps", "years", "dates"]

EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
MIXED_SHARE = 0.5
"""A series with more missing than present steps was not written at the frequency that was found."""

_MONTH = re.compile(r"(\d{4})[-/](\d{1,2})")
_QUARTER = re.compile(r"(\d{4})[- ]?[Qq]([1-4])")
_SLASHES = re.compile(r"(\d{4})[/.](\d{1,2})[/.](\d{1,2})(.*)", re.DOTALL)
_DOTS = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(.*)", re.DOTALL)
_AMBIGUOUS = re.compile(r"\d{1,2}/\d{1,2}/\d{4}")
_NUMBER = re.compile(r"[+-]?\d+(\.0*)?")
_YEAR, _BASIC_DATE = re.compile(r"[12]\d{3}(\.0*)?"), re.compile(r"\d{8}")

YEAR_WORDS = ("year", "date")
"""A column of years has one of these words in its name; numbers from 1000 to 2999 in another are steps."""

LARGEST_NUMBER = 2**62
"""Numbers of steps are kept as whole numbers of eight bytes."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time, or a whole number that stands for one.

    Args:
        wall: microseconds since 1970 on the wall clock; or the number itself.
        offset: microseconds ahead of UTC; None where none is written.
        is_number: whether it is a mere number of a step.
    """

    wall: int
    offset: int | None = None
    is_number: bool = False


def whole_numbers_in(cells: Iterable[Any], name: str) -> WholeNumbers | None:
    """Return what the whole numbers of a column of times mean, seen from all of them.

    Eight digits that are dates throughout (20201231) are dates; 1000 to 2999 throughout are years if the
    column is named so; all others count steps.

    Args:
        cells: the whole column.
        name: of the column.

    Returns:
        None where some cell is no whole number.

    Example:
        >>> whole_numbers_in([998, 999, 1000], "year"), whole_numbers_in(["1999", "2000"], "Year")
        ('steps', 'years')
    """
    are_years, are_dates = any(word in name.lower() for word in YEAR_WORDS), True
    for cell in cells:
        text = str(cell).strip()
        if not _NUMBER.fullmatch(text):
            return None
        are_years = are_years and _YEAR.fullmatch(text) is not None
        are_dates = are_dates and _is_basic_date(text)
    return "dates" if are_dates else "years" if are_years else "steps"


def _is_basic_date(text: str) -> bool:
    try:
        return _BASIC_DATE.fullmatch(text) is not None and bool(datetime.date.fromisoformat(text))
    except ValueError:
        return False


def parse_moment(value: Any, where: str, whole: WholeNumbers | None = None) -> Moment:
    """Return the moment that a cell names.

    ISO 8601 in all its forms, a date with slashes or dots whose year comes first, day.month.year, year-month,
    year-quarter (2020-Q1), a year; `datetime` objects; any other whole number counts steps.

    Args:
        value: the cell.
        where: file and row, for the message.
        whole: what whole numbers mean in its column (`whole_numbers_in`); None: seen from the cell alone.

    Raises:
        DataError: it is none of these, or day and month cannot be told apart (03/04/2020).

    Example:
        >>> parse_moment("1970-01-01T01:00+01:00", "a.csv:2")
        Moment(wall=3600000000, offset=3600000000, is_number=False)
    """
    if isinstance(value, datetime.date):  # datetime too, and pandas' Timestamp
        return _of_datetime(value)
    text = str(value).strip()
    try:
        # Python reads some numbers of milliseconds as basic dates with a time behind.
        if not _NUMBER.fullmatch(text) and (not text[:4].isdigit() or len(text) > 7):
            return _of_datetime(datetime.datetime.fromisoformat(text))
    except ValueError:
        pass
    try:
        return _other_form(text, whole)
    except ValueError:
        pass
    hint = (
        "day and month cannot be told apart; write the year first: 2020-12-31."
        if _AMBIGUOUS.match(text)
        else "a time such as 2020-12-31 18:00, 2020-12 or 2020, or a whole number was expected."
    )
    raise DataError(f"{where}: {text[:40]!r} is no time; {hint}")


def _other_form(text: str, whole: WholeNumbers | None) -> Moment:
    """Read the forms that are not ISO 8601; ValueError: it is none of them."""
    if _NUMBER.fullmatch(text):
        return _of_number(text, whole or whole_numbers_in([text], YEAR_WORDS[0]))
    if match := _MONTH.fullmatch(text):
        return _of_datetime(datetime.date(int(match[1]), int(match[2]), 1))
    if match := _QUARTER.fullmatch(text):
        return _of_datetime(datetime.date(int(match[1]), 3 * int(match[2]) - 2, 1))
    if match := _SLASHES.fullmatch(text):
        year, month, day, rest = match.groups()
    elif match := _DOTS.fullmatch(text):
        day, month, year, rest = match.groups()
    else:
        return _of_datetime(datetime.datetime.fromisoformat(text))
    iso = f"{year}-{int(month):02}-{int(day):02}{rest}"
    return _of_datetime(datetime.datetime.fromisoformat(iso))


def _of_number(text: str, whole: WholeNumbers | None) -> Moment:
    number = int(text.split(".")[0])
    if whole == "dates":
        return _of_datetime(datetime.date.fromisoformat(text))
    if whole == "years":
        return _of_datetime(datetime.date(number, 1, 1))
    if abs(number) > LARGEST_NUMBER:
        raise ValueError
    return Moment(number, None, is_number=True)


def _of_datetime(when: datetime.date) -> Moment:
    wall = (when.toordinal() - EPOCH_DAY) * DAY
    if not isinstance(when, datetime.datetime):
        return Moment(wall)
    wall += when.hour * HOUR + when.minute * MINUTE + when.second * SECOND + when.microsecond
    offset = when.utcoffset()
    return Moment(wall, None if offset is None else offset // datetime.timedelta(microseconds=1))


def looks_like_time(value: Any) -> bool:
    """Say whether a cell is written as a time, and not as a number."""
    if isinstance(value, datetime.date):
        return True
    if not isinstance(value, str) or _NUMBER.fullmatch(value.strip()):
        return False
    try:
        parse_moment(value, "")
    except DataError:
        return False
    return True


@dataclass(frozen=True)
class Clock:
    """Equal steps of time.

    Args:
        unit: "time" (steps of so many microseconds), "months", "number" (a whole number is written beside
            each row) or "rows" (nothing is).
        step: how long a step is, in that unit.
        offset: microseconds ahead of UTC in which times are written; None: no offset is.
        within: of months: microseconds from the start of the month; below zero: from its end.

    Example:
        >>> Clock("time", HOUR).text(25 * HOUR), Clock("months", 1).text(12 * 50)
        ('1970-01-02 01:00:00', '2020-01-01')
    """

    unit: Unit
    step: int = 1
    offset: int | None = None
    within: int = 0

    @property
    def name(self) -> str:
        """The step in words."""
        if self.unit == "months":
            words = {1: "month", 3: "quarter", 12: "year"}
            return words.get(self.step, f"{self.step} months")
        if self.unit != "time":
            return "row" if self.unit == "rows" else f"step of {self.step}"
        for size, word in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second")):
            if self.step % size == 0:
                count = self.step // size
                return word if count == 1 else f"{count} {word}s"
        return f"{self.step / SECOND:g} seconds"

    def agrees(self, other: "Clock") -> bool:
        """Whether another clock has steps as long, and offsets where this one has them."""
        is_alike = (self.unit, self.step) == (other.unit, other.step)
        return is_alike and (self.offset is None) == (other.offset is None)

    def unlike(self, other: "Clock") -> str:
        """Return how another clock, of other data, differs: "has ... here, but ..."."""
        if (self.unit, self.step) != (other.unit, other.step):
            return f"a step of one {self.name} here, but one {other.name}"
        forms = ["without", "with"] if other.offset is not None else ["with", "without"]
        return f"times {forms[0]} an offset from UTC here, but {forms[1]} one"

    @property
    def is_on_the_wall(self) -> bool:
        """Whether positions are wall-clock times rather than UTC."""
        return self.offset is None or self.step >= DAY

    def walls(self, positions: Ints) -> Ints:
        """Return positions of the grid as microseconds on the wall clock since 1970."""
        if self.unit == "months":
            from_there = positions if self.within >= 0 else positions + 1
            months = from_there.astype("datetime64[M]").astype("datetime64[us]")
            return np.asarray(months.astype(np.int64) + self.within, np.int64)
        shift = 0 if self.is_on_the_wall else int(self.offset or 0)
        return np.asarray(positions + shift, np.int64)

    def text(self, position: int) -> str:
        """Return a position of the grid as it is written."""
        if self.unit in ("rows", "number"):
            return str(position)
        wall = int(self.walls(np.array([position], np.int64))[0])
        when = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=wall)
        is_date = self.unit == "months" or self.step % DAY == 0
        if is_date and wall % DAY == 0 and self.offset is None:
            return when.date().isoformat()
        if self.offset is not None:
            when = when.replace(tzinfo=datetime.timezone(datetime.timedelta(microseconds=self.offset)))
        return when.isoformat(sep=" ")

    def to_json(self) -> dict[str, Any]:
        """Return the fields, for a run folder."""
        return {"unit": self.unit, "step": self.step, "offset": self.offset, "within": self.within}


def find_clock(walls: Sequence[Ints], offsets: Sequence[Ints] | None, *, is_number: bool) -> Clock:
    """Return the steps in which several series are written: the most frequent distance of neighbours.

    Args:
        walls: times of each series in their order, as `Moment.wall`.
        offsets: likewise `Moment.offset`; None: none is written.
        is_number: whether they are mere numbers.

    Example:
        >>> find_clock([np.array([0, DAY, 2 * DAY])], None, is_number=False).name
        'day'
    """
    unit: Unit = "number" if is_number else "time"
    offset = int(offsets[-1][-1]) if offsets is not None else None
    gaps = np.concatenate([np.diff(wall) for wall in walls])
    if not len(gaps):
        return Clock(unit, 1 if is_number else DAY, offset)
    if not is_number and int(gaps.min()) >= 28 * DAY and (within := _within_month(walls)) is not None:
        counts = np.concatenate([np.diff(months_of(wall)) for wall in walls])
        return Clock("months", _commonest(counts), offset, within)
    if offsets is not None and _commonest(gaps) < DAY:
        gaps = np.concatenate([np.diff(wall - ahead) for wall, ahead in zip(walls, offsets, strict=True)])
    return Clock(unit, _commonest(gaps), offset)


def positions_on(clock: Clock, walls: Ints, offsets: Ints | None) -> Ints:
    """Return the places of moments on a clock's axis (not yet counted in its steps)."""
    if clock.unit == "months":
        return months_of(walls)
    return walls if clock.is_on_the_wall or offsets is None else walls - offsets


def months_of(walls: Ints) -> Ints:
    """Return the months since 1970 of wall-clock times."""
    return walls.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)


def _within_month(walls: Sequence[Ints]) -> int | None:
    """Return how far into its month every moment lies, if they agree; on last days, from its end (< 0)."""
    moments = np.concatenate(list(walls))
    months = months_of(moments)
    starts, ends = (
        place.astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
        for place in (months, months + 1)
    )
    from_end = np.unique(moments - ends)
    if from_end[0] >= -DAY:  # 31 January and 31 March are last days, not days 31
        return int(from_end[0]) if len(from_end) == 1 else -DAY
    within = np.unique(moments - starts)
    return int(within[0]) if len(within) == 1 else None


def _commonest(values: Ints) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()])
