"""REPORT, FORECASTS: a picture of one forecast, and every simple forecast beside the model."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from elman.report.markup import Html, attribute, cell, chart, join, row, safe, section, table
from elman.tables import format_metric, is_number

if TYPE_CHECKING:
    from elman.report import ReportData


def forecast_section(data: "ReportData", charts: Mapping[str, Any]) -> Html:
    """Return the last forecast as a chart, the simple forecasts' scores, and what is alarming."""
    metrics = data.result.get(data.split) or {}
    best = metrics.get("baseline") or {}
    if data.task != "forecast" or not best:
        return Html("")
    rivals = {str(best["name"]): best} | best.get("others", {})
    pieces: list[Html] = [
        Html(f'<p class="note">Beware: {attribute(alarm)}</p>') for alarm in metrics.get("alarms", [])
    ]
    if "forecast" in charts:
        title = "The last forecast of the first series"
        pieces.append(
            chart("forecast", title, "Line chart: history, what came, forecast and its outer quantiles.")
        )
    pieces.append(_rivals(metrics, rivals, data.metric))
    note = (
        "Every forecast is made from the rows before its origin alone. Intervals are calibrated on the "
        "validation part, so their coverage is honest on the test part only."
    )
    return section("Forecasts", join(pieces), note)


def _rivals(metrics: Mapping[str, Any], rivals: Mapping[str, Mapping[str, Any]], metric: str) -> Html:
    names = [name for name in next(iter(rivals.values())) if is_number(metrics.get(name))]
    header = [("metric", ""), ("this model", "number"), *((name, "number") for name in rivals)]
    rows = []
    for name in names:
        values = [metrics.get(name), *(found.get(name) for found in rivals.values())]
        cells = [cell(safe(name.replace("_", " ")), tag="th")]
        cells += [cell(attribute(format_metric(name, value)), "number") for value in values]
        rows.append(row(cells, "best" if name == metric else ""))
    return table(header, rows, label="Simple forecasts")
