"""LAYER RECORD: what each recurrent layer read and said in one forward pass, and what gradient reached it.

Shape legend: B batch, T time, I input features, H hidden, L layers, D directions.

Hooks on the layers write down each call. A hook hands on a copy of what the layer said, and the gradient is
taken by a copy in between. So a model that writes into what it got (`output[mask] = 0`) changes neither the
record nor the gradient; and of an LSTM's pair (h, c), whose h is made from c inside the step, the gradient by
c is that of the c which is handed on, whatever kernel made it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from elman.cells import State
from elman.errors import ConfigError, ShapeError, TrainingError

Loss = Callable[[Any, Any], Tensor]
"""(model, batch) -> a scalar."""

Said = Tensor | PackedSequence
RECURRENT = (nn.RNNBase, nn.RNNCellBase)


@dataclass(frozen=True, eq=False)
class Call:
    """One call of one recurrent layer, time first.

    Args:
        name: the layer's name in the model.
        input [T, B, I]: what it read.
        lengths [B]: real steps of each row.
        initial: the state it started from, each part [L*D, B, H]; None: its own.
        given: the very tensors of that state; whoever made them can be told by them.
        reset [B, T]: where rows were cut; None: nowhere.
        output [T, B, D*H]: what it said; None for a cell, whose state is its output.
        final: the state it ended in.
        returned: the very tensors of that state that the model went on with.
        weights: its weights at this call, in torch's order.
        output_gradient, final_gradient: of the loss, by what it said; filled in by `record`.
    """

    name: str
    module: nn.Module
    input: Tensor
    lengths: Tensor
    initial: State | None
    given: State
    reset: Tensor | None
    output: Tensor | None
    final: State
    returned: State
    weights: list[Tensor]
    output_gradient: Tensor | None = None
    final_gradient: State = ()


@dataclass(frozen=True, eq=False)
class Record:
    """One forward pass and one backward pass.

    Args:
        loss: its value.
        calls: of the recurrent layers, in the order in which they were made.
        gradients: of the parameters by name; None for those that the loss does not depend on.
        never_called: names of recurrent layers that the model holds and did not use.
    """

    loss: float
    calls: list[Call]
    gradients: dict[str, Tensor | None]
    never_called: list[str]


class _Recorder:
    """The hooks, and what they wrote down."""

    def __init__(self, names: dict[nn.Module, str]) -> None:
        self.names = names
        self.calls: list[Call] = []
        self.said: list[tuple[Said | None, State]] = []
        self.handles = [module.register_forward_hook(self, with_kwargs=True) for module in names]

    def __call__(self, module: nn.Module, given: tuple[Any, ...], named: dict[str, Any], said: Any) -> Any:
        input = given[0] if given else named["input"]
        state = given[1] if len(given) > 1 else named.get("hx")
        is_cell = isinstance(module, nn.RNNCellBase)
        output, final = (None, said) if is_cell else said
        final = (final,) if isinstance(final, Tensor) else tuple(final)
        watched = tuple(_watched(part) for part in final)
        copies = tuple(part.clone() for part in watched)
        parts = () if state is None else (state,) if isinstance(state, Tensor) else tuple(state)
        output_copy: Said | None = None
        seen: Said | None = None
        if isinstance(output, PackedSequence):
            seen = output._replace(data=_watched(output.data))
            output_copy = output._replace(data=seen.data.clone())
        elif output is not None:
            seen = _watched(output)
            output_copy = seen.clone()
        self.said.append((seen, watched))
        self.calls.append(_call(self.names[module], module, input, parts, named, output, final, copies))
        handed_on = copies if len(copies) > 1 else copies[0]
        return handed_on if is_cell else (output_copy, handed_on)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def recurrent_layers(model: nn.Module) -> dict[nn.Module, str]:
    """Return the recurrent layers of a model, torch's and elman's, with their names.

    Raises:
        ConfigError: there is none.

    Example:
        >>> list(recurrent_layers(nn.Sequential(nn.Linear(2, 3), nn.GRU(3, 4))).values())
        ['1']
    """
    found: dict[nn.Module, str] = {
        module: name for name, module in model.named_modules() if isinstance(module, RECURRENT)
    }
    if not found:
        raise ConfigError(
            f"{type(model).__name__} holds no recurrent layer; expected a torch.nn.RNN, GRU or LSTM, one of "
            "their cells, or elman's, as a submodule (a scripted model hides them: give the original)."
        )
    return found


def record(model: nn.Module, batch: Any, loss_fn: Loss) -> Record:
    """Run a model forward and backward once, and write down what its recurrent layers did.

    Args:
        loss_fn: (model, batch) -> scalar loss.

    Raises:
        ConfigError: no recurrent layer, or none that is called; a loss that is no scalar or has no gradient.
        TrainingError: the loss is not finite.

    Example:
        >>> layer = nn.GRU(2, 3)
        >>> found = record(layer, torch.ones(4, 1, 2), lambda layer, x: layer(x)[0].sum())
        >>> found.calls[0].output_gradient.shape
        torch.Size([4, 1, 3])
    """
    recorder = _Recorder(recurrent_layers(model))
    try:
        with torch.enable_grad():
            loss = loss_fn(model, batch)
    finally:
        recorder.remove()
    _check_loss(loss, model, recorder.calls)
    called = {call.name for call in recorder.calls}
    never = [name for name in recorder.names.values() if name not in called]
    if not called:
        raise ConfigError(
            f"the loss never calls {', '.join(never)}; expected a forward pass through at least one "
            "recurrent layer (is another model inside loss_fn?)."
        )
    parameters = {name: value for name, value in model.named_parameters() if value.requires_grad}
    wanted: list[Tensor] = list(parameters.values())
    for output, final in recorder.said:
        wanted += [part for part in _tensors(output, final) if part.requires_grad]
    try:
        found = torch.autograd.grad(loss, wanted, allow_unused=True)
    except RuntimeError as error:
        if "second time" not in str(error):
            raise
        raise ConfigError(
            "the graph of the loss is used up; expected loss_fn to return the loss before any backward pass "
            "(leave loss.backward() out of it: no gradient is to be added to the model's)."
        ) from error
    by_place = {id(value): gradient for value, gradient in zip(wanted, found, strict=True)}
    gradients = {name: by_place.get(id(value)) for name, value in model.named_parameters()}
    calls = [
        _with_gradients(call, said, by_place)
        for call, said in zip(recorder.calls, recorder.said, strict=True)
    ]
    return Record(float(loss.detach()), calls, gradients, never)


def _call(
    name: str,
    module: nn.Module,
    input: Said,
    parts: State,
    named: dict[str, Any],
    output: Said | None,
    final: State,
    copies: State,
) -> Call:
    """Write down one call, time first."""
    lengths = named.get("lengths")
    if isinstance(input, PackedSequence):
        x_TBI, lengths = pad_packed_sequence(_detached(input))
        is_batched = True
    else:
        is_batched = input.dim() == (2 if isinstance(module, nn.RNNCellBase) else 3)
        x_TBI = _time_first(module, input.detach().clone(), is_batched)  # the caller may write over it
    steps, batch = x_TBI.shape[:2]
    lengths = torch.full((batch,), steps) if lengths is None else torch.as_tensor(lengths).reshape(-1).cpu()
    reset = named.get("reset")
    state = tuple(_rows_first(module, part.detach().clone(), is_batched) for part in parts)
    return Call(
        name,
        module,
        x_TBI,
        lengths.long(),
        state or None,
        parts,
        None if reset is None else reset.reshape(batch, steps),
        None if output is None else _padded(module, output, is_batched),
        tuple(_rows_first(module, part.detach(), is_batched) for part in final),
        copies,
        _weights(module),
    )


def _with_gradients(call: Call, said: tuple[Said | None, State], by_place: dict[int, Any]) -> Call:
    """Give a call the gradients by what it said; zeros where the loss does not depend on it."""
    output, final = said
    is_batched = final[0].dim() == (2 if call.output is None else 3)

    def gradient(value: Tensor) -> Tensor:
        found = by_place.get(id(value))
        return torch.zeros_like(value) if found is None else found.detach()

    from_output = None
    if isinstance(output, PackedSequence):
        from_output = _padded(call.module, output._replace(data=gradient(output.data)), True)
    elif output is not None:
        from_output = _padded(call.module, gradient(output), is_batched)
    parts = tuple(_rows_first(call.module, gradient(part), is_batched) for part in final)
    fields = {name: getattr(call, name) for name in Call.__dataclass_fields__}
    return Call(**(fields | {"output_gradient": from_output, "final_gradient": parts}))


def _weights(module: nn.Module) -> list[Tensor]:
    """Give the weights by attribute, as the layer itself reads them."""
    names = getattr(module, "_flat_weights_names", ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    weights = (getattr(module, name) for name in names)
    return [weight.detach() for weight in weights if weight is not None]


def _time_first(module: nn.Module, value: Tensor, is_batched: bool) -> Tensor:
    """Give an input or output of any form the layer takes as [T, B, ...]."""
    if isinstance(module, nn.RNNCellBase):
        return value.unsqueeze(0) if is_batched else value.reshape(1, 1, -1)
    if not is_batched:
        return value.unsqueeze(1)
    return value.transpose(0, 1) if module.batch_first else value


def _rows_first(module: nn.Module, part: Tensor, is_batched: bool) -> Tensor:
    """Give a part of the state of any form the layer takes as [L*D, B, H]."""
    if isinstance(module, nn.RNNCellBase):
        return part.unsqueeze(0) if is_batched else part.reshape(1, 1, -1)
    return part if is_batched else part.unsqueeze(1)


def _padded(module: nn.Module, output: Said, is_batched: bool) -> Tensor:
    if isinstance(output, PackedSequence):
        return pad_packed_sequence(_detached(output))[0]
    return _time_first(module, output.detach(), is_batched)


def _detached(packed: PackedSequence) -> PackedSequence:
    return packed._replace(data=packed.data.detach())


def _watched(value: Tensor) -> Tensor:
    """Copy what a layer said; of a frozen layer, a copy that a gradient reaches all the same."""
    if value.requires_grad or not torch.is_grad_enabled():
        return value.clone()
    return value.clone().requires_grad_()


def _tensors(output: Said | None, final: State) -> list[Tensor]:
    if output is None:
        return list(final)
    return [output.data if isinstance(output, PackedSequence) else output, *final]


def _check_loss(loss: Any, model: nn.Module, calls: list[Call]) -> None:
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        found = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise ShapeError(f"loss_fn gave {found}, expected one number: the mean or sum of what it gave.")
    if not bool(torch.isfinite(loss)):
        raise TrainingError(f"the loss is {float(loss.detach())}: {_culprit(model, calls)}.")
    if not loss.requires_grad:
        raise ConfigError(
            "the loss has no gradient, so there is no flow to look at; expected loss_fn to keep the graph "
            "(no torch.no_grad, .item() or .detach() on its way) and parameters that require gradients."
        )


def _culprit(model: nn.Module, calls: list[Call]) -> str:
    """Name the first thing that is not finite."""
    for name, parameter in model.named_parameters():
        if not bool(parameter.isfinite().all()):
            return f"the weights {name!r} are not finite; load a checkpoint from before that happened"
    for call in calls:
        real = torch.arange(len(call.input)).unsqueeze(1) < call.lengths
        if not bool(call.input[real.to(call.input.device)].isfinite().all()):
            return f"what layer {call.name!r} reads is not finite; look at what comes before it"
        if not all(bool(part.isfinite().all()) for part in call.final):
            return f"the state of layer {call.name!r} is not finite; its weights make it grow without bound"
    return "the recurrent layers are finite, so it is what comes after them"
