"""Numbers given to a model by hand: their shape, and what is said where it does not fit."""

import csv
import json
import random
import re
import shlex

import numpy as np
import pytest
import torch
from tiny_series import FAST as SERIES
from tiny_series import seasonal

import elman
from elman import terminal
from elman.cli import main
from elman.data.series import Standardiser
from elman.errors import DataError
from elman.tasks import task

FAST = {"task": "classify", "hidden_size": 8, "threads": 1, "epochs": 4, "learning_rate": 0.02}


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    """Return a model of rows with three numbers."""
    path, draw = tmp_path_factory.mktemp("vectors") / "rows.csv", random.Random(0)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "c", "label"])
        for _ in range(80):
            sign = draw.choice([-1, 1])
            writer.writerow([sign + draw.gauss(0, 0.1), draw.random(), 5, "up" if sign > 0 else "down"])
    return elman.train(train=path, input="a,b,c", target="label", **FAST)


@pytest.fixture(scope="module")
def curves():
    """Return a model of series with one number a step."""
    rows = [
        (np.linspace(0, sign, 5 + n % 4), "up" if sign > 0 else "down") for n in range(40) for sign in (1, -1)
    ]
    return elman.train(train=rows, **FAST)


@pytest.mark.parametrize(
    "make", [list, tuple, np.array, torch.tensor, lambda row: [row], lambda row: np.array([row])]
)
def test_a_vector_is_a_single_step(vectors, make):
    said = vectors.predict([make([1.0, 0.5, 5.0]), make([-1.0, 0.5, 5.0])])
    assert [row.prediction for row in said] == ["up", "down"]


def test_a_table_of_numbers_is_a_vector_a_row(vectors):
    said = vectors.predict(np.array([[1.0, 0.5, 5.0], [-1.0, 0.5, 5.0]]))
    assert [row.prediction for row in said] == ["up", "down"]


def test_a_list_of_numbers_is_a_series_where_a_step_has_one(curves):
    assert [row.prediction for row in curves.predict([[0.0, 0.5, 1.0], [0, -0.5, -1]])] == ["up", "down"]


def test_nothing_is_a_series_without_steps(vectors, curves):
    assert len(vectors.predict([[], np.zeros((0, 3))])) == len(curves.predict([[], np.zeros(0)])) == 2


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            [1.0, 2.0],
            r"row 1: is a list of 2 numbers; steps of 3 numbers each were expected, an array \[T, 3\]",
        ),
        ([[1.0], [2.0], [3.0]], r"row 1: has 1 numbers a step; the model was trained on 3"),
        ([[1.0, 2.0, 3.0], [1.0, float("nan"), 3.0]], r"row 1: step 2, column 2 is nan; a finite number"),
        (np.array([[1.0, np.inf, 3.0]]), r"row 1: step 1, column 2 is inf; a finite number"),
        ([1.0, None, 3.0], r"row 1: .*number 2.*None"),
        ({"a": 1}, r"row 1: .*a value of type dict|row 1: is an array of object"),
        (np.zeros((2, 2, 3)), r"row 1: .*3 dimensions"),
        ("1 2 3", r"row 1: the input is text"),
    ],
)
def test_what_does_not_fit_is_told_what_was_expected(vectors, raw, message):
    with pytest.raises(DataError, match=message):
        vectors.predict([raw])


def test_a_scale_says_whether_a_value_is_no_number_or_too_far():
    scale = Standardiser(np.array([0.0]), np.array([1e-30]))
    with pytest.raises(DataError, match="step 2, column 1 is nan; a finite number"):
        scale.apply(np.array([[0.0], [np.nan]]))
    with pytest.raises(DataError, match="too far"):
        scale.apply(np.array([[1e30]]))


# How many at once


