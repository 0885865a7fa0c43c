"""HAND CELLS: one step of each recurrence forward and backward, every product written out, in NumPy float64.

Shape legend: I input features, H hidden, G gates x hidden. One sequence, so there is no batch.

`Rules` holds what lecture notes get wrong, the right values being the defaults. The backward steps ask it,
so that a textbook's error is the same calculation with one piece missing (`textbook_errors.py`).

Source: the equations are those of elman.cells; backwards: Werbos 1990, Backpropagation through time; Gers,
Schmidhuber and Cummins 2000 for the LSTM; Cho et al. 2014 for the GRU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import ConfigError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rules:
    """What a calculation by hand does at the places where notes differ; the defaults are right.

    Args:
        through_time: dL/dh_t has a term that comes from step t+1.
        transposes: the error goes back through W_h transposed.
        activation_slope: f'(a) of the Elman network is there: 1 - tanh(a)^2.
        slope_at: "output" takes 1 - h^2; "input" takes 1 - a^2 with the pre-activation a, which is wrong.
        gate_slope: g (1 - g) of the gates is there.
        cell_slope: 1 - tanh(c)^2 of the LSTM's output is there.
        carries_cell: dL/dc_t has the term f_(t+1) * dL/dc_(t+1).
        carries_hidden: the GRU's dL/dh_(t-1) has the term z_t * dL/dh_t.
        reset_after: the GRU's reset gate acts after the product W_hn h, as in torch, not on h before it.
        update_keeps: the GRU's update gate z multiplies the old state, as in torch, not the candidate.
        input_weight: what dL/dW_x is made of: "total" error, only the "direct" term of this step's output, or
            "input": the direct term and not even the activation's slope (dh_t/dW_x = x_t).
        recurrent_weight: likewise for dL/dW_h, "total" or "direct".
        recurrent_input: dL/dW_h takes the state "before" the step; "after" is wrong.
        uses: the weights' terms of "all" steps are added; "last" keeps that of the last step.
        bias_times: how often a bias counts.
        divides: the loss is a mean, and its gradient is divided as well.
        sign: 1, or -1 for the gradient with the wrong sign.

    Example:
        >>> Rules(through_time=False) == Rules()
        False
    """

    through_time: bool = True
    transposes: bool = True
    activation_slope: bool = True
    slope_at: str = "output"
    gate_slope: bool = True
    cell_slope: bool = True
    carries_cell: bool = True
    carries_hidden: bool = True
    reset_after: bool = True
    update_keeps: bool = True
    input_weight: str = "total"
    recurrent_weight: str = "total"
    recurrent_input: str = "before"
    uses: str = "all"
    bias_times: int = 1
    divides: bool = True
    sign: int = 1


RIGHT = Rules()


class HandWeights(NamedTuple):
    """The weights of one layer in one direction as arrays; biases are zero where the layer has none.

    weight_ih [G, I], weight_hh [G, H], bias_ih [G], bias_hh [G], weight_hr [P, H] or None.
    """

    weight_ih: Array
    weight_hh: Array
    bias_ih: Array
    bias_hh: Array
    weight_hr: Array | None = None


@dataclass(frozen=True, eq=False)
class HandStep:
    """One step forward: what went in, everything on the way, what came out.

    Args:
        x [I]: the input.
        hidden_before, cell_before [H]: the state before; cell_before is empty but for the LSTM.
        pre_activations [G]: what the gates' functions are taken of, block after block.
        gates: name of a block -> its value [H] after its function; "hidden" for the Elman network.
        hidden, cell [H]: the state after.
    """

    x: Array
    hidden_before: Array
    cell_before: Array
    pre_activations: Array
    gates: dict[str, Array]
    hidden: Array
    cell: Array


@dataclass(frozen=True, eq=False)
class HandError:
    """One step backward: the loss's derivatives, from those of the state after the step.

    Args:
        pre_input [G]: by W_ih x + b_ih.
        pre_hidden [G]: by W_hh h + b_hh; differs from `pre_input` in the GRU's candidate alone.
        weight_hh [G, H]: this step's term of dL/dW_h.
        hidden_before, cell_before [H]: by the state before the step.
    """

    pre_input: Array
    pre_hidden: Array
    weight_hh: Array
    hidden_before: Array
    cell_before: Array


def as_array(numbers: Any) -> Array:
    """Return a tensor, array or list as a float64 array of its own.

    Example:
        >>> as_array(torch.ones(2)).dtype
        dtype('float64')
    """
    if isinstance(numbers, Tensor):
        numbers = numbers.detach().to("cpu", torch.float64).numpy()
    return np.array(numbers, dtype=np.float64)


def weights_of(layer: torch.nn.RNNBase, row: int = 0) -> HandWeights:
    """Return the weights of one layer and direction.

    Args:
        layer: `elman.nn.RNN`, `GRU`, `LSTM`, or torch's.
        row: which: 2 * layer + direction for two directions, else the layer.

    Raises:
        ConfigError: the layer has norms or zoneout, whose steps are not among these equations.

    Example:
        >>> weights_of(torch.nn.GRU(3, 4)).weight_ih.shape
        (12, 3)
    """
    rules = getattr(layer, "regularisation", None)
    if rules is not None and (rules.layer_norm or rules.zoneout):
        raise ConfigError(
            "this layer has layer norm or zoneout, whose steps are not written out by hand; expected a plain "
            "recurrent layer: build it without regularisation."
        )
    place, is_reverse = divmod(row, 2) if layer.bidirectional else (row, 0)
    end = f"l{place}" + ("_reverse" if is_reverse else "")
    weight_ih = as_array(getattr(layer, f"weight_ih_{end}"))
    nothing = np.zeros(len(weight_ih))
    bias_ih, bias_hh = (
        as_array(getattr(layer, f"{name}_{end}")) if layer.bias else nothing
        for name in ("bias_ih", "bias_hh")
    )
    projection = as_array(getattr(layer, f"weight_hr_{end}")) if layer.proj_size else None
    weight_hh = as_array(getattr(layer, f"weight_hh_{end}"))
    return HandWeights(weight_ih, weight_hh, bias_ih, bias_hh, projection)


def first_state(layer: torch.nn.RNNBase, row: int = 0) -> tuple[Array, Array]:
    """Return where a layer and direction starts: (hidden, cell), zeros or what was learned.

    Example:
        >>> [part.tolist() for part in first_state(torch.nn.RNN(3, 2))]
        [[0.0, 0.0], []]
    """
    hidden = np.zeros(layer.proj_size or layer.hidden_size)
    cell = np.zeros(layer.hidden_size if layer.mode == "LSTM" else 0)
    if getattr(layer, "initial_state", "zeros") == "learned":
        hidden = as_array(layer.initial_hidden)[row]
        cell = as_array(layer.initial_cell)[row] if layer.mode == "LSTM" else cell
    return hidden, cell


def sigmoid(values: Array) -> Array:
    """Return ``1 / (1 + exp(-a))`` of each number, without overflow.

    Example:
        >>> sigmoid(np.array([0.0, -1000.0])).tolist()
        [0.5, 0.0]
    """
    return 0.5 * (1.0 + np.tanh(0.5 * values))


def rnn_forward(
    x: Array, hidden: Array, cell: Array, weights: HandWeights, rules: Rules, mode: str
) -> HandStep:
    """Take a step: ``a = W_x x + b_x + W_h h + b_h, h' = tanh(a)``, or relu."""
    a = weights.weight_ih @ x + weights.bias_ih + weights.weight_hh @ hidden + weights.bias_hh
    after = np.tanh(a) if mode == "RNN_TANH" else np.maximum(a, 0.0)
    return HandStep(x, hidden, cell, a, {"hidden": after}, after, cell)


