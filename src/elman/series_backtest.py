"""BACK-TEST: forecasts from a rolling origin, each block by a model that was trained on all rows before it.

One test part is one period, and may be an easy one. Cut into blocks, with a model trained anew before each,
it says how much a score depends on when it was measured.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from elman.config import Settings
from elman.data.read_series import SeriesReading
from elman.series_dataset import read_source


class Trained(Protocol):
    """What a training gives back."""

    result: dict[str, Any]


def backtest(
    settings: Settings,
    given: Mapping[str, Any],
    *,
    metric: str,
    train: Callable[[Settings, Mapping[str, Any]], Trained],
) -> list[dict[str, Any]]:
    """Return the scores of each block of the test part, the first one first.

    Args:
        settings: of the run; `test` is the share that is cut into `backtest` blocks.
        given: parts of the data that are objects in memory.
        metric: the score that is listed.
        train: trains by settings on given data, and writes nothing.
    """
    blocks, share = (
        settings.backtest or 0,
        float(settings.test or 0),
    )  # a share: see series_dataset.read_parts
    reading = read_source(settings, given.get("train", settings.train), name="train")
    made = []
    for block in range(blocks):
        kept = 1 - share * (blocks - 1 - block) / blocks
        part = _until(reading, kept)
        once = settings.model_copy(
            update={
                "backtest": None,
                "out": None,
                "resume": None,
                "xray_every": None,
                "test": share / blocks / kept,
            }
        )
        test = train(once, {"train": part}).result["test"]
        baseline = test["baseline"]
        longest = max(part.series, key=len)
        made.append(
            {
                "until": longest.time(len(longest) - 1),
                metric: test[metric],
                "baseline": {"name": baseline["name"], metric: baseline[metric]},
            }
        )
    return made


def _until(reading: SeriesReading, share: float) -> SeriesReading:
    """Return the first rows of each series."""
    series = [one.part(0, round(share * len(one)), first=None) for one in reading.series]
    return replace(reading, series=series)
