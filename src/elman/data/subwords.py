"""SUBWORDS: frequent pieces of words as tokens, learned from the training text alone (byte pair encoding).

A text is taken as its UTF-8 bytes, each written as one visible character (a space as "Ġ"), and the pairs that
stand together most often are joined again and again. So every text has pieces, whatever it holds, and joining
them gives it back exactly.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from elman.errors import DataError, MissingExtraError

LARGE, SMALL = 4000, 500
"""Pieces for large data, and the fewest for small data."""

TEXTS_A_PIECE = 5
"""Texts for each piece, in between: a piece must be met often to be learned."""

MIN_PAIRS = 2
"""How often a pair must occur to become a piece."""


class Subwords:
    """Cut texts into learned pieces, and join pieces to texts.

    Args:
        stored: what `to_json` gave.

    Raises:
        DataError: that is damaged.
        MissingExtraError: tokenizers is not installed.

    Source: Sennrich, Haddow and Birch 2016, Neural machine translation of rare words with subword units; over
    bytes as Radford et al. 2019, section 2.2.

    Example:
        >>> subwords = Subwords.train(["low lower lowest", "slow slower"] * 3, size=40)
        >>> subwords.join(subwords.cut("slowly, Zoë")) == "slowly, Zoë"
        True
    """

    def __init__(self, stored: Any) -> None:
        self._stored = stored
        try:
            self._tokenizer = _tokenizers().Tokenizer.from_str(json.dumps(stored))
        except MissingExtraError:
            raise
        except Exception as error:  # the package raises bare Exceptions
            raise DataError(
                f"vocabulary: the subwords cannot be read ({error}). Is the file damaged?"
            ) from None

    @classmethod
    def train(cls, texts: Iterable[str], *, size: int) -> "Subwords":
        """Learn the pieces of texts; the same texts give the same pieces.

        Args:
            texts: the training texts.
            size: pieces at most, single bytes among them.

        Raises:
            MissingExtraError: tokenizers is not installed.
        """
        package = _tokenizers()
        tokenizer = package.Tokenizer(package.models.BPE())
        tokenizer.pre_tokenizer = package.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = package.decoders.ByteLevel()
        trainer = package.trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=MIN_PAIRS,
            initial_alphabet=sorted(package.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(iter(texts), trainer)
        return cls(json.loads(tokenizer.to_str()))

    def cut(self, text: str) -> list[str]:
        """Return the pieces of a text, in order."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).tokens)

    def join(self, pieces: Sequence[str]) -> str:
        """Return the text of pieces; bytes that are no UTF-8, which a model may write, become "\\ufffd".

        What is no piece, from a list of tokens that somebody made, stands as it is.
        """
        text, run = "", list[int]()
        for piece in pieces:
            if piece in self._ids:
                run.append(self._ids[piece])
            else:
                text += self._decode(run) + piece
                run = []
        return text + self._decode(run)

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=False))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return dict(self._tokenizer.get_vocab())

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    def to_json(self) -> Any:
        """Return what the constructor takes: plain JSON."""
        return self._stored


def choose_size(num_texts: int) -> int:
    """Return how many pieces so many training texts can teach.

    Example:
        >>> choose_size(100), choose_size(5_000), choose_size(150_000)
        (500, 1000, 4000)
    """
    return min(LARGE, max(SMALL, num_texts // TEXTS_A_PIECE))


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise MissingExtraError(
            "subwords are cut by the package tokenizers, which is not installed; "
            "install the extra: pip install 'elman[text]', or choose --tokens words or characters."
        ) from None
    return tokenizers
