"""LOGISTIC REGRESSION: multinomial, with a penalty on the weights, by L-BFGS on dense or sparse features.

Shape legend: N rows, V features, K classes.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

MEMORY = 10
"""Steps that L-BFGS remembers, as scikit-learn's and scipy's do."""
TOLERANCE = 1e-4
"""Stop where no entry of the gradient (of the mean loss) is larger; scikit-learn's default."""
MAX_STEPS = 200
SUFFICIENT = 1e-4
"""Share of the promised decrease that a step must reach (Nocedal and Wright 2006, section 3.1)."""

STALL = 1e-7
"""Stop where a step makes the value no smaller than this share of it: about what float32 can tell apart."""

Objective = Callable[[Tensor], tuple[float, Tensor]]


class DenseRows:
    """A matrix of features, [N, V]."""

    def __init__(self, data: Tensor) -> None:
        self.data = data
        self.shape = (data.size(0), data.size(1))

    def times(self, weight: Tensor) -> Tensor:
        """Return the product with [V, K]."""
        return self.data @ weight

    def transposed_times(self, values: Tensor) -> Tensor:
        """Return the product of the transposed matrix with [N, K]."""
        return self.data.t() @ values


class SparseRows:
    """A matrix of features, [N, V], of which only the entries that are not zero are kept.

    Both products are weighted sums of whole rows, which is what torch's embedding_bag does: here twelve times
    faster than the product of a sparse CSR tensor.

    Args:
        rows, columns, values: of each entry, sorted by row.
        shape: (N, V).
    """

    def __init__(self, rows: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.by_row = (columns, _starts(rows, shape[0]), values)
        order = torch.argsort(columns, stable=True)
        self.by_column = (rows[order], _starts(columns, shape[1]), values[order])

    def times(self, weight: Tensor) -> Tensor:
        """Return the product with [V, K]."""
        return _weighted_sums(weight, *self.by_row)

    def transposed_times(self, values: Tensor) -> Tensor:
        """Return the product of the transposed matrix with [N, K]."""
        return _weighted_sums(values, *self.by_column)


def fit_logistic_regression(
    rows: DenseRows | SparseRows, classes: Tensor, num_classes: int, *, penalty: float
) -> tuple[Tensor, Tensor]:
    """Return the weight [V, K] and bias [K] of multinomial logistic regression.

    ``minimise sum_i -log softmax(x_i W + b)[y_i] + penalty / 2 * |W|^2``

    Args:
        rows: the features, [N, V].
        classes: the right class of each row, int64 *[N]*.
        num_classes: K.
        penalty: scikit-learn's 1/C; the bias is free.
    """
    num_rows, num_features = rows.shape

    def loss_and_gradient(point: Tensor) -> tuple[float, Tensor]:
        weight, bias = point[:num_features], point[num_features]
        scores = rows.times(weight) + bias
        loss = functional.cross_entropy(scores, classes) + penalty / (2 * num_rows) * (weight * weight).sum()
        error = scores.softmax(1)
        error[torch.arange(num_rows), classes] -= 1
        error /= num_rows
        slope = rows.transposed_times(error).add_(weight, alpha=penalty / num_rows)
        return float(loss), torch.cat([slope, error.sum(0, keepdim=True)])

    with torch.no_grad():
        point = minimise(loss_and_gradient, torch.zeros(num_features + 1, num_classes))
    return point[:num_features].clone(), point[num_features].clone()


def minimise(loss_and_gradient: Objective, point: Tensor) -> Tensor:
    """Return where a smooth convex function is smallest, by L-BFGS with backtracking.

    Args:
        loss_and_gradient: gives the value at a point, and the gradient of the point's shape.
        point: where to start.

    Source: Nocedal and Wright 2006, algorithms 7.4, 7.5 and 3.1. Written out, because the first optimiser of
    torch that a process makes costs it a second of imports.

    Example:
        >>> minimise(lambda x: (float((x**2).sum()), 2 * x), torch.tensor([3.0, -4.0])).abs().max() < 1e-3
        tensor(True)
    """
    loss, gradient = loss_and_gradient(point)
    steps: list[tuple[Tensor, Tensor, float]] = []
    for _ in range(MAX_STEPS):
        if gradient.abs().max() <= TOLERANCE:
            break
        direction = _direction(gradient, steps)
        slope = _dot(gradient, direction)
        size = 1.0 if steps else min(1.0, 1.0 / float(gradient.abs().sum()))
        while True:
            there = torch.add(point, direction, alpha=size)
            new_loss, new_gradient = loss_and_gradient(there)
            if new_loss <= loss + SUFFICIENT * size * slope:
                break
            size /= 2
            if size < 1e-8:  # no step makes it smaller: float32 has no more to give
                return point
        moved, turned = there - point, new_gradient - gradient
        curvature = _dot(moved, turned)
        if curvature > 0:
            steps = [*steps, (moved, turned, curvature)][-MEMORY:]
        is_stalled = loss - new_loss <= STALL * abs(loss)
        point, loss, gradient = there, new_loss, new_gradient
        if is_stalled:
            break
    return point


def _direction(gradient: Tensor, steps: list[tuple[Tensor, Tensor, float]]) -> Tensor:
    """Give minus the inverse Hessian, as the remembered steps show it, times the gradient (algorithm 7.4)."""
    direction = -gradient
    shares = []
    for moved, turned, curvature in reversed(steps):
        share = _dot(moved, direction) / curvature
        direction.add_(turned, alpha=-share)
        shares.append(share)
    if steps:
        _, turned, curvature = steps[-1]
        direction.mul_(curvature / _dot(turned, turned))
    for (moved, turned, curvature), share in zip(steps, reversed(shares), strict=True):
        direction.add_(moved, alpha=share - _dot(turned, direction) / curvature)
    return direction


def _dot(left: Tensor, right: Tensor) -> float:
    return float(torch.dot(left.reshape(-1), right.reshape(-1)))


def _starts(groups: Tensor, count: int) -> Tensor:
    """Give where each group starts, for entries sorted by group."""
    sizes = torch.bincount(groups, minlength=count)
    return torch.cumsum(sizes, 0) - sizes


def _weighted_sums(table: Tensor, ids: Tensor, starts: Tensor, values: Tensor) -> Tensor:
    """Give, for each group of entries, the sum of the table's rows `ids` times `values`."""
    return functional.embedding_bag(ids, table, starts, mode="sum", per_sample_weights=values)
