"""NEIGHBOURS: a missing word from counts of what stood between the same neighbours, for `fill`.

Words are numbers here, 0..K-1. Two more stand for what is no word to choose: `EDGE` (before the first and
after the last) and `UNKNOWN`; `GAP` is what is asked for.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.baselines.baseline import Baseline
from elman.errors import DataError

GAP, UNKNOWN, EDGE = -1, -2, -3

SOURCES = ("left", "right", "alone", "even")
ROUNDS = 20
"""Of expectation maximisation for four weights: they stand still long before."""

Ids = NDArray[np.int64]


class NeighbourCounts(Baseline):
    """Interpolate what stood after the left neighbour, before the right one, anywhere, and every word alike.

    ``p(w) = a p(w | left) + b p(w | right) + c p(w) + d / K``

    The weights maximise the likelihood of the training words, each with its own occurrence left out of the
    counts. Where a neighbour is a gap, or was never seen, the other parts share its weight.

    Source: Jelinek and Mercer 1980, Interpolated estimation of Markov source parameters; leaving one out:
    Ney, Essen and Kneser 1994.

    Example:
        >>> rows = [np.array([0, 1, 2]), np.array([0, 1, 2]), np.array([3, 2])]
        >>> fitted = NeighbourCounts.fit(rows, num_words=4)
        >>> [int(row.argmax()) for row in fitted.predict([np.array([0, GAP, 2])])[0]]
        [1]
    """

    name = "neighbour counts"

    def __init__(self, num_words: int, weights: Sequence[float], tables: dict[str, Tensor]) -> None:
        self.num_words = num_words
        self.weights = dict(zip(SOURCES, weights, strict=True))
        self.alone = tables["alone"].double().numpy() / max(1, int(tables["alone"].sum()))
        self.tables = tables
        self._pairs = {side: _Pairs(tables[f"{side}_keys"], tables[f"{side}_counts"], num_words)
                       for side in ("left", "right")}  # fmt: skip

    @classmethod
    def fit(cls, rows: Sequence[Ids], *, num_words: int) -> "NeighbourCounts":
        """Count pairs of neighbours, and weigh the parts.

        Args:
            rows: the words of each sentence; `UNKNOWN` where a word is not among the K.
            num_words: K.
        """
        sides = [(np.concatenate([[EDGE], row[:-1]]), row, np.concatenate([row[1:], [EDGE]])) for row in rows
                 if len(row)]  # fmt: skip
        if not sides:
            raise DataError(
                "the training examples have no token; a baseline of neighbours needs at least one."
            )
        left, word, right = (np.concatenate(parts) for parts in zip(*sides, strict=True))
        is_word = word >= 0
        left, word, right = left[is_word], word[is_word], right[is_word]
        tables = {"alone": torch.from_numpy(np.bincount(word, minlength=num_words))}
        for side, other in (("left", left), ("right", right)):
            keys, counts = np.unique(_keys(other, num_words) + word, return_counts=True)
            tables |= {f"{side}_keys": torch.from_numpy(keys), f"{side}_counts": torch.from_numpy(counts)}
        fitted = cls(num_words, (0.25,) * 4, tables)
        weights = _weigh(fitted._left_out(left, word, right))
        return cls(num_words, weights, tables)

    @property
    def description(self) -> str:
        """What it does, in one line."""
        shares = ", ".join(f"{name} {weight:.2f}" for name, weight in self.weights.items())
        return f"a missing word from counts beside its left and right neighbours ({shares})"

    @property
    def most_frequent(self) -> int:
        """The most frequent word: what one says who looks at nothing."""
        return int(self.alone.argmax())

    def predict(self, inputs: Sequence[Ids]) -> list[NDArray[np.float64]]:
        """Return, for each row of words, the probability of every word at each of its `GAP`s, [gaps, K]."""
        out = []
        for row in inputs:
            sides = np.concatenate([[EDGE], row, [EDGE]])
            places = np.flatnonzero(row == GAP)
            gaps = [self._at(int(sides[place]), int(sides[place + 2])) for place in places]
            out.append(np.stack(gaps) if gaps else np.zeros((0, self.num_words)))
        return out

    def _at(self, left: int, right: int) -> NDArray[np.float64]:
        """Return the probability of each word between two neighbours, [K]."""
        found = self.weights["alone"] * self.alone + self.weights["even"] / self.num_words
        used = self.weights["alone"] + self.weights["even"]
        for side, other in (("left", left), ("right", right)):
            words, counts = self._pairs[side].beside(other)
            if other != GAP and len(words):
                found[words] += self.weights[side] * counts / counts.sum()
                used += self.weights[side]
        return found / used

    def _left_out(self, left: Ids, word: Ids, right: Ids) -> NDArray[np.float64]:
        """Return each part's probability of each training word, its own occurrence not counted, [N, 4]."""
        parts = [self._pairs["left"].left_out(left, word), self._pairs["right"].left_out(right, word)]
        counts = self.tables["alone"].numpy()
        parts.append((counts[word] - 1) / max(1, len(word) - 1))
        return np.stack([*parts, np.full(len(word), 1 / self.num_words)], 1)

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return dict(self.tables), {"num_words": self.num_words, "weights": list(self.weights.values())}

    @classmethod
    def _from_state(cls, tensors: dict[str, Tensor], info: dict[str, Any]) -> "NeighbourCounts":
        return cls(info["num_words"], info["weights"], {k: v for k, v in tensors.items() if k != "info"})


class _Pairs:
    """How often each word stood beside each neighbour: sorted keys (neighbour, word), and counts."""

    def __init__(self, keys: Tensor, counts: Tensor, num_words: int) -> None:
        self.keys, self.counts, self.num_words = keys.numpy(), counts.numpy(), num_words

    def beside(self, other: int) -> tuple[Ids, Ids]:
        """Return the words that stood beside a neighbour, and how often each did."""
        start = int(_keys(np.array([other]), self.num_words)[0])
        first, last = np.searchsorted(self.keys, [start, start + self.num_words])
        return self.keys[first:last] - start, self.counts[first:last]

    def left_out(self, other: Ids, word: Ids) -> NDArray[np.float64]:
        """Return the share of each word among those beside its neighbour, itself not counted."""
        keys = _keys(other, self.num_words)
        neighbours, place = np.unique(keys, return_inverse=True)
        totals = np.add.reduceat(self.counts, np.searchsorted(self.keys, neighbours))[place]
        counts = self.counts[np.searchsorted(self.keys, keys + word)]
        return (counts - 1) / np.maximum(totals - 1, 1)


def _keys(other: Ids, num_words: int) -> Ids:
    """Return where the pairs of each neighbour begin; those that are no words come after all words."""
    return np.where(other < 0, num_words - other, other) * num_words


def _weigh(parts: NDArray[np.float64]) -> list[float]:
    """Return the weights of a mixture that make what it gave most likely, by expectation maximisation."""
    weights = np.full(parts.shape[1], 1 / parts.shape[1])
    for _ in range(ROUNDS):
        shares = parts * weights
        weights = (shares / shares.sum(1, keepdims=True)).mean(0)
    return [float(weight) for weight in weights]
