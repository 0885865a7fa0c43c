"""Padding and masking: Padded, pad, and what they refuse."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.errors import ShapeError
from elman.padded import Padded, check_lengths, mask_of, pad

LENGTHS = st.lists(st.integers(0, 5), min_size=1, max_size=5)


def sequences(lengths, features=2):
    """Sequences whose every number differs."""
    total = sum(lengths) * features
    numbers = torch.arange(1, total + 1, dtype=torch.float64).reshape(-1, features)
    return list(numbers.split(lengths))


@given(LENGTHS)
def test_unpad_gives_back_what_pad_took(lengths):
    given = sequences(lengths)
    back = pad(given).unpad()
    assert all(torch.equal(a, b) for a, b in zip(given, back, strict=True))


@given(LENGTHS)
def test_the_mask_is_true_for_as_many_steps_as_the_length(lengths):
    batch = pad(sequences(lengths))
    assert batch.mask.shape == batch.data.shape[:2]
    assert batch.mask.sum(1).tolist() == lengths
    assert batch.mask.int().diff(dim=1).le(0).all()  # once padding, always padding


@given(LENGTHS, st.data())
def test_padding_on_any_side_becomes_padding_on_the_right(lengths, data):
    batch = pad(sequences(lengths))
    steps = batch.data.size(1)
    shifts = [data.draw(st.integers(0, steps - length)) for length in lengths]
    rolled = torch.stack([row.roll(shift, 0) for row, shift in zip(batch.data, shifts, strict=True)])
    mask = torch.stack([row.roll(shift, 0) for row, shift in zip(batch.mask, shifts, strict=True)])
    rubbish = torch.where(mask.unsqueeze(-1), rolled, torch.nan)
    moved = Padded.from_mask(rubbish, mask)
    assert torch.equal(moved.data, batch.data)
    assert torch.equal(moved.lengths, batch.lengths)


@given(LENGTHS)
def test_reverse_turns_each_row_within_its_length_and_twice_changes_nothing(lengths):
    batch = pad(sequences(lengths))
    turned = batch.reverse()
    assert [row.tolist() for row in turned.unpad()] == [row.flip(0).tolist() for row in batch.unpad()]
    assert torch.equal(turned.reverse().data, batch.data)


@given(LENGTHS)
def test_last_is_the_step_at_the_length_or_else_the_initial(lengths):
    given = sequences(lengths)
    batch = pad(given).masked(torch.nan)
    initial = torch.full((len(lengths), 2), -1.0, dtype=torch.float64)
    for start, expected_start in ((None, torch.zeros_like(initial)), (initial, initial)):
        rows = [row[-1] if len(row) else nothing for row, nothing in zip(given, expected_start, strict=True)]
        assert torch.equal(batch.last(start), torch.stack(rows))


def test_masked_writes_only_beyond_the_lengths():
    batch = pad([[1, 2, 3], [4]]).masked(9)
    assert batch.data.tolist() == [[1, 2, 3], [4, 9, 9]]
    assert batch.data.dtype == torch.int64


def test_rubbish_in_the_padding_gets_no_gradient():
    data = torch.tensor([[1.0, float("nan")]], requires_grad=True)
    Padded(data, torch.tensor([1])).masked().data.sum().backward()
    assert data.grad.tolist() == [[1.0, 0.0]]


def test_pad_takes_tensors_arrays_and_lists_empty_ones_too():
    assert pad([[], [1, 2]]).data.tolist() == [[0, 0], [1, 2]]
    assert pad([np.ones((2, 3), dtype=np.float32), np.zeros((0, 3), dtype=np.float32)]).data.shape == (
        2,
        2,
        3,
    )
    assert pad([torch.zeros(0, 4), torch.ones(1, 4)], value=-1).data[0].tolist() == [[-1.0] * 4]
    assert pad([[], []]).data.shape == (2, 0)


def test_lengths_are_int64_on_the_cpu_and_may_be_given_as_a_list():
    batch = Padded(torch.zeros(2, 3), [3, 0])
    assert batch.lengths.dtype == torch.int64
    assert Padded(torch.zeros(2, 3), torch.tensor([1, 2], dtype=torch.int16)).lengths.tolist() == [1, 2]


def test_with_data_keeps_the_lengths_and_to_moves_only_the_data():
    batch = pad([[1, 2], [3]])
    assert batch.with_data(torch.zeros(2, 2, 5)).lengths.tolist() == [2, 1]
    assert batch.to(dtype=torch.float32).data.dtype == torch.float32
    assert batch.to(dtype=torch.float32).lengths.dtype == torch.int64
    with pytest.raises(ShapeError, match="same batch and steps"):
        batch.with_data(torch.zeros(2, 3))


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([4, 1], r"lengths\[0\] is 4 but the batch has 3 steps"),
        ([1, -1], r"lengths\[1\] is -1, expected 0 or more"),
        ([1.0, 2.0], "expected integers"),
        ([True, False], "from_mask"),
        ([1], r"shape \(1,\), expected \(2,\)"),
        ([[1, 2]], r"shape \(1, 2\), expected \(2,\)"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(lengths, message):
    for unfit in (lengths, torch.tensor(lengths)):
        with pytest.raises(ShapeError, match=message):
            Padded(torch.zeros(2, 3), unfit)


def test_an_empty_batch_has_an_empty_list_of_lengths():
    assert check_lengths([], batch=0, steps=3).tolist() == []
    assert mask_of(torch.zeros(0, dtype=torch.int64), 3).shape == (0, 3)


def test_masks_with_holes_or_of_another_kind_are_refused():
    data = torch.zeros(2, 3)
    with pytest.raises(ShapeError, match="mask row 1 has holes"):
        Padded.from_mask(data, torch.tensor([[True, True, False], [True, False, True]]))
    with pytest.raises(ShapeError, match=r"expected \(2, 3\) torch.bool"):
        Padded.from_mask(data, torch.ones(2, 3))
    with pytest.raises(ShapeError, match=r"expected \(2, 3\) torch.bool"):
        Padded.from_mask(data, torch.ones(2, 2, dtype=torch.bool))


def test_sequences_that_differ_in_more_than_length_are_refused():
    with pytest.raises(ShapeError, match="no sequence to pad"):
        pad([])
    with pytest.raises(ShapeError, match=r"sequences\[1\] is \(1, 3\)"):
        pad([torch.zeros(2, 2), torch.zeros(1, 3)])
    with pytest.raises(ShapeError, match=r"sequences\[1\].*int64"):
        pad([torch.zeros(2), torch.zeros(2, dtype=torch.int64)])
    with pytest.raises(ShapeError, match="single number"):
        pad([torch.tensor(1)])
    with pytest.raises(ShapeError, match=r"expected \[batch, time, ...\]"):
        Padded(torch.zeros(3), torch.tensor([1]))


@pytest.mark.filterwarnings("ignore")  # torch's tracer warns of every number that is looked at
@pytest.mark.parametrize("ask", [lambda padded: padded.masked().data, Padded.real_steps])
def test_a_program_traced_with_full_rows_knows_padding(ask):
    data, full, lengths = torch.randn(3, 4, 2), torch.tensor([4, 4, 4]), torch.tensor([4, 0, 2])
    traced = torch.jit.trace(lambda data, lengths: ask(Padded(data, lengths)), (data, full))
    assert torch.equal(traced(data, lengths), ask(Padded(data, lengths)))
