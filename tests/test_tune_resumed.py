"""`elman tune --resume`: nothing is lost by a kill, a signal or the end of the time."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import mood_rows, write_csv
from tiny_search import FAST, WORDS, bare, write_moods

import elman
from elman.cli import main
from elman.config import make_settings
from elman.errors import ConfigError, DataError, Interrupted
from elman.tuning import study, trial, tune
from elman.tuning.search import JOURNAL, Search

pytest.importorskip("optuna", reason="the extra tune is not installed")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_moods(tmp_path_factory.mktemp("tune"))


def elman_process(*words: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "elman", *words],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment,
    )  # fmt: skip


def wait_for_trials(folder: Path, count: int) -> None:
    """Wait until the next trial after so many is on its way."""
    journal, began = folder / JOURNAL, time.monotonic()
    while time.monotonic() - began < 60:
        if journal.exists() and journal.read_text().count('"number"') > count:
            return
        time.sleep(0.01)
    raise AssertionError("no trial was scored in two minutes")


@pytest.mark.slow
def test_killed_and_resumed_a_search_tries_the_same_as_one_that_was_not(data, tmp_path):
    arguments = ["tune", *WORDS, "--train", str(data), "--valid", "0.3", "--trials", "12"]
    whole = elman_process(*arguments, "--out", str(tmp_path / "whole"))
    assert whole.wait(timeout=200) == 0
    killed = elman_process(*arguments, "--out", str(tmp_path / "killed"))
    try:
        wait_for_trials(tmp_path / "killed", 4)
    finally:
        killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed" / "best").exists()
    assert main(["tune", "--resume", str(tmp_path / "killed")]) == 0
    assert bare(tmp_path / "killed") == bare(tmp_path / "whole")
    models = [tmp_path / name / "best" / "model.safetensors" for name in ("killed", "whole")]
    assert models[0].read_bytes() == models[1].read_bytes()


def test_a_trial_that_was_running_when_the_process_was_killed_is_tried_again(data, tmp_path):
    out = tmp_path / "out"
    elman.tune(**FAST, train=str(data), out=out, trials=3)
    searched = Search.read(out).study()
    lost = searched.ask(4)
    with open(out / JOURNAL, "a") as file:
        file.write('{"op_code": 6, "work')  # a line cut by the kill
    assert [one.state for one in Search.read(out).study().trials()][-1] == "running"
    found = elman.tune(resume=out, trials=5)
    assert [one.number for one in found.trials] == [0, 1, 2, 3, 4]
    assert dict(found.trials[3].values) == lost.params and found.trials[3].state != "failed"


def test_a_trial_that_kills_its_process_again_and_again_counts_as_failed(data, tmp_path):
    elman.tune(**FAST, train=str(data), out=tmp_path / "out", trials=1)
    for _ in range(study.MOST_ATTEMPTS):
        searched = Search.read(tmp_path / "out").study()
        searched.take_back_broken(again=True)
        assert searched.ask(2) is not None
    searched.take_back_broken(again=True)
    assert searched.ask(2) is None
    assert searched.trials()[1].state == "failed" and "killed" in searched.trials()[1].reason


def test_more_trials_go_on_from_those_that_are_there(data, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    elman.tune(**FAST, train=str(data), valid=0.3, out=whole, trials=10)
    elman.tune(**FAST, train=str(data), valid=0.3, out=out, trials=4)
    assert bare(out) == bare(whole)[:4]
    elman.tune(resume=out, trials=10)
    assert bare(out) == bare(whole)


def test_other_data_are_refused_when_a_search_is_resumed(data, tmp_path):
    out = tmp_path / "out"
    elman.tune(**FAST, train=str(data), out=out, trials=1)
    other = write_csv(tmp_path / "other.csv", mood_rows(50, seed=3))
    with pytest.raises(DataError, match="have changed since the search began"):
        elman.tune(resume=out, train=str(other), trials=2)
    with pytest.raises(ConfigError, match="dropout cannot change when a search is resumed"):
        elman.tune(resume=out, dropout=0.5)


def test_a_signal_ends_the_search_and_says_how_to_go_on(data, tmp_path, capsys):
    out = tmp_path / "out"
    plain_report, reports = trial.Rungs.on_epoch, []

    def on_epoch(self, *arguments):
        reports.append(arguments)
        if len(reports) == 10:
            signal.raise_signal(signal.SIGINT)
        plain_report(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial.Rungs, "on_epoch", on_epoch)
        code = main(["tune", *WORDS, "--train", str(data), "--out", str(out), "--trials", "6"])
    assert code == 130
    assert f"go on with: elman tune --resume {out}" in capsys.readouterr().err
    assert [one.state for one in Search.read(out).study().trials()] == ["done", "done"]
    assert len(elman.tune(resume=out).trials) == 6


def test_the_time_ends_the_search_but_not_before_the_recipe_was_tried(data, tmp_path):
    found = elman.tune(**FAST, train=str(data), out=tmp_path / "out", trials=50, timeout=1e-6)
    assert [one.number for one in found.trials] == [0]
    assert found.best.number == 0


def test_a_test_part_in_memory_is_to_be_given_again(tmp_path):
    rows, held = mood_rows(30), mood_rows(9, seed=1)
    elman.tune(**FAST, train=rows, test=held, out=tmp_path / "out", trials=1)
    with pytest.raises(DataError, match="its test data were rows in memory"):
        elman.tune(resume=tmp_path / "out", train=rows)
    found = elman.tune(resume=tmp_path / "out", train=rows, test=held, trials=2)
    assert len(found.trials) == 2 and "accuracy" in found.run.result["test"]


def test_the_best_run_stays_where_a_search_is_resumed_from_another_folder(
    data, monkeypatch, tmp_path, capsys
):
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("mood.csv", "copy.csv"):
        (tmp_path / name).write_bytes(data.read_bytes())
    first = elman.tune(**FAST, train="mood.csv", out="out", trials=1)
    made = (first.folder / "best" / "model.safetensors").stat().st_mtime_ns
    monkeypatch.chdir(tmp_path / "else")
    capsys.readouterr()
    elman.tune(resume="../out", train="../mood.csv")
    assert (tmp_path / "out" / "best" / "model.safetensors").stat().st_mtime_ns == made
    assert "replaced" not in capsys.readouterr().err
    elman.tune(resume="../out", train="../copy.csv")
    assert "other data were given: the former best run is replaced" in capsys.readouterr().err


def test_an_interrupted_training_of_the_best_is_gone_on_with(data, monkeypatch, tmp_path):
    def train_run(*arguments, **more):
        raise Interrupted("stopped", 15)

    with monkeypatch.context() as patch:
        patch.setattr(tune, "train_run", train_run)
        with pytest.raises(Interrupted, match=r"elman.tune\(resume=") as stop:
            elman.tune(**FAST, train=str(data), out=tmp_path / "out", trials=2)
    assert stop.value.exit_code == 143
    assert elman.tune(resume=tmp_path / "out").run.result["valid"]


@pytest.mark.parametrize(
    ("first", "again", "said", "each"),
    [
        ({}, {}, "", None),
        ({}, {"processes": 2}, "threads: 2 in each of 2 processes; the trials so far had all in one", 2),
        ({"processes": 2}, {}, "threads: 2 in each of 2 processes\n", 2),
        ({"processes": 2}, {"processes": 1}, "threads: all in one process; the trials so far had 2 in", None),
        ({"processes": 2}, {"threads": 3}, "threads: 3 in each of 2 processes; the trials so far had 2", 3),
        ({"threads": 3}, {"processes": 2}, "threads: 3 in each of 2 processes\n", 3),
        ({"threads": 3}, {"threads": 1}, "threads: 1 in one process; the trials so far had 3", 1),
    ],
)
def test_threads_are_those_asked_for_now_and_said(first, again, said, each, data, monkeypatch, tmp_path):
    """Of four cores, whatever this machine has."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3})
    seen, lines = [], []

    def no_trials(search, *arguments):
        seen.append(search.settings_of_trials().threads)
        raise Interrupted("stopped", 2)

    monkeypatch.setattr(tune, "_search", no_trials)
    values = {name: value for name, value in FAST.items() if name != "threads"} | {"train": str(data)}

    def run(processes=None, **settings):
        lines.clear()
        with pytest.raises(Interrupted):
            tune.tune_run(make_settings(settings), processes=processes, announce=lines.append)
        return "".join(f"{line}\n" for line in lines if line.startswith("threads"))

    out = str(tmp_path / "out")
    run(**values, **first, out=out)
    told = run(**again, resume=out)
    assert told.startswith(said) and bool(told) == bool(said)
    assert seen[-1] == each


def test_with_other_threads_the_best_run_stays(data, tmp_path):
    first = elman.tune(**FAST, train=str(data), out=tmp_path / "out", trials=1)
    made = (first.folder / "best" / "model.safetensors").stat().st_mtime_ns
    elman.tune(resume=first.folder, threads=2)
    assert (first.folder / "best" / "model.safetensors").stat().st_mtime_ns == made
