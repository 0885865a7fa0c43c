"""torch's own RNN kernels (oneDNN on a CPU, cuDNN on a GPU), with lengths and cuts and no loop over time.

Shape legend: B batch, T time, M real steps of all rows together.

Rows of unequal length, and rows cut by resets, run as pieces (pieces.py): as the rows of a packed sequence,
and what they give is put back where it belongs. LSTM rows that are mostly full and uncut run faster another
way, see held.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import _VF, Tensor

from elman.cells import State
from elman.kernels import held
from elman.kernels.pieces import Pieces, cut_into_pieces, final_state, starting_state
from elman.kernels.stack import Fresh, Stack, autocast_dtype, result_dtype

KERNELS: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "RNN_TANH": _VF.rnn_tanh,
    "RNN_RELU": _VF.rnn_relu,
    "GRU": _VF.gru,
    "LSTM": _VF.lstm,
}


def refuses(stack: Stack, input: Tensor, lengths: Tensor | None, reset: Tensor | None) -> str | None:
    """Give the reason why this backend cannot run; it runs everything torch.nn runs."""
    return stack.within.reason if stack.within is not None else None


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


def packed_positions(
    pieces: Pieces, batch: int, steps: int, batch_first: bool, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Say which numbers torch's packed data holds.

    Returns:
        positions [M]: of all real steps in packed order: in [B, T] (row * T + t) or [T, B] (t * B + row).
        batch_sizes [longest]: for each step, how many pieces are that long; on the CPU.
    """
    longest = int(pieces.length[0]) if len(pieces.length) else 0
    ticks, piece = np.nonzero(np.arange(longest)[:, None] < pieces.length)
    time, owner = pieces.start[piece] + ticks, pieces.row[piece]
    flat = owner * steps + time if batch_first else time * batch + owner
    return torch.from_numpy(flat).to(device), torch.from_numpy(np.bincount(ticks))


def _run_pieces(
    stack: Stack, input: Tensor, state: State, lengths: Tensor | None, reset: Tensor | None, fresh: Fresh
) -> tuple[Tensor, State]:
    outer, inner = input.shape[:2]
    batch, steps = (outer, inner) if stack.batch_first else (inner, outer)
    lengths = torch.full((batch,), steps) if lengths is None else lengths
    pieces = cut_into_pieces(lengths, reset, steps, input.device)
    width = state[0].size(-1) * stack.directions
    dtype = result_dtype(input, stack.mode, autocast_dtype(input))  # or it would depend on the lengths
    if len(pieces.row) == 0:
        nothing = stack.weights[0][:0].sum().to(dtype)  # zero, and keeps the output part of the graph
        return nothing.expand(outer, inner, width).clone(), tuple(part.to(dtype) for part in state)
    positions, batch_sizes = packed_positions(pieces, batch, steps, stack.batch_first, input.device)
    packed = input.reshape(outer * inner, -1).index_select(0, positions)
    began = starting_state(stack, state, pieces, fresh if reset is not None else None)
    packed, ended = run_packed(stack, packed, batch_sizes, began)
    packed = packed.to(dtype)
    output = packed.new_zeros(outer * inner, width).index_copy(0, positions, packed)
    ended = tuple(part.to(dtype) for part in ended)
    return output.view(outer, inner, width), final_state(stack, state, ended, pieces)
