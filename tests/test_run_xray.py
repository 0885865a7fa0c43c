"""`run.xray` and `elman xray`: the X-ray of a run of every task, from its own data and from a file."""

import json
import math
import random

import pytest
import torch
from rich.cells import cell_len
from tiny import mood_rows, tagged_sentences, write_conll, write_csv
from xray_data import make_examination, make_xray

import elman
from elman.cli import main
from elman.errors import ConfigError, DataError
from elman.run_xray import choose_batch
from elman.xray.json_form import json_form
from elman.xray_terminal import bar, described

COMMON = {"hidden_size": 6, "threads": 1, "epochs": 1, "batch_size": 8}


def moods(folder):
    return {"task": "classify", "train": str(write_csv(folder / "moods.csv", mood_rows(40)))}


def tags(folder):
    path = write_conll(folder / "tags.conll", tagged_sentences(40))
    return {"task": "tag", "train": str(path), "crf": True}


def text(folder):
    draw = random.Random(0)
    path = folder / "text.txt"
    path.write_text(" ".join(draw.choice(["one", "two", "three"]) for _ in range(400)))
    return {"task": "generate", "train": str(path), "bptt_window": 10}


def gaps(folder):
    path = write_csv(folder / "gaps.csv", mood_rows(40))
    return {"task": "fill", "train": str(path), "input": "text"}


def words(folder):
    draw = random.Random(0)
    drawn = ["".join(draw.choice("abc") for _ in range(draw.randrange(1, 6))) for _ in range(40)]
    path = write_csv(folder / "pairs.csv", [(" ".join(word), " ".join(word[::-1])) for word in drawn])
    return {"task": "translate", "train": str(path)}


def series(folder):
    path = folder / "series.csv"
    lines = [f"{day},{math.sin(day / 3):.4f}" for day in range(200)]
    path.write_text("day,value\n" + "\n".join(lines))
    return {"task": "forecast", "train": str(path), "target": "value", "horizon": 3, "context": 12}


def numbers(folder):
    path = folder / "numbers.jsonl"
    draw = random.Random(0)
    rows = [[draw.random() for _ in range(draw.randrange(2, 9))] for _ in range(40)]
    path.write_text("".join(json.dumps({"x": row, "y": sum(row)}) + "\n" for row in rows))
    return {"task": "regress", "train": str(path)}


