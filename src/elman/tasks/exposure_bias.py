"""EXPOSURE BIAS: how much worse a decoder does on its own words than on the right ones.

In training each token follows the right former ones; in use it follows what the decoder wrote itself, and one
mistake may bring the next. Both error rates, position by position, show how much of it there is.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

MOST_POSITIONS = 40
"""Positions shown; later ones have few outputs left."""

FEWEST_OUTPUTS = 5
"""Outputs that must be so long for a position to be shown."""


def measure_exposure(
    gold: Sequence[Sequence[int]], forced: Sequence[Sequence[int]], free: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """Return the error at each position of the output, led and on its own, and the gap between them.

    ``gap = mean over all positions of all outputs of (wrong on its own) - (wrong when led)``. A position
    beyond the end of what was written counts as wrong.

    Args:
        gold: the right tokens of each output, stop included.
        forced: the likeliest token at each position, given the right ones before it; as long.
        free: what greedy search wrote, stop included.

    Returns:
        "teacher_forced" and "free_running" (error by position), "count" (outputs that are so long), and
        "teacher_forced_error", "free_running_error", "gap".

    Source: Ranzato et al. 2016 name the bias; Bengio et al. 2015 train against it.

    Example:
        >>> measure_exposure([[5, 6, 3]], [[5, 6, 3]], [[5, 7, 3]])["gap"]
        0.3333333333333333
    """
    longest = max((len(row) for row in gold), default=0)
    count = np.zeros(longest, np.int64)
    wrong = {"teacher_forced": np.zeros(longest), "free_running": np.zeros(longest)}
    for truth, led, own in zip(gold, forced, free, strict=True):
        count[: len(truth)] += 1
        for name, said in (("teacher_forced", led), ("free_running", own)):
            padded = [*said[: len(truth)], *[-1] * (len(truth) - len(said))]
            wrong[name][: len(truth)] += np.array(padded) != np.array(truth)
    shown = min(MOST_POSITIONS, int((count >= min(FEWEST_OUTPUTS, max(1, len(gold)))).sum()))
    total = max(1, int(count.sum()))
    rates = {name: float(values.sum()) / total for name, values in wrong.items()}
    return {
        **{name: (values[:shown] / count[:shown]).tolist() for name, values in wrong.items()},
        "count": count[:shown].tolist(),
        **{f"{name}_error": rate for name, rate in rates.items()},
        "gap": rates["free_running"] - rates["teacher_forced"],
    }


def exact_by_length(
    lengths: Sequence[int], is_right: Sequence[bool], most_bars: int = 10
) -> list[dict[str, Any]]:
    """Return the share of exact outputs for sources of each length, in bars of about as many sources.

    Args:
        lengths: tokens of each source.
        is_right: whether its output was exact.
        most_bars: bars at most.

    Example:
        >>> exact_by_length([1, 1, 2, 2], [True, True, True, False], 2)[1]
        {'from': 2, 'to': 2, 'count': 2, 'exact_match': 0.5}
    """
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    bars: list[list[int]] = []
    for row in order:
        is_full = bars and len(bars[-1]) >= len(order) / most_bars
        if not bars or (is_full and lengths[bars[-1][-1]] != lengths[row]):
            bars.append([])
        bars[-1].append(row)
    return [
        {
            "from": lengths[bar[0]],
            "to": lengths[bar[-1]],
            "count": len(bar),
            "exact_match": sum(is_right[row] for row in bar) / len(bar),
        }
        for bar in bars
    ]


def spread(count: int, most: int) -> list[int]:
    """Return at most so many places of a list, evenly spread: files are often sorted.

    Example:
        >>> spread(10, 3), spread(2, 3)
        ([0, 3, 6], [0, 1])
    """
    return [place * count // most for place in range(most)] if count > most else list(range(count))
