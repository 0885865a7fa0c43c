"""What may happen inside a step besides the recurrence: recurrent dropout, zoneout, layer norm.

Shape legend: B batch, T time, I input features, H hidden, P projected hidden (P = H without projection),
G gates x hidden.

The kernels that run whole sequences at once know the plain recurrences alone, so a stack with anything of
this runs in the loop of reference.py, which asks `prepare` for its steps. Masks are drawn once a call, from
torch's global generator, before the first step.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear

from elman.cells import State
from elman.kernels.stack import Stack

Step = Callable[[int, Tensor, State], State]
"""(time, what `prepare` made of the input there, state before) -> state after."""


def prepare(stack: Stack, layer: int, direction: int, x_TBI: Tensor, state: State) -> tuple[Tensor, Step]:
    """Give what the steps of one layer in one direction read, and the step.

    All products with the input are made at once; those with the state cannot be.

    Args:
        stack: its `within` says what is to happen.
        layer, direction: which of the stack.
        x_TBI: what the layer reads, zero in the padding.
        state: what it starts from, each part [B, size]; its shapes are looked at.
    """
    within = stack.within
    assert within is not None
    weights, cell = stack.layer_weights(layer, direction), stack.cell
    drawn = draw_masks(stack, len(x_TBI), state)
    count = len(within.norms) // (stack.num_layers * stack.directions)
    start = (layer * stack.directions + direction) * count
    norms = within.norms[start : start + count]
    squash = cell.squash
    if not norms:
        from_input_TBG = linear(x_TBI, weights.weight_ih, weights.bias_ih)
    else:
        from_input_TBG = normalise(stack, linear(x_TBI, weights.weight_ih), norms[0], weights.bias_ih)
        if len(norms) > 2:
            size, gain, shift = norms[2].shape, norms[2], norms[3]

            def squash(cell_BH: Tensor) -> Tensor:
                return torch.tanh(layer_norm(cell_BH, size, gain, shift))

    def step(t: int, from_input_BG: Tensor, before: State) -> State:
        seen_BP = before[0] if drawn.hidden is None else before[0] * drawn.hidden
        if norms:
            from_hidden_BG = normalise(stack, linear(seen_BP, weights.weight_hh), norms[1], weights.bias_hh)
        else:
            from_hidden_BG = linear(seen_BP, weights.weight_hh, weights.bias_hh)
        after = cell.update(from_input_BG, from_hidden_BG, before, weights, squash)
        if drawn.held is not None:
            kept = (mask[t] for mask in drawn.held)
            return tuple(torch.where(k, old, new) for k, old, new in zip(kept, before, after, strict=True))
        if within.zoneout and not stack.training:
            return tuple(
                within.zoneout * old + (1 - within.zoneout) * new
                for old, new in zip(before, after, strict=True)
            )
        return after

    return from_input_TBG, step


class Masks:
    """What was drawn for one layer in one direction; None where nothing acts.

    Args:
        hidden [B, P]: what the hidden state is multiplied by before the recurrent weights, at every step.
        held: for each part of the state, [T, B, size] bool: True where it stays as it was.
    """

    def __init__(self, hidden: Tensor | None, held: tuple[Tensor, ...] | None) -> None:
        self.hidden = hidden
        self.held = held


def draw_masks(stack: Stack, steps: int, state: State) -> Masks:
    """Draw the masks of one layer in one direction; nothing is drawn outside of training.

    Args:
        stack: its `within` and `training` say what is drawn.
        steps: T.
        state: each part [B, size].
    """
    within = stack.within
    if within is None or not stack.training:
        return Masks(None, None)
    hidden, held = None, None
    if within.recurrent_dropout:
        keep = 1 - within.recurrent_dropout
        hidden = torch.empty_like(state[0]).bernoulli_(keep) / keep
    if within.zoneout:
        held = tuple(torch.rand((steps, *part.shape), device=part.device) < within.zoneout for part in state)
    return Masks(hidden, held)


def normalise(stack: Stack, product: Tensor, gain: Tensor, shift: Tensor | None) -> Tensor:
    """Return a product with weights [..., G] brought to mean 0 and variance 1, times gain, plus shift.

    Over all gates together; for the GRU over its two gates and over its candidate, as in the source.

    Source: Ba, Kiros and Hinton 2016, Layer normalization, supplement, eq. 20-22 and 27-29.
    """
    size = product.size(-1)
    if stack.mode != "GRU":
        return layer_norm(product, (size,), gain, shift)
    split = size // 3 * 2
    parts = [slice(0, split), slice(split, size)]
    return torch.cat(
        [
            layer_norm(
                product[..., part], gain[part].shape, gain[part], None if shift is None else shift[part]
            )
            for part in parts
        ],
        -1,
    )
