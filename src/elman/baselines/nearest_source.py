"""NEAREST SOURCE: the target of the training source that looks most alike; what memory alone can do."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from elman.baselines.baseline import Baseline, check_fit, most_frequent

LONGEST_RUN = 3
"""Sources are compared by their runs of one to so many tokens."""

MOST_CANDIDATES = 100
"""Training sources that are looked at for each answer: those that share its rarest runs."""


class NearestSource(Baseline):
    """Answer with the target of the training source that shares the largest part of its runs of tokens.

    ``likeness = shared runs / all runs of both`` (Jaccard), among candidates that share the rarest runs. A
    source that training had gets its most frequent target; one that shares nothing gets the most frequent
    target of all.

    Args:
        sources: distinct training sources, as tokens.
        targets: the most frequent target of each, as tokens.

    Example:
        >>> fitted = NearestSource.fit([["c", "a", "t"], ["d", "o"]], [["K", "AE", "T"], ["D", "UW"]])
        >>> fitted.predict([["b", "a", "t"], ["d", "o"]])
        [('K', 'AE', 'T'), ('D', 'UW')]
    """

    name = "nearest source"

    def __init__(self, sources: Sequence[Sequence[str]], targets: Sequence[Sequence[str]]) -> None:
        self.sources = [tuple(source) for source in sources]
        self.targets = [tuple(target) for target in targets]
        self._runs = [_runs(source) for source in self.sources]
        self._places: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for place, runs in enumerate(self._runs):
            for run in runs:
                self._places[run].append(place)
        self._known = {source: place for place, source in enumerate(self.sources)}
        self._commonest = most_frequent(Counter(self.targets))

    @property
    def description(self) -> str:
        """What it does and with what, in one line."""
        return (
            f"answers with the target of the most similar of {len(self.sources):,} training sources, by "
            f"shared runs of 1 to {LONGEST_RUN} tokens."
        )

    @classmethod
    def fit(cls, inputs: Sequence[Sequence[str]], targets: Sequence[Sequence[str]]) -> "NearestSource":
        """Remember each distinct source with its most frequent target."""
        check_fit(inputs, targets)
        counts: dict[tuple[str, ...], Counter[tuple[str, ...]]] = defaultdict(Counter)
        for source, target in zip(inputs, targets, strict=True):
            counts[tuple(source)][tuple(target)] += 1
        return cls(list(counts), [most_frequent(counter) for counter in counts.values()])

    def predict(self, inputs: Sequence[Any]) -> list[Any]:
        """Return the target for each source."""
        return [self._answer(tuple(source)) for source in inputs]

    def _answer(self, source: tuple[str, ...]) -> tuple[str, ...]:
        if source in self._known:
            return self.targets[self._known[source]]
        runs = _runs(source)
        candidates: dict[int, None] = {}
        rarest_first = sorted((run for run in runs if run in self._places), key=self._rarity)
        for run in rarest_first:
            candidates |= dict.fromkeys(self._places[run][:MOST_CANDIDATES])
            if len(candidates) >= MOST_CANDIDATES:
                break
        if not candidates:
            return self._commonest
        return self.targets[max(candidates, key=lambda place: self._likeness(runs, place))]

    def _rarity(self, run: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
        return len(self._places[run]), run

    def _likeness(self, runs: frozenset[tuple[str, ...]], place: int) -> tuple[float, int]:
        other = self._runs[place]
        shared = len(runs & other)
        return shared / (len(runs) + len(other) - shared), -place

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {}, {"sources": self.sources, "targets": self.targets}

    @classmethod
    def _from_state(cls, tensors: dict[str, Tensor], info: dict[str, Any]) -> "NearestSource":
        return cls(info["sources"], info["targets"])


def _runs(tokens: Sequence[str]) -> frozenset[tuple[str, ...]]:
    """Return the runs of tokens; its ends count as tokens, so that endings are told from middles."""
    marked = ("", *tokens, "")
    return frozenset(
        tuple(marked[start : start + length])
        for length in range(1, LONGEST_RUN + 1)
        for start in range(len(marked) - length + 1)
        if any(marked[start : start + length])
    )
