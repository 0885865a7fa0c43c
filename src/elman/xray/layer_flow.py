"""LAYER FLOW: everything that is measured of one layer in one direction, and in which order.

Shape legend: B batch, T time, H hidden, L layers, D directions.

Forward re-runs go from the lowest layer up, gradients from the highest down. What is held in float64 stays
under a budget: rows are left out, and that is said, until it does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from elman.errors import ConfigError
from elman.xray.finite import norms as measured
from elman.xray.gates import Gate, measure_gates
from elman.xray.gradient_flow import gate_gradients, seeds_of, total_gradients
from elman.xray.lag_estimates import PROBES, estimate_norms
from elman.xray.lag_norms import LagNorms, exact_norms, make_plan
from elman.xray.linearised import Linearised, linearise
from elman.xray.lyapunov import lyapunov_exponents
from elman.xray.passes import Pass
from elman.xray.rerun import rerun, rerun_dtype
from elman.xray.scan import Scan, turn
from elman.xray.spectrum import EXACT_UP_TO, LayerSpectra, jacobian_spectra, recurrent_spectra
from elman.xray.unit_map import UnitMap, measure_units

BUDGET = 2**29
"""Bytes that the tensors of one layer over time may take together: 512 MiB."""

SVD_WORK = 2e9
"""Numbers^1.5 of all matrices whose singular values are computed for one layer: a few seconds."""

JACOBIANS = 8
"""Places at which a Jacobian's whole spectrum is computed."""


Tell = Callable[[str], None]
"""Is told what is measured next: it may take seconds."""


@dataclass(frozen=True)
class Choices:
    """How hard to look.

    Args:
        places: states from which influence is followed, at most.
        exact_up_to: numbers in a state up to which Jacobians are multiplied out.
        seed: of the places and random vectors that are drawn.
    """

    places: int
    exact_up_to: int
    seed: int


@dataclass(frozen=True, eq=False)
class LayerFlow:
    """One layer in one direction, in one pass of the batch; time is the sequence's own, left to right.

    Args:
        name: of the module in the model.
        index: 0 for the first pass through that module, 1 for the next.
        layer, direction: from 0; direction 1 runs backward.
        mode: RNN_TANH, RNN_RELU, GRU or LSTM.
        hidden_size: units, H.
        rows [B]: which rows of the batch these are.
        lengths [B]: their real steps.
        gradient_norms: of each part of the state ("hidden", "cell"), |dL/ds_t| [B, T]; zero in the padding.
        unit_maps: of each part, dL/ds_t (root-mean-square over the rows) and mean s_t of every unit at every
            step, padding left out; see `UnitMap`.
        lag_norms: by part of the state; see `LagNorms`.
        gates: in the order of `cells.CELLS`.
        spectra: of the weights and of the Jacobians.
        rerun_gap: the largest difference between the layer's output and the re-run.
        notes: what was sampled, estimated or left out.
    """

    name: str
    index: int
    layer: int
    direction: int
    mode: str
    hidden_size: int
    rows: Tensor
    lengths: Tensor
    gradient_norms: dict[str, Tensor]
    unit_maps: dict[str, UnitMap]
    lag_norms: dict[str, LagNorms]
    gates: list[Gate]
    spectra: LayerSpectra
    rerun_gap: float
    notes: list[str]

    @property
    def mean_gradient_norms(self) -> dict[str, Tensor]:
        """[T] of each part: the mean over the rows that are real at that step; NaN where none is."""
        return {name: self._mean(norms) for name, norms in self.gradient_norms.items()}

    @property
    def memory_horizon(self) -> int | None:
        """The smallest lag at which the whole state's influence is under 1 %; None if it never is."""
        return self.lag_norms["state" if "state" in self.lag_norms else "hidden"].memory_horizon

    def _mean(self, norms: Tensor) -> Tensor:
        count = (torch.arange(norms.size(1)) < self.lengths.unsqueeze(1)).sum(0)
        return norms.sum(0) / torch.where(count > 0, count.double(), torch.nan)


