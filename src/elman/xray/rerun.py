"""RE-RUN: the recurrence once more, step by step and in float64, with every state kept.

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
from elman.errors import ConfigError
from elman.padded import mask_of, reverse_steps
from elman.xray.passes import Pass

LARGEST_COPY = 2**28
"""Bytes of recurrent weights up to which they are copied in float64: 256 MiB."""

FIRST_STEPS = 8
"""Steps in which re-run and layer must agree; a chaotic network tells float32 from float64 later on."""

AGREEMENT = {torch.float64: 1e-8, torch.float32: 1e-3, torch.float16: 0.02, torch.bfloat16: 0.1}
"""How far the two may differ there, of the largest number or of one: rounding times a few hundred."""


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


def rerun_dtype(weight_hh: Tensor) -> torch.dtype:
    """Return float64; or float32 where a copy of the recurrent weights would be too large."""
    return torch.float64 if weight_hh.numel() * 8 <= LARGEST_COPY else torch.float32


def rerun(one: Pass, dtype: torch.dtype) -> tuple[list[list[Scan]], float]:
    """Run a pass again; give its scans by layer and direction, and how far it is from the layer's output.

    Raises:
        ConfigError: the layer is not what it seems: what it said is not what its weights say.
    """
    lengths = one.lengths
    real_TB = mask_of(lengths, len(one.input), one.input.device).t()
    x_TBI = torch.where(real_TB.unsqueeze(-1), one.input, 0).to(dtype)
    scans = []
    for layer in range(one.num_layers):
        directions, outputs = [], []
        for direction in range(one.num_directions):
            place = layer * one.num_directions + direction
            own = turn(x_TBI, lengths) if direction else x_TBI
            weights = to_dtype(one.layer_weights(layer, direction), dtype)
            initial = tuple(part[place].to(dtype) for part in one.initial)
            fresh = tuple(part[place].to(dtype) for part in one.fresh)
            found = _scan(one.cell, weights, own, real_TB, initial, fresh, _cuts(one, real_TB, direction))
            directions.append(found)
            output = torch.where(real_TB.unsqueeze(-1), found.after[0], 0.0)
            outputs.append(turn(output, lengths) if direction else output)
        scans.append(directions)
        x_TBI = torch.cat(outputs, -1)
    return scans, _check_agreement(one, x_TBI, real_TB)


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


def _scan(
    cell: Cell,
    weights: Weights,
    x_TBI: Tensor,
    real_TB: Tensor,
    initial: State,
    fresh: State,
    cuts_TB: Tensor | None,
) -> Scan:
    """Run one layer in one direction."""
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
    return Scan(cell, weights, x_TBI, real_TB, cuts_TB, before, after)


def _cuts(one: Pass, real_TB: Tensor, direction: int) -> Tensor | None:
    """Give where the state is made anew before a step, in the direction's own order."""
    if one.cuts is None:
        return None
    cuts_TB = one.cuts.to(real_TB.device) & real_TB
    if not direction:
        return cuts_TB
    # The cut between t-1 and t lies before step t-1 on the way back.
    later = torch.cat((cuts_TB[1:], torch.zeros_like(cuts_TB[:1])))
    return turn(later, one.lengths)


def _check_agreement(one: Pass, output_TBH: Tensor, real_TB: Tensor) -> float:
    """Give the largest difference from what the layer said.

    Raises:
        ConfigError: it is large from the start.
    """
    said = one.output.to(output_TBH.dtype)
    gap_TB = torch.where(real_TB.unsqueeze(-1), said - output_TBH, 0.0).abs().amax(-1)
    if gap_TB.numel() == 0:
        return 0.0
    scale = max(float(output_TBH.abs().max()), 1.0)
    allowed = AGREEMENT.get(one.output.dtype, 0.1) * scale
    # Of two directions the backward one starts at the end, where the forward one has long begun: all of it.
    first = gap_TB if one.num_directions == 2 else gap_TB[:FIRST_STEPS]
    if not bool((first <= allowed).all()):
        raise ConfigError(
            f"layer {one.name!r} is not the plain {one.mode} that it seems: its output and a re-run of its "
            f"weights by the equations differ by {float(first.max()):.2g}; expected a layer whose forward "
            "is torch's or elman's own (hooks or a class derived from it may change what it says)."
        )
    return float(gap_TB.max())
