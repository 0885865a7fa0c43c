"""One step of each recurrence, as plain equations. Everything else in elman.kernels must agree with this.

Shape legend: B batch, I input features, H hidden, P projected hidden (P = H without projection),
G gates x hidden.

The rows of every weight matrix and bias are blocks of H rows, one block a gate, in torch's order:

    rnn   (one block)
    gru   reset, update, candidate
    lstm  input, forget, candidate, output
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

State = tuple[Tensor, ...]
"""What a cell carries from step to step: (hidden,), and for the LSTM (hidden, cell)."""


class Weights(NamedTuple):
    """The weights of one layer in one direction, named and ordered as torch names and orders them.

    weight_ih [G, I] reads the input, weight_hh [G, P] the hidden state, weight_hr [P, H] projects it.
    """

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None
    weight_hr: Tensor | None = None


def rnn_step(
    input: Tensor, state: State, weights: Weights, nonlinearity: Callable[[Tensor], Tensor] = torch.tanh
) -> State:
    """Take one step of the Elman network: ``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)``, or relu for tanh.

    Args:
        input [B, I]: what arrives at this step.
        state: (hidden [B, H],) before the step.
        weights: G = H.
        nonlinearity: tanh or relu.

    Returns:
        (hidden [B, H],) after the step.

    Source: Elman 1990, Finding structure in time, fig. 2; his logistic is tanh or relu here, as in torch.
    """
    return rnn_update(*_products(input, state, weights), state, weights, nonlinearity)


def rnn_update(
    from_input: Tensor,
    from_hidden: Tensor,
    state: State,
    weights: Weights,
    nonlinearity: Callable[[Tensor], Tensor] = torch.tanh,
) -> State:
    """Take the step of `rnn_step` when both products are known, [B, H] each."""
    return (nonlinearity(from_input + from_hidden),)


def gru_step(input: Tensor, state: State, weights: Weights) -> State:
    """Take one step of the gated recurrent unit.

    ::

        r  = sigmoid(W_ir x + b_ir + W_hr h + b_hr)        reset gate
        z  = sigmoid(W_iz x + b_iz + W_hz h + b_hz)        update gate
        n  = tanh(W_in x + b_in + r * (W_hn h + b_hn))     candidate
        h' = (1 - z) * n + z * h

    Args:
        input [B, I]: what arrives at this step.
        state: (hidden [B, H],) before the step.
        weights: G = 3 H.

    Returns:
        (hidden [B, H],) after the step.

    Source: Cho et al. 2014, Learning phrase representations, eq. 5-8, in torch's variant: the reset gate
    acts after the product W_hn h, not on h before it, so that all products with h are one.
    """
    return gru_update(*_products(input, state, weights), state, weights)


def gru_update(
    from_input: Tensor,
    from_hidden: Tensor,
    state: State,
    weights: Weights,
    squash: Callable[[Tensor], Tensor] = torch.tanh,
) -> State:
    """Take the step of `gru_step` when both products are known, [B, 3 H] each."""
    (hidden,) = state
    input_reset, input_update, input_candidate = from_input.chunk(3, -1)
    hidden_reset, hidden_update, hidden_candidate = from_hidden.chunk(3, -1)
    reset_gate = torch.sigmoid(input_reset + hidden_reset)
    update_gate = torch.sigmoid(input_update + hidden_update)
    candidate = squash(input_candidate + reset_gate * hidden_candidate)
    return ((1 - update_gate) * candidate + update_gate * hidden,)


def lstm_step(input: Tensor, state: State, weights: Weights) -> State:
    """Take one step of the long short-term memory, projected if the weights have a weight_hr.

    ::

        i  = sigmoid(W_ii x + b_ii + W_hi h + b_hi)        input gate
        f  = sigmoid(W_if x + b_if + W_hf h + b_hf)        forget gate
        g  = tanh(W_ig x + b_ig + W_hg h + b_hg)           candidate
        o  = sigmoid(W_io x + b_io + W_ho h + b_ho)        output gate
        c' = f * c + i * g
        h' = o * tanh(c')                                  or W_hr (o * tanh(c'))

    Args:
        input [B, I]: what arrives at this step.
        state: (hidden [B, P], cell [B, H]) before the step.
        weights: G = 4 H.

    Returns:
        (hidden [B, P], cell [B, H]) after the step.

    Source: Hochreiter and Schmidhuber 1997, Long short-term memory; forget gate: Gers, Schmidhuber and
    Cummins 2000, Learning to forget; projection: Sak, Senior and Beaufays 2014, eq. 1-7. There are no
    peepholes, as in torch.
    """
    return lstm_update(*_products(input, state, weights), state, weights)


def lstm_update(
    from_input: Tensor,
    from_hidden: Tensor,
    state: State,
    weights: Weights,
    squash: Callable[[Tensor], Tensor] = torch.tanh,
) -> State:
    """Take the step of `lstm_step` when both products are known, [B, 4 H] each.

    Args:
        squash: what the cell goes through on its way out; a layer-normalised LSTM has its norm there.
    """
    _, cell = state
    input_gate, forget_gate, candidate, output_gate = (from_input + from_hidden).chunk(4, -1)
    cell = torch.sigmoid(forget_gate) * cell + torch.sigmoid(input_gate) * torch.tanh(candidate)
    hidden = torch.sigmoid(output_gate) * squash(cell)
    if weights.weight_hr is not None:
        hidden = linear(hidden, weights.weight_hr)
    return hidden, cell


def _products(input: Tensor, state: State, weights: Weights) -> tuple[Tensor, Tensor]:
    """Give what the weights make of the input and of the hidden state, [B, G] each."""
    from_input = linear(input, weights.weight_ih, weights.bias_ih)
    return from_input, linear(state[0], weights.weight_hh, weights.bias_hh)


@dataclass(frozen=True)
class Cell:
    """A recurrence: its gates in the order of their blocks, the parts of its state, and its step.

    Args:
        gates: one name for each block of rows in the weights.
        state: the names of what it carries; the first is the output.
        step: (input, state, weights) -> state, one of the functions above.
        update: the same once both products with the weights are made, the last argument a function in place
            of tanh (or relu): (from_input, from_hidden, state, weights, squash) -> state.
        squash: that function.
        mode: torch's word for it.

    Example:
        >>> CELLS["lstm"].gates.index("forget_gate")
        1
    """

    gates: tuple[str, ...]
    state: tuple[str, ...]
    step: Callable[[Tensor, State, Weights], State]
    update: Callable[[Tensor, Tensor, State, Weights, Callable[[Tensor], Tensor]], State]
    mode: str
    squash: Callable[[Tensor], Tensor] = torch.tanh


CELLS: dict[str, Cell] = {
    "rnn": Cell(gates=("hidden",), state=("hidden",), step=rnn_step, update=rnn_update, mode="RNN_TANH"),
    "gru": Cell(
        gates=("reset_gate", "update_gate", "candidate"),
        state=("hidden",),
        step=gru_step,
        update=gru_update,
        mode="GRU",
    ),
    "lstm": Cell(
        gates=("input_gate", "forget_gate", "candidate", "output_gate"),
        state=("hidden", "cell"),
        step=lstm_step,
        update=lstm_update,
        mode="LSTM",
    ),
}


def _relu_step(input: Tensor, state: State, weights: Weights) -> State:
    return rnn_step(input, state, weights, torch.relu)


MODES: dict[str, Cell] = {cell.mode: cell for cell in CELLS.values()} | {
    "RNN_RELU": replace(CELLS["rnn"], step=_relu_step, mode="RNN_RELU", squash=torch.relu),
}
"""The same cells by torch's word for them; the two nonlinearities of the Elman network have one each."""
