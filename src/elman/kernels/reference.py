"""The recurrence as a Python loop over time: slow, plain, and the truth that other backends are held to.

Shape legend: B batch, T time, I input features, H hidden, L layers, D directions.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import dropout

from elman.cells import State
from elman.kernels import regularised
from elman.kernels.stack import Fresh, Stack


def refuses(stack: Stack, input: Tensor, lengths: Tensor | None, reset: Tensor | None) -> str | None:
    """Give the reason why this backend cannot run; it runs everything."""
    return None


def run(
    stack: Stack,
    input: Tensor,
    state: State,
    *,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    fresh: Fresh,
) -> tuple[Tensor, State]:
    """Run a stack of layers over a batch, one step of `cells` at a time.

    Args:
        stack: the layers.
        input [T, B, I]: or [B, T, I] when the stack is batch_first.
        state: each part [L*D, B, H]; the backward direction starts from its own at the row's end.
        lengths [B]: steps, 0..T; all T by default. Outputs beyond a length are zero and a state stays
            as it was at the length.
        reset [B, T] bool: True at t cuts between t-1 and t, for both directions; none by default.
        fresh: gives the state that follows a cut.

    Returns:
        (output [T, B, D*H] or [B, T, D*H], state like the given one).
    """
    x_TBI = input.transpose(0, 1) if stack.batch_first else input
    steps, batch = x_TBI.shape[:2]
    lengths = torch.full((batch,), steps) if lengths is None else lengths
    real_TB1 = (torch.arange(steps).unsqueeze(1) < lengths).unsqueeze(-1).to(input.device)
    cut_TB1 = torch.zeros_like(real_TB1)
    if reset is not None:
        cut_TB1 = reset.t().unsqueeze(-1).to(input.device) & real_TB1
    finals = []
    for layer in range(stack.num_layers):
        outputs = []
        for direction in range(stack.directions):
            output, final = _scan(stack, layer, direction, x_TBI, state, real_TB1, cut_TB1, fresh)
            outputs.append(output)
            finals.append(final)
        x_TBI = torch.cat(outputs, -1)
        if layer < stack.num_layers - 1:
            x_TBI = dropout(x_TBI, stack.dropout, stack.training)
    output = x_TBI.transpose(0, 1) if stack.batch_first else x_TBI
    return output, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))


def _scan(
    stack: Stack,
    layer: int,
    direction: int,
    x_TBI: Tensor,
    state: State,
    real_TB1: Tensor,
    cut_TB1: Tensor,
    fresh: Fresh,
) -> tuple[Tensor, State]:
    """Run one layer in one direction."""
    steps, batch = x_TBI.shape[:2]
    weights = stack.layer_weights(layer, direction)
    index = layer * stack.directions + direction
    now = tuple(part[index] for part in state)
    x_TBI = torch.where(real_TB1, x_TBI, 0.0)  # or a NaN in the padding would reach the gradients
    if stack.within is not None:
        inputs, step = regularised.prepare(stack, layer, direction, x_TBI, now)
    else:
        inputs, step = x_TBI, lambda t, x_BI, state: stack.cell.step(x_BI, state, weights)
    outputs: list[Tensor] = [x_TBI.new_zeros(0)] * steps
    for t in range(steps) if direction == 0 else range(steps - 1, -1, -1):
        # The cut between t-1 and t lies before step t on the way there, and before step t-1 on the way back.
        cut_at = t if direction == 0 else t + 1
        if cut_at < steps and bool(cut_TB1[cut_at].any()):
            now = _where(cut_TB1[cut_at], tuple(part[index] for part in fresh(batch)), now)
        real = real_TB1[t]
        after = step(t, inputs[t], now)
        outputs[t] = torch.where(real, after[0], 0.0)
        now = _where(real, after, now)
    if not outputs:
        return x_TBI.new_zeros(0, batch, now[0].size(-1)), now
    return torch.stack(outputs), now


def _where(condition: Tensor, chosen: State, otherwise: State) -> State:
    return tuple(torch.where(condition, a, b) for a, b in zip(chosen, otherwise, strict=True))
