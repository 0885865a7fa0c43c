"""Pooling: values by hand, garbage in the padding, rows without steps."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.nn.pooling import POOLINGS, LastPooling
from elman.padded import Padded

EXACT = 1e-12
both_ways = pytest.mark.parametrize("directions", [1, 2])


def make(name, directions=1, size=4):
    return POOLINGS[name](size, num_directions=directions).double()


def by_hand(pooling, name, row, directions):
    """What the pooling gives for one row [length, size] without padding, from its definition."""
    if len(row) == 0:
        return torch.zeros(pooling.output_size, dtype=torch.float64)
    if name == "last":
        half = row.size(1) // directions
        return torch.cat([row[-1, :half], row[0, half:]])
    if name == "attention":
        attention = pooling.attention
        energy = attention.score(torch.tanh(attention.from_keys(row)))
        return (torch.softmax(energy, 0) * row).sum(0)
    parts = {"mean": [row.mean(0)], "max": [row.max(0).values]}
    parts["mean+max"] = parts["mean"] + parts["max"]
    return torch.cat(parts[name])


@both_ways
@pytest.mark.parametrize("name", POOLINGS)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=5), st.integers(0, 3), st.integers(0, 2**31))
def test_every_pooling_is_its_definition_whatever_the_padding(name, directions, lengths, extra, seed):
    torch.manual_seed(seed)
    pooling = make(name, directions)
    # Negative numbers, so that a maximum over padding zeros would show.
    data = -torch.rand(len(lengths), max(lengths) + extra, 4, dtype=torch.float64) - 1
    steps = Padded(data, torch.tensor(lengths))
    for garbage in (0.0, 1e6, torch.inf, torch.nan):
        found = pooling(steps.masked(garbage))
        for row, vector in zip(steps.unpad(), found, strict=True):
            torch.testing.assert_close(
                vector, by_hand(pooling, name, row, directions), atol=EXACT, rtol=EXACT
            )


@both_ways
@pytest.mark.parametrize("name", POOLINGS)
def test_no_gradient_reaches_the_padding_and_none_is_lost(name, directions):
    pooling = make(name, directions)
    steps = Padded(torch.randn(3, 5, 4, dtype=torch.float64), torch.tensor([2, 0, 5]))
    dirty = steps.masked(torch.nan).data.requires_grad_()
    pooling(Padded(dirty, steps.lengths)).sum().backward()
    assert dirty.grad[~steps.mask].eq(0).all()
    assert dirty.grad[steps.mask].isfinite().all()
    assert dirty.grad[0].any()
    assert dirty.grad[2].any()


@both_ways
@pytest.mark.parametrize("name", POOLINGS)
def test_gradients_are_those_of_finite_differences(name, directions):
    pooling = make(name, directions)
    data = torch.randn(3, 4, 4, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([4, 0, 2])
    assert torch.autograd.gradcheck(lambda data: pooling(Padded(data, lengths)), data)


@pytest.mark.parametrize("name", POOLINGS)
def test_a_batch_without_steps_gives_zeros(name):
    pooling = make(name, 2)
    found = pooling(Padded(torch.zeros(2, 0, 4, dtype=torch.float64), torch.tensor([0, 0])))
    assert found.shape == (2, pooling.output_size)
    assert not found.any()


def test_the_backward_half_ends_at_the_first_step():
    steps = Padded(torch.tensor([[[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]]), torch.tensor([2]))
    assert LastPooling(2, num_directions=2)(steps).tolist() == [[2.0, 10.0]]
