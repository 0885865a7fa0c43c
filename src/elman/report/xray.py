"""X-RAY PAGE: one page that shows what goes on inside a recurrent network, what ails it, and what mends that.

The page stands alone as a report does: style, script and plotly are inside it, and its content policy forbids
it any network. Words, tables and coloured tokens need no script. The figures are made in
`xray_figures.py` and `xray_training.py`, and drawn by `report_assets/xray.js`.
"""

import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from elman.errors import RunError
from elman.report import xray_figures as figures_of
from elman.report.markup import Html, attribute, embed, join, safe
from elman.report.page import POLICY
from elman.report.xray_marks import Figure, layer_names
from elman.report.xray_sections import (
    diagnoses_section,
    layer_section,
    overview_sections,
    parameters_section,
    training_section,
)
from elman.report.xray_tokens import attention_figures, attention_section, tokens_section
from elman.report.xray_training import training_figures
from elman.report.xray_words import TITLES
from elman.xray.layer_flow import LayerFlow
from elman.xray.run_xray import RunXray

MOST_LAYERS = 6
"""Layers with figures of their own: of more, those with the smallest memory, where trouble is likeliest."""


def write_page(xray: RunXray, path: str | Path) -> None:
    """Write the X-ray of a run or a model as a page, aside first, so that it is whole or not there.

    Args:
        xray: what was found.
        path: of the HTML file.

    Raises:
        RunError: the file cannot be written.

    Example:
        >>> import elman.xray, tempfile, torch
        >>> from elman.xray.run_xray import RunXray
        >>> found = elman.xray.examine(torch.nn.GRU(2, 3), torch.ones(4, 1, 2), lambda m, x: m(x)[0].sum())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_page(RunXray("by hand", found, []), Path(folder) / "xray.html")
        ...     len(list(Path(folder).iterdir()))
        1
    """
    write_text(make_page(xray), path)


def make_page(xray: RunXray) -> Html:
    """Return the whole page as HTML."""
    layers = xray.examination.layers
    names = layer_names(layers)
    chosen = worst_layers(layers)
    figures = overview_figures(layers)
    for place in chosen:
        figures |= layer_figures(place, layers[place])
    figures |= training_figures(xray.records, xray.loss_curve) | attention_figures(xray)
    sections = [
        diagnoses_section(xray.diagnoses),
        *overview_sections(layers, figures),
        training_section(xray, figures),
        *(layer_section(place, names[place], layers[place], figures) for place in chosen),
        attention_section(figures, xray),
        tokens_section(xray),
        parameters_section(xray.examination.parameters),
    ]
    steps = max((int(flow.lengths.max()) for flow in layers if len(flow.lengths)), default=0)
    said = [f"loss {xray.examination.loss:.4g}", f"recurrent layers and directions: {len(layers)}"]
    said += [f"up to {steps} steps"] + ([xray.data] if xray.data else []) + xray.examination.notes
    return document(f"X-ray of {xray.run_name}", "; ".join(said) + ".", sections, figures)


def overview_figures(layers: Sequence[LayerFlow]) -> dict[str, Figure]:
    """Return the figures of all layers together, by name; none without a layer."""
    if not layers:
        return {}
    drawn = layers[: figures_of.MOST_LINES]
    return {"gradients": figures_of.gradients(drawn), "influence": figures_of.influence(drawn)}


def layer_figures(place: int, flow: LayerFlow) -> dict[str, Figure]:
    """Return the figures of one layer, by kind and place; none that has nothing to show."""
    makers = {kind: getattr(figures_of, kind) for kind in TITLES}
    if flow.mode == "RNN_RELU":
        del makers["gate_saturation"]  # a ReLU has no upper bound to be stuck at
    found: dict[str, Figure] = {kind: make(flow) for kind, make in makers.items()}
    return {f"{kind}-{place}": drawn for kind, drawn in found.items() if _is_drawn(drawn)}


def worst_layers(layers: Sequence[LayerFlow]) -> list[int]:
    """Return the places of the layers that get figures of their own, in their order."""
    if len(layers) <= MOST_LAYERS:
        return list(range(len(layers)))
    far = max(int(flow.lengths.max()) for flow in layers) + 1
    horizons = [far if flow.memory_horizon is None else flow.memory_horizon for flow in layers]
    return sorted(sorted(range(len(layers)), key=lambda place: horizons[place])[:MOST_LAYERS])


def document(title: str, said: str, sections: Sequence[Html], figures: Mapping[str, Figure]) -> Html:
    """Return a page that stands alone.

    Args:
        title: its heading; made safe here, as is `said`, the line below it.
        sections: finished.
        figures: by the names that the places in the sections have.
    """
    # Here and not above: plotly takes its time to import.
    from plotly.offline import get_plotlyjs

    return join([
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n',
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
        f"<title>{attribute(title)}</title>\n",
        f"<style>\n{_asset('style.css')}{_asset('xray.css')}</style>\n</head>\n<body>\n",
        f'<header><p class="kicker">elman · X-ray</p><h1>{safe(title)}</h1>',
        f'<p class="verdict">{safe(said)}</p></header>\n',
        "<main>\n", "\n".join(sections), "\n</main>\n",
        "<footer>This page stands alone: it needs no network, and sends nothing anywhere.",
        "<noscript> The figures need JavaScript; words and tables do not.</noscript></footer>\n",
        f'<script type="application/json" id="figures">{embed(figures)}</script>\n',
        f"<script>{get_plotlyjs()}</script>\n<script>\n{_asset('xray.js')}</script>\n</body>\n</html>\n",
    ])  # fmt: skip


def write_text(page: Html, path: str | Path) -> None:
    """Write a page aside and then into its place.

    Raises:
        RunError: that cannot be done.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.new")
    try:
        aside.write_bytes(page.encode("utf-8", "replace"))
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise RunError(
            f"{path}: the page cannot be written ({error.strerror}); give a file in a folder that exists and "
            "that you may write to."
        ) from None


def _is_drawn(drawn: Figure) -> bool:
    """Whether there is anything in a figure."""
    return any(len(trace["x"]) > 0 and trace.get("showlegend", True) for trace in drawn["data"])


def _asset(name: str) -> Html:
    return Html((files("elman") / "report_assets" / name).read_text(encoding="utf-8"))
