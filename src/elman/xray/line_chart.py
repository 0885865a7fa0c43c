"""LINE CHART: a few curves as a standalone SVG, each with its name at its end; for pages and examples."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

from elman.errors import ConfigError

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 320, 66, 40, 150, 46
COLOURS = ("#4477aa", "#ee6677", "#228833", "#aa3377", "#777777", "#ccbb44", "#66ccee")
"""Paul Tol's bright scheme: told apart with colour-blind eyes too."""

Curve = Sequence[tuple[float, float]]


def draw_lines(curves: Mapping[str, Curve], title: str, *, across: str, up: str, is_log: bool = False) -> str:
    """Return curves as SVG.

    Args:
        curves: name -> its points (x, y), at most seven curves; a number that is not finite ends a
            curve, and so does one that is not above zero on a logarithmic axis.
        title: above the picture.
        across, up: what the axes show.
        is_log: the y axis is logarithmic.

    Raises:
        ConfigError: nothing to draw, or more than seven curves.

    Example:
        >>> draw_lines({"square": [(0, 0), (1, 1), (2, 4)]}, "powers", across="x", up="y")[:4]
        '<svg'
    """
    shown = {name: _kept(points, is_log) for name, points in curves.items()}
    shown = {name: points for name, points in shown.items() if points}
    if not shown or len(shown) > len(COLOURS):
        raise ConfigError(f"there are {len(shown)} curves to draw; expected 1 to {len(COLOURS)}.")
    flat = [point for points in shown.values() for point in points]
    low_x, high_x = min(x for x, _ in flat), max(x for x, _ in flat)
    low_y, high_y = min(y for _, y in flat), max(y for _, y in flat)
    low_y = low_y if is_log else min(low_y, 0.0)
    span_x, span_y = (high_x - low_x) or 1.0, (high_y - low_y) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        across_x = LEFT + (WIDTH - LEFT - RIGHT) * (x - low_x) / span_x
        return across_x, TOP + (HEIGHT - TOP - BOTTOM) * (1 - (y - low_y) / span_y)

    parts = [f'<text x="{LEFT}" y="22" font-size="15">{html.escape(title)}</text>']
    parts += _axes((low_x, span_x), (low_y, span_y), is_log, (across, up))
    ends: list[float] = []
    # From the top down, so that names that stand too close are moved down in their order.
    for name, colour in sorted(zip(shown, COLOURS, strict=False), key=lambda one: -shown[one[0]][-1][1]):
        points = [place(x, y) for x, y in shown[name]]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x, y = points[-1]
        ends.append(max(y, ends[-1] + 15) if ends else y)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
        words = html.escape(name)
        parts.append(f'<text x="{WIDTH - RIGHT + 10}" y="{ends[-1] + 4:.1f}" fill="{colour}">{words}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12" fill="#333"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _kept(points: Curve, is_log: bool) -> list[tuple[float, float]]:
    """Return the points up to the first that cannot be drawn, on the scale of the axis."""
    kept: list[tuple[float, float]] = []
    for x, y in points:
        if not math.isfinite(y) or (is_log and y <= 0):
            break
        kept.append((x, math.log10(y) if is_log else y))
    return kept


def _axes(
    across: tuple[float, float], up: tuple[float, float], is_log: bool, names: tuple[str, str]
) -> list[str]:
    """Return both axes with five numbers each; `across` and `up` are the lowest number and the span."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [f'<path d="M{LEFT},{TOP} V{bottom} H{right}" fill="none" stroke="#333"/>']
    for part in range(5):
        x, y = LEFT + (right - LEFT) * part / 4, bottom - (bottom - TOP) * part / 4
        value = up[0] + up[1] * part / 4
        words = f"{10**value:.1e}" if is_log else f"{value:.3g}"
        step = f"{across[0] + across[1] * part / 4:g}"
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{step}</text>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{words}</text>')
    parts.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{names[0]}</text>')
    parts.append(f'<text x="{LEFT}" y="{TOP - 6}" text-anchor="middle" font-size="11">{names[1]}</text>')
    return parts
