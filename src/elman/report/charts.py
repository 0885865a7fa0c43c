"""CHARTS: the curves and bars of a report as plain data; `report_assets/charts.js` draws them with plotly.

Colours are names of the page's CSS variables. Numbers that are not finite leave a gap in a curve.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from elman.tables import FRACTIONS

MOST_BARS = 40
"""Lengths are put into so many bars at most."""


def make_charts(
    history: Sequence[Mapping[str, Any]],
    *,
    metric: str,
    best: int | None,
    baseline: float | None,
    lengths: Sequence[int],
) -> dict[str, Any]:
    """Return the charts that the data allow, by name: loss, metric, rate, lengths.

    Args:
        history: the rows of `metrics.jsonl`.
        metric: the metric that picked the best weights.
        best: the epoch whose weights were kept.
        baseline: the metric's value for the baseline on the validation part, drawn as a level.
        lengths: steps of each held-out sequence.
    """
    charts: dict[str, Any] = {}
    epochs = [row["epoch"] for row in history]
    x_axis = {"title": "epoch", "ticks": 8} | ({"step": 1} if len(epochs) <= 10 else {})
    if history:
        curves = [curve("training", epochs, [_at(row, "train", "loss") for row in history], "accent")]
        valid = [_at(row, "valid", "loss") for row in history]
        if any(value is not None for value in valid):
            curves.append(curve("validation", epochs, valid, "second"))
        charts["loss"] = {"traces": curves, "x": x_axis, "y": {"from_zero": True}, "best": best}
        rates = [_finite(row.get("learning_rate")) for row in history]
        charts["rate"] = {"traces": [curve("learning rate", epochs, rates, "accent")], "x": x_axis,
                          "y": {"from_zero": True, "format": "~g"}, "best": best}  # fmt: skip
        values = [_at(row, "valid", metric) for row in history]
        if metric != "loss" and any(value is not None for value in values):
            y_axis = {"format": ".1~%" if metric in FRACTIONS else "~g"}
            charts["metric"] = {"traces": [curve(metric, epochs, values, "second")], "x": x_axis, "y": y_axis,
                                "best": best}  # fmt: skip
            if _finite(baseline) is not None:
                charts["metric"]["level"] = {"y": baseline, "name": "baseline"}
    if lengths:
        charts["lengths"] = length_bars(lengths)
    for chart in charts.values():
        if chart.get("best") is None:
            chart.pop("best", None)
    return charts


def curve(name: str, x: Sequence[Any], y: Sequence[Any], colour: str) -> dict[str, Any]:
    """Return one line of a chart."""
    return {"kind": "line", "name": name, "x": list(x), "y": list(y), "colour": colour}


def length_bars(lengths: Sequence[int]) -> dict[str, Any]:
    """Return a histogram of lengths, in bars of one width.

    Example:
        >>> chart = length_bars([1, 2, 2, 3])
        >>> chart["traces"][0]["x"], chart["traces"][0]["y"]
        ([1.0, 2.0, 3.0], [1, 2, 1])
    """
    low, high = min(lengths), max(lengths)
    width = max(1, math.ceil((high - low + 1) / MOST_BARS))
    counts = Counter((length - low) // width for length in lengths)
    bars = range((high - low) // width + 1)
    starts = [low + bar * width for bar in bars]
    text = [
        f"{start if width == 1 else f'{start} to {start + width - 1}'} steps: {counts[bar]:,} sequences"
        for bar, start in zip(bars, starts, strict=True)
    ]
    trace = {
        "kind": "bars",
        "name": "sequences",
        "x": [start + (width - 1) / 2 for start in starts],
        "y": [counts[bar] for bar in bars],
        "width": width * 0.9,
        "text": text,
        "colour": "accent",
    }
    return {
        "traces": [trace],
        "x": {"title": "steps in a sequence"} | ({"step": 1} if high - low <= 12 else {}),
        "y": {"title": "sequences", "from_zero": True},
    }


def _at(row: Mapping[str, Any], part: str, name: str) -> float | None:
    return _finite((row.get(part) or {}).get(name))


def _finite(value: Any) -> float | None:
    if isinstance(value, int | float) and math.isfinite(value):
        return value
    return None
