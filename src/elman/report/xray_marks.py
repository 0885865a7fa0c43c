"""X-RAY MARKS: what all figures of an X-ray are made of: axes, colours, safe names, thinned data.

A figure is plain data for plotly: ``{"data": [...], "layout": {...}}``, and perhaps ``"frames"``. plotly
reads a few HTML tags in every text it draws, so a user's string comes in through `plain` alone, and never
through a template.
"""

import html
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from elman.tables import visible
from elman.xray.layer_flow import LayerFlow

Figure = dict[str, Any]
"""Data, layout and perhaps frames, as plotly takes them."""

COLOURS = ("#0072b2", "#d55e00", "#00795a", "#a3497f", "#4d4d4d", "#8a6d00")
"""Told apart by colour-blind readers: after Okabe and Ito 2008, the light ones darkened for thin lines."""

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
"""The second way to tell lines apart."""

SCALE = "Cividis"
"""Colours of heat maps: read alike with and without colour blindness (Nunez, Anderton and Renslow 2018)."""

SIGNED_SCALE = [[0.0, "#d55e00"], [0.5, "#ffffff"], [1.0, "#0072b2"]]
"""Colours of numbers with a sign, white at zero: those of the tokens."""

MOST_POINTS = 400
"""Points of one curve."""

MOST_COLUMNS, MOST_ROWS = 200, 80
"""Cells of a heat map along and across; of more steps, neighbours are put together or left out."""

DECADES = 12
"""Powers of ten that a logarithmic scale shows below its largest value."""

LONGEST_NAME = 28
"""Characters of a name in a figure."""


def plain(text: Any, most: int = LONGEST_NAME) -> str:
    """Return a user's string so that plotly shows it as it is.

    Example:
        >>> plain("<b>rnn</b>")
        '&lt;b&gt;rnn&lt;/b&gt;'
    """
    words = visible(str(text)).encode("utf-8", "replace").decode("utf-8")
    words = words if len(words) <= most else words[: most - 1] + "…"
    return html.escape(words, quote=False)


def rounded(values: Tensor | Sequence[Any]) -> list[Any]:
    """Return numbers with four digits, as short as they can be; None for what is not finite.

    Example:
        >>> rounded(torch.tensor([[1.23456, float("inf")]]))
        [[1.235, None]]
    """
    found: list[Any] = values.tolist() if isinstance(values, Tensor) else list(values)
    return [rounded(value) if isinstance(value, list) else _short(value) for value in found]


def _short(value: Any) -> float | int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, float) or not math.isfinite(value):
        return None
    return float(f"{value:.4g}")


def thin(count: int, most: int) -> list[int]:
    """Return places among `count`, all or so many spread evenly, the first and the last among them.

    Example:
        >>> thin(3, 9), thin(100, 4)
        ([0, 1, 2], [0, 33, 66, 99])
    """
    if count <= most:
        return list(range(count))
    return [round(place * (count - 1) / (most - 1)) for place in range(most)]


def block_means(values: Tensor, most: int) -> tuple[list[float], Tensor]:
    """Put neighbouring steps together where there are too many: the mean over what is not NaN.

    Args:
        values [N, T]: a number for each step.
        most: steps, or blocks of them, that are kept.

    Returns:
        the middle of each block, counted from 1, and [N, blocks].

    Example:
        >>> block_means(torch.tensor([[1.0, 3.0, 5.0]]), 2)
        ([1.5, 3.0], tensor([[2., 5.]]))
    """
    width = max(math.ceil(values.size(1) / most), 1)
    blocks = values.split(width, 1)
    starts = range(0, values.size(1), width)
    middles = [start + (block.size(1) + 1) / 2 for start, block in zip(starts, blocks, strict=True)]
    means = [block.nanmean(1) for block in blocks]
    return middles, torch.stack(means, 1) if means else values


def axis(title: str) -> dict[str, Any]:
    """Return an axis with its words."""
    return {"title": {"text": title}}


def log_axis(title: str, values: Sequence[float | None], *, also: Sequence[float] = ()) -> dict[str, Any]:
    """Return a logarithmic axis that shows twelve powers of ten at most: below those nothing can be told.

    Args:
        title: its words.
        values: that are drawn; those that are not positive count for nothing.
        also: numbers that have to be on it.

    Example:
        >>> log_axis("norm", [1.0, 1e-30])["range"]
        [-12.3, 0.3]
    """
    positive = [value for value in [*values, *also] if value is not None and value > 0]
    found = axis(title) | {"type": "log"}
    if not positive:
        return found
    top = math.log10(max(positive))
    low = max(math.log10(min(positive)), min([top - DECADES, *(math.log10(value) for value in also)]))
    margin = 0.3 if top - low > 2 else 0.1
    low, top = round(low - margin, 3), round(top + margin, 3)
    marks, words = log_ticks(low, top)
    return found | {"range": [low, top], "tickvals": [10**mark for mark in marks], "ticktext": words}


def log_ticks(low: float, top: float) -> tuple[list[float], list[str]]:
    """Return at most eight marks of a logarithmic scale, as powers of ten, and their words.

    Example:
        >>> log_ticks(-2.1, 1.0)
        ([-2, -1, 0, 1], ['0.01', '0.1', '1', '10'])
        >>> log_ticks(0.2, 0.9)[1]
        ['2', '3', '4', '5', '6', '7']
    """
    every = max(math.ceil((top - low) / 7), 1)
    marks: list[float] = [mark for mark in range(math.ceil(low), math.floor(top) + 1) if mark % every == 0]
    if top - low >= 2.5:
        return marks, [_power(int(mark)) for mark in marks]
    digits = (1, 2, 5) if top - low > 0.8 else range(1, 10)
    fine = [(digit, power) for power in range(math.floor(low), math.ceil(top)) for digit in digits]
    shown = [pair for pair in fine if low <= math.log10(pair[0]) + pair[1] <= top]
    words = [f"{digit * 10.0**power:.3g}" for digit, power in shown]
    return [math.log10(digit) + power for digit, power in shown], words


