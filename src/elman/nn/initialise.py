"""Where weights start from: the draws that replace torch's, chosen by name.

Shape legend: H hidden, P projected hidden (P = H without projection).

Every entry of `INITIALISERS` changes a layer in place and draws from torch's global generator, as the layers'
own constructors do. What an entry does not speak of keeps what it has (for biases see `forget_bias` of the
LSTM), and so does a learned initial state.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import RNNBase, RNNCellBase

from elman.cells import MODES
from elman.config import unknown_name
from elman.errors import ConfigError

IDENTITY_INPUT_STD = 0.001
"""Deviation of the input weights of an identity start, as in the source."""

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


def draw_identity(layer: Recurrent) -> None:
    """Let an Elman network start as a plain sum of what it reads: W_hh = I, small input weights, no bias.

    ``W_hh = I    W_ih ~ N(0, 0.001^2)    b = 0``

    With relu, a step then hands its state on whole, and gradients neither vanish nor explode at first.

    Raises:
        ConfigError: another cell; gates would multiply the identity away.

    Source: Le, Jaitly and Hinton 2015, A simple way to initialize recurrent networks of rectified linear
    units, section 2 (their IRNN).

    Example:
        >>> layer = torch.nn.RNN(3, 4, nonlinearity="relu")
        >>> draw_identity(layer)
        >>> torch.equal(layer.weight_hh_l0, torch.eye(4))
        True
    """
    if _num_gates(layer) != 1:
        raise ConfigError(
            "init 'identity' is for the rnn cell, best with relu, but the layer is a "
            f"{type(layer).__name__}, whose gates would multiply it away; use orthogonal, or chrono."
        )
    for name, value in layer.named_parameters(recurse=False):
        if name.startswith("weight_hh"):
            torch.nn.init.eye_(value)
        elif name.startswith("weight_ih"):
            torch.nn.init.normal_(value, std=IDENTITY_INPUT_STD)
        elif name.startswith("bias"):
            torch.nn.init.zeros_(value)


def draw_chrono(layer: Recurrent, memory_steps: int) -> None:
    """Let gates start with memories of all lengths up to that of the longest dependency.

    LSTM: ``b_f ~ log U(1, T - 1)``, ``b_i = -b_f``; GRU: ``b_z ~ log U(1, T - 1)``. A gate of bias
    ``log(t - 1)`` keeps its state for about t steps. The numbers stand in bias_ih; those of bias_hh, which is
    added to it, become 0.

    Args:
        memory_steps: T, how many steps the longest dependency spans, 2 or more.

    Raises:
        ConfigError: the cell has no gate that keeps the state, there are no biases, or T is below 2.

    Source: Tallec and Ollivier 2018, Can recurrent neural networks warp time?, section 3, eq. 16. In the GRU
    as torch writes it, the update gate multiplies the old state, as the LSTM's forget gate does.

    Example:
        >>> layer = torch.nn.LSTM(3, 4)
        >>> draw_chrono(layer, memory_steps=100)
        >>> bool((layer.bias_ih_l0[4:8] == -layer.bias_ih_l0[:4]).all())
        True
    """
    gates, size = _num_gates(layer), layer.hidden_size
    if gates == 1:
        raise ConfigError(
            f"init 'chrono' sets the biases of gates, and a {type(layer).__name__} has none; use the gru or "
            "lstm cell, or init identity."
        )
    if not layer.bias:
        raise ConfigError("init 'chrono' sets the biases of gates, but the layer was made with bias=False.")
    if memory_steps < 2:
        raise ConfigError(f"memory_steps is {memory_steps}; a dependency spans at least 2 steps.")
    keeps = slice(size, 2 * size)  # the LSTM's forget gate and the GRU's update gate are both the second
    with torch.no_grad():
        for name, bias in layer.named_parameters(recurse=False):
            if not name.startswith("bias"):
                continue
            if name.startswith("bias_hh"):
                bias[keeps] = 0.0
                if gates == 4:
                    bias[:size] = 0.0
                continue
            draws = torch.empty(size, dtype=bias.dtype, device=bias.device).uniform_(1, memory_steps - 1)
            bias[keeps] = draws.log()
            if gates == 4:
                bias[:size] = -bias[keeps]


def initialise(layer: Recurrent, init: str, *, memory_steps: int | None = None) -> None:
    """Draw a layer's weights by a name of `INITIALISERS`.

    Args:
        layer: changed in place.
        init: which of them.
        memory_steps: what `draw_chrono` needs, and nothing else takes.

    Raises:
        ConfigError: an unknown name, a layer that cannot start so, memory_steps missing or without a use, or
            a forget bias beside chrono, which sets it too.
    """
    if init not in INITIALISERS:
        raise ConfigError(unknown_name("init", init, list(INITIALISERS)))
    if init != "chrono":
        if memory_steps is not None:
            raise ConfigError(f"memory_steps is for init chrono, but init is {init}; leave it out.")
        INITIALISERS[init](layer)
        return
    if getattr(layer, "forget_bias", None) is not None:
        raise ConfigError("init 'chrono' draws the forget gates' biases; leave forget_bias out.")
    if memory_steps is None and _num_gates(layer) > 1:
        raise ConfigError(
            "init 'chrono' needs to know how far back the network is to remember: give memory_steps, the "
            "steps that the longest dependency spans (--memory-steps 200)."
        )
    draw_chrono(layer, memory_steps or 0)


def _recurrent_blocks(layer: Recurrent) -> list[torch.Tensor]:
    """Give the blocks [H, P], one a gate, of all recurrent weights; writing to them writes to the layer."""
    blocks: list[torch.Tensor] = []
    for name, weight in layer.named_parameters(recurse=False):
        if name.startswith("weight_hh"):
            blocks += weight.detach().chunk(_num_gates(layer))
    return blocks


def _num_gates(layer: Recurrent) -> int:
    """Give how many blocks of H rows a weight matrix has."""
    mode = getattr(layer, "mode", None)
    if mode is not None:
        return len(MODES[mode].gates)
    weight = layer.weight_hh  # of a cell, which knows no mode
    assert isinstance(weight, torch.Tensor)
    return weight.size(0) // layer.hidden_size


INITIALISERS: dict[str, Callable[..., None]] = {
    "torch": draw_like_torch,
    "orthogonal": draw_orthogonal,
    "identity": draw_identity,
    "chrono": draw_chrono,
}
