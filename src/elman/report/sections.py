"""SECTIONS of a report: the result, the training, where it goes wrong, the data, the settings."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elman.config import Settings
from elman.report.markup import Html, attribute, cell, chart, join, meter, row, safe, section, table
from elman.tables import FRACTIONS, clock, format_metric, is_number

if TYPE_CHECKING:
    from elman.report import ReportData
    from elman.tasks.prediction import Evaluation, Mistake

MOST_LABELS = 25
"""Labels of the confusion matrix; of more, those that are confused most."""

MOST_MISTAKES, MOST_CONFUSIONS, MOST_CLASSES = 25, 10, 150

RATES = ("precision", "recall", "f1")

FOLD_CLASSES = 40
"""A table of more labels is folded away."""

CONTEXT_WORDS = 12
"""Words shown on each side of a wrongly tagged one."""


def result_section(data: "ReportData") -> Html:
    """Return the main figure beside the baseline's, and every metric of each part."""
    metrics = data.result.get(data.split) or {}
    baseline = metrics.get("baseline") or {}
    metric = data.metric
    figure = Html("")
    if is_number(metrics.get(metric)):
        value = attribute(format_metric(metric, metrics[metric]))
        below = f'<p class="note">{attribute(_words(metric))}, {_part(data.split)}</p>'
        figure = Html(
            f'<div class="headline"><div><div class="figure">{value}</div>{below}</div>'
            f"{_rivals(metrics, metric)}</div>"
        )
    said = str(baseline.get("description", "") or "")
    notes = [f"The metric in colour, {_words(metric)}, picked the weights that were kept."]
    by = str(data.result.get("kept_by") or metric)
    if by != metric:
        notes = [
            f"The validation part is small, so the weights with the lowest {_words(by)} on it were kept."
        ]
    if data.result.get("kept") == "last":
        notes = ["No part was held out for validation: the weights of the last epoch were kept."]
    if baseline.get("name") and said:
        notes.append(f"The baseline, {baseline['name']}: {said}")
    for name, other in (baseline.get("others") or {}).items():
        own, how = format_metric(metric, other.get(metric)), other.get("description")
        notes.append(f"Also measured, {name} ({_words(metric)} {own})" + (f": {how}" if how else "."))
    about = join(f'<p class="note">{attribute(note)}</p>' for note in notes)
    scores = f'<div class="beside"><div>{_all_scores(data)}</div><div class="grow">{about}</div></div>'
    return section("Result", Html(f"{figure}{scores}"))


def _rivals(metrics: Mapping[str, Any], metric: str) -> Html:
    """Return the model's and the baseline's figure as two bars; nothing where a bar would mean nothing."""
    baseline = metrics.get("baseline") or {}
    if metric not in FRACTIONS or not is_number(baseline.get(metric)):
        return Html("<div></div>")
    lines = []
    for name, value, kind in (
        ("this model", metrics[metric], "own"),
        (str(baseline.get("name", "baseline")), baseline[metric], ""),
    ):
        share = min(1.0, max(0.0, value))
        lines.append(
            f'<div class="rival {kind}"><span class="name">{safe(name)}</span>'
            f'<span class="track" aria-hidden="true"><span style="--share:{share:.4f}"></span></span>'
            f'<span class="value">{format_metric(metric, value)}</span></div>'
        )
    return Html(f"<div>{join(lines)}</div>")


def _all_scores(data: "ReportData") -> Html:
    """Return the table of metrics: a column for the model and one for the baseline, for each part."""
    parts = [part for part in ("test", "valid") if data.result.get(part)]
    if not parts:
        return Html("")
    names = list(
        dict.fromkeys(name for part in parts for name, value in data.result[part].items() if is_number(value))
    )
    header = [("metric", "")]
    for part in parts:
        header.append((f"{_part(part)}", "number"))
        header.append(("baseline", "number"))
    rows = []
    for name in names:
        cells = [cell(safe(_words(name)), tag="th")]
        for part in parts:
            own, other = data.result[part], data.result[part].get("baseline") or {}
            cells += [
                cell(attribute(format_metric(name, scores.get(name), 2)), "number") for scores in (own, other)
            ]
        rows.append(row(cells, "best" if name == data.metric else ""))
    return table(header, rows, label="Scores")


