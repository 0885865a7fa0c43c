"""Results as text for a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from elman import tables

WORDS = st.lists(st.text(st.characters(codec="utf-8"), max_size=12), min_size=1, max_size=20)


@given(WORDS, st.data(), st.integers(8, 100))
def test_words_and_tags_are_aligned_whatever_is_in_them(words, data, width):
    tags = data.draw(
        st.lists(st.sampled_from(["NOUN", "V", "名詞"]), min_size=len(words), max_size=len(words))
    )
    pieces = tables.aligned([words, tags], width)
    shown = [tag for _, line in pieces for tag in line.split()]
    assert shown == tags
    for lines in pieces:
        assert all(cell_len(line) <= width for line in lines)


def test_wide_characters_take_two_columns():
    (lines,) = tables.aligned([["我", "鍾意", "Munich"], ["r", "v", "ns"]], 80)
    assert lines == ("我  鍾意  Munich", "r   v     ns")


def test_a_long_sentence_is_broken_between_words():
    pieces = tables.aligned([["word"] * 30, ["NOUN"] * 30], 40)
    assert [len(line.split()) for line, _ in pieces] == [7, 7, 7, 7, 2]


def test_a_word_wider_than_the_terminal_is_cut():
    (piece,) = tables.aligned([["x" * 100], ["NOUN"]], 20)
    assert cell_len(piece[0]) <= 20 and piece[0].endswith("…")


@given(st.text(st.characters(codec="utf-8")))
def test_what_is_shown_cannot_steer_a_terminal(text):
    shown = tables.visible(text)
    assert not any(
        ord(each) < 32 or 0x7F <= ord(each) < 0xA0 or 0x202A <= ord(each) <= 0x202E for each in shown
    )


@given(st.text(st.characters(codec="utf-8")), st.integers(1, 30))
def test_fitted_text_fits(text, width):
    assert cell_len(tables.fit(text, width)) <= width


@given(st.dictionaries(st.text(max_size=40), st.floats(0, 1), min_size=1), st.integers(30, 200))
def test_a_chart_of_probabilities_fits_and_shows_the_likeliest_first(probabilities, width):
    lines = tables.bars(probabilities, width)
    assert len(lines) == min(len(probabilities), tables.TOP_LABELS)
    assert all(cell_len(line) <= width + 24 for line in lines)


@pytest.mark.parametrize(
    ("own", "other", "words"),
    [
        (0.9, 0.8, "10.0 points above"),
        (0.8, 0.9, "10.0 points below"),
        (0.8, 0.8, "the same as"),
        (1.0, 0.8, "all its errors are gone"),
        (1.0, 1.0, "the same as"),
        (0.9, 0.6, "75 % of its errors are gone"),
        (0.9, None, "is 90.0 %."),
    ],
)
def test_the_verdict_says_who_is_better(own, other, words):
    metrics = {"accuracy": own, "baseline": {"name": "majority", "accuracy": other}}
    assert words in tables.verdict(metrics, "accuracy", "test.csv")


def test_a_verdict_without_the_metric_says_so():
    assert "could be measured" in tables.verdict({}, "macro_f1", "test.csv")


def test_only_the_frequent_classes_are_listed():
    rates = {"precision": 0.5, "recall": 0.5, "f1": 0.5}
    table = {f"label {n}": {**rates, "support": n} for n in range(50)}
    lines = tables.per_class_table({"per_class": table}).splitlines()
    assert lines[1].split()[:2] == ["label", "49"] and "30 rarer labels" in lines[-1]


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (83, "1:23"), (3723, "1:02:03"), (59.6, "1:00")])
def test_times_read_as_on_a_clock(seconds, shown):
    assert tables.clock(seconds) == shown


@pytest.mark.parametrize(
    ("metric", "own", "other", "said"),
    [
        ("scaled_mse", 0.2, 0.1, "worse than the baseline (linear, 0.1000): use that"),
        ("scaled_mse", 0.1, 0.2, "better than the baseline (linear, 0.2000)."),
        ("nats_per_token", 2.0, 2.0, "the same as the baseline (linear, 2.0000)."),
        ("r2", 0.2, 0.1, "better than the baseline"),
        ("r2", 0.1, 0.2, "worse than the baseline"),
    ],
)
def test_the_verdict_says_which_is_better(metric, own, other, said):
    sentence = tables.verdict(
        {metric: own, "baseline": {"name": "linear", metric: other}}, metric, "the test part"
    )
    assert said in sentence


words = st.text(st.sampled_from("abc 漢e\u0301"), max_size=40)


@given(st.integers(1, 3), st.integers(0, 9), st.data(), st.integers(40, 120))
def test_no_table_is_wider_than_the_terminal_and_no_number_is_lost(left, count, data, width):
    texts = st.lists(words, min_size=left, max_size=left)
    numbers = st.lists(st.from_regex(r"[0-9]{1,9}", fullmatch=True), min_size=count, max_size=count)
    rows = [[*data.draw(texts), *data.draw(numbers)] for _ in range(3)]
    shown = tables.text_table([""] * (left + count), rows, left=left, width=width)
    assert all(cell_len(line) <= width for line in shown.splitlines())
    found = shown.split()
    for row in rows:
        assert all(number in found for number in row[left:])


def test_a_table_that_fits_is_in_one_piece_and_one_that_does_not_in_blocks():
    header, rows = ["name", "one", "two"], [["n" * 30, "1" * 20, "2" * 20]]
    whole = tables.text_table(header, rows, width=76).splitlines()
    assert [cell_len(line) for line in whole] == [76, 76]
    cut = tables.text_table(header, rows, width=72).splitlines()
    assert len(cut) == 2 and "n…" in cut[1] and "2" * 20 in cut[1]
    blocks = tables.text_table(header, rows, width=60).splitlines()
    assert blocks[2] == "" and blocks[0].endswith("one") and blocks[3].endswith("two")


@given(words, st.integers(1, 60))
def test_wrapped_text_is_no_wider_than_asked(text, width):
    assert all(cell_len(line) <= width for line in tables.wrapped(text, width).splitlines())


@given(words, st.integers(6, 60))
def test_wrapped_text_loses_nothing(text, width):
    joined = "".join(tables.wrapped(text, width, "  ", "    ").split())
    assert joined == "".join(text.split())


def test_a_wrapped_name_is_not_broken_at_its_hyphens():
    assert "\nheld-out-part.csv" in tables.wrapped("Accuracy on held-out-part.csv", 20)
