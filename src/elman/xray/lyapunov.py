"""LYAPUNOV EXPONENTS: the mean rates at which small changes of a state grow or die along a sequence.

Shape legend: B batch, N rows, M exponents.

    Q_t R_t = J_t Q_(t-1),        exponent_i = mean over t of log |(R_t)_ii|

The largest is positive where the recurrence is chaotic, and about zero where it keeps what it has read.

Source: Benettin et al. 1980; Engelken, Wolf and Abbott 2023, Lyapunov spectra of chaotic recurrent neural
networks, section II (the same products and QR decompositions); Vogt et al. 2022 for trained networks.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from elman.xray.lag_norms import FLOATING_WORK
from elman.xray.linearised import Linearised

WHOLE_UP_TO = 64
"""Numbers in a state up to which its whole spectrum is computed; of larger ones the top few."""

TOP = 8
"""How many those are."""


def lyapunov_exponents(
    linear: Linearised, lengths: Tensor, *, count: int | None = None, generator: torch.Generator
) -> tuple[Tensor, str | None]:
    """Return the exponents, nats a step, the largest first, and a note of what was left out.

    The first step of each row, which changes the initial state, is left out where any row has others; so are
    steps before which the state was cut. Rows count by their steps.

    Args:
        lengths [B]: of the rows, in the direction's own order of time.
        count: how many; None: all of a state of up to 64 numbers, otherwise 8.
        generator: draws the vectors that a few exponents start from, on the CPU.

    Returns:
        [M]; -inf where a direction dies at once; empty without a step.
    """
    size = linear.state_size
    count = min(count or (size if size <= WHOLE_UP_TO else TOP), size)
    rows = (lengths > 0).nonzero()[:, 0]
    if not len(rows):
        return torch.zeros(0, dtype=torch.float64), "no row has a step"
    work = 2.0 * count * linear.weights.weight_hh.numel()
    longest = int(lengths.max())
    kept = max(int(FLOATING_WORK / (work * longest)), 1)
    note = f"Lyapunov exponents of the {kept} longest of {len(rows)} rows" if kept < len(rows) else None
    if kept < len(rows):
        rows = lengths.argsort(descending=True, stable=True)[:kept].sort().values
    furthest = max(int(FLOATING_WORK / (work * len(rows))), 8)
    if furthest < longest:
        note = f"{note + '; ' if note else ''}Lyapunov exponents of the first {furthest} steps"
    return _by_qr(linear, lengths.clamp(max=furthest), rows, count, generator), note


def _by_qr(
    linear: Linearised, lengths: Tensor, rows: Tensor, count: int, generator: torch.Generator
) -> Tensor:
    like = linear.into[0]
    start = torch.eye(linear.state_size, dtype=torch.float64)
    if count < linear.state_size:
        start = torch.randn(linear.state_size, count, generator=generator, dtype=torch.float64)
    frames = torch.linalg.qr(start)[0].to(like).expand(len(rows), -1, -1)  # [N, S, M]
    sums = torch.zeros(count, dtype=torch.float64)
    taken = 0
    first = 1 if int(lengths.max()) > 1 else 0
    for step in range(first, int(lengths[rows].max())):
        stays = step < lengths[rows]
        rows, frames = rows[stays], frames[stays.to(frames.device)]
        index = torch.full_like(rows, step).to(like.device), rows.to(like.device)
        tangents = tuple(frames.mT.split(linear.sizes, -1))
        moved = torch.cat(linear.push(index, tangents), -1).mT
        frames, triangles = torch.linalg.qr(moved)
        sizes = triangles.diagonal(dim1=-2, dim2=-1).abs().double().cpu()
        counts = torch.ones(len(rows), dtype=torch.bool)
        if linear.cuts is not None:
            counts = ~linear.cuts[index].cpu()
        sums = sums + torch.where(sizes > 0, sizes.log(), -math.inf)[counts].sum(0)
        taken += int(counts.sum())
    if not taken:
        return torch.zeros(0, dtype=torch.float64)
    return (sums / taken).sort(descending=True).values
