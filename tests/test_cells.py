"""One step of each cell: against torch's own cell modules and against numbers worked out by hand."""

import math

import pytest
import torch
from tolerances import SAME_AS_TORCH

from elman.cells import CELLS, MODES, Weights, gru_step, lstm_step, rnn_step

TORCH_CELLS = {
    "RNN_TANH": lambda: torch.nn.RNNCell(3, 4, dtype=torch.float64),
    "RNN_RELU": lambda: torch.nn.RNNCell(3, 4, nonlinearity="relu", dtype=torch.float64),
    "GRU": lambda: torch.nn.GRUCell(3, 4, dtype=torch.float64),
    "LSTM": lambda: torch.nn.LSTMCell(3, 4, dtype=torch.float64),
}


@pytest.mark.parametrize("mode", MODES)
def test_one_step_equals_the_cell_module_of_torch(mode):
    module, cell = TORCH_CELLS[mode](), MODES[mode]
    x = torch.randn(5, 3, dtype=torch.float64)
    state = tuple(torch.randn(5, 4, dtype=torch.float64) for _ in cell.state)
    after = cell.step(x, state, Weights(*module.parameters()))
    expected = module(x, state if len(state) == 2 else state[0])
    for ours, theirs in zip(after, expected if len(state) == 2 else (expected,), strict=True):
        assert (ours - theirs).abs().max() <= SAME_AS_TORCH[torch.float64]


def column(*values):
    return torch.tensor([values], dtype=torch.float64).t()


def row(value):
    return torch.tensor([[value]], dtype=torch.float64)


def test_an_elman_step_by_hand():
    (hidden,) = rnn_step(row(2.0), (row(0.5),), Weights(column(0.3), column(-0.4)))
    assert hidden.item() == pytest.approx(math.tanh(0.3 * 2 - 0.4 * 0.5), abs=1e-15)


def test_a_gru_step_by_hand_keeps_the_state_when_the_update_gate_is_open():
    weights = Weights(column(0.0, 50.0, 1.0), column(0.0, 0.0, 0.0))
    (hidden,) = gru_step(row(1.0), (row(0.7),), weights)
    assert hidden.item() == pytest.approx(0.7, abs=1e-15)


def test_a_gru_resets_after_the_product_and_not_before():
    """b_hn lies inside the reset gate's parenthesis: with the gate shut, it has no say."""
    weights = Weights(
        column(-900.0, -900.0, 0.2),
        column(0.0, 0.0, 3.0),
        column(0, 0, 0).squeeze(1),
        column(0, 0, 5.0).squeeze(1),
    )
    (hidden,) = gru_step(row(1.0), (row(0.7),), weights)
    assert hidden.item() == pytest.approx(math.tanh(0.2), abs=1e-15)


def test_an_lstm_step_by_hand():
    def sigmoid(value):
        return 1 / (1 + math.exp(-value))

    hidden, cell = lstm_step(
        row(1.0), (row(0.0), row(0.8)), Weights(column(0.1, 0.2, 0.3, 0.4), column(*[0.0] * 4))
    )
    expected = sigmoid(0.2) * 0.8 + sigmoid(0.1) * math.tanh(0.3)
    assert cell.item() == pytest.approx(expected, abs=1e-15)
    assert hidden.item() == pytest.approx(sigmoid(0.4) * math.tanh(expected), abs=1e-15)


def test_a_projection_is_applied_to_the_hidden_state_alone():
    weights = Weights(column(0.1, 0.2, 0.3, 0.4), column(*[0.0] * 4))
    plain, cell = lstm_step(row(1.0), (row(0.0), row(0.8)), weights)
    projected, same_cell = lstm_step(row(1.0), (row(0.0), row(0.8)), weights._replace(weight_hr=row(3.0)))
    assert projected.item() == pytest.approx(3 * plain.item(), abs=1e-15)
    assert torch.equal(cell, same_cell)


@pytest.mark.parametrize("name", CELLS)
def test_the_table_says_how_many_gates_the_weights_have(name):
    cell = CELLS[name]
    layer = torch.nn.RNNBase(cell.mode, 3, 4)
    assert layer.weight_ih_l0.size(0) == 4 * len(cell.gates)
    assert MODES[cell.mode] is cell