def measure_pass(one: Pass, choices: Choices, tell: Tell | None = None) -> list[LayerFlow]:
    """Measure every layer and direction of a pass; give the lowest layer first, and tell what is measured."""
    dtype = rerun_dtype(one.layer_weights(0, 0).weight_hh)
    rows, note = _affordable_rows(one, dtype)
    chosen = one.select(rows)
    notes = [note] if note else []
    if chosen.output.dtype not in (torch.float64, torch.float32):
        notes.append(f"the layer runs in {chosen.output.dtype}, the re-run in {dtype}")
    elif dtype != torch.float64:
        notes.append("the re-run is in float32: a copy of the weights in float64 would be too large")
    scans, gap = rerun(chosen, dtype)
    if gap > 0.01 * max(float(chosen.output.abs().max()), 1.0):
        where = "its own states are looked at" if one.num_layers == 1 else "the re-run's are looked at"
        notes.append(
            f"the re-run in {dtype} drifts from the layer's own output, by up to {gap:.2g}: the states are "
            f"sensitive to rounding, and {where}"
        )
    from_above = chosen.output_gradient.to(dtype)
    flows: list[LayerFlow] = []
    for layer in range(chosen.num_layers - 1, -1, -1):
        below = torch.zeros_like(scans[layer][0].input)
        pieces = from_above.chunk(chosen.num_directions, -1)
        found = []
        for direction, piece in enumerate(pieces):
            if tell is not None:
                way = ("forward", "backward")[direction] if chosen.num_directions == 2 else ""
                tell(" ".join([one.name, "layer", f"{layer + 1} of {chosen.num_layers}", way]).strip())
            scan = scans[layer][direction]
            place = _Place(chosen, rows, layer, direction, gap)
            flow, inputs = _measure(place, scan, piece, choices, notes)
            below += turn(inputs, chosen.lengths) if direction else inputs
            found.append(flow)
        scans.pop()
        flows = found + flows
        from_above = below
    return flows


@dataclass(frozen=True, eq=False)
class _Place:
    """Where in a pass the measuring stands."""

    one: Pass
    rows: Tensor
    layer: int
    direction: int
    gap: float


def _measure(
    place: _Place, scan: Scan, from_above: Tensor, choices: Choices, notes: list[str]
) -> tuple[LayerFlow, Tensor]:
    """Measure one layer in one direction; give also the gradient by its input, in its own order of time."""
    one, direction = place.one, place.direction
    linear = linearise(scan)
    seeds, goes_on = seeds_of(one, place.layer, direction, scan, from_above)
    totals = total_gradients(linear, seeds, goes_on)
    gate_norms, inputs = gate_gradients(linear, scan, totals)
    if direction:
        gate_norms = torch.stack([turn(norms, one.lengths) for norms in gate_norms])
    norms, maps = {}, {}
    for name, part, state in zip(one.cell.state, totals, scan.after, strict=True):
        found = torch.where(scan.real, measured(part), 0.0)
        norms[name] = (turn(found, one.lengths) if direction else found).t().cpu()
        maps[name] = measure_units(part, state, one.lengths, direction=direction)
    lags, lag_notes = _lag_norms(linear, one, direction, choices)
    spectra, spectrum_notes = _spectra(linear, one, direction, choices)
    flow = LayerFlow(
        one.name,
        one.index,
        place.layer,
        direction,
        one.mode,
        linear.sizes[-1],
        place.rows,
        one.lengths,
        norms,
        maps,
        _named_rows(lags, place.rows),
        measure_gates(scan, gate_norms),
        _with_rows(spectra, place.rows),
        place.gap,
        [*notes, *lag_notes, *spectrum_notes],
    )
    return flow, inputs


