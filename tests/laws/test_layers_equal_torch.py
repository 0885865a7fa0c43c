"""The law ours = torch.nn: the same draws, outputs, final states and gradients."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from layer_cases import Case, cases, every_case, gradients, largest_difference, parts_of
from tolerances import SAME_AS_TORCH
from torch.nn.utils.rnn import pack_padded_sequence

import elman.nn

TOLERANCE = SAME_AS_TORCH[torch.float64]


def agree(case: Case, has_state: bool) -> float:
    ours, theirs = case.make(elman.nn), case.make(torch.nn)
    results = []
    for layer in (ours, theirs):
        x, state = case.input(), case.state() if has_state else None
        found = gradients(layer, [x, *parts_of(state)], lambda: case.run(layer, x, state))  # noqa: B023
        results.append((*case.run(layer, x, state), found))
    return largest_difference(*results)


@given(case=cases(), has_state=st.booleans())
def test_outputs_states_and_gradients_equal_torch(case, has_state):
    assert agree(case, has_state) <= TOLERANCE


@pytest.mark.parametrize("case", every_case(), ids=str)
def test_every_kind_equals_torch(case):
    assert agree(case, has_state=True) <= TOLERANCE


@pytest.mark.parametrize("case", every_case(), ids=str)
def test_draws_and_names_equal_torch(case):
    ours, theirs = case.make(elman.nn), case.make(torch.nn)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(ours.state_dict()[name], value) for name, value in theirs.state_dict().items())


def agree_packed(case: Case, lengths: torch.Tensor, has_state: bool, is_sorted: bool) -> float:
    results = []
    for layer in (case.make(elman.nn), case.make(torch.nn)):
        x, state = case.input(), case.state() if has_state else None

        def run(layer=layer, x=x, state=state):
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=is_sorted)
            output, final = layer(packed, state)
            return output.data, parts_of(final)

        results.append((*run(), gradients(layer, [x, *parts_of(state)], run)))
    return largest_difference(*results)


@given(case=cases(), has_state=st.booleans(), is_sorted=st.booleans())
def test_packed_sequences_equal_torch(case, has_state, is_sorted):
    lengths = case.lengths().clamp(min=1)
    lengths = lengths.sort(descending=True)[0] if is_sorted else lengths
    assert agree_packed(case, lengths, has_state, is_sorted) <= TOLERANCE


@pytest.mark.parametrize("case", every_case(), ids=str)
def test_unsorted_packed_sequences_of_every_kind_equal_torch(case):
    assert agree_packed(case, torch.tensor([1, 4, 2]), has_state=True, is_sorted=False) <= TOLERANCE


@given(case=cases(), has_state=st.booleans())
def test_a_sequence_without_a_batch_equals_torch(case, has_state):
    results = []
    for layer in (case.make(elman.nn), case.make(torch.nn)):
        state = tuple(part[:, 0] for part in parts_of(case.state())) if has_state else None
        if state is not None and not case.kind.startswith("LSTM"):
            (state,) = state
        output, final = layer(case.input()[0], state)
        results.append((output, parts_of(final)))
    assert largest_difference(*results) <= TOLERANCE


@given(case=cases())
def test_lengths_equal_a_packed_sequence_of_torch(case):
    lengths = case.lengths().clamp(min=1)
    ours, theirs = case.make(elman.nn), case.make(torch.nn)
    output, final = case.run(ours, case.input(), case.state(), lengths=lengths)
    packed = pack_padded_sequence(case.input(), lengths, batch_first=True, enforce_sorted=False)
    expected, expected_final = theirs(packed, case.state())
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(expected, batch_first=True, total_length=case.steps)
    assert largest_difference((output, final), (padded, parts_of(expected_final))) <= TOLERANCE
