"""PADDING PROBES: the same rows with other padding and other batch-mates, which must change nothing.

Shape legend: B batch, T time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elman.errors import DataError, ShapeError
from elman.padded import check_lengths, mask_of

CONTENT, AMOUNT, MATES = "the content of the padding", "the amount of padding", "batch-mates"

MORE_STEPS = 3
"""Steps of padding that are added: enough for the edge of a convolution, and for a layer that runs on."""

HUGE = {torch.float16: 1e3, torch.bfloat16: 1e3}
"""What huge is where 1e6 would be no number any more; see `huge`."""

SEED = 20_231


@dataclass(frozen=True)
class Given:
    """A batch as a module is given it.

    Args:
        data [B, T, ...]: numbers or ids.
        lengths [B]: real steps, on whatever device they came.
        padding: what stands in the padding: zero, or the id that the example has there.
    """

    data: Tensor
    lengths: Tensor
    padding: int = 0

    @property
    def mask(self) -> Tensor:
        """[B, T] bool: True where a step is real."""
        return mask_of(self.lengths.cpu(), self.data.size(1), self.data.device)

    @property
    def is_padded(self) -> bool:
        """Whether a row is shorter than the batch."""
        return bool((self.lengths < self.data.size(1)).any())

    def filled(self, padding: Tensor | float) -> "Given":
        """Return the batch with this in its padding."""
        mask = self.mask.reshape(*self.mask.shape, *(1 for _ in self.data.shape[2:]))
        fill = torch.as_tensor(padding, dtype=self.data.dtype, device=self.data.device)
        return replace(self, data=torch.where(mask, self.data, fill))

    def picked(self, rows: Sequence[int]) -> "Given":
        """Return these rows, in this order."""
        return replace(self, data=self.data[list(rows)], lengths=self.lengths[list(rows)])

    def longer(self, steps: int = MORE_STEPS) -> "Given":
        """Return the batch with so many steps of padding behind it."""
        more = self.data.new_full((self.data.size(0), steps, *self.data.shape[2:]), self.padding)
        return replace(self, data=torch.cat([self.data, more], 1))


@dataclass(frozen=True)
class Probe:
    """A batch that must give what another one gives.

    Args:
        cause: what would be at fault: CONTENT, AMOUNT or MATES.
        words: what was done, for a person.
        given: the batch.
        rows: (row of the batch it is compared with, row of this one), for those that are compared.
        is_whole: whether both hold the same rows, so that sums over the batch must agree too.
        harmless_while: what padding must be for a difference to harm nobody ("finite"); "": it is a leak.
        row: the row's number, where a row by itself is compared with itself.
    """

    cause: str
    words: str
    given: Given
    rows: list[tuple[int, int]]
    is_whole: bool = True
    harmless_while: str = ""
    row: int | None = None


def check_given(example: Tensor, lengths: Tensor | Sequence[int]) -> Given:
    """Return a batch whose padding is zero or the one id that it has there, or say what is wrong with it.

    Raises:
        ShapeError: the example is no [B, T, ...], has no rows or no steps, or the lengths do not fit it.
        DataError: a real step holds what is not a number.
    """
    if example.dim() < 2 or 0 in example.shape[:2]:
        raise ShapeError(
            f"example is {tuple(example.shape)}, expected a tensor [batch, time, ...] of numbers or ids with "
            "a row and a step at least: take one batch of your data"
        )
    checked = check_lengths(lengths, example.size(0), example.size(1))
    given = Given(example.detach(), lengths if isinstance(lengths, Tensor) else checked)
    if example.is_floating_point():
        real = given.filled(0.0).data
        wrong = (~real.isfinite()).nonzero()
        if len(wrong):
            place = ", ".join(str(int(index)) for index in wrong[0])
            raise DataError(
                f"example[{place}] is {float(real[tuple(wrong[0])])}, in a real step; expected finite "
                "numbers, or nothing that is found could be told from what was there before"
            )
    if not example.is_floating_point():
        found = given.data[~given.mask].unique()
        given = replace(given, padding=int(found[0]) if len(found) == 1 else 0)
    return given.filled(given.padding)


def huge(dtype: torch.dtype) -> float:
    """Return a number that no data hold, and that a few sums and products leave finite."""
    return HUGE.get(dtype, 1e6)


def content_probes(given: Given) -> list[Probe]:
    """Return probes with something else in the padding; none if no valid id but the padding's is known.

    A module may well know padding by its id: what other ids there change is noted, and no leak.
    """
    random = torch.Generator().manual_seed(SEED)
    rows = [(row, row) for row in range(given.data.size(0))]
    if not given.data.is_floating_point():
        if bool((given.data == given.padding).all()):
            return []
        filled = given.filled(_other_ids(given, random))
        words = f"the id {given.padding}"
        return [Probe(CONTENT, "other ids in the padding", filled, rows, harmless_while=words)]
    numbers = _other_numbers(given, random)
    most = huge(given.data.dtype)
    return [
        Probe(CONTENT, "other numbers in the padding", given.filled(numbers), rows),
        Probe(CONTENT, f"{most:g} in the padding", given.filled(most), rows),
        Probe(CONTENT, "NaN in the padding", given.filled(torch.nan), rows, harmless_while="finite"),
    ]


def amount_probe(given: Given) -> Probe:
    """Return the probe with more padding."""
    rows = [(row, row) for row in range(given.data.size(0))]
    return Probe(AMOUNT, f"{MORE_STEPS} more steps of padding", given.longer(), rows)


def mates_probes(given: Given) -> list[Probe]:
    """Return probes with other rows beside each row, or the same in another order; without rows alone."""
    count = given.data.size(0)
    if count == 1:
        return []
    random = torch.Generator().manual_seed(SEED)
    is_float = given.data.is_floating_point()
    other = _other_numbers(given, random) if is_float else _other_ids(given, random)
    probes = []
    for kept in (0, 1):
        rows = list(range(kept, count, 2))
        data = other.clone()
        data[rows] = given.data[rows]
        mates = replace(given, data=data).filled(given.padding)
        pairs = [(row, row) for row in rows]
        probes.append(Probe(MATES, "other numbers in the other rows", mates, pairs, is_whole=False))
    turned = list(range(count))[::-1]
    pairs = [(row, place) for place, row in enumerate(turned)]
    probes.append(Probe(MATES, "rows in another order", given.picked(turned), pairs))
    return probes


def alone_probes(given: Given) -> list[Probe]:
    """Return a probe for each row by itself, with the padding it had."""
    return [
        Probe(MATES, f"row {row} alone", given.picked([row]), [(row, 0)], is_whole=False)
        for row in range(given.data.size(0))
    ]


def bare_probe(given: Given, row: int) -> Probe:
    """Return the probe with a row alone and no padding at all; one step of it for a row of length zero.

    A maximum over zeros changes with the first step of padding, and not with the next.
    """
    steps = max(1, int(given.lengths[row]))
    bare = replace(given, data=given.data[[row], :steps], lengths=given.lengths[[row]])
    return Probe(AMOUNT, f"row {row} alone without padding", bare, [(0, 0)], row=row)


def _other_numbers(given: Given, random: torch.Generator) -> Tensor:
    """Return normal numbers as large as the data's, in their shape."""
    real = given.data[given.mask]
    scale = float(real.abs().max()) if real.numel() else 1.0
    drawn = torch.randn(given.data.shape, generator=random, dtype=torch.float64)
    return (drawn * (scale or 1.0)).to(given.data)


def _other_ids(given: Given, random: torch.Generator) -> Tensor:
    """Return ids drawn from those in the data, valid whatever the module; the padding's only if alone."""
    known = given.data.unique()
    others = known[known != given.padding]
    known = others if len(others) else known
    drawn = torch.randint(len(known), given.data.shape, generator=random)
    return known[drawn.to(known.device)]
