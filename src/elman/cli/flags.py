"""FLAGS: each command's own flags and help, by tyro; those of `train` are made from `Settings`.

Nothing here imports torch: a command's help answers in a fraction of a second.
"""

import io
import operator
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import MISSING, dataclass, fields, make_dataclass
from functools import reduce
from types import NoneType
from typing import Annotated, Any, TypedDict, TypeVar, get_args

import tyro
from pydantic.fields import FieldInfo
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, arg

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

RunFolder = Annotated[Positional[str], arg(metavar="RUN", help_behavior_hint="")]
Json = Annotated[bool, FlagCreatePairsOff, arg(help_behavior_hint="")]


@dataclass(frozen=True)
class Evaluate:
    """Score a trained model on a labelled file, beside its baseline.

    Args:
        run: Folder of the run.
        data: File with the columns of the training data.
        json: Print one JSON object and nothing else.
    """

    run: RunFolder
    data: Annotated[str, arg(metavar="FILE", help_behavior_hint="")]
    json: Json = False


@dataclass(frozen=True)
class Predict:
    """Label texts, or every row of a file.

    As in:
      elman predict runs/pos "Pankaj lives in Munich"
      elman predict runs/pos --data new.conllu --output labelled.jsonl

    Args:
        run: Folder of the run.
        text: Texts to label; - reads one a line from standard input. A model of numbers takes JSON arrays of
            steps.
        data: File to label; it needs no target column.
        output: Write one JSON object a row to this file; of forecasts, to a .csv, a row a step.
        beam_size: translate: candidates that search follows (default: as trained with).
        n_best: translate: list so many outputs for each text.
        json: Print one JSON object and nothing else.
    """

    run: RunFolder
    text: Annotated[Positional[tuple[str, ...]], arg(metavar="[TEXT ...]", help_behavior_hint="")] = ()
    data: Annotated[str, arg(metavar="FILE", help_behavior_hint="")] = ""
    output: Annotated[str, arg(metavar="FILE.jsonl", help_behavior_hint="")] = ""
    beam_size: Annotated[int | None, arg(metavar="INT", help_behavior_hint="")] = None
    n_best: Annotated[int | None, arg(metavar="INT", help_behavior_hint="")] = None
    json: Json = False


@dataclass(frozen=True)
class Generate:
    """Let a trained model write; the text appears as it forms.

    As in:
      elman generate runs/poet --prompt "ROMEO:" --length 300 --temperature 0.8 --seed 1

    Args:
        run: Folder of the run.
        prompt: What it goes on from (default: nothing).
        length: Tokens to write, at most.
        temperature: Below 1 bolder guesses are rarer, above 1 more frequent; 0 is --greedy.
        top_k: Draw among so many tokens.
        top_p: Draw among the most probable tokens that have this probability together.
        repetition_penalty: Above 1, what was written is less likely to come again.
        greedy: Take the most probable token each time.
        seed: Seed of the draws.
        count: How many texts.
        stop: End a text before this.
        condition: The class, or the numbers with commas, that it is made from.
        output: Write one JSON object a text to this file.
        json: Print one JSON object and nothing else.
    """

    run: RunFolder
    prompt: Annotated[str, arg(metavar="TEXT", help_behavior_hint="")] = ""
    length: int = 300
    temperature: float = 0.8
    top_k: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    top_p: Annotated[float | None, arg(metavar="NUMBER", help_behavior_hint="")] = None
    repetition_penalty: float = 1.0
    greedy: Annotated[bool, FlagCreatePairsOff, arg(help_behavior_hint="")] = False
    seed: int = 0
    count: int = 1
    stop: Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="")] = None
    condition: Annotated[str | None, arg(metavar="CLASS|A,B,...", help_behavior_hint="")] = None
    output: Annotated[str, arg(metavar="FILE.jsonl", help_behavior_hint="")] = ""
    json: Json = False


@dataclass(frozen=True)
class Info:
    """Show a trained model: layers, parameters, settings, data, scores.

    Args:
        run: Folder of the run.
        neighbours: Show the words whose vectors lie nearest to this one's.
        json: Print one JSON object and nothing else.
    """

    run: RunFolder
    neighbours: Annotated[str, arg(metavar="WORD", help_behavior_hint="")] = ""
    json: Json = False


