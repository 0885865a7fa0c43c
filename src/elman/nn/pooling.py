"""POOLING: how a sequence of outputs becomes one vector, whatever its length.

Shape legend: B batch, T time, D directions, H hidden.

Every pooling looks at real steps only, and gives zeros for a sequence of length zero.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from elman.config import unknown_name
from elman.errors import ConfigError
from elman.nn.attention import AdditiveAttention
from elman.padded import Padded


class Pooling(nn.Module, ABC):
    """Make one vector of each sequence.

    Args:
        input_size: features of a step, D*H.
        num_directions: 2 if the second half of the features was computed from the end to the start.

    Attributes:
        output_size: features of the vector.
    """

    def __init__(self, input_size: int, *, num_directions: int = 1) -> None:
        super().__init__()
        self.num_directions = num_directions
        self.output_size = input_size

    @abstractmethod
    def forward(self, steps: Padded) -> Tensor:
        """Return [B, output_size].

        Args:
            steps: Padded *[B, T, D*H]*; what stands in its padding is not looked at.
        """


class LastPooling(Pooling):
    """Take what each direction has read last: the forward one at the length, the backward one at step 0.

    Example:
        >>> steps = Padded(torch.tensor([[[1., 5.], [2., 6.], [9., 9.]]]), torch.tensor([2]))
        >>> LastPooling(2, num_directions=2)(steps)
        tensor([[2., 5.]])
    """

    def forward(self, steps: Padded) -> Tensor:
        """Return the final outputs, as the class describes."""
        if self.num_directions == 1:
            return steps.last()
        forward, backward = steps.data.chunk(2, -1)
        if steps.data.size(1) == 0:
            return steps.last()
        is_real = (steps.lengths > 0).to(steps.data.device).unsqueeze(1)
        first = torch.where(is_real, backward[:, 0], 0.0)
        return torch.cat([steps.with_data(forward).last(), first], -1)


class MeanPooling(Pooling):
    """Take the mean over the real steps.

    Example:
        >>> steps = Padded(torch.tensor([[[1.], [3.], [9.]]]), torch.tensor([2]))
        >>> MeanPooling(1)(steps)
        tensor([[2.]])
    """

    def forward(self, steps: Padded) -> Tensor:
        """Return the mean, as the class describes."""
        count = steps.lengths.clamp(min=1).to(steps.data).unsqueeze(1)
        return steps.masked().data.sum(1) / count


class MaxPooling(Pooling):
    """Take the largest value of each feature over the real steps.

    Example:
        >>> steps = Padded(torch.tensor([[[-3.], [-1.], [0.]]]), torch.tensor([2]))
        >>> MaxPooling(1)(steps)
        tensor([[-1.]])
    """

    def forward(self, steps: Padded) -> Tensor:
        """Return the maximum, as the class describes."""
        if steps.data.size(1) == 0:
            return steps.last()
        largest = steps.masked(-torch.inf).data.max(1).values
        is_real = (steps.lengths > 0).to(largest.device).unsqueeze(1)
        return torch.where(is_real, largest, 0.0)


class AttentionPooling(Pooling):
    """Take a mean of the real steps weighted by additive attention, as wide as a step.

    Example:
        >>> AttentionPooling(4)(Padded(torch.ones(2, 3, 4), torch.tensor([3, 1]))).shape
        torch.Size([2, 4])
    """

    def __init__(self, input_size: int, *, num_directions: int = 1) -> None:
        super().__init__(input_size, num_directions=num_directions)
        self.attention = AdditiveAttention(input_size, input_size)

    def forward(self, steps: Padded) -> Tensor:
        """Return the weighted mean, as the class describes."""
        context: Tensor = self.attention(steps)[0]
        return context


class MeanMaxPooling(Pooling):
    """Take the mean and the maximum side by side: twice as wide as a step.

    Source: Howard and Ruder 2018, ULMFiT, section 3.3, without their last step.

    Example:
        >>> steps = Padded(torch.tensor([[[1.], [3.], [9.]]]), torch.tensor([2]))
        >>> MeanMaxPooling(1)(steps)
        tensor([[2., 3.]])
    """

    def __init__(self, input_size: int, *, num_directions: int = 1) -> None:
        super().__init__(input_size, num_directions=num_directions)
        self.mean = MeanPooling(input_size)
        self.max = MaxPooling(input_size)
        self.output_size = 2 * input_size

    def forward(self, steps: Padded) -> Tensor:
        """Return both, as the class describes."""
        return torch.cat([self.mean(steps), self.max(steps)], -1)


POOLINGS: dict[str, type[Pooling]] = {
    "last": LastPooling,
    "mean": MeanPooling,
    "max": MaxPooling,
    "attention": AttentionPooling,
    "mean+max": MeanMaxPooling,
}


def make_pooling(name: str, input_size: int, *, num_directions: int) -> Pooling:
    """Return the pooling of that name.

    Args:
        name: a key of `POOLINGS`.
        input_size, num_directions: see `Pooling`.

    Raises:
        ConfigError: there is none of that name.

    Example:
        >>> make_pooling("mean+max", 8, num_directions=2).output_size
        16
    """
    if name not in POOLINGS:
        raise ConfigError(unknown_name("pooling", name, list(POOLINGS)))
    return POOLINGS[name](input_size, num_directions=num_directions)
