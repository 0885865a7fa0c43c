"""Subwords: nothing is lost; and the way back from tokens to text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.joining import join_tokens, join_words
from elman.data.subwords import Subwords
from elman.data.text import split_words
from elman.errors import DataError, MissingExtraError

TEXTS = ["Low, lower, lowest.", "Slow and slower: 3.5 below!", "Où est-il?"] * 4
SUBWORDS = Subwords.train(TEXTS, size=300)

anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(anything)
def test_any_text_comes_back_whole(text):
    assert SUBWORDS.join(SUBWORDS.cut(text)) == text


def test_the_same_texts_give_the_same_pieces():
    assert Subwords.train(TEXTS, size=300).to_json() == SUBWORDS.to_json()


def test_what_is_stored_as_json_cuts_alike():
    again = Subwords(json.loads(json.dumps(SUBWORDS.to_json())))
    assert again.cut("slower below") == SUBWORDS.cut("slower below")


def test_frequent_words_are_fewer_pieces_than_letters():
    assert len(SUBWORDS.cut("lower")) < len("lower")


def test_a_damaged_vocabulary_is_named():
    with pytest.raises(DataError, match="the subwords cannot be read"):
        Subwords({"version": "1.0"})


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'elman\[text\]'"):
        Subwords.train(TEXTS, size=300)


@pytest.mark.parametrize(
    "text",
    [
        "I don't know.",
        'He said "no" (twice)!',
        "It costs £3.50, or 10 %?".replace(" %", "%"),
        "Well-known: l'eau, and/or wine…",
        "¿Qué tal?",
    ],
)
def test_sentences_come_back_from_their_words(text):
    assert join_words(split_words(text)) == text


@given(st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=20))
def test_characters_come_back_in_nfc(text):
    import unicodedata

    assert join_tokens(list(unicodedata.normalize("NFD", text)), "characters") == unicodedata.normalize(
        "NFC", text
    )
