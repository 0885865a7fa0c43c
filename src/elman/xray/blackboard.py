"""BLACKBOARD: numbers as a lecturer writes them, in square brackets, as plain text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from elman.xray.hand_cells import Array


def number(value: float, digits: int = 4) -> str:
    """Return a number with so many digits after the point, or with an exponent where those would all be zero.

    Example:
        >>> number(0.5), number(-1.5e-7), number(0.0)
        ('0.5000', '-1.5e-07', '0.0000')
    """
    if value != 0 and abs(value) < 0.5 * 10**-digits:
        return f"{value:.1e}"
    value += 0.0  # -0.0 becomes 0.0
    return f"{value:.{digits}f}" if abs(value) < 1e6 else f"{value:.3e}"


def vector(values: Array, digits: int = 4) -> str:
    """Return a vector on one line.

    Example:
        >>> vector(np.array([0.5, -1.0]), 2)
        '[ 0.50  -1.00 ]'
    """
    return "[ " + "  ".join(number(float(value), digits).rjust(digits + 3) for value in values).strip() + " ]"


def matrix(
    name: str,
    values: Array,
    digits: int = 4,
    *,
    write: Callable[[int, int], str] | None = None,
    rows: Sequence[str] = (),
) -> list[str]:
    """Return the lines of ``name = [matrix]``, a row a line, the name beside the middle row.

    Args:
        name: what stands before the equals sign.
        values: *[rows, columns]*, or a vector, which is one row.
        digits: after the point.
        write: what stands for a number, by row and column; None: the number.
        rows: names at the right of the rows; none: no names.

    Example:
        >>> print("\\n".join(matrix("W", np.eye(2), 1)))
        W = [ 1.0  0.0 ]
            [ 0.0  1.0 ]
    """
    table = np.atleast_2d(values)
    cells = [
        [write(i, j) if write else number(float(value), digits) for j, value in enumerate(row)]
        for i, row in enumerate(table)
    ]
    width = max((len(cell) for row in cells for cell in row), default=0)
    middle = (len(cells) - 1) // 2
    lines = []
    for i, row in enumerate(cells):
        before = f"{name} = " if i == middle else " " * (len(name) + 3)
        after = f"  {rows[i]}" if len(rows) else ""
        lines.append(f"{before}[ {'  '.join(cell.rjust(width) for cell in row)} ]{after}".rstrip())
    return lines


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return columns under their names, the first to the left and the others to the right.

    Example:
        >>> print(table(["name", "value"], [["a", "10"], ["long", "5"]]))
        name  value
        a        10
        long      5
    """
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = []
    for row in [head, *rows]:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)),
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
