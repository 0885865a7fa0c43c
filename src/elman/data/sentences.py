"""SENTENCES: a plain text file, one sentence a line."""

from collections.abc import Sequence
from os import PathLike

from elman.data.example import Example, Reading
from elman.data.lines import read_lines
from elman.errors import DataError

TEXT_COLUMN = "text"


def read_sentences(
    path: str | PathLike[str],
    *,
    input: Sequence[str] | None = None,
    target: str | None = None,
    columns: Sequence[str] | None = None,
    kind: str | None = None,
    need_target: bool = False,
) -> Reading:
    """Return the lines of a .txt file, each a text of its own; blank lines are left out.

    Args:
        path: a UTF-8 file.
        input, target, columns: a plain text has no columns, so these must not be given.
        kind: "text" or None.
        need_target: whether every line needs a target; a plain text has none, so this must be False.

    Raises:
        DataError: columns are named, numbers or targets are wanted, or no line holds anything.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp(), "a.txt")
        >>> _ = path.write_text("Ada sleeps.\\n\\nGrace works.\\n")
        >>> [example.input for example in read_sentences(path).examples]
        ['Ada sleeps.', 'Grace works.']
    """
    if need_target:
        raise DataError(
            f"{path}: is plain text, which holds no targets; for this task give a table with an input and a "
            "target column (.csv .tsv .jsonl), or .conll."
        )
    if kind == "series":
        raise DataError(f"{path}: holds text, not numbers; leave --kind out.")
    for flag, given in (("input", input), ("target", target), ("columns", columns)):
        if given and list(given) != [TEXT_COLUMN]:
            wanted = given if isinstance(given, str) else ", ".join(given)
            raise DataError(
                f"{path}: is plain text and has no columns, so none that is called {wanted!r}; give a table "
                f"(.csv .tsv .jsonl) or .conll; to train on whole lines, name no --{flag}."
            )
    examples = [
        Example(line.strip(), None, f"{path}:{number}") for number, line in read_lines(path) if line.strip()
    ]
    if not examples:
        raise DataError(f"{path}: is empty; one sentence a line was expected.")
    return Reading(examples, "text", [TEXT_COLUMN], None, [TEXT_COLUMN])
