"""X-RAY FIGURES: gradients over time, influence by lag, gates and spectra, as data for plotly.

Shape legend: B batch, T time, H hidden, K lags, N places.

Each function takes what `elman.xray.examine` found, and returns a figure; see `xray_marks.py`.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from elman.report.xray_marks import (
    COLOURS,
    MOST_COLUMNS,
    MOST_POINTS,
    MOST_ROWS,
    Figure,
    axis,
    block_means,
    figure,
    heat_map,
    layer_names,
    line,
    log_axis,
    rounded,
    signed_map,
    thin,
)
from elman.xray.lag_norms import FORGOTTEN, LagNorms
from elman.xray.layer_flow import LayerFlow
from elman.xray.unit_map import UnitMap

MOST_DOTS = 256
"""Eigenvalues of one matrix that are drawn: the largest."""

SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross")

UNIT_CELLS = (100, 80)
"""Cells of a map over units along and across: two maps for each layer would make a page too large."""

MOST_LINES = 8
"""Layers whose curves stand in one figure."""


def gradients(layers: Sequence[LayerFlow]) -> Figure:
    """Return the norm of dL/dh_t over time, the mean over the rows, a curve for each layer and direction.

    Example:
        >>> import elman.xray
        >>> found = elman.xray.examine(torch.nn.GRU(2, 3), torch.ones(4, 1, 2), lambda m, x: m(x)[0].sum())
        >>> gradients(found.layers)["data"][0]["x"]
        [1, 2, 3, 4]
    """
    traces = []
    for place, (name, flow) in enumerate(zip(layer_names(layers), layers, strict=True)):
        for dash, (part, norms) in enumerate(flow.mean_gradient_norms.items()):
            kept = thin(len(norms), MOST_POINTS)
            known = rounded(norms[kept])
            words = name if part == "hidden" else f"{name}, {part}"
            own = [value if value else None for value in known]
            traces.append(line(words, [step + 1 for step in kept], own, (place, 2 * dash + flow.direction)))
    values = [value for trace in traces for value in trace["y"]]
    return figure(traces, axis("step"), log_axis("|dL/dh<sub>t</sub>|", values))


def influence(layers: Sequence[LayerFlow]) -> Figure:
    """Return how much of a state is left k steps later, the memory horizons, and the line at 1 %.

    Example:
        >>> import elman.xray
        >>> found = elman.xray.examine(torch.nn.GRU(2, 3), torch.ones(4, 1, 2), lambda m, x: m(x)[0].sum())
        >>> influence(found.layers)["data"][0]["y"][0]
        1.0
    """
    traces, marks = [], []
    for place, (name, flow) in enumerate(zip(layer_names(layers), layers, strict=True)):
        norms = whole_state(flow)
        traces.append(influence_line(name, norms, (place, flow.direction)))
        marks += _horizon(norms, place)
    return with_level(traces, marks)


def lag_curve(flow: LayerFlow) -> Figure:
    """Return influence by lag for each part of one layer's state, with its spread or its intervals.

    Where the norms are exact the band holds the places from the 10th to the 90th percentile; where they were
    estimated it is the mean of their 95 % intervals.
    """
    traces, marks = [], []
    for place, (part, norms) in enumerate(flow.lag_norms.items()):
        low, high = _band(norms)
        traces += _filled(norms, low, high, place)
        traces.append(influence_line(part, norms, (place, place)))
        marks += _horizon(norms, place)
    return with_level(traces, marks)


def lag_map(flow: LayerFlow) -> Figure:
    """Return the norm of dh_t/dh_(t-k) by the step t-k it starts from and by the lag k.

    Places at one step in several rows are put together by their mean. Where norms are estimates the spectral
    one is known at a few lags alone; then it is the Frobenius norm over that at lag 0.
    """
    norms = whole_state(flow)
    kept = thin(len(norms.lags), MOST_ROWS)
    steps = norms.steps.unique().tolist()
    known = norms.spectral if norms.is_exact else norms.frobenius / norms.frobenius[:, :1]
    values = known[:, kept]
    columns = [values[norms.steps == step].nanmean(0) for step in steps]
    cells = torch.stack(columns, 1) if columns else torch.empty(len(kept), 0)
    lags = [int(lag) for lag in norms.lags[kept]]
    word = "spectral norm" if norms.is_exact else "influence"
    return heat_map([step + 1 for step in steps], lags, cells, words=("from step", "lag", word))


def row_map(flow: LayerFlow) -> Figure:
    """Return the norm of dL/dh_t by step and by row of the batch."""
    norms = next(iter(flow.gradient_norms.values()))
    is_real = torch.arange(norms.size(1)) < flow.lengths.unsqueeze(1)
    kept = thin(len(norms), MOST_ROWS)
    steps, cells = block_means(torch.where(is_real, norms, torch.nan)[kept], MOST_COLUMNS)
    rows = [int(row) + 1 for row in flow.rows[kept]]
    drawn = heat_map(steps, rows, cells, words=("step", "row", "|dL/dh<sub>t</sub>|"))
    return _few_marks(drawn)


def unit_gradients(flow: LayerFlow) -> Figure:
    """Return the root-mean-square over the rows of dL/dh_t, by step and by unit."""
    found = next(iter(flow.unit_maps.values()))
    steps, units, squares = _blocks(found, found.gradient.square())
    return _few_marks(
        heat_map(steps, units, squares.sqrt(), words=("step", "unit", "RMS of dL/dh<sub>t</sub>"))
    )


def unit_states(flow: LayerFlow) -> Figure:
    """Return the mean over the rows of h_t, by step and by unit."""
    found = next(iter(flow.unit_maps.values()))
    words = ("step", "unit", "mean h<sub>t</sub>")
    return _few_marks(signed_map(*_blocks(found, found.state), words=words))


def shared_cells(flow: LayerFlow) -> tuple[int, int]:
    """Return how many neighbouring steps, and units, share a cell of the maps over units; 1 where none do."""
    found = next(iter(flow.unit_maps.values()))
    steps, units = (
        max(math.ceil(count / most), 1) for count, most in zip(found.state.shape, UNIT_CELLS, strict=True)
    )
    return steps * found.steps_a_cell, units * found.units_a_cell


def gate_gradients(flow: LayerFlow) -> Figure:
    """Return the gradient that reaches each gate before its sigmoid or tanh, over time."""
    real = (torch.arange(int(flow.lengths.max())) < flow.lengths.unsqueeze(1)).sum(0).clamp(min=1)
    traces = []
    for place, gate in enumerate(flow.gates):
        mean = gate.gradient_norm[:, : len(real)].sum(0) / real
        kept = thin(len(mean), MOST_POINTS)
        own = [value if value else None for value in rounded(mean[kept])]
        traces.append(line(_words(gate.name), [step + 1 for step in kept], own, (place, place)))
    values = [value for trace in traces for value in trace["y"]]
    return figure(traces, axis("step"), log_axis("|dL/d gate|", values))


def gate_units(flow: LayerFlow) -> Figure:
    """Return the mean of each gate by unit, the smallest first."""
    traces = []
    for place, gate in enumerate(flow.gates):
        kept = thin(len(gate.mean), MOST_POINTS)
        mean = gate.mean.sort().values[kept]
        share = [100 * (unit + 0.5) / len(gate.mean) for unit in kept]
        traces.append(line(_words(gate.name), rounded(share), rounded(mean), (place, place)))
    y = axis("mean over steps")
    if flow.mode != "RNN_RELU":
        y |= {"range": [-0.02, 1.02]}
    return figure(traces, axis("units, % with a smaller mean") | {"range": [0, 100]}, y)


def gate_saturation(flow: LayerFlow) -> Figure:
    """Return the share of steps in which each unit of a gate is saturated, the most saturated first."""
    traces = []
    for place, gate in enumerate(flow.gates):
        kept = thin(len(gate.saturated), MOST_POINTS)
        stuck = 100 * gate.saturated.sort(descending=True).values[kept]
        share = [100 * (unit + 0.5) / len(gate.saturated) for unit in kept]
        traces.append(line(_words(gate.name), rounded(share), rounded(stuck), (place, place)))
    y = axis("steps saturated, %") | {"range": [-2, 102]}
    return figure(traces, axis("units, % more often saturated") | {"range": [0, 100]}, y)


def weight_spectrum(flow: LayerFlow) -> Figure:
    """Return the eigenvalues of the recurrent weights, gate by gate, and the unit circle."""
    found = flow.spectra.recurrent
    return plane([(_words(name), spectrum.eigenvalues) for name, spectrum in found.items()])


def jacobian_spectrum(flow: LayerFlow) -> Figure:
    """Return the eigenvalues of the Jacobians at visited states, and the unit circle."""
    spectra = flow.spectra
    places = zip(spectra.rows.tolist(), spectra.steps.tolist(), spectra.jacobians, strict=True)
    return plane([(f"row {row + 1}, step {step + 1}", found.eigenvalues) for row, step, found in places])


def lyapunov(flow: LayerFlow) -> Figure:
    """Return the Lyapunov exponents, and the line at zero; directions that die at once are left out."""
    values = rounded(flow.spectra.lyapunov)
    trace = line("exponent", list(range(1, len(values) + 1)), values)
    trace["mode"] = "markers"
    drawn = figure([trace], axis("exponent, the largest first"), axis("nats a step"))
    drawn["layout"] |= {"shapes": [_level(0.0)], "annotations": [_beside(0.0, "neither grows nor dies")]}
    return drawn


def plane(spectra: Sequence[tuple[str, Tensor]]) -> Figure:
    """Return eigenvalues on the complex plane, and the unit circle.

    Args:
        spectra: (name, eigenvalues, the largest first).

    Example:
        >>> plane([("forget gate", torch.tensor([0.5 + 0.5j]))])["data"][0]["y"]
        [0.5]
    """
    traces: list[dict[str, Any]] = []
    for place, (name, values) in enumerate(spectra):
        shown = values[:MOST_DOTS]
        trace = line(name, rounded(shown.real), rounded(shown.imag), (place, 0))
        trace |= {"mode": "markers", "hovertemplate": "%{x} + %{y} i"}
        trace["marker"] |= {"symbol": SYMBOLS[place % len(SYMBOLS)], "opacity": 0.7, "size": 6}
        traces.append(trace)
    circle = {"type": "circle", "x0": -1, "x1": 1, "y0": -1, "y1": 1, "layer": "below"}
    y = axis("imaginary") | {"scaleanchor": "x", "zeroline": True}
    far = max([1.0, *(float(values.abs().max()) for _, values in spectra if len(values))])
    y |= {"range": [-1.05 * far, 1.05 * far]}
    drawn = figure(traces, axis("real") | {"zeroline": True}, y)
    drawn["layout"] |= {
        "shapes": [circle | {"line": {"color": "#555555", "width": 1.5, "dash": "dot"}}],
        "hovermode": "closest",
    }
    return drawn


def whole_state(flow: LayerFlow) -> LagNorms:
    """Return the norms of the whole state: of the LSTM's pair, otherwise of h."""
    return flow.lag_norms["state" if "state" in flow.lag_norms else "hidden"]


