"""UNIT MAP: the gradient and the state of every unit at every step, the rows of the batch taken together.

Shape legend: B batch, T time, H hidden, C cells in time, U cells over units.

    g_t[u] = sqrt( sum over rows b that are real at t of (dL/ds_{b,t}[u])^2 / n_t )
    m_t[u] = sum over rows b that are real at t of s_{b,t}[u] / n_t,     n_t rows being real at t

Where there are more than 200 steps or units, neighbours share a cell: the mean is then over all rows,
steps and units in it, and each real step of a row counts alike.

Source: Werbos 1990, Backpropagation through time, for dL/ds_t; Karpathy, Johnson and Fei-Fei 2015,
Visualizing and understanding recurrent networks, for looking at units one by one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elman.xray.scan import turn

MOST_STEPS, MOST_UNITS = 200, 200
"""Cells of a map in time, and over units; of more steps or units, neighbours share one."""

AT_ONCE = 2**22
"""Numbers of a state over time that are looked at together."""


@dataclass(frozen=True, eq=False)
class UnitMap:
    """One part of the state of one layer in one direction; time is the sequence's own, left to right.

    Padding counts for nothing: at each step the means are over the rows that are real there, and the map ends
    with the longest row.

    Args:
        gradient [C, U]: root-mean-square of dL/ds_t over the rows; loss by unit of the state.
        state [C, U]: mean of s_t over the rows.
        steps [C], units [U]: the middle of each cell, counted from 0.
        steps_a_cell: neighbouring steps that share a cell; 1 up to 200 steps. The last cell may hold fewer.
        units_a_cell: neighbouring units that share a cell; 1 up to 200 units.
    """

    gradient: Tensor
    state: Tensor
    steps: Tensor
    units: Tensor
    steps_a_cell: int
    units_a_cell: int


def measure_units(gradient: Tensor, state: Tensor, lengths: Tensor, *, direction: int) -> UnitMap:
    """Return the map of one part of the state.

    Args:
        gradient [T, B, H]: dL/ds_t, in the direction's own order of time.
        state [T, B, H]: s_t, in the same.
        lengths [B]: real steps of each row.
        direction: 1 for the one that reads rows backward.

    Example:
        >>> gradient = torch.tensor([3.0, 4.0]).reshape(1, 2, 1)  # one step, two rows, one unit
        >>> found = measure_units(gradient, gradient, torch.tensor([1, 1]), direction=0)
        >>> round(found.gradient.item(), 4), found.state.item()
        (3.5355, 3.5)
    """
    longest = int(lengths.max()) if len(lengths) else 0
    width_T = max(math.ceil(longest / MOST_STEPS), 1)
    width_H = max(math.ceil(gradient.size(-1) / MOST_UNITS), 1)
    lengths_B = lengths.to(gradient.device)
    real_TB = torch.arange(longest, device=gradient.device).unsqueeze(1) < lengths_B
    count_C = _sums(real_TB.sum(1).double(), 0, width_T)

    def sums(value_TBH: Tensor, power: int) -> Tensor:
        """Give [C, U] of the numbers to a power, a few units at a time: a copy of all would be as large."""
        at_once = max(AT_ONCE // max(longest * len(lengths), 1) // width_H, 1) * width_H
        found = []
        for units in value_TBH[:longest].split(at_once, -1):
            own = turn(units, lengths_B) if direction else units
            own = torch.where(real_TB.unsqueeze(-1), own, 0.0).double().pow(power)
            found.append(_sums(_sums(own.sum(1), 0, width_T), 1, width_H))
        return torch.cat(found, 1)

    units_U = _sums(torch.ones_like(gradient[0, 0], dtype=torch.float64), 0, width_H)
    count_CU = count_C.unsqueeze(1) * units_U  # never 0: up to its end the longest row is real
    squares_CU, sums_CU = sums(gradient, 2) / count_CU, sums(state, 1) / count_CU
    steps, units = _middles(longest, width_T), _middles(gradient.size(-1), width_H)
    return UnitMap(squares_CU.sqrt().cpu(), sums_CU.cpu(), steps, units, width_T, width_H)


def _middles(count: int, width: int) -> Tensor:
    """Give the middle of each cell of so many places, counted from 0."""
    starts = torch.arange(0, count, width, dtype=torch.float64)
    return (starts + (starts + width).clamp(max=count) - 1) / 2


def _sums(values: Tensor, dim: int, width: int) -> Tensor:
    """Add up neighbours along a dimension, `width` at a time; the last sum may be of fewer."""
    if width == 1:
        return values
    return torch.stack([piece.sum(dim) for piece in values.split(width, dim)], dim)
