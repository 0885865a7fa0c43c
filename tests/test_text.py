"""Words, characters and spellings."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.text import (
    MAX_SPELLING,
    Spellings,
    choose_tokens,
    spell,
    split_characters,
    split_words,
    tokenise,
)
from elman.data.vocab import Vocab


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \t\n\u00a0", []),
        ("I don't, O’Neill's rock'n'roll", ["I", "don't", ",", "O’Neill's", "rock'n'roll"]),
        ("'quoted' dogs'", ["'", "quoted", "'", "dogs", "'"]),
        ("3.5 1,000.25 12:30 3. .5", ["3.5", "1,000.25", "12:30", "3", ".", ".", "5"]),
        ("end.Start a,b", ["end", ".", "Start", "a", ",", "b"]),
        ("e-mail C++ a_b", ["e", "-", "mail", "C", "+", "+", "a_b"]),
        ("£1.20!!", ["£", "1.20", "!", "!"]),
        ("see http://a.b/c?d=e, (www.x.org).", ["see", "http://a.b/c?d=e", ",", "(", "www.x.org", ")", "."]),
        ("HTTPS://A.B", ["HTTPS://A.B"]),
        ("www. http://", ["www", ".", "http", ":", "/", "/"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("❤\ufe0f a", ["❤\ufe0f", "a"]),
        ("cafe\u0301", ["caf\u00e9"]),
        ("你好，世界", ["你好", "，", "世界"]),
    ],
)
def test_words_follow_the_rule_of_the_page(text, words):
    assert split_words(text) == words


@given(st.text())
def test_no_character_but_white_space_is_lost(text):
    joined = "".join(unicodedata.normalize("NFC", text).split())
    assert "".join("".join(split_words(text)).split()) == joined


@given(st.text(alphabet="ab.:/'1 wht\u0301", max_size=60))
def test_splitting_words_again_changes_nothing(text):
    words = split_words(text)
    assert [piece for word in words for piece in split_words(word)] == words


@pytest.mark.parametrize("piece", ["a'", "1.", "www.", "http://", "'", "\u0301", "a", " ", "!"])
def test_the_time_for_splitting_grows_with_the_length_alone(piece):
    text = piece * 50_000
    start = time.perf_counter()
    split_words(text)
    assert time.perf_counter() - start < 5  # a pattern that backtracks takes minutes


def test_characters_are_code_points_of_the_composed_form():
    assert split_characters("e\u0301 \U0001f469\u200d\U0001f4bb") == [
        "\u00e9",
        " ",
        "\U0001f469",
        "\u200d",
        "\U0001f4bb",
    ]


def test_tokens_that_are_given_stay_as_they_are():
    assert tokenise(("e\u0301", "a b", "3 %"), "words") == ["e\u0301", "a b", "3 %"]
    assert tokenise(["A"], "characters", lowercase=True) == ["a"]
    assert tokenise("Ab C", "words", lowercase=True) == ["ab", "c"]
    assert tokenise("Ab", "characters") == ["A", "b"]


@pytest.mark.parametrize(
    ("texts", "tokens"),
    [
        (["so good", "bad"], "words"),
        (["a", "b", "two words"], "characters"),
        (["a", "two words", "two words"], "words"),
        ([("a",), ("b",)], "words"),
        ([""], "characters"),
        ([], "characters"),
        (["ACGT"], "characters"),
    ],
)
def test_texts_are_words_if_the_median_has_more_than_one(texts, tokens):
    assert choose_tokens(texts) == tokens


def test_each_distinct_word_is_spelled_once():
    spellings = Spellings(Vocab.build("abc"))
    assert spellings.ids(["ab", "c", "ab"]).tolist() == [0, 1, 0]
    assert spellings.ids(["c", "x"]).tolist() == [1, 2]
    assert [row.tolist() for row in spellings.table] == [[2, 3], [4], [1]]


def test_a_very_long_word_is_spelled_by_its_two_ends():
    characters = Vocab.build("abc")
    word = "a" * 100 + "c" * 100_000 + "b" * 100
    assert spell(word, characters).tolist() == [2] * (MAX_SPELLING // 2) + [3] * (MAX_SPELLING // 2)
