"""The standardiser against numpy's own mean and deviation."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.series import Standardiser
from elman.errors import DataError


def series(seed, *lengths, columns=3):
    random = np.random.default_rng(seed)
    return [
        (random.normal(size=(length, columns)) * [1, 100, 1e-3] + 7).astype(np.float32) for length in lengths
    ]


def test_mean_and_deviation_are_those_of_all_steps_together():
    arrays = series(0, 5, 0, 17, 1)
    scale = Standardiser.fit(arrays)
    steps = np.concatenate(arrays).astype(np.float64)
    np.testing.assert_allclose(scale.mean, steps.mean(0), rtol=1e-12)
    np.testing.assert_allclose(scale.std, steps.std(0), rtol=1e-12)


def test_standardised_training_data_have_mean_zero_and_deviation_one():
    arrays = series(1, 400, 600)
    scale = Standardiser.fit(arrays)
    made = np.concatenate([scale.apply(array) for array in arrays]).astype(np.float64)
    assert made.dtype == np.float64 and scale.apply(arrays[0]).dtype == np.float32
    np.testing.assert_allclose(made.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(made.std(0), 1, rtol=1e-5)


def test_a_column_that_never_changes_is_only_shifted():
    scale = Standardiser.fit([np.full((7, 1), 0.1, np.float32), np.full((4, 1), 0.1, np.float32)])
    assert scale.std.tolist() == [1.0]
    np.testing.assert_allclose(scale.apply(np.array([[0.1], [2.1]], np.float32)), [[0], [2]], atol=1e-6)


def test_an_empty_series_stays_empty():
    scale = Standardiser.fit(series(2, 3))
    assert scale.apply(np.zeros((0, 3), np.float32)).shape == (0, 3)


@given(st.integers(0, 2**32 - 1))
def test_json_brings_back_the_same_numbers_bit_for_bit(seed):
    scale = Standardiser.fit(series(seed, 4, 9))
    again = Standardiser.from_json(json.loads(json.dumps(scale.to_json())))
    assert again.mean.tobytes() == scale.mean.tobytes() and again.std.tobytes() == scale.std.tobytes()


def test_another_number_of_columns_is_refused_with_its_place():
    scale = Standardiser.fit(series(3, 5))
    with pytest.raises(DataError, match=r"a\.jsonl:7: has 2 numbers a step; the model was trained on 3"):
        scale.apply(np.zeros((4, 2), np.float32), where="a.jsonl:7")


def test_a_value_that_float32_cannot_hold_once_scaled_is_refused():
    scale = Standardiser(np.zeros(1), np.full(1, 1e-30))
    with pytest.raises(DataError, match=r"step 2, column 1 is .*too far from the training data"):
        scale.apply(np.array([[0.0], [1e20]], np.float32))


def test_series_without_a_step_cannot_be_measured():
    with pytest.raises(DataError, match="every series is empty"):
        Standardiser.fit([np.zeros((0, 2), np.float32)])


@pytest.mark.parametrize(
    "damage",
    [
        None,
        {"mean": [0.0]},
        {"mean": [0.0], "std": [1.0], "x": 1},
        {"mean": [], "std": []},
        {"mean": [0.0], "std": [1.0, 1.0]},
        {"mean": [0.0], "std": [0.0]},
        {"mean": [0.0], "std": [-1.0]},
        {"mean": [float("nan")], "std": [1.0]},
        {"mean": [10**400], "std": [1.0]},
        {"mean": [True], "std": [1.0]},
        {"mean": ["0"], "std": [1.0]},
        {"mean": [[0.0]], "std": [[1.0]]},
        {"mean": 0.0, "std": 1.0},
    ],
)
def test_a_damaged_standardiser_is_refused(damage):
    with pytest.raises(DataError, match="standardiser"):
        Standardiser.from_json(damage)
