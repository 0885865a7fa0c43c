"""The parts of a forecasting set: which rows are scored, what is known there, and what is shown of them."""

import json

import numpy as np
import pytest
from tiny_series import FAST, seasonal, write_series

import elman
from elman.cli import main
from elman.errors import DataError
from elman.metrics import forecast as forecast_metrics
from elman.metrics.forecast import Scored


def train(path, **settings):
    return elman.train(**(FAST | {"train": str(path)} | settings))


def with_temp(path, count=90, ahead=0, seed=0, **more):
    """Write a load that follows a temperature; the last `ahead` rows know the temperature alone."""
    temp = np.random.default_rng(seed).normal(size=count)
    load = seasonal(count, seed) + temp
    load[count - ahead :] = np.nan
    return write_series(path, load=load, temp=temp, **more)


# Rows without a truth


def test_rows_after_the_last_value_are_no_held_out_part(tmp_path):
    settings = {"horizon": 6, "target": "load", "known_future": "temp", "valid": 0.1, "test": 0.2}
    cut = train(write_series(tmp_path / "cut.csv", **columns_of(tmp_path, 84)), **settings)
    ahead = train(with_temp(tmp_path / "ahead.csv", 90, 6), **settings)
    assert ahead.result["valid"] == cut.result["valid"] and ahead.result["test"] == cut.result["test"]
    assert ahead.result["valid"]["mae"] > 0


def columns_of(folder, count):
    """Return the first rows of `with_temp`'s columns."""
    temp = np.random.default_rng(0).normal(size=90)
    return {"load": (seasonal(90, 0) + temp)[:count], "temp": temp[:count]}


def test_scores_where_nothing_is_known_are_no_numbers():
    nothing = np.full((2, 3), np.nan)
    found = forecast_metrics.scores(Scored(nothing, np.zeros((2, 3)), np.ones(2), np.ones(2)))
    assert found and all(np.isnan(value) for value in found.values())


def test_a_part_without_any_truth_is_refused_before_training(tmp_path):
    path = with_temp(tmp_path / "a.csv")
    empty = write_series(tmp_path / "e.csv", 90, load=np.full(6, np.nan), temp=np.ones(6))
    with pytest.raises(DataError, match=r"e\.csv: no series has a value in the rows that the test part"):
        train(path, target="load", test=str(empty))
    run = train(path, target="load")
    with pytest.raises(DataError, match="no series has a value in the rows to be scored"):
        run.evaluate(str(empty))


# Rows that training has seen


def test_rows_of_the_validation_part_are_not_scored_by_evaluate(tmp_path):
    values = seasonal(150)
    path = write_series(tmp_path / "all.csv", load=values)
    run = train(path, valid=0.2, test=0.2, out=tmp_path / "run")
    for each in (run, elman.load(tmp_path / "run")):
        found = each.evaluate(str(path)).metrics
        assert found["mae"] == run.result["test"]["mae"] and found["windows"] == 30 - 3 + 1
    valid_file = train(
        write_series(tmp_path / "early.csv", load=values[:90]),
        valid=str(write_series(tmp_path / "late.csv", 90, load=values[90:120])),
    )
    assert valid_file.evaluate(str(path)).metrics["windows"] == 30 - 3 + 1
    with pytest.raises(DataError, match=r"has 0 rows after .* last time .2024-01-05 23:00:00"):
        valid_file.evaluate(str(write_series(tmp_path / "seen.csv", load=values[:120])))


def test_series_with_fewer_new_rows_than_the_horizon_are_left_out_and_told(tmp_path, capsys, caplog):
    columns = {name: seasonal(120, seed) for seed, name in enumerate("ab")}
    new = {"a": seasonal(12, 5), "b": np.concatenate([seasonal(2, 6), np.full(10, np.nan)])}
    path, more = write_series(tmp_path / "a.csv", **columns), write_series(tmp_path / "n.csv", 120, **new)
    run = train(path, test=str(more))
    assert "test: not scored: 1 of 2 series have fewer than 3 new rows" in capsys.readouterr().err
    assert run.result["test"]["windows"] == 12 - 3 + 1
    assert run.evaluate(str(more)).metrics["windows"] > 0
    assert "not scored: 1 of 2 series have fewer than 3 new rows" in caplog.text
    few = str(write_series(tmp_path / "f.csv", 120, **{name: values[:2] for name, values in new.items()}))
    with pytest.raises(DataError, match=r"f\.csv: no series has 3 rows \(the horizon\) after"):
        train(path, test=few)
    with pytest.raises(DataError, match="has 2 rows after the training data's last time"):
        run.evaluate(few)


@pytest.mark.parametrize("with_offset", ["train", "more"])
def test_times_with_and_without_an_offset_are_not_mixed(tmp_path, with_offset):
    rows = {"train": [], "more": []}
    for hour, value in enumerate(seasonal(120)):
        part = "train" if hour < 96 else "more"
        offset = "+01:00" if part == with_offset else ""
        rows[part].append({"time": f"2024-01-{1 + hour // 24:02}T{hour % 24:02}:00{offset}", "x": value})
    how = "without" if with_offset == "train" else "with"
    message = f"series 'x' has times {how} an offset from UTC here, but .* write both in one form"
    with pytest.raises(DataError, match=message):
        elman.train(**FAST, train=rows["train"], test=rows["more"])
    with pytest.raises(DataError, match=message):
        elman.train(**FAST, train=rows["train"]).evaluate(rows["more"])


def test_a_file_of_one_row_has_the_steps_of_the_data_before_it(tmp_path):
    values = seasonal(121)
    path = write_series(tmp_path / "a.csv", load=values[:120])
    last = write_series(tmp_path / "last.csv", 120, load=values[120:])
    run = train(path, horizon=1, test=str(last))
    assert run.result["test"]["windows"] == 1
    [said] = run.predict_file(last)
    assert said.timestamps == ["2024-01-06 01:00:00"]


# What is shown when a training is over


def test_a_training_with_covariates_ends_in_samples_whose_covariates_are_known(tmp_path, capsys):
    path, out = str(with_temp(tmp_path / "a.csv", 120)), str(tmp_path / "run")
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in FAST.items()]
    flags += ["--target=load", "--known-future=temp", "--test=0.3"]
    assert main(["train", "--train", path, "--out", out, "--backtest=2", *flags]) == 0
    assert "from the test part" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "run" / "result.json").read_text())["backtest"]) == 2
    part = str(tmp_path / "part")
    assert main(["train", "--train", path, "--out", part, "--max-minutes=0.000001", *flags]) == 0
    assert main(["train", "--resume", part]) == 0
    assert (tmp_path / "part" / "model.safetensors").read_bytes() == (
        tmp_path / "run" / "model.safetensors"
    ).read_bytes()


def test_the_samples_are_asked_a_horizon_before_the_end(tmp_path):
    values = seasonal(100)
    values[96] = np.nan
    run = train(write_series(tmp_path / "a.csv", load=values), test=0.2)
    [asked] = run.task.ask(run.held_out)
    assert len(asked.input) == 96 and asked.input.values[-1] == values[95]
    np.testing.assert_array_equal(asked.target, values[96:99])
