"""GLANCE: what an examination costs too much to say at every hundredth step of a training, said cheaply.

Shape legend: B batch, T time, H hidden, M vectors, K lags.

The same forward and backward pass as in `examine`, on a few rows, re-run in float32. One more vector goes
back through time beside the gradient, from each row's last step: a random one, whose norm says how much of a
change is left. No product of Jacobians is made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from elman.cells import Cell, State, Weights
from elman.padded import mask_of
from elman.xray.gates import measure_gates
from elman.xray.gradient_flow import gate_gradients, seeds_of
from elman.xray.lag_norms import FORGOTTEN
from elman.xray.layer_record import Loss, record
from elman.xray.linearised import Linearised, linearise
from elman.xray.passes import Pass, join
from elman.xray.rerun import rerun
from elman.xray.scan import Scan, products_with_input, to_dtype, turn
from elman.xray.untouched import untouched

SQUARINGS = 8
"""Times that a matrix is multiplied by itself to see its spectral radius: |A^256|^(1/256)."""

POINTS = 64
"""Steps, counted from the end, of which the gradient's norm is kept."""


@dataclass(frozen=True, eq=False)
class LayerGlance:
    """One layer in one direction.

    Args:
        name: of the module in the model.
        index: 0 for the first pass through that module, 1 for the next.
        layer, direction: from 0; direction 1 runs backward.
        steps [K]: steps before the last one of a row, in the direction's own order, 0 first.
        gradient_norms [K]: mean |dL/ds_t| there, of the rows that are as long.
        gates: (mean, saturated share) of each gate over real steps and units.
        spectral_radius: of the recurrent weights of the candidate (of an Elman network, of all).
        horizon: steps after which less than 1 % of a random change is left; None: it never is.
    """

    name: str
    index: int
    layer: int
    direction: int
    steps: Tensor
    gradient_norms: Tensor
    gates: dict[str, tuple[float, float]]
    spectral_radius: float
    horizon: int | None


@dataclass(frozen=True, eq=False)
class Glance:
    """What `glance` found.

    Args:
        loss: of the rows, in evaluation mode.
        layers: each recurrent layer, direction and pass.
        parameters: (root of the sum of squares of the gradient, of the weights) by name; a gradient of None
            where the loss does not depend on it.
    """

    loss: float
    layers: list[LayerGlance]
    parameters: dict[str, tuple[float | None, float]]


def glance(model: Any, batch: Any, loss_fn: Loss) -> Glance:
    """Look at a model cheaply; it is left as it was, and so is the random state.

    Args:
        model: as `examine` takes it.
        batch: few rows; the cost grows with their steps.
        loss_fn: (model, batch) -> scalar.

    Raises:
        ConfigError, TrainingError: as `examine` does.

    Example:
        >>> layer = torch.nn.LSTM(2, 3)
        >>> found = glance(layer, torch.ones(6, 4, 2), lambda lstm, x: lstm(x)[0][-1].sum())
        >>> found.layers[0].gradient_norms.shape
        torch.Size([6])
    """
    with untouched(model):
        found = record(model, batch, loss_fn)
        parameters = {}
        for name, weights in model.named_parameters():
            gradient = found.gradients.get(name)
            if gradient is not None and gradient.is_sparse:
                gradient = gradient.coalesce().values()
            norm = None if gradient is None else float(torch.linalg.vector_norm(gradient))
            parameters[name] = norm, float(torch.linalg.vector_norm(weights.detach()))
        layers = [layer for one in join(found.calls) for layer in _glance_pass(one)]
    return Glance(found.loss, layers, parameters)


def spectral_radius(matrix: Tensor) -> float:
    """Return the size of the largest eigenvalue, within about a hundredth, by few products of matrices.

    Source: Gelfand 1941, Normierte Ringe: rho(A) = lim |A^k|^(1/k).

    Example:
        >>> round(spectral_radius(torch.diag(torch.tensor([0.5, -2.0]))), 2)
        2.0
    """
    power, logarithm = matrix.detach(), 0.0
    for _ in range(SQUARINGS):
        norm = float(torch.linalg.matrix_norm(power))
        if not 0 < norm < math.inf:
            return norm
        power = power / norm
        power, logarithm = power @ power, 2 * (logarithm + math.log(norm))
    norm = float(torch.linalg.matrix_norm(power))
    return math.exp((logarithm + math.log(norm)) / 2**SQUARINGS) if norm else 0.0


def _scans(one: Pass) -> list[list[Scan]]:
    """Return `rerun.rerun` in float32 at a lower cost: known states are taken as they are.

    Steps in the padding are run too and are never looked at. There is no comparison with what the layer said:
    `glance` does not judge whether a layer is plain, and chaotic networks would often fail it in float32.
    """
    if one.cuts is not None:
        return rerun(one, torch.float32)[0]
    lengths, cell = one.lengths, one.cell
    real_TB = mask_of(lengths, len(one.input), one.input.device).t()
    x_TBI = torch.where(real_TB.unsqueeze(-1), one.input, 0).float()
    said = one.output.float().chunk(one.num_directions, -1)
    scans: list[list[Scan]] = []
    for layer in range(one.num_layers):
        scans.append([])
        for direction in range(one.num_directions):
            weights = to_dtype(one.layer_weights(layer, direction), torch.float32)
            initial = tuple(part[layer * one.num_directions + direction].float() for part in one.initial)
            own = turn(x_TBI, lengths) if direction else x_TBI
            if layer == one.num_layers - 1 and len(cell.state) == 1:
                after: State = (turn(said[direction], lengths) if direction else said[direction],)
            else:
                after = _states(cell, weights, own, initial)
            before = tuple(
                torch.cat((first.unsqueeze(0), part[:-1])) for first, part in zip(initial, after, strict=True)
            )
            scans[-1].append(Scan(cell, weights, own, real_TB, None, before, after))
        outputs = [
            turn(scan.after[0], lengths) if place else scan.after[0] for place, scan in enumerate(scans[-1])
        ]
        x_TBI = torch.where(real_TB.unsqueeze(-1), torch.cat(outputs, -1), 0.0)
    return scans


