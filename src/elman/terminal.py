"""TERMINAL: a finished run, its predictions and its insides as lines of text, as wide as the terminal.

Colour is used on a terminal alone, and never where NO_COLOR is set; nothing is said by colour only.
"""

import os
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.cells import cell_len

from elman import tables
from elman.tasks.generate import Generate
from elman.tasks.inputs import SeriesInputs

if TYPE_CHECKING:
    from elman.run import Run
    from elman.tasks.prediction import Prediction

SHOWN_SAMPLES = 3
"""Predictions on held-out sequences that are shown when a training is over."""

SHOWN_TEMPERATURE = 0.8
SAMPLE = "written from nothing"
"""The text that is shown when a model that generates is trained."""


SHORT_VECTOR = 8
"""A vector of fewer numbers is written out where a command to predict with is shown."""

PARTING = " | "
"""Stands between a history and its forecast."""

EMPTY = "(nothing)"
"""What is shown of a written sequence that ended at once."""

NO_TOKENS = "(no tokens, so no tags)"

BOLD, CYAN, RED = "1", "36", "31"


def paint(text: str, code: str) -> str:
    """Return text in a style where standard output is a terminal that may have colours, else as it is."""
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain or not text else f"\x1b[{code}m{text}\x1b[0m"


def columns() -> int:
    """Return the width of the terminal; 80 where there is none."""
    return tables.columns()


