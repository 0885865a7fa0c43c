"""PICTURE: a search as one page that stands alone: history, what mattered, each setting and its scores."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from elman.report import page_header, whole_page, write_page
from elman.report.charts import curve
from elman.report.markup import Html, attribute, cell, chart, join, row, safe, section, table
from elman.tables import clock, format_metric
from elman.tuning.search import Search
from elman.tuning.study import Trial
from elman.tuning.told import differing, ended, ranked

BAR_WIDTH = 0.6


def write_picture(
    path: Path,
    search: Search,
    trials: Sequence[Trial],
    best: Trial,
    importances: Mapping[str, float],
    result: Mapping[str, Any],
) -> None:
    """Write the page of a search.

    Args:
        path: where to.
        search: what was searched.
        trials: every trial, by number.
        best: the best of them.
        importances: how much each setting mattered; empty where that cannot be said.
        result: what the best run's `result.json` holds.

    Raises:
        RunError: the file cannot be written.
    """
    charts = search_charts(search, trials, importances)
    sections = [
        _history_section(search, trials),
        _importance_section(importances),
        _slices_section(search),
        _trials_section(search, trials, best),
    ]
    name = search.folder.name
    said = verdict(search, trials, best, result)
    header = page_header(f"elman tune · {search.settings.task}", name, said)
    page = whole_page(f"{name}: elman report", header, [one for one in sections if one], charts)
    write_page(path, page, "the trials and the best run are safe beside it")


def verdict(search: Search, trials: Sequence[Trial], best: Trial, result: Mapping[str, Any]) -> str:
    """Return what the search was good for, in a sentence or two."""
    metric, default = search.metric, trials[0]
    score = format_metric(metric, best.score, 2)
    if best.number == 0:
        said = f"Of {ended(trials)}, none beats the recipe: validation {metric} {score}."
    else:
        rival = format_metric(metric, default.score, 2)
        said = f"Validation {metric} {score} in trial {best.number}; the recipe has {rival}."
    shown = str(result.get("metric", metric))  # not the search's own where the data decided that
    test = (result.get("test") or {}).get(shown)
    if test is not None:
        said += f" The best run's test {shown}, looked at once: {format_metric(shown, test, 2)}."
    return said


def search_charts(
    search: Search, trials: Sequence[Trial], importances: Mapping[str, float]
) -> dict[str, Any]:
    """Return the charts of a search as plain data, by name: history, importance and slice-N."""
    done = [trial for trial in trials if trial.state == "done" and trial.score is not None]
    score = {"title": search.metric.replace("_", " "), "format": "~g"}
    numbers, scores = [trial.number for trial in done], [trial.score or 0.0 for trial in done]
    best = list(accumulate(scores, max if search.larger_is_better else min))
    charts: dict[str, Any] = {}
    if done:
        charts["history"] = {
            "traces": [
                dots("trials", numbers, scores),
                curve("best so far", numbers, best, "second") | {"plain": True},
            ],
            "x": {"title": "trial"},
            "y": score,
        }
        if done[0].number == 0:
            charts["history"]["level"] = {"y": done[0].score, "name": "recipe"}
    if importances:
        names, shares = list(importances), list(importances.values())
        texts = [f"{name}: {100 * share:.0f} %" for name, share in importances.items()]
        bars = {"kind": "bars", "name": "importance", "x": names, "y": shares, "width": BAR_WIDTH,
                "text": texts, "colour": "accent"}  # fmt: skip
        axis = {"from_zero": True, "format": ".0%"}
        charts["importance"] = {"traces": [bars], "x": {"kind": "category"}, "y": axis}
    for place, dimension in enumerate(search.space):
        pairs = [(trial.values[dimension.name], reached) for trial, reached in zip(done, scores, strict=True)]
        if not pairs:
            continue
        is_category = bool(dimension.choices)
        if is_category:  # plotly puts names in the order in which it meets them
            pairs.sort(key=lambda pair: dimension.choices.index(pair[0]))
        shown = [str(value) if is_category else value for value, _ in pairs]
        axis = {"title": dimension.name, "format": "" if is_category else "~g"}
        axis |= {"kind": "category"} if is_category else {"kind": "log"} if dimension.is_log else {}
        marks = dots("trials", shown, [reached for _, reached in pairs])
        charts[f"slice-{place}"] = {"traces": [marks], "x": axis, "y": score}
    return charts


def dots(name: str, x: Sequence[Any], y: Sequence[Any]) -> dict[str, Any]:
    """Return one cloud of points of a chart."""
    return {"kind": "dots", "name": name, "x": list(x), "y": list(y), "colour": "accent"}


def _history_section(search: Search, trials: Sequence[Trial]) -> Html:
    note = f"{ended(trials)}; the score is that on the validation part."
    description = f"validation {search.metric} of each trial, and the best so far"
    return section("History", chart("history", search.metric, description), note)


def _importance_section(importances: Mapping[str, float]) -> Html:
    note = (
        "How much each setting decides whether a trial is among the best quarter (PED-ANOVA), as a share of "
        "all. With few trials this is a hint, no more."
    )
    if not importances:
        return section(
            "What mattered", Html(""), "This cannot be said: too few trials are done, or all score alike."
        )
    rows = [
        row([cell(safe(name), tag="th"), cell(attribute(f"{100 * share:.0f} %"), "number")])
        for name, share in importances.items()
    ]
    shares = table([("setting", ""), ("share", "number")], rows, label="importance of each setting")
    picture = chart("importance", "importance", "share of each setting", "low")
    return section("What mattered", join([picture, shares]), note)


def _slices_section(search: Search) -> Html:
    places = [
        chart(f"slice-{place}", one.name, f"{search.metric} against {one.name}", "low")
        for place, one in enumerate(search.space)
    ]
    note = "Each point is a trial that is done, at its value of one setting; the others differ too."
    return section("Each setting", Html(f'<div class="columns">{join(places)}</div>'), note)


def _trials_section(search: Search, trials: Sequence[Trial], best: Trial) -> Html:
    order = [trial.number for trial in ranked(trials, search)]
    rest = [trial for trial in trials if trial.number not in order]
    by_number = {trial.number: trial for trial in trials}
    rows = []
    for trial in [*(by_number[number] for number in order), *rest]:
        how = {"done": "best" if trial.number == best.number else "", "pruned": "stopped early"}
        said = how.get(trial.state, trial.reason or trial.state)
        cells = [
            cell(attribute(trial.number), "number", "trial"),
            cell(safe(differing(trial, search.defaults)), "", "differs in"),
            cell(attribute(format_metric(search.metric, trial.score, 2)), "number", search.metric),
            cell(attribute(clock(trial.seconds)), "number", "time"),
            cell(safe(said), "", ""),
        ]
        rows.append(row(cells))
    header = [
        ("trial", "number"),
        ("differs from the recipe in", ""),
        (search.metric, "number"),
        ("time", "number"),
        ("", ""),
    ]
    return section("All trials", table(header, rows, label="all trials"))
