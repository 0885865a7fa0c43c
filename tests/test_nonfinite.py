"""Non-finite steps: what is done with a loss or a gradient that is NaN or infinite, and what is said."""

import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import Recorder, TinyPattern, make, rows_of, tiny_batches

from elman.errors import TrainingError
from elman.training.checkpoint import latest_good
from elman.training.loop import fit
from elman.training.plan import Observer, Plan, Progress
from elman.training.store import Store


class Spoiled(TinyPattern):
    """Gives a loss that is not finite at some steps, by the loss itself or by its gradient alone."""

    def __init__(self, at: set[int], *, gradient_only: bool = False) -> None:
        super().__init__()
        self.at, self.gradient_only, self.calls = at, gradient_only, 0

    def loss(self, batch: Any, *, window: int | None = None) -> torch.Tensor:
        self.calls += 1
        loss = super().loss(batch, window=window)
        if self.calls not in self.at:
            return loss
        if self.gradient_only:  # sqrt(0) is 0 with an infinite slope
            return loss + (self.linear.bias * 0).abs().sum().sqrt()
        return loss * float("nan")


@pytest.mark.parametrize("gradient_only", [False, True])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_step_that_is_not_finite_leaves_weights_and_averages_alone(
    optimizer: str, gradient_only: bool, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    pattern, batches, recorder = Spoiled({2, 3, 5}, gradient_only=gradient_only), tiny_batches(), Recorder()
    weights = []

    class Copy(Observer):
        def on_step(self, progress: Progress, loss: float, norm: float, sequences: int) -> None:
            weights.append({name: value.clone() for name, value in pattern.state_dict().items()})

    with caplog.at_level(logging.WARNING, logger="elman"):
        outcome = fit(pattern, batches, Plan(epochs=1, optimizer=optimizer), observers=[recorder, Copy()])
    assert outcome.skipped == 3 and recorder.calls.count("skip") == 3
    assert all(torch.isfinite(value).all() for value in pattern.state_dict().values())
    for skipped in (2, 3, 5):
        before, after = weights[skipped - 2], weights[skipped - 1]
        assert all(torch.equal(before[name], after[name]) for name in before)
    assert len(caplog.messages) == 1  # explained once
    rows = batches.order(0)[1]
    assert f"epoch 1, step 2 (rows {', '.join(map(str, rows[:8]))}, ...)" in caplog.messages[0]
    if gradient_only:
        assert "layer 'linear' (bias)" in caplog.messages[0]
    else:
        assert "the loss is nan" in caplog.messages[0]


def test_skipped_steps_count_for_the_schedule_but_not_for_the_loss(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pattern, recorder = Spoiled({2}), Recorder()
    fit(pattern, tiny_batches(), Plan(epochs=1), store=Store(tmp_path), observers=[recorder])
    row = rows_of(tmp_path / "metrics.jsonl")[0]
    finite = [loss for loss in recorder.losses if math.isfinite(loss)]
    assert (row["step"], row["skipped"], len(finite)) == (6, 1, 5)
    assert row["train"]["loss"] == pytest.approx(sum(finite) / 5)


def test_five_in_a_row_stop_the_run_and_name_batch_step_and_layer(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pattern, batches = Spoiled({2, *range(4, 99)}, gradient_only=True), tiny_batches()
    with pytest.raises(TrainingError) as caught:
        fit(pattern, batches, Plan(epochs=9), store=Store(tmp_path))
    assert pattern.calls == 8
    rows = ", ".join(map(str, batches.order(1)[1][:8]))
    assert f"epoch 2, step 8 (rows {rows}, ...)" in str(caught.value)
    assert "the gradient of layer 'linear' (bias) is the first" in str(caught.value)
    assert "5 steps in a row" in str(caught.value)
    assert latest_good(tmp_path / "checkpoints")[0] == tmp_path / "checkpoints" / "00000006"


def test_weights_that_are_not_finite_are_named() -> None:
    pattern, batches = make()
    with torch.no_grad():
        pattern.encoder.layers.bias_ih_l0[0] = float("nan")
    with pytest.raises(
        TrainingError, match=r"the weights of layer 'encoder\.layers' \(bias_ih_l0\) are not finite"
    ):
        fit(pattern, batches, Plan(epochs=1))


def test_an_overflowing_norm_of_finite_gradients_is_skipped_too() -> None:
    class Steep(TinyPattern):
        def loss(self, batch: Any, *, window: int | None = None) -> torch.Tensor:
            return super().loss(batch) * 1e30

    torch.manual_seed(0)
    with pytest.raises(TrainingError, match="beyond the range"):
        fit(Steep(), tiny_batches(), Plan(epochs=1))
