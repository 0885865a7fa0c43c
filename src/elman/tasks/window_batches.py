"""WINDOW BATCHES: the windows of some series, drawn anew for each epoch, and read in blocks of one size.

Shape legend: N windows.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from elman.data.batches import Batch, Batches
from elman.data.windows import Window, Windows
from elman.patterns.pattern import Pattern
from elman.tasks.forecast_inputs import Numbers, Reader

EPOCH_WINDOWS = 50_000
"""Windows of an epoch at most: of more, so many are drawn, others in each epoch."""

BLOCK = 256
"""Windows that are read together when nothing is learned, always as many: the last block is filled up.

A product of matrices rounds otherwise for one row than for many, so only blocks of one size give a window the
same bytes whatever stands beside it.
"""


class WindowBatches(Batches):
    """The windows of a training part, in batches that are made when they are asked for.

    Args:
        windows: all of them.
        reader: turns them into numbers.
        batch_size: windows in a batch.
        seed: of the order.
        epoch_windows: windows of an epoch at most.
    """

    def __init__(
        self,
        windows: Windows,
        reader: Reader,
        *,
        batch_size: int,
        seed: int,
        epoch_windows: int = EPOCH_WINDOWS,
    ) -> None:
        super().__init__([], batch_size, seed)
        self.windows, self.reader = windows, reader
        self.num_windows = min(len(windows), epoch_windows)

    @property
    def num_batches(self) -> int:
        """Batches in an epoch."""
        return -(-self.num_windows // self.batch_size)

    def order(self, epoch: int) -> list[list[int]]:
        """Return the windows of each batch of an epoch: a pure function of seed and epoch."""
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, epoch])))
        drawn = random.choice(len(self.windows), self.num_windows, replace=False, shuffle=True)
        return [
            drawn[start : start + self.batch_size].tolist()
            for start in range(0, self.num_windows, self.batch_size)
        ]

    def batch(self, rows: Sequence[int]) -> Batch:
        """Return these windows as one batch."""
        ids = np.asarray(rows, np.int64)
        return to_batch(self.reader.numbers(self.windows.take(ids)), list(rows))


def to_batch(numbers: Numbers, rows: list[int]) -> Batch:
    """Return windows as a pattern takes them."""
    return Batch(numbers.features, numbers.target, rows, steps=numbers.features["numbers"].data.shape[1])


def blocks(windows: Windows) -> Iterator[Window]:
    """Yield all windows, `BLOCK` at a time."""
    for start in range(0, len(windows), BLOCK):
        yield windows.take(np.arange(start, min(start + BLOCK, len(windows))))


def scores_of(pattern: Pattern, numbers: Numbers) -> torch.Tensor:
    """Return a pattern's scores of at most `BLOCK` windows, computed as a block of that size."""
    count = len(numbers.deviation)
    filled = {name: padded.data[_fill(count)] for name, padded in numbers.features.items()}
    features = {
        name: type(numbers.features[name])(data, torch.full((BLOCK,), data.size(1)))
        for name, data in filled.items()
    }
    batch = Batch(features, None, list(range(count)), steps=BLOCK).to(next(pattern.parameters()).device)
    scores: torch.Tensor = pattern.scores(batch)[:count].cpu()
    return scores


def _fill(count: int) -> torch.Tensor:
    """Return the rows of a block: those there are, and the first one again and again."""
    return torch.arange(BLOCK).where(torch.arange(BLOCK) < count, 0)
