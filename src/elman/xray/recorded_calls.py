"""RECORDED CALLS: what each submodule was given and what it gave, in the order in which calls ended.

Shape legend: B batch, T time.

Modules put rows and steps where they like: [B, T, H], [T, B, H], [B, C, T], [L*D, B, H]. `find_axes` tells
them apart by what changes when the module is run on one row alone, and on the same rows with more padding.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence, pad_sequence

from elman.padded import Padded


@dataclass(frozen=True)
class Found:
    """A tensor inside a value that a module took or gave.

    Args:
        value: the tensor, a packed sequence unpacked.
        node: where it stands in the graph of gradients: the tensor itself, or the packed data.
    """

    value: Tensor
    node: Tensor


@dataclass(frozen=True)
class Call:
    """One call of a submodule.

    Args:
        name: its dotted name; "" is the module itself.
        module: the submodule.
        inputs, outputs: the tensors in what it took and gave, by their path.
    """

    name: str
    module: nn.Module
    inputs: dict[str, Found]
    outputs: dict[str, Found]


@dataclass(frozen=True)
class Axes:
    """Which dimension of a tensor counts rows, and which steps; None where there is none.

    Example:
        >>> Axes(rows=1, steps=0).arrange(torch.zeros(5, 2, 3)).shape
        torch.Size([2, 5, 3])
    """

    rows: int | None
    steps: int | None

    def arrange(self, value: Tensor) -> Tensor:
        """Return a tensor with rows first and steps second, where it has them."""
        kept = [axis for axis in (self.rows, self.steps) if axis is not None]
        return value.movedim(kept, list(range(len(kept))))

    def fits(self, value: Tensor) -> bool:
        """Say whether a tensor has as many dimensions as these."""
        return all(axis is None or axis < value.dim() for axis in (self.rows, self.steps))


@dataclass(frozen=True)
class Sizes:
    """The sizes of the batches by whose runs axes are found.

    Args:
        rows: B.
        steps: T.
        longest: the longest length.
        alone: the length of the row that was run alone.
        more: steps of padding that were added in the longer run.
    """

    rows: int
    steps: int
    longest: int
    alone: int
    more: int


def tensors_in(value: Any, path: str) -> dict[str, Found]:
    """Return the tensors in a value, by their path in it, whatever it is made of.

    Args:
        value: a tensor, a packed sequence, a `Padded`, or tuples, lists, dicts and dataclasses of them.
        path: what the value itself is called.

    Example:
        >>> list(tensors_in((torch.zeros(1), {"h": torch.zeros(2)}), "output"))
        ['output[0]', "output[1]['h']"]
    """
    if isinstance(value, PackedSequence):
        return {path: Found(pad_packed_sequence(value, batch_first=True)[0], value.data)}
    if isinstance(value, Padded):
        return {path: Found(value.data, value.data)}
    if isinstance(value, Tensor):
        return {path: Found(value, value)}
    if isinstance(value, Mapping):
        inner = [(f"{path}[{key!r}]", item) for key, item in value.items()]
    elif isinstance(value, tuple | list):
        inner = [(f"{path}[{place}]", item) for place, item in enumerate(value)]
    elif is_dataclass(value) and not isinstance(value, type):
        inner = [(f"{path}.{member.name}", getattr(value, member.name)) for member in fields(value)]
    else:
        inner = []
    return {name: found for place, item in inner for name, found in tensors_in(item, place).items()}


def numbered(calls: Sequence[Call]) -> dict[tuple[str, int], Call]:
    """Return calls by the submodule's name and how often it was called before."""
    counts: dict[str, int] = {}
    found = {}
    for call in calls:
        counts[call.name] = counts.get(call.name, -1) + 1
        found[call.name, counts[call.name]] = call
    return found


