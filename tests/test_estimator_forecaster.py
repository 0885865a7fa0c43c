"""The forecaster: series in any form, forecasts in the same one, scored as the rows that come next."""

import pickle

import numpy as np
import polars
import pytest
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

import elman
from elman.errors import ConfigError, DataError
from elman.estimators import SequenceForecaster

pandas = pytest.importorskip("pandas", reason="pandas is not installed")

QUICK = {
    "horizon": 4, "context": 8, "season": 6, "calendar": False, "hidden_size": 4, "epochs": 1, "threads": 1,
}  # fmt: skip
WAVE = np.sin(np.arange(80) * np.pi / 3) + np.random.default_rng(0).normal(0, 0.1, 80)
DAYS = pandas.date_range("2024-01-01", periods=80, freq="D")


def forecaster(**more):
    return SequenceForecaster(**(QUICK | more))


@pytest.fixture(scope="module")
def wave():
    return forecaster().fit(WAVE)


def test_it_is_the_run_of_the_same_settings(wave):
    run = elman.train(task="forecast", train=WAVE, **QUICK)
    assert wave.run_.result["valid"]["mae"] == run.result["valid"]["mae"]
    assert np.array_equal(wave.predict(), run.predict([WAVE])[0].prediction)
    assert wave.series_names_ == ["value"] and wave.quantiles_ == [0.1, 0.5, 0.9]


@pytest.mark.parametrize(
    "make",
    [
        list,
        pandas.Series,
        polars.Series,
        lambda x: pandas.Series(x, index=DAYS),
        lambda x: pandas.Series(x, index=DAYS.to_period("D")),
        lambda x: pandas.Series(x, index=DAYS.tz_localize("UTC"), name="load"),
    ],
    ids=["list", "pandas", "polars", "times", "periods", "zone"],
)
def test_one_series_may_come_in_anything(make, wave):
    model = forecaster().fit(make(WAVE))
    assert np.allclose(model.predict(), wave.predict())
    assert np.allclose(model.predict(make(WAVE)), wave.predict())
    assert model.predict_quantiles().shape == (4, 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x,
        lambda x: pandas.DataFrame(x, columns=["a", "b"]),
        lambda x: pandas.DataFrame(x, columns=["a", "b"], index=DAYS),
        lambda x: pandas.DataFrame(x, columns=["a", "b"]).assign(day=DAYS),
        lambda x: polars.DataFrame(x, schema=["a", "b"]),
        lambda x: [{"a": float(one), "b": float(other)} for one, other in x],
    ],
    ids=["array", "frame", "index", "column", "polars", "dicts"],
)
def test_a_table_gives_a_forecast_for_each_column(make):
    table = np.stack([WAVE, WAVE[::-1] * 3], 1)
    model = forecaster().fit(make(table))
    wanted = forecaster().fit(table)
    assert model.predict().shape == (4, 2) and model.predict_quantiles().shape == (4, 2, 3)
    assert np.allclose(model.predict(), wanted.predict())
    assert np.allclose(model.predict(make(table)), wanted.predict())


def test_a_list_gives_a_list_each_scaled_by_itself():
    model = forecaster().fit([WAVE, pandas.Series(WAVE[:60]), WAVE[:, None]])
    made = model.predict()
    assert [each.shape for each in made] == [(4,)] * 3
    assert np.allclose(made[0], made[2])
    grown = model.predict([WAVE, WAVE * 1000 + 5])
    assert np.allclose(grown[0] * 1000 + 5, grown[1], rtol=1e-4)


def test_a_long_table_tells_series_apart_by_a_column():
    frame = pandas.concat([pandas.DataFrame({"id": name, "day": DAYS, "load": WAVE}) for name in "ab"])
    model = forecaster(series_id="id", time="day").fit(frame)
    assert model.series_names_ == ["a", "b"]
    assert np.allclose(*model.predict())
    assert np.allclose(model.predict(frame)[0], model.predict()[0])


def test_static_columns_are_read_kept_and_held_against_those_of_fit():
    frame = pandas.concat(
        [pandas.DataFrame({"id": name, "load": WAVE, "shop": shop}) for name, shop in (("a", 1), ("b", 2))]
    )
    model = forecaster(series_id="id", target="load", static="shop", epochs=3).fit(frame)
    assert not np.allclose(*model.predict())  # the same history in another shop
    again = pickle.loads(pickle.dumps(model))  # noqa: S301
    for other in (model.predict(frame), again.predict(), again.predict(frame)):
        assert np.allclose(other, model.predict())
    assert np.isfinite(again.score(frame.groupby("id").tail(20)))
    with pytest.raises(DataError, match="has the static values 9 here and 1"):
        model.score(frame.assign(shop=9))


def test_an_array_with_an_empty_column_is_refused_and_a_column_may_be_chosen():
    table = np.stack([WAVE, np.full(len(WAVE), np.nan)], axis=1)
    with pytest.raises(DataError, match="1 of its 2 columns hold no number"):
        forecaster(epochs=1).fit(table)
    assert forecaster(epochs=1, target="value1").fit(table).predict().shape == (4, 1)


