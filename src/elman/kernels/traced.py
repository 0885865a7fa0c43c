"""The recurrence as one opaque operator, for torch.compile and torch.export.

Shape legend: B batch, T time, H hidden, L layers, D directions.

Traced as it is, a recurrence would be unrolled: a graph as long as the first batch, valid for that length
only, and lengths and resets could not be traced at all. So a traced program holds `elman::recurrence`, which
runs the same backends as an untraced one. Its gradient runs the recurrence once more and differentiates that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import dropout

from elman.cells import State
from elman.kernels import dispatch
from elman.kernels.stack import Fresh, Stack, autocast_dtype, result_dtype
from elman.padded import check_lengths

ARGUMENTS = (
    "Tensor input, Tensor[] state, Tensor[] weights, Tensor? lengths, Tensor? reset, Tensor[] afresh, "
    "str mode, bool bias, int num_layers, bool bidirectional, bool batch_first, ScalarType? autocast"
)


def run(
    stack: Stack,
    input: Tensor,
    state: State,
    *,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    fresh: Fresh,
    fresh_rows: int = 1,
) -> tuple[Tensor, State]:
    """Put a stack of layers into a traced program; arguments and results as in reference.py:run.

    Args:
        fresh_rows: how many different fresh states cuts may need; 1 when all are alike.
    """
    autocast = autocast_dtype(input)
    # Dropout is left to the tracer, which knows how to draw again the same way in the backward pass.
    pieces = [stack] if stack.dropout == 0 or not stack.training else stack.single_layers()
    afresh = [] if reset is None else list(fresh(fresh_rows))
    rows = state[0].size(0) // len(pieces)
    finals = []
    for index, piece in enumerate(pieces):
        if index > 0:
            input = dropout(input, stack.dropout)
        own = slice(index * rows, (index + 1) * rows)
        output, *final = _recurrence(
            input,
            [part[own] for part in state],
            piece.weights,
            lengths,
            reset,
            [part[own] for part in afresh],
            piece.mode,
            piece.bias,
            piece.num_layers,
            piece.bidirectional,
            piece.batch_first,
            autocast,
        )
        finals.append(final[: len(state)])
        input = output
    return input, tuple(torch.cat(parts) for parts in zip(*finals, strict=True))


def _run_untraced(
    input: Tensor,
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    reset: Tensor | None,
    afresh: Sequence[Tensor],
    mode: str,
    bias: bool,
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
    autocast: torch.dtype | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Give what the operator gives: (output, hidden, cell); the last is empty where there is no cell."""
    stack = Stack(mode, list(weights), bias, num_layers, 0.0, False, bidirectional, batch_first)
    device = input.device.type

    def fresh(rows: int) -> State:
        return tuple(part.expand(-1, rows, -1) if part.size(1) == 1 else part[:, :rows] for part in afresh)

    if lengths is not None:  # only now are the numbers there to be looked at
        lengths = check_lengths(lengths, state[0].size(1), input.size(1 if batch_first else 0))
    with torch.autocast(device, autocast) if autocast is not None else nullcontext():
        output, final = dispatch.run(stack, input, tuple(state), lengths=lengths, reset=reset, fresh=fresh)
    dtype = result_dtype(input, mode, autocast)
    cell = final[1] if len(final) == 2 else input.new_empty(0)
    # Fresh and contiguous: an operator may not give back what it was given, and tracers rely on the layout.
    hidden, cell = (part.to(dtype).clone(memory_format=torch.contiguous_format) for part in (final[0], cell))
    return output.to(dtype).contiguous(), hidden, cell


_recurrence = torch.library.custom_op(
    "elman::recurrence",
    _run_untraced,
    mutates_args=(),
    schema=f"({ARGUMENTS}) -> (Tensor, Tensor, Tensor)",
)


@_recurrence.register_fake
def _shapes(
    input: Tensor, state: Sequence[Tensor], weights: Sequence[Tensor], *settings: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """Give empty tensors of the operator's shapes: all that a tracer needs to know."""
    mode, bidirectional, autocast = settings[3], settings[6], settings[8]
    dtype = result_dtype(input, mode, autocast)
    width = state[0].size(-1) * (2 if bidirectional else 1)
    output = input.new_empty(input.size(0), input.size(1), width, dtype=dtype)
    hidden = input.new_empty(state[0].shape, dtype=dtype)
    cell = input.new_empty(state[1].shape if len(state) == 2 else (0,), dtype=dtype)
    return output, hidden, cell


@torch.library.custom_op(
    "elman::recurrence_backward",
    mutates_args=(),
    schema=f"(Tensor[] upstream, {ARGUMENTS}) -> Tensor[]",
)
def _recurrence_backward(
    upstream: Sequence[Tensor],
    input: Tensor,
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    reset: Tensor | None,
    afresh: Sequence[Tensor],
    *settings: Any,
) -> list[Tensor]:
    """Give the gradients of input, state, weights and afresh, in this order: run again and differentiate."""
    leaves = [each.detach().requires_grad_() for each in (input, *state, *weights, *afresh)]
    n, m = 1 + len(state), 1 + len(state) + len(weights)
    with _differentiable():
        results = _run_untraced(leaves[0], leaves[1:n], leaves[n:m], lengths, reset, leaves[m:], *settings)
        roots = [
            (result, seed) for result, seed in zip(results, upstream, strict=True) if result.requires_grad
        ]
        gradients = torch.autograd.grad(
            [result for result, _ in roots],
            leaves,
            [seed for _, seed in roots],
            allow_unused=True,
            materialize_grads=True,
        )
    return [gradient.clone(memory_format=torch.contiguous_format) for gradient in gradients]


@_recurrence_backward.register_fake
def _gradient_shapes(
    upstream: Sequence[Tensor],
    input: Tensor,
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    reset: Tensor | None,
    afresh: Sequence[Tensor],
    *settings: Any,
) -> list[Tensor]:
    return [each.new_empty(each.shape) for each in (input, *state, *weights, *afresh)]


@contextmanager
def _differentiable() -> Iterator[None]:
    """Let autograd record inside an operator, where torch has switched it off by excluding its keys."""
    include = torch._C._dispatch_tls_local_include_set()
    exclude = torch._C._dispatch_tls_local_exclude_set()
    for key in (torch._C.DispatchKey.AutogradCPU, torch._C.DispatchKey.ADInplaceOrView):
        exclude = exclude.remove(key)
    with torch._C._ForceDispatchKeyGuard(include, exclude), torch.enable_grad():
        yield


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    input, state, weights, lengths, reset, afresh, *settings = inputs
    ctx.save_for_backward(input, *state, *weights, *afresh, lengths, reset)
    ctx.counts = len(state), len(weights), len(afresh)
    ctx.settings = settings


def _backward(ctx: Any, *upstream: Tensor) -> tuple[Any, ...]:
    *tensors, lengths, reset = ctx.saved_tensors
    states, weights, _ = ctx.counts
    n, m = 1 + states, 1 + states + weights
    gradients = _recurrence_backward(
        list(upstream), tensors[0], tensors[1:n], tensors[n:m], lengths, reset, tensors[m:], *ctx.settings
    )
    nothing = [None] * len(ctx.settings)
    return gradients[0], gradients[1:n], gradients[n:m], None, None, gradients[m:], *nothing


_recurrence.register_autograd(_backward, setup_context=_save)
