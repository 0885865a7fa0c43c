"""TRACE DRAWING: an unrolled recurrent network as SVG, with the numbers of one sequence in its boxes.

Time goes from left to right and layers from the bottom to the top, as on a blackboard. Each box has
one cell a number: red above zero, blue below, the deeper the larger; a saturated one has a thick border.
"""

from __future__ import annotations

import html
from itertools import pairwise

from elman.xray.blackboard import number
from elman.xray.hand_cells import Array
from elman.xray.tracing import KINDS, LayerTrace, Trace, marked

CELL_WIDTH, CELL_HEIGHT, GAP, LEFT, TOP = 58, 16, 44, 130, 36
POSITIVE, NEGATIVE = (204, 51, 17), (0, 119, 187)
"""Red and blue of Paul Tol's vibrant scheme, told apart with colour-blind eyes."""


def draw(trace: Trace, digits: int = 2) -> str:
    """Return the drawing of a trace, a standalone SVG.

    Args:
        trace: what to draw; every step is a column, so a sentence rather than a book.
        digits: after the point.

    Example:
        >>> import torch
        >>> from elman.xray.tracing import trace
        >>> draw(trace(torch.nn.RNN(2, 3), torch.ones(4, 2), labels=["a", "b", "c", "d"]))[:4]
        '<svg'
    """
    rows = [("input x", trace.x, None), *((part.name, part.hidden, part) for part in trace.layers)]
    if trace.scores is not None:
        rows.append(("output y", trace.scores, None))
    heights = [values.shape[1] * CELL_HEIGHT for _, values, _ in rows]
    total = TOP + sum(heights) + GAP * len(rows)
    width = LEFT + len(trace.labels) * (CELL_WIDTH + GAP)
    tops = [total - 24 - sum(heights[: place + 1]) - GAP * place for place in range(len(rows))]
    parts = [
        _words(_column(t) + CELL_WIDTH / 2, total - 6, label, "middle", bold=True)
        for t, label in enumerate(trace.labels)
    ]
    for (name, values, part), top, height in zip(rows, tops, heights, strict=True):
        parts.append(_words(LEFT - 26, top + height / 2 + 4, name, "end"))
        parts += _boxes(values, part, top, digits)
        if part is not None:
            parts += _over_time(part, top + height / 2)
    for source, goal, level in _readings(trace):
        ends = tops[source], tops[goal] + heights[goal]
        parts += [
            _up(t, *ends, lane=1 + level % 2 if goal - source > 1 else 0) for t in range(len(trace.labels))
        ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {total}" '
        'font-family="sans-serif" font-size="11" fill="#222"><defs>'
        '<marker id="tip" markerWidth="7" markerHeight="7" refX="6" refY="3" '
        'orient="auto"><path d="M0,0 L6,3 L0,6 Z" fill="#555"/></marker></defs>'
        f'<rect width="{width}" height="{total}" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _readings(trace: Trace) -> list[tuple[int, int, int]]:
    """Return which row is read by which, and its level; row 0 is the input, the last one the output."""
    directions = 2 if any(part.is_reverse for part in trace.layers) else 1
    levels = [[0]]
    for first in range(0, len(trace.layers), directions):
        levels.append([1 + first + direction for direction in range(directions)])
    if trace.scores is not None:
        levels.append([1 + len(trace.layers)])
    steps = enumerate(pairwise(levels))
    return [(s, g, level) for level, (below, above) in steps for s in below for g in above]


def _column(t: int) -> float:
    return LEFT + t * (CELL_WIDTH + GAP)


def _boxes(values: Array, part: LayerTrace | None, top: float, digits: int) -> list[str]:
    """Return a column of cells for each step."""
    largest = max(float(abs(values).max()), 1e-12) if part is None else 1.0
    found = []
    for t, column in enumerate(values):
        for unit, value in enumerate(column.tolist()):
            y = top + unit * CELL_HEIGHT
            mark = marked(KINDS[part.mode], value) if part is not None else ""
            border = 'stroke="#222" stroke-width="2"' if mark else 'stroke="#999" stroke-width="0.5"'
            found.append(
                f'<rect x="{_column(t)}" y="{y:g}" width="{CELL_WIDTH}" height="{CELL_HEIGHT}" '
                f'fill="{_colour(value / largest)}" {border}/>'
            )
            found.append(_words(_column(t) + CELL_WIDTH / 2, y + 12, number(value, digits) + mark, "middle"))
    return found


def _over_time(part: LayerTrace, y: float) -> list[str]:
    """Return the arrows between steps, in the direction that the layer reads."""
    arrows = []
    for t in range(len(part.steps) - 1):
        left, right = _column(t) + CELL_WIDTH + 3, _column(t + 1) - 3
        start, end = (right, left) if part.is_reverse else (left, right)
        arrows.append(_arrow(start, y, end, y))
    return arrows


def _up(t: int, start: float, end: float, lane: int) -> str:
    """Return the arrow from the top of one box to the bottom of another, around boxes in between."""
    middle = _column(t) + CELL_WIDTH / 2
    if lane == 0:
        return _arrow(middle, start - 4, middle, end + 4)
    side = _column(t) - 2 - 7 * lane
    return (
        f'<path d="M{middle:g},{start - 4:g} V{start - 12:g} H{side:g} V{end + 14:g} H{middle:g} '
        f'V{end + 4:g}" fill="none" stroke="#999" stroke-width="1" marker-end="url(#tip)"/>'
    )


def _arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="#555" stroke-width="1.3" '
        'marker-end="url(#tip)"/>'
    )


def _words(x: float, y: float, text: str, anchor: str, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{weight}>{html.escape(text)}</text>'


def _colour(share: float) -> str:
    """Return white at 0 and the full colour at 1 and -1."""
    goal = POSITIVE if share > 0 else NEGATIVE
    depth = 0.75 * min(abs(share), 1.0)
    return "#" + "".join(f"{round(255 + depth * (part - 255)):02x}" for part in goal)
