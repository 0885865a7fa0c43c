"""N-grams and columns that go their own way: the formulas, spelled out in dictionaries, and their laws."""

import os
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.baselines import ColumnMarkov, NGram
from elman.data.vocab import Vocab
from elman.errors import DataError

SHAKESPEARE = Path(os.environ.get("ELMAN_SETS", "no sets")) / "tinyshakespeare" / "input.txt"
VOCABULARY = 5
texts = st.lists(st.lists(st.integers(0, VOCABULARY - 1), max_size=12), min_size=1, max_size=4)


def spelled_out(sequences, order):
    """Interpolated Kneser-Ney as Chen and Goodman write it, one dictionary a length: p(token, history)."""
    seen = Counter()
    for sequence in sequences:
        for place in range(1, len(sequence)):
            padded = [0] * order + list(sequence[: place + 1])
            seen[tuple(padded[-order:])] += 1
    counts = {order: seen}
    for length in range(order - 1, 0, -1):
        before = defaultdict(set)
        for gram in counts[length + 1]:
            before[gram[1:]].add(gram[0])
        counts[length] = Counter({gram: len(kinds) for gram, kinds in before.items()})

    def discount(length):
        once = sum(count == 1 for count in counts[length].values())
        twice = sum(count == 2 for count in counts[length].values())
        return min(max(once / (once + 2 * twice) if once else 0.0, 0.1), 0.95)

    def p(token, history, length):
        if length == 0:
            return 1 / VOCABULARY
        context = tuple(history[len(history) - length + 1 :])
        lower = p(token, history, length - 1)
        following = {gram[-1]: count for gram, count in counts[length].items() if gram[:-1] == context}
        if not following:
            return lower
        kept = max(following.get(token, 0) - discount(length), 0)
        return (kept + discount(length) * len(following) * lower) / sum(following.values())

    return lambda token, history: p(token, [0] * order + list(history), order)


@given(train=texts, order=st.integers(1, 4), history=st.lists(st.integers(0, VOCABULARY - 1), max_size=6))
def test_probabilities_are_those_of_the_formula_and_sum_to_one(train, order, history):
    if all(len(each) < 2 for each in train):
        with pytest.raises(DataError, match="at least one"):
            NGram.fit([np.array(each, np.int64) for each in train], num_tokens=VOCABULARY, order=order)
        return
    fitted = NGram.fit([np.array(each, np.int64) for each in train], num_tokens=VOCABULARY, order=order)
    found = fitted.next_probabilities(history)
    expected = spelled_out(train, order)
    np.testing.assert_allclose(found, [expected(token, history) for token in range(VOCABULARY)], atol=1e-12)
    assert abs(found.sum() - 1) < 1e-12 and (found > 0).all()


@given(train=texts, order=st.integers(1, 4), text=st.lists(st.integers(0, VOCABULARY - 1), max_size=9))
def test_a_text_s_probability_is_the_product_of_its_tokens(train, order, text):
    train = [np.array([1, 2, *each], np.int64) for each in train]
    fitted = NGram.fit(train, num_tokens=VOCABULARY, order=order)
    found = fitted.predict([np.array(text, np.int64)])[0]
    expected = [fitted.next_probabilities(text[:place])[text[place]] for place in range(1, len(text))]
    np.testing.assert_allclose(found, np.log(expected) if expected else [], atol=1e-12)


def test_a_vocabulary_that_is_too_large_for_the_order_lowers_it():
    fitted = NGram.fit([np.array([5, 70_000, 5, 9])], num_tokens=100_000, order=5)
    assert fitted.name == "3-gram"
    # (1 - D)/1 of the longest context, where D = 0.95 is the largest that is allowed, and shares of the rest.
    assert 0.05 < np.exp(fitted.predict([np.array([5, 70_000])])[0][0]) < 1


@given(seed=st.integers(0, 999))
def test_a_column_s_chance_is_a_share_of_what_followed_its_value(seed):
    random = np.random.default_rng(seed)
    train = [random.integers(0, 2, (length, 2)).astype(np.float32) for length in (7, 1, 4)]
    frames = random.integers(0, 2, (5, 2)).astype(np.float32)
    found = ColumnMarkov.fit(train).predict([frames])[0]
    for step in range(1, 5):
        total = 0.0
        for column in range(2):
            follows = [
                float(after[column])
                for each in train
                for before, after in pairwise(each)
                if before[column] == frames[step - 1, column]
            ]
            chance = (sum(follows) + 0.5) / (len(follows) + 1)
            total += np.log(chance if frames[step, column] else 1 - chance)
        assert abs(found[step - 1] - total) < 1e-12


def test_frames_without_a_pair_are_refused():
    with pytest.raises(DataError, match="at least one"):
        ColumnMarkov.fit([np.zeros((1, 3), np.float32)])


@pytest.mark.skipif(
    not SHAKESPEARE.exists(), reason="the plays are not here; ELMAN_SETS names the folder of published sets"
)
def test_five_characters_of_shakespeare_say_what_follows_as_well_as_counts_can():
    text = SHAKESPEARE.read_text(encoding="utf-8")
    cut = int(0.9 * len(text))
    vocab = Vocab.build(text[:cut])
    fitted = NGram.fit([vocab.ids(list(text[:cut]))], num_tokens=len(vocab), order=5)
    nats = -np.mean(fitted.predict([vocab.ids(list(text[cut:]))])[0])
    assert 1.5 < nats < 1.77  # 1.77: the same counts with 0.01 added, and no shorter context asked
