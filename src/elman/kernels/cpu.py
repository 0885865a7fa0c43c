"""The C++ kernels of elman (src/elman/native), bound to tensors and to autograd.

Shape legend: B batch, T time, I input features, H hidden, P output features (H without projection), L layers,
D directions, N pieces, M real steps of all rows together.

A layer, in one or two directions, is one call forward and one backward; tensors go over as addresses and
strides. `saved` is a block that forward fills with gates and cells and that backward turns into gradients in
place; a second backward through the same graph runs forward again first. Gradients of gradients run over the
plain equations (reference.py).
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import dropout

from elman.cells import State
from elman.errors import ConfigError
from elman.kernels import reference, torch_native
from elman.kernels.pieces import cut_into_pieces, final_state, starting_state
from elman.kernels.stack import Fresh, Stack

try:
    from elman.kernels import _native as native
except ImportError:  # a pure installation: no compiler was at hand
    native = None  # type: ignore[assignment]

logger = logging.getLogger("elman")

MODE_NUMBERS = {"RNN_TANH": 0, "RNN_RELU": 1, "GRU": 2, "LSTM": 3}
DTYPES = (torch.float32, torch.float64)
_told: set[str] = set()


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


def refuses(stack: Stack, input: Tensor, lengths: Tensor | None, reset: Tensor | None) -> str | None:
    """Give the reason why these kernels cannot run this, or None."""
    if native is None:
        return "the C++ kernels were not built when elman was installed (a C++ compiler is needed then)"
    if input.dtype not in DTYPES:
        return f"the C++ kernels compute in float32 and float64, and the input is {input.dtype}"
    if torch.is_autocast_enabled("cpu"):
        return "autocast computes in a dtype that the C++ kernels do not have"
    if torch._C._are_functorch_transforms_active() or torch.jit.is_tracing():
        return "the C++ kernels cannot be traced or transformed by torch.func and torch.jit"
    return None


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
    def of(cls, pieces: int, steps: int, *arrays: np.ndarray | None, packed: bool = False) -> Plan:
        """Make a plan from its arrays of int64."""
        addresses = (0 if array is None else torch.from_numpy(array).data_ptr() for array in arrays)
        return cls((pieces, steps, *addresses), *arrays, packed=packed)

    @property
    def pieces(self) -> int:
        """N."""
        return self.fields[0]

    @property
    def steps(self) -> int:
        """S."""
        return self.fields[1]


class Layer(NamedTuple):
    """What stays the same in all calls for one layer: see Stack."""

    mode: str
    sizes: tuple[int, int, int]
    directions: int
    bias: bool
    projected: bool
    batch_first: bool
    plan: Plan


def run(
    stack: Stack,
    input: Tensor,
    state: State,
    *,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    fresh: Fresh,
) -> tuple[Tensor, State]:
    """Run a stack of layers over a batch; same as reference.py:run, arguments and results alike."""
    steps, batch = input.shape[:2]
    if stack.batch_first:
        steps, batch = batch, steps
    if not all(input.shape) or (lengths is not None and not lengths.any()) or not _alike(input, state, stack):
        # Nothing to compute, or a mistake: torch's own answer, or its own words.
        return torch_native.run(stack, input, state, lengths=lengths, reset=reset, fresh=fresh)
    if lengths is None and reset is None:
        return _run_layers(stack, input, state, Plan((batch, steps, 0, 0, 0, 0)))
    lengths = torch.full((batch,), steps) if lengths is None else lengths
    pieces = cut_into_pieces(lengths, reset, steps, input.device)
    offset = pieces.offsets()
    plan = Plan.of(len(pieces.row), len(offset) - 1, offset, pieces.row, pieces.start, pieces.length)
    began = starting_state(stack, state, pieces, fresh if reset is not None else None)
    output, ended = _run_layers(stack, input, began, plan)
    return output, final_state(stack, state, ended, pieces)


def run_packed(stack: Stack, data: Tensor, batch_sizes: Tensor, state: State) -> tuple[Tensor, State]:
    """Run a stack of layers over packed data [M, I]; rows are sorted, longest first."""
    if not data.size(-1) or not _alike(data, state, stack):
        return torch_native.run_packed(stack, data, batch_sizes, state)
    sizes = batch_sizes.numpy()
    offset = np.concatenate(([0], np.cumsum(sizes)))
    length = np.searchsorted(-sizes, -np.arange(sizes[0]))
    plan = Plan.of(int(sizes[0]), len(sizes), offset, None, None, length, packed=True)
    return _run_layers(stack, data, state, plan)


def _alike(input: Tensor, state: State, stack: Stack) -> bool:
    others = (*state, *stack.weights)
    return all(other.dtype == input.dtype and other.is_cpu for other in others)


def _run_layers(stack: Stack, input: Tensor, state: State, plan: Plan) -> tuple[Tensor, State]:
    count = len(stack.weights) // stack.num_layers
    rows = stack.directions
    projected = count // rows % 2 == 1
    finals: list[tuple[Tensor, ...]] = []
    for index in range(stack.num_layers):
        weights = stack.weights[index * count : (index + 1) * count]
        began = (
            state
            if stack.num_layers == 1
            else tuple(part[index * rows : (index + 1) * rows] for part in state)
        )
        sizes = (input.size(-1), weights[0].size(0) // GATES[stack.mode], began[0].size(-1))
        layer = Layer(stack.mode, sizes, rows, stack.bias, projected, stack.batch_first, plan)
        cell = began[1] if len(began) == 2 else None
        if torch.is_grad_enabled() and any(x.requires_grad for x in (input, *began, *weights)):
            input, *final = _Recurrence.apply(layer, input, began[0], cell, *weights)
        else:
            input, *final = _forward(layer, input, began[0], cell, weights, None)
        finals.append(tuple(part for part in final if part is not None))
        if index < stack.num_layers - 1 and stack.dropout > 0 and stack.training:
            input = dropout(input, stack.dropout, True)
    if stack.num_layers == 1:
        return input, finals[0]
    return input, tuple(torch.cat(parts) for parts in zip(*finals, strict=True))


GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "GRU": 3, "LSTM": 4}
NO_TENSOR = (0, 0, 0, 0)


def _place(layer: Layer, tensor: Tensor | None) -> tuple[int, int, int, int]:
    """Give a tensor as native/call.h:Tensor has it."""
    if tensor is None:
        return NO_TENSOR
    if layer.plan.packed:
        return tensor.data_ptr(), 0, tensor.stride(0), 1
    row, step = (0, 1) if layer.batch_first else (1, 0)
    return tensor.data_ptr(), tensor.stride(row), tensor.stride(step), 0


def _readable(tensor: Tensor) -> Tensor:
    """Give a tensor whose last dimension lies side by side, as the kernels read it."""
    return tensor if tensor.stride(-1) == 1 or tensor.size(-1) == 1 else tensor.contiguous()


def _call_fields(
    layer: Layer, training: bool, tensors: tuple[Tensor | None, ...], directions: list[list[Tensor | None]]
) -> tuple[int, ...]:
    """Give the fields of native/call.h:Call in order: integers; addresses, 0 for what is not there.

    Args:
        tensors: input, output, d_output, d_input.
        directions: for each, the tensors of native/call.h:Direction in order.
    """
    head = (MODE_NUMBERS[layer.mode], *layer.sizes, layer.directions, torch.get_num_threads(), int(training))
    fields = [*head, *layer.plan.fields]
    for tensor in tensors:
        fields += _place(layer, tensor)
    for direction in directions:
        fields += [0 if tensor is None else tensor.data_ptr() for tensor in direction]
    return tuple(fields)


def _weights_of(layer: Layer, weights: list[Tensor], direction: int) -> list[Tensor | None]:
    """Give weight_ih, weight_hh, bias_ih, bias_hh, weight_hr of one direction."""
    count = len(weights) // layer.directions
    own = weights[direction * count : (direction + 1) * count]
    biases: list[Tensor | None] = [own[2], own[3]] if layer.bias else [None, None]
    return [own[0], own[1], *biases, own[-1] if layer.projected else None]


NOTHING: list[Tensor | None] = [None] * 9


def _forward(
    layer: Layer,
    input: Tensor,
    hidden: Tensor,
    cell: Tensor | None,
    weights: list[Tensor],
    saved: list[Tensor] | None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Run a layer; what backward needs goes to `saved`, if it is a list: one block for each direction."""
    input, hidden = _readable(input), hidden.contiguous()
    cell = None if cell is None else cell.contiguous()
    weights = [weight.contiguous() for weight in weights]
    shape = (*input.shape[:-1], layer.directions * layer.sizes[2])
    is_full = layer.plan.row is None
    output = torch.empty(shape, dtype=input.dtype) if is_full else torch.zeros(shape, dtype=input.dtype)
    final_hidden = torch.empty_like(hidden)
    final_cell = None if cell is None else torch.empty_like(cell)
    is_double = input.dtype == torch.float64
    tensors = (input, output, None, None)
    directions = []
    for d in range(layer.directions):
        cells = (None, None) if cell is None or final_cell is None else (cell[d], final_cell[d])
        states = [hidden[d], cells[0], final_hidden[d], cells[1]]
        directions.append([*_weights_of(layer, weights, d), *states, None, *NOTHING])
    if saved is not None:
        numbers = native.saved_numbers(is_double, _call_fields(layer, True, tensors, directions))
        for direction in directions:
            saved.append(torch.empty(numbers, dtype=input.dtype))
            direction[9] = saved[-1]
    native.forward(is_double, _call_fields(layer, saved is not None, tensors, directions))
    return output, final_hidden, final_cell


