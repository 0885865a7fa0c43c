"""BACKPROPAGATION THROUGH TIME: how far back in time the gradient of a step's loss flows.

Two objects with one method. Both take one batch, leave gradients on the parameters, and give the loss.
"""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor

from elman.errors import ConfigError
from elman.patterns.pattern import Pattern


class GradientRule(ABC):
    """How far back in time gradients flow."""

    @abstractmethod
    def backward(self, pattern: Pattern, batch: Any) -> Tensor:
        """Add the gradients of the batch's loss to the parameters and return the loss, detached: *scalar*."""


class FullBPTT(GradientRule):
    """Let the gradient flow through every step, from the last to the first.

    Source: Werbos 1990, "Backpropagation through time: what it does and how to do it".
    """

    def backward(self, pattern: Pattern, batch: Any) -> Tensor:
        loss = pattern.loss(batch)
        loss.backward()
        return loss.detach()


class TruncatedBPTT(GradientRule):
    """Cut the gradient between windows of steps; the state itself flows on.

    The loss is that of `FullBPTT`; only its gradient stops at the cuts. With a window at least as long as the
    sequence, both give the same gradients.

    Args:
        window: steps between two cuts, at least 1.

    Source: Williams & Peng 1990, "An efficient gradient-based algorithm for on-line training of recurrent
    network trajectories", section 3, with k1 = k2 = window; the weights move once a batch, not once a window.
    """

    def __init__(self, window: int) -> None:
        if window < 1:
            raise ConfigError(f"bptt_window = {window}: the gradient needs at least 1 step to flow through.")
        self.window = window

    def backward(self, pattern: Pattern, batch: Any) -> Tensor:
        loss = pattern.loss(batch, window=self.window)
        loss.backward()
        return loss.detach()
