"""NON-FINITE STEPS: a loss or a gradient that is NaN or infinite never reaches the weights.

The step is skipped and counted; the first one is explained; several in a row end the training, for then the
weights themselves are the trouble and skipping will not mend it.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn

LIMIT = 5
"""So many skipped steps in a row end the training: chance does not do that."""

SHOWN_ROWS = 8


def explain(
    pattern: nn.Module, *, loss: float, norm: float, epoch: int, step: int, rows: Sequence[int]
) -> str:
    """Say which batch is not finite and where it shows first, while the gradients are still there.

    Args:
        pattern: the network, with the gradients of the step.
        loss: of the step.
        norm: of the gradient.
        epoch: counted from 1.
        step: counted from 1.
        rows: the examples of the batch.
    """
    more = ", ..." if len(rows) > SHOWN_ROWS else ""
    where = f"epoch {epoch}, step {step} (rows {', '.join(map(str, rows[:SHOWN_ROWS]))}{more})"
    what = f"the loss is {loss:.4g}" if not math.isfinite(loss) else f"the gradient's norm is {norm:.4g}"
    return f"{where}: {what}; {_first_trouble(pattern)}"


def _first_trouble(pattern: nn.Module) -> str:
    """Name the first parameter, in the order of the network, that is not finite or whose gradient is not."""
    parameters = list(pattern.named_parameters())
    for name, parameter in parameters:
        if not torch.isfinite(parameter).all():
            return f"the weights of {_layer(name)} are not finite, so no batch can be"
    for name, parameter in parameters:
        gradient = parameter.grad
        if gradient is not None:
            values = gradient.coalesce().values() if gradient.is_sparse else gradient
            if not torch.isfinite(values).all():
                return f"the gradient of {_layer(name)} is the first that is not finite"
    return "each gradient is finite, but their norm is beyond the range of their numbers"


def _layer(name: str) -> str:
    layer, _, parameter = name.rpartition(".")
    return f"layer {layer!r} ({parameter})" if layer else repr(name)
