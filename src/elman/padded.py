"""Padding and masking: sequences of unequal length in one tensor that never forgets their lengths.

Shape legend: B batch, T time. `...` stands for any further dimensions, features for instance.

Padding is on the right, always: row b is real in its first `lengths[b]` steps and padding after them.
A length may be zero. `lengths` stays on the CPU whatever device the data is on, because packing, loops
and error messages need plain numbers and would otherwise wait for the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from elman.errors import ShapeError

if TYPE_CHECKING:
    import numpy

Lengths = Tensor | Sequence[int]


def check_lengths(lengths: Lengths, batch: int, steps: int) -> Tensor:
    """Give `lengths` as an int64 tensor [batch] on the CPU, or say what is wrong with them.

    Args:
        lengths [B]: steps, 0..T, any integer dtype, or a list of ints.
        batch: the number of rows B they must describe.
        steps: the number of steps T that none may exceed.

    Raises:
        ShapeError: not integers, not one per row, negative, or longer than the data.

    Example:
        >>> check_lengths([2, 0], batch=2, steps=3)
        tensor([2, 0])
    """
    given = lengths if isinstance(lengths, Tensor) else torch.as_tensor(lengths)
    if not isinstance(lengths, Tensor) and given.numel() == 0:
        given = given.to(torch.int64)  # an empty list has no dtype of its own
    if given.is_floating_point() or given.is_complex() or given.dtype == torch.bool:
        raise ShapeError(
            f"lengths are {given.dtype}, expected integers: lengths count real steps "
            "(lengths.long(), or Padded.from_mask if this is a mask)"
        )
    if tuple(given.shape) != (batch,):
        raise ShapeError(
            f"lengths have shape {tuple(given.shape)}, expected ({batch},): "
            "one length for each row of the batch"
        )
    given = given.detach().to(device="cpu", dtype=torch.int64)
    if batch and not torch.compiler.is_compiling():  # a traced program cannot look at the numbers
        _check_range(given, steps)
    return given


def _check_range(lengths: Tensor, steps: int) -> None:
    shortest, longest = lengths.aminmax()
    if int(shortest) < 0:
        row = int(lengths.argmin())
        raise ShapeError(f"lengths[{row}] is {int(shortest)}, expected 0 or more: lengths count real steps")
    if int(longest) > steps:
        row = int(lengths.argmax())
        raise ShapeError(
            f"lengths[{row}] is {int(longest)} but the batch has {steps} steps; lengths count real steps "
            "and may not exceed T (did you count bytes, or cut the data after counting?)"
        )


def mask_of(lengths: Tensor, steps: int, device: torch.device | None = None) -> Tensor:
    """Give the mask [B, T] of right-padded rows: True where a step is real.

    Args:
        lengths [B]: steps, 0..T.
        steps: T.
        device: where the mask should be; by default where the lengths are.

    Example:
        >>> mask_of(torch.tensor([2, 0]), 3).tolist()
        [[True, True, False], [False, False, False]]
    """
    lengths = lengths.to(device) if device is not None else lengths
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(1)


def reverse_steps(data: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each row of `data` [B, T, ...] within its length; padding stays where it is.

    Example:
        >>> reverse_steps(torch.tensor([[1, 2, 3, 0]]), torch.tensor([3])).tolist()
        [[3, 2, 1, 0]]
    """
    return gather_steps(data, reversed_positions(lengths, data.size(1), data.device))


def reversed_positions(lengths: Tensor, steps: int, device: torch.device | None = None) -> Tensor:
    """Give [B, T]: for each step, the step it changes places with when its row is reversed."""
    lengths = lengths.to(device).unsqueeze(1)
    time = torch.arange(steps, device=lengths.device)
    return torch.where(time < lengths, lengths - 1 - time, time)


def gather_steps(data: Tensor, positions: Tensor) -> Tensor:
    """Pick steps of `data` [B, T, ...] by `positions` [B, N]; gives [B, N, ...]."""
    tail = data.shape[2:]
    index = positions.reshape(*positions.shape, *(1 for _ in tail)).expand(*positions.shape, *tail)
    return data.gather(1, index)


