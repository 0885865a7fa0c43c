"""The table and the picture of report_card.py: plain Markdown and SVG, from its records alone."""

import html
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from elman.xray.problems import PROBLEMS
from elman.xray.report_card import interval

MARKER = "## Measured"
"""A heading of docs/report_card.md; what follows it is replaced."""

LEFT, TOP, ROW, BAR, WIDTH, RIGHT = 150, 50, 24, 14, 720, 70
COLOURS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#777777"]
"""Paul Tol's bright scheme: told apart with colour-blind eyes too; each bar has its name beside it."""


def draw_page(records: Sequence[dict[str, Any]], results: Path, docs: Path) -> None:
    """Write results/report_card.md and docs/report_card.svg, and put both into docs/report_card.md.

    Args:
        records: the measurements.
        results, docs: folders to write to.
    """
    if not records:
        return
    text = table(records)
    (results / "report_card.md").write_text(text, encoding="utf-8")
    (docs / "report_card.svg").write_text(picture(records), encoding="utf-8")
    page = docs / "report_card.md"
    before = page.read_text(encoding="utf-8").partition(f"\n{MARKER}\n")[0]
    shown = f"![Scores of each cell on each problem](report_card.svg)\n\n{text}"
    page.write_text(f"{before}\n{MARKER}\n\n{shown}", encoding="utf-8")
    print(text)


def grouped(records: Sequence[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the records of each (problem, cell), in the order of the problems."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    order = {name: place for place, name in enumerate(PROBLEMS)}
    for row in sorted(records, key=lambda row: order.get(row["problem"], len(order))):
        groups.setdefault((row["problem"], row["cell"]), []).append(row)
    return groups


def spread(values: Sequence[float], digits: int) -> str:
    """Return a mean with its interval; a single value as it is."""
    middle, half = interval(values)
    return f"{middle:.{digits}f}" + (f" ± {half:.{digits}f}" if math.isfinite(half) else "")


def table(records: Sequence[dict[str, Any]]) -> str:
    """Return a Markdown table, a line for each problem and cell."""
    head = ["problem", "cell", "seeds", "score", "measured", "chance", "solved", "updates", "parameters",
            "ms an update"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for (problem, cell), rows in grouped(records).items():
        measure = "MSE" if problem == "adding" else "accuracy"
        cells = [
            problem,
            cell,
            len(rows),
            spread([row["score"] for row in rows], 3),
            f"{measure} {spread([row['measured'] for row in rows], 4)}",
            f"{rows[0]['chance']:.4f}",
            f"{sum(row['ended'] == 'solved' for row in rows)} of {len(rows)}",
            f"{statistics.median(row['updates'] for row in rows):,.0f}",
            f"{rows[0]['parameters']:,}",
            f"{statistics.median(row['milliseconds'] for row in rows):.1f}",
        ]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    made = max(records, key=lambda row: row["date"])
    where = f"{made['threads']} thread of {made['cores']} CPU cores ({made['machine']})"
    lines += ["", "Means over seeds with 95 % intervals by Student's t; updates and ms: medians. Made by "
              f"`benchmarks/report_card.py`, last on {made['date']}, {where}, "
              f"torch {made['versions']['torch']}, "
              f"at most {made['seconds_allowed']:g} s of it for each network.", ""]  # fmt: skip
    return "\n".join(lines)


def picture(records: Sequence[dict[str, Any]]) -> str:
    """Return the scores as SVG: a bar for each problem and cell, a line for its interval, chance at 0."""
    groups = grouped(records)
    cells = list(dict.fromkeys(cell for _, cell in groups))
    parts, y, before = [], TOP, ""

    def place(score: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, max(0.0, score))

    for (problem, cell), rows in groups.items():
        if problem != before:
            y += 0 if not before else 12
            parts.append(f'<text x="8" y="{y + 12}" font-weight="bold">{html.escape(problem)}</text>')
            before = problem
        middle, half = interval([row["score"] for row in rows])
        colour, right = COLOURS[cells.index(cell) % len(COLOURS)], place(middle)
        parts.append(f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{html.escape(cell)}</text>')
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{right - LEFT:.1f}" height="{BAR}" fill="{colour}"/>')
        end = right
        if math.isfinite(half):
            low, high, line = place(middle - half), place(middle + half), y + BAR / 2
            parts.append(f'<path d="M{low:.1f},{line} H{high:.1f}" stroke="#333" stroke-width="1.5"/>')
            end = high
        parts.append(f'<text x="{end + 6:.1f}" y="{y + 12}">{middle:.2f}</text>')
        y += ROW
    for score, words in ((0.0, "chance"), (1.0, "no error")):
        x = place(score)
        parts.append(f'<path d="M{x:.1f},{TOP - 8} V{y}" stroke="#777" stroke-dasharray="4 4"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP - 14}" text-anchor="middle">{words}</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 16}" font-family="sans-serif" '
        f'font-size="12" fill="#333"><rect width="{WIDTH}" height="{y + 16}" fill="white"/>\n'
        f'<text x="8" y="20" font-size="15">What each cell learns: score, 95 % interval over seeds</text>\n'
        f"{body}</svg>\n"
    )
