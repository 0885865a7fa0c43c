"""The LSTM over rows of unequal length on oneDNN's fused kernel, which knows no lengths.

Shape legend: B batch, T time, I input features, H hidden, L layers, D directions.

torch runs packed sequences step by step, in training more slowly than oneDNN runs a full batch. So
the batch runs in full, with one more input feature that is 1 in the padding. Its weight closes the input gate
and opens the forget gate, so ``c' = 1 * c + 0 * g``: to the last bit, padding leaves the cell as it was, and
its gradient too. The forward direction then ends with the cell of its last real step. The backward direction
comes through the padding first and, from a zero state, reaches the real steps with zeros: o * tanh(0) = 0.
"""

from __future__ import annotations

import torch
from torch import _VF, Tensor
from torch.nn.functional import dropout

from elman.cells import CELLS, State
from elman.kernels.stack import Stack
from elman.padded import mask_of

HOLDING_WEIGHT = 3e4
"""Far beyond where sigmoid gives exactly 0 and 1, whatever the hidden state adds; float16 can hold it."""

LEAST_FILL = 0.5
"""Below this share of real steps packing is the faster way (measured: between 0.2 and 0.6, by size)."""

FUSED_DTYPES = (torch.float32, torch.bfloat16)


def suits(stack: Stack, input: Tensor, state: State, lengths: Tensor) -> bool:
    """Say whether this way is possible, and likely the faster one."""
    if stack.mode != "LSTM" or input.device.type != "cpu" or input.dtype not in FUSED_DTYPES:
        return False
    if (
        len(stack.weights) % 2
        or not torch._C._get_mkldnn_enabled()
        or not torch.backends.mkldnn.is_available()
    ):
        return False  # a projection, or no fused kernel
    if int(lengths.sum()) < LEAST_FILL * input.size(0) * input.size(1):
        return False
    return not stack.bidirectional or is_zero(state)


def is_zero(state: State) -> bool:
    """Say whether a state is all zeros, and a constant."""
    return not any(part.requires_grad or bool(part.any()) for part in state)


def run(stack: Stack, input: Tensor, state: State, lengths: Tensor) -> tuple[Tensor, State]:
    """Run a stack of LSTM layers; same as reference.py:run, for a zero state if there are two directions."""
    x_TBI = input.transpose(0, 1) if stack.batch_first else input
    lengths = lengths.to(input.device)
    real_TB1 = mask_of(lengths, x_TBI.size(0)).t().unsqueeze(-1)
    padding_TB1 = (~real_TB1).to(x_TBI.dtype)
    x_TBI = torch.where(real_TB1, x_TBI, 0.0)
    hiddens, cells = [], []
    for layer in range(stack.num_layers):
        rows = slice(layer * stack.directions, (layer + 1) * stack.directions)
        hidden, cell = state[0][rows], state[1][rows]
        output_TBH, last_hidden, cell = _VF.lstm(
            torch.cat((x_TBI, padding_TB1.to(x_TBI.dtype)), -1),
            (hidden, cell),
            _holding_weights(stack, layer),
            stack.bias,
            1,
            0.0,
            stack.training,
            stack.bidirectional,
            False,
        )
        hiddens.append(_hidden_at_length(output_TBH, hidden, last_hidden, lengths))
        cells.append(cell)
        x_TBI = torch.where(real_TB1, output_TBH, 0.0)
        if layer < stack.num_layers - 1:
            x_TBI = dropout(x_TBI, stack.dropout, stack.training)
    output = x_TBI.transpose(0, 1) if stack.batch_first else x_TBI
    return output, (torch.cat(hiddens), torch.cat(cells))


def _holding_weights(stack: Stack, layer: int) -> list[Tensor]:
    """Give one layer's weights, with a column more in weight_ih that holds the cell."""
    flat: list[Tensor] = []
    for direction in range(stack.directions):
        weight_ih, *others = (part for part in stack.layer_weights(layer, direction) if part is not None)
        column = weight_ih.new_zeros(4, weight_ih.size(0) // 4)
        gates = CELLS["lstm"].gates
        column[gates.index("input_gate")] = -HOLDING_WEIGHT
        column[gates.index("forget_gate")] = HOLDING_WEIGHT
        flat += [torch.cat((weight_ih, column.view(-1, 1)), 1), *others]
    return flat


def _hidden_at_length(output_TBH: Tensor, initial: Tensor, ended: Tensor, lengths: Tensor) -> Tensor:
    """Give the final hidden state [D, B, H]: only the cell is held, so the forward one is looked up."""
    size = initial.size(-1)
    last = (lengths - 1).clamp(min=0).view(1, -1, 1).expand(1, -1, size)
    forward = output_TBH[..., :size].gather(0, last)
    forward = torch.where((lengths > 0).view(1, -1, 1), forward, initial[:1].to(forward.dtype))
    return torch.cat((forward, ended[1:]))
