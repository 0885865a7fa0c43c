"""Numbers out, end to end: trained, scored, stored, loaded, resumed; and what is said where it cannot be."""

import csv
import json

import numpy as np
import pytest
from test_wrong_input import refused
from tiny import write_jsonl

import elman
from elman.errors import ConfigError, DataError
from elman.metrics.regression import SCORES, regression

FAST = {"hidden_size": 6, "threads": 1, "epochs": 2}


def write_table(path, rows, header):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def mixed_rows(count=60, seed=0):
    """A price that size, colour and (where it is known) age decide, and a weight."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        size, colour = rng.normal(), str(rng.choice(["red", "blue", "green"]))
        age = rng.normal() if rng.random() > 0.2 else None
        price = 1000 + 30 * size + {"red": 10, "blue": 50, "green": -30}[colour] + 5 * (age or 0)
        rows.append([size, colour, "" if age is None else age, price, 1e-3 * size])
    return rows


HEADER = ["size", "colour", "age", "price", "weight"]


def step_rows(count=30, seed=0):
    """The running sum of the first column; some steps have no target."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        steps = rng.normal(size=(int(rng.integers(3, 9)), 2))
        targets = [None if rng.random() < 0.2 else float(value) for value in 7 + 3 * np.cumsum(steps[:, 0])]
        rows.append({"x": steps.tolist(), "y": targets})
    return rows


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_table(tmp_path_factory.mktemp("mixed") / "cars.csv", mixed_rows(), HEADER)


@pytest.fixture(scope="module")
def mixed(table):
    """A run on numbers, names and gaps, with two targets."""
    return elman.train(
        task="regress",
        train=table,
        input="size,colour,age",
        target="price,weight",
        test=0.2,
        out=table.parent / "run",
        **FAST,
    )


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("steps")
    path = write_jsonl(folder / "sums.jsonl", step_rows())
    return elman.train(task="regress_steps", train=path, test=0.2, out=folder / "run", **FAST | {"epochs": 8})


def test_each_target_is_scored_beside_the_baselines(mixed):
    test = mixed.result["test"]
    assert set(test["per_target"]) == {"price", "weight"}
    for score in SCORES:
        each = [own[score] for own in test["per_target"].values()]
        assert test[score] == pytest.approx(np.mean(each), rel=1e-12)
    others = test["baseline"]["others"]
    assert (
        set(others) == {"mean", "multi-layer perceptron"} and test["baseline"]["name"] == "ridge regression"
    )
    assert test["baseline"]["rmse"] < others["mean"]["rmse"]
    assert mixed.result["metric"] == "r2" and mixed.task.sizes() == {"targets": 2, "columns": 2}


def test_scores_are_those_of_the_predictions_in_their_own_units(mixed, table):
    examples = list(mixed.held_out)
    said = [row.prediction for row in mixed.predict_examples(examples)]
    predicted = np.array([[row["price"], row["weight"]] for row in said])
    gold = np.stack([example.target for example in examples])
    expected = regression(gold, predicted, ["price", "weight"])
    assert mixed.result["test"]["per_target"]["price"] == pytest.approx(expected["per_target"]["price"])
    assert abs(predicted[:, 0].mean() - 1000) < 200 and abs(predicted[:, 1].mean()) < 0.01


def test_saved_is_loaded_and_a_file_is_read_as_the_training_file_was(mixed, table):
    again = elman.load(mixed.folder)
    assert again.chosen.categories == "colour" and again.chosen.target == "price,weight"
    row = [0.5, "red", None]
    assert again.predict([row])[0].prediction == mixed.predict([row])[0].prediction
    assert again.predict_file(table)[3].prediction == mixed.predict_file(table)[3].prediction
    bare = write_table(table.parent / "bare.csv", [r[:3] for r in mixed_rows(4)], HEADER[:3])
    for one, other in zip(again.predict_file(bare), again.predict_file(table), strict=False):
        assert one.prediction == pytest.approx(other.prediction)
    left, right = (run.evaluate(table).metrics for run in (again, mixed))
    assert left == right


def test_a_row_by_hand_is_the_row_of_the_file(mixed, table):
    by_file = mixed.predict_file(table)
    by_hand = mixed.predict([[row[0], row[1], row[2] if row[2] != "" else None] for row in mixed_rows()])
    for one, other in zip(by_file, by_hand, strict=True):
        assert one.prediction["price"] == pytest.approx(other.prediction["price"], rel=1e-6)
    assert by_hand[0].input[1] in ("red", "blue", "green")
    with pytest.raises(DataError, match=r"row 1: 3 values were expected, with names as number 2"):
        mixed.predict([[1.0, 2.0]])


def test_the_order_of_rows_does_not_matter_to_predictions(mixed, table):
    rows = [row.prediction["price"] for row in mixed.predict_file(table)]
    back = [row[:3] for row in mixed_rows()][::-1]
    turned = write_table(table.parent / "turned.csv", back, HEADER[:3])
    assert [row.prediction["price"] for row in mixed.predict_file(turned)][::-1] == pytest.approx(
        rows, rel=1e-6
    )