def influence_line(name: str, norms: LagNorms, look: tuple[int, int]) -> dict[str, Any]:
    """Return the curve of the influence by lag, its memory horizon in its name.

    Args:
        look: which colour and which dashes.
    """
    kept = thin(len(norms.lags), MOST_POINTS)
    own = [value if value else None for value in rounded(norms.influence[kept])]
    lag = norms.memory_horizon
    words = f"{name}: beyond the data" if lag is None else f"{name}: {lag} steps"
    return line(words, [int(lag) for lag in norms.lags[kept]], own, look)


def _blocks(found: UnitMap, values: Tensor) -> tuple[list[Any], list[Any], Tensor]:
    """Give steps and units, counted from 1, and the mean of neighbouring cells, [units, steps]."""
    cells = block_means(values.t(), UNIT_CELLS[0])[1]
    cells = block_means(cells.t(), UNIT_CELLS[1])[1].t()
    places = [
        block_means(middles.unsqueeze(0) + 1, most)[1].squeeze(0).tolist()
        for middles, most in zip((found.steps, found.units), UNIT_CELLS, strict=True)
    ]
    steps, units = ([int(place) if place % 1 == 0 else place for place in along] for along in places)
    return steps, units, cells


def _few_marks(drawn: Figure) -> Figure:
    """Mark every row or unit where there are few, and no halves between them."""
    places = drawn["data"][0]["y"]
    if len(places) <= MOST_LINES:
        drawn["layout"]["yaxis"] |= {"tickvals": places}
    return drawn


