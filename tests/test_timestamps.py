"""Times as people write them, the frequency of a file, and daylight saving."""

import calendar
import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.read_series import read_series
from elman.data.seasons import season_of
from elman.data.timestamps import (
    DAY,
    HOUR,
    Clock,
    _is_basic_date,
    find_clock,
    parse_moment,
    positions_on,
)
from elman.errors import DataError

SAME_DAY = ["2020-12-31", "20201231", "2020/12/31", "2020.12.31", "31.12.2020", "2020-12-31T00:00"]


def moment_of(when: datetime.datetime) -> int:
    return (when - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)


@pytest.mark.parametrize("text", SAME_DAY)
def test_a_day_is_the_same_however_it_is_written(text):
    assert parse_moment(text, "a.csv:2").wall == moment_of(datetime.datetime(2020, 12, 31))


def test_months_quarters_and_years_are_their_first_day():
    for text, month in (("2020-04", 4), ("2020-Q2", 4), ("2020Q1", 1), ("2020", 1), ("2020.0", 1)):
        assert parse_moment(text, "").wall == moment_of(datetime.datetime(2020, month, 1)), text


@given(st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2200, 1, 1)))
def test_iso_times_are_read_as_the_standard_library_reads_them(when):
    assert parse_moment(when.isoformat(), "").wall == moment_of(when)
    assert parse_moment(when, "").wall == moment_of(when)


@pytest.mark.parametrize("text", ["03/04/2020", "yesterday", "", "2020-13-01", "12:30"])
def test_what_is_no_time_is_refused_with_its_place(text):
    with pytest.raises(DataError, match=r"a\.csv:7: .* is no time; "):
        parse_moment(text, "a.csv:7")


def test_day_and_month_that_cannot_be_told_apart_are_not_guessed():
    with pytest.raises(DataError, match="cannot be told apart; write the year first"):
        parse_moment("03/04/2020", "a.csv:2")


@pytest.mark.parametrize(
    ("texts", "name", "season"),
    [
        (["2020-01-01 00:00", "2020-01-01 01:00"], "hour", 24),
        (["2020-01-01 00:00", "2020-01-01 00:15"], "15 minutes", 96),
        (["2020-01-01", "2020-01-02"], "day", 7),
        (["2020-01-05", "2020-01-12"], "7 days", 52),
        (["2020-01", "2020-02", "2020-03"], "month", 12),
        (["2020-01-31", "2020-02-29", "2020-03-31"], "month", 12),
        (["2020-Q1", "2020-Q2", "2020-Q3"], "quarter", 4),
        (["1999", "2000", "2001"], "year", 1),
        (["1", "2", "3"], "step of 1", 1),
    ],
)
def test_the_frequency_is_found_and_with_it_the_season(texts, name, season):
    moments = [parse_moment(text, "") for text in texts]
    walls = np.array([moment.wall for moment in moments])
    clock = find_clock([walls], None, is_number=moments[0].is_number)
    assert (clock.name, season_of(clock)) == (name, season)


@given(
    st.integers(0, 700),
    st.sampled_from(
        [
            *(Clock("time", step) for step in (HOUR, DAY)),
            *(
                Clock("months", step, within=within)
                for step in (1, 3)
                for within in (0, 14 * DAY, -DAY, -HOUR)
            ),
        ]
    ),
)
def test_a_place_on_the_clock_written_and_read_again_is_the_same_place(steps, clock):
    position = steps * clock.step
    wall = np.array([parse_moment(clock.text(position), "").wall])
    assert positions_on(clock, wall, None)[0] == position


def local_times(zone: str, start: datetime.datetime, step: datetime.timedelta, count: int) -> list[str]:
    """Local times with offsets, equally far apart in real time."""
    first = start.replace(tzinfo=ZoneInfo(zone)).astimezone(datetime.UTC)
    return [(first + n * step).astimezone(ZoneInfo(zone)).isoformat() for n in range(count)]


@pytest.mark.parametrize("month", [3, 10])
def test_hours_across_a_change_of_the_clocks_are_equal_steps_where_offsets_are_written(month):
    texts = local_times("Europe/Berlin", datetime.datetime(2024, month, 20), datetime.timedelta(hours=1), 400)
    moments = [parse_moment(text, "") for text in texts]
    walls = np.array([moment.wall for moment in moments])
    offsets = np.array([moment.offset for moment in moments])
    clock = find_clock([walls], [offsets], is_number=False)
    positions = positions_on(clock, walls, offsets)
    assert clock.name == "hour" and set(np.diff(positions)) == {HOUR}
    assert clock.text(int(positions[-1])) == texts[-1].replace("T", " ")


def test_a_day_of_23_hours_is_a_day():
    first = datetime.datetime(2024, 3, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    days = [first + datetime.timedelta(days=n) for n in range(3)]
    moments = [parse_moment(day.isoformat(), "") for day in days]
    assert len({moment.offset for moment in moments}) == 2
    walls = np.array([moment.wall for moment in moments])
    offsets = np.array([moment.offset for moment in moments])
    clock = find_clock([walls], [offsets], is_number=False)
    assert clock.name == "day" and set(np.diff(positions_on(clock, walls, offsets))) == {DAY}


# Whole numbers


@given(st.integers(-(10**13), 10**13), st.integers(1, 400), st.integers(1, 1000))
def test_numbers_of_steps_are_steps_throughout_whatever_years_or_dates_they_look_like(first, count, step):
    rows = [{"t": first + n * step, "x": n} for n in range(count)]
    [one] = read_series(rows, time="t", target=["x"]).series
    if any(_is_basic_date(str(row["t"])) for row in rows):
        return  # eight digits, see below
    assert one.clock.unit == "number" and one.start == first and len(one) == count


@pytest.mark.parametrize(
    ("name", "times", "unit", "written"),
    [
        ("t", range(995, 1005), "number", "995"),
        ("t", range(1000, 1100), "number", "1000"),
        ("year", range(1000, 1100), "months", "1000-01-01"),
        ("Date", ["1999.0", "2000.0"], "months", "1999-01-01"),
        ("year", range(2990, 3010), "number", "2990"),
        ("t", [20201231, 20210101], "time", "2020-12-31"),
        ("t", [20201231, 20201232], "number", "20201231"),
        ("t", [1612121200000, 1612121200001], "number", "1612121200000"),
        ("t", [1700000000000000001, 1700000000000000002], "number", "1700000000000000001"),
    ],
)
def test_what_whole_numbers_mean_is_decided_for_the_whole_column(name, times, unit, written):
    [one] = read_series([{name: time, "x": 1.5} for time in times], time=name).series
    assert (one.clock.unit, one.time(0), len(one)) == (unit, written, len(times))


def test_a_number_too_large_for_a_step_is_refused():
    with pytest.raises(DataError, match=r"row 2: .* is no time"):
        read_series([{"t": 1, "x": 1}, {"t": 10**30, "x": 2}], time="t")


# The last day of a month


@given(st.integers(0, 600), st.sampled_from([1, 3, 6, 12]), st.integers(2, 30), st.sampled_from([0, 18]))
def test_series_of_last_days_go_on_on_last_days(month, step, count, hour):
    places = [month + n * step for n in range(count + 5)]
    days = [
        datetime.datetime(
            1960 + n // 12, n % 12 + 1, calendar.monthrange(1960 + n // 12, n % 12 + 1)[1], hour
        )
        for n in places
    ]
    [one] = read_series([{"day": day, "x": n} for n, day in enumerate(days[:count])], target=["x"]).series
    assert len(one) == count
    said = [datetime.datetime.fromisoformat(one.time(row)) for row in range(count + 5)]
    assert said == days