def test_each_step_has_a_number_and_missing_targets_are_not_scored(steps):
    rows = step_rows()
    said = steps.predict([row["x"] for row in rows])
    for row, prediction in zip(rows, said, strict=True):
        assert len(prediction.prediction) == len(row["x"])
    gold = [[np.nan if y is None else y for y in row["y"]] for row in rows]
    flat = np.concatenate([row.prediction for row in said])[:, None]
    expected = regression(np.concatenate(gold)[:, None], flat, ["y"])
    scores = steps.evaluate([(row["x"], row["y"]) for row in rows]).metrics
    assert {name: scores[name] for name in SCORES} == pytest.approx(expected, rel=1e-6)
    assert scores["baseline"]["others"]["mean"]["r2"] < 0.05
    again = elman.load(steps.folder)
    assert again.predict([rows[0]["x"]])[0].prediction == steps.predict([rows[0]["x"]])[0].prediction


def test_a_running_sum_is_learned_that_neighbours_do_not_tell():
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(150):
        x = rng.normal(size=(12, 1))
        rows.append((x, np.cumsum(x[:, 0])))
    run = elman.train(
        task="regress_steps", train=rows, test=0.2, hidden_size=16, threads=1, epochs=12,
        learning_rate=0.01, bidirectional=False,
    )  # fmt: skip
    test = run.result["test"]
    assert test["r2"] > 0.9 > test["baseline"]["r2"] + 0.1


def test_texts_have_numbers_too():
    rows = [(" ".join(["up"] * n + ["down"] * (8 - n)), float(n)) for n in range(9)] * 3
    run = elman.train(task="regress", train=rows, valid=rows, **FAST)
    assert run.result["valid"]["baseline"]["name"] == "ridge on a bag of words"
    assert isinstance(run.predict(["up down"])[0].prediction, float)
    words = [("one two", [1, 2]), ("two one one", [2, 1, None]), ("new", [3])] * 5
    run = elman.train(task="regress_steps", train=words, valid=words, **FAST)
    said = run.predict(["two new one"])[0]
    assert len(said.prediction) == 3 and said.tokens == ["two", "new", "one"]
    assert run.result["valid"]["baseline"]["r2"] == pytest.approx(1.0)


@pytest.mark.parametrize("options", [{"loss": "mae"}, {"loss": "huber"}, {"cell": "rnn"}, {"cell": "gru"}])
def test_every_loss_and_cell_trains(options):
    rows = [(np.array([[n, -n]]), 3.0 * n) for n in range(20)]
    run = elman.train(task="regress", train=rows, valid=rows, **FAST | {"epochs": 1}, **options)
    assert np.isfinite(run.result["valid"]["rmse"])


def test_interrupted_and_resumed_is_uninterrupted(table, tmp_path):
    settings = {"task": "regress", "train": table, "input": "size,colour,age", "target": "price", **FAST}
    whole = elman.train(**settings, out=tmp_path / "whole")
    elman.train(**settings, out=tmp_path / "cut", max_minutes=1e-9)
    resumed = elman.train(resume=tmp_path / "cut", max_minutes=99)
    for name in ("model.safetensors", "metrics.jsonl", "baseline.safetensors", "vocab.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes(), name
    assert resumed.result["valid"] == whole.result["valid"]


def test_a_metric_that_falls_is_best_where_it_is_least(table):
    for metric in ("mae", "r2"):
        run = elman.train(
            task="regress", train=table, input="size,age", target="price", metric=metric,
            out=table.parent / f"run-{metric}", **FAST | {"epochs": 4},
        )  # fmt: skip
        values = [row["valid"][metric] for row in run.history]
        best = max(values) if metric == "r2" else min(values)
        assert values[run.result["best"]["epoch"] - 1] == best


def test_classifying_vectors_stands_beside_a_perceptron(tmp_path):
    rows = [(np.array([[n % 7 - 3.0, n % 5]]), "up" if n % 7 > 3 else "down") for n in range(60)]
    run = elman.train(task="classify", train=rows, valid=rows, **FAST)
    assert run.chosen.pooling == "last" and run.chosen.bidirectional is False
    assert "accuracy" in run.result["valid"]["baseline"]["others"]["multi-layer perceptron"]


def test_the_command_line_shows_numbers(mixed, steps, table, capsys):
    from elman.cli import main

    assert main(["evaluate", str(mixed.folder), "--data", str(table)]) == 0
    shown = capsys.readouterr().out
    assert "ridge regression" in shown and "multi-layer perceptron" in shown and "weight" in shown
    assert main(["predict", str(mixed.folder), '[0.5, "red", null]']) == 0
    assert "price 1" in capsys.readouterr().out or "price 9" in capsys.readouterr().out
    assert main(["predict", str(steps.folder), "[[1, 2], [3, 4]]", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["predictions"][0]
    assert len(said["prediction"]) == 2
    assert main(["predict", str(mixed.folder), "--data", str(table)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 60
    assert main(["info", str(mixed.folder)]) == 0


# What cannot be done


def train_command(path, out, *more, task="regress"):
    return ["train", "--task", task, "--train", str(path), "--out", str(out), "--epochs", "1", *more]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1, 2, 5]] * 9, "cars.csv:2: target 'y' is 5 in every training example"),
        ([[1, 2, 5], [3, 4, "dear"]] * 5, "cars.csv:3: column 'y' is 'dear'"),
        ([[1, 2, 5], [3, 4, ""]] * 5, "cars.csv:3: column 'y' has no target"),
        ([[1, 2, 5], [3, "four", 6]] * 5, "cars.csv:3: column 'b' is 'four'"),
        ([[1, 2, 5], [3, "inf", 6]] * 5, "cars.csv:3: step 1, column 'b' is inf"),
        ([[1, 2, 5], [3, "1e999", 6]] * 5, "cars.csv:3: step 1, column 'b' is inf"),
        ([[1, 2, 5]], "too few to hold some out"),
        ([[1, "", 5], [3, "", 6]] * 5, "column 2 has no value in any row"),
    ],
)
def test_a_table_that_cannot_be_learned_from_is_named_with_its_row(rows, message, tmp_path, capsys):
    path = write_table(tmp_path / "cars.csv", rows, ["a", "b", "y"])
    assert message in refused(capsys, *train_command(path, tmp_path / "run", "--input", "a,b"))


