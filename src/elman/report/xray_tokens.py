"""X-RAY, TOKENS: what each token of the input did, as coloured text, and where a decoder looked.

The text needs no script; a token's number stands in its title, and the strongest ones in words below.
"""

from collections.abc import Sequence
from typing import Any

from elman.report.markup import Html, attribute, chart, join, safe, section
from elman.report.xray_marks import Figure, axis, plain, rounded, thin
from elman.report.xray_words import note
from elman.xray.run_xray import RunXray

MOST_TEXTS, MOST_TOKENS = 12, 400
"""Rows that are shown, and tokens of each."""

MOST_MAPS, MOST_CELLS, MOST_LOOKED = 6, 120, 60
"""Rows whose attention is drawn, steps of each; up to so many source tokens are written along the map."""

STRONGEST = 5
"""Tokens that are named below a text."""

DEEPEST = 0.6
"""Share of the colour in the darkest ground, on which dark letters can still be read."""


def tokens_section(xray: RunXray) -> Html:
    """Return the rows' tokens, coloured by how much the loss depends on them; nothing without both.

    Example:
        >>> from elman.xray.examine import Examination
        >>> xray = RunXray("r", Examination(0.5, [], [], []), [], tokens=[["a", "b"]], saliency=[[1.0, 0.0]])
        >>> "a: 1" in tokens_section(xray)
        True
    """
    if not xray.tokens or not xray.saliency:
        return Html("")
    pairs = list(zip(xray.tokens, xray.saliency, strict=False))
    signs = any(number < 0 for _, numbers in pairs for number in numbers)
    source = (
        "what it adds to the output (Sundararajan, Taly and Yan 2017)"
        if signs
        else "the norm of the loss's gradient by its vector (Simonyan, Vedaldi and Zisserman 2014)"
    )
    said = (
        f"Each token's ground shows {source}, beside the strongest of its row; hold the pointer over one for "
        "its number. A token that counts for nothing although it should says more than one that counts."
    )
    left_out = _left_out(pairs)
    texts = join(_text(tokens, numbers) for tokens, numbers in pairs[:MOST_TEXTS])
    return section("Tokens", Html(f"{note(said)}{_legend(signs)}{texts}{left_out}"))


def _text(tokens: Sequence[str], numbers: Sequence[float]) -> Html:
    """Return one row as text, and its strongest tokens in words."""
    both = [(token, _number(value)) for token, value in zip(tokens, numbers, strict=False)][:MOST_TOKENS]
    top = max((abs(value) for _, value in both), default=0.0)
    marks = []
    for token, value in both:
        share = DEEPEST * abs(value) / top if top else 0.0
        kind = "token against" if value < 0 else "token"
        marks.append(
            f'<span class="{kind}" style="--share:{share:.3f}" title="{value:.3g}">{safe(token)}</span> '
        )
    order = sorted(both, key=lambda pair: -abs(pair[1]))[:STRONGEST]
    named = ", ".join(f"{token}: {value:.3g}" for token, value in order)
    return Html(f'<p class="tokens">{join(marks)}</p><p class="note">The strongest: {safe(named)}</p>')


def _legend(signs: bool) -> Html:
    """Return what the grounds mean, in five shades each."""
    shades = (0.0, 0.25, 0.5, 0.75, 1.0)

    def row(kind: str, words: str) -> str:
        boxes = join(
            f'<span class="{kind}" style="--share:{DEEPEST * s:.3f}">{s:.0%}</span> ' for s in shades
        )
        return f"<span>{boxes}{attribute(words)}</span> "

    first = row("token", "of the strongest" + (", raising it" if signs else ""))
    return Html(f'<p class="tokens legend">{first}{row("token against", "lowering it") if signs else ""}</p>')


