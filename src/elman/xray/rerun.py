"""RE-RUN: the recurrence once more, step by step and in float64, with every state kept.

Shape legend: B batch, T time, I input features, G gates x hidden, H hidden, D directions.

A layer that is what it seems says what its weights say. Two runs of a chaotic recurrence part by themselves,
because they round differently; a single step does not. So where the two part, each step is taken once more
from the state that the layer itself was in, and must come to where the layer came. What the top layer of
several read is not known then; how far rounding alone moves it is measured, and that much is allowed for.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from elman.cells import Weights
from elman.errors import ConfigError, TrainingError
from elman.padded import mask_of
from elman.xray.passes import Pass, not_plain
from elman.xray.scan import LARGEST_COPY, Scan, run_scan, to_dtype, turn

AGREEMENT = {torch.float64: 1e-8, torch.float32: 1e-3, torch.float16: 0.02, torch.bfloat16: 0.1}
"""How far a step of the two may differ, of its largest number or of one: rounding times a few hundred."""

ROUNDINGS = 64
"""Roundings of a whole sum of products that are allowed beside that, for very large weights."""

DEPARTURE = 100.0
"""How many times as far as the re-run is moved by rounding the layer may be from it: both grow alike, but
the first difference of one may be so much larger than that of the other."""


def rerun_dtype(weight_hh: Tensor) -> torch.dtype:
    """Return float64; or float32 where a copy of the recurrent weights would be too large."""
    return torch.float64 if weight_hh.numel() * 8 <= LARGEST_COPY else torch.float32


def rerun(one: Pass, dtype: torch.dtype) -> tuple[list[list[Scan]], float]:
    """Run a pass again; give its scans by layer and direction, and how far it is from the layer's output.

    Where a layer of its own is chaotic, the states in its scans are those that it said itself.

    Raises:
        ConfigError: the layer is not what it seems: what it said is not what its weights say.
        TrainingError: what it said is not finite.
    """
    real_TB = mask_of(one.lengths, len(one.input), one.input.device).t()
    scans, output_TBH = _run_layers(one, dtype, real_TB, one.num_layers)
    said_TBH = torch.where(real_TB.unsqueeze(-1), one.output, 0).to(dtype)
    _check_finite(one, said_TBH)
    gap_TB = (said_TBH - output_TBH).abs().amax(-1)
    gap = float(gap_TB.max()) if gap_TB.numel() else 0.0
    scale_TB = said_TBH.abs().amax(-1).clamp(min=1.0)
    if bool((gap_TB <= _agreement(one) * scale_TB).all()):
        return scans, gap
    led = _check_steps(one, scans[-1], said_TBH, real_TB)
    return ([led] if one.num_layers == 1 else scans), gap


def _run_layers(
    one: Pass, dtype: torch.dtype, real_TB: Tensor, count: int, noise: float = 0.0
) -> tuple[list[list[Scan]], Tensor]:
    """Run the lowest layers; give their scans, and what the last of them says [T, B, D*H]."""
    x_TBI = torch.where(real_TB.unsqueeze(-1), one.input, 0).to(dtype)
    scans = []
    for layer in range(count):
        directions, outputs = [], []
        for direction in range(one.num_directions):
            place = layer * one.num_directions + direction
            own = turn(x_TBI, one.lengths) if direction else x_TBI
            weights = to_dtype(one.layer_weights(layer, direction), dtype)
            if noise:
                weights = _noisy(weights, noise)
            initial = tuple(part[place].to(dtype) for part in one.initial)
            fresh = tuple(part[place].to(dtype) for part in one.fresh)
            cuts_TB = _cuts(one, real_TB, direction)
            found = run_scan(one.cell, weights, own, real_TB, initial, fresh, cuts_TB)
            directions.append(found)
            output = torch.where(real_TB.unsqueeze(-1), found.after[0], 0.0)
            outputs.append(turn(output, one.lengths) if direction else output)
        scans.append(directions)
        x_TBI = torch.cat(outputs, -1)
    return scans, x_TBI


def _noisy(weights: Weights, noise: float) -> Weights:
    """Move each recurrent weight by its own rounding: it acts at every step, as that of the products does."""
    hh = weights.weight_hh
    drawn = torch.rand(hh.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    return weights._replace(weight_hh=hh * (1 + noise * (2 * drawn - 1).to(hh)))


def _cuts(one: Pass, real_TB: Tensor, direction: int) -> Tensor | None:
    """Give where the state is made anew before a step, in the direction's own order."""
    if one.cuts is None:
        return None
    cuts_TB = one.cuts.to(real_TB.device) & real_TB
    if not direction:
        return cuts_TB
    # The cut between t-1 and t lies before step t-1 on the way back.
    later = torch.cat((cuts_TB[1:], torch.zeros_like(cuts_TB[:1])))
    return turn(later, one.lengths)


