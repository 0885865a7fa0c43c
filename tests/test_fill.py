"""Filling gaps: no token sees itself, several gaps at once, what a user asks and what is refused."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import elman
from elman.baselines import NeighbourCounts, from_tensors
from elman.baselines.neighbours import EDGE, GAP, UNKNOWN
from elman.cli import main
from elman.data.read import read_examples
from elman.data.sentences import read_sentences
from elman.errors import ConfigError, DataError
from elman.nn.embedding import TokenEmbedding, WordEmbedding
from elman.nn.encoder import LAYERS, Encoder
from elman.padded import Padded, pad
from elman.patterns.fill import Filler
from elman.tasks.fill import SPECIALS

PAIRS = {"Ada": "Paris", "Grace": "Oslo", "Pankaj": "Lima"}


def sentences(count, seed=0):
    """The last word follows from the first, and the verb from nothing: what is told, and what cannot be."""
    draw = np.random.default_rng(seed)
    people = list(PAIRS)
    rows = []
    for _ in range(count):
        person = people[draw.integers(3)]
        rows.append(
            f"{person} {['likes', 'visits'][draw.integers(2)]} old {PAIRS[person]} {'.?'[draw.integers(2)]}"
        )
    return rows


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    torch.manual_seed(0)
    return elman.train(
        task="fill",
        train=sentences(300),
        test=sentences(60, seed=1),
        epochs=25,
        hidden_size=24,
        embedding_size=16,
        learning_rate=0.01,
        dropout=0.0,
        input_dropout=0.0,
        threads=1,
        out=str(tmp_path_factory.mktemp("fill") / "run"),
    )


def make(cell="lstm", layers=1, vocabulary=9, **options):
    words = WordEmbedding(TokenEmbedding(vocabulary, 6))
    readers = [Encoder(6, 16, cell=cell, num_layers=layers) for _ in range(2)]
    return Filler(words, *readers, num_labels=6, gap_id=2, dropout=0.0, **options).double()


def batch_of(rows, target=None):
    return SimpleNamespace(features={"tokens": pad([torch.tensor(row) for row in rows])}, target=target)


def check_no_step_sees_itself(pattern, length):
    """Another token at step t changes the scores of every other step, and not those of t."""
    row = torch.randint(3, 9, (length,))
    before = pattern.scores(batch_of([row.tolist()])).data[0]
    for step in range(length):
        other = row.clone()
        other[step] = 3 + (row[step] - 3 + 1) % 6
        after = pattern.scores(batch_of([other.tolist()])).data[0]
        changed = (after != before).any(1)
        assert not changed[step], "a step sees itself"
        assert changed.sum() == length - 1


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("layers", [1, 3])
@given(length=st.integers(1, 6), seed=st.integers(0, 99))
def test_no_token_sees_itself_at_any_depth(cell, layers, length, seed):
    torch.manual_seed(seed)
    check_no_step_sees_itself(make(cell, layers).eval(), length)


def test_a_bidirectional_stack_that_leaks_is_noticed():
    pattern = make().eval()
    leaky = Encoder(6, 5, bidirectional=True, num_layers=2).double()

    def leak(batch, *, window=None):
        steps = pattern.input_layer(batch.features)
        return leaky(steps)[0]

    pattern.contexts, pattern.linear = leak, torch.nn.Linear(10, 6).double()
    with pytest.raises(AssertionError, match="sees itself"):
        check_no_step_sees_itself(pattern, 5)


def test_what_stands_in_a_gap_is_not_looked_at_by_its_neighbours_either():
    pattern = make(layers=2).eval()
    with torch.no_grad():
        pattern.input_layer.tokens.weight[2].normal_()
    before = pattern.scores(batch_of([[3, 2, 4]])).data
    with torch.no_grad():
        pattern.input_layer.tokens.weight[2].normal_()
    assert torch.equal(pattern.scores(batch_of([[3, 2, 4]])).data, before)


def test_the_loss_is_the_mean_over_known_words():
    pattern = make().eval()
    target = Padded(torch.tensor([[1, -1, 2], [0, 5, 5]]), torch.tensor([3, 1]))
    batch = batch_of([[4, 1, 5], [3]], target)
    logs = pattern.scores(batch).data.log_softmax(-1)
    expected = -(logs[0, 0, 1] + logs[0, 2, 2] + logs[1, 0, 0]) / 3
    torch.testing.assert_close(pattern.loss(batch), expected)


def test_training_hides_the_share_of_tokens_that_is_asked_for():
    pattern = make(hide_rate=0.3).train()
    tokens = Padded(torch.full((100, 100), 3), torch.full((100,), 100))
    with torch.no_grad():
        pattern.gap_vector.fill_(77.0)
    read = pattern._with_gaps(SimpleNamespace(features={"tokens": tokens}, target=None)).data
    share = (read[..., 0] == 77.0).double().mean().item()
    assert abs(share - 0.3) < 5 * (0.3 * 0.7 / 10_000) ** 0.5
    read = pattern.eval()._with_gaps(SimpleNamespace(features={"tokens": tokens}, target=None)).data
    assert not (read == 77.0).any()


def test_it_learns_what_follows_and_beats_neighbour_counts(run):
    test = run.result["test"]
    assert test["accuracy"] > test["baseline"]["accuracy"] > test["baseline"]["most_frequent_accuracy"]
    assert test["loss"] < test["baseline"]["loss"]
    assert test["perplexity"] == pytest.approx(np.exp(test["loss"]))
    for person, place in PAIRS.items():
        said = run.predict([f"{person} visits old ? ."])[0]
        assert said.prediction == f"{person} visits old {place} ."
        assert said.gaps[0]["place"] == 3
        assert said.gaps[0]["probabilities"][place] > 0.6


def test_several_gaps_are_filled_in_their_order(run):
    said = run.predict(["? likes ? Oslo ?"])[0]
    assert said.prediction in ("Grace likes old Oslo .", "Grace likes old Oslo ?")
    assert [gap["place"] for gap in said.gaps] == [0, 2, 4]
    assert said.tokens[:4] == ["Grace", "likes", "old", "Oslo"]
    line = json.loads(json.dumps(said.to_json()))
    assert line["input"] == "? likes ? Oslo ?" and len(line["gaps"]) == 3


def test_underscores_are_gaps_beside_which_a_question_mark_is_a_question_mark(run):
    assert run.predict(["Ada likes old ___ ?"])[0].prediction == "Ada likes old Paris ?"
    assert run.predict(["Ada likes old _______."])[0].prediction == "Ada likes old Paris."


def test_none_is_a_gap_in_a_list_and_a_mark_there_is_a_token(run):
    said = run.predict([["Ada", "likes", "old", None, "?"]])[0]
    assert said.prediction == ["Ada", "likes", "old", "Paris", "?"]


def test_every_token_may_be_a_gap_and_every_filling_is_a_word(run):
    said = run.predict(["? ? ?", "?", "???", "zzz ? qqq"])
    for each in said:
        for gap in each.gaps:
            assert not set(gap["probabilities"]) & set(SPECIALS)
            assert sum(gap["probabilities"].values()) <= 1 + 1e-6
    assert len(said[2].gaps) == 3


@pytest.mark.parametrize("text", ["Ada likes old Paris .", "", ("Ada", "?")])
def test_a_sentence_without_a_gap_is_refused_by_its_row(run, text):
    with pytest.raises(DataError, match=r"row 2: has no gap to fill; write \? or ___"):
        run.predict(["Ada ?", text])


def test_what_is_no_text_is_refused(run):
    with pytest.raises(DataError, match="row 1: is a int; this model fills gaps"):
        run.predict([7])


def test_a_loaded_run_says_the_same_and_hides_the_same(run):
    again = elman.load(run.folder)
    assert again.predict(["? likes ?"])[0] == run.predict(["? likes ?"])[0]
    assert again.evaluate(sentences(60, seed=1)).metrics == run.evaluate(sentences(60, seed=1)).metrics
    assert run.evaluate(sentences(60, seed=1)).metrics["accuracy"] == run.result["test"]["accuracy"]


def test_hidden_tokens_follow_from_seed_and_row_alone(run):
    rows = elman.data.in_memory.examples_from(sentences(50), need_target=False).examples
    first, second = ([run.task.hide(row, n) for n, row in enumerate(rows)] for _ in range(2))
    assert first == second
    assert all(sum(token is None for token in row.input) == 1 for row in first)
    assert len({row.input.index(None) for row in first}) == 5


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        elman.train(task="fill", train=sentences(40), epochs=2, hidden_size=8, threads=1,
                    recurrent_dropout=0.2, weight_drop=0.2, dropout_kind="variational",
                    out=str(tmp_path / name))  # fmt: skip
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b"))
    assert first == second


def test_characters_and_spelling_can_be_read_too(tmp_path):
    words = ["banana", "bandana", "cabana", "havana"] * 10
    run = elman.train(task="fill", train=words, epochs=2, hidden_size=8, threads=1)
    assert run.chosen.tokens == "characters"
    assert len(run.predict(["ban?na"])[0].prediction) == 6
    spelled = elman.train(task="fill", train=sentences(30), characters="convolution", lowercase=True,
                          epochs=1, hidden_size=8, threads=1, num_layers=2)  # fmt: skip
    assert spelled.predict(["Ada ?"])[0].gaps


WRONG = {
    "pairs": ({"pairs": True}, "right neighbour"),
    "one direction": ({"bidirectional": False}, "both sides"),
    "pooling": ({"pooling": "max"}, "pooling is for another task"),
    "an empty mark": ({"gap": " "}, "a mark that can be seen"),
    "a target": ({"target": "label"}, "learns from its input alone"),
}


@pytest.mark.parametrize("name", WRONG)
def test_settings_without_a_use_are_refused(name):
    settings, message = WRONG[name]
    with pytest.raises(ConfigError, match=message):
        elman.train(task="fill", train=sentences(20), epochs=1, **settings)


def test_settings_of_fill_are_refused_elsewhere():
    with pytest.raises(ConfigError, match="hide_rate is for"):
        elman.train(task="classify", train=[("a b", "x"), ("c d", "y")] * 5, hide_rate=0.1, epochs=1)


def test_a_vocabulary_of_one_symbol_and_a_file_of_one_line_are_refused(write):
    with pytest.raises(DataError, match="at least two to choose from"):
        elman.train(task="fill", train=["a a a a", "a a"] * 5, epochs=1)
    path = write("one.txt", "only a line\n")
    with pytest.raises(DataError, match="too few to hold some out"):
        elman.train(task="fill", train=str(path), epochs=1)
    with pytest.raises(DataError, match="reads text"):
        elman.train(task="fill", train=[[[1.0], [2.0]]] * 5, epochs=1)


def test_lines_of_a_text_file_are_sentences(write, tmp_path, capsys):
    path = write("some.txt", "\n".join(sentences(30)) + "\n\n  \n")
    assert len(read_examples(path, need_target=False).examples) == 30
    out = str(tmp_path / "run")
    small = ["--epochs", "1", "--hidden-size", "8", "--threads", "1"]
    assert main(["train", "--task", "fill", "--train", str(path), "--out", out, *small]) == 0
    assert "___" in capsys.readouterr().out
    assert main(["predict", out, "Ada ? old Paris ."]) == 0
    shown = capsys.readouterr().out
    assert shown.count("%") == 5
    asked = write("asked.txt", "Ada ? .\n? likes ?\n")
    assert main(["predict", out, "--data", str(asked)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main(["evaluate", out, "--data", str(path), "--json"]) == 0
    assert {"loss", "perplexity", "accuracy", "top5_accuracy"} <= set(json.loads(capsys.readouterr().out))


def test_a_text_file_has_neither_columns_nor_targets(write):
    path = write("some.txt", "a b\n")
    with pytest.raises(DataError, match="holds no targets"):
        read_sentences(path, need_target=True)
    with pytest.raises(DataError, match="name no --input"):
        read_sentences(path, input=["a"])
    with pytest.raises(DataError, match="one sentence a line"):
        read_sentences(write("blank.txt", "\n \n"))


def neighbour_probability(rows, left, right, num_words, weights):
    """The interpolation of the class, counted in plain Python."""
    sides = [
        (word, before, after)
        for row in rows
        for before, word, after in zip([EDGE, *row[:-1]], row, [*row[1:], EDGE], strict=True)
    ]
    parts = [
        [word for word, before, _ in sides if before == left],
        [word for word, _, after in sides if after == right],
        [word for word, _, _ in sides],
    ]
    shares = [[part.count(word) / len(part) for word in range(num_words)] if part else None for part in parts]
    total, out = weights[3], np.full(num_words, weights[3] / num_words)
    for weight, share in zip(weights[:3], shares, strict=True):
        if share is not None:
            out, total = out + weight * np.array(share), total + weight
    return out / total


rows_of_words = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=5), min_size=2, max_size=5)


@given(rows=rows_of_words, left=st.integers(0, 4), right=st.integers(0, 4))
def test_neighbour_counts_are_counts(rows, left, right):
    fitted = NeighbourCounts.fit([np.array(row) for row in rows], num_words=5)
    weights = list(fitted.weights.values())
    assert sum(weights) == pytest.approx(1)
    for before, row in ((left, [left, GAP, right]), (EDGE, [GAP, right])):
        found = fitted.predict([np.array(row)])[0][0]
        assert found.sum() == pytest.approx(1)
        np.testing.assert_allclose(found, neighbour_probability(rows, before, right, 5, weights), atol=1e-12)


@given(rows=rows_of_words)
def test_leaving_one_out_is_counting_the_others(rows):
    fitted = NeighbourCounts.fit([np.array(row) for row in rows], num_words=5)
    words = np.concatenate([np.array(row) for row in rows])
    left = np.concatenate([[EDGE, *row[:-1]] for row in rows])
    right = np.concatenate([[*row[1:], EDGE] for row in rows])
    found = fitted._left_out(left, words, right)
    for place, (word, before) in enumerate(zip(words, left, strict=True)):
        others = [w for n, (w, b) in enumerate(zip(words, left, strict=True)) if b == before and n != place]
        assert found[place, 0] == pytest.approx(others.count(word) / max(1, len(others)))


def test_a_stored_baseline_says_the_same_and_knows_neither_gaps_nor_unknown_words():
    fitted = NeighbourCounts.fit([np.array([0, UNKNOWN, 2]), np.array([0, 1, 2])], num_words=3)
    again = from_tensors(fitted.to_tensors())
    asked = [np.array([GAP, GAP]), np.array([UNKNOWN, GAP]), np.array([GAP])]
    for first, second in zip(fitted.predict(asked), again.predict(asked), strict=True):
        np.testing.assert_array_equal(first, second)
        assert np.allclose(first.sum(1), 1)
    with pytest.raises(DataError, match="no token"):
        NeighbourCounts.fit([np.zeros(0, np.int64)], num_words=2)


REGULARISED = {
    "zoneout": 0.1,
    "layer_norm": True,
    "recurrent_dropout": 0.2,
    "weight_drop": 0.2,
    "dropout_kind": "variational",
    "num_layers": 2,
}


@pytest.mark.parametrize("rules", [{}, REGULARISED], ids=["plain", "regularised"])
def test_an_interrupted_training_ends_in_the_bytes_of_the_whole_one(rules, write, tmp_path):
    settings = {"task": "fill", "train": str(write("some.txt", "\n".join(sentences(40)))), "hidden_size": 6,
                "batch_size": 8, "epochs": 2, "threads": 1, **rules}  # fmt: skip
    elman.train(out=str(tmp_path / "whole"), **settings)
    elman.train(out=str(tmp_path / "part"), max_minutes=1e-6, **settings)
    elman.train(resume=str(tmp_path / "part"))
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "part")]
    assert files[0] == files[1]
    again = elman.load(tmp_path / "part")
    assert again.predict(["Ada ? old ? ."])[0] == elman.load(tmp_path / "whole").predict(["Ada ? old ? ."])[0]


def test_plain_text_where_a_column_is_wanted_names_the_column(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("Ada sleeps.\n")
    with pytest.raises(
        DataError, match=r"a\.txt: is plain text and has no columns, so none .* 'words'; give a"
    ):
        read_examples(path, input=["words"], need_target=False)
