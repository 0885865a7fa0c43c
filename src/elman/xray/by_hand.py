"""BY HAND: forward and backpropagation through time of one sequence, every term of every gradient kept.

Shape legend: T time, I input features, H hidden, G gates x hidden, V outputs, N scored steps.

    h_t = cell(x_t, h_(t-1)),  y_t = W_y h_t + b_y,  L = sum of the scored steps' terms
    dL/dh_t  = W_y^T dL/dy_t                    the direct term, 0 where y_t is not scored
             + (dh_(t+1)/dh_t)^T dL/dh_(t+1)    the term through time
    dL/dW_y  = sum_t dL/dy_t h_t^T
    dL/dW_x  = sum_t dL/da_t x_t^T              a_t: what the cell's functions are taken of
    dL/dW_h  = sum_t dL/da_t h_(t-1)^T

Source: Werbos 1990, Backpropagation through time: what it does and how to do it. The cells are in
hand_cells.py, the losses in hand_losses.py. Nothing here uses autograd; hand_check.py holds it against that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from elman.errors import ConfigError, ShapeError
from elman.xray.blackboard import matrix, number, vector
from elman.xray.hand_cells import (
    HAND_CELLS,
    RIGHT,
    Array,
    HandError,
    HandStep,
    HandWeights,
    Rules,
    as_array,
    first_state,
    weights_of,
)
from elman.xray.hand_losses import HAND_LOSSES, HandLoss


@dataclass(frozen=True, eq=False)
class Exercise:
    """A recurrent layer, an output layer, one sequence and what should have come out.

    Args:
        layer: `elman.nn.RNN`, `GRU`, `LSTM`, or torch's: one layer, one direction, no projection.
        output: ``y_t = W_y h_t + b_y``, V outputs.
        x: the inputs, *[T, I]*.
        target: *[N]* classes, or *[N, V]* numbers (NaN: unknown), one row for each scored step.
        loss: which loss, see `HandLoss`.
        at: which steps are scored: "each", "last", or a mask *[T]* of bool.

    Raises:
        ConfigError: a layer of more than one layer or direction, or with a projection.
        ShapeError: the sizes do not fit each other, or no step is scored.

    Example:
        >>> torch.manual_seed(0); layer, output = torch.nn.RNN(2, 3), nn.Linear(3, 2)  # doctest: +ELLIPSIS
        <...>
        >>> Exercise(layer, output, torch.ones(4, 2), torch.tensor([1]), at="last").scored.tolist()
        [False, False, False, True]
    """

    layer: torch.nn.RNNBase
    output: nn.Linear
    x: Tensor
    target: Tensor
    loss: HandLoss = field(default_factory=HandLoss)
    at: str | Sequence[bool] = "each"

    def __post_init__(self) -> None:
        layer, output = self.layer, self.output
        if layer.num_layers != 1 or layer.bidirectional or layer.proj_size:
            raise ConfigError(
                f"{layer} is too much for one blackboard; expected one layer, one direction, no "
                "projection (take a deeper network apart: each layer's output is the next one's x)."
            )
        if self.x.dim() != 2 or self.x.size(1) != layer.input_size or len(self.x) == 0:
            raise ShapeError(
                f"x has shape {tuple(self.x.shape)}, expected (steps, {layer.input_size}), steps 1 or more."
            )
        if output.in_features != layer.hidden_size:
            raise ShapeError(
                f"the output layer reads {output.in_features} numbers, expected the layer's "
                f"{layer.hidden_size} units."
            )
        scored = self.scored
        if not scored.any() or len(self.target) != scored.sum():
            raise ShapeError(
                f"{len(self.target)} targets for {int(scored.sum())} scored steps of {len(self.x)}; expected "
                "one target for each scored step, and one scored step or more."
            )
        if self.loss.kind == "crf" and not scored.all():
            raise ConfigError('the crf loss scores whole sequences; expected at="each".')

    @property
    def scored(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which steps have a target, [T]."""
        steps = len(self.x)
        if isinstance(self.at, str):
            if self.at not in ("each", "last"):
                raise ConfigError(f'at is {self.at!r}; expected "each", "last", or a mask of the steps.')
            return np.array([self.at == "each"] * (steps - 1) + [True])
        mask = np.asarray(self.at)
        if mask.shape != (steps,) or mask.dtype != np.bool_:
            raise ShapeError(f"at is a mask of {mask.shape} {mask.dtype}, expected ({steps},) of bool.")
        return mask

    def parameters(self) -> dict[str, Array]:
        """Return the weights by name, as float64 arrays: those of the layer, then of the output layer."""
        biases = ("bias_ih", "bias_hh") if self.layer.bias else ()
        named = weights_of(self.layer)._asdict()
        found = {name: named[name] for name in ("weight_ih", "weight_hh", *biases)}
        found["output.weight"] = as_array(self.output.weight)
        if self.output.bias is not None:
            found["output.bias"] = as_array(self.output.bias)
        return found


