"""X-RAY, AS A PICTURE: a figure of curves as SVG, for documents where no script runs."""

import math
from typing import Any

from elman.report.xray_marks import Figure, plain

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, BOTTOM = 76, 16, 46
LEGEND_COLUMNS = 2

SVG_DASHES = {
    "dash": "8 4",
    "dot": "2 3",
    "dashdot": "8 3 2 3",
    "longdash": "12 4",
    "longdashdot": "12 3 2 3",
}


def curves_svg(figure: Figure, title: str) -> str:
    """Return a figure of curves as an SVG document.

    Args:
        figure: whose traces are lines, such as `xray_compare.comparison` gives for "gradients".
        title: words above it, also read to those who cannot see it.

    Example:
        >>> from elman.report.xray_marks import axis, figure, line
        >>> drawn = figure([line("a", [1, 2], [0.5, 1.0])], axis("step"), axis("loss"))
        >>> curves_svg(drawn, "loss").count("<polyline")
        1
    """
    layout = figure["layout"]
    shown = [trace for trace in figure["data"] if trace.get("showlegend", True)]
    top = 30 + 16 * math.ceil(len(shown) / LEGEND_COLUMNS)
    x_scale = _Scale(figure, "x", layout["xaxis"], (LEFT, WIDTH - RIGHT))
    y_scale = _Scale(figure, "y", layout["yaxis"], (HEIGHT - BOTTOM, top))
    parts = [_text(LEFT, 20, plain(title, 80), "font-size='15' font-weight='600'")]
    parts += _axes(x_scale, y_scale, layout)
    parts += [piece for place, trace in enumerate(shown) for piece in _entry(place, trace)]
    for shape in layout.get("shapes", []):
        if shape["type"] == "line":
            y = y_scale.place(shape["y0"])
            parts.append(f'<path d="M{LEFT},{y:.1f} H{WIDTH - RIGHT}" stroke="#555" stroke-dasharray="6 4"/>')
    for trace in figure["data"]:
        parts += _curve(trace, x_scale, y_scale)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" fill="#333" '
        f'font-family="sans-serif" font-size="12"><title>{plain(title, 80)}</title>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>' + "\n".join(parts) + "</svg>\n"
    )


class _Scale:
    """From numbers to places in the picture along one axis."""

    def __init__(self, figure: Figure, name: str, axis: dict[str, Any], ends_at: tuple[float, float]) -> None:
        values = [value for trace in figure["data"] for value in trace[name] if value is not None]
        self.log = axis.get("type") == "log"
        ends = axis.get("range") or ([min(values), max(values)] if values else [0.0, 1.0])
        self.low, self.high = (ends[0], ends[1]) if ends[0] != ends[1] else (ends[0], ends[0] + 1)
        if axis.get("autorange") == "reversed":
            self.low, self.high = self.high, self.low
        self.start, self.end = ends_at
        if "tickvals" in axis:
            marks = list(zip(axis["tickvals"], axis["ticktext"], strict=True))
            self.marks: list[tuple[float, str]] = marks
        else:
            self.marks = [(value, f"{value:.6g}") for value in round_numbers(self.low, self.high)]

    def place(self, value: float) -> float:
        own = math.log10(value) if self.log else value
        return self.start + (self.end - self.start) * (own - self.low) / (self.high - self.low)


def round_numbers(first: float, last: float) -> list[float]:
    """Return four to ten round numbers from one end of an axis to the other.

    Example:
        >>> round_numbers(0, 99)
        [0.0, 20.0, 40.0, 60.0, 80.0]
    """
    low, high = min(first, last), max(first, last)
    power = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(digit * power for digit in (10, 5, 2, 1) if digit * power <= (high - low) / 4)
    count = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return [round(number * step, 12) for number in count]


def _axes(x_scale: _Scale, y_scale: _Scale, layout: dict[str, Any]) -> list[str]:
    bottom, right, top = HEIGHT - BOTTOM, WIDTH - RIGHT, y_scale.end
    parts = []
    for value, words in x_scale.marks:
        x = x_scale.place(value)
        parts.append(f'<path d="M{x:.1f},{top} V{bottom}" stroke="#ddd"/>')
        parts.append(_text(x, bottom + 16, words, "text-anchor='middle'"))
    for value, words in y_scale.marks:
        y = y_scale.place(value)
        parts.append(f'<path d="M{LEFT},{y:.1f} H{right}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 6, y + 4, words, "text-anchor='end'"))
    parts.append(f'<path d="M{LEFT},{top} V{bottom} H{right}" fill="none" stroke="#666"/>')
    middle = (top + bottom) / 2
    parts.append(
        _text((LEFT + right) / 2, HEIGHT - 8, layout["xaxis"]["title"]["text"], "text-anchor='middle'")
    )
    turned = f"text-anchor='middle' transform='rotate(-90 16 {middle})'"
    return [*parts, _text(16, middle, layout["yaxis"]["title"]["text"], turned)]


def _entry(place: int, trace: dict[str, Any]) -> list[str]:
    """Give one entry of the legend."""
    x = LEFT + (WIDTH - LEFT) // LEGEND_COLUMNS * (place % LEGEND_COLUMNS)
    y = 40 + 16 * (place // LEGEND_COLUMNS)
    return [f'<path d="M{x},{y - 4} h28" {_look(trace)}/>', _text(x + 34, y, trace["name"], "")]


def _curve(trace: dict[str, Any], x_scale: _Scale, y_scale: _Scale) -> list[str]:
    """Give a curve in pieces: a gap where a number is missing, and nothing below the picture."""
    pieces: list[list[str]] = [[]]
    for x, y in zip(trace["x"], trace["y"], strict=True):
        height = y_scale.place(y) if y is not None and (y > 0 or not y_scale.log) else math.inf
        if height > HEIGHT - BOTTOM:
            pieces.append([])
        else:
            pieces[-1].append(f"{x_scale.place(x):.1f},{height:.1f}")
    if trace["mode"] == "markers":
        colour = trace["marker"]["color"]
        spots = [spot.split(",") for piece in pieces for spot in piece]
        return [f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>' for x, y in spots]
    return [f'<polyline points="{" ".join(piece)}" fill="none" {_look(trace)}/>' for piece in pieces if piece]


def _look(trace: dict[str, Any]) -> str:
    look = trace["line"]
    dashes = SVG_DASHES.get(look.get("dash", "solid"))
    return f'stroke="{look["color"]}" stroke-width="2"' + (f' stroke-dasharray="{dashes}"' if dashes else "")


def _text(x: float, y: float, words: str, more: str) -> str:
    """Give words; a figure's <sub> and <sup> become SVG's own, all else is plain."""
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{_spans(words)}</text>'


def _spans(words: str) -> str:
    for tag, shift in (("sub", 4), ("sup", -5)):
        words = words.replace(f"<{tag}>", f"\0<tspan dy='{shift}' font-size='9'>")
        words = words.replace(f"</{tag}>", f"</tspan><tspan dy='{-shift}'>\u200b</tspan>")
    return words.replace("\0", "")
