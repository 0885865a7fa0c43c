"""Ridge regression and the perceptron, against scikit-learn's; and the features that ridge looks at."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.neural_network import MLPClassifier, MLPRegressor

from elman.baselines import Mean, Perceptron, RidgeSeries, RidgeSteps, Rivals, TokenMeans, from_tensors
from elman.baselines.ridge import PENALTIES, Linear
from elman.baselines.rivals import score_all


def make(seed, rows=40, features=5):
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(rows, features)) * [1, 10, 0.1, 1, 5][:features] + 3
    return data, data[:, :2] @ rng.normal(size=(2, 1)) + rng.normal(size=(rows, 1))


@given(st.integers(0, 2**31), st.integers(3, 60))
def test_the_map_is_scikit_learn_s_ridge_and_so_is_the_penalty(seed, rows):
    data, targets = make(seed, rows)
    fitted = Linear.fit(data, targets)
    scaled = (data - data.mean(0)) / data.std(0)
    theirs = Ridge(alpha=fitted.penalty).fit(scaled, targets)
    np.testing.assert_allclose(fitted.predict(data), theirs.predict(scaled).reshape(-1, 1), atol=1e-6)
    chosen = RidgeCV(alphas=PENALTIES, store_cv_results=True).fit(scaled, targets.ravel())
    errors = dict(zip(PENALTIES, chosen.cv_results_.mean(0), strict=True))
    assert errors[fitted.penalty] <= min(errors.values()) * (1 + 1e-6)


def test_the_error_of_leaving_one_out_is_that_of_fitting_without_it():
    data, targets = make(0, 12)
    errors = {}
    for penalty in PENALTIES:
        found = []
        for row in range(12):
            others = np.arange(12) != row
            scaled = (data - data.mean(0)) / data.std(0)
            theirs = Ridge(alpha=penalty).fit(scaled[others], targets[others])
            found.append((theirs.predict(scaled[[row]]) - targets[row]).item() ** 2)
        errors[penalty] = np.mean(found)
    assert Linear.fit(data, targets).penalty == min(errors, key=errors.get)


def test_constant_features_and_more_features_than_rows_do_no_harm():
    data = np.ones((4, 9))
    data[:, 0] = [1, 2, 3, 4]
    made = Linear.fit(data, data[:, :1]).predict(data)
    assert np.isfinite(made).all() and abs(made - data[:, :1]).max() < 0.1


def test_series_of_one_length_are_seen_whole():
    rng = np.random.default_rng(0)
    series = list(rng.normal(size=(60, 4, 2)).astype(np.float32))
    targets = [np.array([row[1, 0] - row[2, 1]], np.float64) for row in series]  # neither last nor mean
    fitted = RidgeSeries.fit(series, targets)
    assert fitted.length == 4 and "all 4 steps" in fitted.description
    np.testing.assert_allclose(np.stack(fitted.predict(series)), np.stack(targets), atol=0.01)
    assert np.isfinite(
        np.stack(fitted.predict([series[0][:2], series[0][:0], np.tile(series[0], (3, 1))]))
    ).all()
    uneven = RidgeSeries.fit([row[: 2 + place % 3] for place, row in enumerate(series)], targets)
    assert uneven.length is None and "all" not in uneven.description


def test_a_step_is_seen_with_two_neighbours_on_each_side():
    rng = np.random.default_rng(1)
    series = [rng.normal(size=(length, 1)).astype(np.float32) for length in (30, 9, 40, 1, 0)]
    targets = []
    for row in series:
        around = np.pad(row[:, 0].astype(np.float64), 2)
        targets.append((around[: len(row)] + 3 * around[4 : 4 + len(row)])[:, None])
    targets[0][5] = np.nan
    fitted = RidgeSteps.fit(series, targets)
    for row, wanted in zip(fitted.predict(series), targets, strict=True):
        is_known = ~np.isnan(wanted)
        np.testing.assert_allclose(row[is_known], wanted[is_known], atol=0.02)


def test_means_are_those_of_what_is_known():
    rows = [np.array([[1.0], [np.nan]]), np.array([[4.0]])]
    assert (
        Mean.fit([["a", "b"], ["a"]], rows, is_per_step=True).predict([["x", "y"]])[0].tolist() == [[2.5]] * 2
    )
    fitted = TokenMeans.fit([["a", "b"], ["a"]], rows)
    assert fitted.predict([["a", "b", "new"]])[0].tolist() == [[2.5], [2.5], [2.5]]
    assert TokenMeans.fit([["a", "b"]], [np.array([[1.0], [2.0]])]).predict([["b", "a"]])[0].tolist() == [
        [2],
        [1],
    ]


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # theirs may want more passes
def test_a_perceptron_is_as_good_as_scikit_learn_s():
    rng = np.random.default_rng(2)
    data = rng.normal(size=(400, 4)).astype(np.float32)
    numbers = np.abs(data[:, 0]) + data[:, 1] * data[:, 2]
    rows = list(data[:, None])
    ours = Perceptron.fit(rows[:300], list(numbers[:300, None].astype(np.float64)))
    scaled = (numbers - numbers[:300].mean()) / numbers[:300].std()
    theirs = MLPRegressor(random_state=0, max_iter=200).fit(data[:300], scaled[:300])
    wrong = np.mean((np.stack(ours.predict(rows[300:]))[:, 0] - numbers[300:]) ** 2) / numbers[:300].var()
    assert wrong < 1.5 * np.mean((theirs.predict(data[300:]) - scaled[300:]) ** 2) + 0.02
    labels = np.where(data[:, 0] * data[:, 1] > 0, "same", "other").tolist()
    ours = Perceptron.fit(rows[:300], labels[:300])
    theirs = MLPClassifier(random_state=0, max_iter=200).fit(data[:300], labels[:300])
    right = np.mean([said == true for said, true in zip(ours.predict(rows[300:]), labels[300:], strict=True)])
    assert right > theirs.score(data[300:], labels[300:]) - 0.05


def test_a_perceptron_leaves_torch_s_random_state_alone():
    rows, before = [np.ones((1, 2), np.float32), np.zeros((1, 2), np.float32)], torch.get_rng_state()
    Perceptron.fit(rows, ["a", "b"])
    assert torch.equal(torch.get_rng_state(), before)


def test_rivals_answer_with_the_first_and_score_all():
    rows = [np.full((1, 1), value, np.float32) for value in range(8)]
    gold = [np.array([2.0 * value]) for value in range(8)]
    rivals = Rivals([RidgeSeries.fit(rows, gold), Mean.fit(rows, gold)])
    scores = score_all(from_tensors(rivals.to_tensors()), rows, lambda said: {"first": float(said[0][0])})
    assert scores["first"] == pytest.approx(0.0, abs=0.1)
    assert scores["others"] == {"mean": {"description": rivals.members[1].description, "first": 7.0}}