@dataclass(frozen=True, eq=False)
class HandTerms:
    """One step of a calculation by hand.

    Args:
        forward: the step forward.
        y [V]: the output's scores at this step.
        loss: its term of the loss, 0 where it is not scored.
        d_y [V]: dL/dy_t.
        direct [H]: W_y^T dL/dy_t.
        through_time [H]: what comes from step t+1.
        cell_through_time [H]: the same for the LSTM's cell, f_(t+1) * dL/dc_(t+1); empty for other cells.
        backward: the step backward.
        terms: parameter -> this step's term of its gradient.
    """

    forward: HandStep
    y: Array
    loss: float
    d_y: Array
    direct: Array
    through_time: Array
    cell_through_time: Array
    backward: HandError
    terms: dict[str, Array]


@dataclass(frozen=True, eq=False)
class ByHand:
    """A finished calculation.

    Args:
        mode: torch's word for the recurrence.
        weights: the layer's.
        output_weight [V, H]: W_y.
        steps: every step with all its terms, in the order of time.
        loss: the sum of the steps' terms.
        gradients: parameter -> dL/dparameter, named as in `Exercise.parameters`.
    """

    mode: str
    weights: HandWeights
    output_weight: Array
    steps: list[HandTerms]
    loss: float
    gradients: dict[str, Array]

    def to_text(self, digits: int = 4) -> str:
        """Return the calculation as a lecturer writes it: forward, backward from the last step, sums.

        Args:
            digits: after the point.
        """
        lines = ["FORWARD", ""]
        for t, step in enumerate(self.steps, 1):
            lines += [*_forward_lines(t, step, self.mode, digits), ""]
        lines += [f"L = {number(self.loss, digits)}", "", "BACKWARD, from the last step to the first", ""]
        for t, step in reversed(list(enumerate(self.steps, 1))):
            lines += [*_backward_lines(t, step, len(self.steps), digits), ""]
        lines += ["SUMS over the steps", ""]
        for name, gradient in self.gradients.items():
            lines += [*matrix(SYMBOLS[name], gradient, digits), ""]
        return "\n".join(lines).rstrip() + "\n"


SYMBOLS = {
    "weight_ih": "dL/dW_x",
    "weight_hh": "dL/dW_h",
    "bias_ih": "dL/db_x",
    "bias_hh": "dL/db_h",
    "output.weight": "dL/dW_y",
    "output.bias": "dL/db_y",
}
"""Parameter -> how its gradient is written on the blackboard."""


def calculate(exercise: Exercise, rules: Rules = RIGHT) -> ByHand:
    """Calculate the loss and all gradients of an exercise, step by step, in float64.

    Args:
        exercise: the network, the sequence and its targets.
        rules: what is done where notes differ; `RIGHT`, or one of `TEXTBOOK_ERRORS`.

    Returns:
        The loss, the gradients, and every term they are made of.

    Example:
        >>> layer, output = torch.nn.RNN(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        >>> for weight in (*layer.parameters(), *output.parameters()): weight = nn.init.constant_(weight, 0.5)
        >>> x, target = torch.ones(2, 1), torch.zeros(1, 1)
        >>> done = calculate(Exercise(layer, output, x, target, HandLoss("mse"), "last"))
        >>> h1 = np.tanh(0.5); h2 = np.tanh(0.5 + 0.5 * h1)
        >>> bool(np.isclose(done.gradients["output.weight"].item(), 2 * 0.5 * h2 * h2))
        True
    """
    weights = weights_of(exercise.layer)
    forward = _run_forward(exercise, weights, rules)
    output_weight = as_array(exercise.output.weight)
    output_bias = exercise.parameters().get("output.bias", 0.0)
    y_TV = np.stack([output_weight @ step.hidden for step in forward]) + output_bias
    scored = exercise.scored
    terms_T, slopes_TV = np.zeros(len(forward)), np.zeros_like(y_TV)
    target = as_array(exercise.target)
    terms_T[scored], slopes_TV[scored] = HAND_LOSSES[exercise.loss.kind](y_TV[scored], target, exercise.loss)
    slopes_TV *= rules.sign * (1 if rules.divides else int(scored.sum()))

    steps: list[HandTerms] = []
    d_hidden, d_cell = np.zeros_like(forward[0].hidden), np.zeros_like(forward[0].cell)
    backward, names = HAND_CELLS[exercise.layer.mode][1], exercise.parameters()
    for t in reversed(range(len(forward))):
        step, direct = forward[t], output_weight.T @ slopes_TV[t]
        through_time = d_hidden if rules.through_time else np.zeros_like(d_hidden)
        d_cell = d_cell if rules.through_time else np.zeros_like(d_cell)
        error = backward(step, direct + through_time, d_cell, weights, rules, exercise.layer.mode)
        alone = backward(step, direct, np.zeros_like(d_cell), weights, rules, exercise.layer.mode)
        terms = _terms(step, error, alone, direct, slopes_TV[t], rules)
        terms = {name: terms[name] for name in names}
        scores, loss, slopes = y_TV[t], float(terms_T[t]), slopes_TV[t]
        steps.insert(0, HandTerms(step, scores, loss, slopes, direct, through_time, d_cell, error, terms))
        d_hidden, d_cell = error.hidden_before, error.cell_before
    used = steps if rules.uses == "all" else steps[-1:]
    gradients = {
        name: np.sum([step.terms[name] for step in (steps if name.startswith("output") else used)], axis=0)
        for name in names
    }
    return ByHand(exercise.layer.mode, weights, output_weight, steps, float(terms_T.sum()), gradients)


