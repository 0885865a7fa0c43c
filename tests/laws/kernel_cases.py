"""What the laws of the C++ kernels are tried on, and how their results are compared."""

from dataclasses import replace
from typing import NamedTuple

import hypothesis.strategies as st
import torch
from layer_cases import Case, cases, largest_difference
from torch import Tensor


@st.composite
def odd_cases(draw, dtype=torch.float64, steps=67) -> Case:
    """Draw a layer and a batch of any sizes; the steps of all rows together stay below 400."""
    case = draw(cases(dtype=dtype))
    batch = draw(st.integers(1, 67))
    hidden = draw(st.integers(2, 67))
    return replace(
        case,
        batch=batch,
        steps=draw(st.integers(1, min(steps, 400 // batch))),
        input_size=draw(st.integers(1, 67)),
        hidden_size=hidden,
        proj_size=draw(st.integers(1, hidden - 1)),
    )


class Found(NamedTuple):
    """What a run gives: output and final state, and the gradients of input, initial state and weights."""

    values: list[Tensor]
    slopes: list[Tensor]


def disagreement(found: Found, expected: Found) -> float:
    """Give the largest difference, relative to the largest number of its tensor, or to one."""
    pairs = zip([*found.values, *found.slopes], [*expected.values, *expected.slopes], strict=True)
    return max(largest_difference(a.double(), b) / max(1.0, b.abs().max().item()) for a, b in pairs)
