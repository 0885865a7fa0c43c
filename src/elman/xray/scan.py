"""SCAN: a recurrence run step by step over a batch, with every state kept.

Shape legend: B batch, T time, I input features, G gates x hidden, H hidden, P projected hidden, D directions.

Each direction runs in its own order: the backward one reads rows turned round within their lengths, so that
in what follows time goes on from left to right and padding stands on the right.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear

from elman.cells import Cell, State, Weights
from elman.padded import reverse_steps

LARGEST_COPY = 2**28
"""Bytes of recurrent weights up to which they are copied in float64: 256 MiB."""


@dataclass(frozen=True, eq=False)
class Scan:
    """One layer in one direction, run over a batch in its own order of time.

    Args:
        cell: the recurrence.
        weights: in the dtype of the re-run.
        input [T, B, I]: what it read.
        real [T, B]: True where a step is real.
        cuts [T, B]: True where the state was made anew before the step; None: nowhere.
        before, after: the states before and after each step, each part [T, B, H].
    """

    cell: Cell
    weights: Weights
    input: Tensor
    real: Tensor
    cuts: Tensor | None
    before: State
    after: State


def turn(value_TB: Tensor, lengths: Tensor) -> Tensor:
    """Turn rows [T, B, ...] round within their lengths."""
    return reverse_steps(value_TB.transpose(0, 1), lengths).transpose(0, 1)


def to_dtype(weights: Weights, dtype: torch.dtype) -> Weights:
    """Convert weights, but not weight_ih, which is as large and used once: see `products_with_input`."""
    hh, bias_hh = weights.weight_hh.to(dtype), weights.bias_hh
    bias_ih, hr = weights.bias_ih, weights.weight_hr
    return Weights(
        weights.weight_ih,
        hh,
        None if bias_ih is None else bias_ih.to(dtype),
        None if bias_hh is None else bias_hh.to(dtype),
        None if hr is None else hr.to(dtype),
    )


def products_with_input(weights: Weights, x: Tensor) -> Tensor:
    """Return W_ih x + b_ih, [..., G], converting a few rows of W_ih at a time."""
    size = max(LARGEST_COPY // 8 // 8 // max(weights.weight_ih.size(1), 1), 1)
    pieces = [linear(x, rows.to(x.dtype)) for rows in weights.weight_ih.split(size)]
    product = pieces[0] if len(pieces) == 1 else torch.cat(pieces, -1)
    return product if weights.bias_ih is None else product + weights.bias_ih


def gradient_of_input(weights: Weights, gradient: Tensor) -> Tensor:
    """Return W_ih^T g, [..., I], of the gradient g [..., G] by the products."""
    size = max(LARGEST_COPY // 8 // 8 // max(weights.weight_ih.size(1), 1), 1)
    pieces = zip(gradient.split(size, -1), weights.weight_ih.split(size), strict=True)
    return torch.stack([piece @ rows.to(piece.dtype) for piece, rows in pieces]).sum(0)


def run_scan(
    cell: Cell,
    weights: Weights,
    x_TBI: Tensor,
    real_TB: Tensor,
    initial: State,
    fresh: State,
    cuts_TB: Tensor | None,
    *,
    said_TBH: Tensor | None = None,
) -> Scan:
    """Run one layer in one direction, in its own order of time.

    Args:
        initial: the state it starts from, each part [B, H].
        fresh: the state after a cut, each part [H].
        said_TBH: the hidden state after each step, which then takes the place of the re-run's own, so that
            each step starts where the layer itself stood; None: the re-run goes on from its own.
    """
    from_input_TBG = products_with_input(weights, x_TBI)
    before = tuple(part.new_zeros(len(x_TBI), *part.shape) for part in initial)
    after = tuple(torch.empty_like(part) for part in before)
    now = initial
    for t in range(len(x_TBI)):
        if cuts_TB is not None and bool(cuts_TB[t].any()):
            now = tuple(torch.where(cuts_TB[t, :, None], a, b) for a, b in zip(fresh, now, strict=True))
        from_hidden_BG = linear(now[0], weights.weight_hh, weights.bias_hh)
        then = cell.update(from_input_TBG[t], from_hidden_BG, now, weights, cell.squash)
        for kept, part in zip(before, now, strict=True):
            kept[t] = part
        now = tuple(torch.where(real_TB[t, :, None], a, b) for a, b in zip(then, now, strict=True))
        for kept, part in zip(after, now, strict=True):
            kept[t] = part
        if said_TBH is not None:
            now = (torch.where(real_TB[t, :, None], said_TBH[t], before[0][t]), *now[1:])
    return Scan(cell, weights, x_TBI, real_TB, cuts_TB, before, after)
