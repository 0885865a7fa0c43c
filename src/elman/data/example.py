"""EXAMPLE: what every reader returns, whatever the file was."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Sequence = str | tuple[str, ...] | NDArray[np.float32]
"""A text, its tokens, or numbers [T, I]."""


@dataclass(frozen=True, slots=True)
class Example:
    """One sequence and what is to be said of it.

    Args:
        input: a text, a tuple of tokens, or an array of numbers, *[T, I]*, float32, NaN where one is missing.
        target: a label (classify), a tuple of one label a token (tag), what a sequence is made from
            (generate), float64 numbers *[K]* (regress) or *[T, K]*, NaN where one is missing
            (regress_steps), or None where none is known.
        where: file and line or row ("train.csv:12"), for messages.
        categories: what stands in the columns of names beside a vector of numbers, "" where nothing does.
    """

    input: Any
    target: Any = None
    where: str = ""
    categories: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything a reader found in one file, or in data from memory.

    Args:
        examples: one for each sequence, in the order of the file.
        kind: "text" (inputs are texts or tuples of tokens), "series" (inputs are arrays, all of one width) or
            "stream" (one example, a running text).
        input_columns: the names of the columns that became the input.
        target_column: the name of the target's column; of several "a,b"; None where there is none.
        columns: the names of all columns, in order.
        categories: the input columns that hold names instead of numbers.
    """

    examples: list[Example]
    kind: str
    input_columns: list[str]
    target_column: str | None
    columns: list[str]
    categories: tuple[str, ...] = ()
