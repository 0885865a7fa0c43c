"""TABLE: what was timed, as a person reads it: how many times faster first, then what and how long."""

from collections.abc import Iterable
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from elman import tables
from elman.bench.machine import BUSY
from elman.bench.timing import Report, Result, plural

HOW_TO_READ = """\
train, infer: how many times faster elman.nn is than torch.nn, forward and backward or forward; ms: of both.
B x T x I x H: rows, steps, inputs, units (L layers, D directions); peak: elman's share of the processor's."""

AGAINST = (
    "against packed: rows of unequal length, packed for torch; padded: torch takes the padding for data."
)

SHAPE = "B x T x I x H"
HEADER = ["train", "infer", "cell", SHAPE, "against", "train ms", "infer ms", "peak"]
LEFT = ("cell", SHAPE, "against")
NOTABLE = 0.05
"""Ratios nearer to one than this get no colour."""

Rows = list[list[str]]


def show(report: Report, console: Console) -> None:
    """Print the table of all results, their geometric means, and how to read them.

    Args:
        report: what was measured.
        console: where to; a terminal gets colours, anything else plain lines of any length.
    """
    facts = report.to_json()
    kernels = f"elman's {facts['instructions']} kernels" if facts["instructions"] else "no kernels of elman's"
    said = f"{facts['processor']}, {facts['cores']} cores; {kernels}, torch {facts['torch']}; float32"
    console.print(said, markup=False, highlight=False, soft_wrap=True)
    for threads, peak in report.peaks.items():
        top = f"peak {peak / 1e9:.0f} GFLOP/s" if peak else "peak -"
        console.print(f"\n{plural(threads)}, {top}", style="bold", highlight=False)
        _print(console, HEADER, result_rows(result for result in report.results if result.threads == threads))
    console.print("\ngeometric means", style="bold")
    _print(console, ["train", "infer", "cell", "against", "threads", "cases"], mean_rows(report))
    if report.others is not None and report.others > BUSY:
        share = f"{100 * report.others:.0f} %"
        busy = f"others used {share} of the processor meanwhile: measure again when it is free"
        console.print(f"\n{busy}", style="red", highlight=False, soft_wrap=True)
    lengths = f"\n{AGAINST}" if any(result.case.lengths for result in report.results) else ""
    console.print(f"\n{HOW_TO_READ}{lengths}", markup=False, highlight=False, soft_wrap=True)


def result_rows(results: Iterable[Result]) -> Rows:
    """Give a row for each case and rival, training and inference side by side."""
    pairs: dict[tuple[object, str], dict[str, Result]] = {}
    for result in results:
        for rival in result.rivals:
            pairs.setdefault((result.case, rival), {})[result.mode] = result
    rows = []
    for (_, rival), modes in pairs.items():
        both = [modes.get("train"), modes.get("inference")]
        case = next(iter(modes.values())).case
        ratios = ["-" if each is None else times(each.ratio(rival)) for each in both]
        spent = [
            "-" if each is None else f"{milliseconds(each, 'elman')}/{milliseconds(each, rival)}"
            for each in both
        ]
        shares = [f"{100 * each.share:.0f}" if each and each.share else "-" for each in both]
        peak = "-" if shares == ["-", "-"] else f"{shares[0]}/{shares[1]} %"
        rows.append([*ratios, case.cell, case.title, rival, *spent, peak])
    return rows


def mean_rows(report: Report) -> Rows:
    """Give a row for each cell, rival and number of threads: the means of its ratios."""
    groups: dict[tuple[str, str, int, int], dict[str, float]] = {}
    for mean in report.means():
        key = (mean["cell"], mean["against"], mean["threads"], mean["cases"])
        groups.setdefault(key, {})[mean["mode"]] = mean["ratio"]
    return [
        [*(times(ratios[mode]) if mode in ratios else "-" for mode in ("train", "inference")), *map(str, key)]
        for key, ratios in groups.items()
    ]


def times(ratio: float) -> str:
    """Give a ratio in three digits.

    Example:
        >>> times(2.314), times(12.26)
        ('2.31x', '12.3x')
    """
    return f"{ratio:.2f}x" if ratio < 9.995 else f"{ratio:.1f}x"


def milliseconds(result: Result, who: str) -> str:
    """Give somebody's time in three digits."""
    value = 1000 * result.seconds[who]
    return f"{value:.3f}" if value < 1 else f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def _print(console: Console, header: list[str], rows: Rows) -> None:
    if not console.is_terminal:
        left = [name in LEFT for name in header]
        widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
        for row in [header, *rows]:
            cells = zip(row, widths, left, strict=True)
            line = "  ".join(tables.pad(cell, width, right=not is_left) for cell, width, is_left in cells)
            console.print(f"  {line}".rstrip(), markup=False, highlight=False, soft_wrap=True)
        return
    table = Table(box=None, pad_edge=True, header_style="dim")
    for name in header:
        is_shape = name == SHAPE
        justify: Literal["left", "right"] = "left" if name in LEFT else "right"
        table.add_column(
            name, justify=justify, no_wrap=not is_shape, overflow="fold" if is_shape else "ellipsis"
        )
    for row in rows:
        table.add_row(*(_coloured(cell) for cell in row))
    console.print(table)


def _coloured(cell: str) -> Text:
    if not cell.endswith("x"):
        return Text(cell)
    ratio = float(cell[:-1])
    colour = "green" if ratio > 1 + NOTABLE else "red" if ratio < 1 - NOTABLE else ""
    return Text(cell, style=colour)