class _Recurrence(torch.autograd.Function):
    """One layer over time, with its gradient."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, layer: Layer, input: Tensor, hidden: Tensor, cell: Tensor | None, *weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        ctx.set_materialize_grads(False)
        ctx.layer, ctx.saved = layer, []
        results = _forward(layer, input, hidden, cell, list(weights), ctx.saved)
        ctx.save_for_backward(input, hidden, cell, results[0], *weights)
        return results

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Any, d_output: Tensor | None, d_hidden: Tensor | None, d_cell: Tensor | None = None
    ) -> tuple[Any, ...]:
        input, hidden, cell, output, *weights = ctx.saved_tensors
        needed = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():
            inputs = (input, hidden, cell, *weights)
            return None, *_differentiable(ctx.layer, inputs, needed, (d_output, d_hidden, d_cell))
        saved, ctx.saved = ctx.saved, None
        if saved is None:
            saved = []
            _forward(ctx.layer, input, hidden, cell, weights, saved)
        upstream = (d_output, d_hidden, d_cell)
        return None, *_backward(ctx.layer, input, hidden, cell, weights, output, saved, upstream, needed)


def _backward(
    layer: Layer,
    input: Tensor,
    hidden: Tensor,
    cell: Tensor | None,
    weights: list[Tensor],
    output: Tensor,
    saved: list[Tensor],
    upstream: tuple[Tensor | None, Tensor | None, Tensor | None],
    needed: tuple[bool, ...],
) -> list[Tensor | None]:
    """Give the gradients of input, hidden, cell and weights; None for those not needed."""
    input, hidden = _readable(input), hidden.contiguous()
    cell = None if cell is None else cell.contiguous()
    weights = [weight.contiguous() for weight in weights]
    d_output = None if upstream[0] is None else _readable(upstream[0])
    d_final = [None if part is None else part.contiguous() for part in upstream[1:]]
    is_full = layer.plan.row is None
    d_input = None
    if needed[0]:
        d_input = (
            torch.empty(input.shape, dtype=input.dtype)
            if is_full
            else torch.zeros(input.shape, dtype=input.dtype)
        )
    d_hidden = torch.empty_like(hidden) if needed[1] else None
    d_cell = torch.empty_like(cell) if cell is not None and needed[2] else None
    d_weights = [
        torch.empty_like(weight) if need else None for weight, need in zip(weights, needed[3:], strict=True)
    ]
    directions = []
    for d in range(layer.directions):
        begins = [hidden[d], None if cell is None else cell[d]]
        parts = [None if part is None else part[d] for part in (*d_final, d_hidden, d_cell)]
        own = _weights_of(layer, d_weights, d)  # type: ignore[arg-type]
        directions.append([*_weights_of(layer, weights, d), *begins, None, None, saved[d], *parts, *own])
    fields = _call_fields(layer, True, (input, output, d_output, d_input), directions)
    native.backward(input.dtype == torch.float64, fields)
    return [d_input, d_hidden, d_cell, *d_weights]


def _differentiable(
    layer: Layer,
    inputs: tuple[Tensor | None, ...],
    needed: tuple[bool, ...],
    upstream: tuple[Tensor | None, ...],
) -> list[Tensor | None]:
    """Give the same gradients as tensors that can be differentiated again, over the plain equations."""
    if "twice" not in _told:
        _told.add("twice")
        logger.warning("gradients of gradients run over the plain equations, step by step (said once)")
    input, hidden, cell, *weights = inputs
    assert input is not None and hidden is not None
    state = (hidden,) if cell is None else (hidden, cell)
    with torch.enable_grad():
        results = _by_reference(layer, input, state, [weight for weight in weights if weight is not None])
        pairs = [
            (y, dy) for y, dy in zip(results, upstream, strict=False) if dy is not None and y.requires_grad
        ]
        wanted = [x for x, need in zip(inputs, needed, strict=True) if need and x is not None]
        found = iter(
            torch.autograd.grad(
                [y for y, _ in pairs], wanted, [dy for _, dy in pairs], create_graph=True, allow_unused=True
            )
        )
    return [next(found) if need and x is not None else None for x, need in zip(inputs, needed, strict=True)]


def _by_reference(layer: Layer, input: Tensor, state: State, weights: list[Tensor]) -> tuple[Tensor, ...]:
    """Run a layer over the plain equations, piece by piece."""
    plan, batch_first = layer.plan, layer.batch_first and not layer.plan.packed
    stack = Stack(layer.mode, weights, layer.bias, 1, 0.0, False, layer.directions == 2, batch_first)
    if plan.length is None:
        output, final = reference.run(stack, input, state, fresh=lambda rows: state)
        return output, *final
    flat = input.reshape(-1, input.size(-1))
    index = torch.from_numpy(_positions(layer, input))
    padded = flat[index].view(plan.pieces, plan.steps, -1)
    stack = stack._replace(batch_first=True)
    lengths = torch.from_numpy(plan.length)
    output, final = reference.run(stack, padded, state, lengths=lengths, fresh=lambda rows: state)
    real = torch.from_numpy((np.arange(plan.steps) < plan.length[:, None]).reshape(-1))
    spread = flat.new_zeros(len(flat), output.size(-1)).index_copy(0, index[real], output.flatten(0, 1)[real])
    return spread.view(*input.shape[:-1], -1), *final


def _positions(layer: Layer, input: Tensor) -> np.ndarray:
    """Give the flat position of each step of each piece [N * S]; beyond a piece's end, any."""
    plan = layer.plan
    assert plan.length is not None and plan.offset is not None
    step = np.minimum(np.arange(plan.steps), np.maximum(plan.length, 1)[:, None] - 1)
    if plan.packed:
        return (plan.offset[step] + np.arange(plan.pieces)[:, None]).reshape(-1)
    assert plan.row is not None and plan.start is not None
    time = plan.start[:, None] + step
    row = np.broadcast_to(plan.row[:, None], time.shape)
    batch, steps = input.shape[:2] if layer.batch_first else input.shape[1::-1]
    return (row * steps + time if layer.batch_first else time * batch + row).reshape(-1)