def rnn_backward(
    step: HandStep, d_hidden: Array, d_cell: Array, weights: HandWeights, rules: Rules, mode: str
) -> HandError:
    """Go back: ``dL/da = dL/dh' * f'(a), dL/dh = W_h^T dL/da``."""
    a, after = step.pre_activations, step.hidden
    if not rules.activation_slope:
        slope = np.ones_like(a)
    elif mode == "RNN_TANH":
        slope = 1 - (after if rules.slope_at == "output" else a) ** 2
    else:
        slope = (a > 0).astype(np.float64)
    d_a = d_hidden * slope
    return HandError(
        d_a,
        d_a,
        np.outer(d_a, _recurrent_input(step, rules)),
        _back(weights.weight_hh, d_a, rules),
        np.zeros_like(d_cell),
    )


def gru_forward(
    x: Array, hidden: Array, cell: Array, weights: HandWeights, rules: Rules, mode: str
) -> HandStep:
    """Take a step of `elman.cells.gru_step`: reset and update gate, candidate, and their mixture."""
    size = len(hidden)
    from_x = weights.weight_ih @ x + weights.bias_ih
    from_h = weights.weight_hh @ hidden + weights.bias_hh
    a = from_x + from_h
    reset, update = sigmoid(a[:size]), sigmoid(a[size : 2 * size])
    if rules.reset_after:
        a[2 * size :] = from_x[2 * size :] + reset * from_h[2 * size :]
    else:
        read = weights.weight_hh[2 * size :] @ (reset * hidden) + weights.bias_hh[2 * size :]
        a[2 * size :] = from_x[2 * size :] + read
    candidate = np.tanh(a[2 * size :])
    kept = update if rules.update_keeps else 1 - update
    after = (1 - kept) * candidate + kept * hidden
    gates = {"reset_gate": reset, "update_gate": update, "candidate": candidate}
    return HandStep(x, hidden, cell, a, gates, after, cell)


