"""SPECTRUM: eigenvalues and singular values of recurrent matrices, and what the two promise.

Shape legend: S the whole state, H hidden, P projected hidden, N places.

Eigenvalues say what A^k does in the end: it dies out if and only if all are inside the unit circle. Singular
values say what A does at once: no vector grows if and only if all are at most one. For a normal matrix
(A A^T = A^T A) both say the same. Otherwise A^k may first grow by a large factor although every eigenvalue is
small: transient growth.

Source: Pascanu, Mikolov and Bengio 2013, section 2.1; Henrici 1962, Bounds for iterates (the departure from
normality); Trefethen and Embree 2005, Spectra and pseudospectra, section 14.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elman.cells import Cell, Weights
from elman.xray.linearised import Linearised

EXACT_UP_TO = 512
"""Rows of a matrix up to which all its eigenvalues and singular values are computed."""

KRYLOV = 40
"""Vectors of Arnoldi's method for larger ones; the few largest eigenvalues need no more."""

POWERS = 100
"""Powers of a matrix among which the largest norm is looked for."""

NORMAL = 1e-8
"""Departure from normality, over the Frobenius norm, below which rounding alone explains it."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """What a square matrix does to small changes.

    Args:
        eigenvalues: complex, the largest first; of a large matrix the few largest, estimated.
        singular_values: the largest first; likewise.
        radius: the largest eigenvalue's size.
        norm: the largest singular value.
        departure: Henrici's departure from normality, sqrt(|A|_F^2 - sum |eigenvalue|^2); None if large.
        transient_growth: the largest spectral norm among A, A^2, ..., A^100; None if large.
        is_exact: whether all values were computed.
        statement: what the eigenvalues promise against the singular values, in a sentence or two.
    """

    eigenvalues: Tensor
    singular_values: Tensor
    radius: float
    norm: float
    departure: float | None
    transient_growth: float | None
    is_exact: bool
    statement: str


@dataclass(frozen=True, eq=False)
class LayerSpectra:
    """The spectra of one layer in one direction.

    Args:
        recurrent: of each gate's block of W_hh by the gate's name; with a projection of W_hr W_hh's block.
        rows, steps: the visited places of the Jacobians.
        jacobians: of J_t = ds_t / ds_(t-1) there.
        lyapunov: exponents in nats a step, the largest first; see lyapunov.py. Empty without any step.
    """

    recurrent: dict[str, Spectrum]
    rows: Tensor
    steps: Tensor
    jacobians: list[Spectrum]
    lyapunov: Tensor


def measure(matrix: Tensor) -> Spectrum:
    """Return the spectrum of a square matrix.

    Args:
        matrix [S, S]: finite.

    Example:
        >>> found = measure(torch.tensor([[0.5, 10.0], [0.0, 0.5]]))
        >>> found.radius, round(found.norm, 2), round(found.transient_growth, 2)
        (0.5, 10.02, 10.02)
    """
    if matrix.size(0) > EXACT_UP_TO:
        return _measure_large(matrix)
    matrix = matrix.to(torch.float64)
    eigenvalues = torch.linalg.eigvals(matrix)
    eigenvalues = eigenvalues[eigenvalues.abs().argsort(descending=True)].cpu()
    singular_values = torch.linalg.svdvals(matrix).cpu()
    radius, norm = float(eigenvalues[0].abs()), float(singular_values[0])
    squares = float(singular_values.square().sum()) - float(eigenvalues.abs().square().sum())
    departure = math.sqrt(max(squares, 0.0))
    growth = transient_growth(matrix)
    is_normal = departure <= math.sqrt(NORMAL) * float(singular_values.norm())
    statement = _statement(radius, norm, growth, is_normal)
    return Spectrum(eigenvalues, singular_values, radius, norm, departure, growth, True, statement)


def transient_growth(matrix: Tensor) -> float:
    """Return the largest spectral norm among the first 100 powers of a matrix.

    Example:
        >>> transient_growth(torch.eye(2, dtype=torch.float64) / 2)
        0.5
    """
    power, largest = matrix, 0.0
    for _ in range(POWERS):
        # The Frobenius norm is never below the spectral one: an SVD only where it might be the largest.
        bound = float(torch.linalg.matrix_norm(power))
        if not math.isfinite(bound):
            return math.inf
        if bound > largest:
            largest = max(largest, float(torch.linalg.matrix_norm(power, ord=2)))
        if bound <= 1:  # then |A^(k+j)| <= |A^j|: no later power is larger
            break
        power = power @ matrix
    return largest


def recurrent_spectra(cell: Cell, weights: Weights) -> dict[str, Spectrum]:
    """Return the spectrum of each gate's block of the recurrent weights.

    Example:
        >>> from elman.cells import CELLS
        >>> weights = Weights(torch.zeros(3, 1), torch.diag(torch.tensor([1.0, 2.0, 3.0])))
        >>> recurrent_spectra(CELLS["rnn"], weights)["hidden"].radius
        3.0
    """
    blocks = weights.weight_hh.chunk(len(cell.gates))
    if weights.weight_hr is not None:
        blocks = tuple(weights.weight_hr @ block for block in blocks)
    return {name: measure(block) for name, block in zip(cell.gates, blocks, strict=True)}


def jacobian_spectra(linear: Linearised, steps: Tensor, rows: Tensor) -> list[Spectrum]:
    """Return the spectrum of the whole state's Jacobian at some places, [N] each; one after the other."""
    device = linear.into[0].device
    found = []
    for step, row in zip(steps, rows, strict=True):
        index = step.reshape(1).to(device), row.reshape(1).to(device)
        found.append(measure(linear.jacobian(index)[0]))
    return found


