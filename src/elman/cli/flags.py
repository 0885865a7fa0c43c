"""FLAGS: each command's own flags and help, by tyro; those of `train` are made from `Settings`.

Nothing here imports torch: a command's help answers in a fraction of a second.
"""

import io
import operator
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import MISSING, fields, make_dataclass
from functools import reduce
from types import NoneType
from typing import Annotated, Any, TypedDict, TypeVar, get_args

import tyro
from pydantic.fields import FieldInfo
from tyro.conf import OmitArgPrefixes, Positional, arg

from elman.cli.command_flags import COMMAND_VALUE_NAMES, USAGE, WRITE_PAGES
from elman.cli.words import Grammar
from elman.config import Settings, make_settings, read_toml
from elman.errors import ConfigError

Command = TypeVar("Command")

# The first setting of each group; a setting added to config.py falls into the group that it stands in there.
GROUPS = {"task": "data", "cell": "network", "tokens": "tokens", "epochs": "training"}

GROUP_HELP = {
    "search": "How much to try (tune).",
    "data": "What to train, on which data, and where to.",
    "network": "The layers, from tokens or numbers to labels.",
    "tokens": "How a text becomes tokens.",
    "training": "How long, how fast, and what decides which weights are kept.",
}

# What a value is called in the help, where its type alone would say too little.
VALUE_NAMES = {
    "input": "COLUMN",
    "target": "COLUMN",
    "condition": "COLUMN",
    "categories": "A,B,...",
    "columns": "A,B,...",
    "time": "COLUMN",
    "series_id": "COLUMN",
    "known_future": "A,B,...",
    "static": "A,B,...",
    "quantiles": "Q,Q,...",
    "train": "FILE",
    "valid": "FILE|SHARE",
    "test": "FILE|SHARE",
    "out": "FOLDER",
    "resume": "RUN",
    "start_from": "RUN",
    "vectors": "FILE",
    "metric": "NAME",
    "device": "NAME",
}

TRAIN_HELP = """Train a recurrent network on a file of sequences.

What you leave out is chosen from the data, printed, and kept in the run.
  elman train --task classify --train reviews.csv --out runs/reviews
  elman train config.toml --cell gru     (keys as here: hidden_size = 64)
  elman train --resume runs/reviews
"""

NOTHING = (
    "nothing to train on; say what, on which data and where to, as in: "
    "elman train --task classify --train FILE --out FOLDER (elman train --help shows every flag)."
)

POSITIONAL = get_args(Positional[str])[1]
"""What tyro marks a word that is no flag with."""


def read_command(kind: type[Command], arguments: Sequence[str], name: str) -> Command:
    """Return a command's arguments, checked.

    Args:
        kind: the dataclass of the command.
        arguments: the words after the command.
        name: the command, for its help.

    Raises:
        ConfigError: an unknown flag (the nearest is named), or a value that is missing or wrong.
        SystemExit: help was shown (0).
    """
    return parse(kind, arguments, command_grammar(kind, name))


def command_grammar(kind: type, name: str) -> Grammar:
    """Return what may stand after a command, from its dataclass."""
    flags, places = {}, []
    for member in fields(kind):
        if POSITIONAL in get_args(member.type):
            places.append(member)
        else:
            flags[member.name] = member
    return Grammar(
        name,
        USAGE[name],
        {flag: member.type for flag, member in flags.items()},
        value_names=COMMAND_VALUE_NAMES | ({"output": "FILE.html"} if name in WRITE_PAGES else {}),
        required=[flag for flag, member in flags.items() if member.default is MISSING],
        at_least=sum(member.default is MISSING for member in places),
        at_most=None if any(member.default == () for member in places) else len(places),
        lone=["json", "quick", "greedy", "xray"],
    )


