"""COMMAND FLAGS: what stands after each command but train and tune; docstrings are the help."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

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
      elman generate runs/poet --prompt "ROMEO:" --length 300 --temperature 0.8

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
    """Set runs of one task side by side: settings, scores, sizes, learning curves.

    As in:
      elman compare runs/gru runs/lstm
      elman compare runs/* --output compare.html
      elman compare runs/rnn runs/lstm --xray --data dev.csv

    Args:
        runs: Folders of two or more runs.
        xray: Look inside each model too, all on the same rows: how far back it remembers, how much of the
            gradient reaches the first step, the spectral radius, and what ails it.
        data: Labelled file for --xray (default: the validation part that the runs share).
        rows: Rows of it to look at (default: 16).
        output: Write a page that stands alone to this file.
        json: Print one JSON object and nothing else.
    """

    runs: Annotated[Positional[tuple[str, ...]], arg(metavar="RUN RUN ...", help_behavior_hint="")] = ()
    xray: Annotated[bool, FlagCreatePairsOff, arg(help_behavior_hint="")] = False
    data: Annotated[str, arg(metavar="FILE", help_behavior_hint="")] = ""
    rows: Annotated[int | None, arg(metavar="INT", help_behavior_hint="")] = None
    output: Annotated[str, arg(metavar="FILE.html", help_behavior_hint="")] = ""
    json: Json = False


@dataclass(frozen=True)
class Xray:
    """Show what goes on inside a model: gradients, memory, gates, and what ails it.

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
    """Run a worked example on data that pip installs; without a name, list them.

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
    """Time the layers beside torch.nn's: about ten minutes, with --quick half of one.

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

# The commands whose --output is a page.
WRITE_PAGES = ("compare", "xray")

# How each command is typed, for messages.
USAGE = {
    "train": "elman train [CONFIG.toml] --task classify --train FILE --out FOLDER",
    "tune": "elman tune [CONFIG.toml] --task classify --train FILE --out FOLDER [--trials N]",
    "evaluate": "elman evaluate RUN --data FILE",
    "predict": 'elman predict RUN "a text", or elman predict RUN --data FILE',
    "generate": 'elman generate RUN --prompt "a text"',
    "info": "elman info RUN",
    "compare": "elman compare RUN RUN ... [--xray]",
    "xray": "elman xray RUN --data FILE",
    "demo": "elman demo [NAME]",
    "bench": "elman bench [--quick]",
}
