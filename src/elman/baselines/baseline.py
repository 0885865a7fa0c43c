"""BASELINE: a simple method that is fitted in seconds, asked, and kept as plain tensors."""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from elman.errors import DataError

Key = TypeVar("Key", str, tuple[str, ...])


class Baseline(ABC):
    """A simple method (abstract).

    Attributes:
        name: two or three words, for tables.
        description: what it does and with what, in one line.
    """

    name: str

    @property
    @abstractmethod
    def description(self) -> str:
        """What it does and with what, in one line."""

    @abstractmethod
    def predict(self, inputs: Sequence[Any]) -> list[Any]:
        """Return the answer for each input, in the same order."""

    @abstractmethod
    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Give the fitted numbers, and everything else as JSON."""

    @classmethod
    @abstractmethod
    def _from_state(cls, tensors: dict[str, Tensor], info: dict[str, Any]) -> "Baseline":
        """Make it from what `_state` gave."""

    def to_tensors(self) -> dict[str, Tensor]:
        """Return everything that was fitted; `from_tensors` makes the baseline from it."""
        tensors, info = self._state()
        text = json.dumps({"baseline": type(self).__name__} | info).encode("ascii")
        return tensors | {"info": torch.frombuffer(bytearray(text), dtype=torch.uint8)}


def check_fit(inputs: Sequence[Any], targets: Sequence[Any]) -> None:
    """Raise DataError unless there is one target for each of at least one input."""
    if len(inputs) != len(targets) or not inputs:
        raise DataError(
            f"{len(inputs)} inputs and {len(targets)} targets; "
            "a baseline needs at least one, and as many of each."
        )


def most_frequent(counts: "Counter[Key]") -> Key:
    """Return the most frequent key; of equally frequent ones the first in the alphabet.

    Example:
        >>> most_frequent(Counter("abb" + "a"))
        'a'
    """
    return min(counts, key=lambda key: (-counts[key], key))


def label_ids(targets: Sequence[str]) -> tuple[list[str], Tensor]:
    """Return the sorted distinct labels, and the place of each target among them, int64.

    Example:
        >>> label_ids(["no", "yes", "no"])
        (['no', 'yes'], tensor([0, 1, 0]))
    """
    labels = sorted(set(targets))
    index = {label: place for place, label in enumerate(labels)}
    return labels, torch.tensor([index[target] for target in targets])
