"""What a language model writes: subwords and parts of characters as whole text, and where texts begin."""

import unicodedata

import pytest

import elman
from elman.data.example import Example
from elman.search.sampling import Sampling
from elman.tasks.writing import Writing, _Joined

FAST = {"task": "generate", "hidden_size": 8, "embedding_size": 5, "threads": 1, "epochs": 2}


def test_subwords_are_written_as_the_text_that_they_are(tmp_path):
    pytest.importorskip("tokenizers", reason="tokenizers is not installed (extra: text)")
    path = tmp_path / "cafe.txt"
    path.write_text("Zürich has a café.\nThe café has Zürich milk.\n" * 60, encoding="utf-8")
    run = elman.train(train=path, tokens="subwords", max_vocab=270, **FAST)
    whole = run.generate("The café", length=40, seed=3)[0].prediction
    assert "".join(run.stream("The café", Writing(40, Sampling(0.8), 3))) == whole
    # Single bytes of é and ü are tokens too: none is shown before its character is whole.
    kept = _Joined(run.task, True)
    pieces = run.task.inputs.subwords.cut("ü")
    assert [kept.add(piece) for piece in pieces] == [""] * (len(pieces) - 1) + ["ü"]


def test_subwords_in_lower_case_are_pieces_of_lower_case_text(tmp_path):
    pytest.importorskip("tokenizers", reason="tokenizers is not installed (extra: text)")
    path = tmp_path / "case.txt"
    path.write_text("The Cat sat on THE Mat.\n" * 90, encoding="utf-8")
    run = elman.train(train=path, tokens="subwords", lowercase=True, max_vocab=280, **FAST)
    inputs = run.task.inputs
    one, other = (inputs.encode([Example(text)])[0][0].tokens for text in ("The Cat sat", "the cat SAT"))
    assert one.tolist() == other.tolist() and inputs.vocab.unknown not in one
    assert inputs.join(inputs.cut_text("THE Mat.\n")) == "the mat.\n"


def test_what_is_taken_apart_is_written_whole_and_stops_where_it_should(tmp_path):
    path = tmp_path / "accents.txt"
    path.write_text("\u00e9t\u00e9 \u00e0 la for\u00eat \u00e9l\u00e8ve. " * 60, encoding="utf-8")
    run = elman.train(train=path, normal_form="nfd", **FAST)
    whole = run.generate("la ", length=200, seed=1)[0].prediction
    assert whole == unicodedata.normalize("NFC", whole) and set(whole) & set("\u00e9\u00e8\u00e0\u00ea")
    stop = next(letter for letter in whole if letter in "\u00e9\u00e8\u00e0\u00ea")
    cut = run.generate("la ", length=200, seed=1, stop=unicodedata.normalize("NFD", stop))[0].prediction
    assert cut == whole[: whole.index(stop)]


def test_the_boundary_keeps_its_vector_of_zeros_where_outputs_are_tied():
    rows = [{"text": f"a b c {n % 3}"} for n in range(40)]
    settings = FAST | {"tokens": "words", "tied": True, "embedding_size": 8}
    run = elman.train(train=rows, **settings)
    assert not run.model.token_vectors()[0].any()