RUNS = {
    "classify": moods, "tag": tags, "generate": text, "fill": gaps, "translate": words, "forecast": series,
    "regress": numbers,
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_every_task_has_an_x_ray_from_its_own_data(name, tmp_path):
    settings = RUNS[name](tmp_path)
    elman.train(out=tmp_path / "run", **settings | COMMON)
    run = elman.load(tmp_path / "run")
    before = {key: value.clone() for key, value in run.model.state_dict().items()}
    found = run.xray(rows=3)
    said = str(found).splitlines()
    assert said[0].startswith("X-ray of ") and len(said) == max(1, len(found.diagnoses)) + 1
    assert found.run_name == "run" and found.examination.layers and found.loss_curve
    assert json.loads(json.dumps(found.to_json()))["run_name"] == "run"
    assert "first/last" in described(found)
    assert found.padding.startswith("padding and batch-mates change nothing")
    assert found.padding in " ".join(described(found, 1000).split("\n"))
    assert all(torch.equal(value, before[key]) for key, value in run.model.state_dict().items())
    if name in ("classify", "tag", "generate", "fill", "translate"):
        assert [len(row) for row in found.tokens] == [len(row) for row in found.saliency]
    else:
        assert found.tokens is None
    if name == "translate":
        for tokens, looks in zip(found.tokens, found.attention, strict=True):
            assert all(sum(row) == pytest.approx(1, abs=1e-5) and len(row) == len(tokens) for row in looks)
    else:
        assert found.attention is None
    if name == "forecast":  # whose training part is never scored
        with pytest.raises(DataError, match="context only"):
            run.xray(settings["train"])
    else:
        again = run.xray(settings["train"], rows=3)
        assert len(again.examination.layers) == len(found.examination.layers)


def test_the_tokens_are_those_of_the_rows_and_the_gradients_autograds(tmp_path):
    run = elman.train(out=tmp_path / "run", **tags(tmp_path) | COMMON | {"crf": False})
    sentences = [(["Ada", "likes", "Oslo", "."], ["B-PER", "O", "B-LOC", "O"])]
    found = run.xray(sentences)
    assert len(found.tokens) == 1 and len(found.tokens[0]) == 4 and found.tokens[0][3] == "."
    batch = choose_batch(run.task, [elman.data.example.Example(*sentences[0])], 1)
    features = run.model.input_layer(batch.features)
    data = features.data.detach().requires_grad_()
    output = run.model.encoder(features.with_data(data))[0]
    loss = torch.nn.functional.cross_entropy(run.model.linear(output.data[0]), batch.target.data[0])
    loss.backward()
    assert found.saliency[0] == pytest.approx(data.grad[0].norm(dim=-1).tolist(), rel=1e-4)
    assert found.examination.loss == pytest.approx(float(loss.detach()), rel=1e-5)


def test_data_that_are_gone_or_have_changed_are_asked_for(tmp_path):
    settings = moods(tmp_path)
    elman.train(out=tmp_path / "run", **settings | COMMON)
    write_csv(tmp_path / "moods.csv", mood_rows(50, seed=1))
    with pytest.raises(DataError, match=r"have changed.*--data FILE"):
        elman.load(tmp_path / "run").xray()
    (tmp_path / "moods.csv").unlink()
    with pytest.raises(DataError, match=r"moods\.csv"):
        elman.load(tmp_path / "run").xray()
    run = elman.train(task="classify", train=mood_rows(40), out=tmp_path / "memory", **COMMON)
    assert run.xray().examination.layers  # right after training they are known
    with pytest.raises(DataError, match="rows in memory"):
        elman.load(tmp_path / "memory").xray()
    assert elman.load(tmp_path / "memory").xray(mood_rows(10)).examination.layers
    with pytest.raises(ConfigError, match="rows"):
        run.xray(rows=0)
    with pytest.raises(DataError, match="none of the examples"):
        run.xray([("the film was good", "unheard of")])


def test_records_are_read_and_their_losses_are_the_curve(tmp_path):
    run = elman.train(out=tmp_path / "run", xray_every=2, **moods(tmp_path) | COMMON)
    found = run.xray()
    assert found.records and found.loss_curve == [(line["step"], line["loss"]) for line in found.records]


def test_the_command_prints_tables_or_json(tmp_path, capsys):
    settings = moods(tmp_path)
    elman.train(out=tmp_path / "run", cell="rnn", **settings | COMMON)
    capsys.readouterr()
    assert main(["xray", str(tmp_path / "run"), "--data", settings["train"], "--rows", "5"]) == 0
    shown = capsys.readouterr().out
    assert "5 of 40 examples" in shown and "horizon" in shown and "a shade a power of ten" in shown
    assert main(["xray", str(tmp_path / "run"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["format"] == 1 and found["examination"]["layers"][0]["mode"] == "RNN_TANH"
    assert main(["xray", str(tmp_path / "nowhere")]) == 1


def test_the_command_writes_a_page(tmp_path, capsys):
    settings = moods(tmp_path)
    elman.train(out=tmp_path / "run", cell="gru", xray_every=2, **settings | COMMON)
    capsys.readouterr()
    page = tmp_path / "xray.html"
    assert main(["xray", str(tmp_path / "run"), "--rows", "5", "--json", "--output", str(page)]) == 0
    assert json.loads(capsys.readouterr().out)["format"] == 1
    written = page.read_text(encoding="utf-8")
    for words in ("X-ray of run", "While it learned", "The strongest", "weight_hh_l0"):
        assert words in written
    assert main(["xray", str(tmp_path / "run"), "--output", str(tmp_path / "no" / "x.html")]) == 1
    assert f"there is no folder {tmp_path / 'no'}" in capsys.readouterr().err


def test_a_diagnosis_is_shown_with_its_remedy(tmp_path):
    one_way = {"cell": "rnn", "bidirectional": False, "pooling": "last"}
    run = elman.train(out=tmp_path / "run", **one_way, **numbers(tmp_path) | COMMON)
    for name, value in run.model.encoder.named_parameters():
        if "weight_hh" in name:
            value.data.zero_()
    rows = [([0.1 * step for step in range(30)], 1.0)] * 3
    shown = described(run.xray(rows))
    assert "vanishing in" in shown and "try: --cell lstm --init chrono --memory-steps 30" in shown


def test_a_bar_has_a_shade_a_power_of_ten():
    assert bar([10.0**-power for power in range(10)]) == "█▇▆▅▄▃▂▁▁▁"
    assert bar([]) == "" and bar([0.0, math.inf]) == " █"
    assert len(bar([1.0] * 1000)) == 60
    assert bar([1.0] + [1e-9] * 119)[:2] == "█▁"
    assert json_form(math.inf) is None


@pytest.mark.parametrize("width", [66, 80, 120])
def test_what_is_printed_is_no_wider_than_the_terminal_and_tells_layers_apart(width):
    examination = make_examination(layers=2, two=True)
    for flow in examination.layers:
        object.__setattr__(flow, "name", "an_encoder_in.an_encoder.layers.0.layer")
    shown = described(make_xray("a long name " * 8, examination), width)
    assert max(cell_len(line) for line in shown.splitlines()) <= width
    for place in ("layer 1 ", "layer 2 ", "layer 1 backward", "layer 2 backward"):
        assert place in shown


def test_a_run_whose_network_looks_at_the_padding_is_told_so_with_the_place(tmp_path, monkeypatch):
    run = elman.train(pooling="max", **moods(tmp_path) | COMMON)
    pooling = type(run.model.pooling)
    monkeypatch.setattr(pooling, "forward", lambda self, steps, *rest: steps.data.amax(1).repeat(1, 1))
    found = run.xray(mood_rows(8))
    leaks = [one for one in found.diagnoses if one.name == "padding leak"]
    assert leaks and all(one.severity == 1 and "enters at pooling" in one.evidence for one in leaks)
    assert "change what it says" in found.padding
