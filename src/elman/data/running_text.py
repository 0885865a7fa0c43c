"""RUNNING TEXT: a .txt file as one long sequence, for language modelling."""

import unicodedata
from collections.abc import Sequence
from os import PathLike

from elman.data.example import Example, Reading
from elman.data.lines import read_lines
from elman.errors import DataError


def read_running_text(
    path: str | PathLike[str],
    *,
    input: Sequence[str] | None = None,
    target: str | None = None,
    columns: Sequence[str] | None = None,
    kind: str | None = None,
    need_target: bool = True,
) -> Reading:
    """Return a text file as one example, in Unicode's NFC form, lines ended by a line feed.

    Args:
        path: a UTF-8 file.
        input, target, columns: a running text has no columns, so these must be None.
        kind: "stream".
        need_target: whether the task needs labels, which a running text has not.

    Raises:
        DataError: the file is empty, is not UTF-8, or columns or labels are asked of it.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp(), "a.txt")
        >>> _ = path.write_text("To be\\nor not")
        >>> read_running_text(path, need_target=False).examples[0].input
        'To be\\nor not'
    """
    if need_target or target is not None:
        raise DataError(
            f"{path}: a .txt file is one running text without labels, for --task generate; give texts with "
            "labels as a table (.csv, .tsv, .jsonl)."
        )
    if input or columns:
        raise DataError(f"{path}: a .txt file has no columns; leave --input and --columns out.")
    lines = (line for _, line in read_lines(path, keep_ends=True))
    text = unicodedata.normalize("NFC", "".join(lines).replace("\r\n", "\n"))
    if not text:
        raise DataError(f"{path}: is empty; a text was expected.")
    return Reading([Example(text, None, str(path))], "stream", [], None, [])
