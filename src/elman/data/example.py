"""EXAMPLE: what every reader returns, whatever the file was."""

from dataclasses import dataclass
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

Sequence = Union[str, tuple[str, ...], NDArray[np.float32]]
"""A text, its tokens, or numbers [T, I]."""


@dataclass(frozen=True, slots=True)
class Example:
    """One sequence and what is to be said of it.

    Args:
        input: a text, a tuple of tokens, or an array of numbers, *[T, I]*, float32.
        target: a label (classify), a tuple of one label a token (tag), or None where none is known.
        where: file and line or row ("train.csv:12"), for messages.
    """

    input: Any
    target: Any = None
    where: str = ""
