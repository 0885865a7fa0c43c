"""HAND LOSSES: each loss of the library and its derivative by the scores, written out in NumPy float64.

Shape legend: N scored steps, V scores of a step (classes, targets or levels).

Each function takes scores [N, V], targets and a `HandLoss`, and gives the loss's term of each step [N], whose
sum is the loss, and dL/dscores [N, V].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from elman.config import unknown_name
from elman.errors import ConfigError
from elman.xray.hand_cells import Array, as_array, sigmoid

Result = tuple[Array, Array]


@dataclass(frozen=True)
class HandLoss:
    """Which loss, and its options.

    Args:
        kind: one of `HAND_LOSSES`.
        class_weights [V]: for cross_entropy: what a mistake in each class counts; none: all the same.
        label_smoothing: for cross_entropy: share of the right class's probability asked for all alike.
        levels [V]: for quantile: the levels of the columns, 0 to 1.
        chain: for crf: what starts [V], transitions [V, V] and ends [V] are worth.

    Raises:
        ConfigError: an unknown kind; a quantile loss without levels, or a CRF without its chain.

    Example:
        >>> HandLoss("quantile", levels=(0.1, 0.9)).levels
        (0.1, 0.9)
    """

    kind: str = "cross_entropy"
    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    levels: tuple[float, ...] = ()
    chain: tuple[Array, Array, Array] | None = None

    def __post_init__(self) -> None:
        if self.kind not in HAND_LOSSES:
            raise ConfigError(unknown_name("loss", self.kind, list(HAND_LOSSES)))
        if self.kind == "quantile" and not self.levels:
            raise ConfigError(
                "the quantile loss has no levels; expected one a column: levels=(0.1, 0.5, 0.9)."
            )
        if self.kind == "crf" and self.chain is None:
            raise ConfigError(
                "the crf loss has no chain; expected chain=(start [V], between [V, V], end [V])."
            )


def cross_entropy(scores: Array, target: Array, loss: HandLoss) -> Result:
    """Return the terms and slopes of ``-sum_c q_c log p_c / sum_i w[y_i]``: a step's slope is p sum(q) - q.

    q is the right class's weight and, with smoothing e, ``(1 - e) w[y] + e w_c / V``.

    Example:
        >>> terms, slopes = cross_entropy(np.zeros((1, 2)), np.array([1.0]), HandLoss())
        >>> terms.round(4).tolist(), slopes.tolist()
        ([0.6931], [[0.5, -0.5]])
    """
    num_steps, num_classes = scores.shape
    right = target.astype(int)
    weight = np.ones(num_classes) if loss.class_weights is None else as_array(loss.class_weights)
    wanted = np.tile(loss.label_smoothing / num_classes * weight, (num_steps, 1))
    wanted[np.arange(num_steps), right] += (1 - loss.label_smoothing) * weight[right]
    log_p = scores - _log_sum(scores, 1)[:, None]
    total = weight[right].sum()
    slopes = np.exp(log_p) * wanted.sum(1, keepdims=True) - wanted
    return -(wanted * log_p).sum(1) / total, slopes / total


def bernoulli(scores: Array, target: Array, loss: HandLoss) -> Result:
    """Return the terms and slopes of ``-sum_i log p(x_i) / N``, ``p(x_i = 1) = sigmoid(score_i)``: p - x.

    Example:
        >>> bernoulli(np.zeros((1, 1)), np.ones((1, 1)), HandLoss())[1].tolist()
        [[-0.5]]
    """
    terms = (np.logaddexp(0.0, scores) - target * scores).sum(1)
    return terms / len(scores), (sigmoid(scores) - target) / len(scores)


def mse(scores: Array, target: Array, loss: HandLoss) -> Result:
    """Return the terms and slopes of the mean of d^2: 2 d.

    Example:
        >>> mse(np.full((1, 1), 3.0), np.ones((1, 1)), HandLoss())[1].tolist()
        [[4.0]]
    """
    return _distance(scores, target, lambda d: d**2, lambda d: 2 * d)


def mae(scores: Array, target: Array, loss: HandLoss) -> Result:
    """Return the terms and slopes of the mean of |d|: the sign of d.

    Example:
        >>> mae(np.full((1, 1), 3.0), np.ones((1, 1)), HandLoss())[1].tolist()
        [[1.0]]
    """
    return _distance(scores, target, np.abs, np.sign)


def huber(scores: Array, target: Array, loss: HandLoss) -> Result:
    """Return the terms and slopes of ``d^2 / 2 where |d| <= 1, else |d| - 1/2``: d, at most 1 in size.

    Example:
        >>> huber(np.full((1, 1), 3.0), np.ones((1, 1)), HandLoss())[0].tolist()
        [1.5]
    """
    return _distance(
        scores,
        target,
        lambda d: np.where(np.abs(d) <= 1, d**2 / 2, np.abs(d) - 0.5),
        lambda d: np.clip(d, -1.0, 1.0),
    )


def quantile(scores: Array, target: Array, loss: HandLoss) -> Result:
    """Return the terms and slopes of the mean of ``max(q e, (q - 1) e)``, e = target - score.

    Source: Koenker and Bassett 1978, the pinball loss.

    Example:
        >>> quantile(np.zeros((1, 1)), np.ones(1), HandLoss("quantile", levels=(0.9,)))[1].tolist()
        [[-0.9]]
    """
    level = as_array(loss.levels)
    error = target.reshape(len(scores), -1) - scores
    terms = np.maximum(level * error, (level - 1) * error).sum(1)
    return terms / scores.size, np.where(error > 0, -level, 1 - level) / scores.size


def gaussian(scores: Array, target: Array, loss: HandLoss) -> Result:
    """Return the terms and slopes of the mean of ``s + ((y - m) / exp(s))^2 / 2``, scores (m, s).

    The negative log-likelihood of a normal with mean m and standard deviation exp(s), without its constant.

    Example:
        >>> gaussian(np.zeros((1, 2)), np.ones(1), HandLoss("gaussian"))[1].tolist()
        [[-1.0, 0.0]]
    """
    mean, log_scale = scores.T
    error = (target.reshape(-1) - mean) * np.exp(-log_scale)
    slopes = np.stack([-error * np.exp(-log_scale), 1 - error**2], 1)
    return (log_scale + error**2 / 2) / len(scores), slopes / len(scores)


def crf(scores: Array, target: Array, loss: HandLoss) -> Result:
    """Return the terms and slopes of ``(log Z - s(y)) / N``: p(y_t = k | x) - [y_t = k].

    log Z belongs to the whole sequence, so a step's term is what the forward recursion adds at it.

    Source: Lafferty et al. 2001; the marginals are those of the forward-backward recursion.

    Example:
        >>> free = (np.zeros(2), np.zeros((2, 2)), np.zeros(2))
        >>> crf(np.zeros((1, 2)), np.ones(1), HandLoss("crf", chain=free))[1].tolist()
        [[0.5, -0.5]]
    """
    assert loss.chain is not None
    start, between, end = (as_array(part) for part in loss.chain)
    num_steps, right = len(scores), target.astype(int)
    alpha, beta = [start + scores[0]], [end]
    for t in range(1, num_steps):
        alpha.append(_log_sum(alpha[-1][:, None] + between, 0) + scores[t])
        beta.insert(0, _log_sum(between + (scores[-t] + beta[0])[None, :], 1))
    log_z = float(_log_sum(alpha[-1] + end, 0))
    slopes = np.exp(np.stack(alpha) + np.stack(beta) - log_z)
    slopes[np.arange(num_steps), right] -= 1
    sums = np.array([*(float(_log_sum(row, 0)) for row in alpha[:-1]), log_z])
    worth = scores[np.arange(num_steps), right].copy()
    worth[0] += start[right[0]]
    worth[1:] += between[right[:-1], right[1:]]
    worth[-1] += end[right[-1]]
    return (np.diff(sums, prepend=0.0) - worth) / num_steps, slopes / num_steps


def _distance(
    scores: Array, target: Array, value: Callable[[Array], Array], slope: Callable[[Array], Array]
) -> Result:
    """Return the mean of a function of score - target over what is known: NaN counts nothing."""
    difference = scores - target.reshape(scores.shape)
    is_known = ~np.isnan(difference)
    count = max(int(is_known.sum()), 1)
    difference = np.where(is_known, difference, 0.0)
    return np.where(is_known, value(difference), 0.0).sum(1) / count, np.where(
        is_known, slope(difference), 0.0
    ) / count


def _log_sum(values: Array, axis: int) -> Array:
    largest = values.max(axis, keepdims=True)
    return np.asarray(np.log(np.exp(values - largest).sum(axis)) + largest.squeeze(axis))


HAND_LOSSES: dict[str, Callable[[Array, Array, HandLoss], Result]] = {
    "cross_entropy": cross_entropy,
    "bernoulli": bernoulli,
    "mse": mse,
    "mae": mae,
    "huber": huber,
    "quantile": quantile,
    "gaussian": gaussian,
    "crf": crf,
}
"""Name -> its terms and its slopes."""