def training_section(data: "ReportData", charts: Mapping[str, Any]) -> Html:
    """Return the curves, a sentence about them, and the same as a table."""
    best = data.result.get("best") or {}
    last = data.history[-1] if data.history else {}
    sentence = (
        f"{len(data.history)} epochs, {last.get('step', 0):,} steps, "
        f"{data.result.get('parameters', 0):,} parameters, "
        f"{clock(data.result.get('seconds') or 0.0)} from reading to the last score; the weights of epoch "
        f"{best.get('epoch', '–')} were kept (dotted line)."
    )
    if last.get("skipped"):
        sentence += f" {last['skipped']} steps were skipped because loss or gradient was not finite."
    places = []
    if "loss" in charts:
        which = "training and validation loss" if _has_validation(data) else "training loss"
        places.append(chart("loss", "Loss", f"Line chart: {which} at each epoch; see the table below."))
    if "metric" in charts:
        title = f"Validation {_words(data.metric)}"
        places.append(chart("metric", title, f"Line chart: {title} at each epoch; see the table below."))
    if "rate" in charts:
        places.append(
            chart("rate", "Learning rate", "Line chart: learning rate at each epoch; see the table below.")
        )
    body = Html(f'<div class="columns three">{join(places)}</div>{_history_table(data)}')
    return section("Training", body, sentence)


def _has_validation(data: "ReportData") -> bool:
    return any(entry.get("valid") for entry in data.history)


def _history_table(data: "ReportData") -> Html:
    """Return the journal as a table, folded away."""
    names = list(dict.fromkeys(["loss", data.metric])) if _has_validation(data) else []
    of_valid = ["validation loss" if name == "loss" else _words(name) for name in names]
    numbers = ["step", "training loss", *of_valid, "learning rate", "sequences a second", "seconds"]
    header = [("epoch", ""), *((name, "number") for name in numbers)]
    clocks = {entry.get("epoch"): entry for entry in data.timing}
    best = (data.result.get("best") or {}).get("epoch")
    rows = []
    for entry in data.history:
        valid, timing = entry.get("valid") or {}, clocks.get(entry["epoch"], {})
        texts = [
            f"{entry.get('step', 0):,}",
            format_metric("loss", (entry.get("train") or {}).get("loss")),
            *(format_metric(name, valid.get(name), 2) for name in names),
            format_metric("learning_rate", entry.get("learning_rate")),
            _speed(timing.get("sequences_per_second")),
            _speed(timing.get("seconds"), 1),
        ]
        cells = [
            cell(attribute(entry["epoch"]), tag="th"),
            *(cell(attribute(text), "number") for text in texts),
        ]
        rows.append(row(cells, "best" if entry["epoch"] == best else ""))
    return Html(
        f"<details><summary>Every epoch as a table</summary>{table(header, rows, label='Epochs')}</details>"
    )


def errors_section(data: "ReportData") -> Html:
    """Return the confusion matrix, the commonest confusions, and precision and recall of each label."""
    evaluation = data.evaluation
    pieces: list[Html] = []
    if evaluation is not None and evaluation.confusion is not None:
        pieces.append(_confusions(evaluation))
    metrics = data.result.get(data.split) or {}
    pieces += [
        _per_class(metrics.get(key), title)
        for key, title in (("per_label", "Each kind of span"), ("per_class", "Each label"))
        if metrics.get(key)
    ]
    if not pieces:
        return Html("")
    return section("Where it goes wrong", join(pieces), f"Measured on the {_part(data.split)} part.")


def _confusions(evaluation: "Evaluation") -> Html:
    assert evaluation.confusion is not None
    table_KK, labels = evaluation.confusion, evaluation.labels
    wrong = table_KK - np.diag(np.diag(table_KK))
    order = np.argsort(-(wrong.sum(0) + wrong.sum(1)), kind="stable")
    shown = order[:MOST_LABELS] if len(labels) > MOST_LABELS else np.arange(len(labels))
    shown = np.array(sorted(shown, key=lambda label: labels[label]))
    note = (
        ""
        if len(shown) == len(labels)
        else f" The {len(shown)} of {len(labels)} labels that are confused most."
    )
    matrix = _matrix(
        table_KK[np.ix_(shown, shown)], [labels[label] for label in shown], table_KK[shown].sum(1)
    )
    ranked = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSIONS]
    rows = []
    for place in ranked:
        gold, said = np.unravel_index(place, wrong.shape)
        count = int(wrong[gold, said])
        if count:
            share = count / max(1, int(table_KK[gold].sum()))
            rows.append(
                row([
                    cell(safe(labels[gold]), "gold text"), cell(safe(labels[said]), "said text"),
                    cell(Html(f"{count:,}"), "number"), cell(Html(f"{100 * share:.1f} %"), "number"),
                ])
            )  # fmt: skip
    header = [("truly", ""), ("taken for", ""), ("times", "number"), ("share", "number")]
    common = (
        table(header, rows, kind="full", label="The commonest confusions")
        if rows
        else Html("<p>No confusion at all.</p>")
    )
    how = "Rows: the true label; columns: what the model said; colour: share of the row."
    legend = f'<p class="note">{how}{note}</p>'
    return Html(
        f'<div class="beside"><div><h3>Confusion matrix</h3>{legend}{matrix}</div>'
        f'<div class="grow"><h3>Most often confused</h3>{common}</div></div>'
    )


