"""HAND CHECK: a calculation by hand beside autograd and beside finite differences."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from elman.losses import DISTANCES, cross_entropy, distance, frame_cross_entropy
from elman.nn.crf import CRF
from elman.padded import Padded
from elman.xray.blackboard import number, table
from elman.xray.by_hand import SYMBOLS, Exercise, calculate, loss_by_hand
from elman.xray.hand_cells import Array, as_array
from elman.xray.hand_losses import HandLoss

STEP = 1e-6
"""How far a weight is moved for a central difference: the cube root of float64's precision, about."""


@dataclass(frozen=True)
class Deviation:
    """How far a gradient by hand is from two others.

    Args:
        name: the parameter.
        largest: the largest number of its gradient, by size.
        autograd: the largest difference from autograd's, relative to `largest`.
        differences: the same from finite differences, whose own error is about 1e-8.
    """

    name: str
    largest: float
    autograd: float
    differences: float


@dataclass(frozen=True)
class Comparison:
    """The deviations of every parameter.

    Example:
        >>> print(Comparison([Deviation("weight_ih", 0.5, 2e-16, 1e-10)]).to_text())
        gradient  largest  from autograd  from differences
        dL/dW_x    0.5000        2.0e-16           1.0e-10
    """

    rows: list[Deviation]

    def to_text(self) -> str:
        """Return a table, a line a parameter."""
        cells = [
            [SYMBOLS[row.name], number(row.largest), f"{row.autograd:.1e}", f"{row.differences:.1e}"]
            for row in self.rows
        ]
        return table(["gradient", "largest", "from autograd", "from differences"], cells)


def compare(exercise: Exercise) -> Comparison:
    """Hold the gradients by hand against autograd's and against central differences of the loss.

    The differences take two forward passes for each number in the weights: an exercise should be small.

    Example:
        >>> layer, output = torch.nn.GRU(2, 3), torch.nn.Linear(3, 2)
        >>> rows = compare(Exercise(layer, output, torch.ones(4, 2), torch.tensor([0, 1, 1, 0]))).rows
        >>> max(row.autograd for row in rows) < 1e-10
        True
    """
    mine, theirs, numeric = calculate(exercise).gradients, by_autograd(exercise)[1], by_differences(exercise)
    return Comparison(
        [
            Deviation(
                name,
                float(np.abs(gradient).max()),
                relative_difference(gradient, theirs[name]),
                relative_difference(gradient, numeric[name]),
            )
            for name, gradient in mine.items()
        ]
    )


def relative_difference(first: Array, second: Array) -> float:
    """Return the largest difference of two arrays, relative to the largest number of both (0 if both are 0).

    Example:
        >>> relative_difference(np.array([1.0, 4.0]), np.array([1.0, 5.0]))
        0.2
    """
    scale = max(float(np.abs(first).max(initial=0.0)), float(np.abs(second).max(initial=0.0)))
    return float(np.abs(first - second).max(initial=0.0)) / scale if scale else 0.0


def by_autograd(exercise: Exercise) -> tuple[float, dict[str, Array]]:
    """Return loss and gradients as the library trains: its layers, its losses and torch's autograd, float64.

    Example:
        >>> layer, output = torch.nn.RNN(2, 3), torch.nn.Linear(3, 2)
        >>> exercise = Exercise(layer, output, torch.ones(1, 2), torch.tensor([0]))
        >>> sorted(by_autograd(exercise)[1])[:2]
        ['bias_hh', 'bias_ih']
    """
    # Copies, so that neither the model's dtype nor its gradients change.
    layer = copy.deepcopy(exercise.layer).to(torch.float64).eval()
    output = copy.deepcopy(exercise.output).to(torch.float64)
    parameters = {
        name: getattr(output, name.removeprefix("output."))
        if name.startswith("output")
        else getattr(layer, name + "_l0")
        for name in exercise.parameters()
    }
    with torch.enable_grad():
        for parameter in parameters.values():
            parameter.requires_grad_()
        hidden = layer(exercise.x.detach().to(torch.float64))[0]
        scores = output(hidden)[torch.from_numpy(exercise.scored)]
        loss = library_loss(scores, exercise.target.detach(), exercise.loss)
        gradients = torch.autograd.grad(loss, list(parameters.values()))
    return loss.item(), {name: as_array(g) for name, g in zip(parameters, gradients, strict=True)}


def library_loss(scores: Tensor, target: Tensor, loss: HandLoss) -> Tensor:
    """Return the loss as the library's own functions give it, in float64.

    Args:
        scores: *[N, V]*, of the scored steps.
        target: *[N]* or *[N, V]*.
        loss: which.

    Example:
        >>> library_loss(torch.zeros(1, 2), torch.tensor([1]), HandLoss())
        tensor(0.6931)
    """
    if loss.kind == "cross_entropy":
        weights = None if loss.class_weights is None else scores.new_tensor(loss.class_weights)
        return cross_entropy(
            scores, target.long(), class_weights=weights, label_smoothing=loss.label_smoothing
        )
    if loss.kind in DISTANCES:
        return distance(scores, target.to(scores).reshape(scores.shape), kind=loss.kind)
    if loss.kind == "bernoulli":
        whole = Padded(scores[None], torch.tensor([len(scores)]))
        return frame_cross_entropy(whole, whole.with_data(target.to(scores)[None]))
    if loss.kind == "crf":
        return _crf_loss(scores, target, loss)
    error = target.to(scores).reshape(len(scores), -1)
    if loss.kind == "gaussian":  # as patterns/forecast.py:loss_of, whose constant is left out too
        log_density = -functional.gaussian_nll_loss(
            scores[:, :1], error, (2 * scores[:, 1:]).exp(), eps=1e-300, reduction="mean"
        )
        return -log_density
    level = scores.new_tensor(loss.levels)
    error = error - scores
    return torch.maximum(level * error, (level - 1) * error).mean()


def _crf_loss(scores: Tensor, target: Tensor, loss: HandLoss) -> Tensor:
    assert loss.chain is not None
    crf = CRF(scores.size(1)).to(torch.float64)
    with torch.no_grad():
        for name, part in zip(("start", "between", "end"), loss.chain, strict=True):
            getattr(crf, name).copy_(torch.as_tensor(part))
    lengths = torch.tensor([len(scores)])
    likelihood = crf.log_likelihood(Padded(scores[None], lengths), Padded(target.long()[None], lengths))
    return -likelihood.sum() / len(scores)


def by_differences(exercise: Exercise, step: float = STEP) -> dict[str, Array]:
    """Return the gradients as central differences: ``(L(w + d) - L(w - d)) / 2 d``, one number after another.

    Args:
        exercise: the network, the sequence and its targets.
        step: d.

    Example:
        >>> layer, output = torch.nn.RNN(2, 3), torch.nn.Linear(3, 2)
        >>> exercise = Exercise(layer, output, torch.ones(1, 2), torch.tensor([0]))
        >>> by_differences(exercise)["weight_hh"].any()  # h_0 is 0: W_h had nothing to multiply
        np.False_
    """
    parameters = exercise.parameters()
    gradients = {}
    for name, values in parameters.items():
        gradients[name] = np.zeros_like(values)
        for place in np.ndindex(values.shape):
            kept = values[place]
            values[place] = kept + step
            above = loss_by_hand(exercise, parameters)
            values[place] = kept - step
            below = loss_by_hand(exercise, parameters)
            values[place] = kept
            gradients[name][place] = (above - below) / (2 * step)
    return gradients