def _band(norms: LagNorms) -> tuple[Tensor, Tensor]:
    """Give the band around the influence: of intervals, or of places, over the mean at lag 0."""
    start = norms.mean_frobenius[:1]
    if not norms.is_exact:
        return norms.frobenius_low.nanmean(0) / start, norms.frobenius_high.nanmean(0) / start
    known = torch.where(torch.isfinite(norms.frobenius), norms.frobenius, torch.nan)
    edges = torch.tensor([0.1, 0.9], dtype=known.dtype)
    low, high = torch.nanquantile(known, edges, dim=0)
    return low / start, high / start


def _filled(norms: LagNorms, low: Tensor, high: Tensor, place: int) -> list[dict[str, Any]]:
    """Give a band as two curves, the second filled down to the first."""
    kept = [k for k in thin(len(norms.lags), MOST_POINTS) if bool(low[k] > 0) and bool(high[k].isfinite())]
    lags = [int(lag) for lag in norms.lags[kept]]
    edge = {"type": "scatter", "mode": "lines", "x": lags, "hoverinfo": "skip", "showlegend": False}
    edge |= {"line": {"width": 0, "color": COLOURS[place % len(COLOURS)]}}
    red, green, blue = (int(COLOURS[place % len(COLOURS)][at : at + 2], 16) for at in (1, 3, 5))
    fill = {"fill": "tonexty", "fillcolor": f"rgba({red},{green},{blue},0.15)"}
    return [edge | {"y": rounded(low[kept])}, edge | {"y": rounded(high[kept])} | fill]


