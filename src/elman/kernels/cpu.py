"""The C++ kernels of elman (src/elman/native), bound to tensors and to autograd.

Shape legend: B batch, T time, I input features, H hidden, P output features (H without projection), L layers,
D directions, N pieces, M real steps of all rows together.

A layer, in one or two directions, is one call forward and one backward; tensors go over as addresses and
strides. `saved` is a block that forward fills with gates and cells and that backward turns into gradients in
place; a second backward through the same graph runs forward again first. Gradients of gradients: see
gradients_again.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.functional import dropout, embedding, linear

from elman.cells import State
from elman.errors import ConfigError
from elman.kernels import torch_native
from elman.kernels.call import (
    GATES,
    MODE_NUMBERS,
    NO_GRADIENTS,
    Layer,
    Plan,
    addresses,
    fields_of,
    native,
    readable,
    saved_numbers,
    weight_addresses,
)
from elman.kernels.gradients_again import differentiable
from elman.kernels.pieces import cut_into_pieces, final_state, starting_state
from elman.kernels.stack import Fresh, Stack

DTYPES = (torch.float32, torch.float64)


def refuses(stack: Stack, input: Tensor, lengths: Tensor | None, reset: Tensor | None) -> str | None:
    """Give the reason why these kernels cannot run this, or None."""
    if stack.within is not None:
        return stack.within.reason
    if native is None:
        return "the C++ kernels were not built when elman was installed (a C++ compiler is needed then)"
    if input.dtype not in DTYPES:
        return f"the C++ kernels compute in float32 and float64, and the input is {input.dtype}"
    if torch.is_autocast_enabled("cpu"):
        return "autocast computes in a dtype that the C++ kernels do not have"
    if torch._C._are_functorch_transforms_active() or torch._C._get_tracing_state() is not None:
        return "the C++ kernels cannot be traced or transformed by torch.func and torch.jit"
    if forward_ad._current_level >= 0:
        return "the C++ kernels have no forward-mode derivative (torch.autograd.forward_ad)"
    return None


NO_GRADIENT = "the kernels that round give no gradient, and one is asked for outside torch.no_grad()"


def refuses_rounded(stack: Stack, input: Tensor, lengths: Tensor | None, reset: Tensor | None) -> str | None:
    """Give the reason why the kernels that multiply in bfloat16 cannot run this, or None."""
    reason = refuses(stack, input, lengths, reset)
    if reason is not None:
        return reason
    if not native.can_round():
        return "this machine has no instructions that multiply in bfloat16 (AVX512_BF16)"
    if input.dtype is not torch.float32:
        return f"only float32 is rounded to bfloat16, and the input is {input.dtype}"
    if torch.is_grad_enabled() and _needs_gradient(input, *stack.weights):
        return NO_GRADIENT
    if len(stack.weights) // stack.num_layers // stack.directions % 2 == 1:
        return "the kernels that round have no projection"
    return None


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
    return _run(stack, input, state, lengths, reset, fresh, rounds=False)


def run_rounded(
    stack: Stack,
    input: Tensor,
    state: State,
    *,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    fresh: Fresh,
) -> tuple[Tensor, State]:
    """Run a stack of layers, both factors of every product rounded to bfloat16; else as `run`."""
    return _run(stack, input, state, lengths, reset, fresh, rounds=True)


def _run(
    stack: Stack,
    input: Tensor,
    state: State,
    lengths: Tensor | None,
    reset: Tensor | None,
    fresh: Fresh,
    rounds: bool,
) -> tuple[Tensor, State]:
    if rounds and torch.is_grad_enabled() and _needs_gradient(*state):
        raise ConfigError(f"backend 'cpu_bf16' cannot run this {stack.mode}: {NO_GRADIENT}")
    if not all(input.shape) or (lengths is not None and not lengths.any()) or not alike(stack, input, state):
        # Nothing to compute, or a mistake: torch's own answer, or its own words.
        return torch_native.run(stack, input, state, lengths=lengths, reset=reset, fresh=fresh)
    return _run_pieces(stack, input, state, lengths, reset, fresh, rounds)


def run_tokens(
    stack: Stack, tokens: Tensor, vectors: Tensor, state: State, *, lengths: Tensor | None, fresh: Fresh
) -> tuple[Tensor, State]:
    """Run a stack over ``vectors[tokens]``: each token's product with the input weights is computed once.

    Args:
        stack, state, lengths, fresh: as for `run`.
        tokens: int64, [B, T] (or [T, B]), each below V.
        vectors: [V, I].
    """
    has_steps = tokens.numel() > 0 and (lengths is None or bool(lengths.any()))
    if not has_steps or not _are_ids(tokens) or not alike(stack, vectors, state):
        return run(stack, embedding(tokens, vectors), state, lengths=lengths, fresh=fresh)
    lowest, highest = (int(bound) for bound in tokens.aminmax())
    if lowest < 0 or highest >= len(vectors):
        raise IndexError(f"tokens are {lowest} to {highest}, expected ids from 0 to {len(vectors) - 1}")
    weights, count = list(stack.weights), len(stack.weights) // stack.num_layers // stack.directions
    for first in range(0, count * stack.directions, count):
        weights[first] = linear(vectors, weights[first])
    return _run_pieces(stack._replace(weights=weights), tokens, state, lengths, None, fresh, rounds=False)


def _are_ids(tokens: Tensor) -> bool:
    """Say whether the kernels can read these; what else there is, torch looks up, or complains about."""
    return tokens.dtype is torch.int64 and tokens.is_cpu


def _run_pieces(
    stack: Stack,
    input: Tensor,
    state: State,
    lengths: Tensor | None,
    reset: Tensor | None,
    fresh: Fresh,
    rounds: bool,
) -> tuple[Tensor, State]:
    """Run a stack from what each row, or each stretch of one between resets, starts from."""
    steps, batch = input.shape[:2]
    if stack.batch_first:
        steps, batch = batch, steps
    if lengths is None and reset is None:
        return _run_layers(stack, input, state, Plan((batch, steps, 0, 0, 0, 0)), rounds)
    lengths = torch.full((batch,), steps) if lengths is None else lengths
    pieces = cut_into_pieces(lengths, reset, steps, input.device)
    offset = pieces.offsets()
    plan = Plan.of(len(pieces.row), len(offset) - 1, offset, pieces.row, pieces.start, pieces.length)
    began = starting_state(stack, state, pieces, fresh if reset is not None else None)
    output, ended = _run_layers(stack, input, began, plan, rounds)
    return output, final_state(stack, state, ended, pieces)


def run_packed(stack: Stack, data: Tensor, batch_sizes: Tensor, state: State) -> tuple[Tensor, State]:
    """Run a stack of layers over packed data [M, I]; rows are sorted, longest first."""
    sizes = batch_sizes.numpy()
    falls = bool((sizes[1:] <= sizes[:-1]).all()) and sizes[-1] > 0 and sizes.sum() == len(data)
    if not data.size(-1) or not falls or not alike(stack, data, state):
        return torch_native.run_packed(stack, data, batch_sizes, state)
    offset = np.concatenate(([0], np.cumsum(sizes)))
    length = np.searchsorted(-sizes, -np.arange(sizes[0]))
    plan = Plan.of(int(sizes[0]), len(sizes), offset, None, None, length, packed=True)
    return _run_layers(stack, data, state, plan, rounds=False)


def alike(stack: Stack, input: Tensor, state: State) -> bool:
    """Say whether weights and state fit the input, in dtype, place and shape: the kernels rely on it.

    Where they do not (weights are read by name, and may be anything), torch's kernels compute or complain.
    """
    dtype, rows = input.dtype, stack.directions
    output_size, gates = state[0].size(-1), stack.weights[1].size(0)
    hidden_size = gates // GATES[stack.mode]
    count = len(stack.weights) // (stack.num_layers * rows)
    plain = (gates, output_size)
    shapes = [(), plain] + ([(gates,)] * 2 if stack.bias else [])
    if count % 2 == 1:
        shapes.append((output_size, hidden_size))
    for other in (input, *state, *stack.weights):  # a generator would cost more than the test
        if other.dtype is not dtype or not other.is_cpu or other.is_neg():
            return False
    for index, weight in enumerate(stack.weights):
        shapes[0] = (gates, input.size(-1) if index < count * rows else rows * output_size)
        if weight.shape != shapes[index % count]:
            return False
    fits = hidden_size * GATES[stack.mode] == gates and state[-1].size(-1) == hidden_size
    return fits and (count % 2 == 1 or output_size == hidden_size)


def _run_layers(stack: Stack, input: Tensor, state: State, plan: Plan, rounds: bool) -> tuple[Tensor, State]:
    mode, weights, bias, num_layers, _, training, bidirectional, batch_first, _ = stack
    rows = 2 if bidirectional else 1
    count = len(weights) // num_layers
    projected = count // rows % 2 == 1
    hidden_size = weights[1].size(0) // GATES[mode]
    grad_mode = torch.is_grad_enabled()
    finals: list[tuple[Tensor, ...]] = []
    for index in range(num_layers):
        own = weights[index * count : (index + 1) * count] if num_layers > 1 else weights
        began = state if num_layers == 1 else tuple(part[index * rows : (index + 1) * rows] for part in state)
        reads_tokens = input.dtype is torch.int64
        sizes = (own[0].size(0) if reads_tokens else input.size(-1), hidden_size, began[0].size(-1))
        layer = Layer(mode, sizes, rows, bias, projected, batch_first, plan, rounds, reads_tokens)
        cell = began[1] if len(began) == 2 else None
        if grad_mode and _needs_gradient(input, *own, *began):
            input, *final = _Recurrence.apply(layer, input, began[0], cell, *own)
        else:
            input, *final = _forward(layer, input, began[0], cell, own, None)
        finals.append(tuple(final[: len(began)]))
        if index < num_layers - 1 and stack.dropout > 0 and training:
            input = dropout(input, stack.dropout, True)
    if num_layers == 1:
        return input, finals[0]
    return input, tuple(torch.cat(parts) for parts in zip(*finals, strict=True))


def _needs_gradient(*tensors: Tensor) -> bool:
    for tensor in tensors:
        if tensor.requires_grad:
            return True
    return False


def _forward(
    layer: Layer,
    input: Tensor,
    hidden: Tensor,
    cell: Tensor | None,
    weights: Sequence[Tensor],
    saved: list[Tensor] | None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Run a layer; what backward needs goes to `saved`, if it is a list: one block for each direction."""
    vectors, tokens = (None, input) if layer.reads_tokens else (readable(input), None)
    hidden = hidden.contiguous()
    weights = [weight.contiguous() for weight in weights]
    dtype, count = hidden.dtype, layer.directions
    is_double = dtype is torch.float64
    shape = (*(input.shape if vectors is None else input.shape[:-1]), count * layer.sizes[2])
    whole = layer.plan.row is None
    output = torch.empty(shape, dtype=dtype) if whole else torch.zeros(shape, dtype=dtype)
    final_hidden = torch.empty(hidden.shape, dtype=dtype)
    final_cell = None
    if cell is not None:
        cell = cell.contiguous()
        final_cell = torch.empty(cell.shape, dtype=dtype)
    if saved is not None:
        fields_of_layer = (MODE_NUMBERS[layer.mode], *layer.sizes)
        each = saved_numbers(fields_of_layer, layer.projected, is_double, native.vector_bytes())
        saved += [torch.empty(each * layer.plan.real_steps, dtype=dtype) for _ in range(count)]
    fields = fields_of(layer, saved is not None, vectors, output, None, None, tokens)
    states = [addresses(part, count) for part in (hidden, cell, final_hidden, final_cell)]
    for d in range(count):
        fields += weight_addresses(layer, weights, d)
        fields += [part[d] for part in states]
        fields.append(0 if saved is None else saved[d].data_ptr())
        fields += NO_GRADIENTS
    if layer.rounds:
        native.forward_rounded(tuple(fields))
    else:
        native.forward(is_double, tuple(fields))
    return output, final_hidden, final_cell


