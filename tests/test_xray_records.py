"""`--xray-every` writes what is seen in training, changes no byte of it, and goes on with a resumed run."""

import json
import random
import signal

import pytest
import torch
from tiny import mood_rows, write_csv

import elman
from elman.config import make_settings
from elman.errors import ConfigError, Interrupted
from elman.run_train import train_run
from elman.training.checkpoint import list_checkpoints, load
from elman.training.plan import Observer
from elman.xray_records import FILE, length_until

COMMON = {"hidden_size": 6, "threads": 1, "epochs": 2, "batch_size": 8}


def texts(folder):
    draw = random.Random(0)
    path = folder / "text.txt"
    path.write_text(" ".join(draw.choice(["one", "two", "three"]) for _ in range(400)))
    return {"task": "generate", "train": str(path), "bptt_window": 10, "dropout": 0.3, "tokens": "words"}


def pairs(folder):
    draw = random.Random(0)
    words = ["".join(draw.choice("abc") for _ in range(draw.randrange(1, 6))) for _ in range(40)]
    path = write_csv(folder / "pairs.csv", [(" ".join(word), " ".join(word[::-1])) for word in words])
    return {"task": "translate", "train": str(path), "teacher_forcing": "linear", "dropout": 0.2}


def moods(folder):
    path = write_csv(folder / "moods.csv", mood_rows(40))
    return {"task": "classify", "train": str(path), "dropout": 0.3, "cell": "gru", "bidirectional": True}


KINDS = {"classify": moods, "generate": texts, "translate": pairs}


def records(folder):
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def assert_same_training(one, other):
    for name in ("metrics.jsonl", "model.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    last, other_last = (list_checkpoints(folder / "checkpoints")[-1] for folder in (one, other))
    assert last.name == other_last.name
    tensors, other_tensors = load(last)[0], load(other_last)[0]
    assert tensors.keys() == other_tensors.keys()
    assert all(torch.equal(value, other_tensors[name]) for name, value in tensors.items())


@pytest.mark.parametrize("kind", KINDS)
def test_training_with_records_makes_the_same_bytes_as_without(kind, tmp_path):
    settings = KINDS[kind](tmp_path) | COMMON
    elman.train(out=tmp_path / "plain", **settings)
    elman.train(out=tmp_path / "seen", xray_every=1, **settings)
    assert_same_training(tmp_path / "plain", tmp_path / "seen")
    assert not (tmp_path / "plain" / FILE).exists()
    lines = records(tmp_path / "seen")
    last = int(list_checkpoints(tmp_path / "seen" / "checkpoints")[-1].name)
    assert [line["step"] for line in lines] == list(range(1, last + 1))
    for line in lines:
        assert line["layers"] and all(layer["gradient_norms"] for layer in line["layers"])
        assert all(len(layer["gradient_norms"]) == len(layer["steps_from_end"]) for layer in line["layers"])


class StopAt(Observer):
    def __init__(self, step):
        self.step = step

    def on_step(self, progress, loss, norm, sequences):
        if progress.step == self.step:
            signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_has_each_record_once(kind, tmp_path):
    settings = KINDS[kind](tmp_path) | COMMON | {"xray_every": 2}
    elman.train(out=tmp_path / "whole", **settings)
    part = tmp_path / "part"
    with pytest.raises(Interrupted):
        train_run(make_settings(settings | {"out": str(part)}), observers=[StopAt(3)])
    assert [line["step"] for line in records(part)] == [2]
    with open(part / FILE, "a") as file:  # what a kill leaves of steps that are made again
        file.write(json.dumps({"step": 4}) + "\n" + '{"step": 6, "lo')
    elman.train(resume=part)
    assert (part / FILE).read_bytes() == (tmp_path / "whole" / FILE).read_bytes()
    assert_same_training(tmp_path / "whole", part)


def test_a_line_says_what_the_step_did(tmp_path):
    run = elman.train(out=tmp_path / "run", xray_every=1, optimizer="sgd", learning_rate=0.5, clip_norm=0,
                      warmup=0, decay="none", **{**moods(tmp_path), "dropout": 0.0} | COMMON)  # fmt: skip
    lines = records(tmp_path / "run")
    assert set(lines[0]["parameters"]) == {name for name, _ in run.model.named_parameters()}
    moved = [row["update"] for row in lines[0]["parameters"].values()]
    # Of gradient descent, the first step is the rate times the gradient before it.
    assert sum(value**2 for value in moved) ** 0.5 == pytest.approx(0.5 * lines[0]["gradient_norm"], rel=1e-3)


def test_records_need_a_folder_and_plain_layers(tmp_path):
    settings = moods(tmp_path) | COMMON
    with pytest.raises(ConfigError, match="out"):
        elman.train(xray_every=10, **settings)
    with pytest.raises(ConfigError, match="layer_norm"):
        elman.train(out=tmp_path / "run", xray_every=10, layer_norm=True, **settings)


def test_lines_of_later_steps_and_what_follows_a_cut_line_are_not_counted(tmp_path):
    path = tmp_path / FILE
    lines = [json.dumps({"step": step}) + "\n" for step in (10, 20, 30)]
    path.write_text("".join(lines))
    assert length_until(path, 0) == 0
    assert length_until(path, 25) == len(lines[0] + lines[1])
    assert length_until(path, 30) == path.stat().st_size
    path.write_text(lines[0] + '{"st\n' + lines[1])
    assert length_until(path, 30) == len(lines[0])
    path.write_text("".join(lines)[:-1])
    assert length_until(path, 30) == len(lines[0] + lines[1])