def _power(mark: int) -> str:
    return f"{10.0**mark:g}" if -3 < mark < 4 else f"10<sup>{mark}</sup>".replace("-", "−")


def line(name: str, x: Sequence[Any], y: Sequence[Any], look: tuple[int, int] = (0, 0)) -> dict[str, Any]:
    """Return one curve; with few points these are marked.

    Args:
        name: of the legend; made safe here.
        x, y: as long as each other.
        look: which colour and which dashes.
    """
    colour, dash = COLOURS[look[0] % len(COLOURS)], DASHES[look[1] % len(DASHES)]
    return {
        "type": "scatter",
        "mode": "lines" if len(x) > 60 else "lines+markers",
        "name": plain(name, 2 * LONGEST_NAME),
        "x": list(x),
        "y": list(y),
        "line": {"color": colour, "width": 2, "dash": dash},
        "marker": {"color": colour, "size": 5},
    }


def heat_map(x: Sequence[Any], y: Sequence[Any], values: Tensor, *, words: tuple[str, str, str]) -> Figure:
    """Return a map of positive numbers in logarithmic colours; grey where there is none.

    Args:
        x, y: places along and across.
        values [len(y), len(x)]: NaN where nothing was measured.
        words: along, across, and what is coloured.
    """
    logs = torch.where(values > 0, values, torch.nan).log10()
    known = logs[torch.isfinite(logs)]
    top = float(known.max()) if len(known) else 0.0
    low = max(float(known.min()) if len(known) else 0.0, top - DECADES)
    # A zero is smaller than all that can be told apart: the darkest colour, not the grey of what is missing.
    logs = torch.where(values == 0, low, logs)
    marks, ticks = log_ticks(low, top)
    z = [[None if value is None else round(value, 2) for value in row] for row in rounded(logs)]
    hover = f"{words[0]} %{{x}}, {words[1]} %{{y}}<br>10<sup>%{{z}}</sup><extra></extra>"
    look = {"zmin": low, "zmax": top if top > low else low + 1, "colorscale": SCALE, "hovertemplate": hover}
    return _map(x, y, z, look, {"tickvals": marks, "ticktext": ticks}, words)


def signed_map(x: Sequence[Any], y: Sequence[Any], values: Tensor, *, words: tuple[str, str, str]) -> Figure:
    """Return a map of numbers with a sign, white at zero and as far to both sides; grey where there is none.

    Args:
        x, y: places along and across.
        values [len(y), len(x)]: NaN where nothing was measured.
        words: along, across, and what is coloured.
    """
    known = values[torch.isfinite(values)].abs()
    far = float(known.max()) if len(known) and bool(known.max() > 0) else 1.0
    # A hundredth of the largest: finer than colours can be told apart, and the page stays small.
    digits = 1 - math.floor(math.log10(far))
    z = [[None if value is None else round(value, digits) for value in row] for row in rounded(values)]
    hover = f"{words[0]} %{{x}}, {words[1]} %{{y}}<br>%{{z}}<extra></extra>"
    look = {"zmin": -far, "zmax": far, "colorscale": SIGNED_SCALE, "hovertemplate": hover}
    return _map(x, y, z, look, {}, words)


def _map(
    x: Sequence[Any],
    y: Sequence[Any],
    z: Sequence[Any],
    look: dict[str, Any],
    marks: dict[str, Any],
    words: tuple[str, str, str],
) -> Figure:
    """Give a heat map: its numbers, colours, and the marks and the words beside its colours."""
    title = {"text": words[2], "side": "right", "font": {"size": 13}}
    bar = marks | {"title": title, "thickness": 12, "outlinewidth": 0}
    trace = {"type": "heatmap", "x": list(x), "y": list(y), "z": z, "hoverongaps": False, "colorbar": bar}
    axes = {
        name: axis(word) | {"showgrid": False} for name, word in zip(("xaxis", "yaxis"), words, strict=False)
    }
    return {"data": [trace | look], "layout": axes | {"hovermode": "closest"}}


def figure(traces: list[dict[str, Any]], x: dict[str, Any], y: dict[str, Any]) -> Figure:
    """Return a figure with two axes, and a legend where there is more than one name."""
    named = sum(trace.get("showlegend", True) for trace in traces)
    return {"data": traces, "layout": {"xaxis": x, "yaxis": y, "showlegend": named > 1}}


def name_layers(places: Sequence[tuple[str, int, int, int]]) -> list[str]:
    """Return a short name for each layer, that tells it from the others and says no more.

    Args:
        places: (name of the module, pass, layer, direction).

    Example:
        >>> name_layers([("rnn", 0, 0, 0), ("rnn", 0, 0, 1)])
        ['layer 1', 'layer 1 backward']
    """
    several = len({name for name, _, _, _ in places}) > 1
    passes = any(index for _, index, _, _ in places)
    return [
        (f"{name[-LONGEST_NAME:] or 'model'} · " if several else "")
        + f"layer {layer + 1}"
        + (" backward" if direction else "")
        + (f", pass {index}" if passes else "")
        for name, index, layer, direction in places
    ]


def layer_names(layers: Sequence[LayerFlow]) -> list[str]:
    """Return a short name for each layer, direction and pass that was examined."""
    return name_layers([(flow.name, flow.index, flow.layer, flow.direction) for flow in layers])
