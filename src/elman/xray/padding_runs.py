"""PADDING RUNS: run a module on one batch, and set two runs beside each other on their real steps alone.

Shape legend: B batch, T time.
"""

import inspect
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from elman.errors import ConfigError
from elman.nn.dropout import DROPOUTS
from elman.padded import mask_of
from elman.xray.padding_probes import MORE_STEPS, Given
from elman.xray.recorded_calls import (
    Axes,
    Call,
    Found,
    Sizes,
    find_axes,
    fit_to,
    largest_difference,
    numbered,
    recording,
    tensors_in,
    together,
)
from elman.xray.untouched import buffers_of, put_back

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""How far values may differ, relative to the largest of a tensor, or to one.

Another shape of batch adds the same numbers in another order: a few units in the last place (2e-16, 1e-7,
1e-3, 8e-3) for each product and step. These bounds allow many of them; a step too many changes far more.
"""

GRADIENT_FACTOR = 10.0
"""Gradients are sums over rows and steps as well, so that their bound is so much wider."""

Key = tuple[str, int, str, str]
"""A recorded tensor: submodule, how often it was called before, "input" or "output", path."""


@dataclass
class Ran:
    """What came out of one run of a module.

    Args:
        given: the batch.
        data: the tensor that was handed in; gradients flow to it if it holds numbers.
        outputs: the tensors in the result, by path.
        calls: of every submodule.
    """

    given: Given
    data: Tensor
    outputs: dict[str, Found]
    calls: list[Call]


@dataclass
class Layout:
    """Which dimensions count rows and steps, for each output and each recorded tensor of a module."""

    outputs: dict[str, Axes] = field(default_factory=dict)
    calls: dict[Key, Axes] = field(default_factory=dict)


@dataclass(frozen=True)
class Apart:
    """Where two runs differ most.

    Args:
        difference: the largest difference.
        row: of the batch; None where there are none.
        path: of the tensor.
    """

    difference: float
    row: int | None
    path: str


def run(module: nn.Module, given: Given) -> Ran:
    """Run a module as `module(x, lengths)`, or with `lengths=` where its `forward` wants the name."""
    data = given.data.detach().clone()
    if data.is_floating_point():
        data.requires_grad_(True)
    lengths = given.lengths.clone()  # a forward may write into them
    with recording(module) as calls:
        if takes_lengths_by_name(module):
            result = module(data, lengths=lengths)
        else:
            result = module(data, lengths)
    return Ran(given, data, tensors_in(together(result), "output"), calls)


def unsqueezed(one: Ran, base: Ran) -> Ran:
    """Return the run of one row with the dimension of rows where `squeeze()` took it away."""
    count = base.given.data.size(0)

    def whole(found: dict[str, Found], like: Mapping[str, Found]) -> dict[str, Found]:
        mended = {}
        for path, each in found.items():
            other, value = like.get(path), each.value
            if other is not None and count > 1 and value.dim() == other.value.dim() - 1:
                if count in other.value.shape:
                    value = value.unsqueeze(list(other.value.shape).index(count))
            mended[path] = Found(value, each.node)
        return mended

    theirs = numbered(base.calls)
    calls = []
    for key, call in numbered(one.calls).items():
        other = theirs.get(key)
        if other is not None:
            inputs, outputs = whole(call.inputs, other.inputs), whole(call.outputs, other.outputs)
            call = replace(call, inputs=inputs, outputs=outputs)
        calls.append(call)
    return replace(one, outputs=whole(one.outputs, base.outputs), calls=calls)


def takes_lengths_by_name(module: nn.Module) -> bool:
    """Say whether `lengths` can only be given by name, as elman's layers take it."""
    named = inspect.signature(module.forward).parameters.get("lengths")
    return named is not None and named.kind is inspect.Parameter.KEYWORD_ONLY


def first_run(module: nn.Module, given: Given) -> Ran:
    """Run a module for the first time.

    Raises:
        ConfigError: it cannot be called so, or gives no tensor.
    """
    if isinstance(module, nn.RNNBase) and not module.batch_first:
        raise ConfigError(
            f"{type(module).__name__} reads [time, batch, ...], but the example is [batch, time, ...]; "
            "build it with batch_first=True."
        )
    try:
        ran = run(module, given)
    except Exception as error:  # whatever a module of somebody else raises
        raise ConfigError(
            f"module(x, lengths) with x {tuple(given.data.shape)} {given.data.dtype} and lengths "
            f"{given.lengths.tolist()} failed: {type(error).__name__}: {error}. Expected a module that is "
            "called so; give another one a module around it whose forward(x, lengths) calls it."
        ) from error
    if not ran.outputs:
        raise ConfigError(
            "module(x, lengths) gave no tensor; expected a tensor, or a tuple, dict, dataclass, Padded or "
            "packed sequence with tensors in it."
        )
    return ran


