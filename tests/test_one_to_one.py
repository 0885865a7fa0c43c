"""Vectors: enough updates on small sets, and weights that are picked by what a dozen examples can tell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import series_rows

import elman
from elman.config import make_settings
from elman.data.example import Example
from elman.tasks.classify import Classify
from elman.tasks.one_to_one import FEW_VALIDATED, FEWEST_STEPS
from elman.tasks.task import MAX_EPOCHS, MOST_EPOCHS


def vectors(count, *, steps=1):
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(count, steps, 3)).astype(np.float32)
    return [Example(row, "ab"[int(row[0, 0] > 0)], f"row {n}") for n, row in enumerate(rows, 1)]


def prepared(rows, **settings):
    return Classify.prepare(make_settings({"task": "classify"} | settings), rows, "series")


@given(st.integers(1, 500))
def test_vectors_get_their_updates_or_as_many_passes_as_there_may_be(num_batches):
    task = prepared(vectors(8))
    task.choose_lengths(num_batches)
    assert task.chosen.epochs * num_batches >= FEWEST_STEPS or task.chosen.epochs == MOST_EPOCHS
    series = prepared(vectors(8, steps=2))
    series.choose_lengths(num_batches)
    assert series.chosen.epochs <= MAX_EPOCHS and series.chosen.epochs <= task.chosen.epochs


def test_given_epochs_stay():
    task = prepared(vectors(8), epochs=3)
    task.choose_lengths(2)
    assert task.chosen.epochs == 3


@pytest.mark.parametrize(
    ("count", "steps", "settings", "kept_by"),
    [
        (FEW_VALIDATED - 1, 1, {}, "loss"),
        (FEW_VALIDATED, 1, {}, None),
        (12, 1, {"metric": "accuracy"}, None),
        (12, 2, {}, None),
        (0, 1, {}, None),
    ],
)
def test_the_loss_picks_the_weights_where_few_vectors_are_held_out(count, steps, settings, kept_by):
    rows = vectors(200, steps=steps)
    task = prepared(rows, **settings)
    task.remember_validation(rows[:count])
    assert task.kept_by == kept_by


def test_the_epoch_with_the_lowest_loss_is_kept_and_the_accuracy_shown(tmp_path):
    rows = [(one.input, one.target) for one in vectors(60)]
    run = elman.train(
        task="classify",
        train=rows,
        epochs=12,
        learning_rate=0.1,
        hidden_size=4,
        threads=1,
        out=tmp_path / "run",
    )
    losses = [row["valid"]["loss"] for row in run.history]
    assert run.result["best"]["epoch"] == 1 + int(np.argmin(losses))
    assert (run.result["metric"], run.result["kept_by"]) == ("accuracy", "loss")
    assert "lowest loss on it were kept" in (tmp_path / "run" / "report.html").read_text()


def test_series_are_kept_by_their_metric():
    run = elman.train(task="classify", train=series_rows(40), epochs=1, hidden_size=4, threads=1)
    assert run.result["kept_by"] == "accuracy"
