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


class Within(NamedTuple):
    """What is to happen inside each step; see regularised.py, which does it.

    Args:
        recurrent_dropout: share of the hidden state that the recurrent weights do not see, in training.
        zoneout: share of the state that stays as it was before the step.
        norms: gains and shifts of the layer norms, flat, in the order of the layers and directions; none
            where nothing is normalised.
    """

    recurrent_dropout: float
    zoneout: float
    norms: list[Tensor]

    @property
    def reason(self) -> str:
        """Why the kernels that run whole sequences cannot run this."""
        return "recurrent dropout, zoneout and layer norm act inside each step; only the loop takes steps"


class Stack(NamedTuple):
    """The layers to run and how: all that torch's kernels are told about a layer, and no module.

    Args:
        mode: RNN_TANH, RNN_RELU, GRU or LSTM.
        weights: all weights of all layers and directions, flat, in torch's order.
        bias: whether there are biases among them.
        num_layers, bidirectional: L, and whether D is 2.
        dropout: probability of zeroing an output between layers; acts when `training`.
        batch_first: input and output are [B, T, ...] instead of [T, B, ...].
        within: what is to happen inside each step besides the recurrence itself; None for nothing.
    """

    mode: str
    weights: list[Tensor]
    bias: bool
    num_layers: int
    dropout: float
    training: bool
    bidirectional: bool
    batch_first: bool
    within: Within | None = None

    @property
    def cell(self) -> Cell:
        """The recurrence itself."""
        return MODES[self.mode]

    @property
    def directions(self) -> int:
        """D: 1 or 2."""
        return 2 if self.bidirectional else 1

    def single_layers(self) -> list[Stack]:
        """Give each layer as a stack of its own, without dropout."""
        count = len(self.weights) // self.num_layers
        layers = []
        for layer in range(self.num_layers):
            weights, within = self.weights[layer * count : (layer + 1) * count], self.within
            if within is not None:
                own = len(within.norms) // self.num_layers
                within = within._replace(norms=within.norms[layer * own : (layer + 1) * own])
            layers.append(self._replace(weights=weights, num_layers=1, dropout=0.0, within=within))
        return layers

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
