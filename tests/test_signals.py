"""Ctrl-C and kill: the step is finished, everything is saved, and the second one ends at once."""

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_training import run, start, wait_for_step

from elman.training.checkpoint import latest_good, load
from elman.training.signals import StopOnSignal


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_says_how_to_resume_and_resuming_changes_nothing(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    run(whole)
    process = start(stopped, "--pause", "0.05")
    assert wait_for_step(process, 8)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == code
    assert "finishing this step, then saving" in err
    assert f"everything is saved; go on with: elman train --resume {stopped}" in err
    assert "stopped at step" in err and "(epoch 2 of 6)" in err and "Traceback" not in err
    path, refused = latest_good(stopped / "checkpoints")
    assert path is not None and not refused
    assert load(path)[1]["progress"]["step"] < 13
    run(stopped, "--resume")
    for name in ("metrics.jsonl", "model.safetensors"):
        assert (stopped / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path / "run", "--pause", "60")
    assert wait_for_step(process, 1)
    process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    before = time.perf_counter()
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == -number
    assert time.perf_counter() - before < 10


@pytest.fixture
def heard() -> Iterator[None]:
    """Have SIGINT do what it does at a terminal; tests in the background are started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_signal_is_noted_and_the_handlers_come_back(
    heard: None, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with StopOnSignal() as stop:
        assert stop.received is None
        signal.raise_signal(signal.SIGTERM)
        assert stop.received == signal.SIGTERM
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert "saving" in capfd.readouterr().err
    assert {number: signal.getsignal(number) for number in before} == before


def test_signals_that_the_parent_ignores_stay_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopOnSignal() as stop:
            signal.raise_signal(signal.SIGINT)
            assert stop.received is None
    finally:
        signal.signal(signal.SIGINT, before)
