"""The layers that the laws are tried on: every cell, depth, direction, bias, projection and batch_first."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, product

import hypothesis.strategies as st
import pytest
import torch
from torch import Tensor

import elman.nn
from elman.kernels import BACKENDS, cpu

KINDS: dict[str, dict[str, object]] = {
    "RNN": {},
    "RNN relu": {"nonlinearity": "relu"},
    "GRU": {},
    "LSTM": {},
    "LSTM projected": {},
}
NOT_BUILT = "the C++ kernels were not built: no compiler was there when elman was installed"
FASTER = [
    pytest.param(name, marks=pytest.mark.skipif(name == "cpu" and cpu.native is None, reason=NOT_BUILT))
    for name in BACKENDS
    if name != "reference"
]
State = Tensor | tuple[Tensor, Tensor] | None


@dataclass(frozen=True)
class Case:
    """A layer and a batch for it; everything random in it follows from the seed."""

    kind: str
    num_layers: int
    bidirectional: bool
    bias: bool
    batch_first: bool
    batch: int
    steps: int
    seed: int
    dtype: torch.dtype = torch.float64
    input_size: int = 3
    hidden_size: int = 4
    proj_size: int = 2

    def __str__(self) -> str:
        directions = "both" if self.bidirectional else "one"
        return f"{self.kind}-{self.num_layers}-{directions}-{'bias' if self.bias else 'plain'}"

    @property
    def options(self) -> dict[str, object]:
        names = ("num_layers", "bidirectional", "bias", "batch_first", "dtype")
        projected = {"proj_size": self.proj_size} if self.kind == "LSTM projected" else {}
        return {name: getattr(self, name) for name in names} | KINDS[self.kind] | projected

    @property
    def output_size(self) -> int:
        """The features of one direction's output."""
        return self.proj_size if self.kind == "LSTM projected" else self.hidden_size

    def make(self, library=elman.nn, **options) -> torch.nn.RNNBase:
        """Make the layer, ours or torch's; with the same draws, since both must make them."""
        torch.manual_seed(self.seed)
        layer = getattr(library, self.kind.split()[0])
        return layer(self.input_size, self.hidden_size, **(self.options | options))

    def input(self) -> Tensor:
        """[B, T, I], whatever batch_first; `give` turns it."""
        generator = torch.Generator().manual_seed(self.seed + 1)
        return torch.randn(self.batch, self.steps, self.input_size, generator=generator, dtype=self.dtype)

    def state(self, batch: int | None = None) -> State:
        """Give a random initial state."""
        generator = torch.Generator().manual_seed(self.seed + 2)
        rows = self.num_layers * (2 if self.bidirectional else 1)
        sizes = [self.output_size, self.hidden_size]
        parts = [
            torch.randn(rows, batch or self.batch, size, generator=generator, dtype=self.dtype)
            for size in sizes
        ]
        return (parts[0], parts[1]) if self.kind.startswith("LSTM") else parts[0]

    def lengths(self) -> Tensor:
        """Give lengths 0..T, zero among them now and then."""
        generator = torch.Generator().manual_seed(self.seed + 3)
        return torch.randint(0, self.steps + 1, (self.batch,), generator=generator)

    def reset(self) -> Tensor:
        """Give [B, T] bool, true one time in three."""
        generator = torch.Generator().manual_seed(self.seed + 4)
        return torch.rand(self.batch, self.steps, generator=generator) < 1 / 3

    def run(self, layer, x: Tensor, state: State = None, **options) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run a layer on x [B, T, I]; gives output [B, T, ...] and the parts of the final state."""
        output, final = layer(x if self.batch_first else x.transpose(0, 1), state, **options)
        return (output if self.batch_first else output.transpose(0, 1)), parts_of(final)


@st.composite
def cases(draw, directions=(False, True), dtype=torch.float64) -> Case:
    """Draw a case."""
    return Case(
        kind=draw(st.sampled_from(list(KINDS))),
        num_layers=draw(st.integers(1, 2)),
        bidirectional=draw(st.sampled_from(directions)),
        bias=draw(st.booleans()),
        batch_first=draw(st.booleans()),
        batch=draw(st.integers(1, 4)),
        steps=draw(st.integers(1, 6)),
        seed=draw(st.integers(0, 2**31)),
        dtype=dtype,
    )


def every_case(batch=3, steps=4, **options) -> list[Case]:
    """List every kind x depth x direction x bias once."""
    return [
        Case(kind, layers, both, bias, True, batch, steps, 7, **options)
        for kind, layers, both, bias in product(KINDS, (1, 2), (False, True), (False, True))
    ]


def parts_of(state: State) -> tuple[Tensor, ...]:
    return () if state is None else state if isinstance(state, tuple) else (state,)


def loss_of(output: Tensor, final: tuple[Tensor, ...]) -> Tensor:
    """Sum everything with weights that differ for each number, so that no two errors cancel."""
    total = output.new_zeros(())
    for part in (output, *final):
        count = torch.arange(part.numel(), dtype=part.dtype, device=part.device)
        total = total + (part.reshape(-1) * torch.cos(count)).sum()
    return total


def gradients(
    layer, leaves: list[Tensor], run: Callable[[], tuple[Tensor, tuple[Tensor, ...]]]
) -> list[Tensor]:
    """Give the gradients of the loss: of every parameter, then of the leaves."""
    wanted = [*layer.parameters(), *leaves]
    for leaf in leaves:
        leaf.requires_grad_()
    return list(torch.autograd.grad(loss_of(*run()), wanted, allow_unused=True, materialize_grads=True))


def largest_difference(first, second) -> float:
    """Give the largest difference between two results, however nested; NaN counts as infinite."""
    if isinstance(first, Tensor):
        assert first.shape == second.shape, f"{first.shape} and {second.shape}"
        if first.numel() == 0:
            return 0.0
        difference = (first.detach() - second.detach()).abs().max().item()
        return difference if difference == difference else float("inf")
    assert len(first) == len(second)
    return max((largest_difference(a, b) for a, b in zip(first, second, strict=True)), default=0.0)


def in_separate_sequences(
    case: Case, layer, x: Tensor, state: tuple[Tensor, ...], lengths: Tensor, reset: Tensor | None = None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Do what lengths and reset promise, the plain way: run each piece of each row by itself, unpadded.

    The forward direction of a row's first piece starts from the given state, unless the row is cut before
    its first step, and so does the backward direction of its last piece; all else starts from zero.
    """
    outputs, finals = [], []
    for row, length in enumerate(lengths.tolist()):
        cuts = [t for t in range(length) if reset is not None and reset[row, t]]
        bounds = sorted({0, *cuts, length})
        own = [part[:, row : row + 1] for part in state]
        ended = [part.clone() for part in own]
        pieces = [x.new_zeros(0, layer_width(case))]
        for start, end in pairwise(bounds):
            begin = [torch.zeros_like(part) for part in own]
            for fresh, given in zip(begin, own, strict=True):
                if start == 0 and 0 not in cuts:
                    fresh[forward_rows(case)] = given[forward_rows(case)]
                if end == length and case.bidirectional:
                    fresh[1::2] = given[1::2]
            begin = (begin[0], begin[1]) if case.kind.startswith("LSTM") else begin[0]
            output, final = case.run(layer, x[row : row + 1, start:end], begin)
            pieces.append(output[0])
            for kept, part in zip(ended, final, strict=True):
                if end == length:
                    kept[forward_rows(case)] = part[forward_rows(case)]
                if start == 0 and case.bidirectional:
                    kept[1::2] = part[1::2]
        output = torch.cat(pieces)
        outputs.append(torch.nn.functional.pad(output, (0, 0, 0, case.steps - length)))
        finals.append(ended)
    return torch.stack(outputs), tuple(torch.cat(parts, 1) for parts in zip(*finals, strict=True))


def forward_rows(case: Case) -> slice:
    """Which rows of a state belong to the forward direction."""
    return slice(0, None, 2 if case.bidirectional else 1)


def layer_width(case: Case) -> int:
    """The features of a layer's output."""
    return case.output_size * (2 if case.bidirectional else 1)
