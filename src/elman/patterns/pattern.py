"""PATTERN: a network of one input-output shape, and the loss that trains it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor, nn

from elman.errors import ConfigError
from elman.nn.dropout import DROPOUTS
from elman.nn.embedding import WordEmbedding
from elman.nn.encoder import Encoder
from elman.padded import Padded


class Batch(Protocol):
    """What a pattern needs of a batch, whoever made it.

    Attributes:
        features: the inputs by name, as the input layer takes them.
        target: what is to be said of them; None where it is not known.
    """

    @property
    def features(self) -> Mapping[str, Padded]: ...
    @property
    def target(self) -> Any: ...


class Pattern(nn.Module, ABC):
    """Turn a batch into scores, and scores into a loss.

    Args:
        input_layer: what makes Padded *[B, T, E]* of a batch's features: `WordEmbedding` or `NumberInput`.
        encoder: what reads that, of input size E.
        dropout: share of what the last layer reads switched off, in training; of the encoder's kind.
        input_dropout: the same for the input layer's output; None: as `dropout`.
    """

    def __init__(
        self, input_layer: nn.Module, encoder: Encoder, *, dropout: float, input_dropout: float | None
    ) -> None:
        super().__init__()
        if input_layer.output_size != encoder.input_size:
            raise ConfigError(
                f"the input layer gives {input_layer.output_size} features but the encoder reads "
                f"{encoder.input_size}; build it as Encoder(input_layer.output_size, ...)."
            )
        self.input_layer = input_layer
        self.encoder = encoder
        kind = DROPOUTS[encoder.dropout_kind]
        self.input_dropout = kind(dropout if input_dropout is None else input_dropout)
        self.output_dropout = kind(dropout)

    @abstractmethod
    def scores(self, batch: Batch, *, window: int | None = None) -> Any:
        """Return unnormalised scores, from which the loss and the predictions are made.

        Args:
            batch: only its features are looked at.
            window: steps after which the gradient is cut; values are the same. None: never.
        """

    @abstractmethod
    def loss(self, batch: Batch, *, window: int | None = None) -> Tensor:
        """Return the mean loss: the sum over what has a target, divided by how many there are."""

    def forward(self, batch: Batch) -> Any:
        """Return the scores of a batch."""
        return self.scores(batch)

    def token_vectors(self) -> Tensor:
        """Return the trained vectors of the tokens, [V, E].

        Raises:
            ConfigError: the input is numbers, or one-hot.
        """
        if not isinstance(self.input_layer, WordEmbedding) or self.input_layer.tokens.kind == "one-hot":
            raise ConfigError("this network has no vectors of tokens; its input is numbers, or one-hot.")
        return self.input_layer.tokens.weight

    def encode(self, batch: Batch, *, window: int | None) -> Padded:
        """Return what the encoder makes of each step, Padded [B, T, D*H]."""
        steps = self.input_layer(batch.features)
        outputs: Padded = self.encoder(steps.with_data(self.input_dropout(steps.data)), window=window)[0]
        return outputs
