"""CONDITION: a recurrent network that starts from what is to be made: a class, or a vector.

Shape legend: B batch, C numbers of a condition, H hidden, L layers.
"""

import torch
from torch import Tensor, nn

from elman.cells import State
from elman.errors import ConfigError
from elman.nn.encoder import Encoder
from elman.padded import Padded

CLASS_SIZE = 32
"""Numbers in a class's vector."""


class ConditionedStart(nn.Module):
    """Make the initial state of every layer from a class or a vector.

    ``state = W condition + b`` for each part of each layer's state; a class is looked up first.

    Args:
        encoder: whose state is made; of one direction.
        num_classes: how many classes there are; None for a vector.
        size: numbers in a vector, C; None for a class.

    Raises:
        ConfigError: both or neither of the two are given.

    Source: Vinyals et al. 2015, Show and tell (an image starts the decoder); Karpathy and Fei-Fei 2015.

    Example:
        >>> start = ConditionedStart(Encoder(3, 4, cell="lstm", num_layers=2), num_classes=5)
        >>> hidden, cell = start(Padded(torch.tensor([[1], [4]]), torch.tensor([1, 1])))
        >>> hidden.shape
        torch.Size([2, 2, 4])
    """

    def __init__(self, encoder: Encoder, *, num_classes: int | None = None, size: int | None = None) -> None:
        super().__init__()
        if (num_classes is None) == (size is None):
            raise ConfigError("a condition is either a class or a vector; give one of num_classes and size.")
        self.classes = nn.Embedding(num_classes, CLASS_SIZE) if num_classes is not None else None
        layers = encoder.layers
        self.num_layers, self.hidden_size = layers.num_layers, layers.hidden_size
        self.num_parts = 2 if layers.mode == "LSTM" else 1
        self.linear = nn.Linear(size or CLASS_SIZE, self.num_parts * self.num_layers * self.hidden_size)

    def forward(self, condition: Padded) -> State:
        """Return the parts of the state, each [L, B, H].

        Args:
            condition: ids *[B, 1]* or numbers *[B, 1, C]*, of one step.
        """
        given = condition.data[:, 0]
        vectors: Tensor = self.classes(given) if self.classes is not None else given
        made = self.linear(vectors).unflatten(-1, (self.num_parts, self.num_layers, self.hidden_size))
        return tuple(part.transpose(0, 1).contiguous() for part in torch.unbind(made, 1))