def test_series_that_cannot_be_learned_from_are_named(tmp_path, capsys):
    path = write_jsonl(tmp_path / "a.jsonl", [{"x": [1, 2], "y": [1, 2]}, {"x": [[1, 2]], "y": [3]}] * 5)
    message = refused(capsys, *train_command(path, tmp_path / "run", task="regress_steps"))
    assert "a.jsonl:2: has 2 numbers a step" in message
    path = write_jsonl(tmp_path / "b.jsonl", [{"x": [1, 2], "y": [None, None]}] * 5)
    message = refused(capsys, *train_command(path, tmp_path / "run", task="regress_steps"))
    assert "b.jsonl:" in message and "missing in every training example" in message
    path = write_jsonl(tmp_path / "c.jsonl", [{"x": [1, 2], "y": [1, 2]}, {"x": [1], "y": [3]}] * 5)
    message = refused(capsys, *train_command(path, tmp_path / "run"))
    assert "c.jsonl:2: targets: 1 here, but 2 in" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "regress", "crf": True}, "crf is for --task tag|crf is for task='tag'"),
        ({"task": "regress", "class_weights": "balanced"}, "class_weights"),
        ({"task": "regress_steps", "pooling": "last"}, "pooling"),
        ({"task": "regress", "metric": "accuracy"}, "unknown metric"),
    ],
)
def test_settings_of_other_tasks_are_refused(options, message):
    unit = options["task"] == "regress_steps"
    rows = [([[n, 1.0], [1, n]], [n, 2.0] if unit else float(n)) for n in range(9)]
    with pytest.raises(ConfigError, match=message):
        elman.train(train=rows, **options)


def test_a_loss_of_numbers_is_refused_where_labels_are_predicted():
    with pytest.raises(ConfigError, match="loss is for the tasks regress, regress_steps"):
        elman.train(task="classify", train=[("a", "x"), ("b", "y")] * 9, loss="mae")


def test_starting_from_a_run_of_other_targets_or_names_is_refused(mixed, table, tmp_path):
    settings = {"task": "regress", "train": table, "start_from": mixed.folder, **FAST}
    with pytest.raises(ConfigError, match="has other targets than these"):
        elman.train(**settings, input="size,colour,age", target="weight,price")
    path = write_table(tmp_path / "other.csv", [[r[0], f"{r[1]}dish", *r[2:]] for r in mixed_rows()], HEADER)
    with pytest.raises(ConfigError, match="has other input columns of names or gaps"):
        elman.train(**settings | {"train": path}, input="size,colour,age", target="price,weight")
    run = elman.train(**settings, input="size,colour,age", target="price,weight")
    assert run.result["valid"]["rmse"] > 0


def test_numbers_are_refused_where_labels_were_trained_and_the_other_way(mixed):
    with pytest.raises(DataError):
        mixed.evaluate([({"size": 1}, "dear")])


def test_a_back_test_is_refused_before_training(tmp_path):
    rows = [(np.array([value]), value) for value in np.arange(20.0)]
    out = tmp_path / "run"
    with pytest.raises(ConfigError, match="backtest is for task='forecast'"):
        elman.train(task="regress", train=rows, backtest=3, epochs=1, hidden_size=4, out=out)
    assert not out.exists()