@pytest.mark.parametrize(
    "of", [pandas.DataFrame, polars.DataFrame, lambda cells: pandas.DataFrame(cells).to_dict("records")]
)
def test_a_column_of_texts_is_refused_by_its_name_and_may_be_dropped(of):
    cells = {"load": WAVE, "place": ["north"] * len(WAVE)}
    with pytest.raises(
        DataError, match=r"column 'place' holds no number .* drop it, .* target, .* series_id"
    ):
        forecaster().fit(of(cells))
    model = forecaster(target="load").fit(of(cells))
    assert model.series_names_ == ["load"]
    assert np.array_equal(model.predict(of(cells)), model.predict())
    assert forecaster(series_id="place").fit(of(cells)).series_names_ == ["north"]


def test_a_message_names_parameters_and_no_flags():
    frame = pandas.DataFrame({"day": DAYS[::-1], "load": WAVE})
    with pytest.raises(DataError, match=r"tells series apart with series_id\.$"):
        forecaster(time="day", target="load").fit(frame)


def test_known_covariates_reach_beyond_the_end():
    frame = pandas.DataFrame({"load": [*WAVE[:76], *[np.nan] * 4], "price": np.arange(80.0)})
    model = forecaster(target="load", known_future="price").fit(frame)
    assert model.predict().shape == (4, 1)
    again = pickle.loads(pickle.dumps(model))  # noqa: S301
    assert np.array_equal(again.predict(), model.predict())


def test_the_score_is_minus_the_scaled_error_of_the_rows_that_follow():
    model = forecaster().fit(WAVE[:60])
    said = np.array([model.predict(WAVE[:end]) for end in range(60, 77)])
    right = np.array([WAVE[end : end + 4] for end in range(60, 77)])
    scale = np.abs(WAVE[6:60] - WAVE[:54]).mean()
    assert model.score(WAVE[60:]) == pytest.approx(-np.abs(said - right).mean() / scale, rel=1e-5)


def test_rows_that_training_saw_are_not_scored_where_times_tell():
    series = pandas.Series(WAVE, index=DAYS)
    model = forecaster().fit(series[:60])
    assert model.score(series) == model.score(series[60:])


def test_a_list_is_scored_as_series_of_their_own():
    model = forecaster().fit([WAVE, WAVE[::-1].copy()])
    assert model.score([WAVE]) == pytest.approx(model.score([WAVE * 50]), rel=1e-4)


def test_it_goes_through_a_search_over_time():
    search = GridSearchCV(forecaster(), {"learning_rate": [1e-6, 0.05]}, cv=TimeSeriesSplit(2, test_size=10))
    search.set_params(estimator__epochs=20, estimator__difference="none").fit(WAVE)
    assert search.best_params_ == {"learning_rate": 0.05} and search.best_estimator_.predict().shape == (4,)


@pytest.mark.parametrize(
    "make", [lambda: WAVE, lambda: [WAVE, WAVE], lambda: pandas.DataFrame({"a": WAVE}, DAYS)]
)
def test_pickled_and_saved_forecasters_say_the_same(make, tmp_path):
    model = forecaster().fit(make())
    model.save(tmp_path / "kept")
    for other in (pickle.loads(pickle.dumps(model)), SequenceForecaster.load(tmp_path / "kept")):  # noqa: S301
        assert np.array_equal(other.predict(), model.predict())
        assert np.array_equal(other.predict_quantiles(), model.predict_quantiles())
        assert other.score([WAVE]) == model.score([WAVE])
        assert other.get_params() == model.get_params()


WRONG = {
    "a text": (lambda: forecaster().fit("abc"), DataError, "a text"),
    "nothing": (lambda: forecaster().fit(None), DataError, "None"),
    "too short": (lambda: forecaster().fit(WAVE[:6]), DataError, "has 6 rows"),
    "infinity": (lambda: forecaster().fit([1.0, np.inf, 3.0]), DataError, "finite"),
    "three dimensions": (lambda: forecaster().fit(np.zeros((9, 2, 2))), DataError, "3 dimensions"),
    "wide in a list": (lambda: forecaster().fit([np.zeros((30, 2))]), DataError, r"X\[0\] has 2 columns"),
    "no share": (lambda: forecaster(validation_fraction=0).fit(WAVE), ConfigError, "validation_fraction = 0"),
    "no interval": (
        lambda: forecaster(interval="none").fit(WAVE).predict_quantiles(), ConfigError, "no quantiles",
    ),
    "too few to score": (lambda: forecaster().fit(WAVE).score(WAVE[:3]), DataError, "the horizon is 4"),
    "other columns": (
        lambda: forecaster().fit(WAVE).score(np.zeros((9, 2))), DataError, "none of the training series",
    ),
    "other steps": (
        lambda: forecaster().fit(pandas.Series(WAVE, DAYS)).predict(
            pandas.Series(WAVE, pandas.date_range("2024-01-01", periods=80, freq="h"))
        ),
        DataError,
        "a step of one hour here, but one day",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_one_line(name):
    call, error, said = WRONG[name]
    with pytest.raises(error, match=said) as raised:
        call()
    assert "\n" not in str(raised.value)
