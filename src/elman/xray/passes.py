"""PASSES: the calls of a layer joined into the sequences that it read, whether at once or step by step.

Shape legend: B batch, T time, I input features, H hidden, L layers, D directions.

A call that starts from the state in which an earlier one of the same layer ended goes on with its sequence:
a decoder called once a step, a cell in a loop, a window of truncated backpropagation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from elman.cells import MODES, Cell, State, Weights
from elman.errors import ConfigError, ShapeError
from elman.padded import gather_steps, mask_of
from elman.xray.layer_record import Call

OWN_FORWARDS = ("torch.nn.modules.rnn", "elman.nn.layers")
"""Modules in which the plain recurrences stand."""

CELL_MODES = {"RNNCell": "RNN_TANH", "GRUCell": "GRU", "LSTMCell": "LSTM"}


@dataclass(frozen=True, eq=False)
class Pass:
    """One batch of sequences that went through one layer, rows padded on the right, time first.

    Args:
        name: the layer's name in the model.
        index: 0 for the first pass through this layer, 1 for the next.
        mode: RNN_TANH, RNN_RELU, GRU or LSTM.
        weights: flat, in torch's order, in the model's dtype.
        num_layers, num_directions: L and D.
        has_bias: whether there are biases among the weights.
        input [T, B, I]: what was read.
        lengths [B]: real steps of each row.
        initial: where it started, each part [L*D, B, H].
        fresh: where a row starts again after a cut, each part [L*D, H].
        cuts [T, B]: where rows were cut by `reset`; None: nowhere.
        output [T, B, D*H]: what the top layer said.
        output_gradient [T, B, D*H]: of the loss, by that, but for what goes on through the state.
        ends [T, B]: steps after which a call handed on its state.
        end_gradients: of the loss, by the state handed on, each part [L*D, T, B, H]; zero elsewhere.
        is_cell: whether the layer is a cell, called once a step.
        is_own_forward: whether torch's or elman's forward runs, with no hook behind it.
    """

    name: str
    index: int
    mode: str
    weights: list[Tensor]
    num_layers: int
    num_directions: int
    has_bias: bool
    input: Tensor
    lengths: Tensor
    initial: State
    fresh: State
    cuts: Tensor | None
    output: Tensor
    output_gradient: Tensor
    ends: Tensor
    end_gradients: State
    is_cell: bool
    is_own_forward: bool

    @property
    def cell(self) -> Cell:
        """The recurrence itself."""
        return MODES[self.mode]

    def layer_weights(self, layer: int, direction: int) -> Weights:
        """Give the weights of one layer in one direction, in the model's dtype."""
        count = len(self.weights) // (self.num_layers * self.num_directions)
        start = (layer * self.num_directions + direction) * count
        own = self.weights[start : start + count]
        bias_ih, bias_hh = own[2:4] if self.has_bias else (None, None)
        return Weights(own[0], own[1], bias_ih, bias_hh, own[-1] if count % 2 == 1 else None)

    def select(self, rows: Tensor) -> Pass:
        """Give these rows alone, without the steps that are padding in all of them."""
        lengths = self.lengths[rows]
        steps = max(int(lengths.max()) if len(lengths) else 0, 1)
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in ("input", "cuts", "output", "output_gradient", "ends"):
            if fields[name] is not None:
                fields[name] = fields[name][:steps, rows]
        fields["initial"] = tuple(part[:, rows] for part in self.initial)
        fields["end_gradients"] = tuple(part[:, :steps, rows] for part in self.end_gradients)
        return Pass(**(fields | {"lengths": lengths}))


