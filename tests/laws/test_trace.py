"""A trace is the layer: its numbers are the output, for every cell, depth, direction and library."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from layer_cases import cases
from tolerances import SAME_ROW

from elman.xray.tracing import trace


@pytest.mark.parametrize("dtype", SAME_ROW)
@given(data=st.data())
def test_a_trace_equals_the_layers_output(dtype, data):
    case = data.draw(cases(dtype=dtype))
    layer = case.make()
    x = case.input()[0]
    wanted = case.run(layer, x[None])[0][0].detach().double().numpy()
    assert np.abs(trace(layer, x).output - wanted).max() <= SAME_ROW[dtype]
    # torch.nn draws the same weights, so its trace is the same.
    assert np.array_equal(trace(case.make(torch.nn), x).output, trace(layer, x).output)
