"""LAG ESTIMATES: the norms of ds_t / ds_(t-k) for states too large to multiply Jacobians out.

Shape legend: S the whole state, N places, M vectors, K lags.

**Frobenius norm.** For vectors v of standard normal numbers E|Av|^2 = |A|_F^2 (Hutchinson 1990). With m of
them the sum of |Av|^2 / |A|_F^2 is a weighted sum of chi-squared numbers; its tails are heaviest where A has
one singular value alone, and it is then chi-squared with m degrees of freedom. The interval is made for that
case, and so holds for any A at least as often as it says (Szekely and Bakirov 2003).

**Spectral norm.** Power iteration on A^T A from below: |Az| / |z| is never above it. From above, with r
vectors and q iterations, |A| <= (alpha sqrt(2 / pi) max |(A A^T)^q A v|)^(1 / (2 q + 1)) but for a
probability of alpha^-r (Halko, Martinsson and Tropp 2011, lemma 4.1, for (A A^T)^q A; Dixon 1983).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from elman.cells import State
from elman.xray.finite import norms
from elman.xray.lag_norms import FLOATING_WORK, LagNorms, Plan, parts_of
from elman.xray.linearised import Linearised

PROBES = 16
"""Random vectors for a Frobenius norm; its interval reaches from 0.73 to 1.60 times the estimate."""

POWER_PROBES, POWER_ITERATIONS = 4, 8
"""Vectors and iterations for a spectral norm; its interval is then some 5 to 10 % wide."""

MISSES = 0.03
"""Probability with which an interval may miss: below 0.05, so that 90 of 100 hold but once in 5000 times."""


def estimate_norms(
    linear: Linearised, lengths: Tensor, plan: Plan, generator: torch.Generator
) -> dict[str, LagNorms]:
    """Estimate the norms of each part of the state, with intervals.

    The spectral norm is estimated at lags 1, 2, 4 and so on, as far as its cost allows, and is NaN elsewhere.

    Args:
        lengths [B]: of the rows.
        generator: where the random vectors come from, on the CPU.
    """
    out = {}
    for name, chosen in parts_of(linear).items():
        frobenius = _frobenius(linear, lengths, plan, chosen, generator)
        spectral = _spectral(linear, lengths, plan, chosen, generator)
        lags = torch.tensor(plan.lags)
        out[name] = LagNorms(name, lags, plan.rows, plan.steps, *spectral, *frobenius, False)
    return out


def chi_squared_quantile(probability: float, degrees: int) -> float:
    """Return the number below which a chi-squared variable is with this probability, by bisection.

    Example:
        >>> round(chi_squared_quantile(0.95, 1), 3)
        3.841
    """
    low, high = 0.0, 20.0 * (degrees + 10)
    half = torch.tensor(degrees / 2, dtype=torch.float64)
    for _ in range(80):
        middle = (low + high) / 2
        share = float(torch.special.gammainc(half, torch.tensor(middle / 2, dtype=torch.float64)))
        low, high = (middle, high) if share < probability else (low, middle)
    return (low + high) / 2


def _frobenius(
    linear: Linearised, lengths: Tensor, plan: Plan, chosen: tuple[int, ...], generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Return estimate, low and high, [N, K] each."""
    count = len(plan.steps)
    found = torch.full((count, len(plan.lags)), math.nan, dtype=torch.float64)
    now = _draw(linear, count, PROBES, chosen, generator)
    active = torch.arange(count)
    for lag in range(1, plan.lags[-1] + 1):
        stays = plan.steps[active] + lag < lengths[plan.rows[active]]
        active = active[stays]
        if not len(active):
            break
        now = tuple(part[stays.to(part.device)] for part in now)
        now = linear.push(_index(plan, active, lag, now[0].device), now)
        if lag in plan.lags:
            lengths_NM = norms(torch.cat([now[place] for place in chosen], -1).double())
            found[active, plan.lags.index(lag)] = norms(lengths_NM).cpu() / math.sqrt(PROBES)
    low = found * math.sqrt(PROBES / chi_squared_quantile(1 - MISSES / 2, PROBES))
    high = found * math.sqrt(PROBES / chi_squared_quantile(MISSES / 2, PROBES))
    for value in (found, low, high):
        value[:, 0] = math.sqrt(sum(linear.sizes[place] for place in chosen))
    return found, low, high


