"""COUNTING: the two baselines that only count: the majority, and each word's most frequent tag."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from elman.baselines.baseline import Baseline, check_fit, most_frequent
from elman.errors import DataError


class Majority(Baseline):
    """Give every example the most frequent label of the training data.

    Example:
        >>> Majority.fit([[1], [2], [3]], ["ham", "spam", "ham"]).predict([[4]])
        ['ham']
    """

    name = "majority"

    def __init__(self, label: str, share: float) -> None:
        self.label = label
        self.share = share

    @classmethod
    def fit(cls, inputs: Sequence[Any], targets: Sequence[str]) -> "Majority":
        """Count the labels; of equally frequent ones the first in the alphabet is taken."""
        check_fit(inputs, targets)
        label = most_frequent(Counter(targets))
        return cls(label, sum(target == label for target in targets) / len(targets))

    @property
    def description(self) -> str:
        """What it does, in one line."""
        share = f"{100 * self.share:.1f} % of the training examples"
        return f"always {self.label!r}, the most frequent label ({share})"

    def predict(self, inputs: Sequence[Any]) -> list[str]:
        """Return the one label, for each input."""
        return [self.label] * len(inputs)

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {}, {"label": self.label, "share": self.share}

    @classmethod
    def _from_state(cls, tensors: dict[str, Tensor], info: dict[str, Any]) -> "Majority":
        return cls(info["label"], info["share"])


class MostFrequentTag(Baseline):
    """Give every word the tag that it had most often, and unknown words the most frequent tag of all.

    Example:
        >>> fitted = MostFrequentTag.fit([["the", "cat", "the"]], [["DET", "NOUN", "DET"]])
        >>> fitted.predict([["cat", "dog"]])
        [['NOUN', 'DET']]
    """

    name = "most frequent tag"

    def __init__(self, tags: dict[str, str], default: str) -> None:
        self.tags = tags
        self.default = default

    @classmethod
    def fit(cls, inputs: Sequence[Sequence[str]], targets: Sequence[Sequence[str]]) -> "MostFrequentTag":
        """Count the tags of each word, as it is written."""
        check_fit(inputs, targets)
        by_word: dict[str, Counter[str]] = {}
        for words, tags in zip(inputs, targets, strict=True):
            for word, tag in zip(words, tags, strict=True):
                by_word.setdefault(word, Counter())[tag] += 1
        every: Counter[str] = sum(by_word.values(), Counter())
        if not every:
            raise DataError("the training examples have no token; a tagger needs at least one.")
        return cls(
            {word: most_frequent(tags) for word, tags in sorted(by_word.items())}, most_frequent(every)
        )

    @property
    def description(self) -> str:
        """What it does, in one line."""
        words = f"{len(self.tags):,} words as written; unknown ones: {self.default}"
        return f"each word's most frequent tag ({words})"

    def predict(self, inputs: Sequence[Sequence[str]]) -> list[list[str]]:
        """Return one tag for each word of each input."""
        return [[self.tags.get(word, self.default) for word in words] for words in inputs]

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {}, {"tags": self.tags, "default": self.default}

    @classmethod
    def _from_state(cls, tensors: dict[str, Tensor], info: dict[str, Any]) -> "MostFrequentTag":
        return cls(dict(info["tags"]), info["default"])
