"""GRADIENTS OF GRADIENTS of the C++ kernels: the same layer over the plain equations (reference.py).

Shape legend: N pieces, S steps of the longest.
"""

from __future__ import annotations

import logging

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from elman.cells import State
from elman.kernels import reference
from elman.kernels.call import Layer
from elman.kernels.stack import Stack

logger = logging.getLogger("elman")

_told: set[str] = set()


def differentiable(
    layer: Layer,
    inputs: tuple[Tensor | None, ...],
    needed: tuple[bool, ...],
    upstream: tuple[Tensor | None, ...],
) -> list[Tensor | None]:
    """Give the same gradients as tensors that can be differentiated again, over the plain equations."""
    if "twice" not in _told:
        _told.add("twice")
        logger.warning("gradients of gradients run over the plain equations, step by step (said once)")
    with torch.enable_grad():
        # Each by another name: one may have been computed from another, and that path is not ours to count.
        inputs = tuple(None if part is None else part.view_as(part) for part in inputs)
        input, hidden, cell, *weights = inputs
        assert input is not None and hidden is not None
        state = (hidden,) if cell is None else (hidden, cell)
        results = _by_reference(layer, input, state, [weight for weight in weights if weight is not None])
        pairs = [
            (y, dy) for y, dy in zip(results, upstream, strict=False) if dy is not None and y.requires_grad
        ]
        wanted = [x for x, need in zip(inputs, needed, strict=True) if need and x is not None]
        found = iter(
            torch.autograd.grad(
                [y for y, _ in pairs], wanted, [dy for _, dy in pairs], create_graph=True, allow_unused=True
            )
        )
    return [next(found) if need and x is not None else None for x, need in zip(inputs, needed, strict=True)]


def _by_reference(layer: Layer, input: Tensor, state: State, weights: list[Tensor]) -> tuple[Tensor, ...]:
    """Run a layer over the plain equations, piece by piece."""
    if layer.reads_tokens:
        count, input = len(weights) // layer.directions, one_hot(input, layer.sizes[0]).to(weights[0].dtype)
        weights = [weight if index % count else weight.t() for index, weight in enumerate(weights)]
    plan, batch_first = layer.plan, layer.batch_first and not layer.plan.packed
    stack = Stack(layer.mode, weights, layer.bias, 1, 0.0, False, layer.directions == 2, batch_first)
    if plan.length is None:
        output, final = reference.run(stack, input, state, fresh=lambda rows: state)
        return output, *final
    flat = input.reshape(-1, input.size(-1))
    index = torch.from_numpy(_positions(layer, input))
    padded = flat[index].view(plan.pieces, plan.steps, -1)
    stack = stack._replace(batch_first=True)
    lengths = torch.from_numpy(plan.length)
    output, final = reference.run(stack, padded, state, lengths=lengths, fresh=lambda rows: state)
    real = torch.from_numpy((np.arange(plan.steps) < plan.length[:, None]).reshape(-1))
    spread = flat.new_zeros(len(flat), output.size(-1)).index_copy(0, index[real], output.flatten(0, 1)[real])
    return spread.view(*input.shape[:-1], -1), *final


def _positions(layer: Layer, input: Tensor) -> np.ndarray:
    """Give the flat position of each step of each piece [N * S]; beyond a piece's end, any."""
    plan = layer.plan
    assert plan.length is not None and plan.offset is not None
    step = np.minimum(np.arange(plan.steps), np.maximum(plan.length, 1)[:, None] - 1)
    if plan.packed:
        return (plan.offset[step] + np.arange(plan.pieces)[:, None]).reshape(-1)
    assert plan.row is not None and plan.start is not None
    time = plan.start[:, None] + step
    row = np.broadcast_to(plan.row[:, None], time.shape)
    batch, steps = input.shape[:2] if layer.batch_first else input.shape[1::-1]
    return (row * steps + time if layer.batch_first else time * batch + row).reshape(-1)
