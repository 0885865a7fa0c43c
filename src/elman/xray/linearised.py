"""LINEARISED: the derivative of each step at the states that were visited, as a product of few tensors.

Shape legend: B batch, T time, G gates x hidden, H hidden, P projected hidden, N places, M vectors.

A step's gates act on each unit by itself, and only W_hh mixes units. So with the products a = W_hh h known,

    d part_q = sum over gates of into_q * da + sum over parts r of carry_qr * d part_r,     da = W_hh dh

where into and carry are vectors. They come from autograd on the elementwise `update` of cells.py, for all
steps at once; no equation of a cell is written here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear

from elman.cells import State, Weights
from elman.xray.scan import Scan, products_with_input

AT_ONCE = 2**21
"""Numbers of one tensor that are differentiated together, which bounds the graph."""

Index = int | tuple[Tensor, Tensor]
"""Which steps: all rows at one time, or pairs of times and rows, [N] each."""


@dataclass(frozen=True, eq=False)
class Linearised:
    """The Jacobians ds_t / ds_(t-1) of one layer in one direction; where the state was cut they are zero.

    Args:
        weights: of the layer.
        gates: how many blocks of rows its weights have.
        into: of each part of the state, by the products with the hidden state, [T, B, G].
        inner: the same by the products with the input; the gradient of a gate's pre-activation.
        carry: of each part, by each part directly, [T, B, H]; None where it is zero.
        sizes: numbers in each part of the state.
        cuts [T, B]: where the state was made anew before the step; None: nowhere.
    """

    weights: Weights
    gates: int
    into: tuple[Tensor, ...]
    inner: tuple[Tensor, ...]
    carry: tuple[tuple[Tensor | None, ...], ...]
    sizes: tuple[int, ...]
    cuts: Tensor | None

    @property
    def state_size(self) -> int:
        """Numbers in the whole state: H, or P + H of an LSTM."""
        return sum(self.sizes)

    def push(self, index: Index, tangents: State) -> State:
        """Return J v for vectors v, each part [N, M, size]: what a change before the step becomes."""
        pre_NMG = linear(tangents[0], self.weights.weight_hh)
        out = []
        for into, carry in zip(self.into, self.carry, strict=True):
            part = (into[index].unsqueeze(1) * pre_NMG).unflatten(-1, (self.gates, -1)).sum(-2)
            for factor, tangent in zip(carry, tangents, strict=True):
                if factor is not None:
                    part = part + factor[index].unsqueeze(1) * tangent
            out.append(part)
        if self.weights.weight_hr is not None:
            out[0] = linear(out[0], self.weights.weight_hr)
        return tuple(out)

    def pull(self, index: Index, gradients: State) -> State:
        """Return J^T g for gradients g, each part [N, M, size]: what reaches the state before the step."""
        gradients = self._unprojected(gradients)
        pre_NMG = self._by_gates(self.into, index, gradients)
        back = [pre_NMG @ self.weights.weight_hh] + [torch.zeros_like(part) for part in gradients[1:]]
        for carry, gradient in zip(self.carry, gradients, strict=True):
            for place, factor in enumerate(carry):
                if factor is not None:
                    back[place] = back[place] + factor[index].unsqueeze(1) * gradient
        return tuple(back)

    def gate_gradient(self, index: Index, gradients: State) -> Tensor:
        """Return the gradient by the gates' pre-activations, [N, M, G], of that by the state after."""
        return self._by_gates(self.inner, index, self._unprojected(gradients))

    def jacobian(self, index: Index) -> Tensor:
        """Return the Jacobians themselves, [N, S, S]."""
        return torch.cat(self.push(index, self.unit_vectors(self.into[0][index].size(0))), -1).mT

    def unit_vectors(self, places: int) -> State:
        """Return the unit vectors of the whole state at each of N places, each part [N, S, size]."""
        eye = torch.eye(self.state_size, dtype=self.into[0].dtype, device=self.into[0].device)
        parts = eye.expand(places, -1, -1).split(self.sizes, -1)
        return tuple(parts)

    def _by_gates(self, factors: tuple[Tensor, ...], index: Index, gradients: State) -> Tensor:
        terms = [
            factor[index].unsqueeze(1) * gradient.repeat(1, 1, self.gates)
            for factor, gradient in zip(factors, gradients, strict=True)
        ]
        return torch.stack(terms).sum(0) if len(terms) > 1 else terms[0]

    def _unprojected(self, gradients: State) -> State:
        if self.weights.weight_hr is None:
            return gradients
        return (gradients[0] @ self.weights.weight_hr, *gradients[1:])


def linearise(scan: Scan) -> Linearised:
    """Differentiate each step of a scan."""
    unprojected = scan.weights._replace(weight_hr=None)
    steps, batch = scan.real.shape
    wide = scan.weights.weight_hh.size(0)
    sizes = tuple(part.size(-1) for part in scan.after)
    window = max(AT_ONCE // max(batch * wide, 1), 1)
    into: list[list[Tensor]] = [[] for _ in sizes]
    inner: list[list[Tensor]] = [[] for _ in sizes]
    carry: list[list[list[Tensor | None]]] = [[[] for _ in sizes] for _ in sizes]
    for start in range(0, steps, window):
        own = slice(start, start + window)
        before = tuple(part[own].detach() for part in scan.before)
        from_input = products_with_input(scan.weights, scan.input[own]).requires_grad_()
        from_hidden = linear(before[0], scan.weights.weight_hh, scan.weights.bias_hh).requires_grad_()
        if scan.weights.weight_hr is not None:  # the LSTM's update does not look at the hidden state
            before = (before[0].new_zeros(*before[0].shape[:-1], sizes[-1]), *before[1:])
        leaves = tuple(part.requires_grad_() for part in before)
        with torch.enable_grad():
            after = scan.cell.update(from_input, from_hidden, leaves, unprojected, scan.cell.squash)
            for place, part in enumerate(after):
                found = torch.autograd.grad(
                    part.sum(), (from_input, from_hidden, *leaves), retain_graph=True, allow_unused=True
                )
                by_input, by_hidden = found[:2]
                inner[place].append(by_input)
                into[place].append(by_hidden if scan.cell.mode == "GRU" else by_input)
                for kept, factor in zip(carry[place], found[2:], strict=True):
                    kept.append(factor)
    return _assemble(scan, into, inner, carry, sizes)


def _assemble(
    scan: Scan,
    into: list[list[Tensor]],
    inner: list[list[Tensor]],
    carry: list[list[list[Tensor | None]]],
    sizes: tuple[int, ...],
) -> Linearised:
    """Join the windows, and write zeros where the state was cut."""

    def joined(pieces: list[Tensor]) -> Tensor:
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def uncut(value: Tensor) -> Tensor:
        return value if scan.cuts is None else torch.where(scan.cuts.unsqueeze(-1), 0.0, value)

    by_input = tuple(joined(pieces) for pieces in inner)
    same = scan.cell.mode != "GRU" and scan.cuts is None
    by_hidden = by_input if same else tuple(uncut(joined(pieces)) for pieces in into)
    factors = []
    for row in carry:
        kept = [[piece for piece in pieces if piece is not None] for pieces in row]
        factors.append(tuple(uncut(joined(pieces)) if pieces else None for pieces in kept))
    return Linearised(
        scan.weights,
        len(scan.cell.gates),
        by_hidden,
        by_input,
        tuple(factors),
        sizes,
        scan.cuts,
    )
