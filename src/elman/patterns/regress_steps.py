"""REGRESS STEPS: many-to-many, aligned. A sequence goes in, one or several numbers for each step come out.

Shape legend: B batch, T time, K targets.
"""

from torch import Tensor, nn

from elman.losses import distance
from elman.nn.encoder import Encoder
from elman.padded import Padded
from elman.patterns.pattern import Batch, Pattern


class StepRegressor(Pattern):
    """Read a sequence and give each step a number for each target.

    input layer -> dropout -> encoder -> dropout -> linear

    Args:
        input_layer, encoder: see `Pattern`. With two directions a step's number depends on later steps too.
        num_targets: K.
        dropout: both dropouts, unless `input_dropout` says otherwise for the first.
        loss: what is made small, one of `DISTANCES`.

    Example:
        >>> import torch
        >>> from types import SimpleNamespace
        >>> from elman.nn.embedding import NumberInput
        >>> pattern = StepRegressor(NumberInput(3), Encoder(3, 8), num_targets=1)
        >>> numbers = Padded(torch.zeros(2, 4, 3), torch.tensor([4, 2]))
        >>> pattern.scores(SimpleNamespace(features={"numbers": numbers}, target=None)).data.shape
        torch.Size([2, 4, 1])
    """

    def __init__(
        self,
        input_layer: nn.Module,
        encoder: Encoder,
        *,
        num_targets: int,
        dropout: float = 0.2,
        input_dropout: float | None = None,
        loss: str = "mse",
    ) -> None:
        super().__init__(input_layer, encoder, dropout=dropout, input_dropout=input_dropout)
        self.linear = nn.Linear(encoder.output_size, num_targets)
        self.distance = loss

    def scores(self, batch: Batch, *, window: int | None = None) -> Padded:
        """Return the numbers of each step, Padded [B, T, K], on the scale of the batch's targets."""
        steps = self.encode(batch, window=window)
        return steps.with_data(self.linear(self.output_dropout(steps.data)))

    def loss(self, batch: Batch, *, window: int | None = None) -> Tensor:
        """Return the mean distance over the targets of real steps that are known.

        Args:
            batch: its target holds the standardised targets, Padded *[B, T, K]*; NaN where one is missing.
            window: see `Pattern.scores`.
        """
        return distance(self.scores(batch, window=window), batch.target, kind=self.distance)
