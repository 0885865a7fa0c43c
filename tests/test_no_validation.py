"""Training on all data: nothing is held out, the last weights are kept, and that is said everywhere."""

import json

import pytest
from tiny import mood_rows, tagged_sentences
from tiny_training import same_weights

import elman
from elman import tables, terminal
from elman.cli import main
from elman.config import make_settings
from elman.dataset import read_dataset
from elman.errors import ConfigError, DataError, Interrupted
from elman.run_train import train_run
from elman.training.plan import Observer

FAST = {"hidden_size": 4, "threads": 1, "epochs": 2, "valid": 0}
NUMBERS = [([float(row % 5), float(row % 3)], float(row % 7)) for row in range(30)]
STEPS = [([[float(row % 5)], [1.0]], [float(row % 5), 2.0]) for row in range(30)]

ROWS = {
    "classify": mood_rows(30),
    "tag": tagged_sentences(20),
    "regress": NUMBERS,
    "regress_steps": STEPS,
    "fill": [" ".join(words) for words, _ in tagged_sentences(20)],
    "generate": [" ".join(words) for words, _ in tagged_sentences(20)],
    "translate": [(text.split()[1], text.split()[1][::-1]) for text, _ in mood_rows(30)],
}


def unfolded(text):
    return " ".join(text.split())


@pytest.mark.parametrize("task", ROWS)
def test_every_task_trains_on_all_rows_and_keeps_the_last_epoch(task, tmp_path):
    run = elman.train(task=task, train=ROWS[task], out=tmp_path / "run", **FAST)
    assert run.data["train"]["examples"] == len(ROWS[task])
    assert "valid" not in run.data and "valid" not in run.result
    assert run.result["kept"] == "last" and run.result["best"]["epoch"] == 2
    assert [row["valid"] for row in run.history] == [{}, {}]
    assert tables.UNSCORED in unfolded(terminal.outcome(run))
    assert tables.UNSCORED in unfolded(terminal.described(elman.load(tmp_path / "run")))
    page = (tmp_path / "run" / "report.html").read_text()
    assert tables.UNSCORED in page and "validation loss" not in page


def test_the_kept_weights_are_those_after_the_last_step(tmp_path):
    rows = mood_rows(40)
    once = elman.train(task="classify", train=rows, **FAST | {"epochs": 3, "dropout": 0.0})
    # Scored by a metric that never changes, the first epoch of three would be the best.
    again = elman.train(
        task="classify", train=rows, out=tmp_path / "run", **FAST | {"epochs": 3, "dropout": 0.0}
    )
    last = sorted((tmp_path / "run" / "checkpoints").iterdir(), key=lambda path: int(path.name))[-1]
    from safetensors.torch import load_file

    tensors = load_file(next(last.glob("*.safetensors")))
    weights = {name.removeprefix("weights/"): value for name, value in tensors.items()}
    assert same_weights(again.model, weights) and same_weights(once.model, weights)


