"""RIDGE: linear regression with a penalty, in closed form, on fixed features of a series, a step or a text.

Shape legend: N rows, F features, K targets, T time.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.baselines.bag_of_words import count_features
from elman.baselines.baseline import Baseline, check_fit

Floats = NDArray[np.float64]

PENALTIES = tuple(10.0**power for power in range(-3, 6))
"""Of standardised features, summed over rows; that with the least leave-one-out error is taken."""

MOST_NUMBERS = 20_000_000
"""Features times rows that are held at once: 160 MB."""

MOST_FEATURES = 2000
"""Beyond it neither words nor single steps are features: the closed form takes F^3 operations."""

STEPS_AROUND = 2
"""Steps on each side of one that its features hold."""


class Linear:
    """A fitted linear map from features to targets.

    Args:
        center, spread: of the features, *[F]*.
        weight: *[F, K]*, of standardised features.
        bias: *[K]*.
        penalty: the one that was chosen.
    """

    def __init__(self, center: Floats, spread: Floats, weight: Floats, bias: Floats, penalty: float) -> None:
        self.center, self.spread, self.weight, self.bias = center, spread, weight, bias
        self.penalty = penalty

    @classmethod
    def fit(cls, rows: Floats, targets: Floats) -> "Linear":
        """Return the map with the penalty whose leave-one-out error is least, over all targets together.

        ``w = (X'X + penalty I)^-1 X'y`` of centred X and y; ``e_i / (1 - h_i)`` is the error of row i left
        out, where h_i, its leverage, counts the mean too.

        Args:
            rows: X, *[N, F]*.
            targets: y, *[N, K]*, without NaN.

        Source: Hastie, Tibshirani and Friedman 2009, section 3.4.1 and equation 7.64.

        Example:
            >>> fitted = Linear.fit(np.arange(9.0)[:, None], 2 * np.arange(9.0)[:, None] + 1)
            >>> fitted.predict(np.array([[10.0]])).round(1).tolist()
            [[21.0]]
        """
        center, spread = rows.mean(0), rows.std(0)
        spread = np.where(rows.min(0) < rows.max(0), spread, 1.0)
        scaled = (rows - center) / spread
        bias = targets.mean(0)
        values, vectors = np.linalg.eigh(scaled.T @ scaled)
        values = np.maximum(values, 0.0)  # rounding may leave a zero below zero
        turned, wanted = scaled @ vectors, vectors.T @ (scaled.T @ (targets - bias))
        scale = np.where(targets.std(0) > 0, targets.std(0), 1.0)
        best, best_error = PENALTIES[-1], np.inf
        for penalty in PENALTIES:
            left = targets - bias - turned @ (wanted / (values + penalty)[:, None])
            leverage = np.square(turned) @ (1 / (values + penalty)) + 1 / len(rows)
            error = float(np.mean(np.square(left / scale / np.maximum(1 - leverage, 1e-9)[:, None])))
            if error < best_error:
                best, best_error = penalty, error
        weight = vectors @ (wanted / (values + best)[:, None])
        return cls(center, spread, weight, bias, best)

    def predict(self, rows: Floats) -> Floats:
        """Return the targets of rows *[N, F]*, *[N, K]*."""
        made: Floats = (rows - self.center) / self.spread @ self.weight + self.bias
        return made

    def to_tensors(self) -> dict[str, Tensor]:
        """Return the fitted numbers."""
        names = ("center", "spread", "weight", "bias")
        tensors = {name: torch.from_numpy(getattr(self, name).copy()) for name in names}
        return tensors | {"penalty": torch.tensor(self.penalty, dtype=torch.float64)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> "Linear":
        """Return the map that `to_tensors` gave."""
        center, spread, weight, bias = (
            tensors[name].numpy() for name in ("center", "spread", "weight", "bias")
        )
        return cls(center, spread, weight, bias, float(tensors["penalty"]))


class RidgeSeries(Baseline):
    """Ridge regression on the last step and the mean of a series, and on all its numbers where lengths agree.

    Example:
        >>> series = [np.full((3, 1), value, np.float32) for value in range(9)]
        >>> fitted = RidgeSeries.fit(series, [np.array([value * 2.0]) for value in range(9)])
        >>> fitted.predict([np.full((5, 1), 4, np.float32)])[0].round(1).tolist()
        [8.0]
    """

    name = "ridge regression"

    def __init__(self, linear: Linear, length: int | None) -> None:
        self.linear = linear
        self.length = length

    @classmethod
    def fit(cls, inputs: Sequence[NDArray[Any]], targets: Sequence[Floats]) -> "RidgeSeries":
        """Fit to series *[T, F]* and the numbers *[K]* of each."""
        check_fit(inputs, targets)
        lengths = {len(series) for series in inputs}
        length = lengths.pop() if len(lengths) == 1 else None
        width = (length or 0) * inputs[0].shape[1]
        if length == 0 or width > MOST_FEATURES or width * len(inputs) > MOST_NUMBERS:
            length = None
        rows = np.stack([_features(series, length) for series in inputs])
        return cls(Linear.fit(rows, np.stack(targets)), length)

    @property
    def description(self) -> str:
        """What it does, in one line."""
        if self.length == 1:
            what = f"{len(self.linear.center)} numbers"
        else:
            what = "the last step and the mean" + (f", and all {self.length} steps" if self.length else "")
        return f"ridge regression on {what} (penalty {self.linear.penalty:g}, by leaving one out)"

    def predict(self, inputs: Sequence[NDArray[Any]]) -> list[Floats]:
        """Return the numbers of each series, *[K]*; of another length it is cut or filled up at its start."""
        if not inputs:
            return []
        return list(self.linear.predict(np.stack([_features(series, self.length) for series in inputs])))

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return self.linear.to_tensors(), {"length": self.length}

    @classmethod
    def _from_state(cls, tensors: dict[str, Tensor], info: dict[str, Any]) -> "RidgeSeries":
        return cls(Linear.from_tensors(tensors), info["length"])


def _features(series: NDArray[Any], length: int | None) -> Floats:
    """Return last, mean, and where `length` is known that many steps: the last, zeros before them."""
    steps = np.asarray(series, np.float64)
    if length == 1 and len(steps) == 1:
        return steps[0]
    nothing = np.zeros(steps.shape[1])
    parts = [] if length == 1 else [steps[-1], steps.mean(0)] if len(steps) else [nothing, nothing]
    if length is not None:
        flat = np.zeros((length, steps.shape[1]))
        kept = steps[-length:]
        flat[length - len(kept) :] = kept
        parts.append(flat.ravel())
    return np.concatenate(parts)


class RidgeSteps(Baseline):
    """Ridge regression of each step's numbers on the step and two neighbours on each side.

    Example:
        >>> series = [np.arange(9, dtype=np.float32)[:, None]] * 3
        >>> fitted = RidgeSteps.fit(series, [3 * each.astype(np.float64) for each in series])
        >>> [len(row) for row in fitted.predict([series[0][:4]])]
        [4]
    """

    name = "ridge regression"

    def __init__(self, linear: Linear, every: int) -> None:
        self.linear = linear
        self.every = every

    @classmethod
    def fit(cls, inputs: Sequence[NDArray[Any]], targets: Sequence[Floats]) -> "RidgeSteps":
        """Fit to series *[T, F]* and the numbers *[T, K]* of each; steps without all numbers are left out."""
        check_fit(inputs, targets)
        steps = sum(map(len, inputs))
        every = -(-steps * inputs[0].shape[1] * (2 * STEPS_AROUND + 1) // MOST_NUMBERS)
        rows = np.concatenate([_with_neighbours(series)[::every] for series in inputs])
        wanted = np.concatenate([target[::every] for target in targets])
        is_known = ~np.isnan(wanted).any(1)
        if not is_known.any():  # of several targets no step has all: each one's mean must do
            rows, wanted = rows[:1], np.nanmean(np.concatenate(list(targets)), axis=0, keepdims=True)
            is_known = np.ones(1, bool)
        return cls(Linear.fit(rows[is_known], wanted[is_known]), every)

    @property
    def description(self) -> str:
        """What it does, in one line."""
        of = "" if self.every == 1 else f", fitted on every {self.every}th step"
        return f"ridge regression of each step on itself and {STEPS_AROUND} steps on each side{of}"

    def predict(self, inputs: Sequence[NDArray[Any]]) -> list[Floats]:
        """Return the numbers of each step of each series, *[T, K]*."""
        return [self.linear.predict(_with_neighbours(series)) for series in inputs]

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return self.linear.to_tensors(), {"every": self.every}

    @classmethod
    def _from_state(cls, tensors: dict[str, Tensor], info: dict[str, Any]) -> "RidgeSteps":
        return cls(Linear.from_tensors(tensors), info["every"])


def _with_neighbours(series: NDArray[Any]) -> Floats:
    """Return each step beside its neighbours, [T, 5F]; zeros beyond the ends."""
    steps = np.asarray(series, np.float64)
    around = np.pad(steps, ((STEPS_AROUND, STEPS_AROUND), (0, 0)))
    return np.concatenate([around[at : at + len(steps)] for at in range(2 * STEPS_AROUND + 1)], axis=1)


class RidgeBag(Baseline):
    """Ridge regression on which of the commonest words (or runs of characters) a text holds.

    A feature that stands n times has the value ``1 + ln n``, and each text's values are scaled to norm 1.

    Example:
        >>> texts = [["good", "film"], ["bad", "film"], ["good"], ["bad"]]
        >>> fitted = RidgeBag.fit(texts, [np.array([value]) for value in (5.0, 1.0, 5.0, 1.0)])
        >>> bool(fitted.predict([["good"]])[0] > 4)
        True
    """

    name = "ridge on a bag of words"

    def __init__(self, linear: Linear, features: list[str], characters: bool) -> None:
        self.linear = linear
        self.features = features
        self.index = {feature: place for place, feature in enumerate(features)}
        self.characters = characters

    @classmethod
    def fit(cls, inputs: Sequence[Sequence[str]], targets: Sequence[Floats]) -> "RidgeBag":
        """Fit to the tokens of each text and its numbers *[K]*."""
        check_fit(inputs, targets)
        characters = all(len(token) <= 1 for tokens in inputs for token in tokens)
        counts = [count_features(tokens, characters) for tokens in inputs]
        frequency = Counter(chain.from_iterable(counts))
        most = max(1, min(MOST_FEATURES, MOST_NUMBERS // len(inputs)))
        features = sorted(frequency, key=lambda feature: (-frequency[feature], feature))[:most] or [""]
        made = cls(Linear(np.zeros(0), np.zeros(0), np.zeros((0, 0)), np.zeros(0), 1.0), features, characters)
        made.linear = Linear.fit(made._bags(counts), np.stack(targets))
        return made

    @property
    def description(self) -> str:
        """What it does, in one line."""
        what = "runs of characters" if self.characters else "words in lower case"
        return f"ridge regression on the {len(self.features):,} commonest {what}"

    def predict(self, inputs: Sequence[Sequence[str]]) -> list[Floats]:
        """Return the numbers of each text, *[K]*, given by its tokens."""
        if not inputs:
            return []
        return list(
            self.linear.predict(self._bags([count_features(tokens, self.characters) for tokens in inputs]))
        )

    def _bags(self, counts: Sequence[Counter[str]]) -> Floats:
        bags = np.zeros((len(counts), len(self.features)))
        for row, count in zip(bags, counts, strict=True):
            for feature, number in count.items():
                if feature in self.index:
                    row[self.index[feature]] = 1 + np.log(number)
        norms = np.linalg.norm(bags, axis=1, keepdims=True)
        return bags / np.where(norms > 0, norms, 1.0)

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return self.linear.to_tensors(), {"features": self.features, "characters": self.characters}

    @classmethod
    def _from_state(cls, tensors: dict[str, Tensor], info: dict[str, Any]) -> "RidgeBag":
        return cls(Linear.from_tensors(tensors), info["features"], info["characters"])
