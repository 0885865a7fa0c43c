"""STREAMING: a recurrent layer one step at a time, its weights packed once.

Shape legend: B batch, I input features, P output features, L layers.

A layer that is called with one step at a time checks, packs and allocates at every call. A `Stepper` does so
once: then a step of the whole stack is one call into the C++ kernels, a few microseconds for small layers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from elman.cells import State
from elman.errors import ConfigError, ShapeError
from elman.kernels import call, cpu
from elman.kernels.stack import Stack


class Stepper:
    """Run a stack of layers of one direction step by step, for streams, generation and beam search.

    The weights are those at the time it is made: make a new one after training on. There is no gradient.

    Args:
        stack: the layers, of one direction, on the CPU, in float32 or float64.
        state: what each row starts from, each part [L, B, size]; copied.
        rounds: round weights, inputs and states to bfloat16 before they are multiplied: half the memory to
            read, each factor off by up to 2^-9 of itself. float32 only, and only where the processor can.

    Attributes:
        state: the state now, each part [L, B, size]. Its tensors are the stepper's own: written at each step;
            write into them (`state[0].copy_(...)`, `index_select`) to start rows anew or to reorder them.

    Raises:
        ConfigError: the layers run in two directions, or the kernels cannot run them; says why.

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
        weights = [weight.detach().contiguous() for weight in stack.weights]
        with torch.no_grad():
            reason = (cpu.refuses_rounded if rounds else cpu.refuses)(stack, weights[0], None, None)
        if stack.bidirectional:
            reason = "it runs in two directions, and the end of a stream is not known while it flows"
        elif not weights[0].is_cpu:
            reason = f"it is on {weights[0].device}, and the C++ kernels are for the CPU"
        if reason is not None:
            raise ConfigError(f"this {stack.mode} cannot run step by step: {reason}")
        dtype = weights[0].dtype
        self.state = tuple(part.detach().to(dtype).contiguous().clone() for part in state)
        batch = self.state[0].size(1)
        count = len(weights) // stack.num_layers
        calls, self._kept = [], []
        below: Tensor | None = None
        for index in range(stack.num_layers):
            own = weights[index * count : (index + 1) * count]
            sizes = (own[0].size(1), own[1].size(0) // call.GATES[stack.mode], self.state[0].size(-1))
            plan = call.Plan((batch, 1, 0, 0, 0, 0))
            layer = call.Layer(stack.mode, sizes, 1, stack.bias, count % 2 == 1, False, plan)
            output = torch.empty(1, batch, sizes[2], dtype=dtype)
            fields = call.fields_of(
                layer, False, below if below is not None else output[..., :1], output, None, None
            )
            if below is None:
                fields[14] = sizes[0]  # the stride of rows that are yet to come
            states = self._addresses(index)
            fields += [*call.weight_addresses(layer, own, 0), *states, *states, 0, *call.NO_GRADIENTS]
            calls.append(tuple(fields))
            self._kept.append(output)  # the kernels hold its address
            below = output
        self._input_shape = (batch, weights[0].size(1))
        self._dtype, self._output = dtype, self._kept[-1][0]
        self._address = self._output.data_ptr()
        self._native = call.native.Stepper(dtype is torch.float64, rounds, calls)

    def _addresses(self, index: int) -> list[int]:
        found = [part[index].data_ptr() for part in self.state]
        return found if len(found) == 2 else [*found, 0]

    def __call__(self, input: Tensor) -> Tensor:
        """Take one step of every row.

        Args:
            input [B, I]: what arrives.

        Returns:
            output [B, P]: of the last layer. It is the same tensor each time: `clone()` what should last.

        Raises:
            ShapeError: the input has another shape or dtype.
        """
        if tuple(input.shape) != self._input_shape or input.dtype is not self._dtype:
            raise ShapeError(
                f"input is {tuple(input.shape)} {input.dtype}, expected {self._input_shape} {self._dtype}: "
                "[batch, features] of one step"
            )
        if not input.is_contiguous():
            input = input.contiguous()
        self._native.step(input.data_ptr(), self._address)
        return self._output
