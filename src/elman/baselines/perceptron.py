"""PERCEPTRON: one hidden layer on a vector of numbers: what a recurrent network is measured by where T is 1.

Shape legend: N rows, F features, K outputs (labels or targets).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from elman.baselines.baseline import Baseline, check_fit, label_ids

UNITS, RATE, PENALTY, BATCH, EPOCHS = 100, 1e-3, 1e-4, 200, 200
"""Hidden units, Adam's rate, weight of the squared weights, rows a step, passes: scikit-learn's defaults."""

TOLERANCE, WAIT = 1e-4, 10
"""Training ends when the loss was not better by this for so many passes, as in scikit-learn."""

MOST_STEPS = 20_000
"""Steps at most, so that a table of a million rows does not keep one waiting."""


class Perceptron(Baseline):
    """A multi-layer perceptron on vectors: 100 ReLU units, Adam, to labels or to numbers.

    Training starts from a fixed seed of its own and leaves torch's random state as it was.

    Source: the defaults are those of scikit-learn's MLPClassifier and MLPRegressor.

    Example:
        >>> rows = [np.array([[value]], np.float32) for value in (-2, -1, 1, 2)] * 9
        >>> fitted = Perceptron.fit(rows, ["low", "low", "high", "high"] * 9)
        >>> fitted.predict([np.array([[1.5]], np.float32)])
        ['high']
    """

    name = "multi-layer perceptron"

    def __init__(self, weights: dict[str, Tensor], labels: list[str] | None) -> None:
        self.weights = weights
        self.labels = labels

    @classmethod
    def fit(cls, inputs: Sequence[NDArray[Any]], targets: Sequence[Any]) -> "Perceptron":
        """Fit to vectors *[1, F]* and their labels, or their numbers *[K]*."""
        check_fit(inputs, targets)
        rows_NF = torch.from_numpy(np.concatenate(list(inputs)).astype(np.float32))
        labels: list[str] | None = None
        weights = {"center": rows_NF.mean(0), "spread": _spread(rows_NF)}
        if isinstance(targets[0], str):
            labels, wanted = label_ids(targets)
            num_outputs = len(labels)
        else:
            numbers_NK = torch.from_numpy(np.stack(targets))
            weights |= {"target_mean": numbers_NK.mean(0), "target_spread": _spread(numbers_NK)}
            wanted = ((numbers_NK - weights["target_mean"]) / weights["target_spread"]).float()
            num_outputs = wanted.size(1)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = nn.Sequential(
                nn.Linear(rows_NF.size(1), UNITS), nn.ReLU(), nn.Linear(UNITS, num_outputs)
            )
            _train(network, (rows_NF - weights["center"]) / weights["spread"], wanted)
        return cls(weights | {name: value.detach() for name, value in network.state_dict().items()}, labels)

    @property
    def description(self) -> str:
        """What it does, in one line."""
        return f"one hidden layer of {UNITS} ReLU units on {self.weights['0.weight'].size(1)} numbers, Adam"

    def predict(self, inputs: Sequence[NDArray[Any]]) -> list[Any]:
        """Return the label, or the numbers *[K]*, of each vector; an empty one counts as an average one."""
        if not inputs:
            return []
        weights = self.weights
        rows = [
            torch.from_numpy(np.asarray(row[0], np.float32)) if len(row) else weights["center"]
            for row in inputs
        ]
        scaled = (torch.stack(rows) - weights["center"]) / weights["spread"]
        hidden = functional.linear(scaled, weights["0.weight"], weights["0.bias"]).relu()
        scores = functional.linear(hidden, weights["2.weight"], weights["2.bias"])
        if self.labels is not None:
            return [self.labels[best] for best in scores.argmax(1).tolist()]
        return list((scores.double() * weights["target_spread"] + weights["target_mean"]).numpy())

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return self.weights, {"labels": self.labels}

    @classmethod
    def _from_state(cls, tensors: dict[str, Tensor], info: dict[str, Any]) -> "Perceptron":
        return cls({name: value for name, value in tensors.items() if name != "info"}, info["labels"])


def _spread(rows: Tensor) -> Tensor:
    """Return the deviation of each column, 1 for a column that never changes."""
    spread = rows.std(0, correction=0)
    return torch.where(rows.amin(0) < rows.amax(0), spread, torch.ones_like(spread))


def _train(network: nn.Sequential, rows: Tensor, wanted: Tensor) -> None:
    """Train in batches until the loss stands still."""
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    batch = min(BATCH, len(rows))
    epochs = max(1, min(EPOCHS, MOST_STEPS // -(-len(rows) // batch)))
    best, waited = float("inf"), 0
    for _ in range(epochs):
        total = 0.0
        for places in torch.randperm(len(rows)).split(batch):
            scores, target = network(rows[places]), wanted[places]
            if wanted.is_floating_point():
                loss = functional.mse_loss(scores, target) / 2
            else:
                loss = functional.cross_entropy(scores, target)
            squares = sum(value.square().sum() for value in network.parameters() if value.dim() == 2) / 2
            optimizer.zero_grad()
            (loss + PENALTY * squares / len(places)).backward()
            optimizer.step()
            total += float(loss.detach()) * len(places)
        waited = waited + 1 if total / len(rows) > best - TOLERANCE else 0
        best = min(best, total / len(rows))
        if waited > WAIT:
            return
