"""KERNELS PAGE: results/kernels.jsonl as a Markdown page and a drawing; kernels.py calls this."""

import json
import statistics
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from elman.bench.machine import BUSY

Record = dict[str, Any]

COLOURS = {"rnn": "#7a5195", "gru": "#2f7f6f", "lstm": "#c2601c"}
BAR, GAP, LEFT, PLOT, TOP = 11, 12, 190, 300, 64
MODES = {"train": "training", "inference": "inference"}


def write_page(folder: Path) -> None:
    """Write kernels.md and kernels.svg from the parts of kernels.jsonl, the last of each."""
    lines = (folder / "kernels.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    parts = [_last(records, part) for part in ("results", "steps", "memory", "lengths")]
    writers = (layers_part, steps_part, memory_part, lengths_part)
    blocks = ["# Kernels, measured"]
    for place, (record, write) in enumerate(zip(parts, writers, strict=True)):
        if record is not None:
            blocks.append(write(record))
            if all(record is not later for later in parts[place + 1 :]):
                blocks.append(made_by(record))
    (folder / "kernels.md").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    if parts[0] is not None:
        (folder / "kernels.svg").write_text(drawing(parts[0]), encoding="utf-8")


def _last(records: Sequence[Record], part: str) -> Record | None:
    """Give the last record that has a part; a quick one only where there is no other."""
    having = [record for record in records if part in record]
    having = [record for record in having if not record["quick"]] or having
    return having[-1] if having else None


def made_by(record: Record) -> str:
    """Say how a part was made."""
    peers = "".join(f", {name} {version}" for name, version in record.get("peers", {}).items())
    others = record.get("used_by_others")
    busy = f" Others used {100 * others:.0f} % of the processor meanwhile." if others is not None else ""
    busy += " **The processor was busy: these figures say little.**" if others and others > BUSY else ""
    quick = " --quick" if record["quick"] else ""
    return (
        f"Made by `benchmarks/kernels.py{quick}` on {record['date']}: {record['processor']}, "
        f"{record['cores']} cores, {record['instructions'] or 'no'} kernels, torch {record['torch']}{peers}, "
        f"Python {record['python']}, float32.{busy}"
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def shape_of(row: Record) -> str:
    """Give B x T x I x H, with layers and directions where they are not one."""
    lengths = row["lengths"]
    steps = f"{min(lengths)}..{max(lengths)}" if lengths else row["steps"]
    layers = f", {row['num_layers']} layers" if row["num_layers"] > 1 else ""
    directions = ", 2 directions" if row["bidirectional"] else ""
    return f"{row['batch']} x {steps} x {row['input_size']} x {row['hidden_size']}{layers}{directions}"


def number(value: float | None) -> str:
    """Give three digits."""
    if value is None:
        return "-"
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def layers_part(record: Record) -> str:
    """Give the ratios of all cases, and their means."""
    rows = record["results"]
    rivals = list(dict.fromkeys(name for row in rows for name in row["ratio"]))
    means = [
        [
            m["cell"],
            MODES[m["mode"]],
            str(m["threads"]),
            m["against"],
            f"**{m['ratio']:.2f}**",
            str(m["cases"]),
        ]
        for m in record["geometric_means"]
    ]
    peaks = [
        [count, number(value), *(number(speed) for speed in record["torch_mm_gflops"][count])]
        for count, value in record["peak_gflops"].items()
    ]
    about_peaks = ["threads", "peak, GFLOP/s", "`torch.mm`, 1024 x 512 x 512", "`torch.mm`, 32 x 256 x 768"]
    head = ["cell", "B x T x I x H", "", "threads", "elman, ms", *(f"x {name}" for name in rivals)]
    body = [
        [
            row["cell"],
            shape_of(row),
            MODES[row["mode"]],
            str(row["threads"]),
            number(row["milliseconds"]["elman"]),
            *(f"{row['ratio'][name]:.2f}" if name in row["ratio"] else "" for name in rivals),
            number(row["gflops"]),
            "-" if row["share_of_peak"] is None else f"{100 * row['share_of_peak']:.0f} %",
        ]
        for row in rows
    ]
    return "\n\n".join([
        "## Layers",
        "How many times faster elman is: the other's median time over elman's; below 1 it is slower. "
        "Training is the forward and backward pass with gradients of weights and input, inference the "
        "forward pass.",
        "![Ratios of all full shapes](kernels.svg)",
        "What the processor can do at most (multiply-adds in registers), and the products that torch makes: "
        "a large one, and that of one step of a GRU.",
        table(about_peaks, peaks),
        "Geometric means:",
        table(["cell", "", "threads", "against", "times faster", "cases"], means),
        "`packed` is torch between `pack_padded_sequence(enforce_sorted=False)` and `pad_packed_sequence`; "
        "`padded` is torch over the padding as if it were data, which gives other results.",
        table([*head, "GFLOP/s", "of peak"], body),
    ])  # fmt: skip


def steps_part(record: Record) -> str:
    """Give the times of one step."""
    rows = record["steps"]
    names = list(dict.fromkeys(name for row in rows for name in row["microseconds"]))
    body = [
        [row["cell"], str(row["size"]), *(number(row["microseconds"].get(name)) for name in names)]
        for row in rows
    ]
    about = "One step of one row on one thread, I = H, microseconds; `elman` is a stepper, layers run T = 1."
    return f"## One step of a stream\n\n{about}\n\n{table(['cell', 'H', *names], body)}"


def memory_part(record: Record) -> str:
    """Give the peaks of memory."""
    rows = record["memory"]
    names = list(dict.fromkeys(name for row in rows for name in row["mebibytes"]))
    body = [
        [
            row["cell"],
            row["shape"],
            *(f"{row['mebibytes'][n]:.1f}" if n in row["mebibytes"] else "" for n in names),
        ]
        for row in rows
    ]
    about = "By how much training steps raise the peak of a process, one thread, MiB."
    return f"## Memory\n\n{about}\n\n{table(['cell', 'B x T x I x H', *names], body)}"


def lengths_part(record: Record) -> str:
    """Give the times of fewer and more real steps, and the slope of each: a straight line through them."""
    rows = record["lengths"]
    names = list(rows[0]["milliseconds"])
    cells = list(dict.fromkeys(row["cell"] for row in rows))
    body = []
    for row in rows:
        body.append(
            [row["cell"], f"{row['steps']:,}", *(number(row["milliseconds"][name]) for name in names)]
        )
    slopes = []
    for cell in cells:
        own = [row for row in rows if row["cell"] == cell]
        steps = [float(row["steps"]) for row in own]
        for name in names:
            times = [row["milliseconds"][name] for row in own]
            slope, start = statistics.linear_regression(steps, times)
            slopes.append([cell, name, f"{1e6 * slope:.0f}", number(start), f"{times[0] / times[-1]:.2f}"])
    about = (
        "A training step of 32 rows of up to 200 steps, I = H = 128, one thread, milliseconds. One row has "
        "200 steps, the others become longer. Where the cost follows the sum of the lengths, the line "
        "through the times starts near zero."
    )
    head = ["cell", "", "ns a step", "at no steps, ms", "fewest / most steps"]
    share = f"Fewest over most steps is {rows[0]['steps'] / rows[len(rows) // len(cells) - 1]['steps']:.2f}."
    return "\n\n".join([
        "## Cost against the sum of lengths",
        about,
        table(["cell", "steps", *names], body),
        table(head, slopes),
        share,
    ])  # fmt: skip


def drawing(record: Record) -> str:
    """Draw the ratios to torch of all full shapes as bars, training beside inference, on the most threads."""
    threads = max(row["threads"] for row in record["results"])
    rows = [row for row in record["results"] if row["threads"] == threads and "torch" in row["ratio"]]
    shapes = list(dict.fromkeys(shape_of(row) for row in rows))
    cells = [cell for cell in COLOURS if any(row["cell"] == cell for row in rows)]
    most = max(row["ratio"]["torch"] for row in rows)
    scale = PLOT / max(2.0, most * 1.12)
    group = BAR * len(cells) + GAP
    height, width = TOP + group * len(shapes) + 14, LEFT + 2 * (PLOT + 30)
    said = f"How many times faster than torch.nn, {threads} thread{'s' if threads > 1 else ''}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="11" role="img">',
        f"<title>{escape(said)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="20" font-size="14" font-weight="bold" fill="#222">{escape(said)}</text>',
        f'<text x="12" y="38" fill="#555">{escape(record["processor"])}, torch {escape(record["torch"])}; '
        "rows, steps, inputs, units; the dashed line: as fast</text>",
    ]
    for place, cell in enumerate(cells):
        x = width - 70 * (len(cells) - place)
        parts.append(f'<rect x="{x}" y="12" width="10" height="10" fill="{COLOURS[cell]}"/>')
        parts.append(f'<text x="{x + 15}" y="21" fill="#222">{cell}</text>')
    for line, shape in enumerate(shapes):
        y = TOP + line * group + BAR * len(cells) / 2 + 4
        parts.append(
            f'<text x="{LEFT - 10}" y="{y:.0f}" text-anchor="end" fill="#222">{escape(shape)}</text>'
        )
    for panel, (mode, title) in enumerate(MODES.items()):
        left = LEFT + panel * (PLOT + 30)
        parts.append(f'<text x="{left}" y="{TOP - 8}" font-weight="bold" fill="#222">{title}</text>')
        for row in (row for row in rows if row["mode"] == mode):
            ratio = row["ratio"]["torch"]
            y = TOP + shapes.index(shape_of(row)) * group + cells.index(row["cell"]) * BAR
            colour = COLOURS[row["cell"]]
            parts.append(
                f'<rect x="{left}" y="{y}" width="{ratio * scale:.1f}" height="{BAR - 2}" fill="{colour}"/>'
                f'<text x="{left + ratio * scale + 4:.1f}" y="{y + 8.5}" font-size="9" fill="#555">'
                f"{ratio:.2f}</text>"
            )
        x, bottom = left + scale, height - 12
        parts.append(f'<line x1="{x:.1f}" y1="{TOP - 3}" x2="{x:.1f}" y2="{bottom}" stroke="#222" '
                     'stroke-dasharray="3 3"/>')  # fmt: skip
    return "\n".join([*parts, "</svg>"]) + "\n"
