"""Inference with factors rounded to bfloat16: what is rounded, how far off that is, and what it refuses."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import elman.nn
from elman.cells import MODES, Weights
from elman.errors import ConfigError
from elman.kernels import cpu, use

can_round = cpu.native is not None and cpu.native.can_round()
needs_bfloat16 = pytest.mark.skipif(not can_round, reason="no C++ kernels, or no AVX512_BF16 on this machine")


def rounded(tensor):
    return tensor.to(torch.bfloat16).to(torch.float32)


def by_hand(layer, x, state):
    """The plain equations, in float64, on rounded factors: weights, inputs, hidden states before a step."""
    weights = [getattr(layer, name) for name in layer._flat_weights_names]
    weights = Weights(*(rounded(w).double() for w in weights[:2]), *(w.double() for w in weights[2:]))
    state, outputs = tuple(part.double() for part in state), []
    for step in x:
        state = (rounded(state[0].float()).double(), *state[1:])
        state = MODES[layer.mode].step(rounded(step).double(), state, weights)
        outputs.append(state[0])
    return torch.stack(outputs)


@needs_bfloat16
@given(
    kind=st.sampled_from(["RNN", "LSTM"]),  # the GRU also reads its hidden state unrounded
    sizes=st.tuples(st.integers(1, 67), st.integers(1, 67)),
    batch=st.integers(1, 33),
    threads=st.sampled_from([1, 2]),
    seed=st.integers(0, 2**31),
)
def test_nothing_but_the_factors_is_rounded(kind, sizes, batch, threads, seed):
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    layer, x = getattr(elman.nn, kind)(*sizes), torch.randn(4, batch, sizes[0])
    state = tuple(torch.randn(1, batch, sizes[1]) for _ in MODES[layer.mode].state)
    with torch.no_grad(), use("cpu_bf16"):
        found, _ = layer(x, state if kind == "LSTM" else state[0])
        stepper = layer.stepper(state, rounds=True)
    expected = by_hand(layer, x, tuple(part[0] for part in state)).float()
    # A hidden state that lies between two bfloat16 may be rounded either way: one unit of its last place,
    # times a weight below 1, after each of the few steps.
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)
    assert (found - expected).abs().median() < 1e-5
    torch.testing.assert_close(torch.stack([stepper(step).clone() for step in x]), found)


@needs_bfloat16
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_the_error_is_that_of_bfloat16(kind):
    layer = getattr(elman.nn, kind)(64, 128, num_layers=2, bidirectional=True)
    x, lengths = torch.randn(30, 20, 64), torch.randint(0, 31, (20,))
    with torch.no_grad():
        exact, _ = layer(x, lengths=lengths)
        with use("cpu_bf16"):
            found, _ = layer(x, lengths=lengths)
    error = (found - exact).abs()
    assert 0 < error.max() < 2e-2
    assert error.pow(2).mean().sqrt() < 2e-3


@needs_bfloat16
def test_threads_change_no_bit():
    layer, x = elman.nn.GRU(64, 128), torch.randn(30, 20, 64)
    found = []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        with torch.no_grad(), use("cpu_bf16"):
            found.append(layer(x)[0])
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@needs_bfloat16
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (elman.nn.LSTM(3, 4, proj_size=2), "no projection"),
        (elman.nn.GRU(3, 4, dtype=torch.float64), "only float32"),
    ],
)
def test_what_it_refuses(layer, message):
    x = torch.ones(5, 1, 3, dtype=layer.weight_ih_l0.dtype)
    with torch.no_grad(), use("cpu_bf16"), pytest.raises(ConfigError, match=message):
        layer(x)


@needs_bfloat16
def test_it_has_no_gradient():
    with use("cpu_bf16"), pytest.raises(ConfigError, match="give no gradient"):
        elman.nn.GRU(3, 4)(torch.ones(5, 1, 3))
