"""Forecast metrics, held to the figures that the M4 competition published and to formulas."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.metrics import forecast as metrics
from elman.metrics.forecast import Scored

M4 = Path(os.environ.get("ELMAN_SETS", "no sets")) / "m4_hourly"


def m4_rows(part: str) -> dict[str, np.ndarray]:
    with open(M4 / f"Hourly-{part}.csv", encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        return {name: np.array([float(value) for value in values if value]) for name, *values in rows}


@pytest.mark.skipif(
    not M4.is_dir(), reason="M4's hourly series are not here; ELMAN_SETS names the folder of published sets"
)
def test_on_m4_hourly_naive2_and_the_seasonal_naive_method_give_the_published_figures():
    history, future = m4_rows("train"), m4_rows("test")
    truth = np.stack([future[name] for name in history])
    scale = np.array([metrics.seasonal_error(values, 24) for values in history.values()])
    indices = np.stack([metrics.seasonal_indices(values, 24) for values in history.values()])
    last = np.array([values[-1] for values in history.values()])
    origin = np.array([len(values) for values in history.values()])
    naive2 = metrics.naive2(last, origin, indices, 48)
    seasonal = np.stack([np.tile(values[-24:], 2) for values in history.values()])
    found = {
        name: metrics.scores(Scored(truth, forecast, scale, np.ones(414), naive2))
        for name, forecast in (("naive2", naive2), ("seasonal", seasonal))
    }
    published = {"naive2": (18.383, 2.395, 1.0), "seasonal": (13.912, 1.193, 0.6275)}
    for name, (smape, mase, owa) in published.items():
        assert found[name]["smape"] == pytest.approx(smape, abs=6e-4)
        assert found[name]["mase"] == pytest.approx(mase, abs=6e-4)
        assert found[name]["owa"] == pytest.approx(owa, abs=6e-5)


arrays = st.lists(st.floats(-100, 100), min_size=6, max_size=6).map(lambda v: np.array(v).reshape(2, 3))


@given(arrays, arrays)
def test_errors_are_those_of_their_formulas(truth, forecast):
    deviation = np.array([2.0, 4.0])
    found = metrics.scores(Scored(truth, forecast, np.ones(2), deviation))
    error = forecast - truth
    assert found["mae"] == pytest.approx(np.abs(error).mean())
    assert found["mse"] == pytest.approx((error**2).mean())
    assert found["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    assert found["mase"] == pytest.approx(np.abs(error).mean())
    assert found["scaled_mae"] == pytest.approx(np.abs(error / deviation[:, None]).mean())
    assert found["scaled_mse"] == pytest.approx(((error / deviation[:, None]) ** 2).mean())


@given(arrays, arrays, st.lists(st.booleans(), min_size=6, max_size=6))
def test_missing_truths_count_nowhere(truth, forecast, hidden):
    hidden = np.array(hidden).reshape(2, 3)
    hidden[:, 0] = False
    seen = np.where(hidden, np.nan, truth)
    scored = Scored(seen, forecast, np.ones(2), np.ones(2))
    elsewhere = Scored(seen, np.where(hidden, forecast + 1e6, forecast), np.ones(2), np.ones(2))
    assert metrics.scores(scored) == metrics.scores(elsewhere)
    error = np.abs(forecast - truth)[~hidden]
    assert metrics.scores(scored)["mae"] == pytest.approx(error.mean())


def test_pinball_of_the_median_is_half_the_absolute_error():
    truth, forecast = np.array([[1.0, 5.0]]), np.array([[2.0, 1.0]])
    assert metrics.pinball(truth, forecast[:, :, None], (0.5,)) == pytest.approx(2.5 / 2)


@given(st.lists(st.floats(-10, 10), min_size=5, max_size=30), st.floats(0.05, 0.95))
def test_the_quantile_of_a_sample_makes_its_pinball_loss_smallest(values, level):
    truth = np.array(values)[:, None]

    def loss(at):
        return metrics.pinball(truth, np.full((len(values), 1, 1), at), (level,))

    best = loss(np.quantile(values, level, method="inverted_cdf"))
    assert all(best <= loss(at) + 1e-9 for at in values)


def test_a_series_that_never_changes_has_no_mase_and_leaves_the_others_theirs():
    truth, forecast = np.ones((2, 3)), np.zeros((2, 3))
    assert metrics.mase(truth, forecast, np.array([0.0, 0.5])) == pytest.approx(2.0)
    assert "mase" not in metrics.scores(Scored(truth, forecast, np.zeros(2), np.ones(2)))


def test_seasonal_indices_of_a_clean_season_give_it_back_and_of_noise_are_one():
    pattern = np.array([0.5, 1.0, 1.5, 1.0])
    np.testing.assert_allclose(metrics.seasonal_indices(np.tile(pattern, 12) * 7, 4), pattern, atol=1e-12)
    noise = np.random.default_rng(0).uniform(1, 2, 60)
    assert metrics.seasonal_indices(noise, 4).tolist() == [1, 1, 1, 1]
    assert metrics.seasonal_indices(-np.tile(pattern, 12), 4).tolist() == [1, 1, 1, 1]


def test_an_interval_between_the_tenths_covers_what_lies_in_it():
    truth = np.array([[0.0, 5.0, 11.0, 10.0, np.nan]])
    quantiles = np.stack([np.zeros((1, 5)), np.full((1, 5), 10.0)], axis=2)
    scored = Scored(truth, truth * 0, np.ones(1), np.ones(1), None, (0.1, 0.9), quantiles)
    assert metrics.scores(scored)["coverage_80"] == 0.75
