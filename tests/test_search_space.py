"""What a search tries: settings around the recipe's own, and none that was given."""

import json

import pytest
from tiny_search import FAST, write_moods
from tiny_series import seasonal, write_series

import elman
from elman.config import make_settings
from elman.tuning import search_space
from elman.tuning.search_space import EVERY, OF_TASK, Dimension

pytest.importorskip("optuna", reason="the extra tune is not installed")


def test_what_is_given_is_not_searched():
    chosen = make_settings(
        {"task": "classify", "hidden_size": 8, "learning_rate": 0.1, "dropout": 0.5, "pooling": "max"}
    )
    given = make_settings({"task": "classify", "dropout": 0.5, "cell": "lstm", "weight_decay": 0.0})
    names = [one.name for one in search_space.search_space(given, chosen, "accuracy")]
    assert names == ["learning_rate", "hidden_size", "pooling"]


def test_where_a_run_is_gone_on_from_its_shapes_are_not_searched(tmp_path):
    values = FAST | {"train": str(write_moods(tmp_path)), "epochs": 1}
    elman.train(**values, out=tmp_path / "first")
    found = elman.tune(**values, start_from=str(tmp_path / "first"), out=tmp_path / "out", trials=4)
    names = {one.name for one in found.search.space}
    assert "learning_rate" in names and not names & set(search_space.CHANGE_THE_SHAPES)
    assert [one.state for one in found.trials] == ["done"] * 4


def test_forecasts_that_start_from_a_run_keep_its_shapes(tmp_path):
    file = write_series(tmp_path / "load.csv", load=seasonal(150))
    values = {"task": "forecast", "train": str(file), "horizon": 4, "threads": 1, "epochs": 1}
    elman.train(**values, hidden_size=4, out=tmp_path / "first")
    found = elman.tune(
        **values, hidden_size=4, start_from=str(tmp_path / "first"), out=tmp_path / "out", trials=5
    )
    assert not {"context", "patch"} & {one.name for one in found.search.space}
    assert [one.reason for one in found.trials] == [None] * 5


def test_a_setting_of_one_cell_keeps_the_cell():
    chosen = make_settings({"task": "classify", "learning_rate": 0.1, "forget_bias": 1.0})
    for given, searched in (({}, True), ({"forget_bias": 1.0}, False)):
        space = search_space.search_space(make_settings({"task": "classify"} | given), chosen, "accuracy")
        assert ("cell" in [one.name for one in space]) == searched


def test_a_loss_that_would_be_another_quantity_is_not_searched_where_it_is_the_metric():
    given = make_settings({"task": "regress"})
    chosen = make_settings({"task": "regress", "learning_rate": 0.1, "loss": "mse"})
    space = {
        metric: [one.name for one in search_space.search_space(given, chosen, metric)]
        for metric in ("rmse", "loss")
    }
    assert set(space["rmse"]) - set(space["loss"]) == {"loss"}


@pytest.mark.parametrize("task", list(OF_TASK))
def test_every_range_holds_what_the_recipe_chooses(task):
    values = {
        "learning_rate": 0.3,
        "hidden_size": 3,
        "num_layers": 5,
        "dropout": 0.9,
        "input_dropout": 0.7,
        "batch_size": 1,
        "pooling": "mean",
        "context": 60,
        "patch": 12,
        "season": 12,
        "difference": "none",
        "point": "mse",
        "attention": "none",
        "label_smoothing": 0.5,
        "loss": "mae",
    }
    chosen = make_settings({"task": task} | values)
    space = search_space.search_space(make_settings({"task": task}), chosen, "accuracy")
    assert {one.name for one in space} == {*EVERY, *OF_TASK[task]}
    for one in space:
        assert one.default == getattr(chosen, one.name)
        assert one.default in one.choices if one.choices else one.low <= one.default <= one.high
        assert Dimension.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_every_context_that_is_tried_holds_whole_patches():
    given = make_settings({"task": "forecast"})
    chosen = make_settings({"task": "forecast", "context": 24, "patch": 24, "season": 24})
    space = {one.name: one.choices for one in search_space.search_space(given, chosen, "scaled_mse")}
    assert space["context"] == (24, 48) and space["patch"] == (1, 24)
    assert all(context % patch == 0 for context in space["context"] for patch in space["patch"])