def lay_out(base: Ran, alone: Sequence[Ran], longer: Ran | None) -> Layout:
    """Return the axes of every tensor of a run, from runs of single rows and with more padding."""
    given = base.given
    by_length = sorted(alone, key=lambda each: int(each.given.lengths[0]))
    runs = [*by_length[:1], *by_length[-1:]]  # of one step alone, steps look like rows
    sizes = Sizes(
        rows=given.data.size(0),
        steps=given.data.size(1),
        longest=int(given.lengths.max()),
        alone=int(runs[0].given.lengths[0]) if runs else int(given.lengths.max()),
        more=MORE_STEPS,
    )

    def axes(found: Found, ones: Sequence[Found | None], more: Found | None) -> Axes:
        shapes = [each.value.shape if each else None for each in ones]
        return find_axes(found.value.shape, shapes, more.value.shape if more else None, sizes)

    more = longer.outputs if longer else {}
    outputs = {
        path: axes(found, [each.outputs.get(path) for each in runs], more.get(path))
        for path, found in base.outputs.items()
    }
    layout = Layout(outputs)
    one_calls = [_by_key(each.calls) for each in runs]
    more_calls = _by_key(longer.calls) if longer else {}
    for key, found in _by_key(base.calls).items():
        layout.calls[key] = axes(found, [each.get(key) for each in one_calls], more_calls.get(key))
    return layout


def _by_key(calls: Sequence[Call]) -> dict[Key, Found]:
    found = {}
    for (name, place), call in numbered(calls).items():
        for side, tensors in (("input", call.inputs), ("output", call.outputs)):
            for path, each in tensors.items():
                found[name, place, side, path] = each
    return found


def compare(
    first: Tensor, second: Tensor, axes: Axes, lengths: Tensor, rows: Sequence[tuple[int, int]]
) -> tuple[float, int | None, float] | None:
    """Return the largest difference on real steps, its row, and the size of what was compared.

    Args:
        first, second: the same tensor of two runs.
        axes: which of its dimensions count rows and steps.
        lengths [B]: real steps of the first run's rows.
        rows: (row of the first, row of the second).

    Returns:
        None where they cannot be set beside each other.
    """
    if first.dim() != second.dim() or not axes.fits(first):
        return None
    if axes.rows is None and axes.steps is None:
        if first.shape != second.shape:
            return None
        apart = largest_difference(first.unsqueeze(0), second.unsqueeze(0))
        return float(apart[0]), None, _size(first)
    if axes.rows is None:
        return None
    ours, theirs = axes.arrange(first), axes.arrange(second)
    if max(own for own, _ in rows) >= ours.size(0) or max(other for _, other in rows) >= theirs.size(0):
        return None
    ours, theirs = ours[[own for own, _ in rows]], theirs[[other for _, other in rows]]
    pair = fit_to(ours, theirs, 1)
    if pair is None or (axes.steps is None and ours.shape != theirs.shape):
        return None
    ours, theirs = pair
    if axes.steps is not None:
        own_lengths = lengths.cpu()[[own for own, _ in rows]]
        if int(own_lengths.max()) > ours.size(1):
            return None
        mask = mask_of(own_lengths, ours.size(1), ours.device)
        mask = mask.reshape(*mask.shape, *(1 for _ in ours.shape[2:]))
        ours, theirs = torch.where(mask, ours, 0), torch.where(mask, theirs, 0)
    apart = largest_difference(ours, theirs)
    worst = int(apart.argmax())
    return float(apart[worst]), rows[worst][0], _size(ours)


def _size(value: Tensor) -> float:
    if value.numel() == 0:
        return 1.0
    largest = float(value.detach().to(torch.float64).abs().nan_to_num().max())
    return max(1.0, largest)


def bound(value: Tensor, size: float) -> float:
    """Return how far values of this dtype and size may differ."""
    return TOLERANCE.get(value.dtype, 0.0) * size


def gradients(module: nn.Module, ran: Ran, layout: Layout, *, whole: bool) -> dict[str, Tensor]:
    """Return the gradients of the weighed sum of all real outputs; the input's is called "input".

    Args:
        module: the module.
        ran: its run.
        layout: of its outputs.
        whole: whether outputs without rows count too.
    """
    named = {name: value for name, value in module.named_parameters() if value.requires_grad}
    wanted = named | ({"input": ran.data} if ran.data.requires_grad else {})
    total = weighed_sum(ran, layout, whole=whole)
    if total is None or not wanted:
        return {}
    found = torch.autograd.grad(
        total, list(wanted.values()), allow_unused=True, materialize_grads=True, retain_graph=True
    )
    return dict(zip(wanted, found, strict=True))