class _Recurrence(torch.autograd.Function):
    """One layer over time, with its gradient."""

    @staticmethod
    def forward(
        ctx: Any, layer: Layer, input: Tensor, hidden: Tensor, cell: Tensor | None, *weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        ctx.set_materialize_grads(False)
        ctx.layer, ctx.saved = layer, []
        results = _forward(layer, input, hidden, cell, list(weights), ctx.saved)
        ctx.save_for_backward(input, hidden, cell, results[0], *weights)
        return results

    @staticmethod
    def backward(
        ctx: Any, d_output: Tensor | None, d_hidden: Tensor | None, d_cell: Tensor | None = None
    ) -> tuple[Any, ...]:
        input, hidden, cell, output, *weights = ctx.saved_tensors
        needed = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():
            inputs = (input, hidden, cell, *weights)
            return None, *differentiable(ctx.layer, inputs, needed, (d_output, d_hidden, d_cell))
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
    weights: Sequence[Tensor],
    output: Tensor,
    saved: list[Tensor],
    upstream: tuple[Tensor | None, Tensor | None, Tensor | None],
    needed: tuple[bool, ...],
) -> list[Tensor | None]:
    """Give the gradients of input, hidden, cell and weights; None for those not needed."""
    vectors, tokens = (None, input) if layer.reads_tokens else (readable(input), None)
    hidden = hidden.contiguous()
    cell = None if cell is None else cell.contiguous()
    weights = [weight.contiguous() for weight in weights]
    d_output = None if upstream[0] is None else readable(upstream[0])
    d_final = [None if part is None else part.contiguous() for part in upstream[1:]]
    dtype, count = hidden.dtype, layer.directions
    d_input = None
    if needed[0]:
        make = torch.empty if layer.plan.row is None else torch.zeros
        d_input = make(input.shape, dtype=dtype)
    d_hidden = torch.empty(hidden.shape, dtype=dtype) if needed[1] else None
    d_cell = torch.empty(cell.shape, dtype=dtype) if cell is not None and needed[2] else None
    d_weights = [
        torch.empty(weight.shape, dtype=dtype) if need else None
        for weight, need in zip(weights, needed[3:], strict=True)
    ]
    fields = fields_of(layer, True, vectors, output, d_output, d_input, tokens)
    states = [addresses(part, count) for part in (hidden, cell)]
    d_states = [addresses(part, count) for part in (*d_final, d_hidden, d_cell)]
    for d in range(count):
        fields += weight_addresses(layer, weights, d)
        fields += (states[0][d], states[1][d], 0, 0, saved[d].data_ptr())
        fields += [part[d] for part in d_states]
        fields += weight_addresses(layer, d_weights, d)
    native.backward(dtype is torch.float64, tuple(fields))
    return [d_input, d_hidden, d_cell, *d_weights]
