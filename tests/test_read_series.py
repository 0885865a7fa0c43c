"""Tables of numbers in time: wide and long, with gaps, and everything that is refused with its place."""

import datetime
import json

import numpy as np
import pytest

from elman.data.read_series import read_series
from elman.errors import DataError

HOURS = [f"2024-01-01 {hour:02}:00" for hour in range(6)]


def wide(rows: list[str], header: str = "time,load,heat") -> str:
    return "\n".join([header, *rows]) + "\n"


def test_a_wide_table_gives_a_series_for_each_column_of_numbers(write):
    text = wide([f"{time},{n},{2 * n},north" for n, time in enumerate(HOURS)], "time,load,heat,place")
    reading = read_series(write("a.csv", text))
    assert [one.name for one in reading.series] == ["load", "heat"]
    assert reading.series[1].values.tolist() == [0, 2, 4, 6, 8, 10]
    assert reading.columns.time == "time" and reading.notes[0] == "time: column time, one row a hour"
    assert reading.series[0].time(6) == "2024-01-01 06:00:00"


def test_columns_without_numbers_are_told_where_nobody_said_what_to_forecast(write):
    lines = [f"{time},{n},north,,{2 * n}" for n, time in enumerate(HOURS)]
    path = write("a.csv", wide(lines, "time,load,place,note,heat"))
    reading = read_series(path)
    assert reading.left_out == ["place", "note"]
    assert any(line.startswith("not read, for want of numbers: place, note (") for line in reading.notes)
    named = read_series(path, series_id="place", target=["load"])
    assert not named.left_out and not any("not read" in line for line in named.notes)
    assert read_series(path, series_id="place").left_out == ["note"]


def test_a_long_table_gives_the_same_series_in_any_order_of_its_rows(write):
    rows = [(name, time, n + 10 * len(name)) for name in ("a", "bb") for n, time in enumerate(HOURS)]
    text = "\n".join(["id,time,load", *(f"{name},{time},{value}" for name, time, value in rows)])
    mixed = "\n".join(
        ["id,time,load"]
        + [f"{name},{time},{value}" for name, time, value in sorted(rows, key=lambda row: row[1])]
    )
    one, other = (
        read_series(write(f"{n}.csv", text), series_id="id").series for n, text in enumerate([text, mixed])
    )
    assert [series.name for series in one] == ["a", "bb"]
    assert all(np.array_equal(x.values, y.values) for x, y in zip(one, other, strict=True))