def _horizon(norms: LagNorms, place: int) -> list[dict[str, Any]]:
    """Give a mark where the influence falls under 1 %, if it does."""
    lag = norms.memory_horizon
    if lag is None:
        return []
    colour = COLOURS[place % len(COLOURS)]
    mark = {"type": "scatter", "mode": "markers", "x": [lag], "y": [FORGOTTEN], "showlegend": False}
    return [mark | {"hoverinfo": "skip", "marker": {"symbol": "x", "size": 9, "color": colour}}]


def with_level(traces: list[dict[str, Any]], marks: list[dict[str, Any]]) -> Figure:
    """Return a figure of influences with the line at 1 %."""
    values = [value for trace in traces for value in trace["y"]]
    y = log_axis("influence", values, also=(FORGOTTEN, FORGOTTEN / 10))
    drawn = figure([*traces, *marks], axis("lag, steps"), y)
    drawn["layout"]["showlegend"] = True
    drawn["layout"] |= {"shapes": [_level(FORGOTTEN)], "annotations": [_beside(-2.0, "1 %: forgotten")]}
    return drawn


def _level(y: float) -> dict[str, Any]:
    look = {"color": "#555555", "width": 1.5, "dash": "dash"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": look}


def _beside(y: float, text: str) -> dict[str, Any]:
    """Give words on a level; on a logarithmic axis y is the power of ten."""
    place = {"xref": "paper", "x": 1, "y": y, "xanchor": "right", "yanchor": "top", "showarrow": False}
    return place | {
        "text": text,
        "font": {"size": 12, "color": "#444444"},
        "bgcolor": "rgba(255,255,255,0.8)",
    }


def _words(name: str) -> str:
    return name.replace("_", " ")
