"""Vocabularies: order, unknown tokens, and what damage is refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.vocab import PAD, UNKNOWN, Vocab
from elman.errors import DataError


def test_the_most_frequent_come_first_and_ties_follow_the_alphabet():
    vocab = Vocab.build(["b", "c", "a", "c", "b", "d"])
    assert vocab.tokens == [PAD, UNKNOWN, "b", "c", "a", "d"]
    assert vocab.counts == [0, 0, 2, 2, 1, 1]


def test_padding_is_zero_and_unknown_is_one():
    vocab = Vocab.build(["a"])
    assert (vocab.pad, vocab.unknown) == (0, 1)
    assert vocab.id("never seen") == 1
    assert vocab.ids(["a", "never seen"]).tolist() == [2, 1]


def test_ids_are_int64_even_for_no_tokens():
    vocab = Vocab.build(["a"])
    assert vocab.ids([]).dtype == vocab.ids(["a"]).dtype == np.int64
    assert Vocab.build(["a"], specials=()).ids([]).dtype == np.int64


def test_rare_tokens_and_those_beyond_the_size_are_left_out():
    tokens = ["a"] * 3 + ["b"] * 2 + ["c"]
    assert Vocab.build(tokens, min_count=2).tokens == [PAD, UNKNOWN, "a", "b"]
    assert Vocab.build(tokens, max_size=1).tokens == [PAD, UNKNOWN, "a"]


def test_a_text_that_spells_a_special_symbol_is_an_unknown_token():
    vocab = Vocab.build([PAD, UNKNOWN, "a"])
    assert vocab.tokens == [PAD, UNKNOWN, "a"]
    assert vocab.ids([PAD, UNKNOWN, "a"]).tolist() == [1, 1, 2]


def test_labels_have_no_special_symbols_and_may_be_called_like_them():
    labels = Vocab.build(["y", PAD], specials=())
    assert labels.tokens == [PAD, "y"] and labels.pad is None and labels.unknown is None
    assert labels.ids([PAD, "y"]).tolist() == [0, 1]


def test_an_unknown_label_is_refused_with_the_nearest_and_the_place():
    labels = Vocab.build(["spam", "ham"], specials=())
    with pytest.raises(DataError, match=r"a\.csv:3: unknown label 'spma'; did you mean 'spam'\?"):
        labels.ids(["ham", "spma"], where="a.csv:3")
    with pytest.raises(DataError, match="unknown label 'eggs'"):
        labels.id("eggs")


def test_in_and_len_speak_of_tokens():
    vocab = Vocab.build(["a", "a"])
    assert "a" in vocab and PAD in vocab and "b" not in vocab and len(vocab) == 3


@given(st.lists(st.text(max_size=3)), st.sampled_from([(), (PAD, UNKNOWN)]))
def test_json_brings_back_the_same_vocabulary(tokens, specials):
    vocab = Vocab.build(tokens, specials=specials)
    again = Vocab.from_json(json.loads(json.dumps(vocab.to_json())))
    assert again == vocab and again.ids(vocab.tokens).tolist() == vocab.ids(vocab.tokens).tolist()


@given(st.lists(st.sampled_from("abcd")), st.permutations(range(8)))
def test_the_order_of_the_tokens_does_not_matter(tokens, order):
    tokens = (tokens + ["a"] * 8)[:8]
    assert Vocab.build(tokens) == Vocab.build([tokens[place] for place in order])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (None, "an object with"),
        ([], "an object with"),
        ({"tokens": []}, "an object with"),
        ({"tokens": "ab", "counts": [], "specials": []}, "must be lists"),
        ({"tokens": ["a", 1], "counts": [1, 1], "specials": []}, "not a string"),
        ({"tokens": ["a"], "counts": [], "specials": []}, "0 counts stand beside 1 tokens"),
        ({"tokens": ["a"], "counts": [-1], "specials": []}, "not a whole number"),
        ({"tokens": ["a"], "counts": [True], "specials": []}, "not a whole number"),
        ({"tokens": ["a"], "counts": [1.0], "specials": []}, "not a whole number"),
        ({"tokens": ["a", "a"], "counts": [1, 1], "specials": []}, "'a' stands in it twice"),
        ({"tokens": ["a"], "counts": [1], "specials": ["<pad>"]}, "does not begin with its special symbols"),
        ({"tokens": ["a"], "counts": [1], "specials": [1]}, "special symbol is not a string"),
    ],
)
def test_a_damaged_vocabulary_is_refused(damage, message):
    with pytest.raises(DataError, match=message):
        Vocab.from_json(damage)
