"""X-RAY, COMPARED: one figure for several networks, a colour for each and dashes for its layers.

Networks may differ in everything, the length of their sequences too; so gradients are shares of each curve's
largest value, and counted from the end.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from elman.errors import ConfigError
from elman.report.markup import Html, attribute, chart, join, section
from elman.report.xray import document, write_text
from elman.report.xray_figures import influence_line, plane, whole_state, with_level
from elman.report.xray_marks import (
    MOST_POINTS,
    Figure,
    axis,
    figure,
    layer_names,
    line,
    log_axis,
    rounded,
    thin,
)
from elman.report.xray_sections import layers_table
from elman.report.xray_words import note
from elman.xray.layer_flow import LayerFlow
from elman.xray.run_xray import RunXray

MOST_LAYERS = 4
"""Layers of each network that are drawn: the first."""


def comparison(xrays: Sequence[RunXray], name: str) -> Figure:
    """Return one figure for several X-rays.

    Args:
        xrays: of runs or models; their `run_name` tells them apart.
        name: a key of `COMPARISONS`.

    Raises:
        ConfigError: there is no such figure.

    Example:
        >>> import elman.xray
        >>> read = lambda model, x: model(x)[0].sum()
        >>> models, x = (torch.nn.RNN(2, 3), torch.nn.GRU(2, 3)), torch.ones(4, 1, 2)
        >>> found = [elman.xray.examine(model, x, read) for model in models]
        >>> xrays = [RunXray(name, one, []) for name, one in zip(("rnn", "gru"), found, strict=True)]
        >>> [trace["name"] for trace in comparison(xrays, "gradients")["data"]]
        ['rnn · layer 1', 'gru · layer 1']
    """
    if name not in COMPARISONS:
        raise ConfigError(
            f"there is no figure {name!r} to compare; expected one of {', '.join(COMPARISONS)}."
        )
    return COMPARISONS[name][0](xrays)


def comparison_figures(xrays: Sequence[RunXray], names: Sequence[str] | None = None) -> dict[str, Figure]:
    """Return the figures that have anything to show; all of `COMPARISONS` where no names are given.

    Example:
        >>> comparison_figures([])
        {}
    """
    figures = {name: comparison(xrays, name) for name in names or COMPARISONS}
    return {name: drawn for name, drawn in figures.items() if drawn["data"]}


def comparison_places(figures: Mapping[str, Figure]) -> Html:
    """Return where the figures are drawn, with the words below them."""
    return join(
        Html(f"<div>{chart(name, title, f'{title}, a curve for each network.')}{note(words)}</div>")
        for name, (_, title, words) in COMPARISONS.items()
        if name in figures
    )


def write_comparison(xrays: Sequence[RunXray], path: str | Path) -> None:
    """Write a page with all figures that the X-rays can be compared by.

    Raises:
        RunError: the file cannot be written.
    """
    figures = comparison_figures(xrays)
    tables = [
        section(xray.run_name, layers_table(xray.examination.layers), f"loss {xray.examination.loss:.4g}")
        for xray in xrays
    ]
    names = " · ".join(xray.run_name for xray in xrays)
    drawn = section("Side by side", Html(f'<div class="columns">{comparison_places(figures)}</div>'))
    write_text(document("X-rays compared", str(attribute(names)), [drawn, *tables], figures), path)


def _gradients(xrays: Sequence[RunXray]) -> Figure:
    traces = []
    for name, flow, look in _layers(xrays):
        norms = next(iter(flow.mean_gradient_norms.values()))
        norms = norms[: int(flow.lengths.max())] if len(flow.lengths) else norms[:0]
        kept = thin(len(norms), MOST_POINTS)
        top = norms.nan_to_num(0.0, 0.0).max() if len(norms) else torch.tensor(1.0)
        shares = [value if value else None for value in rounded(norms[kept] / top)]
        traces.append(line(name, [len(norms) - 1 - step for step in kept], shares, look))
    values = [value for trace in traces for value in trace["y"]]
    x = axis("steps before the end") | {"autorange": "reversed"}
    return figure(traces, x, log_axis("|dL/dh<sub>t</sub>|, share of the largest", values))


def _influence(xrays: Sequence[RunXray]) -> Figure:
    return with_level(
        [influence_line(name, whole_state(flow), look) for name, flow, look in _layers(xrays)], []
    )


def _loss(xrays: Sequence[RunXray]) -> Figure:
    traces = []
    for place, xray in enumerate(xrays):
        pairs = [xray.loss_curve[at] for at in thin(len(xray.loss_curve), MOST_POINTS)]
        if pairs:
            losses = rounded([float(loss) for _, loss in pairs])
            traces.append(line(xray.run_name, [step for step, _ in pairs], losses, (place, place)))
    return figure(traces, axis("step of training"), axis("loss"))


def _spectrum(xrays: Sequence[RunXray]) -> Figure:
    found = []
    for xray in xrays:
        values = [
            spectrum.eigenvalues
            for flow in xray.examination.layers[:MOST_LAYERS]
            for spectrum in flow.spectra.jacobians
        ]
        if values:
            together = torch.cat(values)
            found.append((xray.run_name, together[together.abs().argsort(descending=True)]))
    return plane(found)


def _layers(xrays: Sequence[RunXray]) -> list[tuple[str, LayerFlow, tuple[int, int]]]:
    """Give (name, layer, colour and dashes) of all layers that are drawn."""
    return [
        (f"{xray.run_name} · {name}", flow, (place, dash))
        for place, xray in enumerate(xrays)
        for dash, (name, flow) in enumerate(
            list(zip(layer_names(xray.examination.layers), xray.examination.layers, strict=True))[
                :MOST_LAYERS
            ]
        )
    ]


Maker = Callable[[Sequence[RunXray]], dict[str, Any]]

COMPARISONS: dict[str, tuple[Maker, str, str]] = {
    "gradients": (
        _gradients,
        "|dL/dh_t| from the end backwards",
        "How much of the gradient reaches each step, as a share of the largest. The curve that stays up to"
        " the left can learn from the past; the one that sinks cannot. Pascanu, Mikolov and Bengio 2013.",
    ),
    "influence": (
        _influence,
        "Influence by lag",
        "How much of a small change of the state is left so many steps later; the number in the legend is "
        "the memory horizon, where the curve falls under 1 %. Pascanu, Mikolov and Bengio 2013, eq. 5-7.",
    ),
    "spectrum": (
        _spectrum,
        "Eigenvalues of the Jacobians",
        "What one step does to small changes, at visited states; near the unit circle they last. "
        "Of each network the largest are drawn. Saxe, McClelland and Ganguli 2014.",
    ),
    "loss": (_loss, "Loss", "The loss over the steps of training."),
}
"""Figures by name: what draws it, its title, and how to read it."""
