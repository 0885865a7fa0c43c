"""OPTIMISERS: how gradients become steps of the weights, as plain equations; the learning rate and clipping.

These are the rules of `torch.optim` (the tests hold them equal to it), written straight on torch's fused
kernels: a step of a small network costs a tenth of the Python time, and the second that the first
`torch.optim` object spends importing torch's compiler is saved.

One `Optimizer` serves dense and sparse gradients. A sparse one (an embedding with `sparse=True`) moves only
the rows that it names, and the running averages of only those rows, as `torch.optim.SparseAdam` does.
"""

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from elman.config import unknown_name
from elman.errors import CheckpointError, ConfigError

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's running averages and its guard against division by zero (Kingma & Ba 2015, algorithm 1)."""

MOMENTUM = 0.9
"""Share of the last step that SGD keeps (Polyak 1964; 0.9 is what nearly everybody uses)."""

RMSPROP_DECAY = 0.99
"""Share of the old mean square that RMSProp keeps (the default of torch.optim.RMSprop)."""


ONE = torch.tensor(1.0)
"""Adding a Python number to many scalars on the CPU makes a tensor of it for each, four times as slow."""

Tensors = list[Tensor]
State = list[Tensors]
"""What a rule keeps: one list for each name of its own in `OPTIMIZERS`, as long as that of the weights."""


class Rule(Protocol):
    """One way to move weights along their gradients; it changes the weights and its state in place."""

    def __call__(
        self, weights: Tensors, gradients: Tensors, state: State, *, rate: float, weight_decay: float
    ) -> None: ...


def adam(
    weights: Tensors,
    gradients: Tensors,
    state: State,
    *,
    rate: float,
    weight_decay: float,
    fused: Callable[..., None] = torch._fused_adam_,
) -> None:
    r"""Take a step of Adam; weight decay is a part of the gradient.

    m = b1 m + (1-b1) g,  v = b2 v + (1-b2) g^2,  w = w - rate * (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps)

    Source: Kingma & Ba 2015, algorithm 1.
    """
    steps, means, squares = state
    if steps[0].is_cpu:
        torch._foreach_add_(steps, ONE, alpha=1.0)
    else:
        torch._foreach_add_(steps, 1)
    fused(
        weights,
        gradients,
        means,
        squares,
        [],
        steps,
        lr=rate,
        beta1=BETA1,
        beta2=BETA2,
        weight_decay=weight_decay,
        eps=EPSILON,
        amsgrad=False,
        maximize=False,
    )


def adamw(weights: Tensors, gradients: Tensors, state: State, *, rate: float, weight_decay: float) -> None:
    """Take a step of Adam with the decay beside the gradient: w = w - rate * weight_decay * w, then Adam's.

    Source: Loshchilov & Hutter 2019, algorithm 2 (the decay is multiplied by the learning rate, as in torch).
    """
    adam(weights, gradients, state, rate=rate, weight_decay=weight_decay, fused=torch._fused_adamw_)


def sgd(weights: Tensors, gradients: Tensors, state: State, *, rate: float, weight_decay: float) -> None:
    """Take a step of gradient descent with momentum: v = 0.9 v + g,  w = w - rate * v.

    Source: Polyak 1964; in the form of Sutskever et al. 2013 with the rate outside, as in torch.
    """
    torch._fused_sgd_(
        weights,
        gradients,
        state[0],
        weight_decay=weight_decay,
        momentum=MOMENTUM,
        lr=rate,
        dampening=0.0,
        nesterov=False,
        maximize=False,
        is_first_step=False,  # the buffers start at zero, which gives the same first step
    )


def rmsprop(weights: Tensors, gradients: Tensors, state: State, *, rate: float, weight_decay: float) -> None:
    """Take a step of RMSProp: s = 0.99 s + 0.01 g^2,  w = w - rate * g / (sqrt(s) + eps).

    Source: Tieleman & Hinton 2012, lecture 6.5.
    """
    if weight_decay:
        gradients = list(torch._foreach_add(gradients, weights, alpha=weight_decay))
    torch._foreach_mul_(state[0], RMSPROP_DECAY)
    torch._foreach_addcmul_(state[0], gradients, gradients, value=1 - RMSPROP_DECAY)
    roots = torch._foreach_sqrt(state[0])
    torch._foreach_add_(roots, EPSILON)
    torch._foreach_addcdiv_(weights, gradients, roots, value=-rate)


