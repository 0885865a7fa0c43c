"""EIGENVALUE RULE: what a gradient becomes on its way back through many steps of a linear recurrence.

Shape legend: H hidden, K steps back.

``h_t = W h_(t-1) + x_t``, so ``dL/dh_(T-k) = (W^T)^k dL/dh_T``: it is the gradient that shrinks or grows,
never the weights. In the long run its rate is the size of the largest eigenvalue, rho. At each k its size is
at most the k-th power of the largest singular value, sigma. Sigma may be above 1 while rho is below; then the
gradient may grow before it shrinks.

Source: Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent neural networks, section
2.1; Bengio, Simard and Frasconi 1994.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.errors import ConfigError, ShapeError
from elman.xray.blackboard import number, table
from elman.xray.hand_cells import Array, as_array


@dataclass(frozen=True)
class EigenvalueRule:
    """How large gradients are after 0, 1, 2... steps back.

    Args:
        radius: the size of W's largest eigenvalue, rho.
        largest_singular: W's largest singular value, sigma.
        sizes [K + 1]: the largest size that a dL/dh_T of size 1 has k steps back, by backpropagation.
    """

    radius: float
    largest_singular: float
    sizes: Array

    def to_text(self) -> str:
        """Return a table, a line a step back: measured, rho^k and the bound sigma^k.

        Example:
            >>> print(eigenvalue_rule([[5.0]], 3).to_text())
            steps back  gradient     rho^k   sigma^k
            0             1.0000    1.0000    1.0000
            1             5.0000    5.0000    5.0000
            2            25.0000   25.0000   25.0000
            3           125.0000  125.0000  125.0000
        """
        rows = [
            [str(k), *(number(v) for v in (size, self.radius**k, self.largest_singular**k))]
            for k, size in enumerate(self.sizes)
        ]
        return table(["steps back", "gradient", "rho^k", "sigma^k"], rows)


def eigenvalue_rule(weight: Any, steps: int) -> EigenvalueRule:
    """Send every error back through so many steps of a linear recurrence, and measure it.

    Args:
        weight: W, *[H, H]*; a tensor, an array or lists.
        steps: K, 0 or more.

    Raises:
        ShapeError: the weight is not square.
        ConfigError: fewer than 0 steps.

    Example:
        >>> eigenvalue_rule([[0.1]], 3).sizes.round(6).tolist()
        [1.0, 0.1, 0.01, 0.001]
    """
    matrix = as_array(weight)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        raise ShapeError(f"the weight has shape {matrix.shape}, expected (units, units): a recurrent weight.")
    if steps < 0:
        raise ConfigError(f"steps is {steps}; expected 0 or more.")
    errors = np.eye(len(matrix))  # a column for each unit of h_T that an error may come from
    sizes = [1.0]
    for _ in range(steps):
        errors = matrix.T @ errors
        sizes.append(float(np.linalg.norm(errors, 2)))
    radius = float(np.abs(np.linalg.eigvals(matrix)).max())
    return EigenvalueRule(radius, float(np.linalg.norm(matrix, 2)), np.array(sizes))


CLASSIC: dict[str, list[list[float]]] = {
    "one unit, 0.1: the gradient vanishes": [[0.1]],
    "one unit, 5: the gradient explodes": [[5.0]],
    "two units, eigenvalues 0.5 and 0.3: it vanishes": [[0.4, 0.1], [0.1, 0.4]],
    "two units, eigenvalues 1.5 and 0.5: it explodes": [[1.0, 0.5], [0.5, 1.0]],
    "two units, a rotation, eigenvalues of size 1: it stays": [[0.6, -0.8], [0.8, 0.6]],
    "two units, eigenvalues 0.5 twice, but sigma above 3: it grows, then vanishes": [[0.5, 3.0], [0.0, 0.5]],
}
"""The matrices of every lecture on the subject, and what becomes of the gradient."""


def classic_numbers(steps: int = 6) -> str:
    """Return the tables of all classic matrices.

    Example:
        >>> print(classic_numbers(1)[:36])
        one unit, 0.1: the gradient vanishes
    """
    return "\n\n".join(
        f"{name}\n{eigenvalue_rule(weight, steps).to_text()}" for name, weight in CLASSIC.items()
    )
