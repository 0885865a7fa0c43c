"""READ: any file of sequences, by its extension; data in memory, by its type."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Protocol

from elman.config import unknown_name
from elman.data.conll import read_conll
from elman.data.example import Reading
from elman.data.in_memory import examples_from
from elman.data.lines import absent
from elman.data.measures import Unit
from elman.data.running_text import read_running_text
from elman.data.sentences import read_sentences
from elman.data.table import read_table
from elman.errors import DataError

__all__ = ["READERS", "Reader", "Reading", "examples_from", "read_examples"]


class Reader(Protocol):
    """What stands in `READERS`: from a file to its examples."""

    def __call__(
        self,
        path: str | PathLike[str],
        *,
        input: Sequence[str] | None,
        target: str | None,
        columns: Sequence[str] | None,
        kind: str | None,
        need_target: bool,
    ) -> Reading: ...


def read_plain_text(
    path: str | PathLike[str],
    *,
    input: Sequence[str] | None = None,
    target: str | None = None,
    columns: Sequence[str] | None = None,
    kind: str | None = None,
    need_target: bool = True,
) -> Reading:
    """Return a .txt file as one running text (kind "stream") or as sentences, one a line (any other kind)."""
    reader = read_running_text if kind == "stream" else read_sentences
    return reader(path, input=input, target=target, columns=columns, kind=kind, need_target=need_target)


READERS: dict[str, Reader] = {
    ".csv": read_table,
    ".tsv": read_table,
    ".jsonl": read_table,
    ".parquet": read_table,
    ".conll": read_conll,
    ".conllu": read_conll,
    ".txt": read_plain_text,
}


def read_examples(
    path: str | PathLike[str],
    *,
    input: Sequence[str] | None = None,
    target: str | None = None,
    columns: Sequence[str] | None = None,
    kind: str | None = None,
    need_target: bool = True,
    measures: Unit | None = None,
    categories: Sequence[str] | None = None,
) -> Reading:
    """Return the examples in a file, read by the reader that its extension names.

    Args:
        path: a file whose extension stands in `READERS`.
        input: input columns, by name or 1-based number; None: the reader's default.
        target: target column, likewise.
        columns: names for the columns of a file without a header.
        kind: "text", "series", "stream" (one running text), or None: seen from the input.
        need_target: whether a missing target is an error (it is for training and evaluation).
        measures: what the targets are numbers of, which only tables hold; None: targets are labels.
        categories: input columns of a table that hold names instead of numbers; None: those without a number.

    Raises:
        DataError: no such file (the nearest is named), an unknown extension, or what the reader refuses, with
            file and line.
    """
    if not Path(path).exists():
        raise DataError(absent(path))
    if Path(path).is_dir():
        raise DataError(f"{path}: is a folder; name a file in it.")
    name = str(path)
    suffix = (
        "." + name.rpartition(".")[2].lower() if "." in name.replace("\\", "/").rpartition("/")[2] else ""
    )
    reader = READERS.get(suffix)
    if reader is None:
        known = list(READERS)
        hint = (
            unknown_name("extension", suffix, known) if suffix else f"no extension; known: {', '.join(known)}"
        )
        raise DataError(f"{path}: {hint.rstrip('.')}. The extension names the format: rename the file.")
    if measures is not None or categories is not None:
        return read_table(
            path,
            input=input,
            target=target,
            columns=columns,
            kind=kind,
            need_target=need_target,
            measures=measures,
            categories=categories,
        )
    return reader(path, input=input, target=target, columns=columns, kind=kind, need_target=need_target)
