"""TEXT: from a text to its tokens, and from words to their spelling.

A **word** is a run of letters, digits, underscores and their combining marks. Inside it, an apostrophe may
stand between letters (don't) and one of . , : between digits (3.5, 12:30). A web address (http://, https://
or www.) is one token, without the punctuation that ends it. Every other character that is not white space is
a token by itself, with the marks that belong to it.

A **character** is a Unicode code point. Texts are brought to Unicode's NFC form first, or for characters
to NFD where that is asked for.
"""

import functools
import re
import statistics
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from elman.data.vocab import Vocab

MAX_SPELLING = 64
"""Characters of a word's spelling; of a longer word, the first half and the last half of them are kept."""

LAST_MARK_BLOCK = 0x20000  # no combining mark stands in planes 2 to 13
VARIATION_SELECTORS = "\U000e0100-\U000e01ef"
JOINERS = "\u200c\u200d"  # inside words of Persian and Indic scripts


@functools.cache
def _word_pattern() -> re.Pattern[str]:
    """Return the rule as a regular expression, with combining marks listed: Python's \\w has none."""
    marks = [point for point in range(LAST_MARK_BLOCK) if unicodedata.category(chr(point))[0] == "M"]
    ranges = VARIATION_SELECTORS
    start = marks[0]
    for point, following in zip(marks, [*marks[1:], -1], strict=True):
        if following != point + 1:
            ranges += f"{chr(start)}-{chr(point)}"
            start = following
    word = rf"\w[\w{ranges}{JOINERS}]*"
    letter = rf"[^\W\d_]|[{ranges}]"
    inside = rf"(?<=\d)[.,:](?=\d)|(?<={letter})['\u2019](?={letter})"
    address = r"""(?:https?://|www\.)\S*[^\s.,;:!?)\]}>'"\u2019\u201d]"""
    return re.compile(rf"(?i:{address})|{word}(?:(?:{inside}){word})*|\S[{ranges}]*")


def split_words(text: str) -> list[str]:
    """Return the words and punctuation marks of a text, in order.

    Example:
        >>> split_words("I don't pay £3.50 - see www.x.org!")
        ['I', "don't", 'pay', '£', '3.50', '-', 'see', 'www.x.org', '!']
    """
    return _word_pattern().findall(unicodedata.normalize("NFC", text))


def split_characters(text: str, form: Literal["nfc", "nfd"] = "nfc") -> list[str]:
    """Return the code points of a text in NFC form, white space included.

    Args:
        text: any.
        form: "nfd" takes characters apart: an accent is one by itself, and a Korean syllable its letters.

    Example:
        >>> split_characters("e\\u0301a")
        ['é', 'a']
        >>> len(split_characters("한국", "nfd"))
        6
    """
    return list(unicodedata.normalize("NFD" if form == "nfd" else "NFC", text))


def split_spaced_words(text: str) -> list[str]:
    """Return the words of a text with the white space between them, so that joining them gives the text.

    A space right before a word belongs to it; every other white space character is a token by itself.

    Example:
        >>> split_spaced_words("To be,  or\\nnot")
        ['To', ' be', ',', ' ', ' or', '\\n', 'not']
    """
    text = unicodedata.normalize("NFC", text)
    tokens: list[str] = []
    position = 0
    for word in _word_pattern().finditer(text):
        start = word.start()
        if start > position and text[start - 1] == " ":
            start -= 1
        tokens += [*text[position:start], text[start : word.end()]]
        position = word.end()
    return tokens + list(text[position:])


def tokenise(
    sequence: str | Sequence[str],
    tokens: Literal["words", "characters", "spaces", "spaced words"],
    *,
    lowercase: bool = False,
) -> list[str]:
    """Return the tokens of a text; a sequence of tokens is left as it is.

    Args:
        sequence: a text, or its tokens.
        tokens: how to cut a text; "spaces": at white space alone; "spaced words": into words that keep the
            white space between them, see `split_spaced_words`.
        lowercase: bring every token to lower case.
    """
    if not isinstance(sequence, str):
        made = list(sequence)
        return [token.lower() for token in made] if lowercase else made
    text = sequence.lower() if lowercase else sequence
    if tokens == "spaces":
        return text.split()
    if tokens == "spaced words":
        return split_spaced_words(text)
    return split_words(text) if tokens == "words" else split_characters(text)


def choose_tokens(sequences: Iterable[str | Sequence[str]]) -> Literal["words", "characters"]:
    """Return "words" if the median text has more than one word between white space, else "characters".

    Sequences that are tokens already count as words.

    Example:
        >>> choose_tokens(["Rossi", "O'Neill", "van der Berg"])
        'characters'
    """
    counts = [len(sequence.split()) if isinstance(sequence, str) else 2 for sequence in sequences]
    return "words" if counts and statistics.median(counts) > 1 else "characters"


SYMBOL_LENGTH = 2.5
"""Characters that the tokens between spaces have on average at most where they are sounds or the like."""

ALIKE = 0.95
"""Share of texts that must be cut alike at spaces and at words, to count as cut already."""


def are_symbols(texts: Sequence[str]) -> bool:
    """Say whether texts are symbols with spaces between them (sounds, notes), or words cut already.

    They are if what stands between spaces is `SYMBOL_LENGTH` characters long on average, or if cutting them
    into words finds, in nearly all of them, just what stands between spaces.

    Example:
        >>> are_symbols(["K AE1 T", "D AO1 G Z"]), are_symbols(["I know it.", "No, you don't."])
        (True, False)
    """
    pieces = [piece for text in texts for piece in text.split()]
    if not pieces:
        return False
    if sum(map(len, pieces)) / len(pieces) <= SYMBOL_LENGTH:
        return True
    return sum(split_words(text) == text.split() for text in texts) / len(texts) >= ALIKE


class Spellings:
    """The spelling of each distinct word, as character ids.

    The table grows with every word that `ids` has not met: use a fresh object for each set of data.

    Args:
        characters: the vocabulary of characters.

    Example:
        >>> spellings = Spellings(Vocab.build("an nana"))
        >>> spellings.ids(["an", "nana", "an"]).tolist(), [row.tolist() for row in spellings.table]
        ([0, 1, 0], [[2, 3], [3, 2, 3, 2]])
    """

    def __init__(self, characters: Vocab) -> None:
        self.characters = characters
        self.table: list[NDArray[np.int64]] = []
        self._index: dict[str, int] = {}

    def ids(self, words: Sequence[str]) -> NDArray[np.int64]:
        """Return each word's place in `table`, adding the words that are new."""
        index = self._index
        for word in words:
            if word not in index:
                index[word] = len(self.table)
                self.table.append(spell(word, self.characters))
        return np.array([index[word] for word in words], np.int64)


def spell(word: str, characters: Vocab) -> NDArray[np.int64]:
    """Return the character ids of a word; of a word longer than `MAX_SPELLING`, those of its two ends."""
    if len(word) > MAX_SPELLING:
        word = word[: MAX_SPELLING // 2] + word[-(MAX_SPELLING // 2) :]
    return characters.ids(word)
