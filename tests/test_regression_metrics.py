"""Errors of predicted numbers, against scikit-learn's and by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from elman.errors import ConfigError, ShapeError
from elman.losses import DISTANCES, distance
from elman.metrics.regression import regression
from elman.padded import Padded


def make(seed, rows=9, targets=2):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, targets)) * [1, 1000][:targets], rng.normal(size=(rows, targets)) * 5


@given(st.integers(0, 2**31), st.integers(2, 30))
def test_they_are_scikit_learn_s(seed, rows):
    gold, predicted = make(seed, rows)
    scores = regression(gold, predicted, ["a", "b"])
    assert scores["mae"] == pytest.approx(mean_absolute_error(gold, predicted), rel=1e-12)
    assert scores["r2"] == pytest.approx(r2_score(gold, predicted), rel=1e-9)
    each = mean_squared_error(gold, predicted, multioutput="raw_values") ** 0.5
    assert scores["rmse"] == pytest.approx(each.mean(), rel=1e-12)
    assert scores["per_target"]["b"]["rmse"] == pytest.approx(each[1], rel=1e-12)


@given(st.integers(0, 2**31))
def test_missing_targets_count_nothing(seed):
    gold, predicted = make(seed)
    shorter = regression(gold[:6], predicted[:6], ["a", "b"])
    gold[6:] = np.nan
    assert regression(gold, predicted, ["a", "b"]) == shorter


def test_what_cannot_be_measured_is_nan_and_one_target_has_no_table():
    scores = regression(np.full((3, 1), 0.1), np.zeros((3, 1)), ["y"])
    assert np.isnan(scores["r2"]) and scores["mae"] == pytest.approx(0.1) and "per_target" not in scores
    assert np.isnan(regression(np.full((2, 1), np.nan), np.zeros((2, 1)), ["y"])["rmse"])
    with pytest.raises(ShapeError, match="expected"):
        regression(np.zeros((2, 1)), np.zeros((2, 2)), ["y"])


FORMULAS = {
    "mse": lambda d: d**2,
    "mae": abs,
    "huber": lambda d: d**2 / 2 if abs(d) <= 1 else abs(d) - 0.5,
}


@pytest.mark.parametrize("kind", DISTANCES)
@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9), st.booleans()), min_size=1, max_size=12))
def test_a_distance_is_its_formula_over_what_is_known(kind, rows):
    made = torch.tensor([[row[0]] for row in rows], dtype=torch.float64, requires_grad=True)
    wanted = torch.tensor([[row[1] if row[2] else torch.nan] for row in rows], dtype=torch.float64)
    known = [FORMULAS[kind](row[0] - row[1]) for row in rows if row[2]]
    found = distance(made, wanted, kind=kind)
    assert found.item() == pytest.approx(sum(known) / len(known) if known else 0.0, abs=1e-12)
    total = distance(made, wanted, kind=kind, reduction="sum")
    assert total.item() == pytest.approx(sum(known), abs=1e-9)
    gradient = torch.autograd.grad(found, made)[0].squeeze(1)
    for row, number in zip(rows, gradient.tolist(), strict=True):
        assert np.isfinite(number) and (row[2] or number == 0)


@pytest.mark.parametrize("kind", DISTANCES)
def test_of_padded_numbers_only_known_real_steps_count(kind):
    made = Padded(torch.randn(2, 3, 1, dtype=torch.float64), torch.tensor([3, 1]))
    wanted = Padded(torch.randn(2, 3, 1, dtype=torch.float64), made.lengths)
    wanted.data[0, 1] = torch.nan
    wanted.data[1, 1:] = torch.inf
    flat = [(made.data[row, step, 0], wanted.data[row, step, 0]) for row, step in [(0, 0), (0, 2), (1, 0)]]
    expected = sum(FORMULAS[kind](float(a - b)) for a, b in flat) / 3
    assert distance(made, wanted, kind=kind).item() == pytest.approx(expected, rel=1e-12)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="'mse'"):
        distance(torch.zeros(1, 1), torch.zeros(1, 1), kind="msee")
    with pytest.raises(ShapeError, match="as many"):
        distance(torch.zeros(2, 2), torch.zeros(2, 1))
