"""Forecasts from a file: what is chosen, scored and said; leaks, lags and whatever is wrong with the data."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_series import FAST, random_walk, seasonal, write_series

import elman
from elman.baselines import from_tensors
from elman.baselines.forecasting import Block, SimpleForecasts
from elman.cli import main
from elman.data.time_series import TimeSeries
from elman.data.time_split import hold_out
from elman.data.timestamps import Clock
from elman.data.windows import Windows
from elman.errors import ConfigError, DataError
from elman.nn.encoder import Encoder
from elman.patterns.forecast import Forecaster
from elman.tasks.forecast_inputs import Scale
from elman.tasks.forecast_scores import Said, calibrate
from elman.tasks.lag_alarm import lag_alarm
from elman.tasks.leakage import check_covariates, check_scales, check_windows

HOUR = 3_600_000_000


def train(path, **settings):
    return elman.train(**(FAST | {"train": str(path)} | settings))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forecast")
    path = write_series(folder / "train.csv", load=seasonal(300), heat=5 * seasonal(300, 1))
    return train(path, test=0.2, epochs=20, learning_rate=0.01, out=folder / "run")


# What is chosen and scored


def all_rivals(found):
    best = found["baseline"]
    return {best["name"]: best} | best["others"]


def test_lengths_and_seasons_follow_from_the_frequency(tmp_path):
    path = write_series(tmp_path / "a.csv", load=seasonal(900, season=24))
    run = elman.train(task="forecast", train=str(path), epochs=1, hidden_size=4, threads=1)
    chosen = run.chosen
    assert (chosen.season, chosen.horizon, chosen.patch, chosen.difference) == (24, 24, 24, "season")
    assert chosen.context % 24 == 0 and chosen.target == "load" and chosen.time == "time"


@pytest.mark.parametrize("season", [5, 40])
def test_a_season_that_is_named_leaves_the_horizon_to_the_frequency(tmp_path, season):
    path = write_series(tmp_path / "a.csv", load=seasonal(300))
    run = train(path, season=season, horizon=None, context=40, patch=1)
    assert (run.chosen.season, run.chosen.horizon) == (season, 24)
    [said] = run.predict_file(path)
    assert len(said.prediction) == 24


def test_every_score_stands_beside_those_of_simple_forecasts(run):
    for part in ("valid", "test"):
        found = run.result[part]
        names = {"mae", "mse", "rmse", "smape", "mase", "owa", "scaled_mse", "scaled_mae"}
        assert names | {"pinball", "coverage_80"} <= set(found)
        rivals = all_rivals(found)
        assert set(rivals) == {"last value", "seasonal naive", "drift", "linear"}
        assert all(names <= set(scores) for scores in rivals.values())
        best = min(rivals, key=lambda name: rivals[name]["scaled_mse"])
        assert found["baseline"]["name"] == best
        assert found["baseline"]["mae"] == rivals[best]["mae"]


def test_a_season_is_learned_better_than_it_is_repeated(run):
    found = run.result["test"]
    assert found["scaled_mse"] < 0.8 * all_rivals(found)["seasonal naive"]["scaled_mse"]
    assert 0.7 < found["coverage_80"] < 0.9
    assert "alarms" not in found


def test_the_naive_scores_are_those_of_their_formula(run, tmp_path):
    values = seasonal(80, 3)
    path = write_series(tmp_path / "a.csv", 300, load=values, heat=values)
    found = all_rivals(run.evaluate(path).metrics)["last value"]
    origins = range(12, 78)
    errors = np.array([values[o : o + 3] - values[o - 1] for o in origins])
    assert found["mae"] == pytest.approx(np.abs(errors).mean())
    assert found["mse"] == pytest.approx(np.square(errors).mean())


def test_rows_of_a_test_file_that_training_has_seen_are_context_only(tmp_path):
    values = seasonal(150)
    path = write_series(tmp_path / "train.csv", load=values[:120])
    whole = write_series(tmp_path / "whole.csv", load=values)
    new = write_series(tmp_path / "new.csv", 120, load=values[120:])
    runs = [train(path, test=str(test)) for test in (whole, new)]
    assert runs[0].result["test"] == runs[1].result["test"]
    assert runs[0].result["test"]["windows"] == 150 - 120 - 3 + 1
    with pytest.raises(DataError, match=r"no row after the last time of the data before it"):
        train(path, test=str(path))
    with pytest.raises(DataError, match=r"rows after the training data's last time .*context only"):
        runs[0].evaluate(str(write_series(tmp_path / "old.csv", load=values[:100])))


def test_long_and_wide_tables_give_the_same_forecasts(tmp_path):
    columns = {name: seasonal(100, seed) for seed, name in enumerate("ab")}
    wide = train(write_series(tmp_path / "wide.csv", **columns), test=0.2)
    rows = [{"id": name, "n": n, "x": v} for name, values in columns.items() for n, v in enumerate(values)]
    long = elman.train(**FAST, train=rows, test=0.2, series_id="id", time="n", target="x")
    assert wide.result["test"] == long.result["test"]


@pytest.mark.parametrize(
    "settings",
    [
        {"interval": "gaussian"},
        {"interval": "none"},
        {"point": "mae", "quantiles": "0.05,0.5,0.95"},
        {"recursive": True},
        {"calendar": True, "patch": 4},
        {"cell": "lstm", "num_layers": 2, "dropout": 0.1},
        {"cell": "rnn", "difference": "none", "bptt_window": 1},
    ],
)
def test_every_way_of_forecasting_trains_scores_and_says(tmp_path, settings):
    path = write_series(tmp_path / "a.csv", load=seasonal(120))
    run = train(path, test=0.2, **settings)
    [said] = run.predict_file(path)
    assert np.isfinite(said.prediction).all() and len(said.prediction) == 3
    assert np.isfinite(run.result["test"]["scaled_mse"])
    if settings.get("interval") == "none":
        assert said.quantiles is None and "pinball" not in run.result["test"]
    else:
        bounds = np.array(list(said.quantiles.values()))
        assert (np.diff(bounds, axis=0) >= 0).all()


def test_a_covariate_known_ahead_is_used_and_asked_for(tmp_path):
    holiday = (np.random.default_rng(0).random(200) < 0.5).astype(float)
    load = seasonal(200) + 4 * holiday
    path = write_series(tmp_path / "a.csv", load=load, holiday=holiday)
    settings = {"test": 0.2, "target": "load", "epochs": 30, "learning_rate": 0.02}
    blind = train(write_series(tmp_path / "b.csv", load=load), **settings)
    told = train(path, known_future="holiday", **settings)
    assert told.result["test"]["scaled_mse"] < 0.6 * blind.result["test"]["scaled_mse"]
    with pytest.raises(DataError, match="known ahead is missing in the 3 rows to be forecast"):
        told.predict_file(path)
    ahead = np.concatenate([load[:-3], [np.nan] * 3])
    [said] = told.predict_file(write_series(tmp_path / "c.csv", load=ahead, holiday=holiday))
    assert said.timestamps[0] == "2024-01-09 05:00:00"


def test_a_back_test_trains_on_all_rows_before_each_block(tmp_path, capsys):
    values = seasonal(200)
    path = write_series(tmp_path / "a.csv", load=values)
    run = train(path, test=0.3, backtest=3, out=tmp_path / "run")
    blocks = run.result["backtest"]
    assert [block["until"] for block in blocks] == [
        f"2024-01-{day} {hour:02}:00:00" for day, hour in (("07", 15), ("08", 11), ("09", 7))
    ]
    first = train(write_series(tmp_path / "b.csv", load=values[:160]), test=20 / 160)
    assert blocks[0]["scaled_mse"] == first.result["test"]["scaled_mse"]
    assert json.loads((tmp_path / "run" / "result.json").read_text())["backtest"] == blocks
    with pytest.raises(ConfigError, match="backtest cuts the end of the training file"):
        train(path, test=str(path), backtest=2)


# What is said


def test_predict_gives_what_comes_after_the_file(run, tmp_path, capsys):
    history = write_series(tmp_path / "history.csv", load=seasonal(30), heat=seasonal(30, 4))
    out = tmp_path / "f.csv"
    assert main(["predict", str(run.folder), "--data", str(history), "--output", str(out)]) == 0
    with open(out, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["series", "timestamp", "forecast", "q0.1", "q0.5", "q0.9"]
    assert [row["timestamp"] for row in rows[:3]] == [f"2024-01-02 0{hour}:00:00" for hour in (6, 7, 8)]
    assert [row["series"] for row in rows] == ["load"] * 3 + ["heat"] * 3
    said = run.predict_file(history)
    assert [float(row["forecast"]) for row in rows[:3]] == said[0].prediction
    lines = tmp_path / "f.jsonl"
    assert main(["predict", str(run.folder), "--data", str(history), "--output", str(lines)]) == 0
    first = json.loads(lines.read_text().splitlines()[0])
    assert set(first) == {"input", "prediction", "timestamps", "quantiles"} and first["input"] == "load"
    capsys.readouterr()
    assert main(["predict", str(run.folder), "--data", str(history)]) == 0
    assert "2024-01-02 08:00:00" in capsys.readouterr().out


def test_the_report_shows_the_forecast_and_every_simple_one(run):
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert 'data-chart="forecast"' in page and "seasonal naive" in page and "quantile 0.9" in page


def test_values_that_end_early_are_forecast_from_where_they_end(run, tmp_path):
    values = seasonal(30)
    cut = write_series(tmp_path / "cut.csv", load=values[:25], heat=values[:25])
    gap = np.concatenate([values[:25], [np.nan] * 5])
    open_end = write_series(tmp_path / "open.csv", load=gap, heat=gap)
    assert run.predict_file(cut) == run.predict_file(open_end)


# Intervals


def test_calibration_puts_each_quantile_where_its_share_of_truths_lies_below_it():
    random = np.random.default_rng(0)
    truth = random.normal(size=(400, 2)) * [1.0, 5.0]
    model = Forecaster(Encoder(8, 4, cell="gru"), context=4, horizon=2, patch=4, levels=(0.1, 0.5, 0.9))
    nothing = np.zeros((400, 2, 3))
    rows = np.zeros(400, np.int64)
    said = Said(truth * 0, nothing, truth, rows * 1.0, np.ones(400), rows, rows)
    calibrate(model, said)
    below = (truth[:, :, None] < said.widened(model).quantiles).mean(0)
    np.testing.assert_allclose(below, np.tile([0.1, 0.5, 0.9], (2, 1)), atol=0.01)
    fresh = random.normal(size=(4000, 2)) * [1.0, 5.0]
    inside = (fresh > said.widened(model).quantiles[0, :, 0]) & (
        fresh < said.widened(model).quantiles[0, :, 2]
    )
    assert 0.76 < inside.mean() < 0.84


# Lags and leaks


@pytest.mark.parametrize("seed", range(20))
def test_the_lag_alarm_fires_on_a_random_walk_and_is_silent_on_a_season(seed):
    walk = [{"x": value} for value in random_walk(300, seed)]
    season = [{"x": value} for value in seasonal(300, seed)]
    settings = FAST | {"horizon": 1, "test": 0.3, "epochs": 3}
    fired, silent = (elman.train(train=rows, seed=seed, **settings).result["test"] for rows in (walk, season))
    assert "repeats the last value" in fired["alarms"][0]
    assert "alarms" not in silent


def test_the_lag_alarm_is_silent_where_a_forecast_is_better_than_the_last_value():
    truth = random_walk(200)
    assert lag_alarm(truth[1:, None], truth[:-1, None], truth[:-1]) is not None
    assert lag_alarm(truth[1:, None], truth[1:, None], truth[:-1]) is None


def parts() -> tuple[TimeSeries, TimeSeries]:
    whole = TimeSeries("a", seasonal(60) + np.arange(60), Clock("time", HOUR), where="a.csv:2")
    held = hold_out([whole], valid=0.2, test=None, horizon=3)
    return held.train[0], held.valid[0]


def test_a_scale_measured_on_all_rows_is_found():
    train_part, valid_part = parts()
    check_scales({"a": Scale.fit(train_part)}, [train_part])
    leaking = replace(Scale.fit(valid_part), end=Scale.fit(train_part).end)
    with pytest.raises(DataError, match=r"leak: the scale of series 'a' was not measured on its 48 training"):
        check_scales({"a": leaking}, [train_part])


def test_a_window_over_the_split_is_found():
    train_part, valid_part = parts()
    scales = {"a": Scale.fit(train_part)}
    check_windows(Windows([train_part], 6, 3), [train_part], scales)
    leaking = valid_part.part(0, 49)
    with pytest.raises(
        DataError, match=r"leak: a training window of series 'a' reaches to 2?.*over the split"
    ):
        check_windows(Windows([leaking], 6, 3), [leaking], scales)


def test_a_covariate_that_is_the_target_is_found(tmp_path):
    load = seasonal(100)
    other = np.random.default_rng(0).normal(size=100)
    path = write_series(tmp_path / "a.csv", load=load, other=other, copy=3 * load - 7)
    train(path, target="load", known_future="other")
    with pytest.raises(DataError, match=r"leak: the column 'copy', said to be known ahead, is the target"):
        train(path, target="load", known_future="other,copy")
    short = TimeSeries("a", load[:4], Clock("rows"), known=load[:4, None])
    check_covariates([short], ["copy"])  # four rows say nothing


# Simple forecasts


def test_ridge_regression_finds_the_rule_of_a_series():
    values = [1.0, 2.0]
    for _ in range(200):
        values.append(1.5 * values[-1] - 0.7 * values[-2] + 0.3 * np.sin(len(values)))
    series = np.array(values)
    context = np.lib.stride_tricks.sliding_window_view(series, 8)[:-1]
    target = series[8:, None]
    zeros = np.zeros(len(context), np.int64)
    late = np.arange(len(context)) > 150
    block = Block(context, zeros * 1.0, zeros + 1.0, zeros, target, late)
    fitted = SimpleForecasts.fit([block], num_series=1, context=8, horizon=1, season=1)
    np.testing.assert_allclose(fitted.forecasts(block)["linear"], target, atol=0.01)
    again = from_tensors(fitted.to_tensors())
    assert np.array_equal(again.forecasts(block)["linear"], fitted.forecasts(block)["linear"])
    assert again.description == fitted.description


# What is wrong


def test_a_series_that_never_changes_is_forecast_as_it_is_and_told(tmp_path, capsys):
    path = write_series(tmp_path / "a.csv", flat=np.full(100, 0.1), load=seasonal(100))
    run = train(path)
    assert "constant: 1 series never change in the training part, such as 'flat'" in capsys.readouterr().err
    assert all(np.isfinite(run.predict_file(path)[0].prediction))


def test_missing_values_are_read_over_and_not_scored(tmp_path):
    values = seasonal(200)
    values[np.random.default_rng(0).random(200) < 0.2] = np.nan
    run = train(write_series(tmp_path / "a.csv", load=values), test=0.2)
    assert np.isfinite(run.result["test"]["mae"]) and np.isfinite(run.result["test"]["owa"])


WRONG = {
    "horizon longer than the series": (seasonal(20), {"horizon": 30}, DataError, "longest series .* 20 rows"),
    "one row": (seasonal(1), {}, DataError, "longest series .* has 1 rows; .* Lower --horizon|horizon"),
    "nothing in the training part": (
        np.concatenate([np.full(95, np.nan), seasonal(5)]),
        {"target": "load"},
        DataError,
        "series 'load' has no value in its training part",
    ),
    "context that is no multiple": (seasonal(90), {"context": 10, "patch": 4}, ConfigError, "no multiple of"),
    "no quantiles": (seasonal(90), {"quantiles": "0.9,0.1"}, ConfigError, "rising numbers between 0 and 1"),
    "numbers without a variance": (1e200 * seasonal(90), {}, DataError, "too large to be squared"),
    "text": (seasonal(90), {"kind": "text"}, ConfigError, "kind = text is not for forecast"),
    "two directions": (seasonal(90), {"bidirectional": True}, ConfigError, "is not for forecast"),
    "an input": (seasonal(90), {"input": "load"}, ConfigError, "input is not for forecast"),
    "a share of two": (seasonal(90), {"valid": 1.5}, ConfigError, "valid = 1.5 cannot be held out"),
    "text settings": (
        seasonal(90),
        {"tokens": "words"},
        ConfigError,
        "tokens is for the tasks",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_forecast_is_refused_in_one_message(tmp_path, case):
    values, settings, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        train(write_series(tmp_path / "a.csv", load=values), **settings)


def test_short_series_among_long_ones_are_left_out_and_told(tmp_path, capsys):
    rows = [{"id": "long", "x": v} for v in seasonal(100)] + [{"id": "short", "x": v} for v in seasonal(5)]
    run = elman.train(**FAST, train=rows, series_id="id")
    assert "too short: 1 of 2 series are left out, such as 'short'" in capsys.readouterr().err
    assert list(run.task.inputs.scales) == ["long"]


def test_a_history_in_other_steps_is_refused(run):
    days = [{"time": f"2024-02-{day:02}", "load": day, "heat": day} for day in range(1, 20)]
    with pytest.raises(DataError, match="step of one day here, but one hour in the data that the model"):
        run.evaluate(days)


def test_the_network_refuses_two_directions_and_uneven_patches():
    with pytest.raises(ConfigError, match="forwards"):
        Forecaster(Encoder(8, 4, cell="gru", bidirectional=True), context=4, horizon=1, patch=4)
    with pytest.raises(ConfigError, match="no multiple of patch"):
        Forecaster(Encoder(8, 4, cell="gru"), context=5, horizon=1, patch=4)


def test_a_loss_over_missing_targets_alone_is_zero_with_zero_gradients():
    model = Forecaster(Encoder(8, 4, cell="gru"), context=4, horizon=2, patch=4)
    scores = torch.randn(3, 2, 4, requires_grad=True)
    loss = model.loss_of(scores, torch.full((3, 2), torch.nan))
    loss.backward()
    assert loss.item() == 0 and scores.grad.abs().sum() == 0


def test_nothing_is_chosen_by_a_share_that_may_be_too_large():
    rows = [{"load": float(row % 5)} for row in range(60)]
    with pytest.raises(ConfigError, match=r"coverage_80' is best at 0\.8: more of it is not better"):
        elman.train(task="forecast", train=rows, horizon=3, metric="coverage_80")
