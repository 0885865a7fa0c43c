"""Laws of time: step by step = whole, chunks = whole, reversed = mirrored."""

from itertools import pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st
from layer_cases import cases, every_case, gradients, largest_difference, parts_of
from tolerances import SAME_GRADIENT, SAME_ROW

import elman.nn
from elman.cells import MODES
from elman.padded import reverse_steps

TOLERANCE = SAME_ROW[torch.float64]
GRADIENT_TOLERANCE = SAME_GRADIENT[torch.float64]


def in_chunks(case, layer, x, state, cuts):
    """Run piece by piece, handing the state on."""
    bounds = [0, *sorted(cuts), case.steps]
    outputs = []
    for start, end in pairwise(bounds):
        if start < end:
            output, parts = case.run(layer, x[:, start:end], state)
            outputs.append(output)
            state = parts if case.kind.startswith("LSTM") else parts[0]
    return torch.cat(outputs, 1), parts_of(state)


@given(case=cases(directions=(False,)), data=st.data())
def test_chunks_equal_the_whole(case, data):
    cuts = data.draw(st.lists(st.integers(0, case.steps), max_size=3))
    layer, x, state = case.make(), case.input(), case.state()
    whole, pieces = case.run(layer, x, state), in_chunks(case, layer, x, state, cuts)
    assert largest_difference(whole, pieces) <= TOLERANCE
    whole = gradients(layer, [x], lambda: case.run(layer, x, state))
    pieces = gradients(layer, [x], lambda: in_chunks(case, layer, x, state, cuts))
    assert largest_difference(whole, pieces) <= GRADIENT_TOLERANCE


@given(case=cases(directions=(False,)))
def test_step_by_step_equals_the_whole(case):
    layer, x, state = case.make(), case.input(), case.state()
    whole = case.run(layer, x, state)
    assert largest_difference(whole, in_chunks(case, layer, x, state, range(case.steps))) <= TOLERANCE


@given(case=cases(directions=(False,)))
def test_cell_modules_step_by_step_equal_the_whole(case):
    """The bottom layer of a stack, run by its Cell module."""
    if case.kind == "LSTM projected":
        return  # as in torch, the cell modules have no projection
    layer = case.make(num_layers=1)
    options = {"nonlinearity": "relu"} if case.kind == "RNN relu" else {}
    cell = getattr(elman.nn, case.kind.split()[0] + "Cell")(3, 4, bias=case.bias, dtype=case.dtype, **options)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    outputs, state = [], None
    for x in case.input().unbind(1):
        state = cell(x, state)
        outputs.append(parts_of(state)[0])
    output, final = case.run(layer, case.input())
    assert largest_difference(output, torch.stack(outputs, 1)) <= TOLERANCE
    assert largest_difference([part[0] for part in final], parts_of(state)) <= TOLERANCE


@given(case=cases(directions=(True,)), has_lengths=st.booleans())
def test_the_backward_direction_is_a_forward_layer_on_mirrored_rows(case, has_lengths):
    both, forward = case.make(num_layers=1), case.make(num_layers=1, bidirectional=False)
    names = dict(forward.named_parameters())
    forward.load_state_dict({name: both.state_dict()[f"{name}_reverse"] for name in names})
    lengths = case.lengths() if has_lengths else torch.full((case.batch,), case.steps)
    mirrored = reverse_steps(case.input(), lengths)
    output, final = case.run(both, case.input(), lengths=lengths)
    expected, expected_final = case.run(forward, mirrored, lengths=lengths)
    size = output.size(-1) // 2
    assert largest_difference(output[..., size:], reverse_steps(expected, lengths)) <= TOLERANCE
    assert largest_difference([part[1:] for part in final], expected_final) <= TOLERANCE


def test_every_recurrence_is_tried():
    assert {case.make().mode for case in every_case()} == set(MODES)
