"""Going on with a run, and starting again after a mistake: what the folder holds, and what Python is told."""

import json
import shutil
from pathlib import Path

import pytest
from tiny import mood_rows, write_csv

import elman
from elman.cli import main
from elman.errors import ConfigError, DataError, ElmanError, RunError
from elman.train_arguments import in_python
from elman.training.lock import RunLock

FAST = {"task": "classify", "hidden_size": 4, "threads": 1, "epochs": 2}
FAST_FLAGS = ["--task", "classify", "--hidden-size", "4", "--threads", "1", "--epochs", "2"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "train.csv", mood_rows(40))


def config_of(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text())


# config.json


def test_a_resumed_run_keeps_the_configuration_of_the_first(data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = [*FAST_FLAGS, "--train", "train.csv", "--test", "0.1", "--out", "runs/one"]
    assert main(["train", *flags]) == 0
    before = (tmp_path / "runs" / "one" / "config.json").read_bytes()
    monkeypatch.chdir(tmp_path / "runs")
    assert main(["train", "--resume", "one"]) == 0
    assert (tmp_path / "runs" / "one" / "config.json").read_bytes() == before
    config = json.loads(before)
    assert config["settings"]["out"] == str(tmp_path / "runs" / "one")
    assert config["chosen"]["train"] == str(data) and "resume" not in config["chosen"]


def test_data_that_have_moved_are_stored_where_they_are_now(data, tmp_path):
    elman.train(train=str(data), out=tmp_path / "run", **FAST)
    moved = data.rename(tmp_path / "moved.csv")
    elman.train(resume=tmp_path / "run", train=moved)
    config = config_of(tmp_path / "run")
    assert config["settings"]["train"] == config["data"]["train"]["file"] == str(moved)


def test_a_run_that_started_from_another_goes_on_without_it(data, tmp_path):
    elman.train(train=str(data), out=tmp_path / "first", **FAST)
    whole = elman.train(train=str(data), out=tmp_path / "whole", start_from=tmp_path / "first", **FAST)
    part = tmp_path / "part"
    elman.train(train=str(data), out=part, start_from=tmp_path / "first", max_minutes=1e-6, **FAST)
    shutil.rmtree(tmp_path / "first")
    again = elman.train(resume=part)
    assert again.result["valid"] == whole.result["valid"]
    shutil.rmtree(part / "checkpoints")
    with pytest.raises(ConfigError, match=r"start_from: .*first holds no trained model"):
        elman.train(resume=part)


# In memory


def test_rows_in_memory_are_asked_for_in_pythons_words(tmp_path):
    rows, out = mood_rows(40), tmp_path / "run"
    run = elman.train(train=rows, test=rows[:9], out=out, **FAST)
    for given, part in (({}, "train"), ({"train": rows}, "test")):
        with pytest.raises(DataError, match="rows in memory") as caught:
            elman.train(resume=out, **given)
        assert f"elman.train(resume={str(out)!r}, {part}=rows)" in str(caught.value)
        assert "--" not in str(caught.value)
    assert elman.train(resume=out, train=rows, test=rows[:9]).result["test"] == run.result["test"]


def test_rows_in_memory_are_asked_for_before_the_first_checkpoint_too(tmp_path):
    out = tmp_path / "run"
    elman.train(train=mood_rows(40), out=out, **FAST)
    config = config_of(out)
    del config["data"], config["chosen"]
    (out / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match="train=rows"):
        elman.train(resume=out)


# Python's words


def test_python_is_told_arguments_and_the_command_line_flags(data, tmp_path, capsys):
    out = tmp_path / "run"
    elman.train(train=str(data), out=out, **FAST)
    with pytest.raises(RunError) as caught:
        elman.train(train=str(data), out=out, **FAST)
    assert f"elman.train(resume='{out}')" in str(caught.value) and "--" not in str(caught.value)
    capsys.readouterr()
    assert main(["train", *FAST_FLAGS, "--train", str(data), "--out", str(out)]) == 1
    assert f"elman train --resume {out}" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"task=\{classify,tag,.*\}"):
        elman.train(train=str(data))
    with pytest.raises(ConfigError, match="train=FILE"):
        elman.train(task="tag")
    with pytest.raises(ConfigError, match="arguments: cell = 'lstmm' is no choice; did you mean 'lstm'"):
        elman.train(train=str(data), cell="lstmm")


def test_words_that_only_look_like_flags_stay():
    assert in_python("a.csv:3: '--lable' is no column -- or is it?") == (
        "a.csv:3: '--lable' is no column -- or is it?"
    )
    assert in_python("for one tag a token use --task tag.") == "for one tag a token use task='tag'."


# After a mistake


@pytest.mark.parametrize("wrong", [{"target": "lable"}, {"start_from": "nowhere"}, {"metric": "f1"}])
def test_a_training_that_never_began_leaves_nothing_behind(data, tmp_path, wrong):
    with pytest.raises(ElmanError):
        elman.train(train=str(data), out=tmp_path / "runs" / "one", **FAST, **wrong)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.csv"]


def test_a_folder_that_was_there_before_stays_and_is_empty_again(data, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError):
        elman.train(train=str(data), target="lable", out=tmp_path / "mine", **FAST)
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_lock_whose_file_was_deleted_keeps_out_nobody_and_fools_nobody(tmp_path):
    with RunLock(tmp_path):
        (tmp_path / "lock").unlink()  # as `give_back` does
        with RunLock(tmp_path):  # a new run, with a new file
            with pytest.raises(RunError, match="another training"):
                RunLock(tmp_path).__enter__()
    assert (tmp_path / "lock").exists()
