"""Trials of a search that fail, and trials that are stopped early."""

from pathlib import Path

import pytest
from tiny_search import FAST, write_moods

import elman
from elman.errors import TrainingError
from elman.training.plan import Plan, Progress
from elman.tuning import trial

pytest.importorskip("optuna", reason="the extra tune is not installed")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_moods(tmp_path_factory.mktemp("tune"))


def test_a_trial_that_fails_is_noted_and_does_not_end_the_search(data, monkeypatch, tmp_path):
    plain_train = trial.Workbench.train

    def train(self, values, observers=()):
        if values and values["learning_rate"] > 0.002:
            raise TrainingError("5 steps in a row were not finite")
        return plain_train(self, values, observers)

    monkeypatch.setattr(trial.Workbench, "train", train)
    found = elman.tune(**FAST, train=str(data), out=tmp_path / "out", trials=8)
    failed = [one for one in found.trials if one.state == "failed"]
    assert 0 < len(failed) < 7 and all("not finite" in one.reason for one in failed)
    assert all(one.values["learning_rate"] > 0.002 for one in failed)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_where_every_trial_fails_one_message_says_why(error, data, monkeypatch, tmp_path):
    def train(self, values, observers=()):
        raise error

    monkeypatch.setattr(trial.Workbench, "train", train)
    with pytest.raises(TrainingError, match=r"no trial came to a score .*memory"):
        elman.tune(**FAST, train=str(data), out=tmp_path / "out", trials=2)


def test_an_error_that_nobody_knows_is_not_taken_for_a_failed_trial(data, monkeypatch, tmp_path):
    def train(self, values, observers=()):
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(trial.Workbench, "train", train)
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        elman.tune(**FAST, train=str(data), out=tmp_path / "out", trials=2)


class Reported:
    """Stands for Optuna's trial, and notes what it is told."""

    def __init__(self) -> None:
        self.rungs: list[tuple[int, float]] = []

    def report(self, value: float, rung: int) -> None:
        self.rungs.append((rung, value))

    def should_prune(self) -> bool:
        return True


def rungs_of(epochs: int, *, may_prune: bool) -> list[tuple[int, float]]:
    told = Reported()
    observer = trial.Rungs(told, may_prune=may_prune, watch=lambda: None)
    observer.on_start(Progress(), Plan(epochs=epochs, metric="loss"), 1)
    for epoch in range(1, epochs + 1):
        observer.on_epoch({"epoch": epoch, "valid": {"loss": float(epoch)}}, {}, False)
    return told.rungs


@pytest.mark.parametrize("epochs", [1, 3, 10, 17, 40])
def test_every_training_is_reported_at_each_tenth_of_its_length(epochs):
    rungs = rungs_of(epochs, may_prune=False)
    assert [rung for rung, _ in rungs] == list(range(1, 11))
    for rung, epoch in rungs:
        assert 10 * (epoch - 1) // epochs < rung <= 10 * epoch // epochs


def test_a_hopeless_trial_is_stopped_and_the_recipes_own_never():
    with pytest.raises(trial.Pruned):
        rungs_of(20, may_prune=True)
    assert len(rungs_of(1, may_prune=True)) == 10  # at its end nothing is left to save
