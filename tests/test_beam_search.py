"""Beam search over a step function that is a table: its laws, against brute force."""

import itertools
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.errors import ConfigError
from elman.search.beam_search import penalty, search

START, STOP = 0, 1


@dataclass
class History:
    """Everything that each beam has read; what comes next may depend on all of it."""

    rows: torch.Tensor

    def select(self, rows):
        return History(self.rows[rows])


class Tree:
    """Random log-probabilities for each sentence and history, the same whenever they are asked for."""

    def __init__(self, seed, vocabulary, num_rows):
        self.seed, self.vocabulary = seed, vocabulary
        self.begin = History(torch.arange(num_rows).unsqueeze(1) + 1000)
        self.calls = 0

    def next(self, history):
        draw = torch.Generator().manual_seed(hash((self.seed, *history)) % 2**31)
        return torch.randn(self.vocabulary, generator=draw, dtype=torch.float64).mul(2).log_softmax(0)

    def step(self, tokens, state):
        self.calls += 1
        rows = torch.cat((state.rows, tokens.unsqueeze(1)), 1)
        return torch.stack([self.next(tuple(row)) for row in rows.tolist()]), History(rows)

    def log_probability(self, row, tokens):
        history, total = [1000 + row, START], 0.0
        for token in tokens:
            total += self.next(tuple(history))[token].item()
            history.append(token)
        return total

    def search(self, **options):
        size = len(self.begin.rows)
        return search(
            self.step, self.begin, num_rows=size, start=START, stop=STOP, forbidden=[START], **options
        )


def greedy(tree, row, max_length):
    history, tokens = [1000 + row, START], []
    while len(tokens) < max_length:
        scores = tree.next(tuple(history))
        scores[START] = -torch.inf
        token = int(scores.argmax())
        if token == STOP:
            break
        tokens.append(token)
        history.append(token)
    return tuple(tokens)


seeds = st.integers(0, 10_000)


@given(seed=seeds, num_rows=st.integers(1, 4), alpha=st.sampled_from([0.0, 0.6]))
def test_one_beam_is_greedy_search(seed, num_rows, alpha):
    tree = Tree(seed, 5, num_rows)
    found = tree.search(width=1, max_length=5, length_penalty=alpha)
    assert [rows[0].tokens for rows in found] == [greedy(tree, row, 5) for row in range(num_rows)]


@given(seed=seeds, alpha=st.sampled_from([0.0, 0.6, 1.0]))
def test_a_beam_as_wide_as_the_tree_finds_the_best_there_is(seed, alpha):
    tree, longest = Tree(seed, 4, 1), 3
    every = [
        (*middle, STOP) for length in range(longest) for middle in itertools.product((2, 3), repeat=length)
    ]
    scored = {one[:-1]: tree.log_probability(0, one) / penalty(len(one), alpha) for one in every}
    expected = sorted(scored, key=lambda one: -scored[one])[:4]
    found = tree.search(width=16, max_length=longest, length_penalty=alpha, n_best=4)[0]
    assert [one.tokens for one in found] == expected
    assert all(abs(one.score - scored[one.tokens]) < 1e-12 for one in found)


@given(seed=seeds, width=st.integers(1, 4))
def test_rows_together_find_what_each_finds_alone(seed, width):
    tree = Tree(seed, 5, 3)
    together = tree.search(width=width, max_length=5, n_best=width)
    for row, found in enumerate(together):
        alone = search(
            tree.step, tree.begin.select(torch.tensor([row])), num_rows=1, start=START, stop=STOP,
            forbidden=[START], width=width, max_length=5, n_best=width,
        )[0]  # fmt: skip
        assert alone == found


@given(seed=seeds, width=st.integers(1, 4))
def test_the_log_probability_is_that_of_the_tokens(seed, width):
    tree = Tree(seed, 5, 2)
    for row, found in enumerate(tree.search(width=width, max_length=4, n_best=width)):
        for one in found:
            tokens = (*one.tokens, *[STOP] * one.is_complete)
            assert abs(one.log_probability - tree.log_probability(row, tokens)) < 1e-12


@given(seed=seeds)
def test_the_best_stand_first_and_none_twice(seed):
    found = Tree(seed, 6, 1).search(width=5, max_length=4, n_best=5)[0]
    complete = [one.score for one in found if one.is_complete]
    assert complete == sorted(complete, reverse=True)
    assert [one.is_complete for one in found] == sorted((one.is_complete for one in found), reverse=True)
    assert len({(*one.tokens, one.is_complete) for one in found}) == len(found)


def test_search_stops_when_no_open_beam_can_win():
    class Sure(Tree):
        def next(self, history):
            return torch.tensor([-9.0, -0.01, -8.0, -8.0], dtype=torch.float64)

    tree = Sure(0, 4, 1)
    assert tree.search(width=3, max_length=50)[0][0].tokens == ()
    assert tree.calls == 1


def test_what_never_ends_is_cut_at_the_maximum_and_says_so():
    class Endless(Tree):
        def next(self, history):
            return torch.tensor([-9.0, -torch.inf, -0.1, -3.0], dtype=torch.float64)

    best = Endless(0, 4, 1).search(width=2, max_length=3)[0][0]
    assert best.tokens == (2, 2, 2) and not best.is_complete


def test_a_penalty_favours_the_longer_of_two():
    class Two(Tree):
        def next(self, history):
            if history[-1] == START:
                return torch.tensor([-99.0, -1.0, -1.0, -99.0], dtype=torch.float64)
            return torch.tensor([-99.0, -0.1, -99.0, -99.0], dtype=torch.float64)

    tree = Two(0, 4, 1)
    assert tree.search(width=4, max_length=4)[0][0].tokens == ()
    assert tree.search(width=4, max_length=4, length_penalty=1.0)[0][0].tokens == (2,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "beam_size = 0: search needs 1 or more"),
        ({"max_length": 0}, "max_length = 0"),
        ({"n_best": 3}, "n_best = 3 but beam_size = 2"),
        ({"length_penalty": -1.0}, "length_penalty = -1"),
    ],
)
def test_wrong_numbers_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Tree(0, 4, 1).search(**({"width": 2, "max_length": 3} | options))


def test_no_rows_give_nothing():
    assert search(None, None, num_rows=0, start=0, stop=1, width=2, max_length=3) == []
