"""GATES: how open they stand, how often they are stuck, and which units of a ReLU network are dead.

Shape legend: B batch, T time, G gates x hidden, H hidden.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear

from elman.xray.scan import Scan, products_with_input

SATURATED_GATE = 0.05
"""A sigmoid nearer than this to 0 or 1 is saturated: its slope is a fifth of the steepest or less."""

SATURATED_TANH = 0.95
"""A tanh larger than this is saturated: its slope is a tenth of the steepest or less."""

AT_ONCE = 2**22
"""Numbers of one tensor of gates that are held together."""


@dataclass(frozen=True, eq=False)
class Gate:
    """One gate, or candidate, of one layer in one direction, over the real steps.

    Args:
        name: as `cells.CELLS` has it.
        mean [H]: of each unit; of tanh and relu the mean size.
        saturated [H]: share of steps in which each unit is saturated; all zero for relu.
        gradient_norm [B, T]: of the loss, by the values before the sigmoid or tanh; zero in the padding.
        dead: units that are zero at every real step; None for what is not relu.
    """

    name: str
    mean: Tensor
    saturated: Tensor
    gradient_norm: Tensor
    dead: tuple[int, ...] | None

    @property
    def saturated_share(self) -> float:
        """Share of all values that are saturated."""
        return float(self.saturated.mean())


def gate_values(scan: Scan, steps: slice) -> dict[str, Tensor]:
    """Return the value of each gate at some steps, [T, B, H] each.

    Example:
        >>> from elman.xray.layer_record import record
        >>> from elman.xray.passes import join
        >>> from elman.xray.rerun import rerun
        >>> calls = record(torch.nn.GRU(2, 3), torch.ones(4, 1, 2), lambda gru, x: gru(x)[0].sum()).calls
        >>> scan = rerun(join(calls)[0], torch.float64)[0][0][0]
        >>> {name: value.shape[-1] for name, value in gate_values(scan, slice(None)).items()}
        {'reset_gate': 3, 'update_gate': 3, 'candidate': 3}
    """
    from_input = products_with_input(scan.weights, scan.input[steps])
    from_hidden = linear(scan.before[0][steps], scan.weights.weight_hh, scan.weights.bias_hh)
    names = scan.cell.gates
    parts = dict(
        zip(
            names,
            zip(from_input.chunk(len(names), -1), from_hidden.chunk(len(names), -1), strict=True),
            strict=True,
        )
    )
    if scan.cell.mode == "GRU":
        values = {name: torch.sigmoid(torch.add(*parts[name])) for name in ("reset_gate", "update_gate")}
        by_input, by_hidden = parts["candidate"]
        values["candidate"] = torch.tanh(by_input + values["reset_gate"] * by_hidden)
        return values
    squashed = {"candidate": torch.tanh, "hidden": scan.cell.squash}
    return {name: squashed.get(name, torch.sigmoid)(a + b) for name, (a, b) in parts.items()}


def measure_gates(scan: Scan, gradient_norms: Tensor) -> list[Gate]:
    """Measure all gates over the real steps of a scan.

    Args:
        gradient_norms [gates, T, B]: as `gradient_flow.gate_gradients` gives them.
    """
    steps, batch = scan.real.shape
    width = scan.weights.weight_hh.size(0)
    window = max(AT_ONCE // max(batch * width, 1), 1)
    units = width // len(scan.cell.gates)
    sums, stuck, alive = (
        {name: scan.after[0].new_zeros(units) for name in scan.cell.gates} for _ in range(3)
    )
    for start in range(0, steps, window):
        own = slice(start, start + window)
        real = scan.real[own].unsqueeze(-1)
        for name, value in gate_values(scan, own).items():
            is_gate = name.endswith("_gate")
            size = value if is_gate else value.abs()
            near = torch.minimum(value, 1 - value) < SATURATED_GATE if is_gate else size > SATURATED_TANH
            sums[name] += torch.where(real, size, 0.0).sum((0, 1))
            stuck[name] += (near & real).sum((0, 1))
            alive[name] += ((value != 0) & real).sum((0, 1))
    count = max(int(scan.real.sum()), 1)
    is_relu = scan.cell.mode == "RNN_RELU"
    gates = []
    for name, norms in zip(scan.cell.gates, gradient_norms, strict=True):
        dead = tuple((alive[name] == 0).nonzero()[:, 0].tolist()) if is_relu else None
        saturated = torch.zeros_like(stuck[name]) if is_relu else stuck[name] / count
        gates.append(Gate(name, (sums[name] / count).cpu(), saturated.cpu(), norms.t().cpu(), dead))
    return gates