def weighed_sum(ran: Ran, layout: Layout, *, whole: bool) -> Tensor | None:
    """Return a sum of all real outputs with fixed weights; a plain sum of a softmax has no gradient."""
    total = None
    for path, found in ran.outputs.items():
        axes, value = layout.outputs.get(path), found.value
        if axes is None or not axes.fits(value) or not value.is_floating_point() or not value.requires_grad:
            continue
        if axes.rows is None:
            if not whole or axes.steps is not None:
                continue
            part = (value * _weights(value.shape, value)).sum()
        else:
            arranged = axes.arrange(value)
            if axes.steps is None:
                part = (arranged * _weights(arranged.shape[1:], value)).sum()
            else:
                if arranged.size(1) < int(ran.given.lengths.max()):
                    continue
                mask = mask_of(ran.given.lengths.cpu(), arranged.size(1), arranged.device)
                part = (arranged * _weights(arranged.shape[1:], value))[mask].sum()
        total = part if total is None else total + part
    return total


def _weights(shape: Sequence[int], like: Tensor) -> Tensor:
    """Return weights whose value at a place does not depend on how long any dimension is."""
    weights = torch.ones(tuple(shape), dtype=torch.float64)
    for axis, size in enumerate(shape):
        line = 1 + 0.5 * torch.cos(1.7 * torch.arange(size, dtype=torch.float64) + axis)
        weights = weights * line.reshape(*(size if place == axis else 1 for place in range(len(shape))))
    return weights.to(like)


def used_tensors(ran: Ran, layout: Layout) -> set[Key]:
    """Return the recorded outputs on which the real outputs depend; those of no gradient count as used."""
    total = weighed_sum(ran, layout, whole=True)
    recorded = _by_key(ran.calls)
    everything = {key: recorded[key] for key in recorded if key[2] == "output"}
    if total is None:
        return set(everything)
    asked = {key: found for key, found in everything.items() if found.node.requires_grad}
    if not asked:
        return set(everything)
    # None for what is not read; torch's types know only of tensors.
    found: Sequence[Tensor | None] = torch.autograd.grad(
        total, [each.node for each in asked.values()], allow_unused=True, retain_graph=True
    )
    read = {key for key, gradient in zip(asked, found, strict=True) if gradient is not None}
    return read | (set(everything) - set(asked))


def first_to_differ(
    base: Ran, other: Ran, layout: Layout, rows: Sequence[tuple[int, int]], used: set[Key]
) -> Call | None:
    """Return the first call whose real outputs differ between two runs although its real inputs agree."""
    theirs = _by_key(other.calls)
    verdicts: dict[Key, bool | None] = {}
    for key, found in _by_key(base.calls).items():
        pair = theirs.get(key)
        made = compare(found.value, pair.value, layout.calls[key], base.given.lengths, rows) if pair else None
        verdicts[key] = None if made is None else made[0] > bound(found.value, made[2])
    for (name, place), call in numbered(base.calls).items():
        ins = [verdicts[name, place, "input", path] for path in call.inputs]
        outs = [
            verdicts[name, place, "output", path]
            for path in call.outputs
            if (name, place, "output", path) in used
        ]
        if True in outs and True not in ins and (None not in ins):
            return call
    return None


@contextmanager
def untouched(module: nn.Module) -> Any:
    """Bring modes, buffers and the random state back to what they were before the block."""
    modes = [(inner, inner.training) for inner in module.modules()]
    buffers = buffers_of(module)
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=range(torch.cuda.device_count())))
        stack.enter_context(torch.enable_grad())
        # cuDNN has no backward pass for recurrent layers in evaluation mode.
        stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        try:
            yield
        finally:
            for inner, was_training in modes:
                inner.training = was_training
            put_back(buffers)


def set_mode(module: nn.Module, *, training: bool) -> None:
    """Set evaluation mode, or training mode with everything off that draws at random."""
    module.train(training)
    for inner in module.modules():
        if isinstance(inner, (nn.RNNBase, nn.modules.dropout._DropoutNd, *DROPOUTS.values())):
            inner.eval()


def differs(first: Mapping[str, Found], second: Mapping[str, Found]) -> bool:
    """Say whether two runs on the same batch gave other values."""
    return any(
        path not in second
        or found.value.shape != second[path].value.shape
        or not torch.allclose(
            found.value.detach().double(), second[path].value.detach().double(), equal_nan=True
        )
        for path, found in first.items()
    )