def gru_backward(
    step: HandStep, d_hidden: Array, d_cell: Array, weights: HandWeights, rules: Rules, mode: str
) -> HandError:
    """Go back: by the candidate, the update gate, the reset gate, and by the state that was kept."""
    size, hidden = len(d_hidden), step.hidden_before
    reset, update, candidate = step.gates.values()
    weight_n = weights.weight_hh[2 * size :]
    kept = update if rules.update_keeps else 1 - update
    d_n = d_hidden * (1 - kept) * (1 - candidate**2 if rules.activation_slope else 1.0)
    d_z = d_hidden * (hidden - candidate) * _gate_slope(update, rules) * (1 if rules.update_keeps else -1)
    if rules.reset_after:
        d_read = reset * d_n  # of W_hn h + b_hn
        d_reset = d_n * (weight_n @ hidden + weights.bias_hh[2 * size :])
        by_candidate = _back(weight_n, d_read, rules)
        read = _recurrent_input(step, rules)
    else:
        d_read = d_n
        d_reset = _back(weight_n, d_n, rules) * hidden
        by_candidate = _back(weight_n, d_n, rules) * reset
        read = _recurrent_input(step, rules) * reset
    d_r = d_reset * _gate_slope(reset, rules)
    d_before = by_candidate + _back(weights.weight_hh[:size], d_r, rules)
    d_before = d_before + _back(weights.weight_hh[size : 2 * size], d_z, rules)
    if rules.carries_hidden:
        d_before = d_before + kept * d_hidden
    gates = np.outer(np.concatenate([d_r, d_z]), _recurrent_input(step, rules))
    return HandError(
        np.concatenate([d_r, d_z, d_n]),
        np.concatenate([d_r, d_z, d_read]),
        np.concatenate([gates, np.outer(d_read, read)]),
        d_before,
        np.zeros_like(d_cell),
    )


def lstm_forward(
    x: Array, hidden: Array, cell: Array, weights: HandWeights, rules: Rules, mode: str
) -> HandStep:
    """Take a step of `elman.cells.lstm_step`: ``c' = f * c + i * g, h' = o * tanh(c')``."""
    a = weights.weight_ih @ x + weights.bias_ih + weights.weight_hh @ hidden + weights.bias_hh
    a_i, a_f, a_g, a_o = np.split(a, 4)
    gates = {
        "input_gate": sigmoid(a_i),
        "forget_gate": sigmoid(a_f),
        "candidate": np.tanh(a_g),
        "output_gate": sigmoid(a_o),
    }
    after = gates["forget_gate"] * cell + gates["input_gate"] * gates["candidate"]
    out = gates["output_gate"] * np.tanh(after)
    if weights.weight_hr is not None:
        out = weights.weight_hr @ out
    return HandStep(x, hidden, cell, a, gates, out, after)


def lstm_backward(
    step: HandStep, d_hidden: Array, d_cell: Array, weights: HandWeights, rules: Rules, mode: str
) -> HandError:
    """Go back: ``dL/dc' = dL/dh' * o * (1 - tanh(c')^2) + the term through time``, then by each gate."""
    entering, kept, candidate, leaving = step.gates.values()
    squashed = np.tanh(step.cell)
    d_c = d_hidden * leaving * (1 - squashed**2 if rules.cell_slope else 1.0) + d_cell
    d_a = np.concatenate(
        [
            d_c * candidate * _gate_slope(entering, rules),
            d_c * step.cell_before * _gate_slope(kept, rules),
            d_c * entering * (1 - candidate**2 if rules.activation_slope else 1.0),
            d_hidden * squashed * _gate_slope(leaving, rules),
        ]
    )
    size = len(d_hidden)
    blocks = zip(np.split(weights.weight_hh, 4), np.split(d_a, 4), strict=True)
    d_before = np.zeros(size)
    for block, error in blocks:
        d_before = d_before + _back(block, error, rules)
    recurrent = np.outer(d_a, _recurrent_input(step, rules))
    return HandError(d_a, d_a, recurrent, d_before, d_c * kept if rules.carries_cell else np.zeros(size))


def _gate_slope(gate: Array, rules: Rules) -> Array:
    return gate * (1 - gate) if rules.gate_slope else np.ones_like(gate)


def _back(block: Array, error: Array, rules: Rules) -> Array:
    """Take an error [H] back through a square block of W_h."""
    return np.asarray((block.T if rules.transposes else block) @ error)


def _recurrent_input(step: HandStep, rules: Rules) -> Array:
    return step.hidden_before if rules.recurrent_input == "before" else step.hidden


Forward = Callable[[Array, Array, Array, HandWeights, Rules, str], HandStep]
Backward = Callable[[HandStep, Array, Array, HandWeights, Rules, str], HandError]

HAND_CELLS: dict[str, tuple[Forward, Backward]] = {
    "RNN_TANH": (rnn_forward, rnn_backward),
    "RNN_RELU": (rnn_forward, rnn_backward),
    "GRU": (gru_forward, gru_backward),
    "LSTM": (lstm_forward, lstm_backward),
}
"""torch's word for a recurrence -> its step forward and its step backward."""
