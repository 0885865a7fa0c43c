"""LINES: the text of a file, line by line, checked before anything else looks at it.

Lines end at a line feed and nowhere else: a form feed or U+2028 inside a tweet is part of the tweet. Files
are UTF-8, with or without a byte order mark. What is not UTF-8, holds NUL bytes or has no end to its lines
is refused with its place, before memory is taken for it.
"""

import json
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

from elman.config import nearest_name
from elman.errors import DataError

MAX_LINE_BYTES = 32 * 1024 * 1024
"""A longer line is a binary file or a file without line feeds; a whole book is about one thirtieth of it."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
OTHER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read_raw_lines(path: str | PathLike[str]) -> Iterator[tuple[int, bytes]]:
    """Yield line number (from 1) and bytes of each line, without its line end (LF or CR LF).

    Raises:
        DataError: the file cannot be opened or read, or a line is longer than `MAX_LINE_BYTES`.
    """
    for number, _, line in _read_lines(path):
        yield number, line


def read_lines(path: str | PathLike[str], *, keep_ends: bool = False) -> Iterator[tuple[int, str]]:
    """Yield line number (from 1) and text of each line.

    Args:
        path: a UTF-8 file.
        keep_ends: leave each line's LF or CR LF on.

    Raises:
        DataError: as `read_raw_lines`; bytes that are not UTF-8 (line and byte offset are named); NUL bytes.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp(), "a.txt")
        >>> _ = path.write_bytes("eins\\r\\nzwei".encode())
        >>> list(read_lines(path))
        [(1, 'eins'), (2, 'zwei')]
    """
    for number, offset, raw in _read_lines(path, keep_ends=keep_ends):
        if 0 in raw:
            raise DataError(
                f"{path}:{number}: holds a NUL byte, at byte {offset + raw.index(0)} of the file; "
                "text was expected. Is it a binary file, or UTF-16? Save it as UTF-8 text."
            )
        try:
            yield number, raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}:{number}: is not UTF-8: byte 0x{raw[error.start]:02x} at byte "
                f"{offset + error.start} of the file. "
                "Save the file as UTF-8 (iconv -f latin1 -t utf-8 converts from Latin-1)."
            ) from None


def _read_lines(path: str | PathLike[str], *, keep_ends: bool = False) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, offset in the file and bytes of each line."""
    offset = 0
    number = 0
    try:
        with open(path, "rb") as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                size = len(line)
                if size > MAX_LINE_BYTES:
                    raise DataError(
                        f"{path}:{number}: is longer than {MAX_LINE_BYTES:,} bytes, "
                        "the most a line may have. "
                        "Was it saved without line ends? Otherwise cut the sequence into shorter ones."
                    )
                start = offset
                if number == 1:
                    _refuse_other_encodings(path, line)
                    if line.startswith(BYTE_ORDER_MARK):
                        line, start = line[len(BYTE_ORDER_MARK) :], len(BYTE_ORDER_MARK)
                if not keep_ends and line.endswith(b"\n"):
                    line = line[:-2] if line.endswith(b"\r\n") else line[:-1]
                yield number, start, line
                offset += size
    except FileNotFoundError:
        raise DataError(absent(path)) from None
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror or error}. Check the path and its permissions."
        ) from None


def absent(path: str | PathLike[str]) -> str:
    """Return the message for a file that is not there; the nearest name beside it is suggested.

    Example:
        >>> absent("no/such/train.csv")
        "no/such/train.csv: there is no such file, for there is no folder 'no/such'; check the path."
    """
    file = Path(path)
    if not file.parent.is_dir():
        return f"{path}: there is no such file, for there is no folder {str(file.parent)!r}; check the path."
    near = nearest_name(file.name, sorted(entry.name for entry in file.parent.iterdir() if entry.is_file()))
    hint = f"did you mean {str(file.with_name(near))!r}?" if near else "check the path."
    return f"{path}: there is no such file; {hint}"


def _refuse_other_encodings(path: str | PathLike[str], first_line: bytes) -> None:
    name = OTHER_MARKS.get(first_line[:2])
    if name:
        raise DataError(
            f"{path}:1: is {name} text; UTF-8 was expected. Save it as UTF-8 (iconv -f {name} -t utf-8)."
        )


def parse_json(text: str, *, where: str) -> Any:
    """Return the value of a JSON text, stricter than `json.loads`.

    Raises:
        DataError: a syntax error, a key that stands twice in an object, NaN or Infinity, nesting that is too
            deep, or half a surrogate pair (which no UTF-8 file could hold).
    """
    try:
        value = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{where}: is not JSON: {error.msg} at character {error.pos + 1}. Expected one value."
        ) from None
    except RecursionError:
        raise DataError(
            f"{where}: is nested too deeply; a value, a list, or a list of lists was expected."
        ) from None
    except ValueError as error:  # numbers of thousands of digits, and the two hooks below
        raise DataError(f"{where}: {error}.") from None
    if "\\ud" in text or "\\uD" in text:
        _refuse_lone_surrogates(value, where)
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice!r} stands twice in one object; keep one of them")
    return made


def _refuse_constant(name: str) -> Any:
    raise ValueError(
        f"{name} is not a number; finite numbers are expected, so fill or leave out missing values"
    )


def _refuse_lone_surrogates(value: Any, where: str) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(
            f"{where}: has half a surrogate pair (\\ud8xx), which is no character. Mend the text."
        ) from None


def read_json(path: str | PathLike[str]) -> Any:
    """Return the value in a JSON file.

    Raises:
        DataError: as `read_lines` and `parse_json`.
    """
    return parse_json("".join(text for _, text in read_lines(path, keep_ends=True)), where=str(path))
