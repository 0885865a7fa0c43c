"""Choose the backend that runs a stack of layers, out loud.

`BACKENDS` lists them, fastest first. The first that does not refuse runs; when that is not the first of the
list, the reason is logged once. `use("reference")` insists on one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import embedding
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from elman.cells import State
from elman.errors import ConfigError
from elman.kernels import cpu, reference, torch_native
from elman.kernels.stack import Fresh, Stack

logger = logging.getLogger("elman")


class Backend(NamedTuple):
    """A way to run a stack: `refuses` says why it cannot, `run` runs it (see kernels/stack.py).

    `run_packed` takes packed data; without it, packed data is padded first. `run_tokens` takes token ids and
    their vectors; without it, the vectors are looked up first. `devices` are the types of device that it is
    made for; None: all.
    """

    refuses: Callable[[Stack, Tensor, Tensor | None, Tensor | None], str | None]
    run: Callable[..., tuple[Tensor, State]]
    run_packed: Callable[[Stack, Tensor, Tensor, State], tuple[Tensor, State]] | None = None
    devices: tuple[str, ...] | None = None
    run_tokens: Callable[..., tuple[Tensor, State]] | None = None


BACKENDS: dict[str, Backend] = {
    "cpu": Backend(cpu.refuses, cpu.run, cpu.run_packed, ("cpu",), cpu.run_tokens),
    "torch": Backend(torch_native.refuses, torch_native.run, torch_native.run_packed),
    "reference": Backend(reference.refuses, reference.run),
}

# Backends with other results than these; they run only where `use` insists on them.
ON_REQUEST: dict[str, Backend] = {
    "cpu_bf16": Backend(cpu.refuses_rounded, cpu.run_rounded, devices=("cpu",)),
}

# A plain global and not a context variable: torch.compile guards on it and compiles again when it changes.
_insisted: str | None = None
_reported: set[tuple[str, str]] = set()


@contextmanager
def use(name: str) -> Iterator[None]:
    """Run everything inside the `with` block, in all threads, on one backend.

    Args:
        name: a key of `BACKENDS`; or "cpu_bf16", for inference alone, which rounds the factors of every
            product to bfloat16: not quite twice as fast, each factor off by up to 2^-9 of itself.

    Raises:
        ConfigError: there is no such backend; or, later, it refuses what it is asked to run.

    Example:
        >>> import torch, elman.nn
        >>> layer, x = elman.nn.GRU(3, 4), torch.ones(5, 1, 3)
        >>> with use("reference"):
        ...     slow, _ = layer(x)
        >>> torch.allclose(slow, layer(x)[0], atol=1e-6)
        True
    """
    global _insisted
    known = [*BACKENDS, *ON_REQUEST]
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ConfigError(f"unknown backend {name!r}, expected one of {', '.join(known)}{hint}")
    before, _insisted = _insisted, name
    try:
        yield
    finally:
        _insisted = before


def choose(stack: Stack, input: Tensor, lengths: Tensor | None, reset: Tensor | None) -> Backend:
    """Give the fastest backend that can run this, and log why when it is not the first of the list.

    Raises:
        ConfigError: the backend that `use` insists on refuses.
    """
    device = input.device.type
    if _insisted is not None:
        backend = (BACKENDS | ON_REQUEST)[_insisted]
        reason = backend.refuses(stack, input, lengths, reset)
        if backend.devices is not None and device not in backend.devices:
            reason = f"it is for tensors on {' or '.join(backend.devices)}, and the input is on {device}"
        if reason is not None:
            raise ConfigError(
                f"backend {_insisted!r} cannot run this {stack.mode}: {reason} (leave the `use` block)"
            )
        return backend
    for backend_name, backend in BACKENDS.items():
        if backend.devices is not None and device not in backend.devices:
            continue
        reason = backend.refuses(stack, input, lengths, reset)
        if reason is None:
            return backend
        _report(backend_name, reason)
    raise ConfigError(f"no backend of {', '.join(BACKENDS)} can run this {stack.mode}")


def _report(name: str, reason: str) -> None:
    if (name, reason) not in _reported:
        _reported.add((name, reason))
        logger.warning("a slower backend runs instead of %r: %s (said once)", name, reason)


def run(
    stack: Stack,
    input: Tensor,
    state: State,
    *,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    fresh: Fresh,
) -> tuple[Tensor, State]:
    """Run a stack of layers on the chosen backend; arguments and results as in reference.py:run."""
    backend = choose(stack, input, lengths, reset)
    return backend.run(stack, input, state, lengths=lengths, reset=reset, fresh=fresh)


def run_packed(stack: Stack, data: Tensor, batch_sizes: Tensor, state: State) -> tuple[Tensor, State]:
    """Run a stack of layers over packed data [M, I], longest row first, on the chosen backend."""
    backend = choose(stack, data, None, None)
    if backend.run_packed is not None:
        return backend.run_packed(stack, data, batch_sizes, state)
    padded, lengths = pad_packed_sequence(PackedSequence(data, batch_sizes), batch_first=stack.batch_first)
    output, state = backend.run(stack, padded, state, lengths=lengths, reset=None, fresh=_no_cuts)
    return pack_padded_sequence(output, lengths, stack.batch_first).data, state


def run_tokens(
    stack: Stack, tokens: Tensor, vectors: Tensor, state: State, *, lengths: Tensor | None, fresh: Fresh
) -> tuple[Tensor, State]:
    """Run a stack of layers over ``vectors[tokens]`` on the chosen backend; see cpu.py:run_tokens."""
    backend = choose(stack, vectors, lengths, None)
    if backend.run_tokens is not None:
        return backend.run_tokens(stack, tokens, vectors, state, lengths=lengths, fresh=fresh)
    return backend.run(stack, embedding(tokens, vectors), state, lengths=lengths, reset=None, fresh=fresh)


def _no_cuts(rows: int) -> State:
    raise AssertionError("a packed sequence has no cuts")
