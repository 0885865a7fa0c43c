"""STREAM SCORES: how probable a model finds each token of a running text.

Shape legend: R lanes, T steps of the longest lane.

Exactly: the state is carried from the first token to the last, one step after the other. Nearly, and many
times as fast: lanes are read side by side, each from some tokens before its own, so that its state is nearly
what it would be. The final scores are exact; those after each epoch, which only choose, are nearly so.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.data.batches import Batch
from elman.padded import Padded
from elman.patterns.generate import LanguageModel

STEPS_AT_ONCE = 2048
"""Steps of all lanes that are scored together; the state goes on, so the figures are the same for any."""

MOST_LANES, SHORTEST_LANE = 32, 512
"""Lanes side by side at most, and tokens that each should have of its own."""

RUN_UP = 128
"""Tokens that a lane reads, unscored, before its own: what language models remember is mostly shorter."""


def stream_nats(pattern: LanguageModel, ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the nats of each token but the first, the state carried through all: *[N - 1]*.

    Args:
        pattern: in eval mode.
        ids: the tokens, *[N]*.
    """
    return _nats_of_lanes(pattern, ids, np.zeros(1, np.int64), np.array([len(ids) - 1]))


def nearly_stream_nats(pattern: LanguageModel, ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the same, nearly: each lane's state begins `RUN_UP` tokens before its own.

    A short text is one lane, and exact.
    """
    count = min(MOST_LANES, max(1, (len(ids) - 1) // SHORTEST_LANE))
    bounds = np.linspace(0, len(ids) - 1, count + 1).astype(np.int64)
    return _nats_of_lanes(pattern, ids, bounds[:-1], bounds[1:])


def _nats_of_lanes(
    pattern: LanguageModel, ids: NDArray[np.int64], own: NDArray[np.int64], end: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the nats of what follows the steps [own, end) of each lane, lane by lane."""
    start = np.maximum(own - RUN_UP, 0)
    length_R, run_up_R = torch.from_numpy(end - start), torch.from_numpy(own - start)
    longest, width = int(length_R.max()), max(1, STEPS_AT_ONCE // len(own))
    places_RT = torch.from_numpy(np.minimum(start[:, None] + np.arange(longest + 1), len(ids) - 1))
    tokens_RT = torch.from_numpy(ids)[places_RT].to(next(pattern.parameters()).device)
    lanes: list[list[Tensor]] = [[] for _ in own]
    state = None
    for first in range(0, longest, width):
        here_R = (length_R - first).clamp(0, width)
        piece = slice(first, min(first + width, longest))
        read = Padded(tokens_RT[:, piece], here_R)
        follows = read.with_data(tokens_RT[:, 1:][:, piece])
        batch = Batch({"tokens": read}, follows, list(range(len(own))), int(here_R.sum()))
        nats, state = pattern.nats(batch, state)
        for lane, part in enumerate(nats.cpu().split(here_R.tolist())):
            lanes[lane].append(part[max(0, int(run_up_R[lane]) - first) :])
    return torch.cat([part for lane in lanes for part in lane]).numpy()
