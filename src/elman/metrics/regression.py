"""REGRESSION METRICS: how far predicted numbers are from the true ones, in their own units.

Shape legend: N examples (or steps), K targets.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.errors import ShapeError

SCORES = ("mae", "rmse", "r2")


def regression(
    gold: NDArray[np.float64], predicted: NDArray[np.float64], names: Sequence[str]
) -> dict[str, Any]:
    """Return mae, rmse and r2, means over the targets; of several targets each one's too, in per_target.

    ``mae = mean |e|``, ``rmse = sqrt(mean e^2)``, ``r2 = 1 - sum e^2 / sum (y - mean y)^2``; e = predicted-y

    Args:
        gold, predicted: *[N, K]*; where gold is NaN nothing is known, and nothing counts.
        names: of the targets, K.

    Returns:
        NaN where there is nothing to measure: no known target, or, for r2, targets that are all the same.

    Raises:
        ShapeError: the two do not fit each other.

    Example:
        >>> scores = regression(np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]]), ["y"])
        >>> scores["mae"], round(scores["rmse"], 4), scores["r2"]
        (0.5, 0.7071, 0.5)
    """
    if gold.shape != predicted.shape or gold.ndim != 2 or gold.shape[1] != len(names):
        raise ShapeError(
            f"gold is {gold.shape}, predicted {predicted.shape}, with {len(names)} names; expected [N, K] "
            "twice and K names."
        )
    each = {name: _of_one(gold[:, k], predicted[:, k]) for k, name in enumerate(names)}
    scores: dict[str, Any] = {
        score: float(np.mean([own[score] for own in each.values()])) for score in SCORES
    }
    return scores | ({"per_target": each} if len(names) > 1 else {})


def _of_one(gold: NDArray[np.float64], predicted: NDArray[np.float64]) -> dict[str, float]:
    is_known = ~np.isnan(gold)
    truth, error = gold[is_known], (predicted - gold)[is_known]
    if not len(truth):
        return dict.fromkeys(SCORES, float("nan"))
    squared = float(np.mean(np.square(error)))
    # Not variance == 0: the mean of equal numbers is off by rounding.
    spread = float(np.mean(np.square(truth - truth.mean()))) if truth.min() < truth.max() else 0.0
    return {
        "mae": float(np.mean(np.abs(error))),
        "rmse": squared**0.5,
        "r2": 1 - squared / spread if spread else float("nan"),
    }
