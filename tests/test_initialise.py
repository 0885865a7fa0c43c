"""Initial weights: what each start sets, which cells can take it, and what is refused."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import elman
import elman.nn
from elman.errors import ConfigError
from elman.nn.encoder import Encoder
from elman.nn.initialise import INITIALISERS, draw_chrono, draw_identity, initialise

GATED = {"GRU": 3, "LSTM": 4}


def blocks(bias, count):
    """The parts of a bias, one a gate, in the order of the cells' equations."""
    return dict(zip({3: "rzn", 4: "ifgo"}[count], bias.detach().chunk(count), strict=True))


@pytest.mark.parametrize("kind", GATED)
@given(steps=st.integers(2, 5000), seed=st.integers(0, 999))
def test_chrono_gates_keep_their_state_for_up_to_as_many_steps(kind, steps, seed):
    torch.manual_seed(seed)
    layer = getattr(elman.nn, kind)(3, 32, 2, bidirectional=True)
    untouched = {name: value.detach().clone() for name, value in layer.named_parameters()}
    initialise(layer, "chrono", memory_steps=steps)
    keeps = "f" if kind == "LSTM" else "z"
    for name, value in layer.named_parameters():
        if name.startswith("weight"):
            assert torch.equal(value, untouched[name])
        if not name.startswith("bias_ih"):
            continue
        own = blocks(value, GATED[kind])
        other = blocks(layer.get_parameter(name.replace("_ih", "_hh")), GATED[kind])
        total = own[keeps] + other[keeps]
        assert (total >= 0).all() and (total <= math.log(max(1, steps - 1)) + 1e-6).all()
        if kind == "LSTM":
            assert torch.equal(own["i"] + other["i"], -total)


def test_chrono_draws_are_logarithms_of_even_ones():
    layer = elman.nn.GRU(1, 2000)
    draw_chrono(layer, 101)
    spans = layer.bias_ih_l0[2000:4000].detach().exp()
    assert abs(spans.mean().item() - 50.5) < 5 * 99 / 12**0.5 / 2000**0.5
    assert abs((spans < 26).double().mean().item() - 25 / 99) < 5 * (0.19 / 2000) ** 0.5


def test_an_identity_start_sums_what_it_reads():
    layer = elman.nn.RNN(2, 3, 2, nonlinearity="relu", bidirectional=True, batch_first=True)
    draw_identity(layer)
    for name, value in layer.named_parameters():
        if name.startswith("weight_hh"):
            assert torch.equal(value, torch.eye(3))
        if name.startswith("bias"):
            assert not value.any()
    one = elman.nn.RNN(2, 3, nonlinearity="relu", batch_first=True)
    draw_identity(one)
    with torch.no_grad():
        one.weight_ih_l0.abs_()
    x = torch.rand(4, 9, 2)
    torch.testing.assert_close(one(x)[0], (x @ one.weight_ih_l0.T).cumsum(1))


@pytest.mark.parametrize("cell", ["GRU", "LSTM", "GRUCell", "LSTMCell"])
def test_identity_is_refused_for_cells_with_gates(cell):
    with pytest.raises(ConfigError, match=r"identity' is for the rnn cell.*orthogonal, or chrono"):
        draw_identity(getattr(elman.nn, cell)(3, 4))


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_cells_start_as_layers_do(kind):
    name = "identity" if kind == "RNN" else "chrono"
    cell = getattr(elman.nn, f"{kind}Cell")(3, 4)
    torch.manual_seed(1)
    INITIALISERS[name](cell, *([50] if name == "chrono" else []))
    if kind == "RNN":
        assert torch.equal(cell.weight_hh, torch.eye(4))
    else:
        assert (cell.bias_ih[4:8] >= 0).all() and not cell.bias_hh[4:8].any()


WRONG = {
    "chrono without a gate": ({"cell": "rnn", "init": "chrono", "memory_steps": 9}, "has none"),
    "chrono without a span": ({"cell": "gru", "init": "chrono"}, "needs to know how far back"),
    "a span without chrono": ({"cell": "gru", "memory_steps": 9}, "memory_steps is for init chrono"),
    "chrono beside a forget bias": (
        {"cell": "lstm", "init": "chrono", "memory_steps": 9, "forget_bias": 1.0},
        "leave forget_bias out",
    ),
    "a span of one step": ({"cell": "gru", "init": "chrono", "memory_steps": 1}, "at least 2 steps"),
    "identity with gates": ({"cell": "lstm", "init": "identity"}, "is for the rnn cell"),
    "a mistyped name": ({"cell": "lstm", "init": "chorno"}, "did you mean 'chrono'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_start_that_makes_no_sense_is_refused(name):
    options, message = WRONG[name]
    with pytest.raises(ConfigError, match=message):
        Encoder(3, 4, **options)


def test_chrono_needs_biases():
    with pytest.raises(ConfigError, match="bias=False"):
        initialise(elman.nn.GRU(3, 4, bias=False), "chrono", memory_steps=9)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_task_starts_as_its_flags_say(cell):
    rows = [("a b", "x"), ("c d", "y")] * 6
    run = elman.train(task="classify", train=rows, cell=cell, init="chrono", memory_steps=30, epochs=1,
                      hidden_size=4, learning_rate=1e-9, zoneout=0.1, layer_norm=True, threads=1)  # fmt: skip
    bias = run.model.encoder.layers.bias_ih_l0[4:8]
    assert (bias > -1e-3).all() and (bias <= math.log(29)).all()
    assert run.model.encoder.layers.regularisation.layer_norm
    with pytest.raises(ConfigError, match="memory_steps"):
        elman.train(task="classify", train=rows, cell=cell, init="chrono", epochs=1)
