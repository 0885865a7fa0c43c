"""The loop: what a step does, what an epoch writes, when training ends, and how it goes on later."""

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from tiny_training import ACCURACY, Recorder, evaluate_with, make, rows_of, same_weights, tiny_batches
from torch import nn

from elman.errors import CheckpointError, ConfigError, RunError
from elman.training.checkpoint import load, load_weights
from elman.training.lock import RunLock
from elman.training.loop import fit
from elman.training.optim import Schedule
from elman.training.plan import Plan, Progress
from elman.training.store import Store


def test_fit_makes_the_steps_of_a_plain_torch_loop() -> None:
    pattern, batches = make()
    fit(pattern, batches, Plan(epochs=3, learning_rate=0.02, clip_norm=0.2, warmup=4, decay="linear"))
    plain, _ = make()
    optimizer = torch.optim.Adam(plain.parameters())
    schedule = Schedule(0.02, warmup=4, decay="linear", total_steps=18)
    step = 0
    for epoch in range(3):
        for rows in batches.order(epoch):
            optimizer.zero_grad()
            plain.loss(batches.batch(rows)).backward()
            nn.utils.clip_grad_norm_(plain.parameters(), 0.2)
            optimizer.param_groups[0]["lr"] = schedule.rate(step)
            optimizer.step()
            step += 1
    for mine, other in zip(pattern.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


def test_truncation_is_used_when_the_plan_has_a_window() -> None:
    (full, batches), (truncated, _) = make(), make()
    fit(full, batches, Plan(epochs=1))
    fit(truncated, batches, Plan(epochs=1, bptt_window=2))
    assert not same_weights(full, truncated)


def test_observers_and_journals_see_every_turn(tmp_path: Path) -> None:
    pattern, batches = make()
    recorder = Recorder()
    losses = iter([3.0, 2.0])
    outcome = fit(
        pattern,
        batches,
        Plan(epochs=2, learning_rate=0.1, decay="linear"),
        evaluate=lambda: {"loss": next(losses), "f1": float("nan"), "per_class": {"a": torch.tensor(1)}},
        store=Store(tmp_path),
        observers=[recorder],
    )
    assert recorder.calls == [
        "start 0 6",
        *[f"step {n}" for n in range(1, 7)],
        *["evaluate", "save 00000006", "epoch 1 True"],
        *[f"step {n}" for n in range(7, 13)],
        *["evaluate", "save 00000012", "epoch 2 True", "end"],
    ]
    assert recorder.outcome is outcome
    rows = rows_of(tmp_path / "metrics.jsonl")
    assert rows[0] == {
        "epoch": 1,
        "step": 6,
        "train": {"loss": pytest.approx(sum(recorder.losses[:6]) / 6)},
        "valid": {"loss": 3.0, "f1": None, "per_class": {"a": 1}},
        "learning_rate": pytest.approx(0.1 * (1 - 5 / 12)),
        "skipped": 0,
    }
    timing = rows_of(tmp_path / "timing.jsonl")
    assert [row["step"] for row in timing] == [6, 12]
    assert timing[1].keys() == {"epoch", "step", "seconds", "sequences_per_second", "steps_per_second"}
    assert timing[0]["sequences_per_second"] == pytest.approx(10 * timing[0]["steps_per_second"], rel=0.1)
    assert (outcome.reason, outcome.step, outcome.epoch, outcome.best_step) == ("finished", 12, 2, 12)


def test_the_best_weights_are_kept_and_returned(tmp_path: Path) -> None:
    pattern, batches = make()
    metrics = iter([0.2, 0.9, 0.9, 0.5])
    copies = []

    def evaluate() -> dict[str, float]:
        assert not pattern.training and not torch.is_grad_enabled()
        copies.append({name: value.clone() for name, value in pattern.state_dict().items()})
        return {"accuracy": next(metrics)}

    outcome = fit(pattern, batches, Plan(epochs=4, **ACCURACY), evaluate=evaluate, store=Store(tmp_path))
    assert (outcome.best_epoch, outcome.best_step, outcome.metrics) == (2, 12, {"accuracy": 0.9})
    assert same_weights(pattern, copies[1]) and not pattern.training
    tensors, metadata = load_weights(tmp_path / "model.safetensors")
    assert metadata == {"step": 12, "epoch": 2}
    assert same_weights(pattern, tensors)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "00000012",
        "00000018",
        "00000024",
    ]


