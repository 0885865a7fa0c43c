"""CLASSIFY: many-to-one. A sequence goes in, one probability for each label comes out.

Shape legend: B batch, K labels.
"""

from torch import Tensor, nn

from elman.losses import cross_entropy
from elman.nn.encoder import Encoder
from elman.nn.pooling import make_pooling
from elman.patterns.pattern import Batch, Pattern


class Classifier(Pattern):
    """Read a sequence, make one vector of it, and score each label.

    input layer -> dropout -> encoder -> pooling -> dropout -> linear

    Args:
        input_layer, encoder: see `Pattern`.
        num_labels: K, 2 or more.
        pooling: how the encoder's outputs become one vector, one of `POOLINGS`.
        dropout: both dropouts, unless `input_dropout` says otherwise for the first.
        class_weights [K]: what a mistake in each label counts in the loss; see `losses.cross_entropy`.

    Raises:
        ConfigError: an unknown pooling, or sizes that do not fit.

    Example:
        >>> import torch
        >>> from types import SimpleNamespace
        >>> from elman.nn.embedding import NumberInput
        >>> from elman.padded import Padded
        >>> pattern = Classifier(NumberInput(3), Encoder(3, 8), num_labels=5)
        >>> numbers = Padded(torch.zeros(2, 4, 3), torch.tensor([4, 2]))
        >>> pattern.scores(SimpleNamespace(features={"numbers": numbers}, target=None)).shape
        torch.Size([2, 5])
    """

    class_weights: Tensor | None

    def __init__(
        self,
        input_layer: nn.Module,
        encoder: Encoder,
        *,
        num_labels: int,
        pooling: str = "mean+max",
        dropout: float = 0.5,
        input_dropout: float | None = None,
        class_weights: Tensor | None = None,
    ) -> None:
        super().__init__(input_layer, encoder, dropout=dropout, input_dropout=input_dropout)
        self.pooling = make_pooling(pooling, encoder.output_size, num_directions=encoder.num_directions)
        self.linear = nn.Linear(self.pooling.output_size, num_labels)
        # Of the training data, not of the network: not among the weights that are saved.
        self.register_buffer("class_weights", class_weights, persistent=False)

    def scores(self, batch: Batch, *, window: int | None = None) -> Tensor:
        """Return unnormalised scores, [B, K]; their softmax is the probability of each label."""
        pooled = self.pooling(self.encode(batch, window=window))
        scores: Tensor = self.linear(self.output_dropout(pooled))
        return scores

    def loss(self, batch: Batch, *, window: int | None = None) -> Tensor:
        """Return the mean cross entropy over the rows of the batch.

        Args:
            batch: its target is the id of each row's label, int64 *[B]*.
            window: see `Pattern.scores`.
        """
        return cross_entropy(
            self.scores(batch, window=window), batch.target, class_weights=self.class_weights
        )
