"""BACKPROPAGATION THROUGH TIME: how far back in time the gradient of a step's loss flows.

Three objects with one method. Each takes one batch, leaves gradients on the parameters, and gives the loss.
What one carries from batch to batch is saved in every checkpoint.

Shape legend: B batch, L layers, H hidden.
"""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor

from elman.cells import State
from elman.errors import CheckpointError, ConfigError
from elman.patterns.generate import LanguageModel
from elman.patterns.pattern import Pattern


class GradientRule(ABC):
    """How far back in time gradients flow."""

    @abstractmethod
    def backward(self, pattern: Pattern, batch: Any, *, step: int = 0) -> Tensor:
        """Add the gradients of the batch's loss to the parameters and return the loss, detached: *scalar*.

        Args:
            pattern, batch: the network and what it is to learn from.
            step: steps of the training before this one, for rules that change with them.
        """

    def carried(self) -> dict[str, Tensor]:
        """Return what the next batch needs of the former ones; nothing, unless a subclass carries a state."""
        return {}

    def carry_on(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `carried` gave.

        Raises:
            CheckpointError: something was carried where nothing is.
        """
        if tensors:
            raise CheckpointError(
                "the checkpoint was made while a state was carried through a running text, but this training "
                "carries none; resume with the same data and settings."
            )


class FullBPTT(GradientRule):
    """Let the gradient flow through every step, from the last to the first.

    Source: Werbos 1990, "Backpropagation through time: what it does and how to do it".
    """

    def backward(self, pattern: Pattern, batch: Any, *, step: int = 0) -> Tensor:
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

    def backward(self, pattern: Pattern, batch: Any, *, step: int = 0) -> Tensor:
        loss = pattern.loss(batch, window=self.window)
        loss.backward()
        return loss.detach()


class StreamBPTT(GradientRule):
    """Carry the state from one window of a running sequence to the next, and the gradient not.

    A batch that continues the former one starts from its final state; any other starts from the pattern's own
    initial state. The weights move between two windows, so the state that is carried was made by the weights
    of that time. A state that is not finite is dropped: the next window starts afresh.

    Source: Williams & Peng 1990, section 3, with k1 = k2 = the window; Mikolov et al. 2010.
    """

    def __init__(self) -> None:
        self.state: State | None = None

    def backward(self, pattern: Pattern, batch: Any, *, step: int = 0) -> Tensor:
        if not isinstance(pattern, LanguageModel):
            raise ConfigError(
                f"a {type(pattern).__name__} cannot be trained on a stream; a LanguageModel can."
            )
        loss, state = pattern.loss_and_state(batch, self.state if batch.continues else None)
        loss.backward()
        state = tuple(part.detach() for part in state)
        self.state = state if all(bool(part.isfinite().all()) for part in state) else None
        return loss.detach()

    def carried(self) -> dict[str, Tensor]:
        """Return the parts of the state, each [L, B, H]; nothing before the first window."""
        return {str(index): part for index, part in enumerate(self.state or ())}

    def carry_on(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `carried` gave."""
        self.state = tuple(tensors[str(index)].clone() for index in range(len(tensors))) or None