def _matrix(table_KK: NDArray[np.int64], labels: Sequence[str], totals: NDArray[np.int64]) -> Html:
    """Return the matrix as a table whose cells are coloured by their share of the row's total."""
    heads = join(f'<th scope="col"><span>{safe(label)}</span></th>' for label in labels)
    rows = []
    for index, label in enumerate(labels):
        cells = [cell(safe(label), tag="th")]
        for other in range(len(labels)):
            count = int(table_KK[index, other])
            # The square root keeps rare confusions visible beside the diagonal.
            share = math.sqrt(count / max(1, int(totals[index])))
            kind = ("diagonal " if index == other else "") + ("strong" if share > 0.62 else "")
            style = f' style="--share:{share:.3f}"' if count else ""
            klass = f' class="{kind.strip()}"' if kind.strip() else ""
            cells.append(Html(f"<td{klass}{style}>{_short(count) if count else ''}</td>"))
        rows.append(row(cells))
    return Html(
        '<div class="scroll" tabindex="0" role="region" aria-label="Confusion matrix">'
        '<table class="confusion">'
        f'<thead><tr><td class="corner"></td>{heads}</tr></thead><tbody>{join(rows)}</tbody></table></div>'
    )


def _per_class(scores: Mapping[str, Mapping[str, Any]] | None, title: str) -> Html:
    """Return precision, recall and F1 of each label, the most frequent first."""
    scores = scores or {}
    labels = sorted(scores, key=lambda label: (-scores[label].get("support", 0), label))
    header = [
        ("label", ""),
        ("precision", "number"),
        ("recall", "number"),
        ("F1", "number"),
        ("", "optional"),
        ("cases", "number"),
    ]
    rows = []
    for label in labels[:MOST_CLASSES]:
        rates = scores[label]
        rows.append(
            row([
                cell(safe(label), "text", tag="th"),
                *(cell(attribute(format_metric(name, rates.get(name))), "number") for name in RATES),
                cell(meter(float(rates.get("f1") or 0.0)), "optional"),
                cell(attribute(f"{rates.get('support', 0):,}"), "number"),
            ])
        )  # fmt: skip
    hidden = len(labels) - MOST_CLASSES
    more = f'<p class="note">… and {hidden} rarer ones, in result.json.</p>' if hidden > 0 else ""
    half = (len(rows) + 1) // 2 if len(rows) > 8 else len(rows)
    parts = [
        table(header, part, kind="full rates", label=title) for part in (rows[:half], rows[half:]) if part
    ]
    listing = Html(f'<div class="columns">{join(parts)}</div>{more}')
    if len(labels) > FOLD_CLASSES:
        return Html(f"<h3>{title}</h3><details><summary>{len(labels)} labels</summary>{listing}</details>")
    return Html(f'<h3>{title}</h3><p class="note">The most frequent first.</p>{listing}')


def mistakes_section(data: "ReportData") -> Html:
    """Return the wrong predictions that the model was surest of."""
    if data.evaluation is None or not data.evaluation.mistakes:
        return Html("")
    mistakes = data.evaluation.mistakes
    header = [("input", ""), ("truly", ""), ("the model said", ""), ("probability", "number"), ("where", "")]
    rows = [_mistake(mistake) for mistake in mistakes[:MOST_MISTAKES]]
    total = len(mistakes)
    note = (
        f"{total:,} wrong {'answer' if total == 1 else 'answers'} on the {_part(data.split)} part; "
        "those the model was surest of come first. Wrong labels in the data are often among them."
    )
    return section("Surest mistakes", table(header, rows, kind="full stack", label="Surest mistakes"), note)


