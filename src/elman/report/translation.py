"""TRANSLATION in a report: exposure bias, exact outputs by length, and where the decoder looked."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from elman.report.charts import curve
from elman.report.markup import Html, cell, chart, join, row, safe, section

if TYPE_CHECKING:
    from elman.report import ReportData
    from elman.tasks.prediction import Evaluation

STRONG = 0.62
"""Weight from which a cell's colour is dark, so that it is marked for high contrast."""


def translation_charts(evaluation: "Evaluation | None") -> dict[str, Any]:
    """Return the charts of an encoder-decoder by name: exposure, by_length; none for other tasks."""
    views = evaluation.views if evaluation is not None else {}
    charts: dict[str, Any] = {}
    exposure = views.get("exposure") or {}
    if exposure.get("count"):
        positions = list(range(1, len(exposure["count"]) + 1))
        charts["exposure"] = {
            "traces": [
                curve("after its own tokens", positions, exposure["free_running"], "second"),
                curve("after the right tokens", positions, exposure["teacher_forced"], "accent"),
            ],
            "x": {"title": "position in the output", "ticks": 8},
            "y": {"from_zero": True, "format": ".0~%"},
        }
    if views.get("by_length"):
        charts["by_length"] = _length_chart(views["by_length"])
    return charts


def _length_chart(bars: list[dict[str, Any]]) -> dict[str, Any]:
    trace = {
        "kind": "bars",
        "name": "exact",
        "x": [(bar["from"] + bar["to"]) / 2 for bar in bars],
        "y": [bar["exact_match"] for bar in bars],
        "width": [0.9 * (bar["to"] - bar["from"] + 1) for bar in bars],
        "text": [
            f"{bar['from']} to {bar['to']} tokens: {100 * bar['exact_match']:.1f} % of {bar['count']:,}"
            for bar in bars
        ],
        "colour": "accent",
    }
    return {
        "traces": [trace],
        "x": {"title": "tokens in the source"},
        "y": {"title": "exact", "from_zero": True, "format": ".0~%"},
    }


def translation_section(data: "ReportData", charts: Mapping[str, Any]) -> Html:
    """Return what only an encoder-decoder has to show; nothing for other tasks."""
    views = data.evaluation.views if data.evaluation is not None else {}
    exposure = views.get("exposure")
    if not exposure:
        return Html("")
    sentence = (
        f"Given the right tokens before it, the decoder errs at {100 * exposure['teacher_forced_error']:.1f} "
        f"% of the positions; after its own, as in use, at {100 * exposure['free_running_error']:.1f} %. The "
        f"difference, {100 * exposure['gap']:.1f} points, is its exposure bias (one token too many counts at "
        "every later position)."
    )
    if views.get("cut"):
        sentence += f" {views['cut']}: raise --max-target-length, or train longer."
    places = []
    if "exposure" in charts:
        alt = "Line chart: share of wrong tokens at each position, after right and after own tokens."
        places.append(chart("exposure", "Wrong tokens by position", alt))
    if "by_length" in charts:
        alt = "Bar chart: share of exact outputs for sources of each length."
        places.append(chart("by_length", "Exact outputs by length", alt))
    maps = join(_attention_map(one) for one in views.get("attention") or [])
    looked = ""
    if maps:
        note = "A row for each token written, a column for each read; the darker, the more it was looked at."
        looked = Html(f'<h3>Where it looked</h3><p class="note">{note}</p>{maps}')
    return section("Writing", Html(f'<div class="columns">{join(places)}</div>{looked}'), sentence)


def _attention_map(one: Mapping[str, Any]) -> Html:
    """Return one example's weights as a table coloured by them."""
    heads = join(f'<th scope="col"><span>{safe(token)}</span></th>' for token in one["source"])
    rows = []
    for token, weights in zip(one["target"], one["weights"], strict=True):
        cells = [cell(safe(token), tag="th")]
        for weight in weights:
            kind = ' class="strong"' if weight > STRONG else ""
            cells.append(Html(f'<td{kind} style="--share:{weight:.3f}" title="{weight:.2f}"></td>'))
        rows.append(row(cells))
    return Html(
        '<div class="scroll" tabindex="0" role="region" aria-label="Attention"><table class="confusion">'
        f'<thead><tr><td class="corner"></td>{heads}</tr></thead><tbody>{join(rows)}</tbody></table></div>'
    )
