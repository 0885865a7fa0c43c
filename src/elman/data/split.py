"""SPLIT: hold a part of the examples out, to measure on."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from elman.data.example import Example
from elman.errors import ConfigError, DataError


def split(
    examples: Sequence[Example],
    fraction: float,
    *,
    seed: int,
    stratify: bool = True,
    keep_together: bool = False,
) -> tuple[list[Example], list[Example]]:
    """Return the examples that stay and those that are held out, each in their old order.

    The choice depends on the order of the examples and the seed alone.

    Args:
        examples: at least two.
        fraction: share to hold out, above 0 and below 1; at least one example goes to each side.
        seed: of the choice.
        stratify: hold the same share of every label out, where targets are labels; a label with one example
            stays. Targets of another kind are drawn at random.
        keep_together: put examples with identical inputs on the same side; the fraction is then of distinct
            inputs.

    Raises:
        ConfigError: the fraction is out of range.
        DataError: there are too few examples to hold one out.

    Example:
        >>> rows = [Example(str(n), "ab"[n % 2]) for n in range(20)]
        >>> stay, held = split(rows, 0.2, seed=0)
        >>> len(stay), sorted(row.target for row in held)
        (16, ['a', 'a', 'b', 'b'])
    """
    if not 0 < fraction < 1:
        raise ConfigError(
            f"a fraction of {fraction} cannot be held out; it must be above 0 and below 1 (0.1 is a tenth)."
        )
    units = _group(examples) if keep_together else [[row] for row in range(len(examples))]
    if len(units) < 2:
        raise DataError(
            f"{len(examples)} example{'s' * (len(examples) != 1)} ({len(units)} to choose from) cannot be "
            "split in two; "
            "give more data, or a validation file."
        )
    labels = [examples[unit[0]].target for unit in units]
    strata: dict[Any, list[int]] = {}
    by_label = stratify and all(isinstance(label, str) for label in labels)
    for index, label in enumerate(labels):
        strata.setdefault(label if by_label else None, []).append(index)
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed])))
    held: set[int] = set()
    for members, count in zip(
        strata.values(), _shares([len(m) for m in strata.values()], fraction), strict=True
    ):
        for index in random.permutation(len(members))[:count]:
            held.update(units[members[index]])
    return (
        [example for row, example in enumerate(examples) if row not in held],
        [example for row, example in enumerate(examples) if row in held],
    )


def split_stream(text: str, fraction: float) -> tuple[str, str]:
    """Return a running text without its last part, and that part.

    Args:
        text: at least two characters.
        fraction: share of the characters to hold out, above 0 and below 1, rounded up.

    Raises:
        ConfigError: the fraction is out of range.
        DataError: the text is too short to hold a part of it out.

    Example:
        >>> split_stream("0123456789", 0.25)
        ('0123456', '789')
    """
    if not 0 < fraction < 1:
        raise ConfigError(
            f"a fraction of {fraction} cannot be held out; it must be above 0 and below 1 (0.1 is a tenth)."
        )
    # Rounded first: 0.1 * 30 is a little above 3, and would hold 4 out.
    stay = len(text) - math.ceil(round(fraction * len(text), 6))
    if stay < 1:
        raise DataError(
            f"the running text has {len(text)} characters, too few to hold {fraction:g} of it out; "
            "give more text, or a validation file."
        )
    return text[:stay], text[stay:]


def _shares(sizes: list[int], fraction: float) -> list[int]:
    """Return how many to hold out of each stratum, by Hamilton's method of largest remainders."""
    wanted = [fraction * size for size in sizes]
    shares = [min(int(share), size - 1) for share, size in zip(wanted, sizes, strict=True)]
    total = max(1, round(fraction * sum(sizes)))
    order = sorted(range(len(sizes)), key=lambda index: (shares[index] - wanted[index], index))
    for index in order:
        if sum(shares) < total and shares[index] < sizes[index] - 1:
            shares[index] += 1
    if not sum(shares):
        raise DataError(
            "every label has one example, so none can be held out for validation; give more data, or a "
            "validation file."
        )
    return shares


def _group(examples: Sequence[Example]) -> list[list[int]]:
    groups: dict[Any, list[int]] = {}
    for row, example in enumerate(examples):
        key = (
            (example.input.shape, example.input.tobytes())
            if isinstance(example.input, np.ndarray)
            else example.input
        )
        groups.setdefault(key, []).append(row)
    return list(groups.values())
