"""TABLES: results as text for a terminal: scores beside the baseline's, tags under their words, bars.

Functions return text and print nothing. Widths are counted in terminal cells: a Chinese character takes two,
a combining accent none.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len, chop_cells, set_cell_size

from elman.column_widths import lay_out
from elman.metrics import SMALLER_IS_BETTER

FRACTIONS = frozenset({
    "accuracy", "top5_accuracy", "macro_f1", "precision", "recall", "f1",
    "exact_match", "token_error_rate", "word_error_rate", "character_error_rate", "exposure_gap",
})  # fmt: skip
"""Metrics that are fractions of one, shown as per cent."""

TOP_LABELS = 5
"""Labels whose probability is shown for one text."""

UNSCORED = "Nothing was held out, so nothing was scored: the weights are those of the last epoch."
"""What is said of a model that was trained on all data."""

MOST_CLASSES = 20
"""Rows of a per-class table; `--json` and the report hold all."""


def format_metric(name: str, value: Any, digits: int = 1) -> str:
    """Return a metric's value as it is read best.

    Example:
        >>> format_metric("accuracy", 0.8316), format_metric("loss", 0.52341), format_metric("f1", None)
        ('83.2 %', '0.5234', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if name in FRACTIONS:
        return f"{100 * value:.{digits}f} %"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if 0.01 <= abs(value) < 1000 else f"{value:.4g}"


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds: 83 -> "1:23"; an hour or more as "1:02:03"."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def visible(text: str) -> str:
    """Return text that cannot steer a terminal: control characters become visible pictures of themselves.

    Example:
        >>> visible("a\\x1b[31mb\\n")
        'a␛[31mb␊'
    """
    return "".join(_picture(character) for character in text)


def _picture(character: str) -> str:
    number = ord(character)
    if number < 0x20:
        return chr(0x2400 + number)
    if number == 0x7F:
        return "␡"
    # C1 controls, and the marks that reorder a line (bidirectional overrides and isolates).
    if 0x80 <= number < 0xA0 or number in range(0x202A, 0x202F) or number in range(0x2066, 0x206A):
        return "�"
    return character


def fit(text: str, width: int) -> str:
    """Return text in at most `width` cells, "…" where it was cut."""
    text = visible(text)
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)).rstrip() + "…"


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Return text filled up with spaces to `width` cells; in front of it with `right`."""
    space = " " * max(0, width - cell_len(text))
    return space + text if right else text + space


def columns() -> int:
    """Return the width of the terminal; 80 where there is none."""
    return shutil.get_terminal_size((80, 24)).columns


def wrapped(text: str, width: int, first: str = "", later: str = "") -> str:
    """Return a text as lines of `width` cells at most, the first and the later ones set in by these.

    Example:
        >>> print(wrapped("note: one of three is left", 18, later="  "))
        note: one of three
          is left
    """
    room = max(width - max(cell_len(first), cell_len(later)), 1)
    lines: list[str] = []
    for word in visible(text).split():
        if lines and cell_len(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
            continue
        for piece in chop_cells(word, room):  # a word of several lines, as a path may be, loses nothing
            lines.append((later if lines else first) + piece)
    return "\n".join(fit(line, width) for line in lines)


def text_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1, width: int | None = None
) -> str:
    """Return rows under a header, the first `left` columns to the left and the others, numbers, to the right.

    Where they are too wide, texts are cut as long as enough of them is left; then the numbers that have no
    room follow in a block below, beside the texts again.

    Args:
        width: cells of a line at most; None: of the terminal.

    Example:
        >>> print(text_table(["", "model", "baseline"], [["accuracy", "83.2 %", "71.0 %"]]))
                     model  baseline
          accuracy  83.2 %    71.0 %
    """
    width = columns() if width is None else width
    table = [[visible(cell) for cell in row] for row in [header, *rows]]
    widths = [max(cell_len(row[column]) for row in table) for column in range(len(header))]
    texts, numbers, blocks = lay_out(widths, left, width)
    return "\n\n".join(_block(table, texts, numbers, left, block) for block in blocks)


def _block(
    table: Sequence[Sequence[str]],
    texts: Sequence[int],
    numbers: Sequence[int],
    left: int,
    block: Sequence[int],
) -> str:
    """Return some of the columns of numbers beside the texts."""
    lines = []
    for row in table:
        cells = [pad(fit(cell, cells), cells) for cell, cells in zip(row[:left], texts, strict=True)]
        cells += [pad(fit(row[left + at], numbers[at]), numbers[at], right=True) for at in block]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def scores_table(metrics: Mapping[str, Any], part: str) -> str:
    """Return the metrics of one part of the data, beside the baseline's where it has any.

    Args:
        metrics: names to numbers, and "baseline" to the baseline's.
        part: "test", "validation" or a file's name, for the header.
    """
    baseline = metrics.get("baseline") or {}
    others = baseline.get("others") or {}
    names = [name for name, value in metrics.items() if is_number(value)]
    rivals = {str(baseline.get("name", "baseline")): baseline, **others} if baseline else {}
    header = [part, "model", *rivals]
    rows = []
    for name in names:
        row = [name.replace("_", " "), format_metric(name, metrics[name], 2)]
        rows.append(row + [format_metric(name, rival.get(name), 2) for rival in rivals.values()])
    return text_table(header, rows)


SPARKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float]) -> str:
    """Return numbers as a line of small bars; a gap where one is missing.

    Example:
        >>> sparkline([0.0, 1.0, float("nan"), 2.0])
        '▁▄ █'
    """
    known = [value for value in values if value == value]
    low, high = min(known, default=0.0), max(known, default=0.0)
    span = (high - low) or 1.0
    top = len(SPARKS) - 1
    return "".join(SPARKS[int((value - low) / span * top)] if value == value else " " for value in values)


def per_target_table(metrics: Mapping[str, Any]) -> str:
    """Return mae, rmse and r2 of each of several targets; "" where there are none."""
    table = metrics.get("per_target") or {}
    if not table:
        return ""
    names = list(next(iter(table.values())))
    rows = [
        [fit(target, 24), *(format_metric(name, own[name]) for name in names)]
        for target, own in table.items()
    ]
    return text_table(["target", *names], rows)


def per_class_table(metrics: Mapping[str, Any]) -> str:
    """Return precision, recall and F1 of the most frequent classes; "" where there are none."""
    table = metrics.get("per_class") or {}
    if not table:
        return ""
    labels = sorted(table, key=lambda label: (-table[label].get("support", 0), label))
    columns = [name for name in ("precision", "recall", "f1", "support") if name in table[labels[0]]]
    rows = [
        [fit(label, 24), *(format_metric(name, table[label].get(name)) for name in columns)]
        for label in labels[:MOST_CLASSES]
    ]
    text = text_table(["label", *columns], rows)
    hidden = len(labels) - MOST_CLASSES
    return text + (f"\n  … and {hidden} rarer labels (--json has all)" if hidden > 0 else "")


def confusions_table(confusion: Sequence[Sequence[int]], labels: Sequence[str], count: int = 8) -> str:
    """Return which labels were most often taken for which.

    Args:
        confusion: how often each label (row) was given each label (column).
        labels: their names.
        count: rows at most.

    Example:
        >>> print(confusions_table([[8, 2], [0, 9]], ["ham", "spam"]))
          truly  taken for  times  of that label
          ham    spam           2         20.0 %
    """
    wrong = [
        (-times, gold, said)
        for gold, row in enumerate(confusion)
        for said, times in enumerate(row)
        if gold != said and times
    ]
    rows = []
    for minus_times, gold, said in sorted(wrong)[:count]:
        share = -100 * minus_times / sum(confusion[gold])
        rows.append([labels[gold], labels[said], f"{-minus_times:,}", f"{share:.1f} %"])
    return text_table(["truly", "taken for", "times", "of that label"], rows, left=2)


def numbers(value: Any, most: int = 12) -> str:
    """Return a predicted number, a list of them (the first `most`), or several of either by name, as a line.

    Example:
        >>> numbers(12.3456), numbers([1.0, 2.5, 4.0], 2), numbers({"a": 1.0, "b": [2.0]})
        ('12.35', '1  2.5  …', 'a 1, b 2')
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{visible(name)} {numbers(item, most)}" for name, item in value.items())
    if isinstance(value, list):
        if len(value) == 1:
            return numbers(value[0], most)
        kept = ["–" if item is None else numbers(item, most) for item in value[:most]]
        return "  ".join([*kept, *(["…"] if len(value) > most else [])])
    return "–" if value != value else f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def is_number(value: Any) -> bool:
    """Say whether a metric is one number (and not a table, a name or nothing)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def verdict(metrics: Mapping[str, Any], metric: str, where: str) -> str:
    """Return the result in one sentence, beside the baseline's, whichever is better.

    Args:
        metrics: names to numbers, and "baseline" to the baseline's.
        metric: the one that is spoken of.
        where: what it was measured on: "the test part", or a file's name.

    Example:
        >>> print(verdict({"f1": 0.9, "baseline": {"name": "majority", "f1": 0.8}}, "f1", "test.csv"))
        F1 on test.csv is 90.0 %, 10.0 points above the baseline (majority, 80.0 %): half its errors ...
    """
    own = metrics.get(metric)
    if not is_number(own):
        return f"No {metric.replace('_', ' ')} could be measured on {visible(where)}."
    name = metric.replace("_", " ")
    said = f"{name[0].upper()}{name[1:]} on {visible(where)} is {format_metric(metric, own)}"
    baseline = metrics.get("baseline") or {}
    other = baseline.get(metric)
    if own is None or not is_number(other) or other is None:
        return f"{said}."
    rival = f"the baseline ({baseline.get('name', 'baseline')}, {format_metric(metric, other)})"
    is_error = metric in SMALLER_IS_BETTER
    if metric not in FRACTIONS:
        if format_metric(metric, own) == format_metric(metric, other):
            return f"{said}, the same as {rival}."
        if (own < other) == is_error:
            return f"{said}, better than {rival}."
        return f"{said}, worse than {rival}: use that, or train longer or on more data."
    points = 100 * (other - own if is_error else own - other)
    if abs(points) < 0.05:
        return f"{said}, the same as {rival}."
    better, worse = ("below", "above") if is_error else ("above", "below")
    if points < 0:
        return f"{said}, {-points:.1f} points {worse} {rival}: use that, or train longer or on more data."
    gone = _share(points / 100 / (other if is_error else 1 - other))
    return f"{said}, {points:.1f} points {better} {rival}: {gone} its errors are gone."


def verdict_of(result: Mapping[str, Any], part: str, metric: str) -> str:
    """Return the verdict on one part of what `result.json` holds, or that nothing was scored.

    Args:
        result: part -> metrics, and "kept".
        part: "test" or "valid".
        metric: the one that is spoken of.

    Example:
        >>> verdict_of({"kept": "best", "valid": {"f1": 0.9}}, "valid", "f1")
        'F1 on the validation part is 90.0 %.'
    """
    if not result.get(part) and result.get("kept") == "last":
        return UNSCORED
    name = "validation" if part == "valid" else part
    return verdict(result.get(part) or {}, metric, f"the {name} part")


def _share(fraction: float) -> str:
    """Return a share in words where a word is exact enough, else in per cent."""
    if abs(fraction - 0.5) < 0.01:
        return "half"
    return "all" if fraction > 0.9995 else f"{100 * fraction:.0f} % of"


def aligned(rows: Sequence[Sequence[str]], width: int) -> list[tuple[str, ...]]:
    """Return rows of words set under each other, broken so that no line is wider than `width`.

    Args:
        rows: the words, their tags, and what else has one entry a word.
        width: columns of the terminal, in cells.

    Returns:
        One tuple of lines, a line a row, for each piece of the sequence.

    Example:
        >>> for lines in aligned([["Ada", "sleeps"], ["PROPN", "VERB"]], 80):
        ...     print("\\n".join(lines))
        Ada    sleeps
        PROPN  VERB
    """
    pieces: list[list[tuple[str, ...]]] = [[]]
    used = 0
    for column in zip(*rows, strict=True):
        cells = [fit(cell, width) for cell in column]
        needed = max(cell_len(cell) for cell in cells)
        if pieces[-1] and used + needed > width:
            pieces.append([])
            used = 0
        pieces[-1].append(tuple(pad(cell, needed) for cell in cells))
        used += needed + 2
    return [tuple("  ".join(line).rstrip() for line in zip(*piece, strict=True)) for piece in pieces if piece]


def bars(probabilities: Mapping[str, float], width: int, count: int = TOP_LABELS) -> list[str]:
    """Return the likeliest labels with their probabilities as a small chart.

    Args:
        probabilities: label -> probability.
        width: columns of the terminal, in cells.
        count: labels shown.

    Example:
        >>> print("\\n".join(bars({"Polish": 0.75, "Czech": 0.25}, 40)))
          Polish   75.0 %  ███████████████
          Czech    25.0 %  █████
    """
    top = sorted(probabilities, key=lambda label: (-probabilities[label], label))[:count]
    label_width = min(28, max((cell_len(visible(label)) for label in top), default=0))
    space = max(4, min(20, width - label_width - 14))
    lines = []
    for label in top:
        share = probabilities[label]
        name = pad(fit(label, label_width), label_width)
        lines.append(f"  {name}  {100 * share:5.1f} %  {_bar(share, space)}".rstrip())
    return lines


def _bar(share: float, width: int) -> str:
    """Return a bar to an eighth of a column."""
    eighths = round(share * width * 8)
    return "█" * (eighths // 8) + ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8]
