"""What every backend is asked to run: a stack of recurrent layers, over a batch, from a state.

Shape legend: B batch, T time, I input features, H hidden, L layers, D directions.

A backend is a module with two functions:

    refuses(stack, input, lengths, reset) -> None, or the reason why it cannot run this
    run(stack, input, state, *, lengths, reset, fresh) -> (output, state)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from elman.cells import MODES, Cell, State, Weights

Fresh = Callable[[int], State]
"""`fresh(n)` gives n rows of the layer's own initial state, each part [L*D, n, H]: what a cut starts from."""


class Stack(NamedTuple):
    """The layers to run and how: all that torch's kernels are told about a layer, and no module.

    Args:
        mode: RNN_TANH, RNN_RELU, GRU or LSTM.
        weights: all weights of all layers and directions, flat, in torch's order.
        bias: whether there are biases among them.
        num_layers, bidirectional: L, and whether D is 2.
        dropout: probability of zeroing an output between layers; acts when `training`.
        batch_first: input and output are [B, T, ...] instead of [T, B, ...].
    """

    mode: str
    weights: list[Tensor]
    bias: bool
    num_layers: int
    dropout: float
    training: bool
    bidirectional: bool
    batch_first: bool

    @property
    def cell(self) -> Cell:
        """The recurrence itself."""
        return MODES[self.mode]

    @property
    def directions(self) -> int:
        """D: 1 or 2."""
        return 2 if self.bidirectional else 1

    def layer_weights(self, layer: int, direction: int) -> Weights:
        """Give the weights of one layer in one direction."""
        count = len(self.weights) // (self.num_layers * self.directions)
        start = (layer * self.directions + direction) * count
        own = self.weights[start : start + count]
        bias_ih, bias_hh = own[2:4] if self.bias else (None, None)
        projected = count % 2 == 1  # weight_hr is the only one that comes alone
        return Weights(own[0], own[1], bias_ih, bias_hh, own[-1] if projected else None)


def autocast_dtype(input: Tensor) -> torch.dtype | None:
    """Give the dtype that autocast computes in where the input is; None where autocast is off."""
    device = input.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None


def result_dtype(input: Tensor, mode: str, autocast: torch.dtype | None) -> torch.dtype:
    """Give the dtype of torch's results: that of autocast, but a GRU on the CPU stays as its input is."""
    stays = autocast is None or (mode == "GRU" and input.device.type == "cpu")
    return input.dtype if stays or autocast is None else autocast