def test_jsonl_dicts_and_csv_hold_the_same(write):
    rows = [{"time": time, "load": n / 2} for n, time in enumerate(HOURS)]
    rows[2]["load"] = None
    texts = ("" if row["load"] is None else row["load"] for row in rows)
    table = write("a.csv", wide([f"{time},{v}" for time, v in zip(HOURS, texts, strict=True)], "time,load"))
    lines = write("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    expected = [0, 0.5, np.nan, 1.5, 2, 2.5]
    for source in (table, lines, rows):
        np.testing.assert_array_equal(read_series(source).series[0].values, expected)


def test_times_may_be_datetimes_and_series_may_be_arrays():
    rows = [{"t": datetime.datetime(2024, 1, 1 + n), "x": n} for n in range(4)]
    assert read_series(rows).series[0].clock.name == "day"
    assert read_series(np.arange(8.0).reshape(4, 2)).series[1].values.tolist() == [1, 3, 5, 7]
    assert read_series([1, 2, 4]).series[0].values.tolist() == [1, 2, 4]


def test_steps_without_a_row_are_missing_values_and_are_told(write):
    times = [*HOURS[:2], *HOURS[4:], "2024-01-01 06:00", "2024-01-01 07:00"]
    reading = read_series(write("a.csv", wide([f"{time},1" for time in times], "time,load")))
    np.testing.assert_array_equal(reading.series[0].values, [1, 1, np.nan, np.nan, 1, 1, 1, 1])
    assert "gaps: steps without a row, taken as missing values: 2" in reading.notes
    assert "missing: 2 of 8 values; none of them is scored" in reading.notes


@pytest.mark.parametrize("word", ["", "NA", "nan", "NULL", "None", "n/a"])
def test_cells_without_a_number_are_missing(write, word):
    rows = [f"{time},{word if n == 3 else n}" for n, time in enumerate(HOURS)]
    values = read_series(write("a.csv", wide(rows, "time,load"))).series[0].values
    assert np.isnan(values[3]) and np.isnan(values).sum() == 1


def test_covariates_known_ahead_are_kept_beside_the_series(write):
    rows = [f"{time},{n if n < 4 else ''},{n % 2}" for n, time in enumerate(HOURS)]
    path = write("a.csv", wide(rows, "time,load,holiday"))
    [one] = read_series(path, known_future=["holiday"]).series
    assert one.known[:, 0].tolist() == [0, 1, 0, 1, 0, 1] and len(one.without_future()) == 4


# What is wrong with a file, and what the message must name.
WRONG = {
    "double": ([*HOURS[:3], HOURS[2]], {}, r"a\.csv:5: the same time as the row before; .*--series-id"),
    "unsorted": ([HOURS[1], HOURS[0]], {}, r"a\.csv:3: is earlier than the row before; sort"),
    "between steps": ([*HOURS[:4], "2024-01-01 03:20"], {}, r"a\.csv:6: this time falls on no step: .* hour"),
    "mixed frequencies": (
        [*HOURS[:4], *(f"2024-01-{day:02} 00:00" for day in range(2, 6))],
        {},
        r"a\.csv:7: \d+ of \d+ steps of one hour have no row",
    ),
    "no time": ([*HOURS[:2], "soon"], {}, r"a\.csv:4: 'soon' is no time"),
    "two forms": ([*HOURS[:2], "2024-01-01 02:00+01:00"], {}, r"a\.csv:4: .* another form"),
    "no such column": (HOURS, {"target": ["laod"]}, "unknown column 'laod'; did you mean 'load'"),
    "one column twice": (HOURS, {"target": ["load"], "known_future": ["load"]}, "'load' is named for two"),
    "nothing to forecast": (HOURS, {"known_future": ["load"]}, "no column of numbers is left"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_times_and_columns_are_refused_with_file_and_row(write, case):
    times, options, message = WRONG[case]
    path = write("a.csv", wide([f"{time},{n}" for n, time in enumerate(times)], "time,load"))
    with pytest.raises(DataError, match=message):
        read_series(path, **options)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("much", r"a\.csv:4: column 'load' is 'much', which is no number"),
        ("inf", r"a\.csv:4: column 'load' is 'inf'; a finite number"),
        ("1_000", r"a\.csv:4: column 'load' is '1_000', which is no number"),
    ],
)
def test_a_cell_that_is_no_finite_number_is_refused_with_file_and_row(write, cell, message):
    rows = [f"{time},{cell if n == 2 else n}" for n, time in enumerate(HOURS)]
    with pytest.raises(DataError, match=message):
        read_series(write("a.csv", wide(rows, "time,load")), target=["load"])


def test_the_hour_that_comes_twice_asks_for_the_offset_from_utc(write):
    times = ["2024-10-27 01:00", "2024-10-27 02:00", "2024-10-27 02:00", "2024-10-27 03:00"]
    with pytest.raises(DataError, match=r"a\.csv:4: .* write the offset from UTC behind each time"):
        read_series(write("a.csv", wide([f"{time},1" for time in times], "time,load")))


def test_a_series_of_another_frequency_than_the_others_is_refused_by_its_name(write):
    rows = [f"a,2024-01-{day:02},1" for day in range(1, 9)] + ["b,2024-01-01 00:00,1", "b,2024-01-01 07:00,1"]
    with pytest.raises(DataError, match=r"a\.csv:11: series 'b', this time falls on no step"):
        read_series(write("a.csv", "id,time,load\n" + "\n".join(rows)), series_id="id")


def test_a_row_without_a_series_is_refused(write):
    with pytest.raises(DataError, match=r"a\.csv:3: column 'id' is empty"):
        read_series(write("a.csv", "id,load\na,1\n,2\n"), series_id="id")
