"""REPORT: one page that shows what was trained, how well it does, and where it goes wrong.

The page stands alone: style, script and plotly are inside it, and its content policy forbids it any network.
Every string that comes from data, settings or file names is made safe in `markup.py`; the sections are
in `sections.py`, the curves in `charts.py`, style and drawing code in `report_assets/`.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elman.errors import RunError
from elman.report.charts import make_charts
from elman.report.forecast import forecast_section
from elman.report.markup import Html, attribute, embed, join, safe
from elman.report.numbers import numbers_charts, numbers_section
from elman.report.sections import (
    data_section,
    errors_section,
    mistakes_section,
    result_section,
    samples_section,
    settings_section,
    training_section,
)
from elman.report.translation import translation_charts, translation_section
from elman.tables import verdict_of

if TYPE_CHECKING:
    from elman.tasks.prediction import Evaluation

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""What the browser lets the page do: run what is inside it, and fetch nothing."""


@dataclass(frozen=True)
class ReportData:
    """What a report shows.

    Args:
        title: the run's name.
        task: the name of the task.
        metric: the metric that picked the best weights.
        settings: the settings that were given.
        chosen: all settings, with what was chosen.
        data: counts of each part, as in `config.json`.
        versions: of what made the run.
        result: as in `result.json`.
        history: the rows of `metrics.jsonl`.
        timing: the rows of `timing.jsonl`.
        evaluation: labels, confusion, mistakes and lengths of the part that is shown.
        split: which part that is, "test" or "valid".
        samples: what the model wrote by itself: how, and the text.
    """

    title: str
    task: str
    metric: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    chosen: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    timing: Sequence[Mapping[str, Any]] = ()
    evaluation: "Evaluation | None" = None
    split: str = "test"
    samples: Sequence[tuple[str, str]] = ()


def write_report(path: str | Path, data: ReportData) -> None:
    """Write the page, beside its place first, so that a report is whole or not there.

    Raises:
        RunError: the file cannot be written.
    """
    write_page(path, make_page(data), "the model and its scores are safe beside it")


def write_page(path: str | Path, page: str, comfort: str) -> None:
    """Write a page beside its place first, so that it is whole or not there.

    Args:
        path: the file.
        page: its content.
        comfort: what the message says where it cannot be written.

    Raises:
        RunError: the file cannot be written.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.new")
    try:
        aside.write_bytes(page.encode("utf-8", "replace"))
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise RunError(f"{path}: the report cannot be written ({error.strerror}); {comfort}.") from None


def make_page(data: ReportData) -> str:
    """Return the whole page as HTML."""
    valid_baseline = ((data.result.get("valid") or {}).get("baseline") or {}).get(data.metric)
    lengths = data.evaluation.lengths if data.evaluation is not None else []
    best = (data.result.get("best") or {}).get("epoch")
    charts = make_charts(
        data.history, metric=data.metric, best=best, baseline=valid_baseline, lengths=lengths
    )
    charts |= translation_charts(data.evaluation) | numbers_charts(data.evaluation)
    charts |= data.evaluation.charts if data.evaluation is not None else {}
    cell = data.chosen.get("cell", "")
    sections = [
        result_section(data),
        forecast_section(data, charts),
        training_section(data, charts),
        errors_section(data),
        samples_section(data),
        translation_section(data, charts),
        numbers_section(data, charts),
        mistakes_section(data),
        data_section(data, charts),
        settings_section(data),
    ]
    verdict = verdict_of(data.result, data.split, data.metric)
    header = page_header(f"elman · {data.task} · {cell}", data.title, verdict)
    return whole_page(f"{data.title}: elman report", header, sections, charts)


def page_header(kicker: str, title: str, verdict: str) -> Html:
    """Return the head of a page: the line above its name, the name, and the sentence below; any text."""
    lines = (f'<p class="kicker">{attribute(kicker)}</p>', f"<h1>{safe(title)}</h1>")
    return join([*lines, f'<p class="verdict">{attribute(verdict)}</p>'])


def whole_page(
    title: str,
    header: Html,
    sections: Sequence[Html],
    charts: Mapping[str, Any],
    style: str = "",
    figures: Mapping[str, Any] | None = None,
) -> Html:
    """Return a page that stands alone, with everything it needs inside it.

    Args:
        title: any text.
        header: finished, the page's head.
        sections: finished, one below the other.
        charts: what `report_assets/charts.js` draws, by name.
        style: more CSS of our own.
        figures: of X-rays, what `report_assets/xray.js` draws, by name; with them the page is light always.
    """
    # Here and not above: reading scores or predicting needs no plotly, which takes its time to import.
    from plotly.offline import get_plotlyjs

    inside = Html("")
    if figures:
        style = f"{_asset('xray.css')}{style}"
        data = f'<script type="application/json" id="figures">{embed(figures)}</script>'
        inside = Html(f"{data}\n<script>\n{_asset('xray.js')}</script>\n")
    return join([
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n',
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
        '<meta name="color-scheme" content="light dark">\n',
        f"<title>{attribute(title)}</title>\n",
        f"<style>\n{_asset('style.css')}{style}</style>\n</head>\n<body>\n",
        f"<header>{header}</header>\n",
        "<main>\n", "\n".join(sections), "\n</main>\n",
        "<footer>This page stands alone: it needs no network, and sends nothing anywhere.",
        "<noscript> The charts need JavaScript; their numbers stand in the tables too.</noscript></footer>\n",
        f'<script type="application/json" id="charts">{embed(charts)}</script>\n',
        f"<script>{get_plotlyjs()}</script>\n<script>\n{_asset('charts.js')}</script>\n",
        inside, "</body>\n</html>\n",
    ])  # fmt: skip


def _asset(name: str) -> Html:
    return Html((files("elman") / "report_assets" / name).read_text(encoding="utf-8"))
