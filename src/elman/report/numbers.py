"""NUMBERS in a report: predicted against true, what is left over, and a few sequences with both curves."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from elman.report.charts import curve
from elman.report.markup import Html, attribute, cell, chart, join, row, safe, section, table
from elman.tables import format_metric

if TYPE_CHECKING:
    from elman.report import ReportData
    from elman.tasks.prediction import Evaluation, Measured

MOST_TARGETS = 6
"""Targets that are drawn; the table names all."""

MOST_DOTS = 2000
"""Of more, every so manieth is drawn."""

MOST_BARS = 40

SHOWN_SEQUENCES, MOST_STEPS = 3, 500
"""Sequences whose curves are drawn, and steps of each."""


def numbers_charts(evaluation: "Evaluation | None") -> dict[str, Any]:
    """Return the charts of predicted numbers, by name; none for tasks that predict labels."""
    measured = evaluation.measured if evaluation is not None else None
    if measured is None or not measured.gold:
        return {}
    gold, predicted = np.concatenate(measured.gold), np.concatenate(measured.predicted)
    charts: dict[str, Any] = {}
    for k in range(min(MOST_TARGETS, gold.shape[1])):
        is_known = ~np.isnan(gold[:, k])
        truth, said = gold[is_known, k], predicted[is_known, k]
        if len(truth):
            charts[f"true-{k}"] = _against(truth.tolist(), said.tolist())
            charts[f"left-{k}"] = _left_over((said - truth).tolist())
    return charts | (_curves(measured) if measured.is_per_step else {})


def _against(truth: list[float], said: list[float]) -> dict[str, Any]:
    """Return a dot for each prediction, and the line on which they would all be right."""
    every = -(-len(truth) // MOST_DOTS)
    low, high = min(truth), max(truth)
    dots = {"kind": "dots", "name": "predicted", "x": truth[::every], "y": said[::every], "colour": "accent"}
    line = curve("right", [low, high], [low, high], "second") | {"dash": "dash", "plain": True}
    return {"traces": [dots, line], "x": {"title": "true"}, "y": {"title": "predicted", "format": "~g"}}


def _left_over(errors: list[float]) -> dict[str, Any]:
    """Return a histogram of predicted minus true."""
    counts, edges = np.histogram(errors, bins=max(1, min(MOST_BARS, math.isqrt(len(errors)))))
    text = [
        f"{left:.4g} to {right:.4g}: {count:,}"
        for left, right, count in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
    ]
    bars = {
        "kind": "bars",
        "name": "predictions",
        "x": ((edges[:-1] + edges[1:]) / 2).tolist(),
        "y": counts.tolist(),
        "width": float(edges[1] - edges[0]) * 0.9,
        "text": text,
        "colour": "accent",
    }
    return {"traces": [bars], "x": {"title": "predicted - true"}, "y": {"from_zero": True}}


def _curves(measured: "Measured") -> dict[str, Any]:
    """Return the first target of a few sequences, true and predicted at each step."""
    charts = {}
    longest = sorted(range(len(measured.gold)), key=lambda place: -len(measured.gold[place]))
    for number, place in enumerate(sorted(longest[:SHOWN_SEQUENCES])):
        truth = measured.gold[place][:MOST_STEPS, 0].tolist()
        said = measured.predicted[place][:MOST_STEPS, 0].tolist()
        steps = list(range(1, len(truth) + 1))
        known = [value if math.isfinite(value) else None for value in truth]
        charts[f"steps-{number}"] = {
            "traces": [curve("true", steps, known, "second"), curve("predicted", steps, said, "accent")],
            "x": {"title": "step"},
            "y": {"format": "~g"},
        }
    return charts


def numbers_section(data: "ReportData", charts: Mapping[str, Any]) -> Html:
    """Return the charts of each target, and mae, rmse and r2 of each; nothing where labels are predicted."""
    measured = data.evaluation.measured if data.evaluation is not None else None
    if measured is None:
        return Html("")
    pieces = []
    for k, name in enumerate(measured.names[:MOST_TARGETS]):
        if f"true-{k}" not in charts:
            continue
        against = chart(
            f"true-{k}",
            "Predicted against true",
            "Dots: one prediction each; on the dashed line it is right.",
        )
        left = chart(f"left-{k}", "What is left over", "Bar chart: how many predictions are how far off.")
        pieces.append(Html(f'<h3>{safe(name)}</h3><div class="columns">{against}{left}</div>'))
    places = [
        chart(f"steps-{number}", "A sequence", "Line chart: true and predicted number at each step.")
        for number in range(SHOWN_SEQUENCES)
        if f"steps-{number}" in charts
    ]
    if places:
        title = safe(measured.names[0])
        pieces.append(
            Html(f'<h3>The longest sequences: {title}</h3><div class="columns three">{join(places)}</div>')
        )
    pieces.append(_per_target(data))
    part = "validation" if data.split == "valid" else data.split
    return section(
        "Predicted numbers", join(pieces), f"Measured on the {part} part, in the targets' own units."
    )


def _per_target(data: "ReportData") -> Html:
    scores = (data.result.get(data.split) or {}).get("per_target") or {}
    if not scores:
        return Html("")
    names = list(next(iter(scores.values())))
    rows = [
        row([
            cell(safe(target), "text", tag="th"),
            *(cell(attribute(format_metric(name, own.get(name))), "number") for name in names),
        ])
        for target, own in scores.items()
    ]  # fmt: skip
    header = [("target", ""), *((name, "number") for name in names)]
    return Html(f"<h3>Each target</h3>{table(header, rows, label='Each target')}")
