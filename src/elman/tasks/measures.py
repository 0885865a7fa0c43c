"""MEASURES: the targets of the tasks that predict numbers: scaled for the network, and scaled back.

Shape legend: N examples or steps, K targets, T time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.config import Settings, split_names
from elman.data.example import Example
from elman.data.measures import Unit
from elman.data.series import Standardiser
from elman.errors import DataError

RECIPE: dict[str, Any] = {
    "hidden_size": 128,
    "num_layers": 1,
    "bidirectional": True,
    "dropout": 0.2,
    "batch_size": 32,
    "learning_rate": 2e-3,
    "decay": "linear",
    "clip_norm": 5.0,
    "init": "orthogonal",
    "loss": "mse",
}
"""What is chosen where the user says nothing; less dropout than for labels, for it blurs a number."""


@dataclass(frozen=True)
class TargetScale:
    """The targets' names, and the mean and deviation of each on the training part.

    Args:
        names: of the targets, K.
        standardiser: of K columns, float64.
        unit: whether a sequence has K numbers or each step of it.

    Example:
        >>> rows = [Example("a", np.array([1.0])), Example("b", np.array([3.0]))]
        >>> scale = TargetScale.fit(rows, ["y"], "sequence")
        >>> scale.apply(rows[1]).tolist(), scale.invert(np.array([1.0])).tolist()
        ([1.0], [3.0])
    """

    names: list[str]
    standardiser: Standardiser
    unit: Unit

    @classmethod
    def fit(cls, train: Sequence[Example], names: Sequence[str], unit: Unit) -> "TargetScale":
        """Measure the training targets.

        Raises:
            DataError: there is none, or one that is the same everywhere: there would be nothing to learn.
        """
        arrays = [np.atleast_2d(example.target) for example in train]
        known = sum((~np.isnan(array)).sum(0) for array in arrays)
        for k, name in enumerate(names):
            if not np.ravel(known)[k]:
                raise DataError(f"{train[0].where}: target {name!r} is missing in every training example.")
        scale = Standardiser.fit(arrays)
        lowest = np.fmin.reduce([np.fmin.reduce(array, axis=0) for array in arrays if len(array)])
        highest = np.fmax.reduce([np.fmax.reduce(array, axis=0) for array in arrays if len(array)])
        for k, name in enumerate(names):
            if lowest[k] == highest[k]:
                raise DataError(
                    f"{train[0].where}: target {name!r} is {lowest[k]:g} in every training example, so "
                    "there is nothing to learn; give at least two different numbers (is --target the right "
                    "column?)."
                )
        return cls(list(names), scale, unit)

    def apply(self, example: Example) -> NDArray[np.float32]:
        """Return an example's target on the common scale, *[K]* or *[T, K]*; NaN stays where one is missing.

        Raises:
            DataError: another number of targets, or one so far out that float32 cannot hold it.
        """
        self.check(example)
        array = np.atleast_2d(example.target)
        is_missing = np.isnan(array)
        filled = np.where(is_missing, self.standardiser.mean, array)
        scaled = self.standardiser.apply(filled, where=f"{example.where}: the target")
        scaled[is_missing] = np.nan
        return scaled if self.unit == "step" else scaled[0]

    def invert(self, scaled: NDArray[Any]) -> NDArray[np.float64]:
        """Return numbers in the targets' own units, float64."""
        return self.standardiser.invert(scaled)

    def check(self, example: Example) -> None:
        """Raise DataError unless an example has its target, of the right shape."""
        check_target(example, self.unit)
        if np.shape(example.target)[-1] != len(self.names):
            raise DataError(
                f"{example.where}: has {np.shape(example.target)[-1]} targets; {len(self.names)} were "
                f"expected ({', '.join(self.names)})."
            )

    def present(self, predicted: NDArray[np.float64]) -> Any:
        """Return predicted numbers as a prediction: a number, or one a step; of several targets by name."""
        columns = [column if self.unit == "step" else column[0] for column in predicted.T.tolist()]
        return columns[0] if len(self.names) == 1 else dict(zip(self.names, columns, strict=True))

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads; the floats come back exactly."""
        return {"names": self.names, "unit": self.unit, "standardiser": self.standardiser.to_json()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "TargetScale":
        """Return the scale that `to_json` described."""
        return cls(value["names"], Standardiser.from_json(value["standardiser"]), value["unit"])


def check_target(example: Example, unit: Unit) -> None:
    """Raise DataError unless an example has numbers for a target, of the shape of its task."""
    if isinstance(example.target, np.ndarray) and example.target.ndim == (2 if unit == "step" else 1):
        return
    task, wanted = (
        ("regress_steps", "one number for each step") if unit == "step" else ("regress", "a number")
    )
    if example.target is None:
        raise DataError(f"{example.where}: has no target; {task} needs {wanted}.")
    said = "an array" if isinstance(example.target, np.ndarray) else f"{example.target!r:.40}"
    raise DataError(f"{example.where}: the target is {said}; {task} needs {wanted}.")


def target_names(settings: Settings, train: Sequence[Example]) -> list[str]:
    """Return a name for each target: its column, or the column with a number where one holds several."""
    count = int(np.shape(train[0].target)[-1])
    column = settings.target or "target"
    names = split_names(column)
    if len(names) == count:
        return names
    return [column] if count == 1 else [f"{column} {number}" for number in range(1, count + 1)]


def check_all(train: Sequence[Example], unit: Unit) -> None:
    """Raise DataError unless all training targets are numbers, and as many in every row."""
    for example in train:
        check_target(example, unit)
        here, first = np.shape(example.target)[-1], np.shape(train[0].target)[-1]
        if here != first:
            raise DataError(
                f"{example.where}: targets: {here} here, but {first} in {train[0].where}; all rows need as "
                "many."
            )
