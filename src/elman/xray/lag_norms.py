"""LAG NORMS: how much of a state is left k steps later: the norms of ds_t / ds_(t-k), lag by lag.

Shape legend: T time, B batch, S the whole state, N places, M vectors, K lags.

A product of Jacobians, ``ds_t / ds_(t-k) = J_t J_(t-1) ... J_(t-k+1)``. Its spectral norm is the most that a
small change can become; its Frobenius norm, over that at lag 0, what a change in a random direction becomes
in the mean square. Small states are multiplied out; of large ones both are estimated (lag_estimates.py).

Source: Hochreiter 1991, section 3.2; Pascanu, Mikolov and Bengio 2013, On the difficulty of training
recurrent neural networks, eq. 5-7.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elman.cells import State
from elman.xray.linearised import Linearised

FORGOTTEN = 0.01
"""Share of the influence at lag 0 below which a state counts as forgotten."""

FLOATING_WORK = 2e10
"""Operations that each kind of norm of one layer may cost: a second or two on one core."""

DENSE_LAGS = 32
"""Lags that are looked at one by one where not all can be."""


@dataclass(frozen=True, eq=False)
class LagNorms:
    """Norms of ds_t / ds_(t-k) at N places and K lags; NaN where a row ends before, or nothing was estimated.

    Args:
        part: "hidden"; of the LSTM also "cell", and "state" for the pair of both. Of a pair, "hidden" is
            dh_t / dh_(t-k) with c_(t-k) held, and "cell" the other way round, each along all paths.
        lags [K]: steps, from 0.
        rows [N], steps [N]: the places: where the state s_(t-k) stands.
        spectral, spectral_low, spectral_high [N, K]: the largest singular value, and an interval for it.
        frobenius, frobenius_low, frobenius_high [N, K]: the root of the sum of squares, likewise.
        is_exact: True where products were multiplied out; the intervals are then points. Otherwise they hold
            with a probability of at least 0.95, each.
    """

    part: str
    lags: Tensor
    rows: Tensor
    steps: Tensor
    spectral: Tensor
    spectral_low: Tensor
    spectral_high: Tensor
    frobenius: Tensor
    frobenius_low: Tensor
    frobenius_high: Tensor
    is_exact: bool

    @property
    def mean_spectral(self) -> Tensor:
        """[K]: the mean over the places that have this lag."""
        return self.spectral.nanmean(0)

    @property
    def mean_frobenius(self) -> Tensor:
        """[K]: the mean over the places that have this lag."""
        return self.frobenius.nanmean(0)

    @property
    def influence(self) -> Tensor:
        """[K]: the mean Frobenius norm over that at lag 0."""
        return self.mean_frobenius / self.mean_frobenius[:1]

    @property
    def memory_horizon(self) -> int | None:
        """The smallest of `lags` at which the influence is under 1 % of lag 0; None if at none of them."""
        under = (self.influence < FORGOTTEN).nonzero()[:, 0]
        return int(self.lags[under[0]]) if len(under) else None


@dataclass(frozen=True)
class Plan:
    """Which places and lags to look at.

    Args:
        steps [N], rows [N]: the places, in the direction's own order of time.
        lags: from 0, increasing.
        note: what was left out; None for nothing.
    """

    steps: Tensor
    rows: Tensor
    lags: tuple[int, ...]
    note: str | None


def parts_of(linear: Linearised) -> dict[str, tuple[int, ...]]:
    """Return the names of what has norms, and which parts of the state each consists of."""
    if len(linear.sizes) == 1:
        return {"hidden": (0,)}
    return {"state": (0, 1), "hidden": (0,), "cell": (1,)}


def make_plan(
    lengths: Tensor, work: float, *, places: int, fewest: int, most_lags: int, generator: torch.Generator
) -> Plan:
    """Choose places at random, the first step of the longest row among them, and lags that are affordable.

    Args:
        lengths [B]: of the rows.
        work: operations for one place and one step.
        places: at most.
        fewest: places that are kept at least, where lags have to be given up.
        most_lags: at most.

    Example:
        >>> make_plan(
        ...     torch.tensor([3]), 1.0, places=9, fewest=1, most_lags=9, generator=torch.Generator()
        ... ).lags
        (0, 1, 2)
    """
    longest = int(lengths.max()) if len(lengths) else 0
    if longest == 0:
        none = torch.zeros(0, dtype=torch.long)
        return Plan(none, none, (0,), "no row has a step")
    rows = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    steps = torch.cat([torch.arange(int(length)) for length in lengths])
    affordable = max(int(FLOATING_WORK / (work * longest)), fewest)
    count = min(places, affordable, len(rows))
    notes = []
    if count < len(rows):
        first = int(((rows == int(lengths.argmax())) & (steps == 0)).nonzero()[0])
        others = torch.randperm(len(rows), generator=generator)
        others = others[others != first][: count - 1]
        chosen = torch.cat((torch.tensor([first]), others)).sort().values
        notes.append(f"{count} of {len(rows)} places, drawn at random")
        rows, steps = rows[chosen], steps[chosen]
    furthest = min(longest - 1, max(int(FLOATING_WORK / (work * count)), 4))
    if furthest < longest - 1:
        notes.append(f"lags up to {furthest} of {longest - 1}")
    lags = choose_lags(furthest, most_lags)
    if len(lags) < furthest + 1:
        notes.append(f"{len(lags)} of {furthest + 1} lags")
    return Plan(steps, rows, lags, "; ".join(notes) or None)


def choose_lags(furthest: int, most: int) -> tuple[int, ...]:
    """Return all lags from 0 to the furthest, or the first ones and then ever wider apart.

    Example:
        >>> choose_lags(3, 9), choose_lags(1000, 8)
        ((0, 1, 2, 3), (0, 1, 2, 3, 13, 55, 234, 1000))
    """
    if furthest + 1 <= most:
        return tuple(range(furthest + 1))
    dense = min(DENSE_LAGS, most // 2)
    ratio = (furthest / (dense - 1 or 1)) ** (1 / (most - dense))
    wide = {round(max(dense - 1, 1) * ratio**step) for step in range(1, most - dense + 1)}
    return tuple(sorted(set(range(dense)) | wide))


def exact_norms(linear: Linearised, lengths: Tensor, plan: Plan) -> dict[str, LagNorms]:
    """Multiply the Jacobians out, and return the norms of each part of the state.

    Args:
        lengths [B]: of the rows.
    """
    names = parts_of(linear)
    count = len(plan.steps)
    norms = {name: _empty(count, len(plan.lags)) for name in names}
    device = linear.into[0].device
    now: State = linear.unit_vectors(count)
    active = torch.arange(count)
    for lag in range(plan.lags[-1] + 1):
        if lag:
            stays = plan.steps[active] + lag < lengths[plan.rows[active]]
            active = active[stays]
            if not len(active):
                break
            kept = tuple(part[stays.to(device)] for part in now)
            now = linear.push(((plan.steps[active] + lag).to(device), plan.rows[active].to(device)), kept)
        if lag in plan.lags:
            for name, chosen in names.items():
                spectral, frobenius = block_norms(_block(now, chosen, linear.sizes))
                norms[name][0][active, plan.lags.index(lag)] = spectral.cpu()
                norms[name][1][active, plan.lags.index(lag)] = frobenius.cpu()
    lags = torch.tensor(plan.lags)
    return {
        name: LagNorms(name, lags, plan.rows, plan.steps, a, a, a, b, b, b, True)
        for name, (a, b) in norms.items()
    }


def block_norms(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Return the spectral and the Frobenius norm of matrices [N, S, S], whatever their scale.

    Example:
        >>> block_norms(torch.diag(torch.tensor([3.0, 4.0])).double()[None] * 1e-300)
        (tensor([4.0000e-300], dtype=torch.float64), tensor([5.0000e-300], dtype=torch.float64))
    """
    scale = matrices.abs().amax((1, 2))
    is_finite = torch.isfinite(scale)
    safe = torch.where(is_finite & (scale > 0), scale, 1.0)
    scaled = torch.where(is_finite[:, None, None], matrices / safe[:, None, None], 0.0)
    spectral = torch.linalg.svdvals(scaled)[:, 0] * safe
    frobenius = torch.linalg.matrix_norm(scaled) * safe
    return (
        torch.where(is_finite, spectral, math.inf),
        torch.where(is_finite, frobenius, math.inf),
    )


def _empty(count: int, lags: int) -> tuple[Tensor, Tensor]:
    empty = torch.full((count, lags), math.nan, dtype=torch.float64)
    return empty, empty.clone()


def _block(now: State, chosen: tuple[int, ...], sizes: tuple[int, ...]) -> Tensor:
    """Cut out of the whole transposed Jacobian what some parts of the state do to themselves."""
    columns = torch.cat([now[place] for place in chosen], -1)
    starts = [sum(sizes[:place]) for place in chosen]
    rows = [columns[:, start : start + sizes[place]] for start, place in zip(starts, chosen, strict=True)]
    return torch.cat(rows, 1)
