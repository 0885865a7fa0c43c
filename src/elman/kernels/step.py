"""STREAMING: a recurrent layer one step at a time, its weights packed once.

Shape legend: B batch, I input features, P output features, L layers.

A layer that is called with one step at a time checks, packs and allocates at every call. A `Stepper` does so
once: then a step of the whole stack is one call into the C++ kernels, a few microseconds for small layers.
What those cannot run (see cpu.refuses; another device) goes step by step to the backend that can.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from elman.cells import State
from elman.errors import ConfigError, ShapeError
from elman.kernels import call, cpu, dispatch
from elman.kernels.stack import Stack


class Stepper:
    """Run a stack of layers of one direction step by step, for streams, generation and beam search.

    The weights are those at the time it is made: make a new one after training on. There is no gradient.

    Args:
        stack: the layers, of one direction.
        state: what each row starts from, each part [L, B, size]; copied.
        rounds: round weights, inputs and states to bfloat16 before they are multiplied: half the memory to
            read, each factor off by up to 2^-9 of itself. float32 only, and only where the processor can.

    Attributes:
        state: the state now, each part [L, B, size]. Its tensors are the stepper's own, written at each step.
            Write into them (`state[0].copy_(...)`), or assign a tuple of new ones, which are copied, to start
            rows anew or to reorder them.

    Raises:
        ConfigError: the layers run in two directions, or cannot be rounded; says why.

    Example:
        >>> import elman.nn
        >>> layer = elman.nn.LSTM(3, 4, num_layers=2)
        >>> x = torch.randn(10, 1, 3)
        >>> whole, _ = layer(x)
        >>> step = layer.stepper()
        >>> torch.allclose(torch.stack([step(x[t]).clone() for t in range(10)]), whole, atol=1e-6)
        True
    """

    def __init__(self, stack: Stack, state: State, rounds: bool = False) -> None:
        # Copies, whatever runs: the weights are those of now, also when they are packed anew after a move.
        weights = [weight.detach().clone(memory_format=torch.contiguous_format) for weight in stack.weights]
        if stack.bidirectional:
            raise ConfigError(
                f"this {stack.mode} cannot run step by step: it runs in two directions, and the end of a "
                "stream is not known while it flows"
            )
        within = stack.within
        if within is not None:
            within = within._replace(norms=[norm.detach().clone() for norm in within.norms])
        self._stack = stack._replace(
            weights=weights, dropout=0.0, training=False, batch_first=False, within=within
        )
        self._dtype, self._device = weights[0].dtype, weights[0].device
        with torch.inference_mode(False):  # or nobody could write into them outside of it
            self._state = tuple(part.detach().to(weights[0]).contiguous().clone() for part in state)
        batch = self._state[0].size(1)
        if batch == 0:
            raise ShapeError("the state has no rows, expected at least one: a step of nothing is nothing")
        self._input_shape = (batch, weights[0].size(1))
        self._outputs = [
            torch.empty(1, batch, self._state[0].size(-1), dtype=self._dtype, device=self._device)
            for _ in range(stack.num_layers)
        ]
        self._output = self._outputs[-1][0]
        self._rounds = rounds
        self._native: Any = None
        self._known: tuple[int, ...] = ()
        refuses = cpu.refuses_rounded if rounds else cpu.refuses
        with torch.no_grad():
            reason = refuses(self._stack, weights[0], None, None)
        if not weights[0].is_cpu:
            reason = f"it is on {self._device}, and the C++ kernels are for the CPU"
        elif not cpu.alike(self._stack, torch.empty(self._input_shape, dtype=self._dtype), self._state):
            reason = "its weights differ in dtype, or in the sizes that they are for"
        if reason is None:
            self._pack()
        elif rounds:
            raise ConfigError(f"this {stack.mode} cannot run step by step in bfloat16: {reason}")

    @property
    def state(self) -> State:
        """The state now; see the class."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        if [part.shape for part in state] != [part.shape for part in self._state]:
            found, expected = ([tuple(part.shape) for part in parts] for parts in (state, self._state))
            raise ShapeError(f"the state's parts have shapes {found}, expected {expected}")
        for part, new in zip(self._state, state, strict=True):
            part.copy_(new.detach())

    def _pack(self) -> None:
        self._native = call.native.Stepper(self._dtype is torch.float64, self._rounds, self._calls())
        self._known = self._places()

    def _places(self) -> tuple[int, ...]:
        return self._output.data_ptr(), *[part.data_ptr() for part in self._state]

    def _calls(self) -> list[tuple[int, ...]]:
        """Give the call of each layer for one step: it reads the output of the one below."""
        stack, calls = self._stack, []
        batch = self._input_shape[0]
        count = len(stack.weights) // stack.num_layers
        for index, output in enumerate(self._outputs):
            own = stack.weights[index * count : (index + 1) * count]
            sizes = (own[0].size(1), own[1].size(0) // call.GATES[stack.mode], output.size(-1))
            plan = call.Plan((batch, 1, 0, 0, 0, 0))
            layer = call.Layer(stack.mode, sizes, 1, stack.bias, count % 2 == 1, False, plan)
            # The first layer's input is yet to come; any contiguous tensor of its shape has its strides.
            below = (
                self._outputs[index - 1] if index else torch.empty(1, *self._input_shape, dtype=self._dtype)
            )
            fields = call.fields_of(layer, False, below, output, None, None, None)
            states = self._addresses(index)
            fields += [*call.weight_addresses(layer, own, 0), *states, *states, 0, *call.NO_GRADIENTS]
            calls.append(tuple(fields))
        return calls

    def _addresses(self, index: int) -> list[int]:
        found = [part[index].data_ptr() for part in self._state]
        return found if len(found) == 2 else [*found, 0]

    def __call__(self, input: Tensor) -> Tensor:
        """Take one step of every row.

        Args:
            input [B, I]: what arrives.

        Returns:
            output [B, P]: of the last layer. It is the same tensor each time: `clone()` what should last.

        Raises:
            ShapeError: the input has another shape or dtype, or is on another device.
        """
        if tuple(input.shape) != self._input_shape or input.dtype is not self._dtype:
            raise ShapeError(
                f"input is {tuple(input.shape)} {input.dtype}, expected {self._input_shape} {self._dtype}: "
                "[batch, features] of one step"
            )
        if input.device != self._device:
            raise ShapeError(f"input is on {input.device}, expected {self._device}, where the layer is")
        if self._native is None:
            return self._step_elsewhere(input)
        if not input.is_contiguous() or input.is_neg():
            input = input.clone(memory_format=torch.contiguous_format).resolve_neg()
        if self._places() != self._known:  # somebody moved them, into shared memory for instance
            self._pack()
        address, own = input.data_ptr(), self._known[0]
        if (
            own <= address < own + self._output.nbytes
        ):  # the last output as input: it is written while it is read
            input = input.clone()
            address = input.data_ptr()
        self._native.step(address, own)
        return self._output

    @torch.no_grad()
    def _step_elsewhere(self, input: Tensor) -> Tensor:
        output, state = dispatch.run(
            self._stack, input.unsqueeze(0), self.state, fresh=lambda rows: self.state
        )
        for part, after in zip(self.state, state, strict=True):
            part.copy_(after)
        return self._output.copy_(output[0])