def _agreement(one: Pass) -> float:
    return AGREEMENT.get(one.output.dtype, 0.1)


def _check_finite(one: Pass, said_TBH: Tensor) -> None:
    bad_T = (~said_TBH.isfinite()).any(-1).any(-1)
    if bool(bad_T.any()):
        raise TrainingError(
            f"what layer {one.name!r} says is not finite from step {int(bad_T.nonzero()[0])} on, from 0; "
            "expected finite states: its weights make them grow without bound (start over with a smaller "
            "learning rate or with clip_norm)."
        )


def _check_steps(one: Pass, top: list[Scan], said_TBH: Tensor, real_TB: Tensor) -> list[Scan]:
    """Hold each step of the top layer to the equations, from the state in which the layer itself was.

    Returns:
        the scans of these steps, a direction each.

    Raises:
        ConfigError: a step comes to another state, or none can be told from rounding.
    """
    x_TBI = None
    if one.num_layers > 1:
        # One rounding of the layer's own numbers; of float64 that of the re-run.
        noise = torch.finfo(one.output.dtype).eps
        x_TBI = _run_layers(one, said_TBH.dtype, real_TB, one.num_layers - 1, noise)[1]
    led, is_held = [], True
    for direction, own_TBH in enumerate(said_TBH.chunk(one.num_directions, -1)):
        scan, lengths = top[direction], one.lengths
        own_TBH = turn(own_TBH, lengths) if direction else own_TBH
        found = _led(one, scan, scan.input, own_TBH, direction)
        allowed_TB = _allowed(one, found, own_TBH)
        apart_TB = torch.zeros_like(allowed_TB)
        if x_TBI is not None:
            moved_TBI = turn(x_TBI, lengths) if direction else x_TBI
            other = _led(one, scan, moved_TBI, own_TBH, direction)
            apart_TB = DEPARTURE * _differ(other.after[0], found.after[0], real_TB)
            # It may be small by chance at a step. Of two directions, one below has begun at the other end.
            apart_TB = apart_TB.cummax(0).values if one.num_directions == 1 else apart_TB.amax(0, True)
        gap_TB = _differ(own_TBH, found.after[0], real_TB)
        if not bool((gap_TB <= allowed_TB + apart_TB).all()):
            raise ConfigError(_refusal(one, f"{float(gap_TB.max()):.2g} in a single step"))
        is_held &= bool(((apart_TB <= allowed_TB) & real_TB).any())
        led.append(replace(found, after=(own_TBH, *found.after[1:])))
    if not is_held and not one.is_own_forward:
        raise ConfigError(_refusal(one, "as much as rounding lets two runs of it differ, at every step"))
    return led


def _led(one: Pass, scan: Scan, x_TBI: Tensor, said_TBH: Tensor, direction: int) -> Scan:
    """Take each step of the top layer from what the layer itself said before it."""
    place = (one.num_layers - 1) * one.num_directions + direction
    initial = tuple(part[place].to(said_TBH) for part in one.initial)
    fresh = tuple(part[place].to(said_TBH) for part in one.fresh)
    return run_scan(one.cell, scan.weights, x_TBI, scan.real, initial, fresh, scan.cuts, said_TBH=said_TBH)


def _allowed(one: Pass, led: Scan, said_TBH: Tensor) -> Tensor:
    """Give how far what a layer said [T, B] may be from a step from where it was."""
    hidden_TB, input_TB = (value.abs().amax(-1) for value in (led.before[0], led.input))
    scale_TB = torch.maximum(hidden_TB, said_TBH.abs().amax(-1)).clamp(min=1.0)
    weights = led.weights
    by_hidden, by_input = (
        float(torch.linalg.vector_norm(weight, ord=1, dim=1).max())
        for weight in (weights.weight_hh, weights.weight_ih)
    )
    rounding = ROUNDINGS * torch.finfo(one.output.dtype).eps
    return _agreement(one) * scale_TB + rounding * (by_hidden * hidden_TB + by_input * input_TB)


def _differ(one_TBH: Tensor, other_TBH: Tensor, real_TB: Tensor) -> Tensor:
    """Give the largest difference at each real step, [T, B]; zero in the padding."""
    return torch.where(real_TB, (one_TBH - other_TBH).abs().amax(-1), 0.0)


def _refusal(one: Pass, difference: str) -> str:
    why = f"its output and a re-run of its weights by the equations differ by {difference}"
    return not_plain(one.name, one.mode, why)