def loss_by_hand(exercise: Exercise, parameters: dict[str, Array]) -> float:
    """Return the loss with other weights in the place of the exercise's; what finite differences ask for.

    Args:
        exercise: the network, the sequence and its targets.
        parameters: weights, named as in `Exercise.parameters`, all of them.

    Example:
        >>> target = torch.tensor([0, 1, 1, 0])
        >>> exercise = Exercise(torch.nn.GRU(2, 3), nn.Linear(3, 2), torch.ones(4, 2), target)
        >>> bool(np.isclose(loss_by_hand(exercise, exercise.parameters()), calculate(exercise).loss))
        True
    """
    nothing = np.zeros(len(parameters["weight_ih"]))
    weights = HandWeights(
        parameters["weight_ih"],
        parameters["weight_hh"],
        parameters.get("bias_ih", nothing),
        parameters.get("bias_hh", nothing),
    )
    hidden_TH = np.stack([step.hidden for step in _run_forward(exercise, weights, RIGHT)])
    scores = hidden_TH @ parameters["output.weight"].T + parameters.get("output.bias", 0.0)
    value = HAND_LOSSES[exercise.loss.kind](scores[exercise.scored], as_array(exercise.target), exercise.loss)
    return float(value[0].sum())


def _run_forward(exercise: Exercise, weights: HandWeights, rules: Rules) -> list[HandStep]:
    forward = HAND_CELLS[exercise.layer.mode][0]
    hidden, cell = first_state(exercise.layer)
    steps = []
    for x in as_array(exercise.x):
        steps.append(forward(x, hidden, cell, weights, rules, exercise.layer.mode))
        hidden, cell = steps[-1].hidden, steps[-1].cell
    return steps


def _terms(
    step: HandStep, error: HandError, alone: HandError, direct: Array, d_y: Array, rules: Rules
) -> dict[str, Array]:
    """Return one step's term of each gradient; `alone` is the error without what comes through time."""
    by_input = {"total": error, "direct": alone, "input": alone}[rules.input_weight].pre_input
    if rules.input_weight == "input" and len(by_input) == len(direct):
        by_input = direct
    return {
        "weight_ih": np.outer(by_input, step.x),
        "weight_hh": error.weight_hh if rules.recurrent_weight == "total" else alone.weight_hh,
        "bias_ih": rules.bias_times * error.pre_input,
        "bias_hh": rules.bias_times * error.pre_hidden,
        "output.weight": np.outer(d_y, step.hidden),
        "output.bias": d_y,
    }


def _forward_lines(t: int, step: HandTerms, mode: str, digits: int) -> list[str]:
    forward = step.forward
    before = [f"t={t}", f"  x_{t}     = {vector(forward.x, digits)}"]
    before.append(f"  h_{t - 1}     = {vector(forward.hidden_before, digits)}")
    if mode == "LSTM":
        before.append(f"  c_{t - 1}     = {vector(forward.cell_before, digits)}")
    before.append(f"  a_{t}     = {vector(forward.pre_activations, digits)}")
    if not mode.startswith("RNN"):
        before += [f"  {name} = {vector(value, digits)}" for name, value in forward.gates.items()]
    if mode == "LSTM":
        before.append(f"  c_{t}     = {vector(forward.cell, digits)}")
    before.append(f"  h_{t}     = {vector(forward.hidden, digits)}")
    before.append(f"  y_{t}     = {vector(step.y, digits)}")
    return [*before, f"  L_{t}     = {number(step.loss, digits)}"]


def _backward_lines(t: int, step: HandTerms, last: int, digits: int) -> list[str]:
    total = step.direct + step.through_time
    source = f"from step {t + 1}" if t < last else "none after the last step"
    lines = [
        f"t={t}",
        f"  dL/dy_{t} = {vector(step.d_y, digits)}",
        f"  dL/dh_{t} = direct       {vector(step.direct, digits)}",
        f"          + through time {vector(step.through_time, digits)}   {source}",
        f"          = {vector(total, digits)}",
    ]
    if len(step.cell_through_time):
        lines.append(
            f"  dL/dc_{t} = by h_{t} + through time {vector(step.cell_through_time, digits)}   {source}"
        )
    lines += [
        f"  dL/da_{t} = {vector(step.backward.pre_input, digits)}",
    ]
    for name, symbol in SYMBOLS.items():
        if name in step.terms:
            lines += ["  " + line for line in matrix(f"{symbol} term", step.terms[name], digits)]
    return lines
