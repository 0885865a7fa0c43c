"""Encoder: the layers it is made of, what a window cuts, and what it refuses."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import elman.nn
from elman.errors import ConfigError
from elman.nn.encoder import LAYERS, Encoder
from elman.padded import Padded

EXACT = 1e-12
every_cell = pytest.mark.parametrize("cell", LAYERS)


def make_steps(lengths, size=3, extra=0):
    steps = max([*lengths, 1]) + extra
    return Padded(torch.randn(len(lengths), steps, size, dtype=torch.float64), torch.tensor(lengths))


@every_cell
@pytest.mark.parametrize("both", [False, True])
def test_the_encoder_is_the_layer(cell, both):
    encoder = Encoder(3, 4, cell=cell, num_layers=2, bidirectional=both).double()
    layer = getattr(elman.nn, cell.upper())(
        3, 4, 2, batch_first=True, bidirectional=both, dtype=torch.float64
    )
    layer.load_state_dict(encoder.layers.state_dict())
    steps = make_steps([5, 0, 3])
    found, state = encoder(steps)
    output, final = layer(steps.data, lengths=steps.lengths)
    assert torch.equal(found.data, output)
    assert found.lengths.tolist() == [5, 0, 3]
    assert all(map(torch.equal, state, final if isinstance(final, tuple) else (final,)))
    assert found.data.size(2) == encoder.output_size


@every_cell
@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(1, 10), st.integers(0, 2**31))
def test_values_are_the_same_for_any_window(cell, lengths, window, seed):
    torch.manual_seed(seed)
    encoder = Encoder(3, 4, cell=cell, num_layers=2).double()
    steps = make_steps(lengths, extra=1)
    whole, whole_state = encoder(steps)
    cut, cut_state = encoder(steps, window=window)
    torch.testing.assert_close(cut.data, whole.data, atol=EXACT, rtol=EXACT)
    for left, right in zip(cut_state, whole_state, strict=True):
        torch.testing.assert_close(left, right, atol=EXACT, rtol=EXACT)


@every_cell
def test_a_window_cuts_the_gradient_where_it_ends_and_nowhere_else(cell):
    encoder = Encoder(3, 4, cell=cell).double()
    steps = make_steps([7])
    data = steps.data.requires_grad_()
    for last in range(7):
        (gradient,) = torch.autograd.grad(encoder(Padded(data, [7]), window=3)[0].data[0, last].sum(), data)
        reached = gradient[0].ne(0).any(1).tolist()
        assert reached == [last // 3 * 3 <= t <= last for t in range(7)]


@every_cell
@pytest.mark.parametrize("length", [0, 2, 3, 4, 6, 7])
def test_the_gradient_of_a_final_state_reaches_back_to_the_last_cut(cell, length):
    """Also of a row that ends long before the others, or just where a window ends."""
    encoder = Encoder(3, 4, cell=cell, initial_state="learned").double()
    steps = make_steps([length, 7])
    data = steps.data.requires_grad_()
    _, state = encoder(Padded(data, steps.lengths), window=3)
    (gradient,) = torch.autograd.grad(sum(part[:, 0].sum() for part in state), data)
    start = max(length - 1, 0) // 3 * 3
    assert gradient[0].ne(0).any(1).tolist() == [start <= t < length for t in range(7)]


@every_cell
def test_a_state_goes_in_where_another_call_left_off(cell):
    encoder = Encoder(3, 4, cell=cell, num_layers=2).double()
    steps = make_steps([6, 6])
    whole, final = encoder(steps)
    first, state = encoder(Padded(steps.data[:, :2], [2, 2]))
    second, state = encoder(Padded(steps.data[:, 2:], [4, 4]), state)
    torch.testing.assert_close(torch.cat([first.data, second.data], 1), whole.data, atol=EXACT, rtol=EXACT)
    for left, right in zip(state, final, strict=True):
        torch.testing.assert_close(left, right, atol=EXACT, rtol=EXACT)


@every_cell
@pytest.mark.parametrize("window", [None, 2])
def test_a_batch_without_steps_ends_where_it_starts(cell, window):
    encoder = Encoder(3, 4, cell=cell, initial_state="learned").double()
    start = tuple(torch.randn(1, 2, 4, dtype=torch.float64) for _ in encoder(make_steps([1, 1]))[1])
    steps, state = encoder(Padded(torch.zeros(2, 0, 3, dtype=torch.float64), [0, 0]), start, window=window)
    assert steps.data.shape == (2, 0, 4)
    assert all(map(torch.equal, state, start))


def test_initial_weights_are_as_asked_for():
    encoder = Encoder(3, 4, init="orthogonal", forget_bias=1.0)
    block = encoder.layers.weight_hh_l0[4:8]
    torch.testing.assert_close(block.T @ block, torch.eye(4), atol=1e-5, rtol=0)
    assert encoder.layers.bias_ih_l0[4:8].tolist() == [1.0] * 4


def test_dropout_acts_between_layers_only():
    single = Encoder(3, 4, dropout=0.9)  # no warning, and nothing to act on
    steps = Padded(torch.randn(2, 5, 3), [5, 5])
    assert torch.equal(single.train()(steps)[0].data, single.eval()(steps)[0].data)
    double = Encoder(3, 4, num_layers=2, dropout=0.9)
    assert not torch.equal(double.train()(steps)[0].data, double.eval()(steps)[0].data)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cell": "gruu"}, "did you mean 'gru'"),
        ({"cell": "lstm", "nonlinearity": "relu"}, "nonlinearity 'relu' is for the rnn cell"),
        ({"cell": "gru", "forget_bias": 1.0}, "forget_bias is for the lstm cell"),
        ({"init": "ortogonal"}, "did you mean 'orthogonal'"),
    ],
)
def test_what_a_cell_does_not_have_is_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        Encoder(3, 4, **wrong)


def test_a_window_for_two_directions_is_refused_with_the_remedy():
    encoder = Encoder(3, 4, bidirectional=True)
    with pytest.raises(ConfigError, match="--no-bidirectional"):
        encoder(Padded(torch.zeros(1, 2, 3), [2]), window=2)


def test_a_window_without_steps_is_refused():
    with pytest.raises(ConfigError, match="expected 1 or more"):
        Encoder(3, 4)(Padded(torch.zeros(1, 2, 3), [2]), window=0)
