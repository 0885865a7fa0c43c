"""DROPOUT and its recurrent relatives: what is switched off while a network trains, and how.

Shape legend: B batch, T time, H hidden.

`Regularisation` says what the recurrent layers do inside and between them; `DROPOUTS` are the two kinds of
dropout for what goes into a layer and comes out of one. All draw from torch's global generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from elman.cells import State
from elman.config import unknown_name
from elman.errors import ConfigError
from elman.kernels.stack import Stack


def check_rate(name: str, rate: float) -> float:
    """Return a rate that is at least 0 and below 1.

    Raises:
        ConfigError: it is not.
    """
    if not 0 <= rate < 1:
        raise ConfigError(f"{name} is {rate!r}; expected a share of at least 0 and below 1 (0 for none).")
    return rate


class Dropout(nn.Module):
    """Switch off a share of numbers, each by itself, in training.

    ``y = x * m / (1 - p)``, each number of m 0 with probability p and 1 otherwise. Same as `nn.Dropout`,
    whose draws on a CPU take five times as long and a tenth of a training step.

    Args:
        p: share that is switched off, 0 to below 1.

    Source: Srivastava et al. 2014, Dropout: a simple way to prevent neural networks from overfitting.

    Example:
        >>> sorted(set(Dropout(0.5)(torch.ones(100)).tolist()))
        [0.0, 2.0]
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = check_rate("p", p)

    def forward(self, input: Tensor) -> Tensor:
        """Return numbers of any shape with their mask."""
        return input * draw_mask(input.shape, self.p, input) if self.training and self.p else input

    def extra_repr(self) -> str:
        """Describe the rate."""
        return f"p={self.p}"


