"""BAG OF WORDS: logistic regression on which words or runs of characters a text holds.

Shape legend: N texts, V features, K labels.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from elman.baselines.baseline import Baseline, check_fit, label_ids
from elman.baselines.logistic_regression import SparseRows, fit_logistic_regression

LONGEST_RUN = 3
"""Characters of the longest run. This, the weighting and the penalty were chosen on held-out training data of
four sets: pairs of words and weighing runs by rarity cost accuracy there, and longer runs gain little."""
BEGIN, END = "\x02", "\x03"
"""Stand at both ends of a text for runs of characters: how a name ends says more than what is inside it."""

MAX_WEIGHTS = 5_000_000
"""Features times labels; beyond it only the most frequent features are kept, and the description says so."""


class BagOfWords(Baseline):
    """Logistic regression on which words (or runs of characters) a text holds, whatever their order.

    A feature is a word in lower case (words of one character count), or a run of up to three characters as
    written, the two ends of the text counting as characters. A word that stands n times in a text, and in df
    of N training texts, has the value ``(1 + ln n) * (1 + ln((1 + N) / (1 + df)))``, a run of characters
    ``1 + ln n``; each text's values are then scaled to norm 1. Features are sorted.

    Source: the weighting is that of scikit-learn's TfidfVectorizer(sublinear_tf=True, use_idf=...).

    Example:
        >>> texts, labels = [["free", "cash"], ["see", "you"], ["cash", "now"]], ["spam", "ham", "spam"]
        >>> BagOfWords.fit(texts, labels).predict([["you"], ["cash"]])
        ['ham', 'spam']
    """

    penalty: ClassVar[float] = 0.1
    """1/C: the weights' share in what is minimised."""

    def __init__(
        self,
        features: list[str],
        rarity: Tensor,
        weight: Tensor,
        bias: Tensor,
        labels: list[str],
        *,
        characters: bool,
        num_dropped: int = 0,
    ) -> None:
        self.features = features
        self.index = {feature: place for place, feature in enumerate(features)}
        self.rarity = rarity
        self.weight = weight
        self.bias = bias
        self.labels = labels
        self.characters = characters
        self.num_dropped = num_dropped
        self.name = "bag of characters" if characters else "bag of words"

    @classmethod
    def fit(
        cls, inputs: Sequence[Sequence[str]], targets: Sequence[str], *, characters: bool | None = None
    ) -> "BagOfWords":
        """Collect the features and fit the regression.

        Args:
            inputs: the tokens of each text.
            targets: its label.
            characters: whether tokens are characters; None: they are if none is longer than one.
        """
        check_fit(inputs, targets)
        if characters is None:
            characters = all(len(token) <= 1 for tokens in inputs for token in tokens)
        labels, classes = label_ids(targets)
        counts = [count_features(tokens, characters) for tokens in inputs]
        frequency = Counter(chain.from_iterable(counts))
        kept = max(1, MAX_WEIGHTS // len(labels))
        features = sorted(sorted(frequency, key=lambda feature: (-frequency[feature], feature))[:kept])
        how_many = torch.tensor([frequency[feature] for feature in features], dtype=torch.float32)
        rarity = 1 + torch.log((1 + len(inputs)) / (1 + how_many))
        rarity = torch.ones_like(rarity) if characters else rarity
        made = cls(
            features,
            rarity,
            torch.zeros(len(features), len(labels)),
            torch.zeros(len(labels)),
            labels,
            characters=characters,
            num_dropped=len(frequency) - len(features),
        )
        made.weight, made.bias = fit_logistic_regression(
            made._bags(counts), classes, len(labels), penalty=cls.penalty
        )
        return made

    @property
    def description(self) -> str:
        """What it does, in one line."""
        number = f"{len(self.features):,} features"
        if self.num_dropped:
            number = f"the {number} most frequent of {len(self.features) + self.num_dropped:,}"
        if self.characters:
            return f"logistic regression on runs of 1 to {LONGEST_RUN} characters, ends included ({number})"
        return f"logistic regression on tf-idf of words in lower case, one-character words kept ({number})"

    def predict(self, inputs: Sequence[Sequence[str]]) -> list[str]:
        """Return the most probable label of each text, given by its tokens."""
        if not inputs:
            return []
        bags = self._bags([count_features(tokens, self.characters) for tokens in inputs])
        return [self.labels[best] for best in (bags.times(self.weight) + self.bias).argmax(1).tolist()]

    def _bags(self, counts: Sequence[Counter[str]]) -> SparseRows:
        known = [[(self.index[name], n) for name, n in row.items() if name in self.index] for row in counts]
        lengths = np.array([len(row) for row in known], np.int64)
        pairs = np.array([pair for row in known for pair in row], np.int64).reshape(-1, 2)
        ids = torch.from_numpy(pairs[:, 0].copy())
        values = (1 + torch.log(torch.from_numpy(pairs[:, 1].copy()).float())) * self.rarity[ids]
        rows = torch.repeat_interleave(torch.from_numpy(lengths))
        norm = torch.zeros(len(known)).index_add_(0, rows, values**2).sqrt()
        return SparseRows(rows, ids, values / norm[rows], (len(known), len(self.features)))

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {"rarity": self.rarity, "weight": self.weight, "bias": self.bias}
        names = ("features", "labels", "characters", "num_dropped")
        return tensors, {name: getattr(self, name) for name in names}

    @classmethod
    def _from_state(cls, tensors: dict[str, Tensor], info: dict[str, Any]) -> "BagOfWords":
        return cls(
            info["features"],
            tensors["rarity"],
            tensors["weight"],
            tensors["bias"],
            info["labels"],
            characters=info["characters"],
            num_dropped=info["num_dropped"],
        )


def count_features(tokens: Sequence[str], characters: bool) -> "Counter[str]":
    """Return how often each run of tokens stands in a text, as `BagOfWords` describes them.

    Example:
        >>> count_features(["A", "b", "a"], False)
        Counter({'a': 2, 'b': 1})
    """
    if not characters:
        return Counter(token.lower() for token in tokens)
    steps = [BEGIN, *tokens, END]
    return Counter(chain.from_iterable(_runs(steps, length) for length in range(1, LONGEST_RUN + 1)))


def _runs(steps: Sequence[str], length: int) -> Iterator[str]:
    return map("".join, zip(*(steps[start:] for start in range(length)), strict=False))