def _left_out(pairs: Sequence[tuple[list[str], list[float]]]) -> Html:
    """Say what is not shown."""
    words = []
    if len(pairs) > MOST_TEXTS:
        words.append(f"the first {MOST_TEXTS} of {len(pairs)} rows")
    if any(len(tokens) > MOST_TOKENS for tokens, _ in pairs[:MOST_TEXTS]):
        words.append(f"the first {MOST_TOKENS} tokens of a row")
    return Html(f'<p class="note">Shown: {attribute("; ".join(words))}.</p>') if words else Html("")


def attention_figures(xray: RunXray) -> dict[str, Figure]:
    """Return a map of the weights of each of the first rows, by name; none without attention.

    Example:
        >>> from elman.xray.examine import Examination
        >>> weights = [[[1.0, 0.0], [0.5, 0.5]]]
        >>> found = attention_figures(RunXray("r", Examination(0.5, [], [], []), [], attention=weights))
        >>> found["attention-0"]["data"][0]["z"]
        [[1.0, 0.0], [0.5, 0.5]]
    """
    rows = (xray.attention or [])[:MOST_MAPS]
    tokens = xray.tokens or []
    return {
        f"attention-{row}": _attention_map(weights, tokens[row] if row < len(tokens) else [])
        for row, weights in enumerate(rows)
        if weights and weights[0]
    }


def _attention_map(weights: Sequence[Sequence[float]], tokens: Sequence[str]) -> Figure:
    down, across = thin(len(weights), MOST_CELLS), thin(len(weights[0]), MOST_CELLS)
    cells = [rounded([weights[target][source] for source in across]) for target in down]
    x = axis("source")
    if len(tokens) == len(weights[0]) and len(tokens) <= MOST_LOOKED:
        places = [source + 1 for source in across]
        x |= {"tickvals": places, "ticktext": [plain(token, 12) for token in tokens], "tickangle": -60}
    trace = {
        "type": "heatmap",
        "x": [source + 1 for source in across],
        "y": [target + 1 for target in down],
        "z": cells,
        "zmin": 0,
        "zmax": 1,
        "colorscale": "Cividis",
        "hovertemplate": "source %{x}, target %{y}: %{z}<extra></extra>",
        "colorbar": {
            "thickness": 12,
            "outlinewidth": 0,
            "title": {"text": "weight", "side": "right", "font": {"size": 13}},
        },
    }
    y = axis("step of the output") | {"autorange": "reversed", "showgrid": False}
    return {"data": [trace], "layout": {"xaxis": x | {"showgrid": False}, "yaxis": y, "hovermode": "closest"}}


def attention_section(figures: dict[str, Figure], xray: RunXray) -> Html:
    """Return the places of the maps; nothing without attention."""
    names = [name for name in figures if name.startswith("attention-")]
    if not names:
        return Html("")
    places = [
        chart(name, f"Row {int(name.split('-')[1]) + 1}", _look(xray, int(name.split("-")[1])))
        for name in names
    ]
    said = (
        "A row for each step of the output, from the top, a column for each token of the source: the "
        "lighter, the more it was looked at; each row sums to 1 (Bahdanau, Cho and Bengio 2015, eq. 6). A "
        "diagonal is an order that was kept; one bright column is a token that all look at, often the "
        "last."
    )
    total = len(xray.attention or [])
    words = [f"{len(names)} of {total} rows"] if total > len(names) else []
    if any(
        max(len(weights), len(weights[0] if weights else [])) > MOST_CELLS for weights in xray.attention or []
    ):
        words.append(f"{MOST_CELLS} steps of each, spread evenly")
    left_out = note(f"Shown: {'; '.join(words)}.") if words else ""
    return section("Attention", Html(f'{note(said)}<div class="columns">{join(places)}</div>{left_out}'))


def _look(xray: RunXray, row: int) -> str:
    weights: Any = (xray.attention or [])[row]
    return f"Heat map: attention over {len(weights[0])} source tokens at {len(weights)} steps of the output."


def _number(value: Any) -> float:
    """Return a number, 0 for what is none: NaN has no colour."""
    found = float(value) if value is not None else 0.0
    return found if abs(found) < float("inf") else 0.0
