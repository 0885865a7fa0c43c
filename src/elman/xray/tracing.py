"""TRACE: what a recurrent layer does with one sequence, step by step, with the actual numbers.

Shape legend: T time, I input features, H hidden, D directions, V outputs.

Every layer and direction is calculated by the plain equations (hand_cells.py) in float64; the result equals
the layer's own output to rounding. `to_text` is a lecturer's blackboard, `to_json` the same for a program,
and trace_drawing.py draws the unrolled network.

Source of the marks: Karpathy, Johnson and Li 2015, Visualizing and understanding recurrent networks, section
4.2: a gate is left- or right-saturated below 0.1 and above 0.9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from elman.cells import MODES
from elman.errors import ShapeError
from elman.padded import Padded
from elman.patterns.pattern import Pattern
from elman.xray.blackboard import matrix, number, table, vector
from elman.xray.hand_cells import (
    HAND_CELLS,
    RIGHT,
    Array,
    HandStep,
    HandWeights,
    as_array,
    first_state,
    weights_of,
)

LOW_GATE, HIGH_GATE, FLAT = 0.1, 0.9, 0.9
"""A gate below the first or above the second is saturated, and so is a tanh further from 0 than the third."""

COLUMNS: dict[str, tuple[str, ...]] = {
    "RNN_TANH": ("W_x x + b_x", "W_h h + b_h", "a", "h = tanh(a)"),
    "RNN_RELU": ("W_x x + b_x", "W_h h + b_h", "a", "h = relu(a)"),
    "GRU": ("W_x x + b_x", "W_h h + b_h", "reset r", "update z", "candidate n", "h = (1-z) n + z h"),
    "LSTM": ("input i", "forget f", "candidate g", "output o", "c = f c + i g", "h = o tanh(c)"),
}
"""Recurrence -> what the blackboard shows of each unit."""


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """One layer in one direction.

    Args:
        layer: counted from 0.
        is_reverse: it reads from the last step to the first.
        mode: torch's word for the recurrence.
        weights: as arrays.
        steps: each step forward, in the order of the sequence whatever the direction.
    """

    layer: int
    is_reverse: bool
    mode: str
    weights: HandWeights
    steps: list[HandStep]

    @property
    def name(self) -> str:
        """What it is called: its layer, counted from 1, and its direction."""
        return f"layer {self.layer + 1}, {'backward' if self.is_reverse else 'forward'}"

    @property
    def hidden(self) -> Array:
        """All states, [T, H]."""
        return np.stack([step.hidden for step in self.steps])


@dataclass(frozen=True, eq=False)
class Trace:
    """A whole calculation of one sequence.

    Args:
        labels: what each step is called, T.
        x: what went in, *[T, I]*.
        layers: each layer and direction, in torch's order.
        output: what came out, *[T, D*H]*.
        scores: ``W_y h_t + b_y``, *[T, V]*; None without an output layer.
    """

    labels: list[str]
    x: Array
    layers: list[LayerTrace]
    output: Array
    scores: Array | None = None

    def to_text(self, digits: int = 4) -> str:
        """Return the blackboard: the matrices, each step unit by unit, all states, and what came out.

        `^` and `v` mark what is saturated at its upper and lower end, `o` a relu that is off.

        Args:
            digits: after the point.
        """
        lines: list[str] = []
        for part in self.layers:
            lines += [f"{part.name.upper()}  ({part.mode})", ""]
            for symbol, values in zip(("W_x", "W_h", "b_x", "b_h", "W_p"), part.weights, strict=True):
                if values is not None:
                    rows = _row_names(part.mode, values) if symbol in ("W_x", "W_h") else ()
                    lines += [*matrix(symbol, values, digits, rows=rows), ""]
            order = reversed(range(len(part.steps))) if part.is_reverse else range(len(part.steps))
            for t in order:
                lines += [*self._step_lines(part, t, digits), ""]
            lines += ["all states", *self._states(part, digits), ""]
        if self.scores is not None:
            lines += ["y = W_y h + b_y", *matrix("y", self.scores, digits, rows=self.labels), ""]
        return "\n".join(lines).rstrip() + "\n"

    def _step_lines(self, part: LayerTrace, t: int, digits: int) -> list[str]:
        step = part.steps[t]
        columns = COLUMNS[part.mode]
        values = _columns(part, step)
        rows = []
        for unit in range(len(step.pre_activations) // max(len(step.gates), 1)):
            row = [str(unit + 1)]
            for (mark, value), _ in zip(values, columns, strict=True):
                shown = float(value[unit]) if unit < len(value) else None  # a projection has fewer
                row.append("" if shown is None else number(shown, digits) + marked(mark, shown))
            rows.append(row)
        lines = [f"t={t + 1}  {self.labels[t]}", f"  x   = {vector(step.x, digits)}"]
        lines.append(f"  h   = {vector(step.hidden_before, digits)}   before")
        if len(step.cell_before):
            lines.append(f"  c   = {vector(step.cell_before, digits)}   before")
        return [*lines, *("  " + line for line in table(["unit", *columns], rows).splitlines())]

    def _states(self, part: LayerTrace, digits: int) -> list[str]:
        kind = KINDS[part.mode]
        states = part.hidden

        def write(t: int, unit: int) -> str:
            value = float(states[t, unit])
            return number(value, digits) + (marked(kind, value) or " ")

        return matrix("h", states, digits, write=write, rows=self.labels)

    def to_json(self) -> dict[str, Any]:
        """Return the same as lists and dicts that `json.dumps` takes."""
        return {
            "labels": self.labels,
            "x": self.x.tolist(),
            "layers": [_layer_json(part) for part in self.layers],
            "output": self.output.tolist(),
            "scores": None if self.scores is None else self.scores.tolist(),
        }


KINDS = {"RNN_TANH": "tanh", "RNN_RELU": "relu", "GRU": "tanh", "LSTM": "tanh"}
"""Recurrence -> how its state saturates."""


def marked(kind: str, value: float) -> str:
    """Return the mark of a saturated number: "^", "v" or "o", or nothing.

    Args:
        kind: "gate", "tanh", "relu", or "" for numbers that cannot saturate.
        value: the number.

    Example:
        >>> marked("gate", 0.95), marked("tanh", -0.95), marked("relu", 0.0), marked("gate", 0.5)
        ('^', 'v', 'o', '')
    """
    if kind == "gate":
        return "^" if value > HIGH_GATE else "v" if value < LOW_GATE else ""
    if kind == "tanh":
        return "^" if value > FLAT else "v" if value < -FLAT else ""
    return "o" if kind == "relu" and value == 0 else ""


def trace(
    layer: torch.nn.RNNBase, x: Tensor, *, labels: Sequence[str] = (), output: nn.Linear | None = None
) -> Trace:
    """Calculate one sequence step by step, in every layer and direction.

    Args:
        layer: `elman.nn.RNN`, `GRU`, `LSTM`, or torch's, read as in evaluation: no dropout.
        x: the inputs, *[T, I]*.
        labels: what the steps are called, tokens for instance; none: numbers.
        output: ``y_t = W_y h_t + b_y`` of each step; none: no scores.

    Raises:
        ShapeError: the sizes do not fit.
        ConfigError: the layer has norms or zoneout.

    Example:
        >>> layer = torch.nn.GRU(2, 3, bidirectional=True)
        >>> x = torch.ones(4, 2)
        >>> np.allclose(trace(layer, x).output, layer(x)[0].detach(), atol=1e-6)
        True
    """
    if x.dim() != 2 or x.size(1) != layer.input_size or len(x) == 0:
        raise ShapeError(
            f"x has shape {tuple(x.shape)}, expected (steps, {layer.input_size}), 1 step or more."
        )
    if labels and len(labels) != len(x):
        raise ShapeError(f"{len(labels)} labels for {len(x)} steps; expected one for each step.")
    flow = first = as_array(x)
    directions = 2 if layer.bidirectional else 1
    if output is not None and output.in_features != directions * (layer.proj_size or layer.hidden_size):
        raise ShapeError(
            f"the output layer reads {output.in_features} numbers, expected what the layer gives, "
            f"{directions * (layer.proj_size or layer.hidden_size)}."
        )
    parts: list[LayerTrace] = []
    for place in range(layer.num_layers):
        for direction in range(directions):
            parts.append(_trace_direction(layer, flow, place, direction))
        flow = np.concatenate([part.hidden for part in parts[-directions:]], 1)
    scores = None
    if output is not None:
        scores = flow @ as_array(output.weight).T
        named = dict(output.named_parameters())  # where there is no bias, its name is not there
        scores = scores + (as_array(named["bias"]) if "bias" in named else 0.0)
    names = [str(label) for label in labels] or [str(t + 1) for t in range(len(x))]
    return Trace(names, first, parts, flow, scores)


def trace_pattern(
    pattern: Pattern, features: Mapping[str, Padded], *, labels: Sequence[str] = (), row: int = 0
) -> Trace:
    """Trace what a pattern's encoder reads, one row of a batch, as in evaluation.

    Args:
        pattern: any network with an input layer and an encoder; of a run, `run.model`.
        features: a batch's, as the input layer takes them.
        labels: what the row's real steps are called, its tokens for instance; none: numbers.
        row: which row of the batch.

    Raises:
        ShapeError: the row is empty, or the labels do not fit.

    Example:
        >>> from elman.nn.embedding import TokenEmbedding, WordEmbedding
        >>> from elman.nn.encoder import Encoder
        >>> from elman.patterns.tag import Tagger
        >>> pattern = Tagger(WordEmbedding(TokenEmbedding(9, 4)), Encoder(4, 8, cell="rnn"), num_labels=2)
        >>> ids = Padded(torch.tensor([[3, 5, 7]]), torch.tensor([2]))
        >>> trace_pattern(pattern, {"tokens": ids}, labels=["I", "love"]).output.shape
        (2, 8)
    """
    was_training = pattern.training
    pattern.eval()
    try:
        with torch.no_grad():
            steps = pattern.input_layer(features)
    finally:
        pattern.train(was_training)
    return trace(pattern.encoder.layers, steps.data[row, : int(steps.lengths[row])], labels=labels)


def _trace_direction(layer: torch.nn.RNNBase, x: Array, place: int, direction: int) -> LayerTrace:
    row = place * (2 if layer.bidirectional else 1) + direction
    weights, (hidden, cell) = weights_of(layer, row), first_state(layer, row)
    forward = HAND_CELLS[layer.mode][0]
    steps = []
    for numbers in x[::-1] if direction else x:
        steps.append(forward(numbers, hidden, cell, weights, RIGHT, layer.mode))
        hidden, cell = steps[-1].hidden, steps[-1].cell
    return LayerTrace(place, bool(direction), layer.mode, weights, steps[::-1] if direction else steps)


def _row_names(mode: str, values: Array) -> list[str]:
    """Name the first row of each gate's block."""
    gates = MODES[mode].gates
    if len(gates) == 1:
        return []
    size = len(values) // len(gates)
    return [gates[row // size] if row % size == 0 else "" for row in range(len(values))]


def _columns(part: LayerTrace, step: HandStep) -> list[tuple[str, Array]]:
    """Return what the blackboard's columns show, with the kind of saturation each can have."""
    weights = part.weights
    if part.mode == "LSTM":
        entering, kept, candidate, leaving = step.gates.values()
        gates = [("gate", entering), ("gate", kept), ("tanh", candidate), ("gate", leaving)]
        return [*gates, ("", step.cell), ("tanh", step.hidden)]
    from_x = weights.weight_ih @ step.x + weights.bias_ih
    from_h = weights.weight_hh @ step.hidden_before + weights.bias_hh
    if part.mode == "GRU":  # of the three blocks, the candidate's: the gates' sums show in the gates
        size = len(step.hidden)
        reset, update, candidate = step.gates.values()
        sums = [("", from_x[2 * size :]), ("", from_h[2 * size :])]
        return [*sums, ("gate", reset), ("gate", update), ("tanh", candidate), ("tanh", step.hidden)]
    return [("", from_x), ("", from_h), ("", step.pre_activations), (KINDS[part.mode], step.hidden)]


def _layer_json(part: LayerTrace) -> dict[str, Any]:
    return {
        "name": part.name,
        "mode": part.mode,
        "weights": {
            name: values.tolist() for name, values in part.weights._asdict().items() if values is not None
        },
        "steps": [
            {
                "x": step.x.tolist(),
                "pre_activations": step.pre_activations.tolist(),
                "gates": {name: values.tolist() for name, values in step.gates.items()},
                "hidden": step.hidden.tolist(),
                "cell": step.cell.tolist(),
            }
            for step in part.steps
        ],
    }