def _spectral(
    linear: Linearised, lengths: Tensor, plan: Plan, chosen: tuple[int, ...], generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Return estimate, low and high, [N, K] each; estimate and low are the same."""
    count = len(plan.steps)
    low = torch.full((count, len(plan.lags)), math.nan, dtype=torch.float64)
    high = low.clone()
    low[:, 0] = high[:, 0] = 1.0
    work = 2.0 * linear.weights.weight_hh.numel() * POWER_PROBES * (2 * POWER_ITERATIONS + 1)
    spent, next_lag = 0.0, 1
    for place, lag in enumerate(plan.lags):
        if lag < next_lag:
            continue
        active = (plan.steps + lag < lengths[plan.rows]).nonzero()[:, 0]
        spent += work * lag * len(active)
        if not len(active) or (spent > FLOATING_WORK and lag > 1):
            break
        below, above = _power(linear, plan, active, lag, chosen, generator)
        low[active, place], high[active, place] = below.cpu(), above.cpu()
        next_lag = 2 * lag
    return low, low, high


def _power(
    linear: Linearised,
    plan: Plan,
    active: Tensor,
    lag: int,
    chosen: tuple[int, ...],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Return bounds from below and from above of the spectral norm at one lag, [N] each."""
    now = _draw(linear, len(active), POWER_PROBES, chosen, generator)
    device = now[0].device

    def forward(vectors: State) -> State:
        for step in range(1, lag + 1):
            vectors = linear.push(_index(plan, active, step, device), vectors)
        return _only(vectors, chosen)

    def backward(vectors: State) -> State:
        for step in range(lag, 0, -1):
            vectors = linear.pull(_index(plan, active, step, device), vectors)
        return _only(vectors, chosen)

    now, logs = _normalised(forward(now))
    gain = torch.zeros_like(logs)
    for _ in range(POWER_ITERATIONS):
        now, back = _normalised(backward(now))
        now, gain = _normalised(forward(now))
        logs = logs + back + gain
    alpha = MISSES ** (-1 / POWER_PROBES)
    largest = logs.amax(1) + math.log(alpha * math.sqrt(2 / math.pi))
    below, above = gain.exp().amax(1), (largest / (2 * POWER_ITERATIONS + 1)).exp()
    # Of a product that left the range of numbers on its way no finite norm can be told.
    return torch.where(below.isnan(), math.inf, below), torch.where(above.isnan(), math.inf, above)


def _draw(
    linear: Linearised, count: int, vectors: int, chosen: tuple[int, ...], generator: torch.Generator
) -> State:
    """Draw vectors of standard normal numbers in some parts of the state, zeros in the others."""
    like = linear.into[0]
    parts = []
    for place, size in enumerate(linear.sizes):
        drawn = torch.randn(count, vectors, size, generator=generator, dtype=torch.float64)
        parts.append(drawn.to(like) if place in chosen else like.new_zeros(count, vectors, size))
    return tuple(parts)


def _only(vectors: State, chosen: tuple[int, ...]) -> State:
    return tuple(part if place in chosen else torch.zeros_like(part) for place, part in enumerate(vectors))


def _normalised(vectors: State) -> tuple[State, Tensor]:
    """Return vectors of length one, and the logarithms of what their lengths were, [N, M]."""
    scale = torch.stack([part.abs().amax(-1) for part in vectors]).amax(0)
    safe = torch.where(scale > 0, scale, 1.0).unsqueeze(-1)
    norms = torch.stack([(part / safe).double().square().sum(-1) for part in vectors]).sum(0).sqrt()
    whole = (norms * safe.squeeze(-1)).unsqueeze(-1).to(vectors[0].dtype)
    divisor = torch.where(whole > 0, whole, 1.0)
    logs = norms.log() + safe.squeeze(-1).double().log()
    return tuple(part / divisor for part in vectors), logs


def _index(plan: Plan, active: Tensor, lag: int, device: torch.device) -> tuple[Tensor, Tensor]:
    return (plan.steps[active] + lag).to(device), plan.rows[active].to(device)