def _states(cell: Cell, weights: Weights, x_TBI: Tensor, initial: State) -> State:
    """Run one layer in one direction over every step, padding too; give the states after each."""
    from_input_TBG = products_with_input(weights, x_TBI)
    now, states = initial, []
    for from_input_BG in from_input_TBG.unbind(0):
        from_hidden_BG = linear(now[0], weights.weight_hh, weights.bias_hh)
        now = cell.update(from_input_BG, from_hidden_BG, now, weights, cell.squash)
        states.append(now)
    return tuple(torch.stack(parts) for parts in zip(*states, strict=True))


def _glance_pass(one: Pass) -> list[LayerGlance]:
    """Look at every layer and direction of a pass, the lowest layer first."""
    if not len(one.lengths) or not int(one.lengths.max()):
        return []
    scans = _scans(one)
    from_above = one.output_gradient.float()
    layers: list[LayerGlance] = []
    for layer in range(one.num_layers - 1, -1, -1):
        below = torch.zeros_like(scans[layer][0].input)
        found = []
        for direction, piece in enumerate(from_above.chunk(one.num_directions, -1)):
            scan = scans[layer][direction]
            steps = linearise(scan)
            seeds, goes_on = seeds_of(one, layer, direction, scan, piece)
            totals, left_TB = _flow_back(steps, seeds, goes_on, scan.real)
            found.append(_layer_glance(one, (layer, direction), scan, totals, left_TB))
            if layer:
                inputs = gate_gradients(steps, scan, totals)[1]
                below += turn(inputs, one.lengths) if direction else inputs
        layers = found + layers
        from_above = below
    return layers


def _flow_back(steps: Linearised, seeds: State, goes_on: Tensor, real_TB: Tensor) -> tuple[State, Tensor]:
    """Return dL/ds_t at every step, and what is left there of a random unit vector from the row's end.

    The first is `gradient_flow.total_gradients`; the second costs no further pass over time.
    """
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(steps.state_size, generator=generator).to(seeds[0])
    unit = (drawn / drawn.norm()).split(steps.sizes)
    last_B = real_TB.sum(0) - 1
    # Beyond a row's end the gradient is zero anyway; it need not be stopped there.
    is_cut_T = (real_TB[1:] & ~goes_on[:-1]).any(1).tolist()
    ends, length = set(last_B.tolist()), len(real_TB)
    now = tuple(seed.new_zeros(seed.size(1), 2, seed.size(2)) for seed in seeds)  # the gradient, the vector
    seen: list[State] = []
    for t in range(length - 1, -1, -1):
        if t < length - 1:
            now = steps.pull(t + 1, now)
            if is_cut_T[t]:
                for part in now:
                    part[:, 0] *= goes_on[t, :, None]
        for part, seed, start in zip(now, seeds, unit, strict=True):
            part[:, 0] += seed[t]
            if t in ends:
                part[last_B == t, 1] = start
        seen.append(now)
    parts = [torch.stack(found).flip(0) for found in zip(*seen, strict=True)]
    left_TB = torch.stack([part[:, :, 1].square().sum(-1) for part in parts]).sum(0)
    return tuple(part[:, :, 0] for part in parts), left_TB


def _layer_glance(
    one: Pass, place: tuple[int, int], scan: Scan, totals: State, left_TB: Tensor
) -> LayerGlance:
    """Sum up one layer in one direction."""
    lengths = one.lengths
    norms_TB = torch.stack([part.square().sum(-1) for part in totals]).sum(0).sqrt()
    # Turned round within the rows, the first step is each row's last.
    both_TB2 = turn(torch.stack((norms_TB, left_TB), -1), lengths).cpu()
    real_TB = torch.arange(len(both_TB2)).unsqueeze(1) < lengths
    from_end_TB, left_TB = torch.where(real_TB.unsqueeze(-1), both_TB2, 0.0).unbind(-1)
    count_T = real_TB.sum(1)
    longest = int(lengths.max())
    steps = torch.linspace(0, longest - 1, min(POINTS, longest)).round().long()
    left_T = (left_TB.sum(1) / count_T)[:longest].sqrt()
    gone = (left_T < FORGOTTEN).nonzero()[:, 0]
    none = norms_TB.new_zeros(len(scan.cell.gates), *norms_TB.shape)
    gates = measure_gates(scan, none)
    names = list(scan.cell.gates)
    block = scan.weights.weight_hh.chunk(len(names))[names.index("candidate") if len(names) > 1 else 0]
    if scan.weights.weight_hr is not None:
        block = scan.weights.weight_hr @ block
    return LayerGlance(
        one.name,
        one.index,
        *place,
        steps,
        (from_end_TB.sum(1) / count_T)[steps],
        {gate.name: (float(gate.mean.mean()), gate.saturated_share) for gate in gates},
        spectral_radius(block),
        int(gone[0]) if len(gone) else None,
    )