OPTIMIZERS: dict[str, tuple[Rule, tuple[str, ...]]] = {
    "adam": (adam, ("step", "exp_avg", "exp_avg_sq")),
    "adamw": (adamw, ("step", "exp_avg", "exp_avg_sq")),
    "sgd": (sgd, ("momentum_buffer",)),
    "rmsprop": (rmsprop, ("square_avg",)),
}
"""Name -> its rule, and what the rule keeps for each parameter: a tensor of the parameter's shape under each
name, except `step`, a scalar that counts the updates of that parameter."""


class Optimizer:
    """Move the parameters of a pattern by one rule, whether their gradients are dense or sparse.

    Args:
        pattern: the network; parameters that need no gradient are left out.
        rule: a key of `OPTIMIZERS`.
        weight_decay: pull towards zero on parameters with two or more dimensions. Biases and other vectors
            are not decayed: a bias has no scale to hold down (Goodfellow et al. 2016, section 7.1). Nor
            are sparse gradients: decay would move the rows that are not in use.

    Raises:
        ConfigError: an unknown rule, or nothing to train.

    Example:
        >>> layer = torch.nn.Linear(3, 2)
        >>> optimizer = Optimizer(layer, rule="adam")
        >>> layer(torch.ones(1, 3)).sum().backward()
        >>> norm = optimizer.gradient_norm().item()  # sqrt(6 weights + 2 biases of gradient 1)
        >>> optimizer.scale_gradients(1.0 / norm); optimizer.step(0.1); optimizer.zero_grad()
        >>> round(norm, 3), layer.weight.grad
        (2.828, None)
    """

    def __init__(self, pattern: nn.Module, *, rule: str = "adam", weight_decay: float = 0.0) -> None:
        if rule not in OPTIMIZERS:
            raise ConfigError(unknown_name("optimizer", rule, list(OPTIMIZERS)))
        named = {name: parameter for name, parameter in pattern.named_parameters() if parameter.requires_grad}
        if not named:
            raise ConfigError("this pattern has no weights to train; every parameter is frozen.")
        self.rule, self.state_names = OPTIMIZERS[rule]
        self.parameters = named
        decayed = [name for name in named if weight_decay and named[name].ndim > 1]
        plain = [name for name in named if name not in decayed]
        self.state = {
            name: {
                key: torch.zeros((), dtype=torch.float32, device=parameter.device)
                if key == "step"
                else torch.zeros_like(parameter, requires_grad=False, memory_format=torch.preserve_format)
                for key in self.state_names
            }
            for name, parameter in named.items()
        }
        # Names, parameters and state side by side: a step builds no lists but that of the gradients.
        self.groups: list[tuple[list[str], Tensors, State, float]] = [
            (names, [named[name] for name in names], self._state_of(names), decay)
            for names, decay in ((decayed, weight_decay), (plain, 0.0))
            if names
        ]

    def _state_of(self, names: list[str]) -> State:
        return [[self.state[name][key] for name in names] for key in self.state_names]

    def gradient_norm(self) -> Tensor:
        """Return the 2-norm of all gradients together, a scalar on their device (0 if there are none).

        Sparse gradients are coalesced on the way: rows that a batch names twice are added up first.
        """
        values = self._gradient_values()
        if not values:
            return next(iter(self.parameters.values())).new_zeros(())
        # Same as nn.utils.get_total_norm, without its grouping by device in Python.
        return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(values)))

    def scale_gradients(self, factor: float) -> None:
        """Multiply every gradient by `factor`, in place (gradient clipping: factor = clip_norm / norm)."""
        with torch.no_grad():
            torch._foreach_mul_(self._gradient_values(), factor)

    def _gradient_values(self) -> Tensors:
        """Return the numbers of every gradient; a change of them is a change of the gradient."""
        for parameter in self.parameters.values():
            if parameter.grad is not None and parameter.grad.is_sparse:
                parameter.grad = parameter.grad.coalesce()
        gradients = [p.grad for p in self.parameters.values() if p.grad is not None]
        return [g._values() if g.is_sparse else g for g in gradients]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move the weights once along their gradients, with learning rate `rate`."""
        for names, parameters, state, weight_decay in self.groups:
            gradients = [p.grad for p in parameters if p.grad is not None and not p.grad.is_sparse]
            if len(gradients) < len(parameters):  # some are sparse, or this batch did not use them
                names, sparse = self._dense_and_sparse(names)
                parameters, state = [self.parameters[name] for name in names], self._state_of(names)
                for name in sparse:
                    self._move_rows(name, rate)
            if gradients:
                self.rule(parameters, gradients, state, rate=rate, weight_decay=weight_decay)

    def _dense_and_sparse(self, names: list[str]) -> tuple[list[str], list[str]]:
        used = [name for name in names if self.parameters[name].grad is not None]
        sparse = [name for name in used if self.parameters[name].grad.is_sparse]  # type: ignore[union-attr]
        return [name for name in used if name not in sparse], sparse

    def _move_rows(self, name: str, rate: float) -> None:
        """Apply the rule to the rows that a sparse gradient names: gather, update as if dense, put back."""
        weight, state = self.parameters[name], self.state[name]
        gradient = weight.grad.coalesce()  # type: ignore[union-attr]
        rows, values = gradient._indices()[0], gradient._values()
        if rows.numel() == 0:
            return
        gathered = {key: old if key == "step" else old[rows] for key, old in state.items()}
        weight_rows = weight[rows]
        self.rule([weight_rows], [values], [[gathered[key]] for key in state], rate=rate, weight_decay=0.0)
        weight.index_copy_(0, rows, weight_rows)
        for key, old in state.items():
            if key != "step":
                old.index_copy_(0, rows, gathered[key])

    def zero_grad(self) -> None:
        """Drop every gradient (their memory is given back, none is filled with zeros)."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def state_dict(self) -> dict[str, Tensor]:
        """Return the rule's running averages, "<parameter>/<average>" -> tensor (not copied)."""
        return {f"{name}/{key}": value for name, kept in self.state.items() for key, value in kept.items()}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Copy in what `state_dict` gave.

        Raises:
            CheckpointError: other parameters, another rule, or other shapes.
        """
        own = self.state_dict()
        differing = sorted(own.keys() ^ tensors.keys())
        differing += [key for key in own if key in tensors and own[key].shape != tensors[key].shape]
        if differing:
            raise CheckpointError(
                f"the optimiser's state does not fit this pattern (first difference: {differing[0]}); "
                "resume with the settings that the run was started with."
            )
        with torch.no_grad():
            for key, value in own.items():
                value.copy_(tensors[key])


class Schedule:
    """The learning rate as a pure function of the step.

    It rises in a straight line over `warmup` steps, then stays ("none"), or falls to zero at `total_steps`
    in a straight line ("linear") or along half a cosine ("cosine": Loshchilov & Hutter 2017, no restarts).

    Args:
        peak: the highest rate.
        warmup: steps over which it rises; 0: it starts at the peak.
        decay: "none", "linear" or "cosine".
        total_steps: steps of the whole training.

    Example:
        >>> [round(Schedule(1.0, warmup=2, decay="linear", total_steps=6).rate(s), 2) for s in range(7)]
        [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """

    def __init__(self, peak: float, *, warmup: int = 0, decay: str = "none", total_steps: int = 0) -> None:
        if decay not in ("none", "linear", "cosine"):
            raise ConfigError(unknown_name("decay", decay, ["none", "linear", "cosine"]))
        self.peak, self.warmup, self.decay, self.total_steps = peak, warmup, decay, total_steps

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        if self.decay == "none":
            return self.peak
        done = min((step - self.warmup) / max(self.total_steps - self.warmup, 1), 1.0)
        if self.decay == "linear":
            return self.peak * (1.0 - done)
        return self.peak * 0.5 * (1.0 + math.cos(math.pi * done))
