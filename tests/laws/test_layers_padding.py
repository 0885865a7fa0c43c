"""Laws of padding: what stands beyond a length, where it stood, and the other rows change nothing."""

from dataclasses import replace
from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from layer_cases import (
    Case,
    cases,
    every_case,
    gradients,
    in_separate_sequences,
    largest_difference,
    parts_of,
)
from tolerances import SAME_GRADIENT, SAME_ROW

from elman.kernels import use
from elman.kernels.held import run
from elman.padded import Padded, mask_of

TOLERANCE = SAME_ROW[torch.float64]
GRADIENT_TOLERANCE = SAME_GRADIENT[torch.float64]


def disagreement_with_rows_alone(case: Case, lengths: torch.Tensor) -> tuple[float, float]:
    """Compare a padded batch with torch.nn on each row without its padding: values and gradients."""
    ours, theirs = case.make(), case.make(torch.nn)
    x, state = case.input(), case.state()
    leaves = [x, *parts_of(state)]

    def together():
        return case.run(ours, x, state, lengths=lengths)

    def alone():
        return in_separate_sequences(case, theirs, x, parts_of(state), lengths)

    values = largest_difference(together(), alone())
    return values, largest_difference(gradients(ours, leaves, together), gradients(theirs, leaves, alone))


@given(case=cases())
def test_a_padded_batch_equals_torch_on_each_row_alone(case):
    values, slopes = disagreement_with_rows_alone(case, case.lengths())
    assert values <= TOLERANCE
    assert slopes <= GRADIENT_TOLERANCE


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's own
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("case", every_case(batch=4, steps=5), ids=str)
def test_every_kind_obeys_the_padding_law(case, dtype):
    for lengths in ([5, 3, 0, 4], [1, 0, 2, 1]):  # the one mostly full, the other mostly padding
        values, slopes = disagreement_with_rows_alone(replace(case, dtype=dtype), torch.tensor(lengths))
        assert values <= SAME_ROW[dtype]
        assert slopes <= SAME_GRADIENT[dtype]


@given(case=cases(), has_state=st.booleans())
def test_an_lstm_held_through_padding_equals_torch_on_each_row_alone(case, has_state):
    """In float64 too, where this way is not the faster one and would not be chosen."""
    case = replace(case, kind="LSTM")
    lengths, ours, theirs, x = case.lengths(), case.make(), case.make(torch.nn), case.input()
    lengths[-1] = max(1, int(lengths[-1]))  # torch.nn has no gradient for nothing
    state = case.state() if has_state and not case.bidirectional else None
    begin = parts_of(state) or tuple(torch.zeros_like(part) for part in case.state())

    def together():
        return case.run(ours, x, state, lengths=lengths)

    def alone():
        return in_separate_sequences(case, theirs, x, begin, lengths)

    with (
        use("torch"),
        patch("elman.kernels.held.suits", return_value=True),
        patch("elman.kernels.held.run", wraps=run) as held,
    ):
        values = together()
        slopes = gradients(ours, [x, *parts_of(state)], together)
    assert held.called == bool((lengths < case.steps).any())
    assert largest_difference(values, alone()) <= TOLERANCE
    assert largest_difference(slopes, gradients(theirs, [x, *parts_of(state)], alone)) <= GRADIENT_TOLERANCE


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_padding_holds_the_cell_to_the_last_bit(dtype):
    case = Case("LSTM", 1, False, True, True, batch=2, steps=40, seed=1, dtype=dtype)
    layer, x = case.make(), case.input()
    with torch.no_grad():
        layer.weight_hh_l0.mul_(50)  # the hidden state pushes harder than a trained network's
    with use("torch"), patch("elman.kernels.held.suits", return_value=True):
        (_, cell), (_, much_later) = (layer(x[:, :steps], lengths=[4, 4])[1] for steps in (5, 40))
    assert torch.equal(cell, much_later)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's own
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@given(data=st.data(), rubbish=st.sampled_from([1.0, 1e30, float("inf"), float("nan")]))
def test_rubbish_in_the_padding_changes_nothing_and_gets_no_gradient(dtype, data, rubbish):
    case = data.draw(cases(dtype=dtype))
    layer, lengths, state = case.make(), case.lengths(), case.state()
    mask = mask_of(lengths, case.steps).unsqueeze(-1)
    clean = torch.where(mask, case.input(), 0.0)
    dirty = torch.where(mask, case.input(), rubbish)
    results = []
    for x in (clean, dirty):
        found = gradients(layer, [x], lambda x=x: case.run(layer, x, state, lengths=lengths))
        results.append((*case.run(layer, x, state, lengths=lengths), found))
        assert not found[-1][~mask.expand_as(x)].any()
    assert largest_difference(*results) == 0


