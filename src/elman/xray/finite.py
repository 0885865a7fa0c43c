"""FINITE: which tensor of a batch holds NaN or infinity; and norms whose squares are out of range."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from elman.errors import DataError
from elman.padded import Padded


def check_finite(batch: Any, name: str = "batch") -> None:
    """Look at every tensor of a batch: in tuples, lists, dicts, dataclasses, packed and padded sequences.

    Of padded sequences only the real steps count.

    Raises:
        DataError: one holds a number that is not finite.

    Example:
        >>> check_finite((torch.ones(2), {"x": torch.tensor([1.0, float("nan")])}))
        Traceback (most recent call last):
        elman.errors.DataError: batch[1]['x'] holds nan at [1]; ...
    """
    for place, value in _tensors(batch, name):
        if not (value.is_floating_point() or value.is_complex()):
            continue
        is_bad = ~torch.isfinite(value)
        if bool(is_bad.any()):
            where = is_bad.nonzero()[0].tolist()
            raise DataError(
                f"{place} holds {value[tuple(where)].item()} at {where}; expected finite numbers, because no "
                "gradient comes through others (drop the row, or fill the gap)."
            )


def _tensors(value: Any, place: str) -> Iterator[tuple[str, Tensor]]:
    """Yield (where it stands, tensor) for all tensors inside a value."""
    if isinstance(value, Tensor):
        yield place, value
    elif isinstance(value, Padded):
        yield place, value.masked().data
    elif isinstance(value, PackedSequence):
        yield f"{place}.data", value.data
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _tensors(item, f"{place}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _tensors(item, f"{place}[{key!r}]")
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _tensors(getattr(value, field.name), f"{place}.{field.name}")
    elif isinstance(value, SimpleNamespace):
        for key, item in vars(value).items():
            yield from _tensors(item, f"{place}.{key}")


def norms(value: Tensor) -> Tensor:
    """Return the root of the sum of squares over the last dimension, where squares are out of range too.

    What is itself out of range, or came of it (inf - inf is NaN), is infinite.

    Example:
        >>> norms(torch.tensor([[3e200, 4e200], [3e-200, 4e-200], [1.0, torch.nan]], dtype=torch.float64))
        tensor([5.0000e+200, 5.0000e-200,         inf], dtype=torch.float64)
    """
    if value.numel() == 0:
        return torch.linalg.vector_norm(value, dim=-1)
    scale = value.abs().amax(-1, keepdim=True)
    divisor = torch.where(scale.isfinite() & (scale > 0), scale, 1.0)
    found = (value / divisor).norm(dim=-1) * divisor.squeeze(-1)
    return torch.where(scale.squeeze(-1).isfinite(), found, torch.inf)