def test_batches_are_bounded_in_rows_and_in_steps():
    draw = random.Random(0)
    lengths = [draw.choice([0, 3, 50, 700, 9_000, 40_000]) for _ in range(600)]
    order = task.inference_order(lengths)
    assert sorted(row for rows in order for row in rows) == list(range(600))
    for rows in order:
        longest = max(lengths[row] for row in rows)
        assert len(rows) <= task.INFERENCE_BATCH
        assert len(rows) * longest <= task.INFERENCE_STEPS or len(rows) == 1
    assert task.inference_order([]) == []


def test_a_row_says_the_same_in_batches_of_any_size(curves, monkeypatch):
    rows = [np.sin(np.arange(2 + 7 * (n % 50)) / (n + 1)) for n in range(150)]
    whole = [each.probabilities["up"] for each in curves.predict(rows)]
    monkeypatch.setattr(task, "INFERENCE_STEPS", 400)
    assert max(map(len, task.inference_order([len(row) for row in rows]))) < 150
    assert [each.probabilities["up"] for each in curves.predict(rows)] == pytest.approx(whole, abs=1e-6)
    assert [curves.predict([row])[0].probabilities["up"] for row in rows] == pytest.approx(whole, abs=1e-6)


# Histories


@pytest.fixture(scope="module")
def forecast(tmp_path_factory):
    """Return the folder of a model of one series."""
    out = tmp_path_factory.mktemp("forecast") / "run"
    elman.train(train=[{"x": value} for value in seasonal(90)], out=out, **SERIES)
    return out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[1,"a"]', "number 2: .* is 'a', which is no number"),
        (f"[{10**400},1]", "number 1: .* which is no number"),
        ("[true,true]", "number 1: .* is True, which is no number"),
        ("[1,[2]]", "number 2: .* which is no number"),
        ("[1,1e999]", "number 2: .* is inf; a finite number"),
        ("[[1,2],[3,4]]", "row 1: .*was expected"),
        ("[]", "row 1: .*was expected"),
        ("5", "text 1: '5' is no JSON array"),
    ],
)
def test_a_history_that_is_no_list_of_numbers_is_refused_in_one_line(forecast, text, message, capsys):
    assert main(["predict", str(forecast), text]) == 1
    error = capsys.readouterr().err
    assert re.search(message, error) and "Traceback" not in error


def test_null_is_a_missing_value_of_a_history(forecast, capsys):
    assert main(["predict", str(forecast), "--json", "[null,1,2,3]"]) == 0
    said = json.loads(capsys.readouterr().out)["predictions"][0]["prediction"]
    [same] = elman.load(forecast).predict([np.array([np.nan, 1, 2, 3])])
    assert said == same.prediction and np.isfinite(said).all()


def test_a_history_of_several_columns_is_refused(forecast):
    run = elman.load(forecast)
    for several in (np.ones((5, 2)), [{"a": 1, "b": 2}, {"a": 2, "b": 3}]):
        with pytest.raises(DataError, match="row 1: has 2 columns; a history is one series of numbers"):
            run.predict([several])
    with pytest.raises(DataError, match="row 1: has 3 dimensions"):
        run.predict([np.ones((5, 2, 2))])


# What is suggested


@pytest.mark.parametrize("num_columns", [1, 2, 3])
def test_the_suggested_command_predicts(tmp_path, num_columns):
    random = np.random.default_rng(0)
    rows = [(random.normal(size=(9, num_columns)), float(n)) for n in range(30)]
    run = elman.train(task="regress", train=rows, epochs=1, hidden_size=4, threads=1, out=tmp_path / "run")
    _, _, command = terminal.outcome(run).partition("use it   elman ")
    assert main(shlex.split(command.splitlines()[0])) == 0


def test_a_model_of_histories_says_what_one_looks_like(forecast, capsys):
    assert main(["predict", str(forecast), "rising"]) == 1
    assert "[1.2, 1.4, ...]" in capsys.readouterr().err
    assert main(["predict", str(forecast), "[1.2, 1.4, 1.3]"]) == 0
