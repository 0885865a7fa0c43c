"""X-RAY IN A TERMINAL: a table of the layers, the gradient over time as a bar, and what ails the network."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.cells import cell_len

from elman.tables import columns, fit, pad, text_table, visible, wrapped
from elman.xray.diagnosis import Diagnosis, layer_name
from elman.xray.layer_flow import LayerFlow
from elman.xray.rules_memory import own_order
from elman.xray.run_xray import RunXray

SHADES = "▁▂▃▄▅▆▇█"
DECADES = 8
"""Powers of ten that the bar tells apart below its largest value; float32 has no more."""

BAR = 60
"""Cells of the bar at most."""

NAME = 28
"""Cells of a layer's name at most: with less than half a line for texts, numbers have room beside them."""

FEWEST_SHADES = 10
"""Cells that a bar keeps at least, beside long names."""


def described(xray: RunXray, width: int | None = None) -> str:
    """Return the X-ray of a run as text, in lines of `width` cells at most; None: of the terminal's."""
    width = columns() if width is None else width
    layers = xray.examination.layers
    read = f": {xray.data or 'a batch'}, loss {xray.examination.loss:.4g}"
    parts = [fit(fit(xray.run_name, max(width - len(read), FEWEST_SHADES)) + read, width)]
    parts.append(layer_table(layers, width))
    head = wrapped("|dL/dh_t| from the first step to the last, a shade a power of ten:", width)
    parts.append(f"{head}\n{bars(layers, width)}")
    parts += [wrapped(xray.padding, width)]
    parts += [wrapped(f"note: {note}", width, later="  ") for note in _notes(xray)]
    parts.append(diagnoses_text(xray.diagnoses, width))
    return "\n\n".join(part for part in parts if part)


def layer_table(layers: Sequence[LayerFlow], width: int | None = None) -> str:
    """Return a table with a line for each layer and direction.

    The gradient's first and last step are in the direction's own order; the ratio is first over last, both
    means over the rows. The spectra are those of the recurrent weights (of gates, the candidate's).
    """
    numbers = ["first", "last", "first/last", "horizon", "radius", "largest s.v.", "saturated"]
    rows = []
    for flow in layers:
        norms_BT, lengths = own_order(flow), flow.lengths
        real = lengths > 0
        last_B = norms_BT[real].gather(1, (lengths[real] - 1).unsqueeze(1))
        first, last = (
            float(values.mean()) if real.any() else math.nan for values in (norms_BT[real, 0], last_B)
        )
        spectra = flow.spectra.recurrent
        spectrum = spectra.get("candidate") or next(iter(spectra.values()))
        saturated = [gate.saturated_share for gate in flow.gates]
        rows.append(
            [
                _short_name(flow, NAME),
                flow.mode.lower(),
                f"{first:.2g}",
                f"{last:.2g}",
                f"{first / last:.2g}" if last else "–",
                "–" if flow.memory_horizon is None else str(flow.memory_horizon),
                f"{spectrum.radius:.3g}",
                f"{spectrum.norm:.3g}",
                f"{100 * sum(saturated) / max(len(saturated), 1):.0f} %",
            ]
        )
    return text_table(["layer", "cell", *numbers], rows, left=2, width=width)


def bars(layers: Sequence[LayerFlow], width: int | None = None) -> str:
    """Return |dL/dh_t| over time as a line of shades for each layer and direction."""
    width = columns() if width is None else width
    rows = []
    for flow in layers:
        means = flow.mean_gradient_norms["hidden"]
        values = [value for value in means.tolist() if not math.isnan(value)]
        rows.append((visible(_short_name(flow, NAME)), values, _extremes(values)))
    beside = max((cell_len(said) for _, _, said in rows), default=0) + 6
    names = max((cell_len(name) for name, _, _ in rows), default=0)
    names = min(names, max(width - beside - FEWEST_SHADES, 1))
    cells = min(BAR, max(width - beside - names, 1))
    lines = [f"  {pad(fit(name, names), names)}  {bar(values, cells)}  {said}" for name, values, said in rows]
    return "\n".join(lines)


def bar(values: Sequence[float], cells: int = BAR) -> str:
    """Return numbers as shades, a power of ten each, the largest dark; of several in a cell, the largest.

    Example:
        >>> bar([1e-9, 1e-4, 1.0, 0.0])
        '▁▄█ '
    """
    count = min(cells, len(values))
    pieces = [
        max(values[place * len(values) // count : (place + 1) * len(values) // count])
        for place in range(count)
    ]
    largest = max(pieces, default=0.0)
    return "".join(_shade(value, largest) for value in pieces)


def diagnoses_text(diagnoses: Sequence[Diagnosis], width: int | None = None) -> str:
    """Return the diagnoses with their evidence, what it means and what mends it.

    Example:
        >>> diagnoses_text([])
        'nothing found that ails it'
    """
    if not diagnoses:
        return "nothing found that ails it"
    width = columns() if width is None else width
    return "\n\n".join(_diagnosis_text(one, width) for one in diagnoses)


def _diagnosis_text(one: Diagnosis, width: int) -> str:
    severity = f" (severity {one.severity:.2f})"
    where = f" in {one.layer}" if one.layer else ""
    lines = [fit(one.name + where, max(width - len(severity), 1)) + severity]
    remedy = f"try: {one.remedy}" if one.remedy else ""
    for text in (one.evidence, one.explanation, remedy):
        lines += [wrapped(text, width, "  ", "  ")] if text else []
    return "\n".join(lines)


def _short_name(flow: LayerFlow, cells: int) -> str:
    """Return which layer and direction, with so much of a long module's name as there is room for."""
    whole = layer_name(flow)
    place = whole.removeprefix(flow.name)
    return whole if cell_len(whole) <= cells else fit(flow.name, max(cells - cell_len(place), 1)) + place


def _shade(value: float, largest: float) -> str:
    if not value > 0 or not largest > 0:
        return " "
    if not math.isfinite(value):
        return SHADES[-1]
    below = -math.log10(value / largest) if math.isfinite(largest) else DECADES
    return SHADES[max(0, len(SHADES) - 1 - int(below))]


def _extremes(values: Sequence[float]) -> str:
    return f"{min(values):.2g} to {max(values):.2g}" if values else "no step"


def _notes(xray: RunXray) -> list[str]:
    """Return each note once."""
    notes = [*xray.examination.notes, *(note for flow in xray.examination.layers for note in flow.notes)]
    return list(dict.fromkeys(notes))
