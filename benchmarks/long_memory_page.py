"""The table and the pictures of long_memory.py: plain Markdown and SVG, from its records alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 720, 340, 60, 40, 150, 46
COLOURS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#777777"]
"""Paul Tol's bright scheme: told apart with colour-blind eyes too; each line has its name beside its end."""

WORDS = {"adding": "mean squared error", "copy": "nats a step"}


def draw_page(records: Sequence[dict[str, Any]], results: Path, docs: Path) -> None:
    """Write results/long_memory.md, and docs/long_memory_PROBLEM_STEPS.svg of the first seed.

    Args:
        records: the measurements.
        results, docs: folders to write to.
    """
    if not records:
        return
    (results / "long_memory.md").write_text(table(records), encoding="utf-8")
    print(table(records))
    for problem, steps in sorted({(row["problem"], row["steps"]) for row in records}):
        shown = [row for row in records if (row["problem"], row["steps"]) == (problem, steps)]
        first = min(row["seed"] for row in shown)
        curves = {row["network"]: row["curve"] for row in shown if row["seed"] == first}
        path = docs / f"long_memory_{problem}_{steps}.svg"
        path.write_text(picture(curves, problem, steps, shown[0]["chance"]), encoding="utf-8")


def table(records: Sequence[dict[str, Any]]) -> str:
    """Return a Markdown table, a line a measurement."""
    head = [
        "problem",
        "T",
        "network",
        "seed",
        "solved",
        "test loss",
        "chance",
        "updates",
        "seconds",
        "of CPU",
        "threads",
    ]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in sorted(records, key=lambda r: (r["problem"], r["steps"], r["network"], r["seed"])):
        cells = [
            row["problem"],
            row["steps"],
            row["network"],
            row["seed"],
            "yes" if row["solved"] else f"not in {row['minutes_allowed']:g} minutes",
            f"{row['test_loss']:.4f}",
            f"{row['chance']:.4f}",
            f"{row['updates']:,}",
            f"{row['seconds']:.0f}",
            f"{row['cpu_seconds']:.0f}",
            row["threads"],
        ]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    made = max(records, key=lambda row: row["date"])
    where = f"{made['cores']} CPU cores ({made['machine']}), torch {made['versions']['torch']}"
    lines += ["", f"Made by `benchmarks/long_memory.py`, last on {made['date']}, {where}.", ""]
    return "\n".join(lines)


def picture(curves: dict[str, list[list[float]]], problem: str, steps: int, chance: float) -> str:
    """Return test losses over updates as SVG, a line a network.

    Args:
        curves: network -> [update, seconds, loss] of each look.
        problem, steps, chance: for the title and the dashed line.
    """
    last = max(point[0] for curve in curves.values() for point in curve) or 1
    highest = 1.25 * chance

    def place(update: float, loss: float) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - RIGHT) * update / last
        return x, TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(loss, highest) / highest)

    level = place(0, chance)[1]
    parts = [
        f'<text x="{LEFT}" y="22" font-size="15">{problem} over {steps} steps: {WORDS[problem]}</text>',
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{level:.1f}" y2="{level:.1f}" stroke="#777" '
        'stroke-dasharray="5 4"/>',
        f'<text x="{LEFT + 6}" y="{level - 5:.1f}">who remembers nothing: {chance:.3f}</text>',
        *_axes(last, highest, place),
    ]
    ends: list[float] = []
    for name, colour in zip(sorted(curves, key=lambda n: -curves[n][-1][2]), COLOURS, strict=False):
        points = [place(update, loss) for update, _, loss in curves[name]]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x, y = points[-1]
        low = max([y, *(end + 15 for end in ends)]) if ends else y  # names do not stand on each other
        ends.append(low)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 10}" y="{low + 4:.1f}" fill="{colour}">{name}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12" fill="#333"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
        + "\n".join(parts) + "</svg>\n"
    )  # fmt: skip


def _axes(last: float, highest: float, place: Any) -> list[str]:
    """Return both axes with five numbers each."""
    (left, bottom), (right, top) = place(0, 0), place(last, highest)
    parts = [f'<path d="M{left},{top:.1f} V{bottom:.1f} H{right:.1f}" fill="none" stroke="#333"/>']
    for part in range(5):
        x, _ = place(last * part / 4, 0)
        _, y = place(0, highest * part / 4)
        anchor = "end" if part == 4 else "middle"  # names of curves stand to the right of the last one
        parts.append(
            f'<text x="{x:.1f}" y="{bottom + 16:.1f}" text-anchor="{anchor}">{last * part / 4:,.0f}</text>'
        )
        parts.append(
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{highest * part / 4:.2f}</text>'
        )
    middle = (left + right) / 2
    return [*parts, f'<text x="{middle:.1f}" y="{bottom + 34:.1f}" text-anchor="middle">updates</text>']
