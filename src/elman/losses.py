"""LOSSES: what training makes small, counted over real steps only.

Shape legend: B batch, T time, V classes, K targets.
"""

from torch import Tensor
from torch.nn import functional

from elman.config import unknown_name
from elman.errors import ConfigError, ShapeError
from elman.padded import Padded


def cross_entropy(
    scores: Tensor | Padded,
    target: Tensor | Padded,
    *,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """Return the mean negative log-probability of the right classes.

    ``loss = sum_i w[y_i] * -log softmax(scores_i)[y_i] / sum_i w[y_i]``, where i runs over rows, or over the
    real steps of all rows; without weights it divides by their number.

    Args:
        scores: unnormalised, *[B, V]*, or Padded *[B, T, V]*.
        target: classes, int64, *[B]*, or Padded *[B, T]*.
        class_weights [V]: what a mistake in each class counts; the mean is divided by the sum of the weights
            of the right classes, as torch divides it.
        label_smoothing: share of the right class's probability that is asked for all classes alike, 0..1.
        reduction: "mean" as above, or "sum": the same without the division.

    Returns:
        A scalar; zero (with zero gradients) where there is no real step.

    Raises:
        ShapeError: only one of the two is Padded, or their lengths differ.

    Source: the smoothing is that of Szegedy et al. 2016, section 7, as torch computes it.

    Example:
        >>> import torch
        >>> scores = Padded(torch.zeros(2, 3, 4), torch.tensor([3, 1]))
        >>> cross_entropy(scores, Padded(torch.zeros(2, 3, dtype=torch.long), scores.lengths))
        tensor(1.3863)
    """
    flat_scores, flat_target = _real_steps(scores, target)
    if len(flat_target) == 0:
        return flat_scores.sum() * 0.0
    return functional.cross_entropy(
        flat_scores,
        flat_target,
        weight=class_weights,
        label_smoothing=label_smoothing,
        reduction=reduction,
    )


def frame_cross_entropy(scores: Padded, target: Padded) -> Tensor:
    """Return the mean over steps of the negative log-probability of frames of zeros and ones.

    ``loss = sum_t sum_i -log p(x_ti) / T``, the columns i of a frame independent of each other given what was
    read before: ``p(x_ti = 1) = sigmoid(scores_ti)``.

    Args:
        scores: unnormalised, Padded *[B, T, I]*.
        target: zeros and ones, Padded *[B, T, I]*.

    Returns:
        A scalar; zero (with zero gradients) where there is no real step.

    Source: Boulanger-Lewandowski et al. 2012, section 2, the RNN without a restricted Boltzmann machine.

    Example:
        >>> import torch
        >>> scores = Padded(torch.zeros(2, 3, 4), torch.tensor([3, 1]))
        >>> frame_cross_entropy(scores, scores)
        tensor(2.7726)
    """
    flat_scores, flat_target = _real_steps(scores, target)
    if len(flat_target) == 0:
        return flat_scores.sum() * 0.0
    return functional.binary_cross_entropy_with_logits(
        flat_scores, flat_target.to(flat_scores.dtype), reduction="sum"
    ) / len(flat_target)


def _real_steps(scores: Tensor | Padded, target: Tensor | Padded) -> tuple[Tensor, Tensor]:
    """Give scores [N, V] and classes [N] of everything that is real."""
    if isinstance(scores, Tensor) and isinstance(target, Tensor):
        return scores, target
    if isinstance(scores, Tensor) or isinstance(target, Tensor):
        raise ShapeError("one of scores and target is Padded and the other is not; expected both or neither.")
    if scores.lengths.tolist() != target.lengths.tolist():
        raise ShapeError(
            f"scores have lengths {scores.lengths.tolist()} but the target has {target.lengths.tolist()}; "
            "expected one class for every real step."
        )
    # Selected, not multiplied by zero: whatever stands in the padding, NaN too, has no way into the sum.
    return scores.real_steps(), target.real_steps()


DISTANCES = ("mse", "mae", "huber")
"""How far a number is from its target: squared, absolute, or squared up to 1 and absolute beyond."""


def distance(
    predicted: Tensor | Padded, target: Tensor | Padded, *, kind: str = "mse", reduction: str = "mean"
) -> Tensor:
    """Return the mean distance between numbers and their targets, where a target is known.

    ``mse: d^2``, ``mae: |d|``, ``huber: d^2 / 2 where |d| <= 1, else |d| - 1/2``, of d = predicted - target

    Args:
        predicted: *[B, K]*, or Padded *[B, T, K]*.
        target: alike; NaN where a target is missing: it counts nothing, and has no gradient.
        kind: one of `DISTANCES`.
        reduction: "mean" over what is known, or "sum": the same without the division.

    Returns:
        A scalar; zero (with zero gradients) where nothing is known.

    Raises:
        ConfigError: an unknown kind.
        ShapeError: only one of the two is Padded, or their lengths or sizes differ.

    Source: Huber 1964, Robust estimation of a location parameter, with k = 1.

    Example:
        >>> import torch
        >>> nan = float("nan")
        >>> distance(torch.tensor([[3.0], [5.0]]), torch.tensor([[1.0], [nan]]), kind="mse")
        tensor(4.)
    """
    if kind not in DISTANCES:
        raise ConfigError(unknown_name("loss", kind, list(DISTANCES)))
    flat_predicted, flat_target = _real_steps(predicted, target)
    if flat_predicted.shape != flat_target.shape:
        raise ShapeError(
            f"{list(flat_predicted.shape)} numbers stand beside {list(flat_target.shape)} targets; expected "
            "as many."
        )
    is_known = ~flat_target.isnan()
    # Selected, not multiplied by zero: zero times NaN would be NaN.
    made, wanted = flat_predicted[is_known], flat_target[is_known]
    if len(wanted) == 0:
        return flat_predicted.sum() * 0.0
    if kind == "mse":
        return functional.mse_loss(made, wanted, reduction=reduction)
    if kind == "mae":
        return functional.l1_loss(made, wanted, reduction=reduction)
    return functional.huber_loss(made, wanted, reduction=reduction)
