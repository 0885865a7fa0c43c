"""X-RAY SECTIONS: diagnoses, gradients, memory, each layer, parameters, training.

Each figure stands above a sentence that says how to read it and where it comes from. The numbers that matter
most stand in tables, so that the page says something without a script too.
"""

import math
from collections.abc import Mapping, Sequence

from elman.report import xray_figures as figures_of
from elman.report.markup import Html, attribute, cell, chart, join, row, safe, section, table
from elman.report.xray_marks import MOST_COLUMNS, MOST_POINTS, Figure, layer_names
from elman.report.xray_training import MOST_FRAMES, shown_records
from elman.report.xray_words import READ, TITLES, TRAINING, note
from elman.xray.diagnosis import Diagnosis
from elman.xray.layer_flow import LayerFlow
from elman.xray.parameter_flow import ParameterFlow
from elman.xray.run_xray import RunXray

MOST_PARAMETERS = 200
"""Rows of the table of parameters: of more, those with the largest update."""

BAR_LOW, BAR_HIGH = -8, 0
"""Powers of ten at which the bars of an update over its weights begin and end."""


def diagnoses_section(diagnoses: Sequence[Diagnosis]) -> Html:
    """Return a card for each diagnosis, or one green line.

    Example:
        >>> "Nothing was found" in diagnoses_section([])
        True
    """
    if not diagnoses:
        return section(
            "Diagnosis", Html('<p class="healthy">✓ Nothing was found that ails this network.</p>')
        )
    return section("Diagnosis", Html(f'<div class="cards">{join(_card(one) for one in diagnoses)}</div>'))


def _card(one: Diagnosis) -> Html:
    where = f" · {safe(one.layer)}" if one.layer else ""
    grave = "grave" if one.severity >= 0.5 else "mild"
    remedy = ""
    if one.remedy:
        remedy = (
            '<p class="note">What to change (a click selects it):</p>'
            f'<pre class="remedy" tabindex="0">{attribute(one.remedy)}</pre>'
        )
    return Html(
        f'<article class="card {grave}"><h3>{safe(one.name)}{where}</h3>'
        f'<p class="note">severity {one.severity:.0%}</p><p><b>{safe(one.evidence)}</b></p>'
        f"<p>{safe(one.explanation)}</p>{remedy}</article>"
    )


def layers_table(layers: Sequence[LayerFlow]) -> Html:
    """Return the main numbers of each layer."""
    header = [("layer", ""), ("kind", ""), *((words, "number") for words in (
        "gradient, first step", "last step", "first / last", "memory horizon", "spectral radius",
        "largest singular value", "saturated"))]  # fmt: skip
    rows = []
    for name, flow in zip(layer_names(layers), layers, strict=True):
        norms = next(iter(flow.mean_gradient_norms.values()))
        first, last = (float(norms[0]), float(norms[-1])) if len(norms) else (math.nan, math.nan)
        spectra = flow.spectra.recurrent.values()
        stuck = [gate.saturated_share for gate in flow.gates]
        numbers = [
            _form(first),
            _form(last),
            _form(first / last if last else math.nan),
            f"{flow.memory_horizon} steps" if flow.memory_horizon is not None else "beyond the data",
            _form(max((found.radius for found in spectra), default=math.nan)),
            _form(max((found.norm for found in spectra), default=math.nan)),
            f"{sum(stuck) / len(stuck):.1%}" if stuck else "–",
        ]
        words = [cell(attribute(name), "text", tag="th"), cell(attribute(f"{flow.mode}, {flow.hidden_size}"))]
        rows.append(row([*words, *(cell(attribute(number), "number") for number in numbers)]))
    return table(header, rows, label="Layers", kind="full")


