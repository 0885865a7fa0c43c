"""torch's own RNN kernels (oneDNN on a CPU, cuDNN on a GPU), with lengths and cuts and no loop over time.

Shape legend: B batch, T time, I input features, H hidden, L layers, D directions,
N pieces, M real steps of all rows together.

Rows of unequal length, and rows cut by resets, are the same thing to this backend: *pieces*. A row without
cuts is one piece; each cut makes one more; a row of length zero has none. The pieces run as a packed
sequence, as many separate rows, and what they give is put back where it belongs. LSTM rows that are mostly
full and uncut run faster another way, see held.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import _VF, Tensor

from elman.cells import State
from elman.kernels import held
from elman.kernels.stack import Fresh, Stack, autocast_dtype, result_dtype

KERNELS: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "RNN_TANH": _VF.rnn_tanh,
    "RNN_RELU": _VF.rnn_relu,
    "GRU": _VF.gru,
    "LSTM": _VF.lstm,
}


def refuses(stack: Stack, input: Tensor, lengths: Tensor | None, reset: Tensor | None) -> str | None:
    """Give the reason why this backend cannot run; it runs everything torch.nn runs."""
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
    """Run a stack of layers over a batch; same as reference.py:run, arguments and results alike."""
    if lengths is None and reset is None:
        hx = state if stack.mode == "LSTM" else state[0]
        result = KERNELS[stack.mode](
            input,
            hx,
            stack.weights,
            stack.bias,
            stack.num_layers,
            stack.dropout,
            stack.training,
            stack.bidirectional,
            stack.batch_first,
        )
        return result[0], tuple(result[1:])
    if reset is None and lengths is not None and held.suits(stack, input, state, lengths):
        return held.run(stack, input, state, lengths)
    return _run_pieces(stack, input, state, lengths, reset, fresh)


def run_packed(stack: Stack, data: Tensor, batch_sizes: Tensor, state: State) -> tuple[Tensor, State]:
    """Run a stack of layers over packed data [M, I]; rows are sorted, longest first."""
    hx = state if stack.mode == "LSTM" else state[0]
    result = KERNELS[stack.mode](
        data,
        batch_sizes,
        hx,
        stack.weights,
        stack.bias,
        stack.num_layers,
        stack.dropout,
        stack.training,
        stack.bidirectional,
    )
    return result[0], tuple(result[1:])


class Pieces(NamedTuple):
    """Where the pieces of a batch lie, longest piece first.

    steps [M]: flat positions in [B, T] (row * T + t) or [T, B] (t * B + row) of all real steps, packed order.
    batch_sizes [longest]: for each step, how many pieces are that long; on the CPU.
    row [N]: the row a piece is from.
    continues_forward, continues_backward [N]: whether it starts from the row's given state, and not afresh.
    rows, first, last [R]: the rows that have a piece, and their first and last pieces.
    """

    steps: Tensor
    batch_sizes: Tensor
    row: Tensor
    continues_forward: Tensor
    continues_backward: Tensor
    rows: Tensor
    first: Tensor
    last: Tensor


def cut_into_pieces(
    lengths: Tensor, reset: Tensor | None, steps: int, batch_first: bool, device: torch.device
) -> Pieces:
    """Find the pieces of a batch; numpy, because these are many tiny operations on numbers, not on data."""
    length_of_row = lengths.numpy()
    batch = len(length_of_row)
    starts = np.zeros((batch, steps), dtype=bool)
    if reset is not None:
        starts |= reset.cpu().numpy() & (np.arange(steps) < length_of_row[:, None])
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
    ticks, piece = np.nonzero(np.arange(length[0] if len(length) else 0)[:, None] < length)
    time, owner = start[piece] + ticks, row[piece]
    flat = owner * steps + time if batch_first else time * batch + owner
    first, last = np.flatnonzero(is_first), np.flatnonzero(is_last)
    first, last = first[np.argsort(row[first])], last[np.argsort(row[last])]
    arrays = (flat, row, is_first & ~cut_at_zero[row], is_last, row[first], first, last)
    positions, *others = (torch.from_numpy(each).to(device) for each in arrays)
    return Pieces(positions, torch.from_numpy(np.bincount(ticks)), *others)


def _run_pieces(
    stack: Stack, input: Tensor, state: State, lengths: Tensor | None, reset: Tensor | None, fresh: Fresh
) -> tuple[Tensor, State]:
    outer, inner = input.shape[:2]
    batch, steps = (outer, inner) if stack.batch_first else (inner, outer)
    lengths = torch.full((batch,), steps) if lengths is None else lengths
    pieces = cut_into_pieces(lengths, reset, steps, stack.batch_first, input.device)
    width = state[0].size(-1) * stack.directions
    dtype = result_dtype(input, stack.mode, autocast_dtype(input))  # or it would depend on the lengths
    if len(pieces.row) == 0:
        nothing = stack.weights[0][:0].sum().to(dtype)  # zero, and keeps the output part of the graph
        return nothing.expand(outer, inner, width).clone(), tuple(part.to(dtype) for part in state)
    packed = input.reshape(outer * inner, -1).index_select(0, pieces.steps)
    began = _starting_state(stack, state, pieces, fresh if reset is not None else None)
    packed, ended = run_packed(stack, packed, pieces.batch_sizes, began)
    packed = packed.to(dtype)
    output = packed.new_zeros(outer * inner, width).index_copy(0, pieces.steps, packed)
    ended = tuple(part.to(dtype) for part in ended)
    return output.view(outer, inner, width), _final_state(stack, state, ended, pieces)


def _starting_state(stack: Stack, state: State, pieces: Pieces, fresh: Fresh | None) -> State:
    """Give every piece the state it starts from: its row's, or a fresh one after a cut."""
    rows = tuple(part.index_select(1, pieces.row) for part in state)
    if fresh is None:
        return rows
    continues = torch.stack((pieces.continues_forward, pieces.continues_backward)[: stack.directions])
    continues = continues.repeat(stack.num_layers, 1).unsqueeze(-1)
    afresh = fresh(len(pieces.row))
    return tuple(torch.where(continues, row, new) for row, new in zip(rows, afresh, strict=True))


def _final_state(stack: Stack, state: State, ended: State, pieces: Pieces) -> State:
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
