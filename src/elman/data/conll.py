"""CoNLL: one token a line, one column a kind of annotation, a blank line between sentences.

- **.conll**: columns separated by tabs if the first token line has one, else by spaces. There are no
  comments: "#" may be a token. Columns are named with `--columns` or by number.
- **.conllu**: ten columns separated by tabs; lines that start with "#" are comments; the lines of multiword
  tokens (`1-2`) and of empty nodes (`8.1`) hold no tokens and are left out.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike

from elman.data.columns import Columns, choose_columns
from elman.data.example import Example, Reading
from elman.data.lines import read_lines
from elman.errors import DataError

CONLLU_COLUMNS = ["id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc"]
"""Universal Dependencies, CoNLL-U format, version 2."""

DOCUMENT_START = "-DOCSTART-"
"""The first token of the line that CoNLL-2003 puts between documents."""

SPACES = " \t"  # ASCII only: a token may hold a no-break space

Path = str | PathLike[str]
Fields = tuple[int, list[str]]
"""Line number and columns of one token; no columns for the end of a sentence."""


def read_conll(
    path: Path,
    *,
    input: Sequence[str] | None = None,
    target: str | None = None,
    columns: Sequence[str] | None = None,
    kind: str | None = None,
    need_target: bool = True,
) -> Reading:
    """Return the sentences in a .conll or .conllu file, each a tuple of tokens with a tuple of tags.

    Args:
        path: the file; CoNLL-U if its name ends so.
        input: the token column (default: form in CoNLL-U, else the first).
        target: the tag column (default: upos in CoNLL-U, else the last).
        columns: names for the columns of a .conll file.
        kind: "text" or None.
        need_target: whether a file without tags is an error.

    Raises:
        DataError: columns are missing or uneven, a token is empty, or there is no sentence.
    """
    if kind == "series":
        raise DataError(f"{path}: holds tokens, not numbers; leave --kind out.")
    if input is not None and len(input) > 1:
        raise DataError(
            f"{path}: a CoNLL file has one input column, but {', '.join(input)} are named. Name one."
        )
    is_conllu = str(path).lower().endswith(".conllu")
    if is_conllu and columns:
        raise DataError(
            f"{path}: the columns of a .conllu file are {', '.join(CONLLU_COLUMNS)}; leave --columns out."
        )

    def choose(number_of_columns: int, line: int) -> Columns:
        names = CONLLU_COLUMNS if is_conllu else list(columns or map(str, range(1, number_of_columns + 1)))
        if len(names) != number_of_columns:
            raise DataError(
                f"{path}:{line}: has {number_of_columns} columns, but --columns names {len(names)} "
                f"({', '.join(names)})."
            )
        return choose_columns(
            names,
            input=input or (["form"] if is_conllu else None),
            target=target or ("upos" if is_conllu else None),
            need_target=need_target,
            kind=kind,
            where=str(path),
        )

    fields = _conllu_fields(path) if is_conllu else _conll_fields(path)
    chosen, examples = _collect(path, fields, choose)
    if chosen is None:
        raise DataError(
            f"{path}: has no sentence; one token a line and a blank line between sentences were expected."
        )
    return Reading(examples, "text", chosen.input_names, chosen.target_name, chosen.names)


def _collect(
    path: Path, fields: Iterable[Fields], choose: Callable[[int, int], Columns]
) -> tuple[Columns | None, list[Example]]:
    """Return the columns, and the sentences made of tokens that stand between blank lines."""
    chosen: Columns | None = None
    examples: list[Example] = []
    tokens: list[str] = []
    tags: list[str] = []
    token_column, first_line = 0, 0
    tag_column: int | None = None
    for line, cells in fields:
        if not cells:
            if tokens:
                target = None if tag_column is None else tuple(tags)
                examples.append(Example(tuple(tokens), target, f"{path}:{first_line}"))
                tokens, tags = [], []
            continue
        if chosen is None:
            chosen = choose(len(cells), line)
            token_column, tag_column = chosen.inputs[0], chosen.target
        if not tokens:
            first_line = line
        token = cells[token_column]
        if not token:
            raise _empty_column(path, line, chosen.input_names[0])
        tokens.append(token)
        if tag_column is not None:
            tag = cells[tag_column]
            if not tag:
                raise _empty_column(path, line, str(chosen.target_name))
            tags.append(tag)
    return chosen, examples


def _empty_column(path: Path, line: int, name: str) -> DataError:
    return DataError(
        f"{path}:{line}: column {name!r} is empty; every token line needs it. Fill it in, or drop the line."
    )


def _conll_fields(path: Path) -> Iterator[Fields]:
    by_tabs: bool | None = None
    width = first = line = 0
    for line, text in read_lines(path):
        bare = text.strip(SPACES)
        if not bare:
            yield line, []
            continue
        if bare.startswith(DOCUMENT_START):
            yield line, []
            continue
        if by_tabs is None:
            by_tabs = "\t" in bare
        cells = text.split("\t") if by_tabs else bare.replace("\t", " ").split(" ")
        if not by_tabs and "" in cells:  # runs of spaces
            cells = [cell for cell in cells if cell]
        if not width:
            width, first = len(cells), line
        elif len(cells) != width:
            raise DataError(
                f"{path}:{line}: has {len(cells)} column{'s' * (len(cells) != 1)} separated by "
                f"{'tabs' if by_tabs else 'spaces'}, but line {first} has {width}; "
                "every token line needs as many. "
                "(.conll files have no comments; name a CoNLL-U file .conllu.)"
            )
        yield line, cells
    yield line, []


def _conllu_fields(path: Path) -> Iterator[Fields]:
    expected, line = 1, 0
    for line, text in read_lines(path):
        if not text.strip(SPACES):
            expected = 1
            yield line, []
            continue
        if text.startswith("#"):
            continue
        cells = text.split("\t")
        if len(cells) != len(CONLLU_COLUMNS):
            raise DataError(
                f"{path}:{line}: has {len(cells)} column{'s' * (len(cells) != 1)} separated by tabs; "
                f"CoNLL-U has {len(CONLLU_COLUMNS)} ({', '.join(CONLLU_COLUMNS)}). "
                "Name the file .conll if it is not CoNLL-U."
            )
        if cells[0] != str(expected):
            if _is_no_token(cells[0]):
                continue
            raise DataError(
                f"{path}:{line}: column 'id' is {cells[0][:20]!r}; {expected} was expected"
                + (
                    ". Is a blank line missing before it?"
                    if cells[0] == "1"
                    else " (words count from 1 in each sentence)."
                )
            )
        expected += 1
        yield line, cells
    yield line, []


def _is_no_token(identifier: str) -> bool:
    """Whether it is the id of a multiword token (1-2) or of an empty node (8.1)."""
    for mark in "-.":
        left, found, right = identifier.partition(mark)
        if found:
            return left.isascii() and left.isdigit() and right.isascii() and right.isdigit()
    return False
