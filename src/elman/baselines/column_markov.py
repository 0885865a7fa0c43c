"""COLUMN MARKOV: frames of zeros and ones, each column by itself, from its own last value."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.baselines.baseline import Baseline
from elman.errors import DataError

Frames = NDArray[np.float32]


class ColumnMarkov(Baseline):
    """Give each column of a frame the chance that it had in training after the value it has now.

        p(x_t = 1 | x_{t-1} = a) = (n(a, 1) + 1/2) / (n(a) + 1)

    Example:
        >>> fitted = ColumnMarkov.fit([np.array([[0], [1], [0], [1], [0]])])
        >>> round(fitted.predict([np.array([[0], [1]])])[0][0], 3)
        -0.182
    """

    name = "each column's last value"

    def __init__(self, after_zero: NDArray[np.float64], after_one: NDArray[np.float64]) -> None:
        self.after_zero = after_zero
        self.after_one = after_one

    @classmethod
    def fit(cls, sequences: Sequence[Frames]) -> "ColumnMarkov":
        """Count what followed what in each column of the sequences, *[T, I]*.

        Raises:
            DataError: no sequence has two frames.
        """
        long = [np.asarray(each, np.float64) for each in sequences if len(each) > 1]
        if not long:
            raise DataError("no sequence has two frames; a Markov chain needs at least one that follows.")
        before = np.concatenate([each[:-1] for each in long])
        after = np.concatenate([each[1:] for each in long])
        ones = before.sum(0)
        after_zero = (((1 - before) * after).sum(0) + 0.5) / (len(before) - ones + 1)
        return cls(after_zero, ((before * after).sum(0) + 0.5) / (ones + 1))

    @property
    def description(self) -> str:
        """What it does, in one line."""
        return f"each of {len(self.after_zero)} columns by itself, given its own value in the last frame"

    def predict(self, inputs: Sequence[Frames]) -> list[list[float]]:
        """Return the log-probability of every frame but the first of each sequence."""
        out = []
        for frames in inputs:
            chance = np.where(frames[:-1] > 0.5, self.after_one, self.after_zero)
            out.append(np.log(np.where(frames[1:] > 0.5, chance, 1 - chance)).sum(1).tolist())
        return out

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {
            "after_zero": torch.from_numpy(self.after_zero),
            "after_one": torch.from_numpy(self.after_one),
        }, {}

    @classmethod
    def _from_state(cls, tensors: dict[str, Tensor], info: dict[str, Any]) -> "ColumnMarkov":
        return cls(tensors["after_zero"].numpy(), tensors["after_one"].numpy())