def _lag_norms(
    linear: Linearised, one: Pass, direction: int, choices: Choices
) -> tuple[dict[str, LagNorms], list[str]]:
    """Give exact norms of a small state, estimates of a large one."""
    generator = torch.Generator().manual_seed(choices.seed)
    size, weights = linear.state_size, linear.weights.weight_hh.numel()
    is_exact = size <= choices.exact_up_to
    vectors = size if is_exact else PROBES * len(linear.sizes)
    plan = make_plan(
        one.lengths,
        2.0 * weights * vectors,
        places=choices.places,
        fewest=8 if is_exact else 2,
        most_lags=max(int(SVD_WORK / (choices.places * size**3)), 16) if is_exact else 64,
        generator=generator,
    )
    notes = [plan.note] if plan.note else []
    if is_exact:
        found = exact_norms(linear, one.lengths, plan)
    else:
        found = estimate_norms(linear, one.lengths, plan, generator)
        notes.append(f"norms by lag are estimates, with 95 % intervals: the state has {size} numbers")
    return {name: _natural(norms, one, direction) for name, norms in found.items()}, notes


def _spectra(
    linear: Linearised, one: Pass, direction: int, choices: Choices
) -> tuple[LayerSpectra, list[str]]:
    generator = torch.Generator().manual_seed(choices.seed)
    exponents, note = lyapunov_exponents(linear, one.lengths, generator=generator)
    notes = [note] if note else []
    plan = make_plan(one.lengths, 1.0, places=JACOBIANS, fewest=1, most_lags=1, generator=generator)
    steps, rows = plan.steps, plan.rows
    if linear.state_size > EXACT_UP_TO:
        steps, rows = steps[:0], rows[:0]
        notes.append("spectra of the weights are estimates; Jacobians too large for eigenvalues are left out")
    jacobians = jacobian_spectra(linear, steps, rows)
    steps = one.lengths[rows] - 1 - steps if direction else steps
    recurrent = recurrent_spectra(one.cell, linear.weights)
    return LayerSpectra(recurrent, rows, steps, jacobians, exponents), notes


def _natural(norms: LagNorms, one: Pass, direction: int) -> LagNorms:
    """Say places in the sequence's own order of time."""
    if not direction:
        return norms
    fields = {name: getattr(norms, name) for name in LagNorms.__dataclass_fields__}
    return LagNorms(**(fields | {"steps": one.lengths[norms.rows] - 1 - norms.steps}))


def _named_rows(found: dict[str, LagNorms], rows: Tensor) -> dict[str, LagNorms]:
    """Say places by the rows of the batch."""
    named = {}
    for part, norms in found.items():
        fields = {name: getattr(norms, name) for name in LagNorms.__dataclass_fields__}
        named[part] = LagNorms(**(fields | {"rows": rows[norms.rows]}))
    return named


def _with_rows(spectra: LayerSpectra, rows: Tensor) -> LayerSpectra:
    return LayerSpectra(
        spectra.recurrent, rows[spectra.rows], spectra.steps, spectra.jacobians, spectra.lyapunov
    )


def _affordable_rows(one: Pass, dtype: torch.dtype) -> tuple[Tensor, str | None]:
    """Choose rows, evenly over the batch and the longest among them, so that all fits into the budget.

    Raises:
        ConfigError: not even one row does.
    """
    parts = len(one.cell.state)
    width = one.initial[-1].size(-1)
    # In and out of each layer, states before and after, their derivatives by gates, carries, gradients.
    held = one.num_layers * one.num_directions * (2 * parts + 1) + 2 * parts
    factors = parts * len(one.cell.gates) * (2 if one.mode == "GRU" or one.cuts is not None else 1) + parts**2
    numbers = (held + factors + 2 * len(one.cell.gates)) * width + 2 * one.input.size(-1)
    steps = max(int(one.lengths.max()) if len(one.lengths) else 0, 1)
    bytes_a_row = numbers * steps * (8 if dtype == torch.float64 else 4)
    count, batch = BUDGET // bytes_a_row, len(one.lengths)
    if count == 0:
        raise ConfigError(
            f"layer {one.name!r} read {steps} steps of {width} units, and looking through one row would take "
            f"{bytes_a_row / 2**30:.1f} GiB; expected at most {BUDGET / 2**30:.1f} (give shorter sequences)."
        )
    if count >= batch:
        return torch.arange(batch), None
    rows = torch.linspace(0, batch - 1, count).long()
    longest = int(one.lengths.argmax())
    if longest not in rows:
        rows[int((rows - longest).abs().argmin())] = longest
    return rows.unique(), f"{count} of {batch} rows, evenly over the batch, for memory"
