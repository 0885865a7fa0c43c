"""Losses: real steps only, and what the mean is divided by."""

import math

import pytest
import torch

from elman.errors import ShapeError
from elman.losses import cross_entropy
from elman.padded import Padded


def negative_log(scores, target):
    """-log softmax(scores)[target], written out."""
    return math.log(sum(math.exp(score) for score in scores)) - scores[target]


def test_the_mean_is_over_real_steps():
    rows = [[[1.0, 2.0], [0.0, 3.0]], [[0.5, -1.0]]]
    classes = [[0, 1], [1]]
    scores = Padded(torch.full((2, 3, 2), torch.nan), torch.tensor([2, 1]))
    target = Padded(torch.full((2, 3), -99), torch.tensor([2, 1]))
    for place, (row, answers) in enumerate(zip(rows, classes, strict=True)):
        scores.data[place, : len(row)] = torch.tensor(row)
        target.data[place, : len(row)] = torch.tensor(answers)
    losses = [
        negative_log(s, y)
        for row, ys in zip(rows, classes, strict=True)
        for s, y in zip(row, ys, strict=True)
    ]
    assert cross_entropy(scores, target).item() == pytest.approx(sum(losses) / 3, rel=1e-6)
    assert cross_entropy(scores, target, reduction="sum").item() == pytest.approx(sum(losses), rel=1e-6)


def test_a_weighted_mean_is_divided_by_the_weights():
    scores, target = torch.tensor([[1.0, 2.0], [0.0, 3.0], [4.0, 1.0]]), torch.tensor([0, 1, 1])
    weights = torch.tensor([3.0, 0.5])
    losses = [negative_log(row, y) for row, y in zip(scores.tolist(), target.tolist(), strict=True)]
    expected = (3 * losses[0] + 0.5 * losses[1] + 0.5 * losses[2]) / 4
    assert cross_entropy(scores, target, class_weights=weights).item() == pytest.approx(expected, rel=1e-6)


def test_smoothing_mixes_in_all_classes_alike():
    scores, target = torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([0])
    every = [negative_log([1.0, 2.0, 0.0], y) for y in range(3)]
    expected = 0.9 * every[0] + 0.1 * sum(every) / 3
    assert cross_entropy(scores, target, label_smoothing=0.1).item() == pytest.approx(expected, rel=1e-6)


def test_nothing_real_costs_nothing_and_has_a_gradient_of_zero():
    data = torch.full((2, 3, 4), torch.nan, requires_grad=True)
    lengths = torch.tensor([0, 0])
    loss = cross_entropy(Padded(data, lengths), Padded(torch.zeros(2, 3, dtype=torch.long), lengths))
    loss.backward()
    assert loss.item() == 0
    assert not data.grad.any()


def test_the_gradient_is_that_of_finite_differences():
    scores = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([3, 1])
    target = Padded(torch.randint(4, (2, 3)), lengths)
    assert torch.autograd.gradcheck(lambda scores: cross_entropy(Padded(scores, lengths), target), scores)


def test_targets_of_other_lengths_are_refused():
    scores = Padded(torch.zeros(2, 3, 4), torch.tensor([3, 1]))
    with pytest.raises(ShapeError, match="one class for every real step"):
        cross_entropy(scores, Padded(torch.zeros(2, 3, dtype=torch.long), torch.tensor([3, 2])))
    with pytest.raises(ShapeError, match="both or neither"):
        cross_entropy(scores, torch.zeros(2, dtype=torch.long))


def test_targets_may_have_another_width_of_padding():
    scores = Padded(torch.zeros(2, 3, 4), torch.tensor([2, 1]))
    for width in (2, 5):
        target = Padded(torch.zeros(2, width, dtype=torch.long), torch.tensor([2, 1]))
        assert cross_entropy(scores, target).item() == pytest.approx(math.log(4))
