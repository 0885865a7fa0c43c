"""CASES: which layers over which batches `elman bench` times.

Shape legend: B batch, T time, I input features, H hidden, L layers, D directions.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

GATES = {"rnn": 1, "gru": 3, "lstm": 4}
CELLS = tuple(GATES)


class Case(NamedTuple):
    """What is timed: a layer, and the batch it runs over.

    Args:
        cell: "rnn", "gru" or "lstm".
        batch, steps, input_size, hidden_size: B, T, I, H.
        num_layers, bidirectional: L, and whether D is 2.
        lengths: steps of each row; empty: all T.
    """

    cell: str
    batch: int
    steps: int
    input_size: int
    hidden_size: int
    num_layers: int = 1
    bidirectional: bool = False
    lengths: tuple[int, ...] = ()

    @property
    def title(self) -> str:
        """B x T x I x H in a few characters, with L and D where they are not 1.

        Example:
            >>> Case("gru", 2, 9, 8, 16, 2, True, (9, 4)).title
            '2x4..9x8x16 L=2 D=2'
        """
        steps = f"{min(self.lengths)}..{max(self.lengths)}" if self.lengths else str(self.steps)
        shape = f"{self.batch}x{steps}x{self.input_size}x{self.hidden_size}"
        layers = f" L={self.num_layers}" if self.num_layers > 1 else ""
        return shape + layers + (" D=2" if self.bidirectional else "")

    def flops(self, mode: str) -> float:
        """Count the floating-point operations of the products over real steps, thrice as many in training.

        Args:
            mode: "train" or "inference".

        Example:
            >>> Case("lstm", 1, 10, 3, 5).flops("inference")
            3200.0
        """
        directions = 2 if self.bidirectional else 1
        inputs = [self.input_size] + [directions * self.hidden_size] * (self.num_layers - 1)
        each = sum(2 * GATES[self.cell] * self.hidden_size * (size + self.hidden_size) for size in inputs)
        steps = sum(self.lengths) if self.lengths else self.batch * self.steps
        return float((3 if mode == "train" else 1) * directions * each * steps)


SHAPES = (
    (32, 128, 128, 128),
    (32, 128, 256, 256),
    (64, 64, 512, 512),
    (16, 512, 128, 256),
    (8, 1000, 64, 128),
    (1, 256, 128, 128),
    (64, 35, 400, 400),
    (20, 200, 100, 300),
    (2, 2000, 32, 64),
    (256, 16, 32, 32),
    (4, 128, 64, 512),
    (1, 1, 64, 64),
    (1, 1, 256, 256),
    (1, 32, 1024, 1024),
)
QUICK_SHAPES = ((32, 128, 128, 128), (64, 35, 400, 400), (1, 1, 64, 64))


def even_lengths(batch: int, shortest: int, longest: int) -> tuple[int, ...]:
    """Give a row of each of `batch` lengths, evenly spread, in a mixed order; the longest is among them."""
    spread = [shortest + round(i * (longest - shortest) / (batch - 1)) for i in range(batch)]
    return tuple(spread[i] for i in torch.randperm(batch, generator=torch.Generator().manual_seed(0)))


def skewed_lengths(batch: int, mean: float, longest: int) -> tuple[int, ...]:
    """Give lengths of which most are short and few are long, geometric; the longest is among them."""
    draw = torch.empty(batch).exponential_(1 / mean, generator=torch.Generator().manual_seed(0))
    return tuple([longest, *(int(length) for length in (draw + 1).clamp(max=longest))][:batch])


def all_cases(cells: Sequence[str] = CELLS, *, quick: bool = False) -> list[Case]:
    """Give the cases that `elman bench` measures.

    Args:
        cells: of which cells.
        quick: a few small ones only.
    """
    cases = []
    for cell in cells:
        cases += [Case(cell, *shape) for shape in (QUICK_SHAPES if quick else SHAPES)]
        if quick:
            cases.append(Case(cell, 32, 64, 100, 100, lengths=even_lengths(32, 5, 64)))
        else:
            cases.append(Case(cell, 32, 64, 200, 200, 2, True, even_lengths(32, 5, 64)))
            cases.append(Case(cell, 32, 200, 128, 128, lengths=skewed_lengths(32, 40, 200)))
    return cases
