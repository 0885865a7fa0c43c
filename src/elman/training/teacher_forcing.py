"""TEACHER FORCING: what the decoder reads while it learns: the right former token, or more and more its own.

A schedule gives the probability of the right token as a pure function of the step, so a resumed training
reads as an uninterrupted one; the draws come from torch's global generator, which every checkpoint holds.
"""

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

from elman.config import unknown_name
from elman.errors import ConfigError
from elman.patterns.pattern import Pattern
from elman.patterns.translate import EncoderDecoder
from elman.training.bptt import GradientRule

SIGMOID_STEEPNESS = 10.0
"""How fast the inverse sigmoid falls: from 0.993 to 0.007 of its way, steepest in the middle."""


def stay(progress: float, end: float) -> float:
    """Return 1 always: teacher forcing."""
    return 1.0


def fall_linearly(progress: float, end: float) -> float:
    """Return ``1 - (1 - end) * progress``."""
    return 1.0 - (1.0 - end) * progress


def fall_exponentially(progress: float, end: float) -> float:
    """Return ``end ** progress``: in each step by the same factor."""
    return float(end**progress)


def fall_as_inverse_sigmoid(progress: float, end: float) -> float:
    """Return ``end + (1 - end) / (1 + exp(s (progress - 1/2)))``, s = `SIGMOID_STEEPNESS`."""
    return end + (1.0 - end) / (1.0 + math.exp(SIGMOID_STEEPNESS * (progress - 0.5)))


SCHEDULES: dict[str, Callable[[float, float], float]] = {
    "always": stay,
    "linear": fall_linearly,
    "exponential": fall_exponentially,
    "inverse-sigmoid": fall_as_inverse_sigmoid,
}
"""Progress 0..1 and end rate to the probability of the right token; after Bengio et al. 2015, section 2.4."""


class TeacherForcing(GradientRule):
    """Train an encoder-decoder, reading the right former token with a probability that falls.

    Args:
        schedule: a key of `SCHEDULES`.
        total_steps: steps after which the end rate is reached.
        end_rate: the probability at the end; above 0 for "exponential", which never reaches it.

    Raises:
        ConfigError: an unknown schedule, or a rate outside 0..1.

    Source: Bengio et al. 2015, Scheduled sampling for sequence prediction with recurrent neural networks;
    their k and c follow from the end rate and the number of steps here. The decoder's own token is its
    likeliest one, which they name beside a draw.

    Example:
        >>> TeacherForcing("linear", total_steps=100, end_rate=0.5).truth_rate(50)
        0.75
    """

    def __init__(self, schedule: str, *, total_steps: int, end_rate: float) -> None:
        if schedule not in SCHEDULES:
            raise ConfigError(unknown_name("schedule", schedule, list(SCHEDULES)))
        if not 0 <= end_rate <= 1 or (schedule == "exponential" and end_rate == 0):
            raise ConfigError(
                f"teacher_forcing_end = {end_rate:g}: a probability from 0 to 1 was expected "
                "(above 0 for exponential, which only comes near it)."
            )
        self.schedule, self.total_steps, self.end_rate = schedule, total_steps, end_rate

    def truth_rate(self, step: int) -> float:
        """Return the probability of the right former token in a step, counted from 0."""
        progress = min(1.0, step / max(1, self.total_steps))
        return SCHEDULES[self.schedule](progress, self.end_rate)

    def backward(self, pattern: Pattern, batch: Any, *, step: int = 0) -> Tensor:
        """Add the gradients of the batch's loss to the parameters and return the loss, detached."""
        if not isinstance(pattern, EncoderDecoder):
            raise ConfigError("teacher_forcing is for --task translate: nothing else reads its own outputs.")
        loss = pattern.loss(batch, truth_rate=self.truth_rate(step))
        loss.backward()
        return loss.detach()
