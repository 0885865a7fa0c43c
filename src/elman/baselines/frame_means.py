"""FRAME MEANS: logistic regression on the mean of each column of a series.

Shape legend: T time, I columns.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.baselines.baseline import Baseline, check_fit, label_ids
from elman.baselines.logistic_regression import DenseRows, fit_logistic_regression


class FrameMeans(Baseline):
    """Logistic regression on the mean of each column of a series, whatever the order of its steps.

    The means are brought to mean 0 and deviation 1 over the training series; a series without steps counts as
    an average one.

    Example:
        >>> series = [np.full((3, 1), value, np.float32) for value in (-2, -1, 1, 2)]
        >>> FrameMeans.fit(series, ["low", "low", "high", "high"]).predict([np.ones((9, 1), np.float32)])
        ['high']
    """

    name = "frame means"
    penalty: ClassVar[float] = 1.0
    """1/C, as scikit-learn's LogisticRegression has it by default."""

    def __init__(
        self, center: Tensor, spread: Tensor, weight: Tensor, bias: Tensor, labels: list[str]
    ) -> None:
        self.center = center
        self.spread = spread
        self.weight = weight
        self.bias = bias
        self.labels = labels

    @classmethod
    def fit(cls, inputs: Sequence[NDArray[np.float32]], targets: Sequence[str]) -> "FrameMeans":
        """Measure the means and fit the regression."""
        check_fit(inputs, targets)
        labels, classes = label_ids(targets)
        means = torch.stack(
            [_mean_frame(series) for series in inputs if len(series)] or [_mean_frame(inputs[0])]
        )
        center, spread = means.mean(0), means.std(0, correction=0)
        spread = torch.where(spread > 0, spread, 1.0)
        made = cls(center, spread, torch.zeros(len(center), len(labels)), torch.zeros(len(labels)), labels)
        rows = DenseRows(made._standardised(inputs))
        made.weight, made.bias = fit_logistic_regression(rows, classes, len(labels), penalty=cls.penalty)
        return made

    @property
    def description(self) -> str:
        """What it does, in one line."""
        return (
            f"logistic regression on the mean of each of {len(self.center)} columns over time, standardised"
        )

    def predict(self, inputs: Sequence[NDArray[np.float32]]) -> list[str]:
        """Return the most probable label of each series, *[T, I]*."""
        if not inputs:
            return []
        scores = self._standardised(inputs) @ self.weight + self.bias
        return [self.labels[best] for best in scores.argmax(1).tolist()]

    def _standardised(self, inputs: Sequence[NDArray[np.float32]]) -> Tensor:
        means = [_mean_frame(series) if len(series) else self.center for series in inputs]
        return (torch.stack(means) - self.center) / self.spread

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        names = ("center", "spread", "weight", "bias")
        return {name: getattr(self, name) for name in names}, {"labels": self.labels}

    @classmethod
    def _from_state(cls, tensors: dict[str, Tensor], info: dict[str, Any]) -> "FrameMeans":
        return cls(tensors["center"], tensors["spread"], tensors["weight"], tensors["bias"], info["labels"])


def _mean_frame(series: NDArray[np.float32]) -> Tensor:
    if len(series) == 0:
        return torch.zeros(series.shape[1])
    return torch.from_numpy(np.asarray(series, np.float64).mean(0).astype(np.float32))
