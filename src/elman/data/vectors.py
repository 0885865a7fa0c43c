"""VECTORS: pre-trained word vectors from a text file, GloVe's or word2vec's.

One word a line, then its numbers, separated by spaces or tabs; word2vec's first line gives the number of
words and of numbers. Only the vectors of wanted words are kept, so a file of any size needs little memory.
"""

import logging
from collections.abc import Iterator, Sequence
from os import PathLike
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from elman.data.lines import read_raw_lines
from elman.errors import DataError

MAX_WIDTH = 16384
"""The most numbers a vector may have."""

NUMBER_CHARACTERS = b"0123456789.-+eE "

logger = logging.getLogger("elman")

Path = str | PathLike[str]


class Vectors(NamedTuple):
    """Vectors for a list of words.

    Args:
        matrix: *[V, D]*, float32; zeros where a word has no vector.
        found: *[V]*, whether the word has one.
    """

    matrix: NDArray[np.float32]
    found: NDArray[np.bool_]


def read_vectors(path: Path, words: Sequence[str]) -> Vectors:
    """Return the vectors of `words`: those of their own spelling, else those of their lower case.

    Args:
        path: a text file of vectors.
        words: the words to look for, `Vocab.tokens` for instance.

    Raises:
        DataError: vectors of uneven width, something that is no finite number, fewer lines than the first
            line promises, or no vector at all; file and line are named.
    """
    wanted: dict[bytes, list[int]] = {}
    for index, name in enumerate(words):
        for form in {name, name.lower()}:
            wanted.setdefault(form.encode("utf-8", "surrogatepass"), []).append(index)
    exact = [name.encode("utf-8", "surrogatepass") for name in words]
    matrix = np.zeros((len(words), 0), np.float32)
    rank = np.zeros(len(words), np.int8)  # 0: none, 1: of the lower case, 2: of the word itself
    seen: set[bytes] = set()
    twice = 0
    for line, word, numbers, width in _parse_lines(path):
        if not matrix.shape[1]:
            matrix = np.zeros((len(words), width), np.float32)
        if word not in wanted:
            continue
        if word in seen:
            twice += 1
            continue
        seen.add(word)
        vector = _to_vector(path, line, numbers)
        for index in wanted[word]:
            better = 2 if exact[index] == word else 1
            if better > rank[index]:
                rank[index] = better
                matrix[index] = vector
    if not matrix.shape[1]:
        raise DataError(f"{path}: holds no vector; a word and its numbers on each line were expected.")
    if twice:
        logger.warning(
            "%s: %d words stand in it more than once; the first vector of each is used.", path, twice
        )
    return Vectors(matrix, rank > 0)


def _parse_lines(path: Path) -> Iterator[tuple[int, bytes, bytes, int]]:
    """Yield line number, word, its numbers as text and the width, all lines checked."""
    width = promised = rows = 0
    for line, raw in read_raw_lines(path):
        text = raw.replace(b"\t", b" ").rstrip(b" ")
        if line == 1 and (sizes := _header(path, text)):
            promised, width = sizes
            continue
        if not text.strip():
            continue
        spaces = text.count(b" ")
        width = width or spaces
        if not 0 < width <= MAX_WIDTH:
            raise DataError(
                f"{path}:{line}: has {width} numbers; a word and 1 to {MAX_WIDTH} numbers were expected."
            )
        if spaces < width:
            raise DataError(
                f"{path}:{line}: has {spaces} numbers, but {width} were expected, as in the first line."
            )
        # A few words of published files hold spaces themselves, so the numbers are counted from the right.
        cut = text.find(b" ") if spaces == width else _cut_from_right(text, width)
        word, numbers = text[:cut], text[cut + 1 :]
        if not word or (spaces > width and all(map(_is_number, word.split(b" ")[1:]))):
            raise DataError(
                f"{path}:{line}: has {spaces + (not word)} numbers{' and no word' * (not word)}; {width} "
                "were expected."
            )
        if numbers.translate(None, NUMBER_CHARACTERS):
            raise DataError(
                f"{path}:{line}: {_show(numbers)} is no finite number. Every vector needs {width} numbers; "
                "drop the line or mend it."
            )
        rows += 1
        yield line, word, numbers, width
    if promised and rows != promised:
        raise DataError(
            f"{path}: its first line promises {promised:,} vectors, but {rows:,} follow. Is the file cut off?"
        )


def _header(path: Path, text: bytes) -> tuple[int, int] | None:
    """Return word2vec's first line, the number of words and of numbers, if this is one."""
    fields = text.split()
    if len(fields) != 2 or not all(field.isdigit() and len(field) < 12 for field in fields):
        return None
    promised, width = map(int, fields)
    if not promised or not 0 < width <= MAX_WIDTH:
        raise DataError(
            f"{path}:1: promises {promised} vectors of {width} numbers; at least one, of 1 to {MAX_WIDTH}, "
            "was expected."
        )
    return promised, width


def _cut_from_right(text: bytes, width: int) -> int:
    """Return where the last `width` fields begin (the space before them)."""
    cut = len(text)
    for _ in range(width):
        cut = text.rfind(b" ", 0, cut)
    return cut


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _show(numbers: bytes) -> str:
    """Return the field that holds the first character that no number has."""
    field = next(field for field in numbers.split(b" ") if field.translate(None, NUMBER_CHARACTERS))
    return repr(field[:20].decode("utf-8", "replace"))


def _to_vector(path: Path, line: int, numbers: bytes) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):
            vector = np.array([float(field) for field in numbers.split(b" ")], np.float64).astype(np.float32)
    except ValueError as error:
        raise DataError(
            f"{path}:{line}: holds what is no number ({error}). Mend the line or drop it."
        ) from None
    if not np.isfinite(vector).all():
        raise DataError(f"{path}:{line}: holds a number too large for float32. Mend the line or drop it.")
    return vector