def join(calls: Sequence[Call]) -> list[Pass]:
    """Join calls into passes.

    Raises:
        ConfigError: a layer that does more inside a step than its plain recurrence.
        ShapeError: a layer that read no rows.

    Example:
        >>> from elman.xray.layer_record import record
        >>> cell = nn.LSTMCell(2, 3)
        >>> def loss(cell, x):
        ...     state = None
        ...     for step in x:
        ...         state = cell(step, state)
        ...     return state[0].sum()
        >>> [one.input.shape for one in join(record(cell, torch.ones(5, 1, 2), loss).calls)]
        [torch.Size([5, 1, 2])]
    """
    chains: list[list[Call]] = []
    for call in calls:
        _check_plain(call)
        open_chains = [chain for chain in chains if _goes_on(chain[-1], call)]
        if open_chains:
            # Two chains may have come to the same numbers; the very tensor tells them apart.
            same = [chain for chain in open_chains if chain[-1].returned[0] is call.given[0]]
            (same or open_chains)[-1].append(call)
        else:
            chains.append([call])
    seen: dict[str, int] = {}
    passes = []
    for chain in chains:
        index = seen.get(chain[0].name, 0)
        seen[chain[0].name] = index + 1
        passes.append(_join_chain(chain, index))
    return passes


def _goes_on(former: Call, call: Call) -> bool:
    """Whether a call starts where a former one of the same layer ended."""
    if (
        call.initial is None
        or call.module is not former.module
        or getattr(call.module, "bidirectional", False)
    ):
        return False
    if call.initial[0].shape != former.final[0].shape:
        return False
    if not any(bool(part.any()) for part in call.initial):
        return False  # zeros are a fresh start
    return all(torch.equal(a, b) for a, b in zip(call.initial, former.final, strict=True))


def _join_chain(chain: list[Call], index: int) -> Pass:
    first = chain[0]
    module = first.module
    is_cell = isinstance(module, nn.RNNCellBase)
    num_layers = 1 if is_cell else int(getattr(module, "num_layers", 1))
    num_directions = 2 if not is_cell and module.bidirectional else 1
    mask_TB = torch.cat([mask_of(call.lengths, len(call.input)).t() for call in chain])
    ends_TB, gradients = _ends(chain, num_directions)
    order_TB = (~mask_TB).to(torch.uint8).argsort(dim=0, stable=True)  # closes gaps between two calls

    def in_order(value: Tensor) -> Tensor:
        return gather_steps(value.transpose(0, 1), order_TB.t().to(value.device)).transpose(0, 1)

    outputs = [call.final[0] if call.output is None else call.output for call in chain]
    from_outputs = [
        torch.zeros_like(call.final[0]) if call.output_gradient is None else call.output_gradient
        for call in chain
    ]
    cuts = None
    if any(call.reset is not None for call in chain):
        none = [torch.zeros(call.input.shape[1::-1], dtype=torch.bool) for call in chain]
        given = [
            empty if call.reset is None else call.reset.cpu() for call, empty in zip(chain, none, strict=True)
        ]
        cuts = in_order(torch.cat([part.t() for part in given]))
    fresh = _fresh(module, first.final)
    batch = first.input.size(1)
    began = tuple(part.unsqueeze(1).repeat(1, batch, 1) for part in fresh)
    return Pass(
        first.name,
        index,
        _mode(module),
        first.weights,
        num_layers,
        num_directions,
        bool(module.bias),
        in_order(torch.cat([call.input for call in chain])),
        mask_TB.sum(0),
        began if first.initial is None else first.initial,
        fresh,
        cuts,
        in_order(torch.cat(outputs)),
        in_order(torch.cat(from_outputs)),
        in_order(ends_TB),
        tuple(torch.stack([in_order(row) for row in part]) for part in gradients),
        is_cell,
        _is_own_forward(module),
    )


