"""`elman generate`: a trained model writes, to the terminal as it forms, or to a file.

What the model writes goes to standard output as it is, but for characters that would steer a terminal, which
are shown as pictures of themselves there. Everything else that is said goes to standard error.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from elman.cli.command_flags import Generate
from elman.cli.commands import print_json, write_lines
from elman.cli.flags import read_command
from elman.cli.output import JSON_LINES, check_output

if TYPE_CHECKING:
    from elman.tasks.prediction import Prediction

RULE = "-" * 40
"""Stands between two texts."""


def generate(arguments: Sequence[str]) -> int:
    """Let a model write."""
    wanted = read_command(Generate, arguments, "generate")
    check_output(wanted.output, "what is written is a JSON object a text", JSON_LINES)
    from elman.run import load
    from elman.search.sampling import Sampling
    from elman.tasks.writing import Writing

    run = load(wanted.run)
    sampling = Sampling(
        wanted.temperature, wanted.top_k, wanted.top_p, wanted.repetition_penalty, wanted.greedy
    )
    how = Writing(wanted.length, sampling, wanted.seed, wanted.stop, wanted.condition)
    with one_thread():
        if wanted.count == 1 and not wanted.json and not wanted.output and run.generating_task().is_text:
            pieces = run.stream(wanted.prompt, how)
            first = next(pieces, "")  # before the prompt is shown: it may be refused
            show([wanted.prompt, first])
            show(pieces)
            print()
            return 0
        texts = run.write([wanted.prompt], how, count=wanted.count)
    if wanted.output:
        write_lines(Path(wanted.output), texts)
        print(f"{len(texts):,} written to {wanted.output}", file=sys.stderr)
    if wanted.json:
        print_json({"predictions": [text.to_json() for text in texts]})
    elif not wanted.output:
        show_all(texts)
    return 0


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread inside the block: a step of one row is too short for a second one to be of use."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def show(pieces: Iterable[str]) -> None:
    """Print pieces of text as they come, side by side."""
    from elman import tables

    for piece in pieces:
        if sys.stdout.isatty():
            piece = "\n".join(tables.visible(line) for line in piece.split("\n"))
        print(piece, end="", flush=True)


def show_all(texts: Sequence["Prediction"]) -> None:
    """Print texts with a line between them; frames as a JSON array, a sequence a line."""
    for place, text in enumerate(texts):
        if not isinstance(text.prediction, str):
            print(json.dumps(text.prediction))
            continue
        if place:
            print(RULE)
        show([text.input, text.prediction])
        print()
