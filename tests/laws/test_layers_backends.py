"""The law backend = reference, for every backend: values, gradients, and gradients by finite differences."""

from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from layer_cases import FASTER, Case, cases, every_case, gradients, largest_difference, parts_of
from tolerances import SAME_AS_REFERENCE

from elman.kernels import use

TOLERANCE = SAME_AS_REFERENCE[torch.float64]


def results(case: Case, has_lengths: bool, has_reset: bool, initial_state: str):
    layer = case.make(initial_state=initial_state)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.startswith("initial_"):
                parameter.fill_(0.5)
    x, state = case.input(), case.state() if initial_state == "zeros" else None
    options = {
        "lengths": case.lengths() if has_lengths else None,
        "reset": case.reset() if has_reset else None,
    }

    def run():
        return case.run(layer, x, state, **options)

    return *run(), gradients(layer, [x, *parts_of(state)], run)


@pytest.mark.parametrize("backend", FASTER)
@given(
    case=cases(),
    lengths=st.booleans(),
    reset=st.booleans(),
    initial_state=st.sampled_from(["zeros", "learned"]),
)
def test_every_backend_equals_the_loop_over_plain_equations(backend, case, lengths, reset, initial_state):
    found = []
    for name in (backend, "reference"):
        with use(name):
            found.append(results(case, lengths, reset, initial_state))
    assert largest_difference(*found) <= TOLERANCE


@given(
    case=cases(),
    lengths=st.booleans(),
    reset=st.booleans(),
    initial_state=st.sampled_from(["zeros", "learned"]),
)
def test_the_operator_of_traced_programs_equals_the_layer(case, lengths, reset, initial_state):
    untraced = results(case, lengths, reset, initial_state)
    # The flag and not the function: dynamo would remember a replaced function, and miss the real one.
    with patch("torch.compiler._is_compiling_flag", True):
        traced = results(case, lengths, reset, initial_state)
    assert largest_difference(untraced, traced) <= TOLERANCE


@pytest.mark.parametrize("backend", [*FASTER, "reference"])
@pytest.mark.parametrize("case", [c for c in every_case(batch=2, steps=3) if c.bias], ids=str)
def test_gradients_equal_finite_differences(backend, case):
    layer = case.make()
    names = [name for name, _ in layer.named_parameters()]
    lengths, reset = torch.tensor([3, 2]), torch.tensor([[False, False, True], [False, True, False]])

    def run(x, *weights):
        named = dict(zip(names, weights, strict=True))
        output, final = torch.func.functional_call(layer, named, (x,), {"lengths": lengths, "reset": reset})
        return output, *parts_of(final)

    weights = [value.detach().requires_grad_() for value in layer.parameters()]
    with use(backend):
        assert torch.autograd.gradcheck(run, (case.input().requires_grad_(), *weights), fast_mode=True)
