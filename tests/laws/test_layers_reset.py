"""The law of resets: a cut row equals its pieces run as separate sequences, in both directions."""

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

TOLERANCE = SAME_ROW[torch.float64]
GRADIENT_TOLERANCE = SAME_GRADIENT[torch.float64]


def disagreement(case: Case, has_lengths: bool) -> tuple[float, float]:
    """Compare a cut batch with torch.nn on each piece alone: values and gradients."""
    reset = case.reset()
    lengths = case.lengths() if has_lengths else torch.full((case.batch,), case.steps)
    ours, theirs = case.make(), case.make(torch.nn)
    x, state = case.input(), case.state()
    leaves = [x, *parts_of(state)]

    def together():
        return case.run(ours, x, state, reset=reset, lengths=lengths if has_lengths else None)

    def alone():
        return in_separate_sequences(case, theirs, x, parts_of(state), lengths, reset)

    values = largest_difference(together(), alone())
    return values, largest_difference(gradients(ours, leaves, together), gradients(theirs, leaves, alone))


@given(case=cases(), has_lengths=st.booleans())
def test_cut_rows_equal_separate_sequences_of_torch(case, has_lengths):
    values, slopes = disagreement(case, has_lengths)
    assert values <= TOLERANCE
    assert slopes <= GRADIENT_TOLERANCE


@pytest.mark.parametrize("case", every_case(batch=4, steps=6), ids=str)
def test_every_kind_obeys_the_law_of_resets(case):
    assert max(disagreement(case, has_lengths=True)) <= TOLERANCE


@given(case=cases())
def test_no_cut_equals_no_reset(case):
    layer, x, state = case.make(), case.input(), case.state()
    uncut = torch.zeros(case.batch, case.steps, dtype=torch.bool)
    assert largest_difference(case.run(layer, x, state, reset=uncut), case.run(layer, x, state)) <= TOLERANCE


@given(case=cases())
def test_a_cut_everywhere_makes_every_step_a_sequence(case):
    layer, x = case.make(), case.input()
    everywhere = torch.ones(case.batch, case.steps, dtype=torch.bool)
    output, _ = case.run(layer, x, case.state(), reset=everywhere)
    steps = x.reshape(case.batch * case.steps, 1, -1)
    single, _ = case.run(layer, steps)
    keep = torch.ones(case.batch, case.steps, dtype=torch.bool)
    keep[:, -1] = not case.bidirectional  # there the backward direction starts from the given state
    keep = keep.reshape(-1)
    assert largest_difference(output.reshape(steps.size(0), -1)[keep], single[keep, 0]) <= TOLERANCE


@given(case=cases())
def test_what_follows_a_cut_starts_from_a_learned_state(case):
    layer = case.make(initial_state="learned", bidirectional=False)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.startswith("initial_"):
                parameter.normal_()
    cut = case.steps // 2
    reset = torch.zeros(case.batch, case.steps, dtype=torch.bool)
    reset[:, cut] = True
    x = case.input()
    output, final = case.run(layer, x, reset=reset)
    expected, expected_final = case.run(layer, x[:, cut:])
    assert largest_difference((output[:, cut:], final), (expected, expected_final)) <= TOLERANCE
