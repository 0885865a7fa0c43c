"""STREAMS: one running sequence, cut into lanes that are read side by side, window by window.

A lane is a contiguous part of the stream. An epoch reads every lane from its start to its end in windows of
so many steps; whoever trains carries the state of each lane from window to window (truncated backpropagation
through time), so the order of the windows is fixed. What differs from epoch to epoch is where the cuts fall.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from elman.errors import ConfigError, DataError


class Piece(NamedTuple):
    """Some steps of a stream: each reads one token and predicts the next.

    Args:
        start: the first token that is read.
        length: steps, 1 or more.
        continues: whether it goes on where the same lane's former piece ended.
    """

    start: int
    length: int
    continues: bool


@dataclass(frozen=True)
class Lanes:
    """A stream of N tokens as lanes of equal length, read in windows.

    The lanes have (N - 1) // B steps each; fewer than B tokens, at the ends of the stream, are left out. The
    number of windows is the same in every epoch; the first one is of random length, as far as that allows
    (at least half of the lengths that a window may have), so that the gradient is cut elsewhere each time.

    Args:
        num_tokens: N.
        num_lanes: B, lanes side by side.
        window: steps between two cuts, at most.
        seed: of the places of the cuts.

    Raises:
        ConfigError: the window or the number of lanes is below 1.
        DataError: the stream has too few tokens for that many lanes.

    Example:
        >>> lanes = Lanes(num_tokens=21, num_lanes=2, window=4, seed=0)
        >>> lanes.steps, lanes.num_windows, lanes.windows(epoch=0)
        (10, 3, [(0, 4), (4, 4), (8, 2)])
        >>> lanes.pieces(epoch=0)[0]
        [Piece(start=0, length=4, continues=False), Piece(start=10, length=4, continues=False)]
    """

    num_tokens: int
    num_lanes: int
    window: int
    seed: int

    def __post_init__(self) -> None:
        if self.window < 1 or self.num_lanes < 1:
            raise ConfigError(
                f"a stream in {self.num_lanes} lanes and windows of {self.window} steps; at least 1 of each "
                "was expected (--batch-size, --bptt-window)."
            )
        if self.steps < 1:
            raise DataError(
                f"the running text has {self.num_tokens} tokens, too few to be read in {self.num_lanes} "
                f"lanes side by side; give at least {self.num_lanes + 1} tokens, or a lower --batch-size."
            )

    @property
    def steps(self) -> int:
        """Steps of each lane: tokens that it predicts in an epoch."""
        return (self.num_tokens - 1) // self.num_lanes

    @property
    def num_windows(self) -> int:
        """Windows in an epoch."""
        return self._first_lengths()[0]

    def _first_lengths(self) -> tuple[int, range]:
        """Give the number of windows, and the lengths that the first may have for there to be that many."""
        whole = -(-self.steps // self.window)
        if whole == 1:
            return 1, range(self.steps, self.steps + 1)
        rest = self.steps - (whole - 1) * self.window  # of the last, if all others are full
        fewer, more = range(rest, self.window + 1), range(1, rest)
        return (whole, fewer) if len(fewer) >= len(more) else (whole + 1, more)

    def windows(self, epoch: int) -> list[tuple[int, int]]:
        """Return begin and length of each window of an epoch: a pure function of the seed and the epoch."""
        count, lengths = self._first_lengths()
        first = int(self._random(epoch).integers(lengths.start, lengths.stop))
        ends = [first + index * self.window for index in range(count - 1)] + [self.steps]
        return [(begin, end - begin) for begin, end in zip([0, *ends], ends, strict=False)]

    def pieces(self, epoch: int) -> list[list[Piece]]:
        """Return the piece of each lane, window by window."""
        spare = self.num_tokens - 1 - self.num_lanes * self.steps
        random = self._random(epoch)
        random.integers(2)  # what `windows` drew
        shift = int(random.integers(spare + 1))
        return [
            [Piece(shift + lane * self.steps + begin, length, begin > 0) for lane in range(self.num_lanes)]
            for begin, length in self.windows(epoch)
        ]

    def _random(self, epoch: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, epoch])))

    def number(self, piece: Piece) -> int:
        """Return a piece as one whole number, as a row of a batch is."""
        return 2 * (piece.start * (self.window + 1) + piece.length) + piece.continues

    def piece(self, number: int) -> Piece:
        """Return the piece that `number` stands for."""
        place, continues = divmod(number, 2)
        start, length = divmod(place, self.window + 1)
        return Piece(start, length, bool(continues))