def together(value: Any) -> Any:
    """Return a result with every list of alike tensors as one tensor: a list with a tensor for each row.

    Example:
        >>> together({"rows": [torch.ones(3, 5), torch.ones(2, 5)]})["rows"].shape
        torch.Size([2, 3, 5])
    """
    if isinstance(value, dict):
        return {key: together(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        items = [together(item) for item in value]
        shapes = {item.shape[1:] if isinstance(item, Tensor) else None for item in items}
        if type(value) is tuple or len(shapes) != 1 or None in shapes:
            return type(value)(items)
        if items[0].dim() == 0:
            return torch.stack(items)
        return pad_sequence(items, batch_first=True)
    return value


def flat_paths(outputs: Mapping[str, Found], lengths: Tensor, steps: int) -> set[str]:
    """Return which outputs hold steps one row after the other, the real ones or all.

    Args:
        outputs: of a batch.
        lengths [B]: its real steps.
        steps: T.
    """
    rows, real = len(lengths), int(lengths.sum())
    counts = {path: each.value.size(0) for path, each in outputs.items() if each.value.dim()}
    return {
        path
        for path, count in counts.items()
        if count in (real, rows * steps) and count not in (0, rows, steps)
    }


def with_rows(outputs: Mapping[str, Found], flat: Collection[str], lengths: Tensor) -> dict[str, Found]:
    """Return outputs with the steps of each row beside each other, [B, T, ...], where they were `flat`.

    Example:
        >>> given = {"output": Found(torch.zeros(5, 7), torch.zeros(5, 7))}
        >>> with_rows(given, ["output"], torch.tensor([3, 2]))["output"].value.shape
        torch.Size([2, 3, 7])
    """
    found = dict(outputs)
    for path in found.keys() & set(flat):
        value = found[path].value
        if value.dim() and value.size(0) == int(lengths.sum()):
            value = pad_sequence(value.split(lengths.tolist()), batch_first=True)
        elif value.dim() and value.size(0) % len(lengths) == 0:
            value = value.unflatten(0, (len(lengths), -1))
        found[path] = replace(found[path], value=value)
    return found


@contextmanager
def recording(module: nn.Module) -> Iterator[list[Call]]:
    """Record every call of the module and of its submodules inside the block; a call is listed when it ends.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
        >>> with recording(network) as calls:
        ...     _ = network(torch.zeros(1, 2))
        >>> [call.name for call in calls]
        ['0', '1', '']
    """
    calls: list[Call] = []
    hooks = []

    def hook_for(name: str) -> Any:
        def hook(inner: nn.Module, arguments: Any, keywords: Any, output: Any) -> None:
            inputs = _kept(tensors_in(arguments, "input") | tensors_in(keywords, "input"))
            calls.append(Call(name, inner, inputs, _kept(tensors_in(output, "output"))))

        return hook

    try:
        for name, inner in module.named_modules():
            hooks.append(inner.register_forward_hook(hook_for(name), with_kwargs=True))
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def _kept(found: dict[str, Found]) -> dict[str, Found]:
    """Return copies of the values, which later steps may overwrite in their place."""
    return {path: Found(each.value.detach().clone(), each.node) for path, each in found.items()}


def find_axes(
    shape: Sequence[int],
    alones: Sequence[Sequence[int] | None],
    longer: Sequence[int] | None,
    sizes: Sizes,
) -> Axes:
    """Return which dimension counts rows and which steps.

    Args:
        shape: of the tensor when the whole batch is run.
        alones: its shapes when the row of `sizes.alone` is run alone, and others; None where it is not there.
        longer: its shape when there is more padding; None likewise.
        sizes: of these batches.

    Example:
        >>> find_axes((2, 2, 8), [(2, 1, 8)], (2, 2, 8), Sizes(rows=2, steps=5, longest=5, alone=3, more=3))
        Axes(rows=1, steps=None)
    """
    alike = [one if one is not None and len(one) == len(shape) else None for one in alones]
    alone = alike[0] if alike else None
    longer = longer if longer is not None and len(longer) == len(shape) else None
    rows = steps = None
    for axis, size in enumerate(shape):
        if size == sizes.rows and all(one is None or one[axis] == 1 for one in alike):
            rows = axis
            break
    for axis, size in enumerate(shape):
        if axis != rows and _counts_steps(axis, size, alone, longer, sizes):
            steps = axis
            break
    return Axes(rows, steps)


def _counts_steps(
    axis: int, size: int, alone: Sequence[int] | None, longer: Sequence[int] | None, sizes: Sizes
) -> bool:
    if longer is None and alone is None:
        return size == sizes.steps
    if longer is not None and size == sizes.steps and longer[axis] == size + sizes.more:
        return True
    if longer is None and size == sizes.steps and alone is not None and alone[axis] == size:
        return axis <= 1  # a module that takes no more steps: the first place that can count them
    # Unpacked sequences end with the longest row. Where no row is shorter, every step is real.
    is_packed = size == sizes.longest and sizes.alone < sizes.longest
    return is_packed and alone is not None and alone[axis] == sizes.alone


def fit_to(first: Tensor, second: Tensor, leading: int) -> tuple[Tensor, Tensor] | None:
    """Return two tensors cut to the same size behind their leading dimensions; None if they do not fit.

    Weights of attention have a second dimension of steps, which grows with the padding like the first.
    """
    if first.dim() != second.dim():
        return None
    for axis in range(leading, first.dim()):
        size = min(first.size(axis), second.size(axis))
        first, second = first.narrow(axis, 0, size), second.narrow(axis, 0, size)
    return first, second


def largest_difference(first: Tensor, second: Tensor) -> Tensor:
    """Return the largest difference of each row, [B]; infinite where one alone is not a number.

    Example:
        >>> largest_difference(torch.tensor([[1., 2.], [0., 0.]]), torch.tensor([[1., 5.], [0., torch.nan]]))
        tensor([3., inf], dtype=torch.float64)
    """
    first, second = first.detach().to(torch.float64), second.detach().to(torch.float64)
    apart = (first - second).abs()
    same = (first == second) | (first.isnan() & second.isnan())
    apart = torch.where(same, 0.0, torch.where(apart.isnan(), torch.inf, apart))
    if apart.numel() == 0:
        return apart.new_zeros(apart.size(0))
    return apart.flatten(1).amax(1) if apart.dim() > 1 else apart
