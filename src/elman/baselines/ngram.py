"""N-GRAM: what comes next, from how often it came after the last few tokens; the rival of a language model.

Shape legend: T tokens of a sequence, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.baselines.baseline import Baseline
from elman.errors import DataError

Ids = NDArray[np.int64]

LARGEST_CODE = 2**62
"""n tokens are written as one whole number of base V, which must fit int64."""

SMALLEST_DISCOUNT, LARGEST_DISCOUNT = 0.1, 0.95
"""Where counts of one or two are missing, their formula gives none or all: then nothing would be unseen."""


@dataclass(frozen=True)
class _Level:
    """Counts of the n-grams of one length, sorted; a gram is its context times V, plus its last token."""

    grams: Ids
    counts: Ids
    contexts: Ids
    totals: Ids  # of each context, the sum of its counts
    kinds: Ids  # and how many tokens follow it
    discount: float


class NGram(Baseline):
    """Interpolated Kneser-Ney: counts, discounted, and the rest shared out by the next shorter context.

        p(w | h) = (max(c(h w) - D, 0) + D N(h) p(w | h')) / c(h)

    c are counts for the longest context h, and for shorter ones the number of different tokens seen before
    (h w); N(h) is how many tokens follow h, h' is h without its oldest token, and below the empty context all
    tokens are alike. D = n1 / (n1 + 2 n2), of the grams counted once and twice, for each length.

    Args:
        levels: what `fit` counted, from single tokens to n.
        num_tokens: V.

    Source: Kneser and Ney 1995; Chen and Goodman 1999, sections 2.7 and 3 (one discount for each length).

    Example:
        >>> fitted = NGram.fit([np.array([2, 3] * 50)], num_tokens=4, order=3)
        >>> fitted.next_probabilities([2, 3, 2]).round(2).tolist()
        [0.0, 0.0, 0.0, 1.0]
    """

    def __init__(self, levels: Sequence[_Level], num_tokens: int) -> None:
        self.levels = list(levels)
        self.num_tokens = num_tokens
        self.name = f"{len(self.levels)}-gram"

    @classmethod
    def fit(cls, sequences: Sequence[Ids], *, num_tokens: int, order: int) -> "NGram":
        """Count n-grams.

        Args:
            sequences: ids, 0..V-1; the first of each is only read.
            num_tokens: V.
            order: n; lowered where the vocabulary is so large that n tokens do not fit one whole number.

        Raises:
            DataError: no sequence has two tokens.
        """
        while order > 1 and num_tokens**order >= LARGEST_CODE:
            order -= 1
        parts = [_contexts(np.asarray(each, np.int64), num_tokens, order) for each in sequences]
        codes = np.concatenate([part for part in parts if len(part)] or [np.zeros(0, np.int64)])
        if not len(codes):
            raise DataError("no sequence has two tokens; an n-gram model needs at least one that follows.")
        grams, counts = np.unique(codes, return_counts=True)
        levels = [_level(grams, counts, num_tokens)]
        for length in range(order - 1, 0, -1):  # of each gram, how many tokens were seen before it
            shorter = grams % num_tokens**length
            grams, counts = np.unique(shorter, return_counts=True)
            levels.append(_level(grams, counts, num_tokens))
        return cls(levels[::-1], num_tokens)

    @property
    def description(self) -> str:
        """What it does, in one line."""
        order = len(self.levels)
        seen = len(self.levels[-1].grams)
        return f"interpolated Kneser-Ney on the last {order - 1} tokens ({seen:,} different {order}-grams)"

    def predict(self, inputs: Sequence[Ids]) -> list[list[float]]:
        """Return the log-probability of every token but the first of each sequence."""
        return [self._log_probabilities(np.asarray(each, np.int64)).tolist() for each in inputs]

    def _log_probabilities(self, sequence: Ids) -> NDArray[np.float64]:
        whole = _contexts(sequence, self.num_tokens, len(self.levels))
        p = np.full(len(whole), 1 / self.num_tokens)
        for length, level in enumerate(self.levels, 1):
            grams = whole % self.num_tokens**length
            at, is_known = _find(level.contexts, grams // self.num_tokens)
            place, is_seen = _find(level.grams, grams)
            counts = np.where(is_seen, level.counts[place], 0)
            kept = np.maximum(counts - level.discount, 0) + level.discount * level.kinds[at] * p
            p = np.where(is_known, kept / level.totals[at], p)
        return np.log(p)

    def next_probabilities(self, history: Sequence[int]) -> NDArray[np.float64]:
        """Return how probable each token is after the given ones, [V]."""
        p = np.full(self.num_tokens, 1 / self.num_tokens)
        padded = [0] * len(self.levels) + list(history)
        context = 0
        for length, level in enumerate(self.levels, 1):
            if length > 1:
                context += padded[1 - length] * self.num_tokens ** (length - 2)
            at, is_known = _find(level.contexts, np.array([context]))
            if is_known[0]:
                low, high = np.searchsorted(
                    level.grams, [context * self.num_tokens, (context + 1) * self.num_tokens]
                )
                counts = np.zeros(self.num_tokens)
                counts[level.grams[low:high] % self.num_tokens] = level.counts[low:high]
                shared = level.discount * level.kinds[at[0]] * p
                p = (np.maximum(counts - level.discount, 0) + shared) / level.totals[at[0]]
        return p

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {}
        for length, level in enumerate(self.levels, 1):
            tensors[f"grams/{length}"] = torch.from_numpy(level.grams)
            tensors[f"counts/{length}"] = torch.from_numpy(level.counts)
        return tensors, {"num_tokens": self.num_tokens, "order": len(self.levels)}

    @classmethod
    def _from_state(cls, tensors: dict[str, Tensor], info: dict[str, Any]) -> "NGram":
        found = [
            _level(
                tensors[f"grams/{length}"].numpy(), tensors[f"counts/{length}"].numpy(), info["num_tokens"]
            )
            for length in range(1, info["order"] + 1)
        ]
        return cls(found, info["num_tokens"])


def _contexts(sequence: Ids, num_tokens: int, order: int) -> Ids:
    """Return each token but the first with the n - 1 before it as one number, the oldest token first.

    Before the first token stand zeros, the boundary.
    """
    codes = np.zeros(max(0, len(sequence) - 1), np.int64)
    for back in range(order - 1, 0, -1):
        lagged = np.zeros_like(codes)
        lagged[back - 1 :] = sequence[: max(0, len(sequence) - back)]
        codes = codes * num_tokens + lagged
    return codes * num_tokens + sequence[1:]


def _level(grams: Ids, counts: NDArray[Any], num_tokens: int) -> _Level:
    counts = counts.astype(np.int64)
    contexts, starts = np.unique(grams // num_tokens, return_index=True)
    kinds = np.diff(np.append(starts, len(grams)))
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    discount = once / (once + 2 * twice) if once else 0.0
    discount = min(max(discount, SMALLEST_DISCOUNT), LARGEST_DISCOUNT)
    return _Level(grams, counts, contexts, np.add.reduceat(counts, starts), kinds, discount)


def _find(table: Ids, wanted: Ids) -> tuple[Ids, NDArray[np.bool_]]:
    """Return the place of each number in a sorted table, and whether it is there."""
    places = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
    return places, table[places] == wanted
