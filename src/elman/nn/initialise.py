"""Where weights start from: the draws that replace torch's, chosen by name.

Shape legend: H hidden, P projected hidden (P = H without projection).

Every entry of `INITIALISERS` changes a layer in place and draws from torch's global generator, as the layers'
own constructors do. Biases keep what they have (see `forget_bias` of the LSTM), and so does a learned initial
state.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import RNNBase, RNNCellBase

from elman.cells import MODES

Recurrent = RNNBase | RNNCellBase


def draw_like_torch(layer: Recurrent) -> None:
    """Draw every weight and bias from U(-1/sqrt(H), 1/sqrt(H)), as torch.nn does when a layer is made.

    Source: torch.nn.RNNBase.reset_parameters.

    Example:
        >>> layer = torch.nn.GRU(3, 4)
        >>> draw_like_torch(layer)
        >>> bool(layer.weight_hh_l0.abs().max() <= 0.5)
        True
    """
    layer.reset_parameters()


def draw_orthogonal(layer: Recurrent) -> None:
    """Make each gate's recurrent block orthogonal, so that W_hh neither grows nor shrinks the state it reads.

    ``W_g^T W_g = I`` for each gate's block W_g [H, P] of weight_hh; input weights and biases stay.

    Source: Saxe, McClelland and Ganguli 2014, Exact solutions to the nonlinear dynamics of learning in deep
    linear networks, section 3. Gate by gate, because a gate's block is what multiplies the state; the whole
    matrix is not square.

    Example:
        >>> layer = torch.nn.LSTM(3, 4)
        >>> draw_orthogonal(layer)
        >>> block = layer.weight_hh_l0[4:8]
        >>> torch.allclose(block.T @ block, torch.eye(4), atol=1e-5)
        True
    """
    for block in _recurrent_blocks(layer):
        torch.nn.init.orthogonal_(block)


def _recurrent_blocks(layer: Recurrent) -> list[torch.Tensor]:
    """Give the blocks [H, P], one a gate, of all recurrent weights; writing to them writes to the layer."""
    mode = getattr(layer, "mode", None)
    blocks: list[torch.Tensor] = []
    for name, weight in layer.named_parameters(recurse=False):
        if name.startswith("weight_hh"):
            gates = len(MODES[mode].gates) if mode is not None else weight.size(0) // layer.hidden_size
            blocks += weight.detach().chunk(gates)
    return blocks


INITIALISERS: dict[str, Callable[[Recurrent], None]] = {
    "torch": draw_like_torch,
    "orthogonal": draw_orthogonal,
}