@given(case=cases(), more=st.integers(1, 3))
def test_more_padding_changes_nothing(case, more):
    layer, lengths, x = case.make(), case.lengths(), case.input()
    output, final = case.run(layer, x, lengths=lengths)
    wider = torch.nn.functional.pad(x, (0, 0, 0, more), value=9.0)
    wide_output, wide_final = case.run(layer, wider, lengths=lengths)
    assert largest_difference((output, final), (wide_output[:, : case.steps], wide_final)) <= TOLERANCE
    assert not wide_output[:, case.steps :].any()


@given(case=cases(), data=st.data())
def test_the_side_of_the_padding_changes_nothing(case, data):
    layer, lengths, x = case.make(), case.lengths(), case.input()
    shifts = [data.draw(st.integers(0, case.steps - length)) for length in lengths.tolist()]
    shifted = torch.stack([row.roll(shift, 0) for row, shift in zip(x, shifts, strict=True)])
    mask = torch.stack(
        [row.roll(shift, 0) for row, shift in zip(mask_of(lengths, case.steps), shifts, strict=True)]
    )
    moved = Padded.from_mask(shifted, mask)
    results = [case.run(layer, batch.data, lengths=batch.lengths) for batch in (Padded(x, lengths), moved)]
    assert largest_difference(*results) == 0


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's own
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@given(data=st.data())
def test_a_row_alone_equals_the_row_in_a_batch(dtype, data):
    case = data.draw(cases(dtype=dtype))
    layer, lengths, x = case.make(), case.lengths(), case.input()
    state = case.state() if data.draw(st.booleans()) else None
    begin = parts_of(state) or tuple(torch.zeros_like(part) for part in parts_of(case.state()))
    together = case.run(layer, x, state, lengths=lengths)
    alone = in_separate_sequences(case, layer, x, begin, lengths)
    assert largest_difference(together, alone) <= SAME_ROW[dtype]


@given(case=cases(), data=st.data())
def test_the_order_of_the_rows_changes_nothing(case, data):
    layer, lengths, x = case.make(), case.lengths(), case.input()
    order = torch.tensor(data.draw(st.permutations(range(case.batch))))
    output, final = case.run(layer, x, lengths=lengths)
    shuffled, shuffled_final = case.run(layer, x[order], lengths=lengths[order])
    expected = output[order], [part[:, order] for part in final]
    assert largest_difference((shuffled, list(shuffled_final)), expected) <= TOLERANCE


@given(case=cases(), has_state=st.booleans())
def test_rows_of_length_zero_give_zeros_and_the_initial_state(case, has_state):
    layer = case.make(initial_state="learned")
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.startswith("initial_"):
                parameter.normal_()
    own = tuple(value for name, value in layer.named_parameters() if name.startswith("initial_"))
    state = case.state() if has_state else None
    lengths = case.lengths()
    lengths[0] = 0
    for given_lengths in (lengths, torch.zeros_like(lengths)):
        output, final = case.run(layer, case.input(), state, lengths=given_lengths)
        assert not output[0].any()
        expected = [part[:, 0] for part in parts_of(state)] if has_state else list(own)
        assert largest_difference([part[:, 0] for part in final], expected) == 0


def test_a_batch_of_empty_rows_still_has_a_gradient():
    layer = Case("LSTM", 2, True, True, True, batch=2, steps=3, seed=0).make()
    x = torch.ones(2, 3, 3, dtype=torch.float64, requires_grad=True)
    output, _ = layer(x, lengths=[0, 0])
    output.sum().backward()
    assert not layer.weight_ih_l0.grad.any()
