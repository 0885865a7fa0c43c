"""FORECASTS: what they may depend on, to the last bit: the rows before the origin, and nothing else.

Comparisons are of bytes: windows are read in blocks of one size, so nothing rounds differently.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_series import FAST, seasonal, write_series

import elman
from elman.data.example import Example
from elman.data.time_series import TimeSeries
from elman.data.timestamps import Clock
from elman.data.windows import Windows
from elman.errors import DataError
from elman.nn.encoder import LAYERS
from elman.tasks.forecast_inputs import Reader
from elman.tasks.forecast_scores import forecast_windows
from elman.tasks.window_batches import blocks

NAMES = ("a", "b", "c")


def rows_of(count: int = 120, **changed: np.ndarray) -> dict[str, np.ndarray]:
    return {name: seasonal(count, seed) for seed, name in enumerate(NAMES)} | changed


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained forecast of three series, and the file that it was trained on."""
    folder = tmp_path_factory.mktemp("forecast")
    path = write_series(folder / "train.csv", **rows_of())
    return elman.train(train=str(path), test=0.2, out=folder / "run", **FAST)


def series_of(values, name="a", first=None) -> TimeSeries:
    return TimeSeries(name, np.asarray(values, np.float64), Clock("time", 3_600_000_000), first=first)


def points(run, series: list[TimeSeries]) -> tuple[np.ndarray, np.ndarray]:
    """Return point and quantiles of every window of the series."""
    windows = Windows(series, run.task.context, run.task.horizon)
    with torch.inference_mode():
        said = forecast_windows(
            run.model, Reader(run.task.inputs, series, run.chosen), blocks(windows), run.task.horizon
        )
    return said.point, said.quantiles


@given(st.integers(13, 60), st.integers(0, 2**31))
def test_what_comes_after_the_origin_changes_nothing(run, origin, seed):
    random = np.random.default_rng(seed)
    values = seasonal(80, 5)
    changed = np.concatenate([values[:origin], 100 * random.normal(size=80 - origin)])
    one, other = (points(run, [series_of(each, first=12)]) for each in (values, changed))
    before = origin - 12 + 1  # windows whose origin is at or before that row
    assert np.array_equal(one[0][:before], other[0][:before])
    assert np.array_equal(one[1][:before], other[1][:before])
    assert not np.array_equal(one[0][before:], other[0][before:])


@given(st.integers(13, 77), st.floats(2, 1e6))
def test_what_comes_after_the_origin_changes_nothing_in_a_series_that_training_did_not_see(
    run, origin, factor
):
    values = seasonal(80, 5)
    changed = np.concatenate([values[:origin], factor * values[origin:]])
    found = []
    for each in (values, changed):
        series, windows = run.task._scored_windows([Example(series_of(each, "unseen"))])
        assert windows.locate(np.arange(1))[1] == run.task.context
        found.append(points(run, series))
    before = origin - run.task.context + 1  # windows whose origin is at or before that row
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one[:before], other[:before])


@given(st.lists(st.integers(0, 400), min_size=1, max_size=6), st.integers(0, 2**31))
def test_batch_mates_change_nothing(run, places, seed):
    random = np.random.default_rng(seed)
    mine = series_of(seasonal(40, 7))
    alone = points(run, [mine])
    mates = [
        series_of(10 * random.normal(size=16 + place), name=f"mate{n}") for n, place in enumerate(places)
    ]
    for where in (0, len(mates)):
        series = [*mates[:where], mine, *mates[where:]]
        windows = Windows(series, run.task.context, run.task.horizon)
        which, _ = windows.locate(np.arange(len(windows)))
        for one, together in zip(alone, points(run, series), strict=True):
            assert np.array_equal(one, together[which == where])


def test_other_series_change_nothing(run, tmp_path):
    one = run.predict_file(write_series(tmp_path / "one.csv", **rows_of()))
    other = run.predict_file(write_series(tmp_path / "other.csv", **rows_of(b=1000 * seasonal(120, 9))))
    assert (one[0].prediction, one[0].quantiles) == (other[0].prediction, other[0].quantiles)
    assert one[1].prediction != other[1].prediction


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("difference", ["last", "season"])
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=6, max_size=20))
def test_an_untrained_network_says_the_naive_forecast_to_the_last_bit(cell, difference, values):
    rows = [{"x": value} for value in seasonal(40)]
    model = untrained(rows, cell, difference)
    [said] = model.predict([np.array(values)])
    season = values[-6:] if difference == "season" else values[-1:]
    assert said.prediction == [season[step % len(season)] for step in range(3)]


UNTRAINED: dict = {}


def untrained(rows, cell, difference):
    """Return a run whose network was built anew after training, and so has learned nothing."""
    if (cell, difference) not in UNTRAINED:
        run = elman.train(train=rows, cell=cell, difference=difference, **FAST)
        run.model = run.task.build_fresh().eval()
        UNTRAINED[cell, difference] = run
    return UNTRAINED[cell, difference]


@pytest.mark.parametrize("difference", ["last", "season", "none"])
def test_recursive_with_a_horizon_of_one_is_direct_with_a_horizon_of_one(difference, tmp_path):
    path = str(write_series(tmp_path / "a.csv", **rows_of()))
    settings = FAST | {"horizon": 1, "difference": difference, "train": path, "test": 0.2}
    direct, recursive = (elman.train(recursive=mode, **settings) for mode in (False, True))
    for name, weight in direct.model.state_dict().items():
        assert torch.equal(weight, recursive.model.state_dict()[name]), name
    assert direct.result["test"] == recursive.result["test"]
    assert direct.predict_file(path) == recursive.predict_file(path)


