"""The stepper: step by step = whole, for every cell, and what it refuses."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import elman.nn
from elman.errors import ConfigError, ShapeError
from elman.kernels import cpu

KINDS = {
    "RNN": {},
    "RNN relu": {"nonlinearity": "relu"},
    "GRU": {},
    "LSTM": {},
    "LSTM projected": {"proj_size": 3},
}


def parts_of(state):
    return state if isinstance(state, tuple) else (state,)


def steps_of(stepper, x):
    return torch.stack([stepper(step).clone() for step in x])


@given(
    kind=st.sampled_from(list(KINDS)),
    num_layers=st.integers(1, 3),
    sizes=st.tuples(st.integers(1, 33), st.integers(4, 67)),
    batch=st.integers(1, 9),
    bias=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_step_by_step_equals_the_whole(kind, num_layers, sizes, batch, bias, seed):
    torch.manual_seed(seed)
    make = getattr(elman.nn, kind.split()[0])
    layer = make(*sizes, num_layers, bias=bias, dtype=torch.float64, **KINDS[kind])
    x = torch.randn(6, batch, sizes[0], dtype=torch.float64)
    _, begin = layer(torch.randn(2, batch, sizes[0], dtype=torch.float64))
    whole, final = layer(x, begin)
    stepper = layer.stepper(parts_of(begin))
    torch.testing.assert_close(steps_of(stepper, x), whole, atol=1e-12, rtol=0)
    for part, expected in zip(stepper.state, parts_of(final), strict=True):
        torch.testing.assert_close(part, expected, atol=1e-12, rtol=0)


def test_it_starts_from_the_layer_s_own_state():
    layer = elman.nn.GRU(3, 4, initial_state="learned")
    with torch.no_grad():
        layer.initial_hidden.normal_()
    x = torch.randn(5, 2, 3)
    torch.testing.assert_close(steps_of(layer.stepper(batch=2), x), layer(x)[0])


def test_rows_are_reordered_by_writing_into_the_state():
    """What a beam search does: row 1 goes on from where row 0 is."""
    layer = elman.nn.LSTM(3, 4, num_layers=2)
    x = torch.randn(4, 2, 3)
    stepper = layer.stepper(batch=2)
    steps_of(stepper, x[:2])
    for part in stepper.state:
        part.copy_(part[:, [0, 0]])
    after = steps_of(stepper, x[2:])
    expected = layer(torch.stack([x[:, 0], torch.cat([x[:2, 0], x[2:, 1]])], 1))[0][2:]
    torch.testing.assert_close(after, expected)


def test_weights_are_those_of_when_it_was_made():
    layer, x = elman.nn.RNN(3, 4), torch.randn(1, 3)
    stepper, expected = layer.stepper(), layer(x[None])[0][0]
    with torch.no_grad():
        layer.weight_ih_l0.zero_()
    torch.testing.assert_close(stepper(x), expected)
    stepper.state[0].zero_()
    stepper.state[0].share_memory_()  # moved: the kernels pack anew
    torch.testing.assert_close(stepper(x), expected)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_threads_change_no_bit(threads):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layer, x = elman.nn.LSTM(256, 512), torch.randn(8, 1, 256)
    found = steps_of(layer.stepper(), x)
    torch.set_num_threads(1)
    assert torch.equal(found, steps_of(layer.stepper(), x))


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_what_the_kernels_cannot_run_goes_to_another_backend(kind):
    layer = getattr(elman.nn, kind)(3, 4, num_layers=2, dtype=torch.bfloat16)
    x = torch.randn(5, 2, 3, dtype=torch.bfloat16)
    torch.testing.assert_close(steps_of(layer.stepper(batch=2), x), layer(x)[0], atol=0.05, rtol=0)


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_a_state_is_taken_as_the_layer_takes_it(kind):
    layer, x = getattr(elman.nn, kind)(3, 4, num_layers=2), torch.randn(5, 2, 3)
    _, state = layer(x)
    torch.testing.assert_close(steps_of(layer.stepper(state), x), layer(x, state)[0])
    stepper = layer.stepper(batch=2)
    stepper.state = parts_of(state)
    torch.testing.assert_close(steps_of(stepper, x), layer(x, state)[0])


def test_tensors_that_were_moved_are_found_again():
    layer, x = elman.nn.LSTM(3, 4), torch.randn(6, 1, 3)
    stepper = layer.stepper()
    outputs = []
    for step in x:
        output = stepper(step)
        outputs.append(output.clone())
        output.share_memory_()
        stepper.state[1].share_memory_()
    torch.testing.assert_close(torch.stack(outputs), layer(x)[0])


def test_the_output_may_be_the_next_input():
    torch.set_num_threads(2)
    layer = elman.nn.LSTM(512, 512)
    fed, copied = layer.stepper(), layer.stepper()
    y = z = torch.randn(1, 512)
    for _ in range(20):
        y, z = fed(y), copied(z).clone()
        assert torch.equal(y, z)


def test_states_made_under_inference_mode_can_be_written_later():
    with torch.inference_mode():
        stepper = elman.nn.GRU(3, 4).stepper()
        stepper(torch.ones(1, 3))
    stepper.state[0].zero_()


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [("LSTM", [(1, 1, 4)]), ("LSTM", [(1, 2000, 4), (1, 1, 4)]), ("GRU", [(2, 4)]), ("GRU", [(1, 0, 4)])],
)
def test_a_state_that_does_not_fit_is_refused(kind, shapes):
    layer = getattr(elman.nn, kind)(3, 4)
    with pytest.raises((ShapeError, RuntimeError), match=r"expected|Expected"):
        layer.stepper(tuple(torch.zeros(shape) for shape in shapes))


@pytest.mark.skipif(cpu.native is None, reason="the C++ kernels were not built: no compiler")
def test_what_it_refuses():
    with pytest.raises(ConfigError, match="the end of a stream is not known"):
        elman.nn.GRU(3, 4, bidirectional=True).stepper()
    with pytest.raises(ConfigError, match="in bfloat16: only float32"):
        elman.nn.GRU(3, 4, dtype=torch.float64).stepper(rounds=True)
    stepper = elman.nn.GRU(3, 4).stepper(batch=2)
    with pytest.raises(ShapeError, match=r"expected \(2, 3\)"):
        stepper(torch.ones(3))
    with pytest.raises(ShapeError, match="float64"):
        stepper(torch.ones(2, 3, dtype=torch.float64))