def _ends(chain: list[Call], num_directions: int) -> tuple[Tensor, list[Tensor]]:
    """Give where each call handed on its state [T, B], and the gradient by it, each part [L*D, T, B, H].

    The backward direction ends at a row's first step, and its gradients stand there.
    """
    steps, batch = sum(len(call.input) for call in chain), chain[0].input.size(1)
    ends_TB = torch.zeros(steps, batch, dtype=torch.bool)
    parts = [part.new_zeros(len(part), steps, *part.shape[1:]) for part in chain[0].final]
    start = 0
    for call in chain:
        rows = (call.lengths > 0).nonzero()[:, 0]
        last = start + call.lengths[rows] - 1
        ends_TB[last, rows] = True
        for part, gradient in zip(parts, call.final_gradient, strict=True):
            for place in range(len(part)):
                is_backward = num_directions == 2 and place % 2 == 1
                at = torch.full_like(last, start) if is_backward else last
                part[place, at, rows] = gradient[place, rows]
        start += len(call.input)
    return ends_TB, parts


def _fresh(module: nn.Module, final: State) -> State:
    """Give the layer's own initial state in evaluation, each part [L*D, H]."""
    if getattr(module, "initial_state", "zeros") == "learned":
        names = ("hidden", "cell")[: len(final)]
        return tuple(getattr(module, f"initial_{name}").detach() for name in names)
    return tuple(part.new_zeros(part.size(0), part.size(2)) for part in final)


def _mode(module: nn.Module) -> str:
    """Give torch's word for the recurrence."""
    if not isinstance(module, nn.RNNCellBase):
        return str(module.mode)
    if getattr(module, "nonlinearity", "tanh") == "relu":
        return "RNN_RELU"
    for kind in type(module).__mro__:
        if kind.__name__ in CELL_MODES:
            return CELL_MODES[kind.__name__]
    raise ConfigError(
        f"{type(module).__name__} is a cell of its own making; expected torch's RNNCell, GRUCell or "
        "LSTMCell, elman's, or a class derived from one of them."
    )


def _is_own_forward(module: nn.Module) -> bool:
    """Whether what a layer says is what torch's or elman's code says, by where that code stands."""
    forward = type(module).forward
    is_changed = "forward" in vars(module) or bool(module._forward_hooks)
    return forward.__module__ in OWN_FORWARDS and not is_changed


def _check_plain(call: Call) -> None:
    """Refuse what is not the plain recurrence at evaluation, and what read nothing."""
    if call.input.size(1) == 0:
        raise ShapeError(
            f"layer {call.name!r} read a batch of no rows; expected one with a row at least (is the data set "
            "empty, or was every row left out?)."
        )
    rules = getattr(call.module, "regularisation", None)
    if rules is not None and (rules.layer_norm or rules.zoneout):
        name = "layer_norm" if rules.layer_norm else "zoneout"
        raise ConfigError(
            f"layer {call.name!r} has {name}, which acts inside each step, and the X-ray re-runs the plain "
            "recurrence; expected a layer without it (other regularisers are off in evaluation, and fine)."
        )
    if call.output is not None and not _ends_as_it_says(call):
        why = "its output and the state it ends in differ at the last step"
        raise ConfigError(not_plain(call.name, _mode(call.module), why))


def not_plain(name: str, mode: str, why: str) -> str:
    """Return the message on a layer that is not the recurrence that it seems.

    Example:
        >>> not_plain("rnn", "GRU", "its output is twice as large")[:65]
        "layer 'rnn' is not the plain GRU that it seems: its output is twi"
    """
    return (
        f"layer {name!r} is not the plain {mode} that it seems: {why}; expected a layer whose forward is "
        "torch's or elman's own (hooks or a class derived from it may change what it says)."
    )


def _ends_as_it_says(call: Call) -> bool:
    """Whether the output at each row's last step is the final state of the top layer."""
    assert call.output is not None
    lengths = call.lengths.to(call.output.device)
    rows = (lengths > 0).nonzero()[:, 0]
    directions = call.output.chunk(2 if call.module.bidirectional else 1, -1)
    for place, said_TBH in enumerate(directions):
        steps = torch.zeros_like(rows) if place else lengths[rows] - 1
        final_BH = call.final[0][place - len(directions), rows]
        slack = 16 * torch.finfo(final_BH.dtype).eps
        if not torch.allclose(said_TBH[steps, rows], final_BH, slack, slack, equal_nan=True):
            return False
    return True
