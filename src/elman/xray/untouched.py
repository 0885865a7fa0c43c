"""UNTOUCHED: look at a model and leave it as it was: its mode, its buffers and the random state."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

Kept = tuple[nn.Module, str, Tensor | None, Tensor | None]
"""Whose buffer it is, its name, the very tensor, and a copy of its values; None where it is not filled."""


def buffers_of(model: nn.Module) -> list[Kept]:
    """Return all buffers, to be put back: a forward may write into one, or put another in its place."""
    return [
        (module, name, buffer, None if buffer is None else buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
    ]


def put_back(kept: list[Kept]) -> None:
    """Give every module its own buffers again, with the values that they had.

    Example:
        >>> norm = nn.BatchNorm1d(2)
        >>> kept = buffers_of(norm)
        >>> norm.running_mean = norm.running_mean + 1
        >>> put_back(kept)
        >>> norm.running_mean
        tensor([0., 0.])
    """
    with torch.no_grad():
        for module, name, buffer, before in kept:
            module._buffers[name] = buffer
            if buffer is None or before is None:
                continue
            is_same = (buffer == before) | ((buffer != buffer) & (before != before))  # NaN is what it was
            if not bool(is_same.all()):
                buffer.copy_(before)


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Put a model in evaluation mode, without cuDNN, for the `with` block; then put back what it was.

    Dropout draws are then no part of what is measured. cuDNN's recurrent layers give no gradient in this
    mode, hence torch's own. Put back are each module's mode, buffers that changed, and the random state of
    torch, numpy and Python. Gradients and weights are for the caller to leave alone.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
        >>> with untouched(model):
        ...     model.training
        False
        >>> model.training
        True
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = buffers_of(model)
    states = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices), torch.backends.cudnn.flags(enabled=False):
            model.eval()
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        put_back(buffers)
        random.setstate(states[0])
        np.random.set_state(states[1])