@pytest.mark.parametrize(("larger", "values"), [(True, [1, 3, 2, 3, 1, 9]), (False, [5, 3, 4, 3, 6, 0])])
def test_patience_ends_training_after_epochs_without_a_better_metric(larger: bool, values: list[int]) -> None:
    pattern, batches = make()
    metrics = iter(values)
    plan = Plan(epochs=6, metric="m", larger_is_better=larger, patience=3)
    outcome = fit(pattern, batches, plan, evaluate=lambda: {"m": next(metrics)})
    assert (outcome.reason, outcome.epoch, outcome.best_epoch) == ("patience", 5, 2)


def test_a_metric_that_is_no_number_is_never_the_best() -> None:
    pattern, batches = make()
    metrics = iter([float("nan"), 0.5, float("nan")])
    outcome = fit(pattern, batches, Plan(epochs=3, metric="m"), evaluate=lambda: {"m": next(metrics)})
    assert outcome.best_epoch == 2
    outcome = fit(pattern, batches, Plan(epochs=2, metric="m"), evaluate=lambda: {"m": float("nan")})
    assert outcome.best_epoch == 2  # none was better, so the last


def test_an_unknown_metric_is_refused_with_the_nearest() -> None:
    pattern, batches = make()
    plan = Plan(epochs=1, metric="acuracy")
    with pytest.raises(ConfigError, match="did you mean 'accuracy'"):
        fit(pattern, batches, plan, evaluate=lambda: evaluate_with(pattern, batches))
    with pytest.raises(ConfigError, match="unknown metric 'table'"):
        fit(pattern, batches, Plan(epochs=1, metric="table"), evaluate=lambda: {"table": {}, "loss": 1.0})


def test_time_ends_training_with_a_usable_model_and_it_goes_on_later(tmp_path: Path) -> None:
    pattern, batches = make()
    plan = Plan(epochs=3, max_minutes=1e-9, **ACCURACY)
    outcome = fit(
        pattern, batches, plan, evaluate=lambda: evaluate_with(pattern, batches), store=Store(tmp_path)
    )
    assert (outcome.reason, outcome.step, outcome.best_step) == ("time", 1, 1)
    assert same_weights(pattern, load_weights(tmp_path / "model.safetensors")[0])
    assert not (tmp_path / "metrics.jsonl").exists()
    other, _ = make(seed=9)
    outcome = fit(
        other,
        batches,
        Plan(epochs=3, **ACCURACY),
        evaluate=lambda: evaluate_with(other, batches),
        store=Store(tmp_path),
        resume=True,
    )
    assert (outcome.reason, outcome.step) == ("finished", 18)
    whole, _ = make()
    fit(whole, batches, Plan(epochs=3, **ACCURACY), evaluate=lambda: evaluate_with(whole, batches))
    assert same_weights(other, whole)
    assert len(rows_of(tmp_path / "metrics.jsonl")) == 3


def test_a_folder_with_checkpoints_is_refused_unless_resumed(tmp_path: Path) -> None:
    pattern, batches = make()
    fit(pattern, batches, Plan(epochs=1), store=Store(tmp_path))
    with pytest.raises(RunError, match="resume it"):
        fit(pattern, batches, Plan(epochs=1), store=Store(tmp_path))


