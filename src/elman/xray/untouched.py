"""UNTOUCHED: look at a model and leave it as it was: its mode, its buffers and the random state."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


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
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    states = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices), torch.backends.cudnn.flags(enabled=False):
            model.eval()
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for buffer, before in buffers:
                if not torch.equal(torch.nan_to_num(buffer), torch.nan_to_num(before)):
                    buffer.copy_(before)
        random.setstate(states[0])
        np.random.set_state(states[1])