def _measure_large(matrix: Tensor) -> Spectrum:
    """Estimate the few largest values by Krylov spaces: Arnoldi's for A, and for A^T A."""
    matrix = matrix.detach()
    eigenvalues = torch.linalg.eigvals(_arnoldi(lambda v: matrix @ v, matrix))
    eigenvalues = eigenvalues[eigenvalues.abs().argsort(descending=True)][: KRYLOV // 4].cpu()
    squares = torch.linalg.eigvals(_arnoldi(lambda v: matrix.T @ (matrix @ v), matrix)).real
    singular_values = squares.clamp(min=0).sqrt().sort(descending=True).values[: KRYLOV // 4].cpu()
    radius, norm = float(eigenvalues[0].abs()), float(singular_values[0])
    statement = _statement(radius, norm, None, False) + " Both are estimates of the largest values."
    return Spectrum(eigenvalues, singular_values, radius, norm, None, None, False, statement)


def _arnoldi(product, matrix: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
    """Return the upper Hessenberg matrix of Arnoldi's method (1951), by twice-repeated orthogonalisation."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(matrix.size(0), generator=generator).to(matrix)
    basis = (start / start.norm()).unsqueeze(1)
    hessenberg = torch.zeros(KRYLOV + 1, KRYLOV, dtype=torch.float64, device=matrix.device)
    for column in range(KRYLOV):
        new = product(basis[:, -1])
        for _ in range(2):
            overlap = basis.T @ new
            new = new - basis @ overlap
            hessenberg[: column + 1, column] += overlap
        size = new.norm()
        if float(size) <= 1e-12 * float(hessenberg.abs().max()):
            return hessenberg[: column + 1, : column + 1]  # the space is closed: its values are exact
        hessenberg[column + 1, column] = size
        basis = torch.cat((basis, (new / size).unsqueeze(1)), 1)
    return hessenberg[:KRYLOV]


def _statement(radius: float, norm: float, growth: float | None, is_normal: bool) -> str:
    """Say what the eigenvalues promise against the singular values."""
    if radius > 1 + 1e-12:
        end = f"The spectral radius is {radius:.3g}: in the long run some change grows by it at each step"
    elif radius < 1 - 1e-12:
        end = f"The spectral radius is {radius:.3g}: in the long run every change dies out"
    else:
        end = "The spectral radius is 1: in the long run changes neither grow nor die exponentially"
    if is_normal:
        return f"{end}. The matrix is normal, so that no change grows by more than {norm:.3g} at any step."
    at_once = f"{end}. The largest singular value is {norm:.3g}"
    if growth is not None and radius < 1 and norm > 1 and growth > 1:
        return f"{at_once}: before that, some change grows up to {growth:.3g} times (transient growth)."
    if norm <= 1:
        return f"{at_once}: no change grows at any step."
    return f"{at_once}: some change grows by that much in one step."
