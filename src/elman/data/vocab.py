"""VOCAB: tokens or labels, and their numbers."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.config import unknown_name
from elman.errors import DataError

PAD, UNKNOWN = "<pad>", "<unk>"
TOKEN_SPECIALS = (PAD, UNKNOWN)


class Vocab:
    """A list of distinct tokens; a token's id is its place in the list.

    With the default special symbols, id 0 is padding and id 1 stands for every unknown token. A vocabulary of
    labels has no special symbols and knows nothing unknown.

    Args:
        tokens: special symbols first.
        counts: how often each token occurred in training; 0 for special symbols.
        specials: the special symbols.

    Example:
        >>> vocab = Vocab.build("to be or not to be".split())
        >>> vocab.tokens
        ['<pad>', '<unk>', 'be', 'to', 'not', 'or']
        >>> vocab.ids(["to", "see"]).tolist()
        [3, 1]
    """

    def __init__(
        self, tokens: Sequence[str], counts: Sequence[int], specials: Sequence[str] = TOKEN_SPECIALS
    ) -> None:
        self.tokens = list(tokens)
        self.counts = list(counts)
        self.specials = tuple(specials)
        self._check()
        self._index = {token: index for index, token in enumerate(self.tokens)}
        # A text that holds the characters "<pad>" must not turn into padding.
        self._ordinary = {token: index for token, index in self._index.items() if token not in self.specials}
        self.pad = self._index[PAD] if PAD in self.specials else None
        self.unknown = self._index[UNKNOWN] if UNKNOWN in self.specials else None

    @classmethod
    def build(
        cls,
        tokens: Iterable[str],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        specials: Sequence[str] = TOKEN_SPECIALS,
    ) -> "Vocab":
        """Return the vocabulary of the tokens: special symbols, then by frequency, ties in order of text.

        Args:
            tokens: every occurrence of every token.
            min_count: leave rarer tokens out.
            max_size: keep at most so many tokens, special symbols not counted.
            specials: special symbols; () for labels.
        """
        counted = Counter(tokens)
        for symbol in specials:
            counted.pop(symbol, None)
        ranked = sorted(((-count, token) for token, count in counted.items() if count >= min_count))[
            :max_size
        ]
        return cls(
            [*specials, *(token for _, token in ranked)],
            [*(0 for _ in specials), *(-count for count, _ in ranked)],
            specials,
        )

    def _check(self) -> None:
        if not all(isinstance(token, str) for token in self.tokens):
            raise DataError("vocabulary: a token is not a string; the list of tokens is damaged.")
        if len(self.counts) != len(self.tokens):
            raise DataError(
                f"vocabulary: {len(self.counts)} counts stand beside {len(self.tokens)} tokens; "
                "expected as many."
            )
        if not all(type(count) is int and count >= 0 for count in self.counts):
            raise DataError("vocabulary: a count is not a whole number of 0 or more.")
        if tuple(self.tokens[: len(self.specials)]) != self.specials:
            raise DataError(
                f"vocabulary: does not begin with its special symbols, {', '.join(map(str, self.specials))}."
            )
        if len(set(self.tokens)) != len(self.tokens):
            twice = next(token for token, count in Counter(self.tokens).items() if count > 1)
            raise DataError(f"vocabulary: {twice!r} stands in it twice; tokens must differ.")

    def id(self, token: str) -> int:
        """Return a token's id, or that of the unknown token.

        Raises:
            DataError: the token is not known and the vocabulary has no unknown token.
        """
        found = self._index.get(token, self.unknown)
        if found is None:
            raise DataError(
                f"{unknown_name('label', token, self.tokens)} Only labels that training saw can be used."
            )
        return found

    def ids(self, tokens: Sequence[str], *, where: str = "") -> NDArray[np.int64]:
        """Return the ids of tokens, int64; a token that looks like a special symbol is an unknown one.

        Args:
            tokens: tokens or labels.
            where: place of the example, for messages.

        Raises:
            DataError: a token is not known and the vocabulary has no unknown token.
        """
        get, unknown = self._ordinary.get, self.unknown
        if unknown is not None:
            return np.array([get(token, unknown) for token in tokens], np.int64)
        found = [get(token) for token in tokens]
        if None in found:
            bad = unknown_name("label", tokens[found.index(None)], self.tokens)
            raise DataError(
                f"{where + ': ' if where else ''}{bad} Only labels that training saw can be used."
            )
        return np.array(found, np.int64)

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocab) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"Vocab({len(self)} tokens: {', '.join(map(repr, self.tokens[:5]))}{', ...' * (len(self) > 5)})"
        )

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {"tokens": self.tokens, "counts": self.counts, "specials": list(self.specials)}

    @classmethod
    def from_json(cls, value: Any) -> "Vocab":
        """Return the vocabulary that `to_json` described.

        Raises:
            DataError: the value is damaged; what is wrong is named.
        """
        keys = ("tokens", "counts", "specials")
        if not isinstance(value, dict) or set(value) != set(keys):
            raise DataError(
                f"vocabulary: an object with {', '.join(keys)} was expected. Is the file damaged?"
            )
        if not all(isinstance(value[key], list) for key in keys):
            raise DataError("vocabulary: tokens, counts and specials must be lists. Is the file damaged?")
        if not all(isinstance(symbol, str) for symbol in value["specials"]):
            raise DataError("vocabulary: a special symbol is not a string. Is the file damaged?")
        return cls(value["tokens"], value["counts"], value["specials"])
