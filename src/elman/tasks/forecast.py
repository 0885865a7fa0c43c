"""FORECAST: many-to-future. What a series does next, with intervals, beside what simple methods say."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from elman.baselines import Baseline, SimpleForecasts
from elman.baselines.forecasting import LATE_SHARE, Block
from elman.config import Settings, split_names
from elman.data.example import Example
from elman.data.read_series import read_series
from elman.data.time_series import TimeSeries, too_few_rows
from elman.data.vocab import Vocab
from elman.data.windows import Window, Windows
from elman.errors import ConfigError, DataError
from elman.metrics.forecast import scores
from elman.patterns.forecast import Forecaster
from elman.tasks.forecast_inputs import ForecastInputs, Reader
from elman.tasks.forecast_recipe import MAX_EPOCHS, RECIPE, WANTED_STEPS, lengths_of, levels_of
from elman.tasks.forecast_scores import Said, calibrate, forecast_windows, made_ready, picture
from elman.tasks.foreign_settings import refuse_text_settings
from elman.tasks.lag_alarm import lag_alarm
from elman.tasks.leakage import check_covariates, check_scales, check_windows
from elman.tasks.prediction import Evaluation, Prediction
from elman.tasks.task import Task, choose
from elman.tasks.window_batches import WindowBatches, blocks

MOST_SCORED = 20_000
"""Windows that are scored at most; of more, those that are equally far apart."""

MOST_FITTED = 100_000
"""Windows that the linear baseline is fitted on at most."""

logger = logging.getLogger("elman")

HISTORY_SHOWN = 2
"""Horizons of history in a picture."""


class Forecast(Task):
    """The next steps of a series: load, prices, weather, sales."""

    name = "forecast"
    min_epochs = 4
    metric = "scaled_mse"
    metric_names = (
        "loss", "mae", "mse", "rmse", "smape", "mase", "owa", "pinball", "coverage_80", "scaled_mse",
        "scaled_mae",
    )  # fmt: skip
    inputs: ForecastInputs  # type: ignore[assignment]

    def __init__(self, chosen: Settings, inputs: ForecastInputs) -> None:
        super().__init__(chosen, inputs, Vocab.build([], specials=()))  # type: ignore[arg-type]
        self.metric = f"scaled_{chosen.point}"
        self.season, self.horizon = chosen.season or 1, chosen.horizon or 1
        self.context = chosen.context or 1

    @classmethod
    def prepare(cls, settings: Settings, train: Sequence[Example], kind: str) -> "Forecast":
        """Choose what is open, measure the scale of each series, and look for leaks."""
        refuse_text_settings(settings)
        if settings.kind == "text":
            raise ConfigError("kind = text is not for forecast, which reads numbers in time; leave it out.")
        for name in ("crf", "pooling", "bidirectional"):
            if getattr(settings, name):
                raise ConfigError(f"{name} is not for forecast, which reads its context once, forwards.")
        series = [example.input for example in train]
        inputs = ForecastInputs.fit(series)  # first, for it refuses numbers that nothing can be made of
        recipe = dict(RECIPE) | {"kind": kind} | lengths_of(settings, series)
        if "cell" not in settings.model_fields_set:
            settings = settings.model_copy(update={"cell": "gru"})
        if settings.cell == "lstm":
            recipe["forget_bias"] = 1.0
        chosen = choose(settings, recipe)
        levels_of(chosen)
        task = cls(chosen, inputs)
        check_scales(inputs.scales, series)
        check_covariates(series, split_names(chosen.known_future))
        constant = [one.name for one in series if np.nanmin(one.values) == np.nanmax(one.values)]
        if constant:
            task.notes.append(
                f"constant: {len(constant):,} series never change in the training part, such as "
                f"{constant[0]!r}; their scale is taken as 1"
            )
        if inputs.static is not None:
            task.notes.append(inputs.static.told(split_names(chosen.static)))
        task.notes.append(f"cell {chosen.cell}; one model for {len(series):,} series, each in its own scale")
        return task

    @classmethod
    def from_json(cls, chosen: Settings, values: dict[str, Any]) -> "Forecast":
        """Return the task of a run."""
        return cls(chosen, ForecastInputs.from_json(values["inputs"]))

    def remember_validation(self, valid: Sequence[Example]) -> None:
        """Note where each series' validation part ends: rows up to there are never scored again."""
        ends = {one.input.name: one.input.end for one in valid if one.input.name in self.inputs.scales}
        self.inputs = replace(self.inputs, seen=ends)

    def batches(self, examples: Sequence[Example]) -> WindowBatches:
        """Return every window of the examples."""
        series = [example.input for example in examples]
        windows = Windows(series, self.context, 1 if self.chosen.recursive else self.horizon)
        check_windows(windows, series, self.inputs.scales)
        return self._window_batches(windows, series)

    def scored_batches(self, examples: Sequence[Example]) -> WindowBatches:
        """Return the windows of a held-out part as batches, to be looked at and not learned from."""
        series = self._scored(examples)
        windows = Windows(series, self.context, 1 if self.chosen.recursive else self.horizon)
        return self._window_batches(windows, series)

    def _window_batches(self, windows: Windows, series: Sequence[TimeSeries]) -> WindowBatches:
        return WindowBatches(
            windows,
            Reader(self.inputs, series, self.chosen),
            batch_size=self.chosen.batch_size or 1,
            seed=self.chosen.seed,
        )

    def build(self) -> Forecaster:
        """Return a network of the right sizes."""
        chosen, num_known = self.chosen, self.inputs.num_known(bool(self.chosen.calendar))
        patch = chosen.patch or 1
        return Forecaster(
            self.encoder(patch * (2 + num_known) + self.inputs.num_static),
            context=self.context,
            horizon=1 if chosen.recursive else self.horizon,
            patch=patch,
            num_known=num_known,
            num_static=self.inputs.num_static,
            point=chosen.point or "mse",
            interval=chosen.interval or "none",
            levels=levels_of(chosen),
            steps=self.horizon,
            dropout=chosen.dropout or 0.0,
            input_dropout=chosen.input_dropout,
        )

    def ask(self, examples: Sequence[Example]) -> list[Example]:
        """Return series that end a horizon before they do, at a value; what came after is the target.

        The covariates of the rows cut off are known.
        """
        asked = []
        for example in examples:
            one = example.input
            ends = np.flatnonzero(~np.isnan(one.values[: max(0, len(one) - self.horizon)])) + 1
            if len(ends):
                end = int(ends[-1])
                cut = replace(one, values=one.values[:end])
                asked.append(replace(example, input=cut, target=one.values[end : end + self.horizon]))
        return asked

    def predict(self, pattern: Forecaster, examples: Sequence[Example]) -> list[Prediction]:
        """Return what comes after the end of each example's series."""
        series = [self._after_the_end(self._series_of(example)) for example in examples]
        said = self._forecast(pattern, series, Windows(series, self.context, self.horizon))
        out = []
        for row, (example, one) in enumerate(zip(examples, series, strict=True)):
            end, levels = len(one) - self.horizon, pattern.levels
            quantiles = {
                f"{level:g}": said.quantiles[row, :, place].tolist() for place, level in enumerate(levels)
            }
            out.append(
                Prediction(
                    one.name if isinstance(example.input, TimeSeries) else example.input,
                    said.point[row].tolist(),
                    timestamps=[one.time(end + step) for step in range(self.horizon)],
                    quantiles=quantiles or None,
                    history=one.values[max(0, end - HISTORY_SHOWN * self.horizon) : end].tolist(),
                )
            )
        return out

    def validate(self, pattern: Forecaster, examples: Sequence[Example]) -> dict[str, float]:
        """Calibrate the intervals on the validation part, and score it."""
        series, windows = self._scored_windows(examples)
        said = self._forecast(pattern, series, windows, calibrated=False)
        calibrate(pattern, said)
        return self._evaluation(pattern, series, windows, said.widened(pattern)).scalars

    def evaluate(self, pattern: Forecaster, examples: Sequence[Example]) -> Evaluation:
        """Score the forecasts from every origin in the part, or from equally distant ones."""
        series, windows = self._scored_windows(examples)
        is_new = any(isinstance(it.input, TimeSeries) and it.input.first is None for it in examples)
        if is_new and len(series) < len(examples):  # of the parts of a training it was told before
            logger.warning(too_few_rows(len(examples) - len(series), len(examples), self.horizon))
        return self._evaluation(pattern, series, windows, self._forecast(pattern, series, windows))

    def _evaluation(
        self, pattern: Forecaster, series: Sequence[TimeSeries], windows: Windows, said: Said
    ) -> Evaluation:
        found = scores(made_ready(said, series, self.season, levels=pattern.levels))
        found |= {"windows": len(windows), "stride": windows.stride}
        metrics: dict[str, Any] = {"loss": said.loss} | found
        alarm = lag_alarm(said.truth, said.point, said.last)
        if alarm is not None:
            metrics["alarms"] = [alarm]
        return Evaluation(
            metrics=metrics,
            lengths=[len(one) for one in series],
            charts=picture(said, series, self.context, pattern.levels),
        )

    def fit_baseline(self, train: Sequence[Example]) -> Baseline:
        """Fit the linear model from the window; the other simple forecasts need no fitting."""
        return self._fit_linear(self._blocks(train, most=MOST_FITTED, is_late=None), len(train), refit=True)

    def choose_baseline(self, train: Sequence[Example], valid: Sequence[Example]) -> Baseline:
        """Fit the linear model on the training part, its penalty and length chosen on the validation part."""
        early = self._blocks(train, most=MOST_FITTED, is_late=False)
        late = self._blocks(valid, most=MOST_SCORED, is_late=True)
        return self._fit_linear(chain(early, late), len(train), refit=False)

    def _fit_linear(self, windows: Iterable[Block], num_series: int, *, refit: bool) -> Baseline:
        return SimpleForecasts.fit(
            windows,
            num_series=num_series,
            context=self.context,
            horizon=self.horizon,
            season=self.season,
            refit=refit,
        )

    def _blocks(self, examples: Sequence[Example], *, most: int, is_late: bool | None) -> Iterator[Block]:
        """Yield windows as simple forecasts take them; `is_late` None: the last of each series are."""
        series = self._scored(examples)
        reader = Reader(self.inputs, series, self.chosen)
        order = {name: place for place, name in enumerate(self.inputs.scales)}
        own = np.array([order.get(one.name, -1) for one in series])
        lengths = np.array([len(one) for one in series])
        for window in blocks(Windows(series, self.context, self.horizon, most=most)):
            mean, deviation = reader.means_and_deviations(window)
            late = (
                window.origin >= (1 - LATE_SHARE) * lengths[window.series]
                if is_late is None
                else np.full(len(window.origin), is_late)
            )
            yield Block(window.context, mean, deviation, own[window.series], window.target, late)

    def evaluate_baseline(self, baseline: Baseline, examples: Sequence[Example]) -> dict[str, Any]:
        """Return the scores of the best simple forecast on these examples, and of the others."""
        assert isinstance(baseline, SimpleForecasts)
        series, windows = self._scored_windows(examples)
        reader = Reader(self.inputs, series, self.chosen)
        parts: dict[str, list[Any]] = {}
        for block in self._blocks(examples, most=MOST_SCORED, is_late=True):
            for name, made in baseline.forecasts(block).items():
                parts.setdefault(name, []).append(made)
        taken: list[Window] = list(blocks(windows))
        found = {}
        for name, pieces in parts.items():
            said = Said.of(taken, np.concatenate(pieces), reader)
            found[name] = scores(made_ready(said, series, self.season))
        best = min(found, key=lambda name: found[name][self.metric])
        others = {name: own for name, own in found.items() if name != best}
        return {"name": best} | found[best] | {"others": others}

    def choose_lengths(self, num_batches: int) -> None:
        """Fill in how long training and its warm-up last; small sets need more passes than other tasks."""
        if self.chosen.epochs is None:
            epochs = min(MAX_EPOCHS, max(self.min_epochs, -(-WANTED_STEPS // num_batches)))
            self.chosen = self.chosen.model_copy(update={"epochs": epochs})
        super().choose_lengths(num_batches)

    def sizes(self) -> dict[str, int]:
        """Return the number of series, and of rows that are read and forecast."""
        return {
            "series": len(self.inputs.scales),
            "context": self.context,
            "horizon": self.horizon,
            "season": self.season,
        }

    def to_json(self) -> dict[str, Any]:
        """Return what `vocab.json` holds."""
        return {"labels": self.labels.to_json(), "inputs": self.inputs.to_json()}

    def _forecast(
        self,
        pattern: Forecaster,
        series: Sequence[TimeSeries],
        windows: Windows,
        *,
        calibrated: bool = True,
    ) -> Said:
        reader = Reader(self.inputs, series, self.chosen)
        said = forecast_windows(pattern, reader, blocks(windows), self.horizon)
        return said.widened(pattern) if calibrated else said

    def _scored_windows(self, examples: Sequence[Example]) -> tuple[list[TimeSeries], Windows]:
        """Return the series with the first row that is scored, and the windows from there on."""
        series = self._scored(examples)
        if not any(one.has_truth() for one in series):
            raise DataError(
                f"{series[0].where}: no series has a value in the rows to be scored; values after the "
                "training data's last time were expected."
            )
        return series, Windows(series, self.context, self.horizon, most=MOST_SCORED)

    def _scored(self, examples: Sequence[Example]) -> list[TimeSeries]:
        """Return the series that hold a horizon's rows to be scored, each with the first of them."""
        series = [self._with_first(self._series_of(example)) for example in examples]
        scored = [one for one in series if one.num_new >= self.horizon]
        if series and not scored:
            one = max(series, key=lambda one: one.num_new)
            raise DataError(
                f"{one.where}: series {one.name!r} has {one.num_new:,} rows after the training data's last "
                f"time ({one.time((one.first or 0) - 1)}), others no more; the horizon is {self.horizon}, "
                "and earlier rows are context only."
            )
        return scored

    def _with_first(self, series: TimeSeries) -> TimeSeries:
        """Return a series whose rows at or before the training data's last time are context only.

        The training data are the training and the validation part: weights were chosen and intervals
        calibrated by the second.
        """
        if series.first is not None:
            return series
        scale = self.inputs.scales.get(series.name)
        if scale is None:
            return replace(series, first=self._first_of_unseen(series))
        if series.clock.unit == "rows":
            return replace(series, first=0)
        end = self.inputs.seen.get(series.name, scale.end)
        return replace(series, first=max(0, series.row_at(end)))

    def _first_of_unseen(self, series: TimeSeries) -> int:
        """Return where scores begin in a series that training did not see: the rows before are its scale.

        A context, or as much of one as leaves a horizon, and one value at least.
        """
        present = np.flatnonzero(~np.isnan(series.values))
        least = int(present[0]) + 1 if len(present) else len(series)
        return max(least, min(self.context, len(series) - self.horizon))

    def _series_of(self, example: Example) -> TimeSeries:
        """Return an example's series; numbers in memory become one."""
        if isinstance(example.input, TimeSeries):
            series = example.input
        else:
            found = read_series(example.input, name=example.where).series
            if len(found) > 1:
                raise DataError(
                    f"{example.where}: has {len(found)} columns; a history is one series of numbers, "
                    "[1.2, 1.4, ...]. Give each column as a history of its own, or a file."
                )
            series = replace(found[0], where=example.where)
        clock = self.inputs.clock
        if series.clock.unit != "rows" and not series.clock.agrees(clock):
            raise DataError(
                f"{series.where}: series {series.name!r} has {series.clock.unlike(clock)} in the data that "
                "the model was trained on; write both in one form."
            )
        return series

    def _after_the_end(self, series: TimeSeries) -> TimeSeries:
        """Return a series with room for a horizon after its last value, nothing in it."""
        past = series.without_future()
        if len(past) == 0 or np.isnan(past.values[-self.context :]).all():
            raise DataError(
                f"{series.where}: series {series.name!r} has no value in its last {self.context} rows; a "
                "history was expected."
            )
        end = len(past)
        values = np.concatenate([past.values, np.full(self.horizon, np.nan)])
        known = past.known
        if known is not None:
            room = np.full((max(0, end + self.horizon - len(known)), known.shape[1]), np.nan)
            known = np.concatenate([known, room])
        return replace(past, values=values, known=known, first=end)
