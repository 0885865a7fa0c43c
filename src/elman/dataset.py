"""DATASET: the three parts of the data (train, valid, test), read and split as the settings say."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from elman.config import Settings, split_names
from elman.data.example import Example
from elman.data.measures import Unit
from elman.data.read import Reading, examples_from, read_examples
from elman.data.split import split, split_stream
from elman.data.timestamps import Clock
from elman.errors import ConfigError, DataError
from elman.run_folder import fingerprint
from elman.series_dataset import read_parts, read_series_file

PARTS = ("train", "valid", "test")
DEFAULT_VALID = 0.1
"""Share of the training data that is held out for validation where no file is named."""

WITHOUT_TARGET = ("fill", "generate")
"""Tasks whose examples are inputs alone: what is to be said of them is in them."""

MEASURES: dict[str, Unit] = {"regress": "sequence", "regress_steps": "step"}
"""Tasks whose targets are numbers, and what they are numbers of."""

LIKE_A_SHARE = re.compile(r"[-+]?[0-9.,]+ *%?")
"""What a person may write who means a share, and what no file is called."""

MOST_NAMED = 6
"""Columns that a note names."""

IN_MEMORY = "memory"
"""What data are said to come from that came as objects."""


@dataclass(frozen=True)
class Dataset:
    """Examples of each part, and where they came from.

    Args:
        kind: "text", "series" or "stream".
        train, valid, test: the examples; `test` is empty where none was asked for, `valid` with a share of 0.
        sources: part -> what it came from, in words.
        input_columns, target_column: the columns that were read; none for pairs in memory.
        categories: the input columns that hold names instead of numbers.
        settings: of series, the settings with the columns that were read.
        notes: what a person should know of what was read, in lines to be printed.
    """

    kind: str
    train: Sequence[Example]
    valid: Sequence[Example]
    test: Sequence[Example]
    sources: Mapping[str, str]
    input_columns: Sequence[str] = ()
    target_column: str | None = None
    categories: Sequence[str] = ()
    settings: Settings | None = None
    notes: Sequence[str] = ()

    def name_columns(self, settings: Settings) -> Settings:
        """Return the settings with the columns that were read, so that other files are read alike."""
        if self.settings is not None:
            return self.settings
        if settings.task == "generate" and self.input_columns:
            return settings.model_copy(
                update={"input": ",".join(self.input_columns), "condition": self.target_column}
            )
        if self.target_column is None:
            return settings
        columns = {"input": ",".join(self.input_columns), "target": self.target_column}
        if self.categories:
            columns["categories"] = ",".join(self.categories)
        return settings.model_copy(update=columns)

    def counts(self) -> str:
        """Return one line that says how many examples (of a running text: characters) each part has."""
        parts = [f"{part} {self._size(part)} ({self.sources[part]})" for part in PARTS if getattr(self, part)]
        if not self.valid:
            parts.append("no validation part, so the weights of the last epoch are kept")
        return "; ".join(parts)

    def _size(self, part: str) -> str:
        examples = getattr(self, part)
        if self.kind == "stream":
            return f"{sum(len(example.input) for example in examples):,} characters"
        if self.settings is not None:
            return f"{len(examples):,} series"
        return f"{len(examples):,}"

    def to_json(self) -> dict[str, Any]:
        """Return what `config.json` holds: by it a resumed run knows that the data are the same."""
        return {
            part: {
                "file": self.sources[part],
                "examples": len(getattr(self, part)),
                "sha256": fingerprint(getattr(self, part)),
            }
            for part in PARTS
            if getattr(self, part)
        }


def read_part(
    settings: Settings,
    source: Any,
    *,
    kind: str | None,
    need_target: bool = True,
    clock: Clock | None = None,
) -> Reading:
    """Return the examples of a file, or of rows in memory, read by the columns that the settings name.

    Args:
        settings: `input`, `target` and `columns` are used.
        source: a path; or pairs, dicts or a data frame.
        kind: "text" or "series" where it is known already.
        need_target: whether a row without a target is an error.
        clock: forecast: the steps of the training data.

    Raises:
        ConfigError: generate is given a target, or another task a condition; or a running text that is none.
    """
    if settings.task == "forecast":
        return read_series_file(settings, source, clock)
    is_generate, has_target = settings.task == "generate", settings.task not in WITHOUT_TARGET
    if is_generate and settings.target is not None:
        raise ConfigError("generate has no target; what sequences are made from is named with --condition.")
    if settings.target is not None and not has_target:
        raise ConfigError(f"target: {settings.task} learns from its input alone; name that with --input.")
    if settings.condition is not None and not is_generate:
        raise ConfigError("condition is for --task generate; the column of labels is named with --target.")
    is_file = isinstance(source, str | Path)
    is_plain = is_file and str(source).lower().endswith(".txt")
    if kind == "stream" and not is_plain:
        raise ConfigError(
            f"{_name(source)}: a table holds a text in each row; a running text (kind stream) was expected, "
            "a .txt file."
        )
    if kind is None and is_plain and is_generate:
        kind = "stream"
    column = settings.condition if is_generate else settings.target
    read = partial(read_examples if is_file else examples_from, source)
    reading = read(
        input=split_names(settings.input) or None,
        target=column,
        columns=split_names(settings.columns) or None,
        kind=kind,
        need_target=column is not None if is_generate else need_target and has_target,
        measures=MEASURES.get(str(settings.task)),
        categories=split_names(settings.categories) or None,
    )
    if has_target or column is not None:
        return reading
    bare = [replace(example, target=None) for example in reading.examples]  # whatever else is in the row
    return replace(reading, examples=bare, target_column=None)


def read_dataset(settings: Settings, given: Mapping[str, Any]) -> Dataset:
    """Read the training data, and the other parts from their own sources or as a fraction of it.

    Args:
        settings: paths and fractions; validation is a tenth of train where nothing is said, and nothing
            where it is 0.
        given: parts that come as objects in memory rather than as paths.

    Raises:
        ConfigError: no training data is named, or a fraction is not between 0 and 1.
        DataError: a file cannot be used, or a part is left without examples.
    """
    sources: dict[str, Any] = {part: given.get(part, getattr(settings, part)) for part in PARTS}
    if settings.loss is not None and str(settings.task) not in MEASURES:
        raise ConfigError(f"loss is for --task {' and '.join(MEASURES)}; --task {settings.task} has its own.")
    if sources["train"] is None:
        raise ConfigError("no training data; name a file with --train FILE.")
    if sources["valid"] is None:
        sources["valid"] = DEFAULT_VALID
    elif is_nothing(sources["valid"]):
        sources["valid"] = None
    for part in ("valid", "test"):
        _check_share(part, sources[part], settings.task)
    if settings.task == "forecast":
        return _read_series(settings, sources)
    reading = read_part(settings, sources["train"], kind=settings.kind)
    parts: dict[str, Sequence[Example]] = {"train": reading.examples, "valid": (), "test": ()}
    words = {"train": _name(sources["train"])}
    for part in ("test", "valid"):
        source = sources[part]
        if source is None:
            continue
        if isinstance(source, int | float):
            parts["train"], parts[part] = _hold_out(
                parts["train"],
                source,
                part,
                settings,
                total=sum(len(example.input) for example in reading.examples)
                if reading.kind == "stream"
                else len(reading.examples),
                is_stream=reading.kind == "stream",
            )
            words[part] = f"{source:g} of train"
        else:
            alike = _with_columns_of(reading, settings, sources["train"], source)
            parts[part] = read_part(alike, source, kind=reading.kind).examples
            words[part] = _name(source)
        if not parts[part]:
            raise DataError(f"{words[part]}: has no example for the {part} part.")
    return Dataset(
        reading.kind,
        parts["train"],
        parts["valid"],
        parts["test"],
        words,
        *_columns_read(reading),
        reading.categories,
        notes=_unread(reading, settings, sources["train"]),
    )


def _check_share(part: str, source: Any, task: str | None) -> None:
    """Refuse a number that is no share, and a text that is one in another writing: 10%, 0,1."""
    if isinstance(source, int | float):
        is_wrong, shown = not 0 < source < 1, f"{source:g}"
    else:
        is_number = isinstance(source, str) and LIKE_A_SHARE.fullmatch(source) is not None
        is_wrong, shown = is_number and not Path(source).exists(), str(source)
    if is_wrong:
        may_be_none = part == "valid" and task != "forecast"
        none = " 0 (nothing is held out, and the last weights are kept)," if may_be_none else ""
        raise ConfigError(
            f"{part} = {shown} cannot be held out; give a share of the training data above 0 and below 1 "
            f"(0.1 is a tenth),{none} or a file{', or leave test out' if part == 'test' else ''}."
        )


def is_nothing(source: Any) -> bool:
    """Say whether a part was given as a share of 0: nothing is held out.

    Example:
        >>> is_nothing(0), is_nothing(0.1), is_nothing("valid.csv")
        (True, False, False)
    """
    return isinstance(source, int | float) and source == 0


def _read_series(settings: Settings, sources: Mapping[str, Any]) -> Dataset:
    """Read series; the parts follow each other in time."""
    parts, settings, notes = read_parts(settings, sources)
    words = {
        part: f"{source:g} of train" if isinstance(source, int | float) else _name(source)
        for part, source in sources.items()
    }
    return Dataset(
        "series", parts["train"], parts["valid"], parts["test"], words, settings=settings, notes=notes
    )


def _columns_read(reading: Reading) -> tuple[Sequence[str], str | None]:
    """Return the columns of the training data, to be read in other files too; none without names."""
    if reading.kind == "stream":
        return (), None
    # Of several targets the name is "a,b", and no column's.
    target = reading.target_column or ""
    names = [*reading.input_columns, target if target in reading.columns else ""]
    if reading.columns == ["input", "target"] or any("," in name for name in names):
        return (), None
    return reading.input_columns, reading.target_column


def _unread(reading: Reading, settings: Settings, source: Any) -> list[str]:
    """Return a line on the columns of a table that are not read, where the user left open which are."""
    is_tagged = isinstance(source, str | Path) and str(source).lower().endswith((".conll", ".conllu"))
    named = settings.condition if settings.task == "generate" else settings.target
    is_told = settings.input is not None and (reading.target_column is None or named is not None)
    targets = [str(reading.target_column), *split_names(reading.target_column)]
    left = [name for name in reading.columns if name not in (*reading.input_columns, *targets)]
    if is_tagged or is_told or not left:
        return []
    shown = ", ".join(left[:MOST_NAMED]) + (f" and {len(left) - MOST_NAMED} more" * (len(left) > MOST_NAMED))
    role = "condition" if settings.task == "generate" else "target"
    learned = f" and {reading.target_column!r} as the {role}" if reading.target_column else ""
    return [
        f"note: {', '.join(reading.input_columns)!r} is read as the input{learned}; not read: {shown}; "
        f"name others with --input{f' and --{role}' if learned else ''}"
    ]


def _with_columns_of(reading: Reading, settings: Settings, train: Any, source: Any) -> Settings:
    """Return settings by which another part is read: what the user left open is found by train's names.

    Columns that have numbers for names say nothing of a file in another format.
    """
    inputs, target = _columns_read(reading)
    is_numbered = isinstance(train, str | Path) and all(name.isdigit() for name in reading.columns)
    if target is None or (is_numbered and Path(train).suffix != Path(str(source)).suffix):
        return settings
    if settings.task == "generate":
        return settings.model_copy(update={"input": settings.input or ",".join(inputs)})
    found = {"input": settings.input or ",".join(inputs), "target": settings.target or target}
    if reading.categories:
        found["categories"] = ",".join(reading.categories)
    return settings.model_copy(update=found)


def _hold_out(
    examples: Sequence[Example],
    fraction: float,
    part: str,
    settings: Settings,
    *,
    total: int,
    is_stream: bool,
) -> tuple[Sequence[Example], Sequence[Example]]:
    """Take `fraction` of all that the training file held: by label for classify, the end of a stream."""
    if len(examples) < 2 and not is_stream:
        raise DataError(
            f"the training data have {total} example(s), too few to hold some out for {part}; "
            f"add examples, or name a file with --{part}."
        )
    share = fraction * total / (len(examples[0].input) if is_stream else len(examples))
    if share >= 1:
        raise ConfigError(
            f"valid and test take all {total} {'characters' if is_stream else 'examples'} and leave none to "
            "train on; lower the fractions."
        )
    if is_stream:
        stay, held = split_stream(examples[0].input, share)
        return [replace(examples[0], input=stay)], [replace(examples[0], input=held)]
    # A source with several targets would stand on both sides, and be known by heart on the one.
    together = settings.task == "translate"
    stratify = settings.task == "classify"
    return split(examples, share, seed=settings.seed, stratify=stratify, keep_together=together)


def _name(source: Any) -> str:
    return str(source) if isinstance(source, str | Path) else IN_MEMORY
