"""Generate, from a file to text: one text for one seed, streaming = offline, and what is refused."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import write_csv, write_jsonl
from tolerances import SAME_AS_TORCH
from torch.nn import functional

import elman
from elman.baselines import NGram
from elman.cli import main
from elman.data.batches import Encoded, collate
from elman.data.joining import join_tokens
from elman.data.text import split_spaced_words
from elman.errors import ConfigError, DataError, ElmanError
from elman.nn.condition import ConditionedStart
from elman.nn.embedding import NumberInput, TokenEmbedding, WordEmbedding
from elman.nn.encoder import LAYERS, Encoder
from elman.padded import Padded, pad
from elman.patterns import LanguageModel
from elman.search.sampling import Sampling, generate
from elman.tasks import stream_scores
from elman.tasks.writing import Writing, _tokens_in, generators

FAST = {"task": "generate", "hidden_size": 8, "embedding_size": 5, "threads": 1, "epochs": 2}
VERSE = "the cat sat on the mat, and the dog sat on the cat.\n"


class Batch:
    """What a pattern takes."""

    def __init__(self, tokens=None, target=None, **features):
        self.features = features | ({"tokens": tokens} if tokens is not None else {})
        self.target = target


@pytest.fixture(scope="module")
def verses(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("verses") / "verses.txt"
    draw = random.Random(0)
    words = VERSE.split()
    lines = (" ".join(draw.choices(words, k=draw.randrange(3, 9))) for _ in range(120))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def poet(verses, tmp_path_factory) -> elman.Run:
    return elman.train(train=verses, test=0.1, out=tmp_path_factory.mktemp("runs") / "poet", **FAST)


# Laws


def make_model(cell, dtype, *, layers=2, tied=False, size=6, start=None):
    torch.manual_seed(1)
    encoder = Encoder(3, size, cell=cell, num_layers=layers)
    words = WordEmbedding(TokenEmbedding(9, 3))
    start = ConditionedStart(encoder, num_classes=3) if start else None
    return LanguageModel(words, encoder, num_outputs=9, tied=tied, start=start).to(dtype).eval()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cell", LAYERS)
@given(seed=st.integers(0, 99), tied=st.booleans(), conditioned=st.booleans())
def test_what_is_streamed_has_the_probability_that_offline_scoring_gives_it(
    cell, dtype, seed, tied, conditioned
):
    model = make_model(cell, dtype, tied=tied, start=conditioned)
    prompts = [torch.tensor([0, 3, 4]), torch.tensor([5])]
    more = {"condition": Padded(torch.tensor([[2], [0]]), [1, 1])} if conditioned else {}
    with torch.no_grad():
        scores, state = model.begin(Batch(pad(prompts), **more))
        step, said = model.stepper(state), [scores]

        def remember(tokens):
            said.append(step(tokens))
            return said[-1]

        draws = list(generate(remember, scores, generators(seed, 2), length=12, sampling=Sampling()))
        written = torch.stack(draws, 1)
        for row, prompt in enumerate(prompts):
            whole = torch.cat([prompt, written[row, :-1]]).unsqueeze(0)
            alone = {name: Padded(part.data[row : row + 1], [1]) for name, part in more.items()}
            offline = model.scores(Batch(Padded(whole, [whole.size(1)]), **alone)).data[0, len(prompt) - 1 :]
            streamed = torch.stack([scores[row] for scores in said]).log_softmax(1)
            tolerance = 1e-12 if dtype is torch.float64 else SAME_AS_TORCH[dtype]
            torch.testing.assert_close(streamed, offline.log_softmax(1), atol=tolerance, rtol=0)


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("at_once", [7, 64])
def test_a_running_text_s_score_is_that_of_one_pass_over_it(cell, at_once, monkeypatch):
    monkeypatch.setattr(stream_scores, "STEPS_AT_ONCE", at_once)
    model, ids = make_model(cell, torch.float64), np.random.default_rng(0).integers(0, 9, 200)
    tokens = torch.from_numpy(ids).unsqueeze(0)
    with torch.no_grad():
        scores = model.scores(Batch(Padded(tokens[:, :-1], [199]))).data[0]
    expected = functional.cross_entropy(scores, tokens[0, 1:], reduction="none")
    np.testing.assert_allclose(stream_scores.stream_nats(model, ids), expected, atol=1e-12)


def test_lanes_with_a_long_enough_run_up_score_as_one_pass_does(monkeypatch):
    """A run-up over all that came before makes them exact; none leaves the first step of each lane worse."""
    model, ids = make_model("lstm", torch.float64), np.random.default_rng(0).integers(0, 9, 200)
    exact = stream_scores.stream_nats(model, ids)
    monkeypatch.setattr(stream_scores, "SHORTEST_LANE", 29)
    monkeypatch.setattr(stream_scores, "STEPS_AT_ONCE", 64)
    monkeypatch.setattr(stream_scores, "RUN_UP", 200)
    np.testing.assert_allclose(stream_scores.nearly_stream_nats(model, ids), exact, atol=1e-12)
    monkeypatch.setattr(stream_scores, "RUN_UP", 0)
    without = stream_scores.nearly_stream_nats(model, ids)
    assert len(without) == 199 and abs(without - exact).max() > 1e-6


def test_a_penalty_leaves_the_end_of_a_text_as_likely_as_it_was(poet):
    batch = collate([Encoded(3, tokens=np.array([0, 5, 6])), Encoded(1, tokens=np.array([5]))])
    assert _tokens_in(batch, 8).nonzero().tolist() == [[0, 5], [0, 6], [1, 5]]


def test_any_temperature_gives_a_token(poet):
    assert poet.generate("the ", length=5, temperature=1e-40) == poet.generate("the ", length=5, greedy=True)


def test_settings_of_other_tasks_are_refused(verses):
    for name, value in {"beam_size": 7, "label_smoothing": 0.1, "horizon": 3, "hide_rate": 0.2}.items():
        with pytest.raises(ConfigError, match=f"{name} is for"):
            elman.train(train=verses, **FAST | {name: value})


def test_frames_that_are_streamed_have_the_scores_of_the_whole():
    torch.manual_seed(0)
    model = LanguageModel(NumberInput(4), Encoder(4, 6), num_outputs=4).double().eval()
    frames = torch.randint(0, 2, (1, 9, 4)).double()
    with torch.no_grad():
        whole = model.scores(Batch(numbers=Padded(frames, [9]))).data[0]
        scores, state = model.begin(Batch(numbers=Padded(frames[:, :1], [1])))
        step = model.stepper(state)
        streamed = [scores[0]] + [step(frames[:, place])[0].clone() for place in range(1, 9)]
    torch.testing.assert_close(torch.stack(streamed), whole, atol=1e-12, rtol=0)


@given(st.text(alphabet=st.sampled_from("ab .,\n\t'é5-"), max_size=30))
def test_words_that_keep_their_spaces_join_to_the_text(text):
    tokens = split_spaced_words(text)
    assert join_tokens(tokens, "spaced words") == text
    assert all(tokens)


def test_prompts_together_are_each_one_alone(poet):
    prompts = ["the ", "", "a dog"]
    together = poet.generate(prompts, length=30, seed=3)
    # The draws go by the row, so each prompt stands in its old row.
    for row, prompt in enumerate(prompts):
        alone = poet.generate([prompt] * (row + 1), length=30, seed=3)[row]
        assert alone == together[row]


def test_a_model_s_score_is_the_mean_over_every_token_but_the_first(poet, tmp_path):
    text = "the dog sat.\nthe cat sat on the mat"
    (tmp_path / "other.txt").write_text(text, encoding="utf-8")
    ids = torch.from_numpy(poet.task.inputs.vocab.ids(list(text)))
    scores = poet.model.scores(Batch(pad([ids[:-1]]))).data[0].double().log_softmax(1)
    expected = -scores.gather(1, ids[1:, None]).mean().item()
    found = poet.evaluate(tmp_path / "other.txt").metrics
    assert found["nats_per_token"] == pytest.approx(expected, abs=1e-6)
    assert found["bits_per_token"] == pytest.approx(expected / np.log(2), abs=1e-6)
    assert found["perplexity"] == pytest.approx(np.exp(expected), rel=1e-6)
    fitted = poet.baseline
    assert isinstance(fitted, NGram)
    assert found["baseline"]["nats_per_token"] == pytest.approx(-np.mean(fitted.predict([ids.numpy()])[0]))


# From a file to text


def test_a_run_that_is_loaded_writes_the_same(poet):
    again = elman.load(poet.folder)
    assert again.generate("the ", length=50, seed=4) == poet.generate("the ", length=50, seed=4)
    assert poet.generate("the ", length=50, seed=5) != poet.generate("the ", length=50, seed=4)


def test_pieces_that_are_streamed_join_to_the_text(poet):
    how = Writing(60, Sampling(0.8), seed=2, stop="at")
    pieces = list(poet.stream("the ", how))
    text = poet.generate("the ", length=60, seed=2, stop="at")[0].prediction
    assert "".join(pieces) == text and "at" not in text
    longer = poet.generate("the ", length=60, seed=2)[0].prediction
    assert longer.startswith(text) and (longer == text or longer[len(text) :].startswith("at"))


def test_unknown_and_padding_are_never_written(poet):
    texts = poet.generate("", length=80, temperature=50.0, count=20)
    assert all(len(text.prediction) == 80 and "<" not in text.prediction for text in texts)


def test_the_end_of_a_text_is_held_out_and_its_last_part_tested(poet, verses):
    text = verses.read_text(encoding="utf-8")
    assert poet.held_out[0].input == text[-len(poet.held_out[0].input) :]
    assert len(poet.held_out[0].input) == -(-len(text) // 10)


@pytest.mark.parametrize("tokens", ["words", "characters"])
def test_texts_of_their_own_begin_and_end(tokens, tmp_path):
    rows = [("red car", "car"), ("big tree", "tree"), ("red tree", "tree")] * 20
    path = write_csv(tmp_path / "things.csv", rows)
    settings = FAST | {"epochs": 40, "hidden_size": 32, "embedding_size": 32, "learning_rate": 0.02}
    run = elman.train(train=path, tokens=tokens, input="text", min_count=1, **settings)
    texts = {text.prediction for text in run.generate("", count=30, length=50, seed=1, temperature=0.4)}
    assert texts <= {"red car", "big tree", "red tree", "big car"} and len(texts) > 1
    assert run.generate("big", length=50, greedy=True)[0].prediction == " tree"


def test_a_text_is_made_from_its_class_or_its_numbers(tmp_path):
    rows = [{"text": "moo", "label": "cow", "place": [1.0, 0.0]}] * 20
    rows += [{"text": "woof", "label": "dog", "place": [0.0, 1.0]}] * 20
    path = write_jsonl(tmp_path / "sounds.jsonl", rows)
    settings = FAST | {"epochs": 30, "hidden_size": 16, "learning_rate": 0.02, "input": "text"}
    run = elman.train(train=path, condition="label", out=tmp_path / "run", **settings)
    run = elman.load(tmp_path / "run")
    assert run.generate(condition="cow", greedy=True)[0].prediction == "moo"
    assert run.generate(condition="dog", greedy=True)[0].prediction == "woof"
    with pytest.raises(ConfigError, match="did you mean 'cow'"):
        run.generate(condition="cwo")
    with pytest.raises(DataError, match="no class is named"):
        run.generate()
    run = elman.train(train=path, condition="place", **settings)
    assert run.generate(condition=[0.0, 1.0], greedy=True)[0].prediction == "woof"
    assert run.generate(condition="1,0", greedy=True)[0].prediction == "moo"
    with pytest.raises(DataError, match="2 numbers"):
        run.generate(condition=[1.0])


def test_frames_are_learned_scored_from_the_second_on_and_made(tmp_path):
    # A note that wanders up and starts anew: after each frame, the next one is certain.
    piece = [[int(key == step % 3) for key in range(3)] for step in range(9)]
    path = write_jsonl(tmp_path / "notes.jsonl", [{"frames": piece[start:]} for start in (0, 1, 2)] * 10)
    settings = FAST | {"epochs": 40, "hidden_size": 16, "learning_rate": 0.02}
    del settings["embedding_size"]
    run = elman.train(train=path, test=0.2, out=tmp_path / "run", **settings)
    test = run.result["test"]
    # The first frame is one of three and is not scored; the others are certain, but not for single columns.
    assert test["nll_per_step"] < 0.5 < test["baseline"]["nll_per_step"]
    assert test["nll_per_step"] < test["loss"]
    made = elman.load(tmp_path / "run").generate(length=6, seed=1, count=9)
    assert made == run.generate(length=6, seed=1, count=9)
    frames = np.array([each.prediction for each in made])
    assert frames.shape == (9, 6, 3) and set(frames.flatten().tolist()) == {0, 1}
    # From a frame of one key on, what follows is certain.
    steps = [pair for piece in frames.tolist() for pair in pairwise(piece) if sum(pair[0]) == 1]
    assert np.mean([after == [before[2], *before[:2]] for before, after in steps]) > 0.6
    with pytest.raises(ConfigError, match="takes no prompt"):
        run.generate("la")
    with pytest.raises(ConfigError, match="top_k"):
        run.generate(top_k=3)


# The command line


def test_the_command_writes_to_the_terminal_to_json_and_to_a_file(poet, tmp_path, capsys):
    flags = ["generate", str(poet.folder), "--prompt", "the ", "--length", "20", "--seed", "7"]
    expected = poet.generate("the ", length=20, seed=7)[0]
    assert main(flags) == 0
    assert capsys.readouterr().out == f"the {expected.prediction}\n"
    assert main([*flags, "--json", "--count", "2"]) == 0
    told = json.loads(capsys.readouterr().out)["predictions"]
    assert told[0] == {"input": "the ", "prediction": expected.prediction} and len(told) == 2
    assert main([*flags, "--output", str(tmp_path / "out.jsonl")]) == 0
    assert json.loads((tmp_path / "out.jsonl").read_text())["prediction"] == expected.prediction
    assert "1 written to" in capsys.readouterr().err


def test_training_from_the_command_line_shows_what_the_model_writes(verses, tmp_path, capsys):
    flags = ["--task", "generate", "--train", str(verses), "--hidden-size", "4", "--epochs", "1"]
    assert main(["train", *flags, "--threads", "1", "--out", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "written from nothing" in out and "elman generate" in out and "5-gram" in out
    assert "What it writes" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert main(["predict", str(tmp_path / "run"), "the"]) == 2
    assert "elman generate RUN --prompt TEXT" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "run"), "--data", str(verses), "--json"]) == 0
    assert "nats_per_token" in json.loads(capsys.readouterr().out)


# Resuming


def same_bytes(one: Path, other: Path) -> None:
    for name in ("metrics.jsonl", "model.safetensors", "vocab.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_a_run_stopped_inside_an_epoch_goes_on_with_the_carried_state(verses, tmp_path):
    settings = FAST | {"train": verses, "bptt_window": 16, "batch_size": 4, "dropout": 0.3}
    elman.train(out=tmp_path / "whole", **settings)
    elman.train(out=tmp_path / "part", max_minutes=1e-6, **settings)
    for _ in range(3):  # a step each time, all inside the first epoch
        run = elman.train(resume=tmp_path / "part", max_minutes=1e-6)
        assert run.result["stopped"] == "time"
    elman.train(resume=tmp_path / "part")
    same_bytes(tmp_path / "part", tmp_path / "whole")


@pytest.mark.slow
def test_a_killed_training_of_a_stream_ends_in_the_same_bytes(verses, tmp_path):
    flags = ["--task", "generate", "--train", str(verses), "--hidden-size", "24", "--epochs", "5"]
    flags += ["--threads", "1", "--bptt-window", "8", "--batch-size", "4"]
    call = [sys.executable, "-m", "elman", "train"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent / "src")}
    subprocess.run([*call, *flags, "--out", str(tmp_path / "whole")], check=True, capture_output=True)
    process = subprocess.Popen(
        [*call, *flags, "--out", str(tmp_path / "part")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    journal = tmp_path / "part" / "metrics.jsonl"
    for _ in range(600):
        if journal.exists() and journal.stat().st_size:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)  # which finishes the step and saves, inside an epoch
    process.wait(timeout=60)
    again = [*call, "--resume", str(tmp_path / "part")]
    subprocess.run(again, check=True, capture_output=True, env=environment)
    same_bytes(tmp_path / "part", tmp_path / "whole")


# What is refused


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("", {}, "is empty"),
        ("aaaaaaaaaaaa", {}, "at least two different"),
        ("ab", {}, "at least two different"),
        (VERSE, {"batch_size": 1000}, "lower --?batch_size|lower batch_size"),
        (VERSE, {"bidirectional": True}, "one direction"),
        (VERSE, {"crf": True}, "crf is for"),
        (VERSE, {"pooling": "max"}, "pooling is for"),
        (VERSE, {"max_length": 5}, "max_length is for"),
        (VERSE, {"target": "label"}, "generate has no target"),
        (VERSE, {"condition": "label"}, "without labels"),
        (VERSE, {"input": "text"}, "no columns"),
        (VERSE, {"tokens": "spaces"}, "nothing could be written"),
        (VERSE, {"tied": True, "embedding": "one-hot", "embedding_size": None}, "tied"),
        (VERSE, {"task": "classify"}, "holds no targets"),
    ],
)
def test_what_cannot_be_is_one_clear_message(text, settings, message, tmp_path):
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    settings = {name: value for name, value in (FAST | settings).items() if value is not None}
    with pytest.raises(ElmanError, match=message):
        elman.train(train=tmp_path / "a.txt", **settings)


def test_lists_of_tokens_have_no_subwords(tmp_path):
    rows = [(["a", "b"], None), (["b", "a", "b"], None)] * 10
    with pytest.raises(ElmanError, match="example 1 of the training part is a list of tokens"):
        elman.train(task="generate", train=[row for row, _ in rows], tokens="subwords", threads=1)
    pairs = [(["a", "b"], "b a")] * 10
    with pytest.raises(ElmanError, match="is a list of tokens"):
        elman.train(task="translate", train=pairs, valid=pairs, tokens="subwords", threads=1)


def test_an_empty_condition_is_refused_with_its_row(tmp_path):
    rows = [{"text": "ab", "from": [1.0, 2.0]}] * 3 + [{"text": "ba", "from": []}]
    for path, place in ((rows, 4), (rows[::-1], 1)):
        file = write_jsonl(tmp_path / f"{place}.jsonl", path)
        with pytest.raises(ElmanError, match=rf"{place}\.jsonl.*{place}.*the condition is an empty list"):
            elman.train(task="generate", train=file, input="text", condition="from", threads=1)


def test_frames_of_which_none_is_scored_are_refused_before_training(tmp_path):
    short, long = {"frames": [[0, 1]]}, {"frames": [[0, 1], [1, 0]]}
    with pytest.raises(ElmanError, match=r"valid\.jsonl.*no piece of this part has a second frame"):
        elman.train(
            task="generate",
            train=write_jsonl(tmp_path / "train.jsonl", [long] * 4),
            valid=write_jsonl(tmp_path / "valid.jsonl", [short] * 4),
            threads=1,
        )
    run = elman.train(
        task="generate", train=tmp_path / "train.jsonl", valid=0, epochs=1, hidden_size=4, threads=1
    )
    with pytest.raises(ElmanError, match="no piece of this part has a second frame"):
        run.evaluate(tmp_path / "valid.jsonl")


def test_frames_of_other_numbers_are_refused_with_their_place(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"frames": [[0, 1], [0.5, 1]]}] * 4)
    with pytest.raises(DataError, match=r"a.jsonl:1: step 2, column 1 is 0.5"):
        elman.train(train=path, task="generate", epochs=1)


def test_a_window_longer_than_the_text_reads_it_whole(tmp_path):
    (tmp_path / "a.txt").write_text(VERSE, encoding="utf-8")
    whole = elman.train(train=tmp_path / "a.txt", bptt_window=10_000, **FAST)
    same = elman.train(train=tmp_path / "a.txt", bptt_window=60, **FAST)
    assert whole.result["valid"] == same.result["valid"]


def test_prompts_and_values_that_do_not_fit_are_refused(poet):
    with pytest.raises(DataError, match="'ß' stands nowhere in the training text"):
        poet.generate("groß")
    for wrong in (
        {"length": 0},
        {"count": 0},
        {"stop": ""},
        {"top_p": 2.0},
        {"condition": "x"},
        {"seed": -1},
    ):
        with pytest.raises(ConfigError):
            poet.generate("the", **wrong)
    with pytest.raises(ConfigError, match="elman generate"):
        poet.predict(["the"])


def test_a_run_of_another_task_writes_nothing():
    rows = [("good", "yes"), ("bad", "no")] * 10
    run = elman.train(task="classify", train=rows, valid=rows, epochs=1, hidden_size=4)
    with pytest.raises(ConfigError, match="classify and writes nothing"):
        run.generate("x")


def test_tokens_that_training_never_saw_are_counted(poet, tmp_path):
    (tmp_path / "a.txt").write_text("the ßßcat", encoding="utf-8")
    assert poet.evaluate(tmp_path / "a.txt").metrics["unknown_tokens"] == 2