def overview_sections(layers: Sequence[LayerFlow], figures: Mapping[str, Figure]) -> list[Html]:
    """Return gradients and memory of all layers together."""
    if not layers:
        return []
    drawn, places = min(len(layers), figures_of.MOST_LINES), ""
    for name, title in (("gradients", "|dL/dh_t| over time"), ("influence", "Influence by lag")):
        alt = _alt_gradients(layers) if name == "gradients" else _alt_influence(layers)
        places += _figure(name, title, alt, READ[name])
    notes = _thinned(layers, drawn)
    body = f'<div class="columns">{places}</div>{layers_table(layers)}{notes}'
    return [section("Gradients and memory", Html(body))] if figures else []


def layer_section(place: int, name: str, flow: LayerFlow, figures: Mapping[str, Figure]) -> Html:
    """Return all figures of one layer in one direction."""
    norms = figures_of.whole_state(flow)
    said = {
        "{band}": "The band holds the middle eight tenths of the places.",
        "{norm}": "spectral norm, the most that it can become,",
        "{statement}": _largest(flow),
        "{cells}": _shared(flow),
    }
    if not norms.is_exact:
        said["{band}"] = "The norms are estimates; the band is their 95 % interval."
        said["{norm}"] = "Frobenius norm over that at lag 0, the mean square over directions,"
    pieces = []
    for kind, title in TITLES.items():
        if f"{kind}-{place}" not in figures:
            continue
        words = READ[kind]
        for hole, text in said.items():
            words = words.replace(hole, text).replace("  ", " ")
        pieces.append(_figure(f"{kind}-{place}", title, f"{title}, {name}: see the words below.", words))
    dead = [len(gate.dead) for gate in flow.gates if gate.dead]
    facts = [f"{flow.mode}, {flow.hidden_size} units, {len(flow.rows)} rows"]
    facts += [f"{sum(dead)} dead units"] if dead else []
    if flow.hidden_size > figures_of.MOST_DOTS:
        facts.append(f"the {figures_of.MOST_DOTS} largest eigenvalues of each matrix are drawn")
    facts += flow.notes
    return section(name, Html(f'<div class="columns">{join(pieces)}</div>'), "; ".join(facts) + ".")


def _largest(flow: LayerFlow) -> str:
    """Say what the eigenvalues of the recurrent weights promise, of the gate with the largest."""
    gate, found = max(flow.spectra.recurrent.items(), key=lambda pair: pair[1].radius)
    several = len(flow.spectra.recurrent) > 1
    return f"Of the {gate.replace('_', ' ')}: {found.statement}" if several else found.statement


def _shared(flow: LayerFlow) -> str:
    """Say how many steps and units share a cell of the maps; nothing where each has its own."""
    counts = zip(figures_of.shared_cells(flow), ("steps", "units"), strict=True)
    words = [f"{count} neighbouring {name}" for count, name in counts if count > 1]
    return f"Each cell is the mean over {' and '.join(words)}." if words else ""


def parameters_section(parameters: Sequence[ParameterFlow]) -> Html:
    """Return gradient, weights and updates as a table with bars; nothing without parameters."""
    if not parameters:
        return Html("")
    shown = list(parameters)
    left_out = ""
    if len(shown) > MOST_PARAMETERS:
        shown.sort(key=lambda one: -(one.adam_ratio or 0.0))
        left_out = f" The {MOST_PARAMETERS} of {len(parameters)} with the largest step are shown."
        shown = shown[:MOST_PARAMETERS]
    header = [("parameter", ""), ("weights", "number"), ("gradient", "number"), ("SGD step / weights", (
        "number"
    )),
              ("", ""), ("Adam step / weights", "number"), ("", "")]  # fmt: skip
    rows = []
    for one in shown:
        cells = [cell(safe(one.name), "text", tag="th"), cell(_form(one.weight_norm), "number")]
        cells.append(cell(_form(one.gradient_norm), "number"))
        for ratio in (one.sgd_ratio, one.adam_ratio):
            cells += [cell(_form(ratio), "number"), cell(_log_meter(ratio))]
        rows.append(row(cells))
    said = (
        "Norms of each parameter and its gradient, and how far one step would move it. Bars go from "
        f"1e{BAR_LOW} to 1 in powers of ten, with a mark at a thousandth, the usual rule of thumb (Karpathy "
        f"2015, CS231n): far below it nothing is learned, far above it is unlearned.{left_out}"
    )
    body = Html(note(said) + table(header, rows, label="Parameters", kind="full"))
    return section("Parameters", body)


