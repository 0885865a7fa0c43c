"""JOINING: from tokens back to a text; the way back of `text.tokenise`, in one place.

- **characters**: one after the other; brought to NFC, so that letters of the NFD form become syllables again.
- **spaces** (space-separated symbols): with a space between them, as they stood.
- **spaced words** (which keep their white space): one after the other.
- **subwords**: exactly the text that was cut.
- **words**: cutting loses the spaces, so they are put back by rule: one between two tokens, but none before
  a mark that ends something, none after one that opens something, and none inside a pair of quotes. What
  English and most languages of Europe write comes out as it was; French spaces before ! ? : ; do not.
"""

import unicodedata
from collections.abc import Sequence

from elman.data.subwords import Subwords

CLOSING = frozenset(".,:;!?…%)]}»”’")
"""Marks that no space stands before."""

OPENING = frozenset("([{«“‘¿¡$£€#@")
"""Marks that no space stands after."""

TIGHT = frozenset("-/–'")
"""Marks that hold together what stands on both sides, where no space is known: well-known, and/or, l'eau."""

QUOTE = '"'
"""A straight quote opens and closes in turn."""


def join_tokens(tokens: Sequence[str], cut: str, subwords: Subwords | None = None) -> str:
    """Return the text of tokens, in NFC.

    Args:
        tokens: as `tokenise` or `Subwords.cut` give them.
        cut: how they were cut: "words", "characters", "spaces", "spaced words" or "subwords".
        subwords: who cut them, for "subwords".

    Example:
        >>> join_tokens(["I", "don't", "know", "."], "words")
        "I don't know."
        >>> join_tokens(["K", "AE", "T"], "spaces")
        'K AE T'
    """
    if cut == "subwords" and subwords is not None:
        text = subwords.join(tokens)
    elif cut in ("characters", "spaced words"):
        text = "".join(tokens)
    else:
        text = join_words(tokens) if cut == "words" else " ".join(tokens)
    return unicodedata.normalize("NFC", text)


def join_words(words: Sequence[str]) -> str:
    """Return words and punctuation marks as a sentence.

    Example:
        >>> join_words(["He", "said", '"', "no", '"', "(", "twice", ")", "!"])
        'He said "no" (twice)!'
    """
    text, is_open, sticks = "", False, True
    for word in words:
        closes = word in CLOSING or word in TIGHT or (word == QUOTE and is_open)
        text += word if sticks or closes else f" {word}"
        if word == QUOTE:
            is_open = not is_open
        sticks = word in OPENING or word in TIGHT or (word == QUOTE and is_open)
    return text
