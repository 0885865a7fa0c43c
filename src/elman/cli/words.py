"""WORDS: the words after a command, checked before tyro reads them, so that a mistake is one line.

What may stand there is told by the annotations that tyro reads too: a bool is a flag without a value, a
`Literal` a choice, `int` and `float` a number, anything else a text.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from elman.config import nearest_name
from elman.errors import ConfigError

SAID_BOOL = {"true", "false", "yes", "no", "on", "off", "1", "0"}
"""What people write behind a flag that takes no value."""

NUMBERS: dict[type, tuple[str, Callable[[str], Any]]] = {
    int: ("no whole number", int),
    float: ("no number", float),
}


@dataclass(frozen=True)
class Grammar:
    """What may stand after a command.

    Args:
        command: the command.
        usage: the whole command line as a person types it, for messages.
        flags: setting -> its annotation; names have underscores.
        value_names: setting -> what its value is called, where the annotation says too little.
        required: flags that must be given.
        at_least, at_most: how many words that are no flags; `at_most` None: any number.
        lone: flags without a "--no-" form.
    """

    command: str
    usage: str
    flags: Mapping[str, Any]
    value_names: Mapping[str, str] = field(default_factory=dict)
    required: Sequence[str] = ()
    at_least: int = 0
    at_most: int | None = 1
    lone: Sequence[str] = ()

    def check(self, arguments: Sequence[str]) -> None:
        """Raise ConfigError for the first mistake in the words after the command.

        Raises:
            ConfigError: an unknown flag (the nearest is named), a flag without its value or with one that it
                cannot have, a word too many, or something that must be named and is not.

        Example:
            >>> Grammar("x", "elman x", {"cell": Literal["gru", "lstm"]}).check(["--cell", "lstmm"])
            Traceback (most recent call last):
            ...
            elman.errors.ConfigError: --cell: 'lstmm' is no choice; did you mean 'lstm'? (gru, lstm)
        """
        given: set[str] = set()
        plain: list[str] = []
        words = list(arguments)
        while words:
            word = words.pop(0)
            if word == "--":
                plain += words
                break
            if not is_flag(word):
                plain.append(word)
                continue
            name, flag, attached = self._find(word)
            given.add(name)
            if bool in kinds_of(self.flags[name]):
                self._check_no_value(name, flag, attached, words)
            else:
                self._check_value(name, flag, attached, words)
        self._check_plain(plain)
        for name in self.required:
            if name not in given:
                raise ConfigError(f"no {as_flag(name)}; expected: {self.usage}")

    def _find(self, word: str) -> tuple[str, str, str | None]:
        """Return the setting that a flag names, the flag, and the value attached to it by "="."""
        flag, equals, attached = word.partition("=")
        name = flag[2:].replace("-", "_")
        positive = name.removeprefix("no_")
        if flag.startswith("--") and name in self.flags:
            return name, flag, attached if equals else None
        if flag.startswith("--no") and positive in self.flags and positive not in self.lone:
            if bool in kinds_of(self.flags[positive]):
                return positive, flag, attached if equals else None
            raise ConfigError(f"{flag}: {as_flag(positive)} takes a value and cannot be switched off.")
        near = nearest_name(flag, [as_flag(each) for each in self.flags] if flag.startswith("--") else [])
        told = f"did you mean {near!r}?" if near else f"elman {self.command} --help lists what there is."
        hint = ""
        if self.at_most is None:
            hint = f" (A text that begins with a dash stands after --: elman {self.command} RUN -- TEXT)"
        raise ConfigError(f"unknown flag {flag!r}; {told}{hint}")

    def _check_no_value(self, name: str, flag: str, attached: str | None, words: list[str]) -> None:
        """Refuse a value behind a flag that is one by itself."""
        value = attached
        if value is None and words and words[0].lower() in SAID_BOOL:
            value = words[0]
        if value is not None:
            forms = as_flag(name) if name in self.lone else f"{as_flag(name)} or --no-{as_flag(name)[2:]}"
            raise ConfigError(f"{flag} takes no value, but {value!r} was given; write {forms} alone.")

    def _check_value(self, name: str, flag: str, attached: str | None, words: list[str]) -> None:
        """Take a flag's value off the words, and refuse one that it cannot have."""
        kinds = kinds_of(self.flags[name])
        called = self.value_names.get(name) or value_name(kinds)
        if attached is None:
            if not words or is_flag(words[0]) or words[0] == "--":
                behind = f", but {words[0]!r} follows" if words else ""
                dash = f" (a value that begins with a dash: {flag}=VALUE)" if words else ""
                raise ConfigError(f"{flag} has no value{behind}; expected: {flag} {called}{dash}")
            attached = words.pop(0)
        choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
        if choices and attached not in choices:
            near = nearest_name(attached, choices)
            hint = f"did you mean {near!r}? " if near else "expected one of: "
            listed = ", ".join(choices)
            raise ConfigError(f"{flag}: {attached!r} is no choice; {hint}{f'({listed})' if near else listed}")
        for kind, (complaint, read) in NUMBERS.items():
            if kinds == [kind]:
                try:
                    read(attached)
                except ValueError:
                    raise ConfigError(
                        f"{flag}: {attached!r} is {complaint}; expected: {flag} {called}"
                    ) from None

    def _check_plain(self, plain: Sequence[str]) -> None:
        """Refuse too few or too many words that are no flags."""
        if len(plain) < self.at_least:
            raise ConfigError(f"elman {self.command}: no run is named; expected: {self.usage}")
        if self.at_most is not None and len(plain) > self.at_most:
            raise ConfigError(
                f"elman {self.command}: {plain[self.at_most]!r} is a word too many; expected: {self.usage} "
                "(a name with spaces stands in quotes)."
            )


def kinds_of(annotation: Any) -> list[Any]:
    """Return the plain types that an annotation allows, None left out.

    Example:
        >>> kinds_of(Annotated[int, "1 or more"] | None), kinds_of(str | float)
        ([<class 'int'>], [<class 'str'>, <class 'float'>])
    """
    if get_origin(annotation) is Annotated:
        return kinds_of(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for each in get_args(annotation) for kind in kinds_of(each)]
    return [] if annotation is NoneType else [annotation]


def value_name(kinds: Sequence[Any]) -> str:
    """Return what a value is called in a message: its choices, or N, NUMBER or TEXT."""
    for kind in kinds:
        if get_origin(kind) is Literal:
            return "{" + ",".join(get_args(kind)) + "}"
    return "N" if int in kinds else "NUMBER" if float in kinds else "TEXT"


def as_flag(name: str) -> str:
    """Return a setting as a flag: hidden_size -> --hidden-size."""
    return "--" + name.replace("_", "-")


def is_flag(word: str) -> bool:
    """Say whether a word is a flag and no value: a dash, perhaps another, and a letter (so -5 is none)."""
    return word.startswith("-") and word.lstrip("-")[:1].isalpha() and not _is_number(word)


def _is_number(word: str) -> bool:
    try:
        float(word)  # -inf and -nan too
    except ValueError:
        return False
    return True