def outcome(run: "Run") -> str:
    """Return what a person wants to see when a training is over: scores, the verdict, samples, what next."""
    part = "test" if run.result.get("test") else "valid"
    metrics = run.result.get(part) or {}
    metric = str(run.result.get("metric", run.task.metric))
    part_name = "validation" if part == "valid" else part
    blocks = [tables.scores_table(metrics, part_name)] if metrics else []
    blocks.append(paint(tables.wrapped(tables.verdict_of(run.result, part, metric), columns()), BOLD))
    if run.result.get("backtest"):
        blocks.append(backtest_table(run.result["backtest"], metric))
    alarms = metrics.get("alarms", [])
    blocks += [tables.wrapped(f"beware: {alarm}", columns(), later="  ") for alarm in alarms]
    if isinstance(run.task, Generate):
        blocks += _by_itself(run)
    elif run.held_out:
        # Spread out, because files are often sorted by label.
        places = range(0, len(run.held_out), max(1, len(run.held_out) // SHOWN_SAMPLES))
        samples = [run.held_out[place] for place in places[:SHOWN_SAMPLES]]
        samples = run.task.ask(samples)
        predictions = run.predict_examples(samples)
        shown = [against_gold(said, it.target) for said, it in zip(predictions, samples, strict=True)]
        is_long = any(said.tags is not None or said.timestamps for said in predictions)
        gap = "\n\n" if is_long else "\n"
        blocks.append(f"from the {part_name} part:\n\n" + gap.join(shown))
    if run.folder is not None:
        blocks.append(
            f"report   {run.folder / 'report.html'}\n"
            f"use it   {_use(run)}\n"
            f"look in  elman info {quoted(str(run.folder))}"
        )
    return "\n" + "\n\n".join(blocks)


def _by_itself(run: "Run") -> list[str]:
    """Return what a model that generates writes by itself, for a look."""
    written = dict(run.task.samples(run.model))
    return [
        f"{SAMPLE} (temperature {SHOWN_TEMPERATURE:g}):\n\n" + indented(text)
        for how, text in written.items()
        if how == f"temperature {SHOWN_TEMPERATURE:g}"
    ]


def indented(text: str, lines: int = 12) -> str:
    """Return the first lines of a text that a model wrote, set in, and harmless for a terminal."""
    shown = [tables.visible(line) for line in text.split("\n")][:lines]
    return "\n".join(f"  {line}".rstrip() for line in shown)


def _use(run: "Run") -> str:
    folder = quoted(str(run.folder))
    if isinstance(run.task, Generate):
        return f"elman generate {folder}" + (' --prompt "..."' if run.task.is_text else "")
    return f"elman predict {folder} {_example(run)}"


def _example(run: "Run") -> str:
    if run.task.name == "forecast":
        return "--data history.csv"
    inputs = run.task.inputs
    if not isinstance(inputs, SeriesInputs):
        return '"..."'
    shown = run.held_out[0] if run.held_out else None
    if shown is not None and np.size(shown.input) < SHORT_VECTOR and len(shown.input) == 1:
        said = run.predict_examples([shown])[0].to_json()["input"]
        vector = said if shown.categories else said[0]
        texts = [f"{cell:.4g}" if isinstance(cell, float) else f'"{cell}"' for cell in vector]
        return quoted(f"[{', '.join('null' if text == 'nan' else text for text in texts)}]")
    if inputs.categories or inputs.num_columns > SHORT_VECTOR:
        return "--data more.csv"
    return quoted(steps_like(inputs.num_columns))


def input_like(run: "Run") -> str:
    """Return what a person types to predict with a run, to be shown where something else was typed."""
    if run.task.name == "forecast":
        return "[1.2, 1.4, ...]"
    inputs = run.task.inputs
    if not isinstance(inputs, SeriesInputs):
        return "a text"
    if inputs.num_columns > SHORT_VECTOR:
        return f"[[...], ...], {inputs.num_columns} numbers a step"
    return steps_like(inputs.num_columns)


def steps_like(num_columns: int, steps: int = 2) -> str:
    """Return a series as a person may type it: steps of so many numbers.

    Example:
        >>> steps_like(1), steps_like(2)
        ('[0.1, 0.2]', '[[0.1, 0.2], [0.3, 0.4]]')
    """
    numbers = [f"{(place + 1) / 10:g}" for place in range(steps * num_columns)]
    if num_columns == 1:
        return f"[{', '.join(numbers)}]"
    rows = [numbers[start : start + num_columns] for start in range(0, len(numbers), num_columns)]
    texts = [f"[{', '.join(row)}]" for row in rows]
    return f"[{', '.join(texts)}]"


def quoted(word: str) -> str:
    """Return a word as a shell reads it back."""
    return shlex.quote(word)


def against_gold(said: "Prediction", gold: Any) -> str:
    """Return one prediction on a labelled sequence; what was wrong is marked and put right."""
    if said.tags is not None and said.tokens is not None:
        truth = list(gold) if not isinstance(gold, str) else gold.split()
        rows = [said.tokens, said.tags]
        wrong = [own if own != tag else "" for own, tag in zip(truth, said.tags, strict=True)]
        if any(wrong):
            rows.append([f"({tag})" if tag else "" for tag in wrong])
        return "\n".join(_painted_rows(rows, indent="  "))
    if said.timestamps is not None:
        return forecast_picture(said)
    if said.gaps is not None:
        return f"  {tables.fit(input_text(said.input), columns() - 2)}\n{_filled(said, gold)}"
    if is_numbers(said.prediction):
        known = tables.numbers(gold.T.tolist() if gold.ndim > 1 else gold.tolist(), 3)
        made = paint(tables.numbers(said.prediction, 3), CYAN)
        return f"  {tables.fit(input_text(said.input), max(20, columns() - 50))}  →  {made}  (truly {known})"
    if said.score is not None:  # a written sequence: tokens, or a text whose outer spaces say nothing
        gold = gold.strip() if isinstance(gold, str) else " ".join(gold)
    verdict = "right" if said.prediction == gold else paint(f"wrong: {tables.visible(str(gold))}", RED)
    sure = f"{100 * said.probabilities[said.prediction]:.0f} %" if said.probabilities else ""
    label = paint(tables.visible(str(said.prediction)) or EMPTY, CYAN)
    return f"  {tables.fit(input_text(said.input), max(20, columns() - 50))}  →  {label} {sure}  ({verdict})"


def backtest_table(blocks: Sequence[dict[str, Any]], metric: str) -> str:
    """Return the score of each block of a back-test beside its best simple forecast's."""
    rows = [
        [
            block["until"],
            tables.format_metric(metric, block[metric]),
            tables.format_metric(metric, block["baseline"][metric]),
            block["baseline"]["name"],
        ]
        for block in blocks
    ]
    return tables.text_table(["back-test until", metric.replace("_", " "), "baseline", ""], rows)


def forecast_picture(said: "Prediction") -> str:
    """Return a forecast as bars behind those of as much history as fits the line, with its ends in words."""
    times, values = said.timestamps or [], said.prediction
    room = columns() - len("  " + PARTING)
    history = (said.history or [])[-max(room - len(values), 1) :]
    # One scale for both: the bars are made together and parted.
    bars = tables.sparkline([*history, *values])
    known, coming = bars[: len(history)], bars[len(history) :]
    # The bars of a forecast that is longer than the line go on in further ones.
    more = [coming[start : start + room] for start in range(room - len(history), len(coming), room)]
    coming = "\n  ".join(paint(piece, CYAN) for piece in [coming[: room - len(history)], *more])
    name = tables.visible(input_text(said.input))
    head = f"  {name}: {len(history)} step{'s' * (len(history) != 1)} of history{PARTING}the forecast"
    ends = f"  {times[0]}  {values[0]:.6g}   to   {times[-1]}  {values[-1]:.6g}"
    return f"{head}\n  {known}{PARTING}{coming}\n{ends}"


def forecast_lines(said: "Prediction") -> str:
    """Return a forecast as a table: a line a step, with its quantiles."""
    quantiles = said.quantiles or {}
    rows = [
        [time, *(f"{value:.6g}" for value in (said.prediction[step], *(q[step] for q in quantiles.values())))]
        for step, time in enumerate(said.timestamps or [])
    ]
    name = input_text(said.input)
    return tables.text_table([name, "forecast", *(f"{level}" for level in quantiles)], rows)


def one_prediction(said: "Prediction", count: int = tables.TOP_LABELS) -> str:
    """Return a prediction to look at: tags under their words, or the `count` likeliest labels as a chart."""
    if said.tags is not None and said.tokens is not None:
        return "\n".join(_painted_rows([said.tokens, said.tags])) if said.tokens else NO_TOKENS
    if said.timestamps is not None:
        return f"{forecast_picture(said)}\n\n{forecast_lines(said)}"
    head = paint(tables.fit(input_text(said.input) or "(an empty text)", columns()), BOLD)
    if said.n_best is not None:
        rows = [(f"{one['score']:8.3f}", tables.visible(one["prediction"]) or EMPTY) for one in said.n_best]
        return "\n".join([head, *(f"  {score}  {text}" for score, text in rows)])
    if said.gaps is not None:
        charts = [tables.bars(gap["probabilities"], columns(), count) for gap in said.gaps]
        return "\n".join([head, _filled(said), *("\n".join(["", *chart]) for chart in charts)])
    if is_numbers(said.prediction):
        return f"{head}\n  {tables.numbers(said.prediction)}"
    if said.probabilities is None:
        return f"{head}\n  {tables.visible(str(said.prediction)) or EMPTY}"
    return "\n".join([head, *tables.bars(said.probabilities, columns(), count)])


def prediction_line(said: "Prediction") -> str:
    """Return a prediction as one of many: tags under their words, or label, probability and text."""
    if said.tags is not None:
        return one_prediction(said) + "\n"
    if said.timestamps is not None:
        return f"{one_prediction(said)}\n"
    if said.score is not None:
        half = max(20, columns() // 2 - 2)
        return f"{tables.pad(tables.fit(input_text(said.input), half), half)}  {_written(said)}"
    if said.gaps is not None:
        return tables.fit(input_text(said.prediction), max(20, columns()))
    if is_numbers(said.prediction):
        made = tables.fit(tables.numbers(said.prediction, 3), 40)
        return f"{tables.pad(made, 20)}  {tables.fit(input_text(said.input), max(20, columns() - 42))}"
    sure = f"{100 * said.probabilities[said.prediction]:5.1f} %  " if said.probabilities else ""
    label = tables.pad(tables.fit(str(said.prediction), 20), 20)
    return f"{label}  {sure}{tables.fit(input_text(said.input), max(20, columns() - 32))}"


def _written(said: "Prediction") -> str:
    """Return what a model wrote, the best of several first."""
    return " | ".join(
        tables.visible(one["prediction"]) for one in said.n_best or [{"prediction": said.prediction}]
    )


def _filled(said: "Prediction", gold: Any = None) -> str:
    """Return a filled sentence, what was filled in colour, and in brackets what is right where it differs."""
    words = []
    places = {gap["place"] for gap in said.gaps or ()}
    for place, token in enumerate(said.tokens or ()):
        shown = tables.visible(token)
        if place in places:
            shown = paint(shown, CYAN)
            if gold is not None and gold[place] != token:
                shown += paint(f" ({tables.visible(gold[place])})", RED)
        words.append(shown)
    if gold is None and isinstance(said.prediction, str):
        return f"  {paint(tables.visible(said.prediction), CYAN)}"
    return "  → " + " ".join(words)


def is_numbers(prediction: Any) -> bool:
    """Say whether a prediction is a number, a list of them, or several of either by name."""
    if isinstance(prediction, dict):
        return all(is_numbers(value) for value in prediction.values())
    if isinstance(prediction, list):
        return all(isinstance(value, float) for value in prediction)
    return isinstance(prediction, float)


def input_text(raw: Any) -> str:
    """Return an input in words: a text as it is, tokens with spaces, numbers by their shape."""
    if isinstance(raw, str):
        return raw
    if isinstance(raw, Sequence) and all(isinstance(token, str | None) for token in raw):
        return " ".join("___" if token is None else token for token in raw)
    cells = raw[0].tolist() if isinstance(raw, np.ndarray) and raw.ndim > 1 and len(raw) == 1 else raw
    if isinstance(cells, list) and all(isinstance(cell, float | str) for cell in cells):
        return ", ".join(cell if isinstance(cell, str) else f"{cell:g}" for cell in cells)
    shape = list(raw.shape) if hasattr(raw, "shape") else [len(raw)]
    return f"series of shape {shape}"


def described(run: "Run") -> str:
    """Return a run's layers, settings, data and scores."""
    info = run.info()
    total = f"{info['parameters']:,}"
    layers = []
    for name, module in run.model.named_modules():
        own = list(module.parameters(recurse=False))
        if own:
            layers.append([
                name or "model",
                type(module).__name__,
                ", ".join("x".join(str(size) for size in weight.shape) for weight in own[:2])
                + (", …" if len(own) > 2 else ""),
                f"{sum(weight.numel() for weight in own):,}",
            ])  # fmt: skip
    layers.append(["all", "", "", total])
    blocks = [
        f"{info['folder'] or 'a run without a folder'}: {info['task']}, {info['chosen'].get('cell')}, "
        f"{total} parameters",
        tables.text_table(["layer", "kind", "weights", "parameters"], layers, left=3),
        _settings_lines(info),
        _data_lines(info),
    ]
    metric = str(run.result.get("metric", run.task.metric))
    part = "test" if run.result.get("test") else "valid"
    if run.result.get(part):
        blocks.append(tables.scores_table(run.result[part], "validation" if part == "valid" else part))
    if run.result:
        blocks.append(tables.wrapped(tables.verdict_of(run.result, part, metric), columns()))
    return "\n\n".join(blocks)


def _settings_lines(info: dict[str, Any]) -> str:
    given = info["settings"]
    rows = [
        [name, str(given.get(name, value)), "given" if name in given else ""]
        for name, value in info["chosen"].items()
    ]
    widths = [max(cell_len(tables.visible(row[place])) for row in rows) for place in (0, 1)]
    lines = [
        f"  {name:<{widths[0]}}  {tables.pad(tables.visible(value), min(widths[1], 40))}  {origin}".rstrip()
        for name, value, origin in rows
    ]
    return "\n".join(["  settings", *lines])


def _data_lines(info: dict[str, Any]) -> str:
    lines = ["  data"]
    for name, value in info["data"].items():
        if isinstance(value, dict):
            lines.append(
                f"  {name:<8} {value.get('examples', 0):>9,}  {tables.visible(str(value.get('file', '')))}"
            )
        else:
            lines.append(f"  {name:<8} {tables.format_metric(name, value):>9}")
    return "\n".join(lines)


def _painted_rows(rows: Sequence[Sequence[str]], indent: str = "") -> list[str]:
    """Return aligned rows: words plain, their tags in colour, and in red what is true where it differs."""
    codes = ["", CYAN, RED]
    lines = []
    blocks = tables.aligned(rows, columns() - len(indent))
    for block in blocks:
        lines += [
            indent + (paint(line, code) if code else line) for line, code in zip(block, codes, strict=False)
        ]
        if len(blocks) > 1:
            lines.append("")
    return lines[:-1] if len(blocks) > 1 else lines