@dataclass(frozen=True, eq=False)
class Padded:
    """A batch of sequences of unequal length: right-padded data and the length of each row.

    Args:
        data [B, T, ...]: the sequences; what stands beyond a row's length is never looked at.
        lengths [B]: steps, 0..T, integers; kept as int64 on the CPU.

    Raises:
        ShapeError: the lengths do not describe the data.

    Example:
        >>> batch = pad([torch.tensor([1., 2., 3.]), torch.tensor([4.])])
        >>> batch.data.tolist(), batch.lengths.tolist()
        ([[1.0, 2.0, 3.0], [4.0, 0.0, 0.0]], [3, 1])
        >>> batch.last().tolist()
        [3.0, 4.0]
    """

    data: Tensor
    lengths: Tensor

    def __post_init__(self) -> None:
        if self.data.dim() < 2:
            raise ShapeError(
                f"data has shape {tuple(self.data.shape)}, expected [batch, time, ...]: "
                "pad([...]) makes it from separate sequences"
            )
        lengths = check_lengths(self.lengths, self.data.size(0), self.data.size(1))
        object.__setattr__(self, "lengths", lengths)

    @classmethod
    def from_mask(cls, data: Tensor, mask: Tensor) -> Padded:
        """Take data padded on any side and move each row's real steps to the front; T stays.

        Args:
            data [B, T, ...]: padded before, after, or on both sides of the real steps.
            mask [B, T] bool: True where a step is real. Padding in the result is zero.

        Raises:
            ShapeError: the mask has another shape or dtype, or holes between real steps.

        Example:
            >>> data = torch.tensor([[0, 7, 8]])
            >>> Padded.from_mask(data, data > 0).data.tolist()
            [[7, 8, 0]]
        """
        if mask.dtype != torch.bool or mask.shape != data.shape[:2]:
            raise ShapeError(
                f"mask is {tuple(mask.shape)} {mask.dtype}, expected {tuple(data.shape[:2])} torch.bool: "
                "True where a step is real"
            )
        steps = data.size(1)
        lengths = mask.sum(1)
        if steps == 0:
            return cls(data, lengths)
        first = mask.to(torch.uint8).argmax(1)
        time = torch.arange(steps, device=mask.device)
        run = (time >= first.unsqueeze(1)) & (time < (first + lengths).unsqueeze(1))
        if not torch.equal(run, mask):
            row = int((run != mask).any(1).nonzero()[0])
            raise ShapeError(
                f"mask row {row} has holes: padding stands between real steps; expected one unbroken run "
                "(drop the steps in between before padding)"
            )
        positions = (first.unsqueeze(1) + time).clamp(max=steps - 1)
        return cls(gather_steps(data, positions), lengths).masked()

    @property
    def mask(self) -> Tensor:
        """[B, T] bool on the data's device: True where a step is real."""
        return mask_of(self.lengths, self.data.size(1), self.data.device)

    def with_data(self, data: Tensor) -> Padded:
        """Give new data, of the same batch and steps, these lengths.

        Raises:
            ShapeError: the first two dimensions differ.
        """
        if data.shape[:2] != self.data.shape[:2]:
            raise ShapeError(
                f"new data has shape {tuple(data.shape)}, expected {tuple(self.data.shape[:2])} first: "
                "the lengths only fit the same batch and steps"
            )
        return Padded(data, self.lengths)

    def masked(self, value: float = 0) -> Padded:
        """Write `value` over everything beyond the lengths."""
        if self._is_full():
            return self
        mask = self.mask
        mask = mask.reshape(*mask.shape, *(1 for _ in self.data.shape[2:]))
        return Padded(torch.where(mask, self.data, torch.full((), value).to(self.data)), self.lengths)

    def real_steps(self) -> Tensor:
        """Give the real steps of all rows, [N, ...], row by row."""
        steps = self.data.flatten(0, 1)
        return steps if self._is_full() else steps.index_select(0, self.mask.flatten().nonzero().squeeze(1))

    def _is_full(self) -> bool:
        """Whether there is no padding; a traced program cannot look, and says no."""
        is_traced = torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None
        return not is_traced and bool((self.lengths == self.data.size(1)).all())

    def reverse(self) -> Padded:
        """Reverse each row within its length; padding stays on the right."""
        return Padded(reverse_steps(self.data, self.lengths), self.lengths)

    def last(self, initial: Tensor | None = None) -> Tensor:
        """Give each row's last real step, [B, ...].

        Args:
            initial [B, ...]: what stands in for rows of length zero; zeros by default.
        """
        if initial is None:
            initial = self.data.new_zeros(self.data.size(0), *self.data.shape[2:])
        if self.data.size(1) == 0:
            return initial
        lengths = self.lengths.to(self.data.device)
        last = gather_steps(self.data, (lengths - 1).clamp(min=0).unsqueeze(1)).squeeze(1)
        is_real = (lengths > 0).reshape(-1, *(1 for _ in self.data.shape[2:]))
        return torch.where(is_real, last, initial)

    def unpad(self) -> list[Tensor]:
        """Give the sequences back, each [length, ...]."""
        return [row[:length] for row, length in zip(self.data, self.lengths.tolist(), strict=True)]

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Padded:
        """Move the data to a device or dtype; the lengths stay on the CPU."""
        return Padded(self.data.to(device=device, dtype=dtype), self.lengths)


def pad(sequences: Sequence[Tensor | numpy.ndarray[Any, Any] | Sequence[Any]], value: float = 0) -> Padded:
    """Put sequences of unequal length in one right-padded batch.

    Args:
        sequences: each [length, ...] with the same dtype and the same further dimensions: tensors,
            numpy arrays or lists. Sequences may be empty.
        value: what to write beyond the lengths.

    Raises:
        ShapeError: no sequence at all, or sequences that differ in more than their length.

    Example:
        >>> pad([[1, 2], [3]]).data.tolist()
        [[1, 2], [3, 0]]
    """
    if len(sequences) == 0:
        raise ShapeError("no sequence to pad; expected at least one (is the batch empty?)")
    rows = [item if isinstance(item, Tensor) else torch.as_tensor(item) for item in sequences]
    for index, row in enumerate(rows):
        if row.dim() == 0:
            raise ShapeError(f"sequences[{index}] is a single number, expected [length, ...]")
    model = next((row for row in rows if len(row)), rows[0])
    for index, row in enumerate(rows):
        if len(row) == 0:  # it has nothing to write, and an empty list says nothing about dtype or shape
            rows[index] = model.new_empty(0, *model.shape[1:])
        elif row.dtype != model.dtype or row.shape[1:] != model.shape[1:]:
            raise ShapeError(
                f"sequences[{index}] is {tuple(row.shape)} {row.dtype} but another is {tuple(model.shape)} "
                f"{model.dtype}; expected sequences that differ in length only"
            )
    data = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
    return Padded(data, torch.tensor([len(row) for row in rows]))