def training_section(xray: RunXray, figures: Mapping[str, Figure]) -> Html:
    """Return the animated figures and their control; nothing where no record was kept."""
    shown = shown_records(xray.records)
    if "training-loss" not in figures:
        return Html("")
    places = [chart(name, *words) for name, words in TRAINING.items() if name in figures]
    steps = [int(record["step"]) for record in shown]
    control = (
        '<div class="player"><button type="button" id="play">Play</button><label for="frame">record</label>'
        f'<input type="range" id="frame" min="0" max="{len(shown) - 1}" value="{len(shown) - 1}" '
        f'data-steps="{" ".join(str(step) for step in steps)}">'
        f'<output id="step" for="frame">step {steps[-1]}</output></div>'
    )
    said = (
        "What `--xray-every` wrote down: a few rows of the batch of that step. Move the control, or play: "
        "gradient, gates and the mark on the loss go together. A curve that sinks at its left end while "
        "the loss stands still has stopped learning from the past. Pascanu, Mikolov and Bengio 2013."
    )
    if len(xray.records) > MOST_FRAMES:
        said += f" Of {len(xray.records)} records {MOST_FRAMES} are shown, spread evenly."
    body = f'{note(said)}{control}<div class="columns">{join(places)}</div>'
    return section("While it learned", Html(body))


def _figure(name: str, title: str, alt: str, words: str) -> Html:
    """Return a figure and the sentence below it."""
    place = chart(name, title, alt)
    return Html(f"<div>{place}{note(words)}</div>")


def _alt_gradients(layers: Sequence[LayerFlow]) -> str:
    parts = []
    for name, flow in zip(layer_names(layers), layers, strict=True):
        norms = next(iter(flow.mean_gradient_norms.values()))
        if len(norms):
            parts.append(
                f"{name} from {_form(float(norms[0]))} at the first step to {_form(float(norms[-1]))}"
            )
    return "Line chart: gradient norm over time; " + "; ".join(parts)


def _alt_influence(layers: Sequence[LayerFlow]) -> str:
    parts = [
        f"{name} {flow.memory_horizon if flow.memory_horizon is not None else 'beyond the data'}"
        for name, flow in zip(layer_names(layers), layers, strict=True)
    ]
    return "Line chart: influence by lag; memory horizon: " + "; ".join(parts)


def _thinned(layers: Sequence[LayerFlow], drawn: int) -> Html:
    """Say what was left out of the figures."""
    words = []
    if drawn < len(layers):
        words.append(f"{drawn} of {len(layers)} layers are drawn, all stand in the table")
    longest = max(int(flow.lengths.max()) if len(flow.lengths) else 0 for flow in layers)
    if longest > MOST_POINTS:
        words.append(f"{MOST_POINTS} of {longest} steps are drawn in curves")
    if longest > MOST_COLUMNS:
        words.append(f"heat maps show the mean of {math.ceil(longest / MOST_COLUMNS)} neighbouring steps")
    return Html(f'<p class="note">Thinned: {attribute("; ".join(words))}.</p>') if words else Html("")


def _log_meter(ratio: float | None) -> Html:
    """Return a bar of a ratio in powers of ten."""
    if ratio is None or not ratio > 0 or not math.isfinite(ratio):
        return Html("")
    share = (math.log10(ratio) - BAR_LOW) / (BAR_HIGH - BAR_LOW)
    return Html(
        '<span class="meter thousandth" aria-hidden="true">'
        f'<span style="--share:{min(max(share, 0.0), 1.0):.4f}"></span></span>'
    )


def _form(value: float | None) -> Html:
    """Return a number with three digits."""
    return attribute("–" if value is None or math.isnan(value) else f"{value:.3g}")
