"""COMPARISON: several runs of one task side by side: what differs in their settings, and in what they reach.

Only the small files of a run folder are read, no weights. Runs that are not finished, or have no test part,
have gaps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from elman.comparison_page import make_page
from elman.comparison_xray import examine_runs, xray_json, xray_lines
from elman.contestant import Contestant, read_contestant
from elman.errors import ConfigError
from elman.metrics import SMALLER_IS_BETTER
from elman.report import write_page
from elman.run_xray import ROWS
from elman.tables import (
    FRACTIONS,
    clock,
    columns,
    fit,
    format_metric,
    is_number,
    sparkline,
    text_table,
    wrapped,
)
from elman.xray.run_xray import RunXray

WIDEST_VALUE = 26
"""Cells that a setting's value or a folder's name takes in a column."""

PARTS = {"test": "test", "valid": "validation"}


@dataclass(frozen=True)
class Row:
    """A line of a comparison: a value for each run, as it is shown; `best` counts the columns that lead.

    Args:
        name: of the line.
        values: as texts.
        best: places of the best values; empty where there is no better.
    """

    name: str
    values: list[str]
    best: tuple[int, ...] = ()


@dataclass
class Comparison:
    """Runs side by side, made by `compare`.

    Args:
        runs: in the order they were named.
        metric: the metric that is spoken of.
        notes: what makes the runs hard to compare.
        xrays: of each run on the same rows, in their order; none where they were not asked for.
    """

    runs: list[Contestant]
    metric: str
    notes: list[str] = field(default_factory=list)
    xrays: list[RunXray] = field(default_factory=list)

    def differing_settings(self) -> dict[str, list[Any]]:
        """Return the settings whose values differ, with the value of each run; None where it has none."""
        names = dict.fromkeys(name for run in self.runs for name in run.settings)
        table = {name: [run.settings.get(name) for run in self.runs] for name in names}
        return {name: values for name, values in table.items() if any(value != values[0] for value in values)}

    def setting_rows(self) -> list[Row]:
        """Return the settings and versions that differ."""
        rows = [
            Row(name, [_shown(value) for value in values])
            for name, values in self.differing_settings().items()
        ]
        names = dict.fromkeys(name for run in self.runs for name in run.versions)
        for name in names:
            values = [run.versions.get(name) for run in self.runs]
            if any(value != values[0] for value in values):
                rows.append(Row(f"version of {name}", [_shown(value) for value in values]))
        return rows

    def score_rows(self, part: str) -> list[Row]:
        """Return every metric of a part ("test" or "valid"), the main one's baseline below it.

        Where the part holds other examples in one run than in another, none leads.
        """
        names = dict.fromkeys(
            name
            for run in self.runs
            for name, value in (run.result.get(part) or {}).items()
            if is_number(value)
        )
        rows = []
        for name in sorted(names, key=lambda name: name != self.metric):
            values = [run.score(part, name) for run in self.runs]
            best = () if part in _different_parts(self.runs) else _leading(name, values)
            rows.append(Row(_words(name), [format_metric(name, value, 2) for value in values], best))
            if name == self.metric:
                rows.append(Row("its baseline", [self._baseline(run, part) for run in self.runs]))
        return rows

    def _baseline(self, run: Contestant, part: str) -> str:
        baseline = (run.result.get(part) or {}).get("baseline") or {}
        return format_metric(self.metric, baseline.get(self.metric), 2)

    def size_rows(self) -> list[Row]:
        """Return state, parameters, training examples, epochs, time and speed."""
        runs = self.runs
        best = [(run.result.get("best") or {}).get("epoch") for run in runs]
        seconds = [run.result.get("seconds") for run in runs]
        examples = [(run.data.get("train") or {}).get("examples") for run in runs]
        return [
            Row("state", [run.state for run in runs]),
            Row("parameters", [_count(run.result.get("parameters")) for run in runs]),
            Row("training examples", [_count(value) for value in examples]),
            Row("epochs", [_count(len(run.history)) for run in runs]),
            Row("best epoch", [_count(value) for value in best]),
            Row("time", ["–" if value is None else clock(value) for value in seconds]),
            Row("sequences a second", [f"{run.speed:,.0f}" if run.speed else "–" for run in runs]),
        ]

    def xray_rows(self) -> list[Row]:
        """Return what was seen inside the runs: what each layer remembers, what ails them."""
        return [Row(name, values) for name, values in xray_lines(self.xrays)] if self.xrays else []

    def curve(self, run: Contestant, part: str, metric: str) -> tuple[list[int], list[float | None]]:
        """Return a metric over a run's epochs: the epochs, and its values."""
        values = [(row.get(part) or {}).get(metric) for row in run.history]
        return (
            [int(row["epoch"]) for row in run.history],
            [float(value) if value is not None and is_number(value) else None for value in values],
        )

    def verdict(self) -> str:
        """Return which run is best, in one sentence.

        The test part is spoken of where all runs that have scores have one, and the same one; otherwise the
        validation part, if that is the same. Scores on other examples name no leader.
        """
        scored = [run for run in self.runs if run.result]
        parts = ["test", "valid"] if all(run.result.get("test") for run in scored) else ["valid"]
        different = _different_parts(self.runs)
        part = next((part for part in parts if part not in different), None)
        if part is None:
            where = " and ".join(PARTS[part] for part in parts)
            return f"No run leads: the {where} parts hold other examples in one run than in another."
        found = [(run, run.score(part, self.metric)) for run in scored]
        known = [(run, value) for run, value in found if value is not None]
        if len(known) < 2:
            return "Fewer than two of these runs have scores to compare."
        sign = -1 if self.metric in SMALLER_IS_BETTER else 1
        ranked = sorted(known, key=lambda pair: -sign * pair[1])
        (first, best), (second, next_best) = ranked[:2]
        name = f"{_words(self.metric)} on the {PARTS[part]} part"
        if best == next_best:
            shown = format_metric(self.metric, best, 2)
            return f"{first.letter} and {second.letter} lead: both have {name} {shown}."
        apart = abs(best - next_best)
        points = f"{100 * apart:.2f} points" if self.metric in FRACTIONS else f"{apart:.4g}"
        shown = format_metric(self.metric, best, 2)
        return f"{first.letter} leads: {name} {shown}, {points} better than {second.letter}."

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as one JSON-able object."""
        return {
            "task": self.runs[0].task,
            "metric": self.metric,
            "settings": self.differing_settings(),
            "notes": self.notes,
            "xray": xray_json(self.xrays) if self.xrays else None,
            "runs": [
                {
                    "letter": run.letter,
                    "folder": run.folder,
                    "state": run.state,
                    "parameters": run.result.get("parameters"),
                    "seconds": run.result.get("seconds"),
                    "sequences_per_second": run.speed,
                    "best": run.result.get("best"),
                    "valid": run.result.get("valid"),
                    "test": run.result.get("test"),
                    "history": run.history,
                }
                for run in self.runs
            ],
        }

    def __str__(self) -> str:
        width = columns()
        head = [f"  {run.letter}  {fit(run.folder, width - 4 - len(run.letter))}" for run in self.runs]
        letters = [run.letter for run in self.runs]
        blocks = ["\n".join(head)]
        for title, rows in (
            ("settings", self.setting_rows()),
            ("test", self.score_rows("test")),
            ("validation", self.score_rows("valid")),
            ("run", self.size_rows()),
            ("x-ray", self.xray_rows()),
        ):
            if rows:
                cells = [[row.name, *(_marked(row, place) for place in range(len(letters)))] for row in rows]
                blocks.append(text_table([title, *letters], cells))
        blocks.append(self._curves(width))
        notes = [wrapped(f"note: {note}", width, later="  ") for note in self.notes]
        blocks.append("\n".join([wrapped(self.verdict(), width), *notes]))
        return "\n\n".join(block for block in blocks if block)

    def _curves(self, width: int) -> str:
        """Return the validation metric over epochs as lines of bars, on one scale for all runs.

        Of more epochs than there are cells, some are shown, evenly spread.
        """
        curves = [
            [float("nan") if value is None else value for value in self.curve(run, "valid", self.metric)[1]]
            for run in self.runs
        ]
        room = width - 4 - max(len(run.letter) for run in self.runs)
        every = -(-max(len(curve) for curve in curves) // room) or 1
        curves = [curve[::every] for curve in curves]
        bars = sparkline([value for curve in curves for value in curve])
        if not bars.strip():
            return ""
        lines = [f"  validation {_words(self.metric)} over epochs, on one scale"]
        for run, curve in zip(self.runs, curves, strict=True):
            lines.append(f"  {run.letter}  {bars[: len(curve)]}".rstrip())
            bars = bars[len(curve) :]
        return "\n".join(lines)

    def write_page(self, path: str | Path) -> None:
        """Write the comparison as one HTML page that needs no network.

        Raises:
            RunError: the file cannot be written.
        """
        write_page(path, make_page(self), "name another file with --output")


def compare(
    *folders: str | Path, xray: bool = False, data: Any = None, rows: int | None = None
) -> Comparison:
    """Return runs of one task side by side: settings that differ, scores, sizes, speed, learning curves.

    Args:
        folders: two or more run folders; finished or not.
        xray: look inside each model too, on the same rows.
        data: a labelled file or labelled rows for that; None: the validation part that the runs share.
        rows: examples of it to look at, at most; None: 16.

    Raises:
        ConfigError: fewer than two, one of them twice, or runs of different tasks; data or rows without xray,
            or runs that share no validation part.
        DataError: that part cannot be read any more.
        RunError, CheckpointError: a folder holds no run, or a damaged one.

    Example:
        >>> compare("runs/one")
        Traceback (most recent call last):
        elman.errors.ConfigError: one run is named; expected two or more to compare: elman compare RUN RUN ...
    """
    if not xray and (data is not None or rows is not None):
        raise ConfigError(
            "data and rows say what the models read while they are looked into; ask for that with --xray "
            "(from Python: xray=True), or leave them out."
        )
    if len(folders) < 2:
        raise ConfigError(
            f"{'one run' if folders else 'no run'} is named; expected two or more to compare: "
            "elman compare RUN RUN ..."
        )
    for one, again in combinations(folders, 2):
        if Path(one).resolve() == Path(again).resolve():
            raise ConfigError(f"{again} is named twice; name each run once.")
    runs = [read_contestant(str(folder), place) for place, folder in enumerate(folders)]
    other = next((run for run in runs if run.task != runs[0].task), None)
    if other is not None:
        raise ConfigError(
            f"{runs[0].folder} is of the task {runs[0].task} and {other.folder} of {other.task}, whose "
            "scores mean different things; name runs of one task."
        )
    xrays, notes = examine_runs(runs, data, ROWS if rows is None else rows) if xray else ([], [])
    return Comparison(runs, _metric(runs), _notes(runs) + notes, xrays)


def _metric(runs: Sequence[Contestant]) -> str:
    """Return the metric that picked the weights of the first finished run, or what its journal has."""
    for run in runs:
        if run.result.get("metric"):
            return str(run.result["metric"])
    for run in runs:
        for row in run.history:
            names = [name for name, value in (row.get("valid") or {}).items() if is_number(value)]
            return next((name for name in names if name != "loss"), "loss")
    return "loss"


def _different_parts(runs: Sequence[Contestant]) -> list[str]:
    """Return the parts that hold other examples in one run than in another, by their fingerprints.

    Only runs that were scored on a part count; an older folder may have no fingerprint.
    """
    found = []
    for part in PARTS:
        scored = [run for run in runs if run.result.get(part)]
        if len({(run.data.get(part) or {}).get("sha256") for run in scored} - {None}) > 1:
            found.append(part)
    return found


def _notes(runs: Sequence[Contestant]) -> list[str]:
    """Return what makes scores hard to compare: other examples, other metrics, missing parts."""
    notes = [
        f"the {PARTS[part]} parts hold other examples, so their scores are not of the same thing and no run "
        "leads there"
        for part in _different_parts(runs)
    ]
    metrics = sorted({str(run.result["metric"]) for run in runs if run.result.get("metric")})
    if len(metrics) > 1:
        notes.append(f"weights were picked by different metrics: {', '.join(metrics)}")
    for run in runs:
        if run.result and not run.result.get("test"):
            notes.append(f"{run.letter} has no test part")
        elif not run.result:
            notes.append(f"{run.letter} is {run.state}: it has no scores yet")
    return notes


def _leading(metric: str, values: Sequence[float | None]) -> tuple[int, ...]:
    """Return the places of the best values, if there are worse ones."""
    known = [value for value in values if value is not None]
    if len(set(known)) < 2:
        return ()
    best = min(known) if metric in SMALLER_IS_BETTER else max(known)
    return tuple(place for place, value in enumerate(values) if value == best)


def _marked(row: Row, place: int) -> str:
    """Return a value with a star behind the best; the others get a blank, so that numbers stay aligned."""
    text = fit(row.values[place], WIDEST_VALUE)
    return (text + (" *" if place in row.best else "  ")) if row.best else text + "  "


def _shown(value: Any) -> str:
    return "–" if value is None else str(value)


def _count(value: Any) -> str:
    return f"{value:,}" if is_number(value) else "–"


def _words(metric: str) -> str:
    return {"f1": "F1", "macro_f1": "macro F1"}.get(metric, metric.replace("_", " "))
