"""What the recurrent layers share: their parameters, their initial state, and the checks torch.nn makes.

Shape legend: B batch, T time, L layers, D directions.

The layers derive from torch.nn.RNNBase and not from torch.nn.LSTM and its like, because torch.compile refuses
those whole (fullgraph=True). They hold parameters and check arguments; elman.kernels runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import embedding
from torch.nn.utils.rnn import PackedSequence

from elman.cells import MODES, State
from elman.errors import ConfigError, ShapeError
from elman.kernels import dispatch, traced
from elman.kernels.stack import Stack, Within
from elman.kernels.step import Stepper
from elman.nn.dropout import NOTHING, Regularisation, draw_mask, drop_between, drop_weight
from elman.padded import check_lengths

Given = TypeVar("Given", Tensor, PackedSequence)
"""What a layer runs over; it gives back the same kind."""

Lengths = Tensor | Sequence[int] | None
"""Steps of each row, [B]; None: all of them are real."""

INITIAL_STATES = ("zeros", "random", "learned")
RANDOM_STATE_STD = 0.1
"""Standard deviation of a random initial state: noise well inside tanh's straight part, not a signal."""


class RecurrentLayer(torch.nn.RNNBase):
    """Everything about RNN, GRU and LSTM but their constructor and the form of their state; abstract."""

    initial_state: str
    forget_bias: float | None
    regularisation: Regularisation

    def __init__(
        self,
        mode: str,
        sizes: Sequence[Any],
        place: dict[str, Any],
        initial_state: str,
        forget_bias: float | None,
        regularisation: Regularisation | None,
    ) -> None:
        if initial_state not in INITIAL_STATES:
            known = ", ".join(INITIAL_STATES)
            raise ConfigError(f"initial_state is {initial_state!r}, expected one of {known}")
        # Before RNNBase draws the weights, because it does so by calling reset_parameters.
        self.initial_state = initial_state
        self.forget_bias = forget_bias
        self.regularisation = regularisation or NOTHING
        super().__init__(mode, *sizes, **place)
        if initial_state == "learned":
            for name, size in zip(MODES[mode].state, self._state_sizes(), strict=True):
                empty = torch.zeros(num_rows(self), size, **place)
                self.register_parameter(f"initial_{name}", torch.nn.Parameter(empty))
        if self.regularisation.layer_norm:
            for name, size in self._norms():
                start = torch.zeros if name.startswith("shift") else torch.ones
                self.register_parameter(name, torch.nn.Parameter(start(size, **place)))

    def reset_parameters(self) -> None:
        """Draw the weights anew as torch does, then set what the options say; learned states become zero."""
        super().reset_parameters()
        with torch.no_grad():
            for name, parameter in self.named_parameters(recurse=False):
                if name.startswith(("initial_", "shift_")):
                    parameter.zero_()
                elif name.startswith("gain_"):
                    parameter.fill_(1.0)
                elif self.forget_bias is not None and name.startswith("bias_ih"):
                    parameter[self.hidden_size : 2 * self.hidden_size] = self.forget_bias

    def extra_repr(self) -> str:
        """Describe the layer as torch does, and the options that differ from their defaults."""
        text = super().extra_repr()
        if self.initial_state != "zeros":
            text += f", initial_state={self.initial_state!r}"
        if self.forget_bias is not None:
            text += f", forget_bias={self.forget_bias}"
        if self.regularisation != NOTHING:
            text += f", regularisation={self.regularisation}"
        return text

    def _norms(self) -> list[tuple[str, int]]:
        """Give name and size of what a layer norm learns, in the order of the layers and directions."""
        gates = len(MODES[self.mode].gates) * self.hidden_size
        names = [("gain_ih", gates), ("gain_hh", gates)]
        if self.mode == "LSTM":
            names += [("gain_cell", self.hidden_size), ("shift_cell", self.hidden_size)]
        places = [f"_l{n}{end}" for n in range(self.num_layers) for end in ("", "_reverse")]
        places = places if self.bidirectional else places[::2]
        return [(name + place, size) for place in places for name, size in names]

    def _state_sizes(self) -> tuple[int, ...]:
        return (self.proj_size or self.hidden_size, self.hidden_size)[: len(MODES[self.mode].state)]

    def _fresh_state(self, input: Tensor) -> Callable[[int], State]:
        """Give the function that gives n rows of this layer's own initial state, each part [L*D, n, size]."""

        def fresh(rows: int) -> State:
            if self.initial_state == "learned":
                parts = (getattr(self, f"initial_{name}") for name in MODES[self.mode].state)
                return tuple(part.to(input.dtype).unsqueeze(1).repeat(1, rows, 1) for part in parts)
            shapes = [(num_rows(self), rows, size) for size in self._state_sizes()]
            if self.initial_state == "random" and self.training:
                draws = (torch.randn(shape, dtype=input.dtype, device=input.device) for shape in shapes)
                return tuple(RANDOM_STATE_STD * draw for draw in draws)
            return tuple(torch.zeros(shape, dtype=input.dtype, device=input.device) for shape in shapes)

        return fresh

    def stepper(
        self, state: State | Tensor | None = None, batch: int = 1, *, rounds: bool = False
    ) -> Stepper:
        """Make a `Stepper`: this layer one step at a time, weights packed once, for streams and generation.

        Args:
            state: what the rows start from, as `forward` takes it; None: the layer's own initial state.
            batch: rows, B, when no state is given.
            rounds: multiply in bfloat16, see `Stepper`.

        Raises:
            ConfigError: the layer runs in two directions.
            ShapeError, RuntimeError: the state does not fit.
        """
        stack = self._stack(training=False)
        if state is None:
            return Stepper(stack, self._fresh_state(stack.weights[0])(batch), rounds)
        parts = (state,) if isinstance(state, Tensor) else tuple(state)
        if len(parts) != len(self._state_sizes()) or any(part.dim() != 3 for part in parts):
            found = ", ".join(str(tuple(part.shape)) for part in parts)
            raise ShapeError(
                f"the state's shapes are {found}, expected {len(self._state_sizes())} of three dimensions: "
                "[layers, batch, features]"
            )
        self._check_state(parts, parts[0].size(1))
        return Stepper(stack, parts, rounds)

    def _stack(self, training: bool | None = None) -> Stack:
        training = self.training if training is None else training
        rules = self.regularisation
        # By attribute, each time: weight drop, parametrize and functional_call change what the name gives.
        weights = [getattr(self, name) for name in self._flat_weights_names]
        if training and rules.weight_drop:
            weights = [
                drop_weight(weight, rules.weight_drop) if name.startswith("weight_hh") else weight
                for name, weight in zip(self._flat_weights_names, weights, strict=True)
            ]
        within = None
        if rules.layer_norm or rules.zoneout or (training and rules.recurrent_dropout):
            norms = [getattr(self, name) for name, _ in self._norms()] if rules.layer_norm else []
            within = Within(rules.recurrent_dropout, rules.zoneout, norms)
        return Stack(
            self.mode,
            weights,
            self.bias,
            self.num_layers,
            self.dropout,
            training,
            self.bidirectional,
            self.batch_first,
            within,
        )

    def _drops_sequences(self) -> bool:
        """Whether dropout between layers is one mask a sequence, and acts."""
        is_variational = self.regularisation.dropout_kind == "variational"
        return is_variational and self.training and self.dropout > 0 and self.num_layers > 1

    def _run(
        self, input: Given, hx: State | None, lengths: Lengths, reset: Tensor | None
    ) -> tuple[Given, State]:
        """Check the arguments as torch.nn does, in its order and its words, and run."""
        if isinstance(input, PackedSequence):
            return self._run_packed(input, hx, lengths is not None, reset is not None)
        kind = type(self).__name__
        if input.dim() not in (2, 3):
            raise ValueError(f"{kind}: Expected input to be 2D or 3D, got {input.dim()}D instead")
        stack = self._stack()
        is_batched = input.dim() == 3
        if hx is not None:
            _check_state_dim(hx, is_batched)
        if not is_batched:
            input = input.unsqueeze(0 if self.batch_first else 1)
            hx = None if hx is None else tuple(part.unsqueeze(1) for part in hx)
        fresh = self._fresh_state(input)
        batch, steps = input.shape[:2] if self.batch_first else input.shape[1::-1]
        self._check_input(input, stack.weights[0].dtype, 3)
        if hx is None:
            hx = fresh(batch)
        else:
            self._check_state(hx, batch)
        lengths = None if lengths is None else _real_lengths(lengths, batch, steps)
        reset = None if reset is None else _check_reset(reset, batch, steps)
        # Cuts are not counted yet: random states must be as many as there may be at most.
        rows = batch * steps if self.initial_state == "random" and self.training else 1

        def run(layers: Stack, input: Tensor, state: State, own: slice) -> tuple[Tensor, State]:
            def begin(count: int) -> State:
                return tuple(part[own] for part in fresh(count))

            if not torch.compiler.is_compiling():
                return dispatch.run(layers, input, state, lengths=lengths, reset=reset, fresh=begin)
            if layers.within is not None:
                torch._dynamo.graph_break()  # no operator for it, and unrolled it would fit one length
                return dispatch.run(layers, input, state, lengths=lengths, reset=reset, fresh=begin)
            return traced.run(
                layers, input, state, lengths=lengths, reset=reset, fresh=begin, fresh_rows=rows
            )

        if self._drops_sequences():
            time = 1 if self.batch_first else 0

            def mask(output: Tensor) -> Tensor:
                return draw_mask(output.select(time, 0).shape, stack.dropout, output).unsqueeze(time)

            output, state = drop_between(stack, input, hx, run, mask)
        else:
            output, state = run(stack, input, hx, slice(None))
        if not is_batched:
            output = output.squeeze(0 if self.batch_first else 1)
            state = tuple(part.squeeze(1) for part in state)
        return output, state

    def read_tokens(
        self, tokens: Tensor, vectors: Tensor, hx: State | None = None, *, lengths: Lengths = None
    ) -> tuple[Tensor, State]:
        """Run over a batch of tokens: the same as over ``vectors[tokens]``, and its gradients too.

        Each token's product with the first layer's input weights is computed once, however often the token
        occurs, so this is faster where there are fewer tokens than steps: of characters, mostly.

        Args:
            tokens: ids, int64, *[B, T]* if batch_first, else *[T, B]*; each below V.
            vectors: of all tokens, *[V, I]*.
            hx: the parts of the state, each *[L\\*D, B, size]*; None: the layer's own initial state.
            lengths: see the class.

        Returns:
            What `forward` returns, with the state as a tuple of its parts.

        Raises:
            ShapeError, IndexError: tokens are not two-dimensional, or not all of them below V.
            ValueError, RuntimeError: as `forward`.
        """
        if tokens.dim() != 2:
            raise ShapeError(
                f"tokens have shape {tuple(tokens.shape)}, expected two dimensions: batch and time"
            )
        if torch.compiler.is_compiling() or self._drops_sequences():
            return self._run(embedding(tokens, vectors), hx, lengths, None)
        stack, fresh = self._stack(), self._fresh_state(vectors)
        self._check_input(vectors, stack.weights[0].dtype, 2)
        batch, steps = tokens.shape if self.batch_first else tokens.shape[::-1]
        if hx is not None:
            self._check_state(hx, batch)
        lengths = None if lengths is None else _real_lengths(lengths, batch, steps)
        state = fresh(batch) if hx is None else hx
        return dispatch.run_tokens(stack, tokens, vectors, state, lengths=lengths, fresh=fresh)

    def _run_packed(
        self, input: PackedSequence, hx: State | None, has_lengths: bool, has_reset: bool
    ) -> tuple[PackedSequence, State]:
        if has_lengths or has_reset:
            name = "lengths" if has_lengths else "reset"
            raise ShapeError(
                f"{name} was given with a PackedSequence, which carries its own lengths; expected a padded "
                "tensor (leave one of the two out)"
            )
        stack = self._stack()
        data, batch_sizes, sorted_indices, unsorted_indices = input
        rows = int(batch_sizes[0])
        if hx is None:
            hx = self._fresh_state(data)(rows)
        elif sorted_indices is not None:
            hx = tuple(part.index_select(1, sorted_indices) for part in hx)
        self._check_input(data, stack.weights[0].dtype, 2)
        self._check_state(hx, rows)
        if self._drops_sequences():
            row = torch.cat([torch.arange(count) for count in batch_sizes.tolist()]).to(data.device)

            def mask(output: Tensor) -> Tensor:
                return draw_mask((rows, output.size(-1)), stack.dropout, output)[row]

            output, state = drop_between(
                stack,
                data,
                hx,
                lambda layers, x, part, _: dispatch.run_packed(layers, x, batch_sizes, part),
                mask,
            )
        else:
            output, state = dispatch.run_packed(stack, data, batch_sizes, hx)
        if unsorted_indices is not None:
            state = tuple(part.index_select(1, unsorted_indices) for part in state)
        return PackedSequence(output, batch_sizes, sorted_indices, unsorted_indices), state

    def _check_input(self, input: Tensor, dtype: torch.dtype, dim: int) -> None:
        # Short-circuit: under autocast the kernels convert, and torch.compile need not trace the question.
        if input.dtype != dtype and not torch._C._is_any_autocast_enabled():
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({dtype}). "
                f"Convert input: input.to({dtype}), or convert model: model.to({input.dtype})"
            )
        if input.dim() != dim:
            raise RuntimeError(f"input must have {dim} dimensions, got {input.dim()}")
        if input.size(-1) != self.input_size:
            raise RuntimeError(
                "input.size(-1) must be equal to input_size. "
                f"Expected {self.input_size}, got {input.size(-1)}"
            )

    def _check_state(self, hx: State, batch: int) -> None:
        for index, (part, size) in enumerate(zip(hx, self._state_sizes(), strict=True)):
            if part.shape != (num_rows(self), batch, size):
                which = f"hidden[{index}]" if self.mode == "LSTM" else "hidden"
                expected = (num_rows(self), batch, size)
                raise RuntimeError(f"Expected {which} size {expected}, got {list(part.size())}")


