"""SALIENCY: how much each step of the input, and each feature of it, did for one chosen number of the output.

Shape legend: B batch, T time, I input features.

    gradient x input        x * dF/dx
    integrated gradients    (x - x') * integral from 0 to 1 of dF/dx at x' + a (x - x') da

The input is what the first recurrent layer reads: numbers, or the vectors of tokens. The second sums to
F(x) - F(x') (completeness), the first does so only where F is linear.

Source: Sundararajan, Taly and Yan 2017, Axiomatic attribution for deep networks, eq. 1 and proposition 1;
gradient x input: Shrikumar et al. 2016, Not just a black box.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from elman.errors import ConfigError, ShapeError
from elman.xray.finite import check_finite
from elman.xray.json_form import json_form
from elman.xray.layer_record import recurrent_layers
from elman.xray.untouched import untouched

Output = Callable[[Any, Any], Any]
"""(model, batch) -> the number to explain, a tensor of one element."""

POINTS = 16
"""Points of the quadrature to begin with; for a smooth function these are many."""

MOST_POINTS = 256
"""Points after which a function with kinks is taken as it is."""

COMPLETE = 1e-3
"""Share of F(x) - F(x') by which the sum may miss it before more points are taken."""


@dataclass(frozen=True, eq=False)
class Saliency:
    """What the input did for one number of the output.

    Args:
        layer: the name of the layer whose input this is.
        gradient_times_input [B, T, I]: what its name says.
        integrated_gradients [B, T, I]: from an input of zeros.
        lengths [B]: real steps; beyond them all is zero in a model that is blind to padding.
        output: F(x).
        baseline_output: F of an input of zeros.
        gap: the sum of the integrated gradients less the difference of the two outputs.
        points: of the quadrature.
    """

    layer: str
    gradient_times_input: Tensor
    integrated_gradients: Tensor
    lengths: Tensor
    output: float
    baseline_output: float
    gap: float
    points: int

    @property
    def by_step(self) -> Tensor:
        """[B, T]: the integrated gradients of each step, that is of each token."""
        return self.integrated_gradients.sum(-1)

    def to_json(self) -> dict[str, Any]:
        """Return everything as dicts, lists and numbers.

        Example:
            >>> found = attribute(nn.GRU(2, 3), torch.ones(4, 1, 2), lambda gru, x: gru(x)[0][-1, 0, 1])
            >>> len(found.to_json()["by_step"][0])
            4
        """
        plain: dict[str, Any] = json_form(self)
        return plain | {"by_step": json_form(self.by_step)}


class _Reader:
    """A hook that hands the layer other inputs than it was given, the same at each of its calls."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.given: list[Tensor | PackedSequence] = []
        self.inputs: list[Tensor] | None = None
        self.place = 0
        self.lengths: Any = None

    def __call__(
        self, module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        given = args[0] if args else named["input"]
        if self.inputs is None:
            kept = (
                given._replace(data=given.data.detach().clone())
                if _is_packed(given)
                else given.detach().clone()
            )
            self.given.append(kept)
            self.lengths = named.get("lengths")
            return None
        chosen: Any = self.inputs[self.place]
        self.place += 1
        if _is_packed(given):
            chosen = given._replace(data=chosen)
        return ((chosen, *args[1:]), named) if args else (args, named | {"input": chosen})


def attribute(model: nn.Module, batch: Any, output: Output, *, layer: str | None = None) -> Saliency:
    """Attribute one number of the output to the input of a recurrent layer.

    Args:
        model: any module with recurrent layers; left as it was, as `examine` leaves it.
        batch: whatever `output` takes.
        output: (model, batch) -> the number to explain: a class's score, one step's forecast.
        layer: the name of the recurrent layer whose input counts; None: the first that is called.

    Raises:
        ConfigError: no such layer, or one that is not called; an output without a gradient.
        ShapeError: the output is not one number.
        DataError: the batch holds NaN or infinity.

    Example:
        >>> found = attribute(nn.LSTM(2, 3), torch.ones(4, 1, 2), lambda lstm, x: lstm(x)[0][-1, 0, 1])
        >>> found.by_step.shape, abs(found.gap) < 1e-5
        (torch.Size([1, 4]), True)
    """
    check_finite(batch)
    module, name = _choose(model, batch, output, layer)
    reader = _Reader(name)
    handle = module.register_forward_pre_hook(reader, with_kwargs=True)
    try:
        with untouched(model), torch.enable_grad():
            value = _run(model, batch, output, reader)
            given = [item.data if isinstance(item, PackedSequence) else item for item in reader.given]
            _, slopes = _differentiate(model, batch, output, reader, given)
            zeros = [torch.zeros_like(item) for item in given]
            baseline, _ = _differentiate(model, batch, output, reader, zeros)
            mean, points = _mean_gradient(model, batch, output, reader, given, value - baseline)
    finally:
        handle.remove()
    simple = [item * slope for item, slope in zip(given, slopes, strict=True)]
    whole = [item * slope for item, slope in zip(given, mean, strict=True)]
    gap = float(sum(float(item.double().sum()) for item in whole)) - (value - baseline)
    lengths = _lengths(module, reader)
    return Saliency(
        name,
        _rows(module, reader, simple),
        _rows(module, reader, whole),
        lengths,
        value,
        baseline,
        gap,
        points,
    )


def _mean_gradient(
    model: nn.Module, batch: Any, output: Output, reader: _Reader, given: list[Tensor], difference: float
) -> tuple[list[Tensor], int]:
    """Integrate the gradient along the straight line by Gauss and Legendre, until it is complete."""
    points = POINTS
    while True:
        nodes, weights = np.polynomial.legendre.leggauss(points)
        mean = [torch.zeros_like(item) for item in given]
        for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
            _, slopes = _differentiate(model, batch, output, reader, [item * node for item in given])
            for total, slope in zip(mean, slopes, strict=True):
                total += weight * slope
        total_sum = sum(float((item * slope).double().sum()) for item, slope in zip(given, mean, strict=True))
        if abs(total_sum - difference) <= COMPLETE * abs(difference) or points >= MOST_POINTS:
            return mean, points
        points *= 2


def _differentiate(
    model: nn.Module, batch: Any, output: Output, reader: _Reader, inputs: list[Tensor]
) -> tuple[float, list[Tensor]]:
    """Return the output for other inputs of the layer, and its gradient by them."""
    leaves = [item.detach().clone().requires_grad_() for item in inputs]
    reader.inputs, reader.place = leaves, 0
    found = output(model, batch)
    if not found.requires_grad:
        raise ConfigError(
            f"the output has no gradient by what layer {reader.name!r} reads; expected a number that is "
            "computed from it with the graph kept (no torch.no_grad, .item() or .argmax() on the way)."
        )
    slopes = torch.autograd.grad(found, leaves, allow_unused=True, materialize_grads=True)
    return float(found.detach()), list(slopes)


def _run(model: nn.Module, batch: Any, output: Output, reader: _Reader) -> float:
    """Run the model as it is, while the reader writes down what the layer reads."""
    found = output(model, batch)
    if not isinstance(found, Tensor) or found.numel() != 1:
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ShapeError(f"output gave {shape}, expected one number: choose a row, a step and a class.")
    if not reader.given:
        raise ConfigError(f"layer {reader.name!r} is never called; expected an output that is made from it.")
    return float(found.detach())


def _choose(model: nn.Module, batch: Any, output: Output, layer: str | None) -> tuple[nn.Module, str]:
    """Return the layer whose input is looked at."""
    layers = recurrent_layers(model)
    if layer is not None:
        for module, name in layers.items():
            if name == layer:
                return module, name
        raise ConfigError(f"no recurrent layer is called {layer!r}; expected one of {list(layers.values())}.")
    first: list[nn.Module] = []
    handles = [module.register_forward_pre_hook(lambda module, _: first.append(module)) for module in layers]
    try:
        with untouched(model), torch.no_grad():
            output(model, batch)
    finally:
        for handle in handles:
            handle.remove()
    if not first:
        raise ConfigError(f"the output calls none of the recurrent layers {list(layers.values())}.")
    return first[0], layers[first[0]]


def _is_packed(value: Any) -> bool:
    return isinstance(value, PackedSequence)


def _rows(module: nn.Module, reader: _Reader, values: list[Tensor]) -> Tensor:
    """Put what belongs to each call side by side, [B, T, I]."""
    rows = []
    for given, value in zip(reader.given, values, strict=True):
        if isinstance(given, PackedSequence):
            rows.append(pad_packed_sequence(given._replace(data=value), batch_first=True)[0])
        elif isinstance(module, nn.RNNCellBase):
            rows.append(value.unsqueeze(1) if value.dim() == 2 else value.reshape(1, 1, -1))
        elif value.dim() == 2:
            rows.append(value.unsqueeze(0))
        else:
            rows.append(value if module.batch_first else value.transpose(0, 1))
    return torch.cat(rows, 1).cpu()


def _lengths(module: nn.Module, reader: _Reader) -> Tensor:
    """Give the lengths that a packed sequence carries; all steps otherwise."""
    first = reader.given[0]
    if isinstance(first, PackedSequence):
        return pad_packed_sequence(first)[1]
    if reader.lengths is not None and len(reader.given) == 1:
        return torch.as_tensor(reader.lengths).reshape(-1).long().cpu()
    steps = _rows(module, reader, [item.data for item in reader.given])
    return torch.full((steps.size(0),), steps.size(1))
