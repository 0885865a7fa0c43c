"""SERIES: numbers brought to a common scale."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError

_NOT_SEEN = " (the training data lack no value there, so the model has not learnt to do without)"


class Standardiser:
    """Subtract each column's mean and divide by its standard deviation.

        z = (x - mean) / std

    Fit it on training data alone. A column that never changes is only shifted (its std is taken as 1).

    Args:
        mean: *[I]*, float64.
        std: *[I]*, float64, above 0.

    Example:
        >>> scale = Standardiser.fit([np.array([[1.0], [3.0]])])
        >>> scale.apply(np.array([[5.0]])).tolist()
        [[3.0]]
    """

    def __init__(self, mean: NDArray[np.float64], std: NDArray[np.float64]) -> None:
        self.mean = np.asarray(mean, np.float64)
        self.std = np.asarray(std, np.float64)
        if self.mean.ndim != 1 or self.mean.shape != self.std.shape or not self.mean.size:
            raise DataError(
                f"standardiser: mean {self.mean.shape} and std {self.std.shape} must be lists of one length."
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.std).all() and (self.std > 0).all()):
            raise DataError("standardiser: every mean must be finite and every std finite and above 0.")

    @classmethod
    def fit(cls, arrays: Iterable[NDArray[Any]]) -> "Standardiser":
        """Return the standardiser of all steps of all arrays *[T, I]* (two passes, in float64).

        Missing values (NaN) count nothing.

        Raises:
            DataError: there is no step, or no value in a column.
        """
        steps = [array for array in arrays if len(array)]
        if not steps:
            raise DataError("standardiser: there is no step to measure; every series is empty.")
        count = sum((~np.isnan(array)).sum(0) for array in steps)
        if not np.all(count):
            column = int(np.argmin(count)) + 1
            raise DataError(
                f"standardiser: column {column} has no value in any row of the training data; leave it out."
            )
        mean = sum(np.nansum(array, 0, dtype=np.float64) for array in steps) / count
        variance = sum(np.nansum(np.square(array - mean), 0, dtype=np.float64) for array in steps) / count
        lowest = np.fmin.reduce([np.fmin.reduce(array, axis=0) for array in steps], axis=0)
        highest = np.fmax.reduce([np.fmax.reduce(array, axis=0) for array in steps], axis=0)
        # Not variance == 0: the mean of a constant 0.1 is off by rounding, and 1 / that would blow it up.
        return cls(np.asarray(mean), np.where(lowest == highest, 1.0, np.sqrt(variance)))

    def apply(self, array: NDArray[Any], where: str = "") -> NDArray[np.float32]:
        """Return an array *[T, I]* on the common scale, float32.

        Raises:
            DataError: another number of columns, or a value so far out that float32 cannot hold it.
        """
        place = f"{where}: " if where else ""
        if array.ndim != 2 or array.shape[1] != len(self.mean):
            raise DataError(
                f"{place}has {array.shape[-1] if array.ndim else 0} numbers a step; the model was trained on "
                f"{len(self.mean)}."
            )
        with np.errstate(over="ignore"):
            made: NDArray[np.float32] = ((array - self.mean) / self.std).astype(np.float32)
        if not np.isfinite(made).all():
            step, column = (int(index) for index in np.argwhere(~np.isfinite(made))[0])
            if not np.isfinite(array[step, column]):
                raise DataError(
                    f"{place}step {step + 1}, column {column + 1} is {array[step, column]}; "
                    "a finite number was expected. Fill it in, or leave the row out"
                    f"{_NOT_SEEN if np.isnan(array[step, column]) else ''}."
                )
            raise DataError(
                f"{place}step {step + 1}, column {column + 1} is {array[step, column]}, too far from the "
                "training data "
                f"(mean {self.mean[column]:g}, std {self.std[column]:g}) to be scaled."
            )
        return made

    def invert(self, array: NDArray[Any]) -> NDArray[np.float64]:
        """Return numbers on the common scale *[..., I]* in their own units, float64."""
        return np.asarray(array, np.float64) * self.std + self.mean

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads; the floats come back exactly."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_json(cls, value: Any) -> "Standardiser":
        """Return the standardiser that `to_json` described.

        Raises:
            DataError: the value is damaged.
        """
        if not isinstance(value, dict) or set(value) != {"mean", "std"}:
            raise DataError("standardiser: an object with mean and std was expected. Is the file damaged?")
        for numbers in value.values():
            if not isinstance(numbers, list) or not all(
                type(number) in (int, float) and abs(number) < 1e300 and math.isfinite(number)
                for number in numbers
            ):
                raise DataError(
                    "standardiser: mean and std must be lists of finite numbers. Is the file damaged?"
                )
        return cls(np.array(value["mean"], np.float64), np.array(value["std"], np.float64))
