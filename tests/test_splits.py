"""Splits: shares, strata, and what stays together."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.example import Example
from elman.data.split import split
from elman.errors import ConfigError, DataError

FRACTIONS = st.floats(0.01, 0.99)
LABELS = st.lists(st.sampled_from("aaaabbc"), min_size=2, max_size=60)


def examples(labels):
    return [Example(f"text {row}", label, f"row {row}") for row, label in enumerate(labels)]


@given(LABELS, FRACTIONS, st.integers(0, 2**63 - 1), st.booleans())
def test_every_example_is_on_one_side_in_its_old_order(labels, fraction, seed, stratify):
    rows = examples(labels)
    if stratify and max(Counter(labels).values()) < 2:
        return
    stay, held = split(rows, fraction, seed=seed, stratify=stratify)
    assert stay and held
    assert sorted([*stay, *held], key=rows.index) == rows
    assert stay == sorted(stay, key=rows.index) and held == sorted(held, key=rows.index)


@given(LABELS, FRACTIONS, st.integers(0, 9))
def test_every_label_keeps_an_example_and_its_share_within_one(labels, fraction, seed):
    if max(Counter(labels).values()) < 2:
        return
    stay, held = split(examples(labels), fraction, seed=seed)
    counts, kept = Counter(labels), Counter(example.target for example in stay)
    assert set(kept) == set(counts)
    for label, count in Counter(example.target for example in held).items():
        assert abs(count - fraction * counts[label]) < 1 + 1e-9 or len(held) == 1


def test_the_size_is_the_fraction_of_the_whole():
    stay, held = split(examples("ab" * 450 + "c" * 100), 0.1, seed=0)
    assert (len(stay), len(held)) == (900, 100)
    assert Counter(example.target for example in held) == {"a": 45, "b": 45, "c": 10}


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    rows = examples("ab" * 50)
    assert split(rows, 0.2, seed=3) == split(rows, 0.2, seed=3)
    assert split(rows, 0.2, seed=3) != split(rows, 0.2, seed=4)


def test_a_label_with_one_example_stays():
    rows = examples("aaaaaaaaab")
    for seed in range(20):
        stay, _ = split(rows, 0.5, seed=seed)
        assert "b" in {example.target for example in stay}


def test_tags_and_missing_targets_are_drawn_at_random():
    for target in (("X", "Y"), None):
        stay, held = split([Example("t", target, str(row)) for row in range(10)], 0.3, seed=0)
        assert (len(stay), len(held)) == (7, 3)


def test_at_least_one_example_goes_to_each_side():
    assert [len(part) for part in split(examples("aaaaaaaaaa"), 0.001, seed=0)] == [9, 1]
    assert [len(part) for part in split(examples("aaaaaaaaaa"), 0.999, seed=0)] == [1, 9]
    assert [len(part) for part in split(examples("aa"), 0.5, seed=0, stratify=False)] == [1, 1]


@given(st.lists(st.sampled_from("uvwxyz"), min_size=2, max_size=40), st.integers(0, 9))
def test_identical_inputs_can_be_kept_together(texts, seed):
    rows = [Example(text, "ab"[row % 2], str(row)) for row, text in enumerate(texts)]
    if len(set(texts)) < 2:
        return
    stay, held = split(rows, 0.3, seed=seed, stratify=False, keep_together=True)
    assert stay and held and not {row.input for row in stay} & {row.input for row in held}


def test_arrays_are_compared_by_their_numbers():
    rows = [Example(np.full((2, 1), row % 3, np.float32), None, str(row)) for row in range(30)]
    stay, held = split(rows, 0.3, seed=0, keep_together=True)
    assert (len(stay), len(held)) == (20, 10) and len({row.input.tobytes() for row in held}) == 1


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(ConfigError, match="above 0 and below 1"):
        split(examples("aabb"), fraction, seed=0)


def test_too_few_examples_are_refused():
    with pytest.raises(DataError, match="1 example "):
        split(examples("a"), 0.5, seed=0)
    with pytest.raises(DataError, match="every label has one example"):
        split(examples("abc"), 0.5, seed=0)
