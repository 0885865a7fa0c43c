"""MEANS: the two baselines of numbers that only average: the mean of all, and the mean of each token's steps.

Shape legend: T time, K targets.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.baselines.baseline import Baseline, check_fit

Floats = NDArray[np.float64]


class Mean(Baseline):
    """Give every sequence, or every step, the mean of the training targets.

    Example:
        >>> Mean.fit(["a", "b"], [np.array([1.0]), np.array([2.0])]).predict(["c"])[0].tolist()
        [1.5]
    """

    name = "mean"

    def __init__(self, mean: Floats, is_per_step: bool = False) -> None:
        self.mean = mean
        self.is_per_step = is_per_step

    @classmethod
    def fit(cls, inputs: Sequence[Any], targets: Sequence[Floats], *, is_per_step: bool = False) -> "Mean":
        """Average targets *[K]*, or those of all steps *[T, K]* that are known."""
        check_fit(inputs, targets)
        rows = np.concatenate([np.atleast_2d(target) for target in targets])
        return cls(np.nanmean(rows, axis=0), is_per_step)

    @property
    def description(self) -> str:
        """What it does, in one line."""
        return f"always the mean of the training targets ({', '.join(f'{value:g}' for value in self.mean)})"

    def predict(self, inputs: Sequence[Any]) -> list[Floats]:
        """Return the mean for each input; for each of its steps where targets are those of steps."""
        if self.is_per_step:
            return [np.broadcast_to(self.mean, (len(steps), len(self.mean))) for steps in inputs]
        return [self.mean] * len(inputs)

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {"mean": torch.from_numpy(self.mean.copy())}, {"is_per_step": self.is_per_step}

    @classmethod
    def _from_state(cls, tensors: dict[str, Tensor], info: dict[str, Any]) -> "Mean":
        return cls(tensors["mean"].numpy(), info["is_per_step"])


class TokenMeans(Baseline):
    """Give every token the mean of the numbers that it had, and unknown ones the mean of all.

    Example:
        >>> rows = [np.array([[1.0], [5.0]]), np.array([[3.0]])]
        >>> fitted = TokenMeans.fit([["a", "b"], ["a"]], rows)
        >>> fitted.predict([["a", "c"]])[0].tolist()
        [[2.0], [3.0]]
    """

    name = "token means"

    def __init__(self, tokens: list[str], means: Floats, overall: Floats) -> None:
        self.tokens = tokens
        self.means = means
        self.overall = overall
        self.index = {token: place for place, token in enumerate(tokens)}

    @classmethod
    def fit(cls, inputs: Sequence[Sequence[str]], targets: Sequence[Floats]) -> "TokenMeans":
        """Average the known numbers *[T, K]* of each token as it is written."""
        check_fit(inputs, targets)
        rows = np.concatenate(list(targets))
        overall = np.nanmean(rows, axis=0)
        tokens = sorted({token for row in inputs for token in row})
        index = {token: place for place, token in enumerate(tokens)}
        places = np.array([index[token] for row in inputs for token in row], np.int64)
        is_known = ~np.isnan(rows)
        sums, counts = np.zeros((len(tokens), rows.shape[1])), np.zeros((len(tokens), rows.shape[1]))
        np.add.at(sums, places, np.where(is_known, rows, 0.0))
        np.add.at(counts, places, is_known)
        means = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
        return cls(tokens, means, overall)

    @property
    def description(self) -> str:
        """What it does, in one line."""
        return f"the mean number of each token ({len(self.tokens):,} as written; others: the mean of all)"

    def predict(self, inputs: Sequence[Sequence[str]]) -> list[Floats]:
        """Return the numbers of each token of each input, *[T, K]*."""
        return [
            np.array(
                [self.means[self.index[token]] if token in self.index else self.overall for token in row]
            ).reshape(len(row), len(self.overall))
            for row in inputs
        ]

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {"means": torch.from_numpy(self.means), "overall": torch.from_numpy(self.overall)}
        return tensors, {"tokens": self.tokens}

    @classmethod
    def _from_state(cls, tensors: dict[str, Tensor], info: dict[str, Any]) -> "TokenMeans":
        return cls(info["tokens"], tensors["means"].numpy(), tensors["overall"].numpy())