def _mistake(mistake: "Mistake") -> Html:
    probability = f"{100 * mistake.probability:.1f} %" if math.isfinite(mistake.probability) else "–"
    return row([
        cell(safe(_around(mistake.input)), "text input", "input"),
        cell(safe(mistake.gold), "gold text", "truly"),
        cell(safe(mistake.predicted), "said text", "the model said"),
        cell(attribute(probability), "number", "probability"),
        cell(safe(mistake.where), "text origin", "where"),
    ])  # fmt: skip


def _around(text: str) -> str:
    """Return the words around the one in brackets (a wrongly tagged token), or the text as it is."""
    words = text.split(" ")
    marked = [
        place for place, word in enumerate(words) if len(word) > 2 and word[0] == "[" and word[-1] == "]"
    ]
    if len(marked) != 1 or len(words) <= 2 * CONTEXT_WORDS:
        return text
    start, stop = max(0, marked[0] - CONTEXT_WORDS), marked[0] + CONTEXT_WORDS + 1
    return ("… " if start else "") + " ".join(words[start:stop]) + (" …" if stop < len(words) else "")


def samples_section(data: "ReportData") -> Html:
    """Return what the model wrote by itself, one text beside the other."""
    if not data.samples:
        return Html("")
    texts = [Html(f'<div><h3>{safe(how)}</h3><pre class="sample">{safe(text)}</pre></div>')
             for how, text in data.samples]  # fmt: skip
    note = "Written from nothing. Below 1, a temperature makes what is likely likelier still."
    return section("What it writes", Html(f'<div class="columns three">{join(texts)}</div>'), note)


def data_section(data: "ReportData", charts: Mapping[str, Any]) -> Html:
    """Return how many examples each part has and where from, sizes of vocabularies, and lengths."""
    rows: list[Html] = []
    facts: list[Html] = []
    for name, value in data.data.items():
        if isinstance(value, Mapping):
            rows.append(
                row([
                    cell(safe(_part(name)), tag="th"),
                    cell(attribute(f"{value.get('examples', 0):,}"), "number"),
                    cell(safe(value.get("file") or ""), "text"),
                ])
            )  # fmt: skip
        elif is_number(value) or isinstance(value, str):
            facts.append(
                row([cell(safe(_words(name)), tag="th"), cell(safe(format_metric(name, value)), "number")])
            )
    parts = table(
        [("part", ""), ("sequences", "number"), ("from", "")], rows, kind="full", label="Parts of the data"
    )
    sizes = table([("of the training part", ""), ("", "number")], facts, label="Sizes") if facts else ""
    place = ""
    if "lengths" in charts:
        title = f"Lengths, {_part(data.split)}"
        place = chart("lengths", title, "Bar chart: how many sequences have how many steps.", "low")
    return section("Data", Html(f'<div class="columns"><div>{parts}{sizes}</div>{place}</div>'))


def settings_section(data: "ReportData") -> Html:
    """Return every setting with its value, by who chose it, and the versions of what made the run."""
    by: dict[str, list[Html]] = {"given": [], "chosen": [], "default": []}
    for name, info in Settings.model_fields.items():
        value = data.settings.get(name, data.chosen.get(name))
        if value is None:
            continue
        who = "given" if name in data.settings else "default" if info.default == value else "chosen"
        by[who].append(row([cell(safe(name), tag="th"), cell(Html(f"<code>{safe(value)}</code>"), "text")]))
    titles = {
        "given": "given by you",
        "chosen": "chosen for you, from the data",
        "default": "the same for every run",
    }
    tables = [
        table([(titles[who], ""), ("", "")], rows, kind="full pairs", label=f"Settings {titles[who]}")
        for who, rows in by.items()
        if rows
    ]
    versions = [
        row([cell(safe(name), tag="th"), cell(safe(value), "text")]) for name, value in data.versions.items()
    ]
    made = table([("made with", ""), ("", "")], versions, kind="full pairs", label="Versions")
    last = Html(f"<div>{tables.pop()}<br>{made}</div>") if tables else made
    return section("Settings", Html(f'<div class="columns three">{join(tables)}{last}</div>'))


def _part(name: str) -> str:
    return {"valid": "validation", "train": "training"}.get(name, name)


def _words(name: str) -> str:
    return {"f1": "F1", "macro_f1": "macro F1"}.get(name, name.replace("_", " "))


def _speed(value: Any, digits: int = 0) -> str:
    return f"{value:,.{digits}f}" if is_number(value) else "–"


def _short(count: int) -> str:
    """Return a count that fits a narrow cell: 12,345 -> "12k"."""
    return str(count) if count < 1000 else f"{count / 1000:.1f}k" if count < 10_000 else f"{count // 1000}k"
