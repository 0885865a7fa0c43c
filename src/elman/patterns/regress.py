"""REGRESS: many-to-one. A sequence goes in, one or several numbers come out.

Shape legend: B batch, K targets.
"""

from torch import Tensor, nn

from elman.losses import distance
from elman.nn.encoder import Encoder
from elman.nn.pooling import make_pooling
from elman.patterns.pattern import Batch, Pattern


class Regressor(Pattern):
    """Read a sequence, make one vector of it, and a number for each target.

    input layer -> dropout -> encoder -> pooling -> dropout -> linear

    Args:
        input_layer, encoder: see `Pattern`.
        num_targets: K.
        pooling: how the encoder's outputs become one vector, one of `POOLINGS`.
        dropout: both dropouts, unless `input_dropout` says otherwise for the first.
        loss: what is made small, one of `DISTANCES`.

    Raises:
        ConfigError: an unknown pooling, or sizes that do not fit.

    Example:
        >>> import torch
        >>> from types import SimpleNamespace
        >>> from elman.nn.embedding import NumberInput
        >>> from elman.padded import Padded
        >>> pattern = Regressor(NumberInput(3), Encoder(3, 8), num_targets=2)
        >>> numbers = Padded(torch.zeros(4, 5, 3), torch.tensor([5, 2, 1, 0]))
        >>> pattern.scores(SimpleNamespace(features={"numbers": numbers}, target=None)).shape
        torch.Size([4, 2])
    """

    def __init__(
        self,
        input_layer: nn.Module,
        encoder: Encoder,
        *,
        num_targets: int,
        pooling: str = "mean+max",
        dropout: float = 0.2,
        input_dropout: float | None = None,
        loss: str = "mse",
    ) -> None:
        super().__init__(input_layer, encoder, dropout=dropout, input_dropout=input_dropout)
        self.pooling = make_pooling(pooling, encoder.output_size, num_directions=encoder.num_directions)
        self.linear = nn.Linear(self.pooling.output_size, num_targets)
        self.distance = loss

    def scores(self, batch: Batch, *, window: int | None = None) -> Tensor:
        """Return the numbers, [B, K], on the scale of the batch's targets."""
        pooled = self.pooling(self.encode(batch, window=window))
        scores: Tensor = self.linear(self.output_dropout(pooled))
        return scores

    def loss(self, batch: Batch, *, window: int | None = None) -> Tensor:
        """Return the mean distance over rows and targets.

        Args:
            batch: its target holds the standardised targets of each row, *[B, K]*; NaN where one is missing.
            window: see `Pattern.scores`.
        """
        return distance(self.scores(batch, window=window), batch.target, kind=self.distance)