def test_resuming_before_the_first_checkpoint_starts_afresh(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n')  # of an epoch whose checkpoint was not made
    pattern, batches = make()
    outcome = fit(pattern, batches, Plan(epochs=1), store=Store(tmp_path), resume=True)
    assert outcome.step == 6
    assert len(rows_of(tmp_path / "metrics.jsonl")) == 1


def test_resuming_a_finished_run_gives_its_outcome_and_best_weights(tmp_path: Path) -> None:
    pattern, batches = make()
    plan = Plan(epochs=3, learning_rate=0.02, **ACCURACY)
    first = fit(
        pattern, batches, plan, evaluate=lambda: evaluate_with(pattern, batches), store=Store(tmp_path)
    )
    other, _ = make(seed=5)
    recorder = Recorder()
    second = fit(
        other,
        batches,
        plan,
        evaluate=lambda: pytest.fail("nothing is left to validate"),
        store=Store(tmp_path),
        observers=[recorder],
        resume=True,
    )
    assert recorder.calls == ["start 18 6", "end"]
    assert second == first
    assert same_weights(other, pattern)


def test_resuming_with_another_network_or_other_data_is_refused(tmp_path: Path) -> None:
    pattern, batches = make()
    fit(pattern, batches, Plan(epochs=1), store=Store(tmp_path))
    with pytest.raises(CheckpointError, match="6 batches an epoch, not 12"):
        fit(pattern, tiny_batches(batch_size=5), Plan(epochs=2), store=Store(tmp_path), resume=True)
    pattern.linear = nn.Linear(8, 4)
    with pytest.raises(CheckpointError, match=r"another network.*linear\.weight"):
        fit(pattern, batches, Plan(epochs=2), store=Store(tmp_path), resume=True)


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_goes_on_bit_for_bit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pattern, batches = make()
    plan = Plan(epochs=3, **ACCURACY)
    fit(pattern, batches, plan, evaluate=lambda: evaluate_with(pattern, batches), store=Store(tmp_path))
    whole = (tmp_path / "metrics.jsonl").read_bytes()
    damage(tmp_path / "checkpoints" / "00000018" / "tensors.safetensors")
    damage(tmp_path / "model.safetensors")
    other, _ = make(seed=4)
    with caplog.at_level(logging.WARNING, logger="elman"):
        fit(
            other,
            batches,
            plan,
            evaluate=lambda: evaluate_with(other, batches),
            store=Store(tmp_path),
            resume=True,
        )
    assert any("00000018/tensors.safetensors is damaged" in message for message in caplog.messages)
    assert any(message.endswith("checkpoints/00000012") for message in caplog.messages)
    assert same_weights(other, pattern)
    assert same_weights(other, load_weights(tmp_path / "model.safetensors")[0])
    assert (tmp_path / "metrics.jsonl").read_bytes() == whole
    assert (tmp_path / "checkpoints" / "00000018.damaged").is_dir()
    assert load(tmp_path / "checkpoints" / "00000018")


def test_all_checkpoints_damaged_is_an_error_that_names_them(tmp_path: Path) -> None:
    pattern, batches = make()
    fit(pattern, batches, Plan(epochs=2), store=Store(tmp_path))
    for path in (tmp_path / "checkpoints").iterdir():
        damage(path / "state.json")
    with pytest.raises(CheckpointError, match=r"every checkpoint is damaged.*00000012.*00000006"):
        fit(pattern, batches, Plan(epochs=2), store=Store(tmp_path), resume=True)


def test_a_lost_best_is_told_and_chosen_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pattern, batches = make()
    metrics = iter([0.9, 0.1, 0.2, 0.3])
    plan = Plan(epochs=3, **ACCURACY)
    fit(pattern, batches, plan, evaluate=lambda: {"accuracy": next(metrics)}, store=Store(tmp_path))
    damage(tmp_path / "model.safetensors")
    damage(tmp_path / "checkpoints" / "00000006" / "tensors.safetensors")
    with caplog.at_level(logging.WARNING, logger="elman"):
        outcome = fit(
            pattern,
            batches,
            Plan(epochs=4, **ACCURACY),
            evaluate=lambda: {"accuracy": next(metrics)},
            store=Store(tmp_path),
            resume=True,
        )
    assert any("best weights so far (step 6) are lost" in message for message in caplog.messages)
    assert (outcome.best_epoch, outcome.metrics) == (4, {"accuracy": 0.3})


def test_a_journal_that_lost_lines_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pattern, batches = make()
    fit(pattern, batches, Plan(epochs=1), store=Store(tmp_path))
    (tmp_path / "metrics.jsonl").unlink()
    with caplog.at_level(logging.WARNING, logger="elman"):
        fit(pattern, batches, Plan(epochs=2), store=Store(tmp_path), resume=True)
    assert any("bytes are missing" in message for message in caplog.messages)


def test_training_works_in_another_thread() -> None:
    pattern, batches = make()
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(fit(pattern, batches, Plan(epochs=1))))
    thread.start()
    thread.join()
    assert outcomes[0].reason == "finished"


@pytest.mark.slow
def test_training_does_not_load_torchs_compiler() -> None:
    # Importing it takes more than a second; a torch.optim object would do that.
    code = (
        "import sys; from tiny_training import *; fit(TinyPattern(), tiny_batches(), Plan(epochs=1));"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    tests = Path(__file__).parent
    path = os.pathsep.join([str(tests), str(tests.parent / "src")])
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": path})


def test_a_run_folder_has_one_training_at_a_time(tmp_path: Path) -> None:
    with (
        RunLock(tmp_path),
        pytest.raises(RunError, match=r"another training is at work here \(process \d+\)"),
    ):
        RunLock(tmp_path).__enter__()
    with RunLock(tmp_path):
        pass
    with pytest.raises(RunError, match="cannot be locked"):
        RunLock(tmp_path / "none").__enter__()


def test_plans_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="epochs = 0"):
        Plan(epochs=0)
    with pytest.raises(ConfigError, match="patience = 0"):
        Plan(epochs=1, patience=0)
    with pytest.raises(CheckpointError, match="'more'"):
        Progress.from_json({**Progress().to_json(), "more": 1})
