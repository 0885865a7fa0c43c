"""MARKUP: the few pieces of HTML that a report is made of, every string in them made safe.

A piece of finished HTML has the type `Html`; anything else that is put into a page goes through `safe` first.
"""

import html
import json
from collections.abc import Iterable, Sequence
from typing import Any, NewType

from elman.tables import visible

Html = NewType("Html", str)
"""Text that may stand in a page as it is."""

LONGEST_TEXT = 400
"""Characters of one user string that a page shows."""


def safe(text: Any) -> Html:
    """Return any text so that a page shows it and never runs it, isolated from the direction around it.

    Example:
        >>> safe("<b> & c")
        '<bdi>&lt;b&gt; &amp; c</bdi>'
    """
    return Html(f"<bdi>{attribute(text)}</bdi>")


def attribute(text: Any) -> Html:
    """Return any text so that it may stand between the quotes of an attribute, or as plain words."""
    words = str(text)
    if len(words) > LONGEST_TEXT:
        words = words[:LONGEST_TEXT] + "…"
    return Html(html.escape(visible(words).encode("utf-8", "replace").decode("utf-8"), quote=True))


def embed(value: Any) -> Html:
    """Return a value as JSON that may stand inside a script element: nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Html(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def join(pieces: Iterable[str]) -> Html:
    """Return finished pieces one after the other."""
    return Html("".join(pieces))


def cell(content: Html, kind: str = "", name: str = "", tag: str = "td") -> Html:
    """Return one cell of a table.

    Args:
        content: what stands in it, finished.
        kind: CSS classes.
        name: its column's name, shown beside it where a narrow screen stacks the cells.
        tag: "td", or "th" for the cell that names its row.
    """
    scope = ' scope="row"' if tag == "th" else ""
    label = f' data-name="{attribute(name)}"' if name else ""
    klass = f' class="{kind}"' if kind else ""
    return Html(f"<{tag}{scope}{klass}{label}>{content}</{tag}>")


def table(header: Sequence[tuple[str, str]], rows: Iterable[Html], *, label: str, kind: str = "") -> Html:
    """Return a table that scrolls sideways where the screen is too narrow.

    Args:
        header: (words, CSS class) of each column.
        rows: finished rows (`row`).
        label: what the table shows, for those who hear the page.
        kind: CSS classes of the table.
    """
    heads = join(f'<th scope="col" class="{klass}">{safe(words)}</th>' for words, klass in header)
    return Html(
        f'<div class="scroll" tabindex="0" role="region" aria-label="{attribute(label)}">'
        f'<table class="{kind}"><thead><tr>{heads}</tr></thead><tbody>{join(rows)}</tbody></table></div>'
    )


def row(cells: Iterable[Html], kind: str = "") -> Html:
    """Return one row of finished cells."""
    klass = f' class="{kind}"' if kind else ""
    return Html(f"<tr{klass}>{join(cells)}</tr>")


def section(title: str, content: Html, note: str = "") -> Html:
    """Return a section of the page under a heading."""
    said = f'<p class="note">{attribute(note)}</p>' if note else ""
    return Html(f"<section><h2>{attribute(title)}</h2>{said}{content}</section>")


def chart(name: str, title: str, description: str, kind: str = "") -> Html:
    """Return the place of a chart; `report_assets/charts.js` draws it.

    Args:
        name: its key among the page's charts.
        title: words above it.
        description: what it shows, for those who cannot see it.
        kind: more CSS classes ("low").
    """
    return Html(
        f'<figure><figcaption>{attribute(title)}</figcaption><div class="chart {kind}" data-chart="{name}" '
        f'role="img" aria-label="{attribute(description)}"></div></figure>'
    )


def meter(share: float) -> Html:
    """Return a small bar for a fraction of one."""
    return Html(f'<span class="meter" aria-hidden="true"><span style="--share:{share:.4f}"></span></span>')
