"""X-RAY RECORDS: what is seen of a network while it trains, a line of `xray.jsonl` every so many steps.

An observer of the training: it reads weights and batches, and changes nothing. There is no clock in its
lines, so that the same training writes the same bytes; a resumed one cuts the file to its checkpoint and goes
on.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elman.config import Settings
from elman.errors import ConfigError, TrainingError
from elman.patterns.pattern import Pattern
from elman.training.loop import Batches, to_plain
from elman.training.plan import Observer, Plan, Progress
from elman.training.store import Journal
from elman.xray.glance import Glance, LayerGlance, glance

FORMAT = 1
"""Number of the layout of a line; see docs/xray.md."""

ROWS = 4
"""Rows of the step's batch that are looked at: with more, the cost grows and the means hardly change."""

FILE = "xray.jsonl"
"""The file's name in a run folder."""


class XrayRecords(Observer):
    """Write a line every `every` steps, of the weights after that step.

    Args:
        path: the file.
        every: steps.
        pattern: the network that is trained.
        batches: what it is trained on.
    """

    def __init__(self, path: Path, every: int, pattern: Pattern, batches: Batches) -> None:
        self.journal, self.every = Journal(path), every
        self.pattern, self.batches = pattern, batches
        self.order: tuple[int, list[list[int]]] | None = None
        self.before: dict[str, Tensor] | None = None

    def on_start(self, progress: Progress, plan: Plan, num_batches: int) -> None:
        """Cut the file to the step where training goes on."""
        self.journal.cut(length_until(self.journal.path, progress.step))
        self._remember(progress.step)

    def on_step(self, progress: Progress, loss: float, norm: float, sequences: int) -> None:
        """Look at the network, where it is time to."""
        if progress.step % self.every == 0:
            line = {"format": FORMAT, "step": progress.step, "loss": loss, "gradient_norm": norm}
            self.journal.append(to_plain(line | self._look(progress)))
        self._remember(progress.step)

    def _remember(self, step: int) -> None:
        """Keep the weights before a step after which they are looked at: the update is what they move by."""
        self.before = None
        if (step + 1) % self.every == 0:
            self.before = {name: value.detach().clone() for name, value in self.pattern.named_parameters()}

    def _look(self, progress: Progress) -> dict[str, Any]:
        """Return the rest of a line; empty lists where the loss of these rows is not finite."""
        batch = self.batches.batch(self._rows(progress))
        device = next(self.pattern.parameters()).device
        if device.type != "cpu":
            batch = batch.to(device)
        try:
            found = glance(self.pattern, batch, _loss)
        except TrainingError:
            return {"layers": [], "parameters": {}}
        return {
            "layers": [_layer_json(layer) for layer in found.layers],
            "parameters": self._parameters(found),
        }

    def _rows(self, progress: Progress) -> list[int]:
        """Return a few rows of the step's own batch, evenly over it."""
        if self.order is None or self.order[0] != progress.epoch:
            self.order = progress.epoch, self.batches.order(progress.epoch)
        rows = self.order[1][progress.position - 1]
        count = min(ROWS, len(rows))
        return [rows[place * len(rows) // count] for place in range(count)]

    def _parameters(self, found: Glance) -> dict[str, Any]:
        rows = {}
        for name, value in self.pattern.named_parameters():
            gradient, weight = found.parameters[name]
            moved = None
            if self.before is not None:
                moved = float(torch.linalg.vector_norm(value.detach() - self.before[name]))
            rows[name] = {"gradient": gradient, "weight": weight, "update": moved}
        return rows


def refuse_unseen(settings: Settings) -> None:
    """Refuse `xray_every` where nothing could be recorded.

    Raises:
        ConfigError: there is no run folder, or the layers do more in a step than their plain recurrence.
    """
    if settings.xray_every is None:
        return
    if settings.out is None and settings.resume is None:
        raise ConfigError(
            f"xray_every writes {FILE} into the run folder, and none is named; name one with --out FOLDER."
        )
    for name in ("layer_norm", "zoneout"):
        if getattr(settings, name):
            raise ConfigError(
                f"xray_every looks at plain recurrences, and {name} acts inside each step; leave one out."
            )


def length_until(path: Path, step: int) -> int:
    """Return how many bytes of a file of records are of steps up to this one.

    A line that was cut by a kill, and everything after it, does not count.

    Example:
        >>> length_until(Path("nowhere.jsonl"), 100)
        0
    """
    if not path.exists():
        return 0
    length = 0
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            row = json.loads(line)
        except ValueError:
            break
        if not line.endswith(b"\n") or not isinstance(row, dict) or row.get("step", math.inf) > step:
            break
        length += len(line)
    return length


def _layer_json(layer: LayerGlance) -> dict[str, Any]:
    return {
        "name": layer.name,
        "index": layer.index,
        "layer": layer.layer,
        "direction": layer.direction,
        "steps_from_end": layer.steps.tolist(),
        "gradient_norms": [_short(value) for value in layer.gradient_norms.tolist()],
        "gates": {
            name: {"mean": _short(mean), "saturated": _short(saturated)}
            for name, (mean, saturated) in layer.gates.items()
        },
        "spectral_radius": _short(layer.spectral_radius),
        "horizon": layer.horizon,
    }


def _short(value: float) -> float:
    """Return a number with six digits: a line is for looking at."""
    return float(f"{value:.6g}")


def _loss(pattern: Any, batch: Any) -> Tensor:
    loss: Tensor = pattern.loss(batch)
    return loss
