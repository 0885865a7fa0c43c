"""FORECAST: many-to-future. The last rows of a series go in, the next ones come out.

Shape legend: B batch, C context, H horizon, P rows of a patch, K covariates, S static numbers, Q quantiles.

Numbers are differences from an anchor (the last value, or the last season) in the series' own scale, so an
output of zero is the naive forecast; that is where training starts.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from elman.errors import ConfigError
from elman.nn.embedding import NumberInput
from elman.nn.encoder import Encoder
from elman.padded import Padded
from elman.patterns.pattern import Batch, Pattern

Interval = Literal["quantiles", "gaussian", "none"]


class Patches(nn.Module):
    """Cut a context into patches of equal length: the steps that the encoder reads.

    A patch holds, of each of its rows, the value, whether it was observed, and the covariates; and what is
    known of the whole series.

    Args:
        context: rows, a multiple of `patch`.
        patch: rows of a patch.
        num_known: covariates of a row, K.
        num_static: numbers that are known of a whole series, S.

    Attributes:
        output_size: numbers of a patch.

    `forward(features)` takes "numbers", Padded [B, C, 2 + K], and with static numbers "static", Padded
    [B, 1, S]; it gives Padded [B, C / P, P (2 + K) + S].

    Example:
        >>> numbers = Padded(torch.ones(3, 8, 2), torch.tensor([8, 8, 8]))
        >>> Patches(8, 4)({"numbers": numbers}).data.shape
        torch.Size([3, 2, 8])
    """

    def __init__(self, context: int, patch: int, num_known: int = 0, num_static: int = 0) -> None:
        super().__init__()
        if context % patch:
            raise ConfigError(
                f"context = {context} is no multiple of patch = {patch}; choose another of them."
            )
        self.patch = patch
        self.hand_on = NumberInput(patch * (2 + num_known) + num_static)
        self.output_size = self.hand_on.output_size

    def forward(self, features: Mapping[str, Padded]) -> Padded:
        """Return the patches, as the class describes."""
        rows = features["numbers"].data
        patches = rows.reshape(rows.size(0), rows.size(1) // self.patch, -1)
        if "static" in features:
            static = features["static"].data.expand(-1, patches.size(1), -1)
            patches = torch.cat([patches, static], 2)
        lengths = torch.full((rows.size(0),), patches.size(1))
        return self.hand_on({"numbers": Padded(patches, lengths)})


class Forecaster(Pattern):
    """Read the context in patches, and say all steps of the horizon at once.

        patches -> dropout -> encoder -> last hidden state -> dropout -> linear  (from zero)
        context, covariates of the horizon, what is static --------------> linear  (from zero)

    The sum of the two is, for each step, what is added to the anchor: one point and one number for each
    quantile (or one logarithm of a standard deviation).

    Args:
        encoder: reads patches: its input size is P (2 + K) + S.
        context: rows that are read, C.
        horizon: steps that are said at once, H.
        patch: rows of a patch, P.
        num_known: covariates of a row, K, of which those of the horizon are read too.
        num_static: numbers that are known of a whole series, S.
        point: what the point forecast makes small: "mse" (it is a mean) or "mae" (a median).
        interval: "quantiles" (each by its pinball loss), "gaussian" (by its likelihood) or "none".
        levels: the quantiles, between 0 and 1, rising.
        steps: steps that are calibrated, H' (default: the horizon; more where forecasts are fed back).
        dropout: both dropouts, unless `input_dropout` says otherwise for the first.

    Buffers:
        widening [H', Q]: what calibration adds to each quantile of each step, in the series' scale.

    Example:
        >>> from types import SimpleNamespace
        >>> model = Forecaster(Encoder(8, 5, cell="gru"), context=8, horizon=3, patch=4, levels=(0.1, 0.9))
        >>> numbers = Padded(torch.randn(2, 8, 2), torch.tensor([8, 8]))
        >>> model.scores(SimpleNamespace(features={"numbers": numbers}, target=None)).abs().sum().item()
        0.0
    """

    widening: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        context: int,
        horizon: int,
        patch: int,
        num_known: int = 0,
        num_static: int = 0,
        point: Literal["mse", "mae"] = "mse",
        interval: Interval = "quantiles",
        levels: Sequence[float] = (0.1, 0.5, 0.9),
        steps: int | None = None,
        dropout: float = 0.0,
        input_dropout: float | None = None,
    ) -> None:
        super().__init__(
            Patches(context, patch, num_known, num_static),
            encoder,
            dropout=dropout,
            input_dropout=input_dropout,
        )
        if encoder.num_directions == 2:
            raise ConfigError("a forecast reads its context once, forwards; leave --bidirectional out.")
        self.horizon, self.point, self.interval = horizon, point, interval
        self.levels = tuple(levels) if interval != "none" else ()
        self.num_outputs = 1 + {"quantiles": len(self.levels), "gaussian": 1, "none": 0}[interval]
        self.linear = nn.Linear(encoder.output_size, horizon * self.num_outputs)
        read = context * 2 + horizon * num_known + num_static
        self.direct = nn.Linear(read, horizon * self.num_outputs)
        for layer in (self.linear, self.direct):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.register_buffer("widening", torch.zeros(steps or horizon, len(self.levels)))

    def scores(self, batch: Batch, *, window: int | None = None) -> Tensor:
        """Return what is added to the anchor, *[B, H, 1 + Q]*: the point first.

        Args:
            batch: features "numbers", Padded *[B, C, 2 + K]*: value, 1 where it was observed, covariates; and
                with covariates "future", Padded *[B, H, K]*.
            window: patches after which the gradient is cut.
        """
        hidden = self.encode(batch, window=window).data[:, -1]
        read = [batch.features["numbers"].data[:, :, :2].flatten(1)]
        if "future" in batch.features:
            read.append(batch.features["future"].data.flatten(1))
        if "static" in batch.features:
            read.append(batch.features["static"].data.flatten(1))
        flat = self.linear(self.output_dropout(hidden)) + self.direct(torch.cat(read, 1))
        return flat.view(-1, self.horizon, self.num_outputs)

    def loss(self, batch: Batch, *, window: int | None = None) -> Tensor:
        """Return the loss of the point and of the interval, over the steps whose truth is known.

        Args:
            batch: its target holds the differences from the anchor, *[B, H]*; NaN: missing.
            window: see `scores`.
        """
        return self.loss_of(self.scores(batch, window=window), batch.target)

    def loss_of(self, scores: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of scores *[B, H, 1 + Q]* over the targets *[B, H]* that are not NaN."""
        is_known = ~target.isnan()
        said, truth = scores[is_known], target[is_known]
        if not len(truth):
            return scores.sum() * 0.0
        error = truth - said[:, 0]
        if self.interval == "gaussian":
            # The negative log-likelihood, without its constant.
            return (said[:, 1] + 0.5 * (error * torch.exp(-said[:, 1])).square()).mean()
        loss = error.square().mean() if self.point == "mse" else error.abs().mean()
        if self.interval == "quantiles":
            level = torch.tensor(self.levels, dtype=truth.dtype, device=truth.device)
            errors = truth.unsqueeze(1) - said[:, 1:]
            loss = loss + torch.maximum(level * errors, (level - 1) * errors).mean()
        return loss

    def quantiles_of(self, scores: Tensor) -> Tensor:
        """Return what scores *[B, H, 1 + Q]* say of each quantile, rising, not calibrated, *[B, H, Q]*."""
        if self.interval == "gaussian":
            level = torch.tensor(self.levels, dtype=scores.dtype, device=scores.device)
            reach = torch.special.ndtri(level) * torch.exp(scores[:, :, 1:])
            return scores[:, :, :1] + reach
        return scores[:, :, 1:].sort(dim=2).values
