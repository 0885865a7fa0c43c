"""What is known of a whole series: read, checked, and read by the model; nothing of it leaks or moves."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_series import FAST, seasonal

import elman
from elman.cli import main
from elman.data.example import Example
from elman.data.read_series import read_series
from elman.data.time_series import TimeSeries, join
from elman.data.timestamps import Clock
from elman.errors import ConfigError, DataError
from elman.run_folder import fingerprint, read_json
from elman.tasks.static_features import StaticFeatures

# Shop -> region (a name), size (a number), and what its sales do after a flat history.
SHOPS = {
    "a": ("north", 1.0, 2.0),
    "b": ("south", 2.0, -2.0),
    "c": ("north", 3.0, 2.0),
    "d": ("south", 6.0, -2.0),
}
LAST = "shop,day,sales,region,size"


def rows(days: int = 60, *, shops=SHOPS, seed: int = 0) -> list[list]:
    """Return a long table: every third day, sales jump up in the north and down in the south."""
    random = np.random.default_rng(seed)
    made = []
    for shop, (region, size, jump) in shops.items():
        for day in range(days):
            value = 10 + jump * (day % 3 == 2) + 0.05 * random.normal()
            made.append([shop, day, round(value, 4), region, size])
    return made


def write_rows(path, table, header: str = LAST):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header.split(","), *table])
    return path


SETTINGS = {**FAST, "series_id": "shop", "target": "sales", "time": "day", "static": "region,size"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("static")
    path = write_rows(folder / "train.csv", rows())
    return elman.train(train=str(path), test=0.2, out=folder / "run", **{**SETTINGS, "epochs": 3})


def series(static: tuple[str, ...], name: str = "a", values=None) -> TimeSeries:
    values = seasonal(40) if values is None else np.asarray(values, float)
    return TimeSeries(name, values, Clock("number"), static=static)


def points(run, given: list[TimeSeries]) -> list[list[float]]:
    said = run.predict_examples([Example(one, where=one.name) for one in given])
    return [one.prediction for one in said]


def test_static_cells_are_those_of_the_series_in_any_order_of_the_rows(tmp_path):
    for table in (rows(), sorted(rows(), key=lambda row: row[1])):
        path = write_rows(tmp_path / "a.csv", table)
        reading = read_series(path, series_id="shop", target=["sales"], static=["size", "region"])
        assert {one.name: one.static for one in reading.series} == {
            shop: (str(size), region) for shop, (region, size, _) in SHOPS.items()
        }


def test_static_columns_are_no_targets_of_themselves(tmp_path):
    path = write_rows(tmp_path / "a.csv", rows())
    reading = read_series(path, series_id="shop", time="day", static=["size"])
    assert reading.columns.target == ("sales",)


@pytest.mark.parametrize(
    ("row", "cell", "said"),
    [
        (5, "west", r"a.csv:7: column 'region' is 'west', but 'north' in an earlier row of series 'a'"),
        (59, "", r"a.csv:61: column 'region' is empty"),
    ],
)
def test_what_is_not_constant_within_a_series_is_refused_with_its_row(row, cell, said, tmp_path):
    table = rows()
    table[row][3] = cell
    path = write_rows(tmp_path / "a.csv", table)
    with pytest.raises(DataError, match=said):
        read_series(path, series_id="shop", target=["sales"], static=["region"])


def test_what_is_read_of_them_is_said_and_only_where_there_are_any(tmp_path, capsys):
    path = write_rows(tmp_path / "a.csv", rows(30))
    elman.train(**SETTINGS, train=str(path))
    said = " ".join(capsys.readouterr().err.split())
    assert "static: region holds names (2), one number for each; size holds numbers, standardised" in said
    without = {name: value for name, value in SETTINGS.items() if name != "static"}
    elman.train(**without, train=str(path))
    assert "static" not in capsys.readouterr().err


def test_static_columns_without_series_are_refused(tmp_path):
    path = write_rows(tmp_path / "a.csv", rows(shops={"a": SHOPS["a"]}))
    with pytest.raises(DataError, match="--series-id"):
        read_series(path, target=["sales"], static=["region"])
    with pytest.raises(DataError, match="two things at once"):
        read_series(path, target=["sales"], series_id="shop", static=["sales"])
    with pytest.raises(ConfigError, match="static is for task='forecast'"):
        elman.train(task="tag", static="a", train=str(path))


def test_a_file_that_goes_on_with_other_static_values_is_refused():
    before, after = series(("north",)), replace(series(("south",)), start=40)
    with pytest.raises(DataError, match="static values south here and north"):
        join(before, after)


def test_numbers_are_standardised_over_the_training_series_and_names_are_told_apart():
    given = [series((region, str(size)), shop) for shop, (region, size, _) in SHOPS.items()]
    features = StaticFeatures.fit(given)
    made = np.stack([features.of(one) for one in given])
    assert made[:, :2].tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]
    sizes = np.array([size for _, size, _ in SHOPS.values()])
    np.testing.assert_allclose(made[:, 2], (sizes - sizes.mean()) / sizes.std(), rtol=1e-6)
    assert features.of(series(("west", "3")))[:2].tolist() == [0, 0]  # a name that training never saw
    with pytest.raises(DataError, match="'large'; a number was expected"):
        features.of(series(("north", "large")))
    assert StaticFeatures.from_json(features.to_json()) == features


def test_without_static_columns_nothing_is_kept_and_the_fingerprint_is_as_before(tmp_path):
    path = write_rows(tmp_path / "a.csv", rows())
    run = elman.train(train=str(path), out=tmp_path / "run", **(SETTINGS | {"static": None}))
    assert "static" not in read_json(tmp_path / "run" / "vocab.json")["inputs"]
    assert run.model.direct.in_features == run.chosen.context * 2
    one, other = series(()), series(("north",))
    assert "static" not in repr(one)
    assert fingerprint([Example(one)]) != fingerprint([Example(other)])


def test_a_model_learns_from_them_what_no_history_tells(tmp_path):
    """It reads one row, from which nobody can tell which way a series goes; in the north all rise."""
    table = [
        [shop, day, day if region == "north" else -day, region, size]
        for shop, (region, size, _) in SHOPS.items()
        for day in range(40)
    ]
    path = write_rows(tmp_path / "a.csv", table)
    more = {"epochs": 30, "horizon": 1, "context": 1, "season": 1, "learning_rate": 0.02, "static": "region"}
    run = elman.train(train=str(path), **SETTINGS | more)
    values = np.arange(40.0)
    north, south = points(run, [series(("north",), "n", values), series(("south",), "s", values)])
    assert north[0] > 39 > south[0]


def test_the_same_history_of_other_shops_gives_other_forecasts(run):
    north, south = points(run, [series(("north", "1")), series(("south", "1"))])
    assert north != south


def test_batch_mates_and_what_comes_later_change_nothing(run):
    one, other = series(("north", "1")), series(("south", "6"), "b", seasonal(50, 3))
    alone, together = points(run, [one])[0], points(run, [other, one])[1]
    np.testing.assert_allclose(alone, together, rtol=1e-6)


def test_saved_is_loaded(run, tmp_path):
    given = [series(("north", "1")), series(("west", "9"))]
    loaded = elman.load(run.folder)
    assert points(loaded, given) == points(run, given)
    assert loaded.task.inputs.static == run.task.inputs.static
    weights = run.model.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in loaded.model.state_dict().items())


def test_a_history_without_them_is_refused_and_a_file_with_them_is_read(run, tmp_path, capsys):
    with pytest.raises(DataError, match="has 0 static values; the model was trained with 2"):
        run.predict([seasonal(40)])
    path = write_rows(tmp_path / "history.csv", rows(30))
    assert main(["predict", str(run.folder), "--data", str(path), "--json"]) == 0
    assert '"input": "d"' in capsys.readouterr().out


def test_recursive_forecasts_read_them_too(tmp_path):
    path = write_rows(tmp_path / "a.csv", rows())
    run = elman.train(train=str(path), **SETTINGS, recursive=True)
    assert all(np.isfinite(points(run, [series(("north", "1"))])[0]))