@pytest.mark.parametrize("covariates", [{}, {"calendar": True}, {"known_future": "k"}])
def test_a_recursive_forecast_is_one_step_forecasts_fed_back(covariates, tmp_path):
    known = np.random.default_rng(0).normal(size=120)
    path = str(write_series(tmp_path / "a.csv", a=seasonal(120), k=known))
    settings = FAST | {"target": "a", "test": 0.2} | covariates
    run = elman.train(train=path, recursive=True, interval="none", **settings)
    assert np.isfinite(run.result["test"]["mae"])
    history = list(seasonal(30, 3))

    def say():
        values = np.array(history + [np.nan] * 3)
        [said] = run.predict_file(write_series(tmp_path / "history.csv", a=values, k=known[: len(values)]))
        return said.prediction

    whole = say()
    for step in range(3):
        next_one = say()[0]
        assert next_one == whole[step]
        history.append(next_one)


@pytest.mark.parametrize("factor", [2.0**-20, 2.0**10])
def test_another_unit_gives_the_same_forecast_in_that_unit(factor, tmp_path):
    runs = []
    for unit in (1.0, factor):
        path = write_series(tmp_path / f"{unit}.csv", **{name: unit * v for name, v in rows_of().items()})
        runs.append((elman.train(train=str(path), **FAST), path))
    one, other = (run.predict_file(path) for run, path in runs)
    for mine, scaled in zip(one, other, strict=True):
        assert [factor * value for value in mine.prediction] == scaled.prediction


def test_saved_is_loaded(run, tmp_path):
    path = write_series(tmp_path / "history.csv", **rows_of(50))
    loaded = elman.load(run.folder)
    assert loaded.predict_file(path) == run.predict_file(path)
    test = write_series(tmp_path / "test.csv", **rows_of(140))
    assert loaded.evaluate(test).metrics == run.evaluate(test).metrics


def test_resumed_is_uninterrupted_and_the_same_seed_gives_the_same_bytes(tmp_path):
    path = str(write_series(tmp_path / "a.csv", **rows_of()))
    settings = FAST | {"epochs": 3, "train": path, "test": 0.2}
    whole = elman.train(out=tmp_path / "whole", **settings)
    elman.train(out=tmp_path / "again", **settings)
    elman.train(out=tmp_path / "part", max_minutes=1e-6, **settings)
    resumed = elman.train(resume=tmp_path / "part")
    for name in ("model.safetensors", "baseline.safetensors", "metrics.jsonl", "vocab.json"):
        expected = (tmp_path / "whole" / name).read_bytes()
        assert (tmp_path / "again" / name).read_bytes() == expected, name
        assert (tmp_path / "part" / name).read_bytes() == expected, name
    assert resumed.result["test"] == whole.result["test"]


# Windows


@given(
    st.integers(1, 8),
    st.integers(1, 4),
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(6, 30), st.integers(0, 20)), min_size=1, max_size=4),
)
def test_windows_hold_the_rows_of_their_series_and_end_in_their_part(context, horizon, stride, shapes):
    series = [
        series_of(1000 * n + np.arange(length), f"s{n}", first=min(first, length - horizon))
        for n, (length, first) in enumerate(shapes)
    ]
    try:
        windows = Windows(series, context, horizon, stride=stride)
    except DataError:
        assert all(len(one) <= horizon for one in series)
        return
    made = windows.take(np.arange(len(windows)))
    for row, (which, origin) in enumerate(zip(made.series, made.origin, strict=True)):
        values = series[which].values
        assert series[which].first <= origin and origin + horizon <= len(values)
        assert np.array_equal(made.target[row], values[origin : origin + horizon])
        read = values[max(0, origin - context) : origin]
        assert np.array_equal(made.context[row, context - len(read) :], read)
        assert not made.observed[row, : context - len(read)].any()
    for which in np.unique(made.series):  # the latest rows are always forecast
        assert made.origin[made.series == which].max() == len(series[which]) - horizon


@given(st.integers(0, 2**31))
def test_a_missing_value_is_read_as_the_last_one_before_it_with_a_mask(seed):
    values = np.random.default_rng(seed).normal(size=30)
    values[np.random.default_rng(seed + 1).random(30) < 0.3] = np.nan
    made = Windows([series_of(values, first=0)], 5, 1)
    window = made.take(np.arange(len(made)))
    for row, origin in enumerate(window.origin):
        read = values[max(0, origin - 5) : origin]
        assert np.array_equal(window.observed[row, 5 - len(read) :], ~np.isnan(read))
        known = read[~np.isnan(read)]
        if len(known):
            assert window.context[row, -1] == known[-1]
        else:
            assert np.isnan(window.target[row]).all()


def test_a_part_of_a_series_is_not_changed_by_what_is_around_it():
    values = seasonal(40)
    whole = series_of(values, first=20)
    changed = replace(whole, values=np.concatenate([values[:30], values[30:] + 5]))
    one, other = (Windows([each], 6, 2).take(np.arange(8)) for each in (whole, changed))
    assert np.array_equal(one.context, other.context) and np.array_equal(one.target, other.target)


@given(st.integers(5, 11), st.integers(1, 40))
def test_the_covariates_of_a_short_series_are_its_own_alone(length, other_length):
    known = np.arange(float(length))[:, None]
    mine = TimeSeries("a", seasonal(length), Clock("rows"), known=known, first=length - 1)
    count = 20 + other_length
    mate = TimeSeries("b", seasonal(count), Clock("rows"), known=np.full((count, 1), 1e6), first=count - 1)
    alone = Windows([mine], 12, 1).take(np.arange(1))
    after = Windows([mate, mine], 12, 1).take(np.arange(1, 2))
    np.testing.assert_array_equal(after.known, alone.known)
    padded = 12 - (length - 1)
    assert np.isnan(after.known[0, :padded]).all() and np.array_equal(after.known[0, padded:], known)
