"""SNAPSHOT: everything that decides what happens next, as tensors and JSON; taken and put back.

Weights, the optimiser's averages, the state carried through a stream, torch's random state, and the position
in the data (`Progress`). The learning rate and the order of the batches are pure functions of the position,
so they need not be stored.
"""

import logging
from typing import Any

import torch
from torch import Tensor, nn

from elman.errors import CheckpointError
from elman.training.bptt import GradientRule
from elman.training.optim import Optimizer
from elman.training.plan import Progress

logger = logging.getLogger("elman")


def take(
    pattern: nn.Module,
    optimizer: Optimizer,
    progress: Progress,
    gradient: GradientRule,
    *,
    num_batches: int,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the state of a checkpoint (tensors are not copied: save them at once)."""
    tensors = {f"weights/{name}": tensor for name, tensor in pattern.state_dict().items()}
    tensors |= {f"optimizer/{name}": tensor for name, tensor in optimizer.state_dict().items()}
    tensors |= {f"carried/{name}": tensor for name, tensor in gradient.carried().items()}
    tensors["random/cpu"] = torch.get_rng_state()
    device = device_of(pattern)
    if device.type == "cuda":
        tensors["random/cuda"] = torch.cuda.get_rng_state(device)
    return tensors, {
        "progress": progress.to_json(),
        "num_batches": num_batches,
        "environment": environment(pattern),
    }


def put_back(
    tensors: dict[str, Tensor],
    state: dict[str, Any],
    pattern: nn.Module,
    optimizer: Optimizer,
    gradient: GradientRule,
    *,
    num_batches: int,
) -> Progress:
    """Set weights, averages, carried and random state to those of a checkpoint; return where it stood.

    Raises:
        CheckpointError: it belongs to another network or to other data.
    """
    if state["num_batches"] != num_batches:
        raise CheckpointError(
            f"the checkpoint was made with {state['num_batches']} batches an epoch, not {num_batches}; "
            "resume with the same data and batch size, or train anew."
        )
    load_weights_into(pattern, with_prefix(tensors, "weights/"))
    optimizer.load_state_dict(with_prefix(tensors, "optimizer/"))
    device = device_of(pattern)
    gradient.carry_on({name: part.to(device) for name, part in with_prefix(tensors, "carried/").items()})
    torch.set_rng_state(tensors["random/cpu"])
    if device.type == "cuda" and "random/cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random/cuda"], device)
    now = environment(pattern)
    changed = [f"{key} {state['environment'].get(key)} -> {now[key]}" for key in now]
    changed = [
        text for text, key in zip(changed, now, strict=True) if state["environment"].get(key) != now[key]
    ]
    if changed:
        logger.warning(
            "resumed elsewhere than it was saved (%s): results may differ in the last digits",
            ", ".join(changed),
        )
    return Progress.from_json(state["progress"])


def copy_weights(pattern: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a pattern's weights that later steps leave alone."""
    return {name: tensor.detach().clone() for name, tensor in pattern.state_dict().items()}


def load_weights_into(pattern: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy weights into a pattern.

    Raises:
        CheckpointError: they belong to another network.
    """
    try:
        pattern.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(
            f"these weights belong to another network ({' '.join(str(error).split())}); "
            "use the settings that they were trained with."
        ) from error


def with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose name starts with the prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def device_of(pattern: nn.Module) -> torch.device:
    """Return the device of a pattern's first parameter."""
    return next(pattern.parameters()).device


def environment(pattern: nn.Module) -> dict[str, Any]:
    """Return what must stay the same for a resumed training to give the same bytes."""
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": device_of(pattern).type,
    }
