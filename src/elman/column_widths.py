"""COLUMN WIDTHS: how the columns of a table share the cells of a line, and which follow in a block below."""

from collections.abc import Sequence

FEWEST_CELLS = 24
"""Cells that a text in a table keeps at least where numbers can make way instead."""

GAP = 2
"""Cells before each column."""


def lay_out(widths: Sequence[int], left: int, width: int) -> tuple[list[int], list[int], list[list[int]]]:
    """Return the widths of the texts and of the numbers of a table, and which numbers stand in each block.

    Texts are cut as long as enough of them is left; then the numbers that have no room make another block.

    Args:
        widths: of the columns, as they would like to be.
        left: how many of them, the first ones, are texts.
        width: cells of a line.

    Example:
        >>> lay_out([10, 5, 5], 1, 80), lay_out([30, 20, 20], 1, 60)
        (([10], [5, 5], [[0, 1]]), ([28], [20, 20], [[0], [1]]))
    """
    texts, numbers = list(widths[:left]), list(widths[left:])
    if _room(widths) > width:
        least = [min(text, FEWEST_CELLS) for text in texts]
        is_whole = not numbers or _room([*least, *numbers]) <= width
        needed = _room(numbers) if is_whole else max(_room([max(numbers)]), width // 2)
        texts = _narrowed(texts, width - needed)
        numbers = [min(number, max(width - _room([*texts, 0]), 1)) for number in numbers]
    blocks: list[list[int]] = [[]]
    for place in range(len(numbers)):
        block = [numbers[at] for at in [*blocks[-1], place]]
        if blocks[-1] and _room([*texts, *block]) > width:
            blocks.append([])
        blocks[-1].append(place)
    return texts, numbers, blocks


def _room(widths: Sequence[int]) -> int:
    """Return the cells of columns with the gap before each."""
    return sum(widths) + GAP * len(widths)


def _narrowed(widths: Sequence[int], room: int) -> list[int]:
    """Return the widths of columns that fit into a room, the widest cut first."""
    found = list(widths)
    while found and _room(found) > room and max(found) > 1:
        found[found.index(max(found))] -= 1
    return found
