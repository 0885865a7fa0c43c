"""COLUMNS: which column of a table is the input and which the target."""

from collections.abc import Sequence
from dataclasses import dataclass

from elman.config import split_names, unknown_name
from elman.errors import DataError


@dataclass(frozen=True, slots=True)
class Columns:
    """The chosen columns, as positions among `names`.

    Args:
        names: all columns, in order.
        inputs: positions of the input columns.
        target: position of the target column; None where there is none.
        targets: positions of all target columns, where targets are numbers and may be several.
    """

    names: list[str]
    inputs: list[int]
    target: int | None
    targets: tuple[int, ...] = ()

    @property
    def input_names(self) -> list[str]:
        """The names of the input columns."""
        return [self.names[position] for position in self.inputs]

    @property
    def target_name(self) -> str | None:
        """The name of the target column; of several, their names with commas between them."""
        if len(self.targets) > 1:
            return ",".join(self.names[position] for position in self.targets)
        return None if self.target is None else self.names[self.target]


def find_column(names: Sequence[str], wanted: str, *, where: str) -> int:
    """Return the position of a column named by its name or its 1-based number (a name goes first).

    Raises:
        DataError: there is no such column; the nearest name is suggested.

    Example:
        >>> find_column(["text", "label"], "2", where="a.csv:1")
        1
    """
    if wanted in names:
        return names.index(wanted)
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 7 and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1
    raise DataError(f"{where}: {unknown_name('column', wanted, list(names))}")


def check_names(names: Sequence[str], *, where: str) -> None:
    """Refuse names that cannot tell columns apart.

    Raises:
        DataError: there is none, a name is empty, or stands twice.
    """
    if not names:
        raise DataError(f"{where}: has no columns; an input and a target were expected.")
    for number, name in enumerate(names, 1):
        if not name:
            raise DataError(
                f"{where}: column {number} has no name in the header. Name it, or leave the column out "
                "(pandas writes such a column for its index: use to_csv(index=False)); "
                "for a file without a header give the names with --columns."
            )
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise DataError(
            f"{where}: the header names column {twice!r} twice. Rename one; for a file without a header give "
            "the names with --columns."
        )


def choose_columns(
    names: Sequence[str],
    *,
    input: Sequence[str] | None,
    target: str | None,
    need_target: bool,
    kind: str | None,
    where: str,
    vectors: bool = False,
    several_targets: bool = False,
) -> Columns:
    """Return which columns are the input and the target.

    Args:
        names: all columns, in order.
        input: the input columns as the user named them; none: the first column that is not the target.
        target: the target column; none: the last column that is not an input.
        need_target: a missing target column is an error; otherwise it is left out.
        kind: "text", "series", or None.
        where: the place of the names, for messages.
        vectors: whether a row of this table holds one vector, so that a series without `input` takes every
            column but the target.
        several_targets: whether `target` may name several columns, "a,b".

    Raises:
        DataError: a named column does not exist, one is input and target at once, or no target is left.
    """
    check_names(names, where=where)
    inputs = [find_column(names, name, where=where) for name in input or []]
    if len(set(inputs)) < len(inputs):
        raise DataError(
            f"{where}: a column is named twice as input: {', '.join(input or [])}. Name each once."
        )
    if len(inputs) > 1 and kind == "text":
        raise DataError(
            f"{where}: several input columns ({', '.join(input or [])}) are the numbers of a vector, not a "
            "text. Name one of them as input, or leave the kind out."
        )
    targets: tuple[int, ...] = ()
    if several_targets and target is not None and target not in names and "," in target:
        targets = _find_targets(names, target, need_target=need_target, where=where)
        chosen = targets[0] if targets else None
    else:
        chosen = _choose_target(names, inputs, target, need_target=need_target, where=where)
        targets = (chosen,) if several_targets and chosen is not None else ()
    taken = targets or (chosen,)
    twice = next((position for position in taken if position in inputs), None)
    if twice is not None:
        raise DataError(
            f"{where}: column {names[twice]!r} is input and target at once. Name two different columns."
        )
    if not inputs:
        others = [position for position in range(len(names)) if position not in taken]
        if not others:
            raise DataError(
                f"{where}: there is only the column {names[0]!r}; an input and a target were expected."
            )
        inputs = others if vectors and kind == "series" else others[:1]
    return Columns(list(names), inputs, chosen, targets)


def _find_targets(names: Sequence[str], target: str, *, need_target: bool, where: str) -> tuple[int, ...]:
    """Return the positions of several target columns, "a,b"; none where they need not be there."""
    wanted = split_names(target)
    try:
        found = [find_column(names, name, where=where) for name in wanted]
    except DataError:
        if need_target:
            raise
        return ()
    if len(set(found)) < len(found):
        raise DataError(f"{where}: a column is named twice as target: {target}. Name each once.")
    bad = next((names[position] for position in found if "," in names[position]), None)
    if bad is not None:
        raise DataError(
            f"{where}: column {bad!r} has a comma in its name, and commas stand between several targets; "
            "rename it."
        )
    return tuple(found)


def _choose_target(
    names: Sequence[str], inputs: list[int], target: str | None, *, need_target: bool, where: str
) -> int | None:
    if target is not None:
        try:
            return find_column(names, target, where=where)
        except DataError:
            if need_target:
                raise
            return None
    free = [position for position in range(len(names)) if position not in inputs]
    if len(names) > 1 and free:
        return free[-1]
    if need_target:
        raise DataError(
            f"{where}: no column is left for the target (columns: {', '.join(names)}). "
            "Expected an input and a target column; name them with --input and --target."
        )
    return None