def test_a_running_text_is_read_to_its_end(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("to be or not to be. " * 20, encoding="utf-8")
    settings = make_settings({"task": "generate", "train": str(path), "valid": 0})
    dataset = read_dataset(settings, {})
    assert len(dataset.train[0].input) == 400 and not dataset.valid


def test_a_test_part_is_still_scored():
    run = elman.train(task="classify", train=mood_rows(40), test=0.25, **FAST)
    assert run.data["train"]["examples"] == 30 and run.data["test"]["examples"] == 10
    assert 0 <= run.result["test"]["accuracy"] <= 1 and run.result["kept"] == "last"


def test_with_a_validation_part_the_best_is_kept():
    run = elman.train(task="classify", train=mood_rows(40), **FAST | {"valid": 0.2})
    assert run.result["kept"] == "best"


@pytest.mark.parametrize(("name", "value"), [("patience", 2), ("metric", "loss")])
def test_what_needs_validation_is_refused_before_anything_is_read(name, value, tmp_path):
    with pytest.raises(ConfigError, match=f"{name} looks at the validation part, and valid = 0"):
        elman.train(task="classify", train="absent.csv", out=tmp_path / "run", **FAST, **{name: value})
    assert not (tmp_path / "run").exists()


def test_forecasts_need_validation_for_their_intervals():
    with pytest.raises(ConfigError, match="intervals are calibrated on the validation part"):
        elman.train(task="forecast", train="absent.csv", valid=0)


@pytest.mark.parametrize("value", [1.5, 1, -0.2, float("nan"), "100%", "0,1", "10 %", True])
@pytest.mark.parametrize("task", ["classify", "forecast"])
def test_what_no_share_is_is_refused_before_anything_is_read(value, task):
    """The message says all that may be given; to forecasts 0 may not."""
    shown = f"{value:g}" if isinstance(value, float | int) else value
    with pytest.raises(ConfigError, match=rf"^valid = {shown} cannot be held out; give a share") as caught:
        elman.train(task=task, train="absent.csv", valid=value)
    assert ("above 0 and below 1" in str(caught.value)) and str(caught.value).endswith("or a file.")
    assert ("0 (nothing is held out" in str(caught.value)) == (task == "classify")


def test_a_file_may_be_called_like_a_share(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "10%").write_text("text,label\n")
    with pytest.raises(DataError, match="10%: "):
        elman.train(task="classify", train=mood_rows(20), **(FAST | {"valid": "10%"}))


def test_a_test_part_of_nothing_is_to_be_left_out():
    with pytest.raises(ConfigError, match=r"test = 0 cannot be held out; .* or leave test out\.$"):
        elman.train(task="classify", train=mood_rows(20), **FAST, test=0)


class StopAt(Observer):
    """Ask to stop at a step, as Ctrl-C does."""

    def on_step(self, progress, loss, norm, sequences):
        if progress.step == 2:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGINT)


def test_resumed_is_the_same_as_never_stopped(tmp_path):
    rows, more = mood_rows(40), {"batch_size": 10, "epochs": 3}
    whole = elman.train(task="classify", train=rows, out=tmp_path / "whole", **FAST | more)
    settings = make_settings({"task": "classify", "out": str(tmp_path / "cut")} | FAST | more)
    with pytest.raises(Interrupted):
        train_run(settings, data={"train": rows}, observers=[StopAt()])
    resumed = elman.train(resume=tmp_path / "cut", train=rows)
    assert same_weights(whole.model, resumed.model)
    names = ("model.safetensors", "metrics.jsonl")
    assert all((tmp_path / "whole" / n).read_bytes() == (tmp_path / "cut" / n).read_bytes() for n in names)


def test_a_run_does_not_change_its_mind_when_it_is_resumed(tmp_path):
    rows = mood_rows(40)
    elman.train(task="classify", train=rows, out=tmp_path / "run", **FAST)
    with pytest.raises(DataError, match="began with no validation part"):
        elman.train(resume=tmp_path / "run", train=rows, valid=rows[:10])
    elman.train(task="classify", train=rows, out=tmp_path / "other", **FAST | {"valid": rows[:10]})
    with pytest.raises(DataError, match="began with a validation part"):
        elman.train(resume=tmp_path / "other", train=rows, valid=0)


def test_time_ends_an_epoch_halfway_with_the_last_weights(tmp_path):
    run = elman.train(task="classify", train=mood_rows(40), **FAST | {"max_minutes": 1e-9})
    assert run.result["stopped"] == "time" and run.result["best"]["step"] == 1


def test_the_command_line_says_so(tmp_path, capsys):
    path = tmp_path / "mood.jsonl"
    path.write_text(
        "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in mood_rows(30))
    )
    out = str(tmp_path / "run")
    words = ["--train", str(path), "--out", out, "--valid", "0", "--epochs", "2", "--hidden-size", "4"]
    assert main(["train", "--task", "classify", "--threads", "1", *words]) == 0
    said = capsys.readouterr()
    assert "no validation part" in said.err and "kept the last weights" in said.err
    assert not any(line.endswith("  best") for line in said.err.splitlines())
    assert tables.UNSCORED in unfolded(said.out)
