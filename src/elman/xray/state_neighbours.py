"""STATE NEIGHBOURS: steps of other sequences at which a network was in a similar state.

Shape legend: T time, H hidden.

Source: Elman 1990, Finding structure in time, figs. 7-9, who clustered the states of his network by the words
that caused them; here by cosine similarity, ``u.v / |u||v|``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from elman.errors import ConfigError
from elman.xray.tracing import Trace


@dataclass(frozen=True)
class StateNeighbour:
    """A step that resembles another.

    Args:
        sequence: which of the other sequences, counted from 0.
        step: which of its steps, counted from 0.
        label: what that step is called.
        similarity: cosine of the two outputs, -1 to 1; 0 where one of them is all zero.
    """

    sequence: int
    step: int
    label: str
    similarity: float


def nearest_states(
    trace: Trace, step: int, others: Sequence[Trace], *, count: int = 5
) -> list[StateNeighbour]:
    """Return the steps of other sequences whose outputs are most similar to one step's, the nearest first.

    Args:
        trace: the sequence that is asked about.
        step: which of its steps, counted from 0.
        others: sequences to look in, of the same layer.
        count: how many to give; fewer where there are fewer.

    Raises:
        ConfigError: no such step, or a trace of another layer's width.

    Example:
        >>> import torch
        >>> from elman.xray.tracing import trace
        >>> layer, x = torch.nn.RNN(2, 3), torch.randn(4, 2)
        >>> mine, same = trace(layer, x), trace(layer, x, labels=["a", "b", "c", "d"])
        >>> [nearest.label for nearest in nearest_states(mine, 2, [same], count=1)]
        ['c']
    """
    if not 0 <= step < len(trace.labels):
        raise ConfigError(f"step is {step}; expected 0 to {len(trace.labels) - 1}, a step of the trace.")
    wanted = trace.output[step]
    found = []
    for place, other in enumerate(others):
        if other.output.shape[1] != len(wanted):
            raise ConfigError(
                f"trace {place} of the others has states of {other.output.shape[1]} numbers, expected "
                f"{len(wanted)}: traces of one layer."
            )
        sizes = np.linalg.norm(other.output, axis=1) * np.linalg.norm(wanted)
        cosines = np.divide(other.output @ wanted, sizes, out=np.zeros_like(sizes), where=sizes > 0)
        found += [StateNeighbour(place, t, other.labels[t], float(c)) for t, c in enumerate(cosines)]
    return sorted(found, key=lambda one: -one.similarity)[:count]