@dataclass(frozen=True)
class Compare:
    """Set runs of one task side by side: settings that differ, scores, sizes, speed, learning curves.

    As in:
      elman compare runs/gru runs/lstm
      elman compare runs/* --output compare.html

    Args:
        runs: Folders of two or more runs.
        output: Write a page that stands alone to this file.
        json: Print one JSON object and nothing else.
    """

    runs: Annotated[Positional[tuple[str, ...]], arg(metavar="RUN RUN ...", help_behavior_hint="")] = ()
    output: Annotated[str, arg(metavar="FILE.html", help_behavior_hint="")] = ""
    json: Json = False


@dataclass(frozen=True)
class Xray:
    """Show what goes on inside a trained model: gradients, memory, gates, and what ails it.

    As in:
      elman xray runs/pos --data dev.conllu --output xray.html

    Args:
        run: Folder of the run.
        data: Labelled file (default: the run's own validation data, where they still are).
        output: Write all figures to this file, a page that stands alone.
        rows: Rows of it to look at.
        json: Print one JSON object and nothing else.
    """

    run: RunFolder
    data: Annotated[str, arg(metavar="FILE", help_behavior_hint="")] = ""
    output: Annotated[str, arg(metavar="FILE.html", help_behavior_hint="")] = ""
    rows: int = 16
    json: Json = False


@dataclass(frozen=True)
class Demo:
    """Run a worked example on data that comes with an installed package; without a name, list them.

    Args:
        name: The example.
        out: Folder for its run (default: runs/demo-NAME, numbered where that is taken).
        seed: Seed of every random choice.
    """

    name: Annotated[Positional[str], arg(metavar="[NAME]", help_behavior_hint="")] = ""
    out: Annotated[str, arg(metavar="FOLDER", help_behavior_hint="")] = ""
    seed: int = 0


@dataclass(frozen=True)
class Bench:
    """Time the layers beside torch.nn's on this machine; about ten minutes, with --quick half of one.

    As in:
      elman bench --quick --cells gru
      elman bench --shape 32,100,128,256 --threads 1,4

    Args:
        quick: Measure a few small shapes only, on all cores.
        cells: Which cells (default: rnn,gru,lstm).
        threads: How many threads; several one after the other (default: 1 and 2).
        shape: One shape of your own: rows, steps, input features, units.
        seconds: Time for each figure (default: 1; 0.3 with --quick).
        json: Print one JSON object and nothing else.
    """

    quick: Annotated[bool, FlagCreatePairsOff, arg(help_behavior_hint="")] = False
    cells: Annotated[str, arg(metavar="A,B,...", help_behavior_hint="")] = ""
    threads: Annotated[str, arg(metavar="N,M,...", help_behavior_hint="")] = ""
    shape: Annotated[str, arg(metavar="B,T,I,H", help_behavior_hint="")] = ""
    seconds: Annotated[float | None, arg(metavar="NUMBER", help_behavior_hint="")] = None
    json: Json = False


POSITIONAL = get_args(Positional[str])[1]
"""What tyro marks a word that is no flag with."""

# What a value of the commands other than train is called in messages.
COMMAND_VALUE_NAMES = {
    "data": "FILE",
    "output": "FILE.jsonl",
    "out": "FOLDER",
    "neighbours": "WORD",
    "cells": "A,B,...",
    "threads": "N,M,...",
    "shape": "B,T,I,H",
}

# How each command is typed, for messages.
USAGE = {
    "train": "elman train [CONFIG.toml] --task classify --train FILE --out FOLDER",
    "tune": "elman tune [CONFIG.toml] --task classify --train FILE --out FOLDER [--trials N]",
    "evaluate": "elman evaluate RUN --data FILE",
    "predict": 'elman predict RUN "a text", or elman predict RUN --data FILE',
    "generate": 'elman generate RUN --prompt "a text"',
    "info": "elman info RUN",
    "compare": "elman compare RUN RUN ...",
    "xray": "elman xray RUN --data FILE",
    "demo": "elman demo [NAME]",
    "bench": "elman bench [--quick]",
}


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
        value_names=COMMAND_VALUE_NAMES,
        required=[flag for flag, member in flags.items() if member.default is MISSING],
        at_least=sum(member.default is MISSING for member in places),
        at_most=None if any(member.default == () for member in places) else len(places),
        lone=["json", "quick", "greedy"],
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
