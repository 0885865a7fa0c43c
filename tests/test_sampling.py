"""Sampling: each way of changing scores keeps its law, and tokens come as often as their probability says."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.errors import ConfigError
from elman.search.sampling import (
    ENDED,
    Sampling,
    generate,
    generate_frames,
    keep_nucleus,
    keep_top_k,
    penalise_repetition,
    rule_out,
    with_temperature,
)

some_scores = st.lists(st.lists(st.floats(-9, 9), min_size=4, max_size=4), min_size=1, max_size=3)


def generators(count, seed=0):
    return [torch.Generator().manual_seed(seed + row) for row in range(count)]


@given(scores=some_scores, mass=st.floats(0.01, 1.0))
def test_the_nucleus_is_the_smallest_set_that_has_the_mass(scores, mass):
    scores = torch.tensor(scores, dtype=torch.float64)
    kept = keep_nucleus(scores, mass).isfinite()
    for probabilities, inside in zip(scores.softmax(1), kept, strict=True):
        total = probabilities[inside].sum()
        assert total >= mass - 1e-9
        assert total - probabilities[inside].min() < mass + 1e-9  # without its least, it has less
        assert inside.all() or probabilities[inside].min() >= probabilities[~inside].max()


@given(scores=some_scores, count=st.integers(1, 6))
def test_the_top_k_are_k_and_the_highest(scores, count):
    scores = torch.tensor(scores)
    kept = keep_top_k(scores, count)
    inside = kept.isfinite()
    assert (inside.sum(1) == min(count, scores.size(1))).all()
    assert torch.equal(kept[inside], scores[inside])
    for row, mine in zip(scores, inside, strict=True):
        assert mine.all() or row[mine].min() >= row[~mine].max()


@given(scores=some_scores)
def test_what_keeps_everything_changes_nothing(scores):
    scores = torch.tensor(scores)
    written = torch.ones_like(scores, dtype=torch.bool)
    assert torch.equal(keep_top_k(scores, scores.size(1)), scores)
    assert torch.equal(keep_nucleus(scores, 1.0), scores)
    lowered = (scores - scores.amax(1, keepdim=True)).double()  # softmax sees no difference
    assert torch.equal(with_temperature(scores, 1.0), lowered)
    assert torch.equal(penalise_repetition(scores, written, 1.0), scores)
    assert torch.equal(rule_out(scores, []), scores)
    assert torch.equal(Sampling(top_k=scores.size(1), top_p=1.0).change(scores, written), lowered)


@given(scores=some_scores, penalty=st.floats(1.01, 5))
def test_a_penalty_makes_written_tokens_less_likely_and_leaves_the_order_of_the_others(scores, penalty):
    scores = torch.tensor(scores)
    written = torch.zeros_like(scores, dtype=torch.bool)
    written[:, 0] = True
    changed = penalise_repetition(scores, written, penalty)
    assert (changed[:, 0] <= scores[:, 0]).all()
    assert torch.equal(changed[:, 1:], scores[:, 1:])


@pytest.mark.parametrize(
    "sampling", [Sampling(1e-6), Sampling(0.0), Sampling(greedy=True), Sampling(top_k=1)]
)
def test_a_temperature_towards_zero_is_greedy(sampling):
    scores = torch.randn(50, 7, generator=torch.Generator().manual_seed(1))
    assert torch.equal(sampling.draw(scores, generators(50)), scores.argmax(1))


@pytest.mark.parametrize(
    "sampling",
    [Sampling(), Sampling(0.5), Sampling(2.0), Sampling(top_k=3), Sampling(top_p=0.8), Sampling(0.7, 4, 0.9)],
)
def test_tokens_come_as_often_as_their_probability_says(sampling):
    scores = torch.tensor([0.3, -1.0, 2.0, 0.9, -0.2, 1.1]).repeat(20_000, 1)
    one = torch.Generator().manual_seed(5)
    tokens = sampling.draw(scores, [one] * len(scores))
    expected = sampling.change(scores[:1]).double().softmax(1)[0] * len(tokens)
    counts = tokens.bincount(minlength=6).double()
    possible = expected > 0
    assert (counts[~possible] == 0).all()
    chi_square = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    assert chi_square < 20.5  # the 0.001 quantile of five degrees of freedom, more than any case here has


def test_what_a_row_draws_does_not_depend_on_its_batch_mates():
    scores = torch.randn(6, 9, generator=torch.Generator().manual_seed(2))
    together = Sampling().draw(scores, generators(6))
    alone = [Sampling().draw(scores[row : row + 1], generators(6)[row : row + 1]) for row in range(6)]
    assert together.tolist() == torch.cat(alone).tolist()


def after(token, size=5):
    """Scores that make the next number certain."""
    return torch.eye(size)[(token + 1) % size] * 200


def test_rows_end_at_the_stop_token_each_by_itself():
    first = after(torch.tensor([0, 2]))
    rows = list(generate(after, first, generators(2), length=9, sampling=Sampling(), stop=4))
    assert torch.stack(rows, 1).tolist() == [[1, 2, 3], [3, ENDED, ENDED]]


def test_without_a_stop_token_the_length_is_what_was_asked_and_no_step_is_made_too_many():
    steps = []

    def step(tokens):
        steps.append(tokens)
        return after(tokens)

    rows = list(generate(step, after(torch.tensor([3])), generators(1), length=4, sampling=Sampling()))
    assert [int(row) for row in rows] == [4, 0, 1, 2] and len(steps) == 3


def test_tokens_that_are_ruled_out_never_come():
    def flat(tokens):
        return torch.zeros(len(tokens), 4)

    rows = generate(flat, torch.zeros(50, 4), generators(50), length=9, sampling=Sampling(), never=[0, 2])
    assert set(torch.stack(list(rows)).flatten().tolist()) == {1, 3}


def test_a_strong_penalty_never_repeats_while_there_is_something_new():
    def flat(tokens):
        return torch.full((len(tokens), 6), -1.0)

    how = Sampling(repetition_penalty=1e6)
    written = torch.tensor([[True, False, False, False, False, False]])
    rows = generate(flat, torch.full((1, 6), -1.0), generators(1), length=5, sampling=how, written=written)
    assert sorted(int(row) for row in rows) == [1, 2, 3, 4, 5]


def test_frames_come_as_often_as_their_probability_says_and_towards_zero_are_certain():
    scores = torch.tensor([[0.8, -2.0, 0.0]]).repeat(8000, 1)
    one = torch.Generator().manual_seed(3)
    frames = next(generate_frames(lambda frames: scores, scores, [one] * 8000, length=1))
    expected = scores[0].sigmoid()
    spread = (expected * (1 - expected) / 8000).sqrt()
    assert ((frames.mean(0) - expected).abs() < 4 * spread).all()
    sure = next(generate_frames(lambda frames: scores, scores[:1], generators(1), length=1, temperature=0))
    assert sure.tolist() == [[1.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1.0},
        {"temperature": math.nan},
        {"top_k": 0},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"repetition_penalty": 0.5},
    ],
)
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=rf"{next(iter(wrong))} is .*; expected"):
        Sampling(**wrong)