def num_rows(layer: torch.nn.RNNBase) -> int:
    """Give L*D: the first dimension of a layer's state."""
    return layer.num_layers * (2 if layer.bidirectional else 1)


def _check_state_dim(hx: State, is_batched: bool) -> None:
    expected = 3 if is_batched else 2
    if any(part.dim() != expected for part in hx):
        kind = "batched 3-D" if is_batched else "unbatched 2-D"
        found = ", ".join(f"{part.dim()}-D" for part in hx)
        raise RuntimeError(f"For {kind} input, hx should also be {expected}-D but got {found} tensor")


def _real_lengths(lengths: Tensor | Sequence[int], batch: int, steps: int) -> Tensor | None:
    """Check the lengths; None if they say nothing, because every row is full."""
    if isinstance(lengths, Tensor) and lengths.dim() == 0:
        lengths = lengths.unsqueeze(0)  # of an unbatched input
    checked = check_lengths(lengths, batch, steps)
    if torch.compiler.is_compiling() or batch == 0 or int(checked.min()) < steps:
        return checked
    return None


def _check_reset(reset: Tensor, batch: int, steps: int) -> Tensor:
    reset = reset.unsqueeze(0) if reset.dim() == 1 else reset
    if reset.dtype != torch.bool or tuple(reset.shape) != (batch, steps):
        raise ShapeError(
            f"reset is {tuple(reset.shape)} {reset.dtype}, expected {(batch, steps)} torch.bool: "
            "[batch, time] whatever batch_first; True cuts before that step"
        )
    return reset
