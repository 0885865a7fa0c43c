"""The C++ kernels where callers do unusual things: each of these once read or wrote what it should not."""

import pytest
import torch
from torch.func import functional_call
from torch.nn.utils.rnn import PackedSequence

import elman.nn
from elman.errors import ConfigError
from elman.kernels import cpu, use

pytestmark = pytest.mark.skipif(cpu.native is None, reason="the C++ kernels were not built: no compiler")


def in_two_calls(layer, x):
    _, state = layer(x[:2])
    return layer(x[2:], state)[0]


def over_itself(layer, x):
    return layer(layer(x)[0])[0]


def from_its_input(layer, x):
    return layer(x, x.mean(0, keepdim=True))[0]


@pytest.mark.parametrize("network", [in_two_calls, over_itself, from_its_input])
def test_gradients_with_a_graph_equal_those_without(network):
    """Inputs of one call may come from another, or from each other; no path counts twice."""
    layer, x = elman.nn.GRU(3, 3, dtype=torch.float64), torch.randn(5, 2, 3, dtype=torch.float64)
    x.requires_grad_()
    loss = network(layer, x).pow(2).sum()
    plain = torch.autograd.grad(loss, [x, *layer.parameters()], retain_graph=True)
    with_graph = torch.autograd.grad(loss, [x, *layer.parameters()], create_graph=True)
    torch.testing.assert_close(with_graph, plain, atol=1e-12, rtol=0)
    penalty = sum(part.pow(2).sum() for part in with_graph)
    twice = torch.autograd.grad(penalty, list(layer.parameters()))
    with use("reference"):
        loss = network(layer, x).pow(2).sum()
        parts = torch.autograd.grad(loss, [x, *layer.parameters()], create_graph=True)
        expected = torch.autograd.grad(sum(part.pow(2).sum() for part in parts), list(layer.parameters()))
    torch.testing.assert_close(twice, expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("sizes", [[5, 5], [1, 2], [2, 2]])
def test_packed_data_that_contradict_themselves_are_torch_s_business(sizes):
    packed = PackedSequence(torch.randn(3, 3), torch.tensor(sizes))
    with pytest.raises(RuntimeError):
        elman.nn.RNN(3, 4)(packed)


@pytest.mark.parametrize(
    ("name", "shape"), [("bias_ih_l0", (1,)), ("weight_ih_l0", (4, 2)), ("weight_hh_l0", (4, 5))]
)
def test_weights_of_another_shape_are_torch_s_business(name, shape):
    """torch adds a bias of one number to all, and refuses the rest."""
    ours, theirs = elman.nn.RNN(3, 4), torch.nn.RNN(3, 4)
    theirs.load_state_dict(ours.state_dict())
    weights, x = {name: torch.ones(shape)}, torch.ones(5, 2, 3)
    try:
        expected, _ = functional_call(theirs, weights, (x,))
    except RuntimeError:
        with pytest.raises(RuntimeError):
            functional_call(ours, weights, (x,))
    else:
        torch.testing.assert_close(functional_call(ours, weights, (x,))[0], expected)


def test_numbers_that_are_negated_when_read():
    layer = elman.nn.RNN(1, 4)
    x = torch.randn(5, 2, 1, dtype=torch.complex64).conj().imag
    assert x.is_neg()
    torch.testing.assert_close(layer(x)[0], layer(x.clone())[0])


def test_rounding_is_refused_when_the_state_needs_a_gradient():
    if not cpu.native.can_round():
        pytest.skip("this machine does not multiply in bfloat16")
    layer = elman.nn.GRU(3, 4).requires_grad_(False)
    state = torch.zeros(1, 2, 4, requires_grad=True)
    with use("cpu_bf16"), pytest.raises(ConfigError, match="give no gradient"):
        layer(torch.ones(5, 2, 3), state)
