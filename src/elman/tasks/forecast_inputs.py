"""FORECAST INPUTS: the scale of each series, and windows as the numbers that a network reads.

Shape legend: N windows, C context, H horizon, K covariates, S static numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from elman.config import Settings
from elman.data.calendar_features import calendar_features, calendar_names
from elman.data.series import Standardiser
from elman.data.time_series import Floats, TimeSeries
from elman.data.timestamps import Clock
from elman.data.windows import Window
from elman.errors import DataError
from elman.padded import Padded
from elman.tasks.static_features import StaticFeatures

LARGEST = 1e100
"""Numbers beyond this have no finite variance."""


@dataclass(frozen=True)
class Scale:
    """What is known of a series from its training part.

    Args:
        mean, deviation: of its values; the deviation of values that never change counts as 1.
        end: the place on the clock after its last training row.
    """

    mean: float
    deviation: float
    end: int

    @classmethod
    def fit(cls, series: TimeSeries) -> "Scale":
        """Measure a series; missing values are left out.

        Example:
            >>> Scale.fit(TimeSeries("a", np.array([1.0, np.nan, 3.0]), Clock("rows")))
            Scale(mean=2.0, deviation=1.0, end=3)
        """
        values = series.values[~np.isnan(series.values)]
        if not len(values):
            raise DataError(
                f"{series.where}: series {series.name!r} has no value in its training part; leave it out."
            )
        if np.abs(values).max() > LARGEST:
            raise DataError(
                f"{series.where}: series {series.name!r} holds {values[np.abs(values).argmax()]:g}, too "
                f"large to be squared; numbers up to {LARGEST:g} were expected. Use a larger unit."
            )
        # Not variance == 0: the mean of a constant 0.1 is off by rounding.
        is_constant = values.min() == values.max()
        deviation = 1.0 if is_constant else float(values.std()) or 1.0
        return cls(float(values.mean()), deviation, series.end)


@dataclass(frozen=True)
class ForecastInputs:
    """What a forecast reads, and how it is scaled.

    Args:
        clock: the steps of the training data.
        scales: what is known of each training series, by its name.
        known: the scale of each covariate that is known ahead; None: there is none.
        seen: the place on the clock after the last row of each training series that weights or calibration
            were chosen by: the end of its validation part.
        static: how the static columns are read; None: there are none.
    """

    clock: Clock
    scales: dict[str, Scale] = field(repr=False)
    known: Standardiser | None = None
    seen: dict[str, int] = field(default_factory=dict, repr=False)
    static: StaticFeatures | None = None

    kind = "series"
    num_columns = 1

    @classmethod
    def fit(cls, series: Sequence[TimeSeries]) -> "ForecastInputs":
        """Measure the training part of each series."""
        known = None
        if series[0].known is not None:
            rows = [one.known[: len(one)] for one in series if one.known is not None]
            for one, row in zip(series, rows, strict=True):
                if np.isnan(row).any():
                    raise DataError(
                        f"{one.where}: a covariate known ahead is missing in series {one.name!r}, row "
                        f"{int(np.isnan(row).any(1).argmax()) + 1}; fill it in, or leave the column out."
                    )
            known = Standardiser.fit(rows)
        scales = {one.name: Scale.fit(one) for one in series}
        return cls(series[0].clock, scales, known, static=StaticFeatures.fit(series))

    def scale_of(self, series: TimeSeries) -> Scale:
        """Return the scale of a series; one that was not in the training data is measured before its part."""
        scale = self.scales.get(series.name)
        if scale is not None:
            return scale
        return Scale.fit(series.part(0, len(series) if series.first is None else series.first))

    def num_known(self, calendar: bool) -> int:
        """Return how many covariates a row has."""
        own = 0 if self.known is None else len(self.known.mean)
        return own + (2 * len(calendar_names(self.clock)) if calendar else 0)

    @property
    def num_static(self) -> int:
        """How many numbers are known of a whole series."""
        return 0 if self.static is None else self.static.size

    def to_json(self) -> dict[str, Any]:
        """Return what `vocab.json` holds; floats come back exactly."""
        static = {} if self.static is None else {"static": self.static.to_json()}
        return static | {
            "kind": "series",
            "clock": self.clock.to_json(),
            "scales": {name: [one.mean, one.deviation, one.end] for name, one in self.scales.items()},
            "known": None if self.known is None else self.known.to_json(),
            "seen": self.seen,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "ForecastInputs":
        """Return the inputs that `to_json` described."""
        return cls(
            Clock(**values["clock"]),
            {name: Scale(*numbers) for name, numbers in values["scales"].items()},
            None if values["known"] is None else Standardiser.from_json(values["known"]),
            values["seen"],
            StaticFeatures.from_json(values["static"]) if "static" in values else None,
        )


@dataclass(frozen=True)
class Numbers:
    """Windows as a network reads them, and what brings its outputs back.

    Args:
        features: "numbers" [N, C, 2 + K], with covariates "future" [N, H, K], and with static columns
            "static" [N, 1, S].
        target: differences of the truth from the anchor, in the series' scale, *[N, H]*; NaN: missing.
        anchor: what is added back, in the units of the data, *[N, H]*.
        deviation: the unit of the outputs, *[N]*.
    """

    features: dict[str, Padded]
    target: torch.Tensor
    anchor: Floats
    deviation: Floats

    def restore(self, outputs: torch.Tensor) -> Floats:
        """Return outputs *[N, H]* or *[N, H, Q]* in the units of the data: anchor + deviation * output.

        An output of zero gives the anchor, bit for bit.
        """
        shape = (-1, 1, 1)[: outputs.dim()]
        anchor = self.anchor.reshape(*self.anchor.shape, *(1,) * (outputs.dim() - 2))
        made: Floats = anchor + self.deviation.reshape(shape) * outputs.double().cpu().numpy()
        return made


@dataclass(frozen=True)
class Reader:
    """Turns windows of some series into numbers.

    Args:
        inputs: the scales.
        series: the series that windows are of.
        settings: `difference`, `season` and `calendar` are used.
    """

    inputs: ForecastInputs
    series: Sequence[TimeSeries]
    settings: Settings
    _mean: NDArray[np.float64] = field(init=False)
    _deviation: NDArray[np.float64] = field(init=False)
    _start: NDArray[np.int64] = field(init=False)
    _static: NDArray[np.float32] | None = field(init=False)

    def __post_init__(self) -> None:
        scales = [self.inputs.scale_of(one) for one in self.series]
        object.__setattr__(self, "_mean", np.array([scale.mean for scale in scales]))
        object.__setattr__(self, "_deviation", np.array([scale.deviation for scale in scales]))
        object.__setattr__(self, "_start", np.array([one.start for one in self.series], np.int64))
        static = self.inputs.static
        rows = None if static is None else np.stack([static.of(one) for one in self.series])
        object.__setattr__(self, "_static", rows)

    def means_and_deviations(self, window: Window) -> tuple[Floats, Floats]:
        """Return mean and deviation of each window's series, *[N]*."""
        return self._mean[window.series], self._deviation[window.series]

    def numbers(self, window: Window) -> Numbers:
        """Return the differences of a window from its anchor, in its series' scale, and its covariates."""
        mean, deviation = self.means_and_deviations(window)
        length, horizon = window.context.shape[1], window.target.shape[1]
        before, anchor = self._anchors(window.context, mean, length, horizon)
        read = np.nan_to_num((window.context - before) / deviation[:, None]).astype(np.float32)
        target = ((window.target - anchor) / deviation[:, None]).astype(np.float32)
        parts = [read[:, :, None], window.observed.astype(np.float32)[:, :, None]]
        features: dict[str, Padded] = {}
        known = self._covariates(window, length, horizon)
        if known is not None:
            parts.append(known[:, :length])
            features["future"] = _padded(known[:, length:])
        if self._static is not None:
            features["static"] = _padded(self._static[window.series][:, None])
        features["numbers"] = _padded(np.concatenate(parts, axis=2))
        return Numbers(features, torch.from_numpy(target), anchor, deviation)

    def _anchors(self, context: Floats, mean: Floats, length: int, horizon: int) -> tuple[Floats, Floats]:
        """Return what is subtracted from the context, *[N, C or 1]*, and added to the horizon, *[N, H]*."""
        last = context[:, -1:]
        if self.settings.difference == "none":
            return mean[:, None], np.repeat(mean[:, None], horizon, axis=1)
        season = self.settings.season or 1
        if self.settings.difference == "last" or season > length:
            return last, np.repeat(last, horizon, axis=1)
        whole = context[:, length - season :]
        whole = np.where(np.isnan(whole), last, whole)
        return whole[:, (np.arange(length) - length) % season], whole[:, np.arange(horizon) % season]

    def _covariates(self, window: Window, length: int, horizon: int) -> NDArray[np.float32] | None:
        parts = []
        if self.inputs.known is not None:
            if window.known is None:
                raise DataError(
                    f"{self.series[0].where}: has no columns of covariates; the model was trained with them."
                )
            flat = window.known.reshape(-1, window.known.shape[2])
            if np.isnan(window.known[:, length:]).any():
                one = self.series[int(window.series[np.isnan(window.known[:, length:]).any((1, 2)).argmax()])]
                raise DataError(
                    f"{one.where}: a covariate that is known ahead is missing in the {horizon} rows to be "
                    f"forecast of series {one.name!r}; write them below the history, with no value for the "
                    "target."
                )
            # A gap in the past counts as the mean; one ahead is refused above.
            scaled = self.inputs.known.apply(np.where(np.isnan(flat), self.inputs.known.mean, flat))
            parts.append(scaled.reshape(window.known.shape))
        if self.settings.calendar:
            rows = window.origin[:, None] + np.arange(-length, horizon)
            positions = self._start[window.series][:, None] + rows * self.inputs.clock.step
            parts.append(calendar_features(self.inputs.clock, positions).astype(np.float32))
        return np.concatenate(parts, axis=2) if parts else None


def _padded(numbers: NDArray[np.float32]) -> Padded:
    return Padded(torch.from_numpy(numbers), torch.full((len(numbers),), numbers.shape[1]))
