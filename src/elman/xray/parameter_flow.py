"""PARAMETER FLOW: how large each parameter's gradient is, and how far a step of learning would move it.

A step that moves weights by about a thousandth of their size is the usual rule of thumb; far less learns
nothing, far more unlearns (Karpathy 2015, Stanford CS231n, section "Ratio of weights to updates").
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

AT_ONCE = 2**20
"""Numbers that are divided together: of large weights no copy is made."""

ADAM_EPSILON = 1e-8
"""Adam's guard against division by zero (Kingma and Ba 2015, algorithm 1)."""


@dataclass(frozen=True)
class ParameterFlow:
    """One parameter, its gradient, and the first step of learning.

    Args:
        name: in the model.
        weight_norm: root of the sum of squares.
        gradient_norm: likewise; None where the loss does not depend on it, or it is frozen.
        sgd_ratio: ``rate |g| / |w|``, the update of gradient descent over the weights; None where either has
            no size to speak of.
        adam_ratio: the same of Adam's first step, ``rate g / (|g| + epsilon)`` for each number.
    """

    name: str
    weight_norm: float
    gradient_norm: float | None
    sgd_ratio: float | None
    adam_ratio: float | None


def parameter_flows(
    parameters: Iterable[tuple[str, nn.Parameter]],
    gradients: Mapping[str, Tensor | None],
    *,
    learning_rate: float,
) -> list[ParameterFlow]:
    """Measure each parameter beside its gradient.

    Args:
        parameters: (name, weights).
        gradients: by the same names; sparse ones too.
        learning_rate: of both rules.

    Example:
        >>> weights = nn.Parameter(torch.tensor([3.0, 4.0]))
        >>> (flow,) = parameter_flows([("w", weights)], {"w": torch.tensor([0.0, 10.0])}, learning_rate=0.1)
        >>> flow.gradient_norm, flow.sgd_ratio, round(flow.adam_ratio, 3)
        (10.0, 0.2, 0.02)
    """
    flows = []
    for name, weights in parameters:
        size = float(torch.linalg.vector_norm(weights.detach(), dtype=_wide(weights)))
        gradient = gradients.get(name)
        if gradient is None:
            flows.append(ParameterFlow(name, size, None, None, None))
            continue
        values = gradient.coalesce().values() if gradient.is_sparse else gradient
        norm = float(torch.linalg.vector_norm(values, dtype=_wide(values)))
        step = learning_rate * _adam_norm(values)
        ratios = (learning_rate * norm / size, step / size) if size > 0 else (None, None)
        flows.append(ParameterFlow(name, size, norm, *ratios))
    return flows


def _adam_norm(gradient: Tensor) -> float:
    """Return the norm of g / (|g| + epsilon), a piece at a time."""
    squares = 0.0
    for piece in gradient.flatten().split(AT_ONCE):
        squares += float((piece / (piece.abs() + ADAM_EPSILON)).double().square().sum())
    return math.sqrt(squares)


def _wide(values: Tensor) -> torch.dtype:
    """Sum in float64, without a copy of the tensor."""
    return torch.float64 if values.dtype in (torch.float32, torch.float64) else torch.float32
