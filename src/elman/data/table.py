"""TABLE: .csv, .tsv, .jsonl and .parquet files, one row an example.

- **.csv**: commas and double quotes, as the standard library's `csv` reads them, strictly.
- **.tsv**: tabs, and nothing else: a quote is a character like any other (IANA text/tab-separated-values).
- **.jsonl**: one JSON object a line.
- **.parquet**: typed columns; needs the extra `parquet`.

Nothing is inferred in text files: "01", "NA" and "true" stay as written.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from os import PathLike
from typing import Any

from elman.data.categories import Row
from elman.data.columns import Columns, choose_columns
from elman.data.example import Reading
from elman.data.lines import parse_json, read_lines
from elman.data.measures import Unit
from elman.data.values import make_reading
from elman.errors import DataError, MissingExtraError

MAX_FIELD_CHARACTERS = 16 * 1024 * 1024
"""A longer field is a quote that was never closed."""

PARQUET_ROWS_AT_ONCE = 1024

Path = str | PathLike[str]


def read_table(
    path: Path,
    *,
    input: Sequence[str] | None = None,
    target: str | None = None,
    columns: Sequence[str] | None = None,
    kind: str | None = None,
    need_target: bool = True,
    measures: Unit | None = None,
    categories: Sequence[str] | None = None,
) -> Reading:
    """Return the examples in a table; the format follows from the extension.

    Args:
        path: a .csv, .tsv, .jsonl or .parquet file.
        input: input columns, by name or 1-based number (default: the first that is not the target).
        target: target column (default: the last that is not an input).
        columns: names for the columns of a .csv or .tsv file without a header.
        kind: "text", "series", or None: seen from the input; several columns, or an array, are a series.
        need_target: whether a row without a target is an error.
        measures: what the targets are numbers of (they may then be several, "a,b"); None: they are labels.
        categories: input columns that hold names instead of numbers; None: those without a number.

    Raises:
        DataError: the file is damaged, empty, or does not hold what was asked for; file and line are named.
        MissingExtraError: a .parquet file, and pyarrow is not installed.
    """
    suffix = str(path).lower().rpartition(".")[2]
    open_rows = TABLES.get(suffix)
    if open_rows is None:
        raise DataError(f"{path}: is no table; expected one of {', '.join('.' + name for name in TABLES)}.")
    typed = suffix in ("jsonl", "parquet")
    if columns and typed:
        raise DataError(
            f"{path}: --columns names the columns of .csv and .tsv files; a .{suffix} file has its own names."
        )

    def choose(names: Sequence[str], where: str) -> Columns:
        return choose_columns(
            names,
            input=input,
            target=target,
            need_target=need_target,
            kind=kind,
            where=where,
            vectors=not typed,
            several_targets=measures is not None,
        )

    chosen, rows = open_rows(path, columns, choose)
    reading = make_reading(
        rows, chosen, kind=kind, need_target=need_target, measures=measures, categories=categories
    )
    if not reading.examples:
        raise DataError(f"{path}: has a header but no rows; at least one row was expected.")
    return reading


Choose = Callable[[Sequence[str], str], Columns]
Opened = tuple[Columns, Iterator[Row]]


def _open_text_table(
    path: Path, names: Sequence[str] | None, choose: Choose, records: Iterator[Row]
) -> Opened:
    """Return the columns and rows of a table of texts, from its records."""
    first = next(records, None)
    if first is None:
        raise DataError(f"{path}: is empty; a table with at least one row was expected.")
    where, cells = first
    header = [cell.strip() for cell in cells]
    if names:
        if list(names) == header:
            raise DataError(
                f"{where}: the first line repeats the names in --columns, so it is a header. "
                "Leave --columns out."
            )
        if len(names) != len(cells):
            raise DataError(
                f"{where}: has {len(cells)} fields, but --columns names {len(names)} ({', '.join(names)}). "
                "Name every column."
            )
        return choose(names, f"{path}"), _even(chain([first], records), names)
    return choose(header, where), _even(records, header)


def _even(records: Iterable[Row], names: Sequence[str]) -> Iterator[Row]:
    """Refuse records with another number of fields than there are columns."""
    for where, cells in records:
        if len(cells) != len(names):
            raise DataError(
                f"{where}: has {len(cells)} field{'s' * (len(cells) != 1)}, "
                f"but there are {len(names)} columns ({_shorten(names)}). "
                "Is a separator missing, or one inside a text? "
                "In .csv, put double quotes around such a text; in .tsv, a text cannot hold a tab."
            )
        yield where, cells


def _shorten(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:7])}, ... {names[-1]}"


def _open_csv(path: Path, names: Sequence[str] | None, choose: Choose) -> Opened:
    return _open_text_table(path, names, choose, _csv_records(path))


def _csv_records(path: Path) -> Iterator[Row]:
    # The limit belongs to the process; raised only, so that it takes nothing from other users of csv.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD_CHARACTERS))
    reader = csv.reader((text for _, text in read_lines(path, keep_ends=True)), strict=True)
    while True:
        line = reader.line_num + 1  # physical: a quoted field may run over several lines
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(f"{path}:{line}: {_explain(str(error))}") from None
        if cells is None:
            return
        if cells:  # a blank line is no record
            yield f"{path}:{line}", cells


def _explain(message: str) -> str:
    if "unexpected end" in message or "field larger" in message:
        return (
            "a double quote opens a text here and is never closed. Close it, or write it twice inside a text."
        )
    if "new-line" in message:
        return "holds a carriage return that ends no line. Save the file with line feeds, or quote the text."
    return (
        f"is not CSV ({message}). A text in double quotes ends at the next quote, which a comma or the line "
        'end must follow; write a quote inside it twice ("").'
    )


def _open_tsv(path: Path, names: Sequence[str] | None, choose: Choose) -> Opened:
    records = ((f"{path}:{number}", text.split("\t")) for number, text in read_lines(path) if text)
    return _open_text_table(path, names, choose, records)


def _open_jsonl(path: Path, names: Sequence[str] | None, choose: Choose) -> Opened:
    records = _jsonl_records(path)
    first = next(records, None)
    if first is None:
        raise DataError(f"{path}: is empty; one JSON object a line was expected.")
    where, keys = first
    chosen = choose(list(keys), where)
    needed = [chosen.names[position] for position in chosen.inputs]

    def rows() -> Iterator[Row]:
        for where, row in chain([first], records):
            for name in needed:
                if name not in row:
                    raise DataError(
                        f"{where}: has no key {name!r} (keys: {_shorten(list(row))}), "
                        "which is the input column."
                    )
            yield where, [row.get(name) for name in chosen.names]

    return chosen, rows()


def _jsonl_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, text in read_lines(path):
        if not text.strip():
            continue
        where = f"{path}:{number}"
        value = parse_json(text, where=where)
        if not isinstance(value, dict):
            raise DataError(
                f"{where}: is a JSON {type(value).__name__}; an object was expected, such as "
                f'{{"text": "...", "label": "..."}}.'
            )
        yield where, value


def _open_parquet(path: Path, names: Sequence[str] | None, choose: Choose) -> Opened:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError(
            f"{path}: reading .parquet needs pyarrow; install it with pip install 'elman[parquet]'."
        ) from None
    # OSError is what pyarrow raises for damaged bytes; MemoryError for damaged sizes.
    damages = (pyarrow.ArrowException, OSError, MemoryError, ValueError, OverflowError)
    try:
        file = pyarrow.parquet.ParquetFile(path, page_checksum_verification=True)
        header = list(file.schema_arrow.names)
        num_rows = file.metadata.num_rows
    except damages as error:
        raise DataError(f"{path}: cannot be read as Parquet: {_first_line(error)}") from None
    if not header or num_rows == 0:
        raise DataError(f"{path}: is empty; at least one column and one row were expected.")
    chosen = choose(header, f"{path}")
    wanted = {
        chosen.names[position]
        for position in [*chosen.inputs, chosen.target, *chosen.targets]
        if position is not None
    }

    def rows() -> Iterator[Row]:
        row = 0
        try:
            for batch in file.iter_batches(PARQUET_ROWS_AT_ONCE, columns=sorted(wanted), use_threads=False):
                cells = {name: batch.column(name).to_pylist() for name in wanted}
                for index in range(batch.num_rows):
                    row += 1
                    yield (
                        f"{path}: row {row}",
                        [cells[name][index] if name in wanted else None for name in chosen.names],
                    )
        except DataError:
            raise
        except damages as error:
            raise DataError(f"{path}: row {row + 1} or later cannot be read: {_first_line(error)}") from None

    return chosen, rows()


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{text[0] if text else type(error).__name__}. Is the file whole?"


TABLES = {"csv": _open_csv, "tsv": _open_tsv, "jsonl": _open_jsonl, "parquet": _open_parquet}
