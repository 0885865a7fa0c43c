"""COMPARISON PAGE: several runs on one HTML page that needs no network, with their curves over epochs.

Runs are called by letters in the charts: a folder's name stands only where it is shown as text.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from elman.comparison_xray import OWN_WINDOWS
from elman.report import whole_page
from elman.report.markup import Html, attribute, cell, chart, join, row, safe, section, table
from elman.report.xray_compare import comparison_figures, comparison_places
from elman.tables import FRACTIONS

if TYPE_CHECKING:
    from elman.comparison import Comparison, Row

COLOURS = ["#4477aa", "#ee6677", "#228833", "#b8860b", "#0097a7", "#aa3377", "#777777"]
"""Near Paul Tol's bright scheme, told apart with colour-blind eyes too, and dark enough on white."""

SHOWN_FIGURES = ("gradients", "influence", "spectrum")
"""Figures of the X-rays; the loss stands among the learning curves."""

DASHES = ["solid", "dash", "dot"]
"""Of the second and third seven runs."""


def make_page(comparison: "Comparison") -> Html:
    """Return the whole page."""
    charts = make_charts(comparison)
    runs = comparison.runs
    header = join(
        [
            f'<p class="kicker">elman · {attribute(runs[0].task)} · {len(runs)} runs</p>',
            "<h1>Runs side by side</h1>",
            f'<p class="verdict">{attribute(comparison.verdict())}</p>',
        ]
    )
    notes = join(f'<p class="note">{attribute(note)}.</p>' for note in comparison.notes)
    sections = [
        section("Runs", Html(f"{_names(comparison)}{notes}")),
        section("Scores", _scores(comparison), "The best of each line is in colour."),
        _curves(charts),
        section("Settings that differ", _rows(comparison, comparison.setting_rows(), "Settings")),
        section("Size and speed", _rows(comparison, comparison.size_rows(), "Size and speed")),
    ]
    figures = comparison_figures(comparison.xrays, SHOWN_FIGURES)
    if comparison.xrays:
        sections.insert(3, _xray(comparison, figures))
    style = join(f"\n:root {{ --run-{place}: {colour}; }}" for place, colour in enumerate(COLOURS))
    return whole_page("Runs side by side: elman", header, sections, charts, style, figures)


def _xray(comparison: "Comparison", figures: Mapping[str, Any]) -> Html:
    """Return what was seen inside the runs, in numbers and in one figure each."""
    is_shared = OWN_WINDOWS not in comparison.notes
    rows = f"All runs read the same rows: {comparison.xrays[0].data}" if is_shared else OWN_WINDOWS
    said = (
        f"{rows}. The first-step gradient is a share of the "
        "largest; the spectral radius is that of the recurrent weights (of gates, the candidate's)."
    )
    places = comparison_places(figures)
    body = f'{_rows(comparison, comparison.xray_rows(), "X-ray")}<div class="columns">{places}</div>'
    return section("What goes on inside", Html(body), said)


def make_charts(comparison: "Comparison") -> dict[str, Any]:
    """Return the charts that the journals allow: validation metric, validation loss, training loss."""
    metric = comparison.metric
    wanted = {
        "metric": ("valid", metric),
        "valid_loss": ("valid", "loss"),
        "train_loss": ("train", "loss"),
    }
    if metric == "loss":
        wanted.pop("metric")
    charts: dict[str, Any] = {}
    for name, (part, measured) in wanted.items():
        traces = []
        for place, run in enumerate(comparison.runs):
            epochs, values = comparison.curve(run, part, measured)
            if any(value is not None for value in values):
                traces.append(_trace(place, run.letter, epochs, values))
        if traces:
            is_share = measured in FRACTIONS
            charts[name] = {
                "traces": traces,
                "x": {"title": "epoch", "ticks": 8},
                "y": {"format": ".1~%" if is_share else "~g"},
            }
    return charts


def _trace(place: int, letter: str, epochs: Sequence[int], values: Sequence[float | None]) -> dict[str, Any]:
    return {
        "kind": "line",
        "name": letter,
        "x": list(epochs),
        "y": list(values),
        "colour": f"run-{place % len(COLOURS)}",
        "dash": DASHES[place // len(COLOURS) % len(DASHES)],
    }


def _names(comparison: "Comparison") -> Html:
    """Return which folder each letter stands for, in its colour."""
    rows = []
    for place, run in enumerate(comparison.runs):
        ink = f"color: var(--run-{place % len(COLOURS)})"
        letter = Html(f'<strong style="{ink}">{safe(run.letter)}</strong>')
        rows.append(row([cell(letter, tag="th"), cell(safe(run.folder), "text"), cell(safe(run.state))]))
    return table([("", ""), ("folder", ""), ("state", "")], rows, kind="full", label="Runs")


def _scores(comparison: "Comparison") -> Html:
    parts = []
    for part, words in (("test", "Test"), ("valid", "Validation")):
        rows = comparison.score_rows(part)
        if rows:
            parts.append(Html(f"<div><h3>{words}</h3>{_rows(comparison, rows, words)}</div>"))
    return Html(f'<div class="columns">{join(parts)}</div>') if parts else Html("<p>No scores yet.</p>")


def _rows(comparison: "Comparison", rows: "Sequence[Row]", label: str) -> Html:
    if not rows:
        return Html("<p>None.</p>")
    header = [("", ""), *((run.letter, "number") for run in comparison.runs)]
    finished = []
    for line in rows:
        cells = [cell(safe(line.name), tag="th")]
        for place, value in enumerate(line.values):
            is_best = place in line.best
            shown = Html(f'<strong class="said">{safe(value)}</strong>') if is_best else safe(value)
            cells.append(cell(shown, "number"))
        finished.append(row(cells))
    return table(header, finished, kind="full", label=label)


def _curves(charts: Mapping[str, Any]) -> Html:
    titles = {
        "metric": "Validation metric",
        "valid_loss": "Validation loss",
        "train_loss": "Training loss",
    }
    places = [
        chart(name, title, f"Line chart: {title} of each run at each epoch.")
        for name, title in titles.items()
        if name in charts
    ]
    if not places:
        return Html("")
    return section("Learning curves", Html(f'<div class="columns three">{join(places)}</div>'))
