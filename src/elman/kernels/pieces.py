"""PIECES: rows of unequal length, and rows cut by resets, as one thing that every kernel can run.

Shape legend: B batch, T time, H hidden, L layers, D directions, N pieces, M real steps of all rows together.

A row without cuts is one piece; each cut makes one more; a row of length zero has none. Pieces are sorted,
longest first, so that those still running at a step are the first ones. Backends run them as N separate
rows; here are the states that they start from, and those that the rows end with.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman.cells import State
from elman.kernels.stack import Fresh, Stack


class Pieces(NamedTuple):
    """Where the pieces of a batch lie, longest piece first.

    row, start, length [N]: the row a piece is from, the step at which it starts, its steps; numpy.
    row_index [N]: `row` again, on the device of the batch.
    continues_forward, continues_backward [N]: whether it starts from the row's given state, and not afresh.
    rows, first, last [R]: the rows that have a piece, and their first and last pieces.
    """

    row: np.ndarray
    start: np.ndarray
    length: np.ndarray
    row_index: Tensor
    continues_forward: Tensor
    continues_backward: Tensor
    rows: Tensor
    first: Tensor
    last: Tensor

    def offsets(self) -> np.ndarray:
        """[longest + 1] How many steps of all pieces come before each step, when they run side by side."""
        steps = int(self.length[0]) if len(self.length) else 0
        active = np.searchsorted(-self.length, -np.arange(steps))
        return np.concatenate(([0], np.cumsum(active)))


def cut_into_pieces(lengths: Tensor, reset: Tensor | None, steps: int, device: torch.device) -> Pieces:
    """Find the pieces of a batch; numpy, because these are many tiny operations on numbers, not on data."""
    length_of_row = lengths.numpy()
    if reset is None:
        row = np.flatnonzero(length_of_row)
        start, end = np.zeros_like(row), length_of_row[row]
        is_first = is_last = np.ones(len(row), dtype=bool)
        cut_at_zero = np.zeros(len(length_of_row), dtype=bool)
    else:
        starts = reset.cpu().numpy() & (np.arange(steps) < length_of_row[:, None])
        cut_at_zero = np.logical_or.reduce(starts[:, :1], axis=1)
        starts[length_of_row > 0, :1] = True  # a slice, for batches of no steps
        row, start = np.nonzero(starts)
        is_first = np.ones(len(row), dtype=bool)
        is_first[1:] = row[1:] != row[:-1]
        is_last = np.roll(is_first, -1)
        end = np.where(is_last, length_of_row[row], np.roll(start, -1))
    length = end - start

    order = np.argsort(-length, kind="stable")
    row, start, length, is_first, is_last = (each[order] for each in (row, start, length, is_first, is_last))
    first, last = np.flatnonzero(is_first), np.flatnonzero(is_last)
    first, last = first[np.argsort(row[first])], last[np.argsort(row[last])]
    arrays = (row, is_first & ~cut_at_zero[row], is_last, row[first], first, last)
    return Pieces(row, start, length, *(torch.from_numpy(each).to(device) for each in arrays))


def starting_state(stack: Stack, state: State, pieces: Pieces, fresh: Fresh | None) -> State:
    """Give every piece the state it starts from: its row's, or a fresh one after a cut (None: no cuts)."""
    rows = tuple(part.index_select(1, pieces.row_index) for part in state)
    if fresh is None:
        return rows
    continues = torch.stack((pieces.continues_forward, pieces.continues_backward)[: stack.directions])
    continues = continues.repeat(stack.num_layers, 1).unsqueeze(-1)
    afresh = fresh(len(pieces.row))
    return tuple(torch.where(continues, row, new) for row, new in zip(rows, afresh, strict=True))


def final_state(stack: Stack, state: State, ended: State, pieces: Pieces) -> State:
    """Give each row its final state: forward from its last piece, backward from its first, else the given."""
    finals = []
    for part, piece_part in zip(state, ended, strict=True):
        by_direction = [piece_part[0 :: stack.directions].index_select(1, pieces.last)]
        if stack.bidirectional:
            by_direction.append(piece_part[1::2].index_select(1, pieces.first))
        final = torch.stack(by_direction, 1).flatten(0, 1)
        if len(pieces.rows) < part.size(1):
            final = part.to(final.dtype).index_copy(1, pieces.rows, final)
        finals.append(final)
    return tuple(finals)