class VariationalDropout(nn.Module):
    """Switch off the same features of a sequence at all of its steps, in training.

    ``y[b, t] = x[b, t] * m[b] / (1 - p)``, each number of m[b] 0 with probability p and 1 otherwise.

    Args:
        p: share that is switched off, 0 to below 1.

    Source: Gal and Ghahramani 2016, A theoretically grounded application of dropout in recurrent neural
    networks, section 4.

    Example:
        >>> y = VariationalDropout(0.5)(torch.ones(1, 3, 4))
        >>> torch.equal(y[0, 0], y[0, 2])
        True
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = check_rate("p", p)

    def forward(self, steps: Tensor) -> Tensor:
        """Return steps [B, T, ...] with their mask; [B, F], which has no time, a mask for each number."""
        if not self.training or self.p == 0:
            return steps
        shape = steps.shape if steps.dim() == 2 else (steps.size(0), 1, *steps.shape[2:])
        return steps * draw_mask(shape, self.p, steps)

    def extra_repr(self) -> str:
        """Describe the rate."""
        return f"p={self.p}"


DROPOUTS: dict[str, type[Dropout] | type[VariationalDropout]] = {
    "each-step": Dropout,
    "variational": VariationalDropout,
}


@dataclass(frozen=True)
class Regularisation:
    """What a recurrent layer does against learning its data by heart, besides plain dropout.

    Args:
        dropout_kind: what `dropout` between two layers is: "each-step" as in torch, or "variational", one
            mask a sequence for all of its steps.
        recurrent_dropout: share of the hidden state that the recurrent weights do not see, the same units at
            every step of a sequence. What a gate carries over (the GRU's z * h, the LSTM's cell) is whole.
        weight_drop: share of the recurrent weights that are 0 in a call, for all rows and steps of it.
        zoneout: probability of each number of the state (hidden, and the LSTM's cell) to stay as it was
            before the step; outside of training every number moves by its expectation.
        layer_norm: bring both products, with the input and with the state, to mean 0 and variance 1 before
            the gates, and the LSTM's cell on its way out.

    Raises:
        ConfigError: a rate that is not at least 0 and below 1, or an unknown kind.

    Source: recurrent dropout: Gal and Ghahramani 2016, eq. 9, one mask for all gates (their tied form).
    Weight drop: Merity, Keskar and Socher 2018, Regularizing and optimizing LSTM language models, section 2.
    Zoneout: Krueger et al. 2017, section 3.2, with one rate for both parts. Layer norm: Ba, Kiros and Hinton
    2016, supplement, eq. 20-22 (LSTM) and 27-29 (GRU); the Elman network in the same form.

    Example:
        >>> Regularisation(zoneout=0.1).acts_within
        True
    """

    dropout_kind: str = "each-step"
    recurrent_dropout: float = 0.0
    weight_drop: float = 0.0
    zoneout: float = 0.0
    layer_norm: bool = False

    def __post_init__(self) -> None:
        if self.dropout_kind not in DROPOUTS:
            raise ConfigError(unknown_name("dropout_kind", self.dropout_kind, list(DROPOUTS)))
        for name in ("recurrent_dropout", "weight_drop", "zoneout"):
            check_rate(name, getattr(self, name))

    @property
    def draws_once(self) -> bool:
        """Whether a mask is drawn once for all steps of a sequence."""
        return bool(self.recurrent_dropout or self.weight_drop or self.dropout_kind == "variational")

    @property
    def acts_within(self) -> bool:
        """Whether something happens inside each step."""
        return bool(self.recurrent_dropout or self.zoneout or self.layer_norm)


NOTHING = Regularisation()


MANY = 2**14
"""Numbers of a mask from which on a generator of its own is worth its start, 15 microseconds."""


def draw_mask(shape: torch.Size | tuple[int, ...], rate: float, like: Tensor) -> Tensor:
    """Return numbers that are 0 with probability `rate` and 1 / (1 - rate) otherwise."""
    keep, count = 1 - rate, math.prod(shape)
    if count < MANY or not like.is_cpu or _is_watched():
        return (torch.rand(shape, device=like.device) < keep).to(like.dtype).div_(keep)
    # 32 bits a number, of a generator that torch's seeds: bernoulli_ takes five times as long.
    seed = int(torch.empty((), dtype=torch.int64, device="cpu").random_())
    drawn = torch.from_numpy(np.random.SFC64(seed).random_raw(count // 2 + 1).view(np.int32))[:count]
    highest = min(int(2**32 * keep), 2**32 - 1) - 2**31  # a rate may be too small for 32 bits
    return (drawn.view(shape) < highest).to(like.dtype).div_(keep)


def _is_watched() -> bool:
    """Say whether somebody traces or transforms what torch does: they would not see what numpy draws."""
    return (
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._get_tracing_state() is not None
    )


def drop_weight(weight: Tensor, rate: float) -> Tensor:
    """Return a weight matrix with a share of its numbers 0 and the others grown in proportion.

    ``W * m / (1 - p)``: the gradient reaches W through the product, and W itself stays as it is.
    """
    return weight * draw_mask(weight.shape, rate, weight)


def drop_between(
    stack: Stack,
    input: Tensor,
    state: State,
    run: Callable[[Stack, Tensor, State, slice], tuple[Tensor, State]],
    mask: Callable[[Tensor], Tensor],
) -> tuple[Tensor, State]:
    """Run a stack layer by layer, and multiply what goes from one to the next by a mask.

    Args:
        stack, input, state: as the backends take them.
        run: runs a single layer: (its stack, input, its state, which rows of the whole state those are).
        mask: (output of a layer) -> what it is multiplied by.
    """
    rows = state[0].size(0) // stack.num_layers
    finals = []
    for index, layer in enumerate(stack.single_layers()):
        if index > 0:
            input = input * mask(input)
        own = slice(index * rows, (index + 1) * rows)
        input, final = run(layer, input, tuple(part[own] for part in state), own)
        finals.append(final)
    return input, tuple(torch.cat(parts) for parts in zip(*finals, strict=True))