def read_train(arguments: Sequence[str]) -> Settings:
    """Return the settings of `elman train`: those of the TOML file, with the flags over them.

    Raises:
        ConfigError: an unknown flag or key (the nearest is named), or a value of the wrong type or range.
        SystemExit: help was shown (0).
    """
    kind, titles = train_command()
    parsed: Any = parse(kind, arguments, train_grammar(), description=TRAIN_HELP)
    return settings_of(parsed, titles)


def settings_of(parsed: Any, titles: Sequence[str], command: str = "train") -> Settings:
    """Return the settings of a TOML file with the flags over them.

    Args:
        parsed: what tyro made of the words.
        titles: the groups of settings in it.
        command: whose words they are, for messages.
    """
    flags = {name: value for title in titles for name, value in getattr(parsed, title).items()}
    if not parsed.config:
        if not flags:
            raise ConfigError(NOTHING.replace("elman train", f"elman {command}"))
        return make_settings(flags, source="flags")
    if not parsed.config.endswith(".toml"):
        raise ConfigError(
            f"{parsed.config!r} is no .toml file of settings; training data are named with --train FILE."
        )
    values = read_toml(parsed.config)
    make_settings(values, source=parsed.config)  # a wrong key is the file's, not the flags'
    return make_settings(values | flags, source="flags")


def train_grammar() -> Grammar:
    """Return what may stand after `train`: every setting."""
    flags = {name: info.annotation for name, info in Settings.model_fields.items()}
    return Grammar("train", USAGE["train"], flags, VALUE_NAMES)


def parse(kind: type[Command], arguments: Sequence[str], grammar: Grammar, **more: Any) -> Command:
    """Return what tyro makes of the words, having checked them: its own complaints are boxes of many lines.

    Raises:
        ConfigError: a word is wrong.
        SystemExit: help was shown.
    """
    prog = f"elman {grammar.command}"
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--help" in before or "-h" in before:
        return tyro.cli(kind, args=["--help"], prog=prog, **more)
    grammar.check(arguments)
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return tyro.cli(kind, args=list(arguments), prog=prog, **more)
    except SystemExit as stop:
        if not stop.code:
            raise
        lines = (line.strip(" │╭╮╰╯─") for line in said.getvalue().splitlines())
        raise ConfigError("; ".join(line for line in lines if line)) from None


def train_command(more: Mapping[str, dict[str, Any]] | None = None) -> tuple[type, list[str]]:
    """Return the class that tyro reads for `train`, and its groups of settings.

    A group is a TypedDict with optional keys, so that a flag that was not given is not there at all.

    Args:
        more: groups of flags that stand before the settings.
    """
    groups: dict[str, dict[str, Any]] = dict(more or {})
    title = ""
    for name, info in Settings.model_fields.items():
        title = GROUPS.get(name, title)
        groups.setdefault(title, {})[name] = _flag(name, info)
    toml = arg(metavar="[CONFIG.toml]", help="File of settings; flags override it.", help_behavior_hint="")
    members: list[Any] = []
    for title, flags in groups.items():
        kind: Any = TypedDict(title, flags, total=False)  # type: ignore[misc]
        # No default, and a help text: tyro would load a library to check the one, and read sources for the
        # other.
        members.append((title, Annotated[OmitArgPrefixes[kind], arg(help=GROUP_HELP[title])]))
    members.append(("config", Annotated[Positional[str], toml], ""))
    return make_dataclass("Train", members), list(groups)


def _flag(name: str, info: FieldInfo) -> Any:
    """Return a setting as tyro reads it: its type without None, its help, its default in words."""
    kinds = [kind for kind in get_args(info.annotation) if kind is not NoneType]
    kind = info.annotation
    if NoneType in get_args(info.annotation):
        # Numbers first: "0.1" is a share of the data before it is a file.
        kind = reduce(operator.or_, sorted(kinds, key=lambda kind: kind is str))
    hint = "" if info.default is None else f"(default: {info.default})"
    return Annotated[kind, arg(help=info.description, metavar=VALUE_NAMES.get(name), help_behavior_hint=hint)]
