"""How a call of the C++ kernels is written down: plans, layers and tensors as integers.

Shape legend: B batch, T time, I input features, H hidden, P output features (H without projection),
D directions, N pieces, S steps of the longest piece, M real steps of all pieces together.

Tensors go over as addresses and strides, a twentieth of the cost of handing over tensors; who makes a call
holds them until it returns. The other side is src/elman/native: call.h and module.cpp.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman.errors import ConfigError

try:
    from elman.kernels import _native
except ImportError:  # a pure installation: no compiler was at hand
    _native = None  # type: ignore[assignment]
native: Any = _native  # to mypy a module is never None


def _find_pool() -> None:
    """Tell the kernels which OpenMP library torch has loaded, so that they share its threads."""
    folder = Path(torch.__file__).parent
    bundled = [*folder.glob("lib/lib*omp*"), *folder.parent.glob("torch.libs/lib*omp*")]
    for library in [*map(str, bundled), "libgomp.so.1", "libomp.so", "libomp.dylib"]:
        if native.find_pool(library):
            return


if native is not None:
    _find_pool()
    if wanted := os.environ.get("ELMAN_INSTRUCTIONS"):
        if wanted not in native.variants():
            raise ConfigError(
                f"ELMAN_INSTRUCTIONS is {wanted!r}, expected one that this machine can run: "
                f"{', '.join(native.variants())}"
            )
        native.choose(wanted)


MODE_NUMBERS = {"RNN_TANH": 0, "RNN_RELU": 1, "GRU": 2, "LSTM": 3}
GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "GRU": 3, "LSTM": 4}
BYTES = {torch.float32: 4, torch.float64: 8}
NO_TENSOR = (0, 0, 0, 0)


class Plan(NamedTuple):
    """Which steps there are, as native/call.h:Plan describes it; `fields` are its integers and addresses.

    offset [S + 1], row [N], start [N], length [N]: None where all is as in a full batch.
    packed: whether tensors hold [M, ...] in the order of the steps.
    """

    fields: tuple[int, ...]
    offset: np.ndarray | None = None
    row: np.ndarray | None = None
    start: np.ndarray | None = None
    length: np.ndarray | None = None
    packed: bool = False

    @classmethod
    def of(
        cls,
        pieces: int,
        steps: int,
        offset: np.ndarray,
        row: np.ndarray | None,
        start: np.ndarray | None,
        length: np.ndarray,
        *,
        packed: bool = False,
    ) -> Plan:
        """Make a plan from its arrays of int64."""
        arrays = (offset, row, start, length)
        addresses = (0 if array is None else torch.from_numpy(array).data_ptr() for array in arrays)
        return cls((pieces, steps, *addresses), *arrays, packed)

    @property
    def pieces(self) -> int:
        """N."""
        return self.fields[0]

    @property
    def steps(self) -> int:
        """S."""
        return self.fields[1]

    @property
    def real_steps(self) -> int:
        """M."""
        return self.fields[0] * self.fields[1] if self.offset is None else int(self.offset[-1])


class Layer(NamedTuple):
    """What stays the same in all calls for one layer: see Stack. `sizes` are I, H and P.

    `rounds`: whether factors are rounded to bfloat16. `reads_tokens`: the input is ids below I, and weight_ih
    a table [I, G] of their products.
    """

    mode: str
    sizes: tuple[int, int, int]
    directions: int
    bias: bool
    projected: bool
    batch_first: bool
    plan: Plan
    rounds: bool = False
    reads_tokens: bool = False


NO_GRADIENTS = (0,) * 9


def _place(layer: Layer, tensor: Tensor | None) -> tuple[int, int, int, int]:
    """Give a tensor as native/call.h:Tensor has it."""
    if tensor is None:
        return NO_TENSOR
    strides = tensor.stride()
    if layer.plan.packed:
        return tensor.data_ptr(), 0, strides[0], 1
    if layer.batch_first:
        return tensor.data_ptr(), strides[0], strides[1], 0
    return tensor.data_ptr(), strides[1], strides[0], 0


def readable(tensor: Tensor) -> Tensor:
    """Give a tensor whose last dimension lies side by side, as the kernels read it."""
    return tensor if tensor.stride(-1) == 1 or tensor.size(-1) == 1 else tensor.contiguous()


def addresses(tensor: Tensor | None, directions: int) -> tuple[int, ...]:
    """Give where each direction's part of a contiguous tensor [D, ...] begins; 0 where there is none."""
    if tensor is None:
        return (0,) * directions
    start = tensor.data_ptr()
    if directions == 1:
        return (start,)
    return start, start + tensor.numel() // 2 * BYTES[tensor.dtype]


def weight_addresses(layer: Layer, weights: Sequence[Tensor | None], direction: int) -> tuple[int, ...]:
    """Give where one direction's weight_ih, weight_hh, bias_ih, bias_hh and weight_hr begin."""
    count = len(weights) // layer.directions
    found = [0 if weight is None else weight.data_ptr() for weight in weights[direction * count :][:count]]
    biases = found[2:4] if layer.bias else (0, 0)
    return found[0], found[1], *biases, found[-1] if layer.projected else 0


def fields_of(layer: Layer, training: bool, *tensors: Tensor | None) -> list[int]:
    """Give the first fields of native/call.h:Call in order.

    tensors: input, output, d_output, d_input, tokens.
    """
    fields = [
        MODE_NUMBERS[layer.mode],
        *layer.sizes,
        layer.directions,
        torch.get_num_threads(),
        int(training),
    ]
    fields += layer.plan.fields
    for tensor in tensors:
        fields += _place(layer, tensor)
    return fields


@functools.lru_cache(maxsize=256)
def saved_numbers(layer_fields: tuple[int, ...], projected: bool, is_double: bool, vector_bytes: int) -> int:
    """Give the size of `saved` for one step of one piece, which depends on the size of a register."""
    one_step = (*layer_fields, 1, 0, 1, 1, 1, 0, 0, 0, 0, *NO_TENSOR * 5)
    return native.saved_numbers(is_double, (*one_step, 0, 0, 0, 0, int(projected), *(0,) * 14))
