"""RECIPE of generate: sizes and rates where the user says nothing, by how much there is to learn from."""

from collections.abc import Sequence
from typing import Any

from elman.config import Settings
from elman.data.example import Example
from elman.errors import ConfigError
from elman.tasks.foreign_settings import refuse_text_settings
from elman.tasks.inputs import choose_cut
from elman.tasks.task import choose

RECIPE: dict[str, Any] = {
    "num_layers": 1,
    "bidirectional": False,
    "dropout": 0.4,
    "learning_rate": 2e-3,
    "decay": "cosine",
    "clip_norm": 5.0,
    "init": "orthogonal",
}

TOKEN_RECIPES: dict[str, dict[str, Any]] = {
    "characters": {
        "embedding_size": 128,
        "tied": False,
        "min_count": 1,
        "bptt_window": 64,
        "input_dropout": 0.0,
    },
    "words": {"tied": True, "min_count": 2, "bptt_window": 64},
}
"""`bptt_window` is for a running text alone; words' vectors are as wide as the layer, for the tied output."""

FRAMES_RECIPE: dict[str, Any] = {
    "hidden_size": 256,
    "input_dropout": 0.0,
    "dropout": 0.1,
    "weight_drop": 0.4,
}
FRAMES_RATES = {"rnn": 3e-3, "gru": 4e-3, "lstm": 6e-3}
"""The fewer gates, the smaller the steps: chosen, as the dropouts, on the validation part of the chorales."""

FEW_PIECES, BATCH_OF_FEW = 1000, 8
"""Sets of music are small, and need many updates: chosen on the validation part of the chorales."""

SMALL, LARGE = 30_000, 300_000
HIDDEN_SIZES = (128, 256, 512)
"""Units for a training text of fewer than SMALL characters, fewer than LARGE, and more."""

MOST_LANES, WINDOWS_A_LANE = 32, 16
"""Lanes side by side at most, and windows that each should have: a small text needs its updates."""

WANTED_STEPS = {"stream": 8000, "text": 2000, "series": 3500}
FEWEST_EPOCHS = 8
MOST_EPOCHS = {"stream": 60, "text": 60, "series": 120}

ROWS = 16
"""Texts or pieces in a batch."""


def choose_generate(settings: Settings, train: Sequence[Example], kind: str) -> Settings:
    """Return the settings with every choice made.

    Args:
        settings: as given.
        train: the training examples.
        kind: "stream", "text" or "series".
    """
    recipe = RECIPE | {"kind": kind, "batch_size": ROWS}
    if kind == "series":
        refuse_text_settings(settings)
        recipe |= FRAMES_RECIPE | {"learning_rate": FRAMES_RATES[settings.cell]}
        recipe["batch_size"] = BATCH_OF_FEW if len(train) < FEW_PIECES else ROWS
    else:
        tokens = settings.tokens or ("characters" if kind == "stream" else choose_cut(settings, train))
        own = TOKEN_RECIPES.get(tokens, TOKEN_RECIPES["words"])
        size = sum(map(_num_characters, train))
        hidden = settings.hidden_size or _hidden_size(size)
        recipe |= {"tokens": tokens, "lowercase": False, "characters": "none", "pairs": False}
        recipe |= {"unknown_rate": 0.0, "hidden_size": hidden, "embedding_size": hidden} | own
        if settings.embedding in ("one-hot", "sparse"):
            recipe["tied"] = False
        if kind == "stream":
            window = settings.bptt_window or own["bptt_window"]
            steps = size if tokens == "characters" else size // 5
            recipe["batch_size"] = min(MOST_LANES, max(1, steps // (WINDOWS_A_LANE * window)))
        else:
            del recipe["bptt_window"]
    if settings.cell == "lstm":
        recipe["forget_bias"] = 1.0
    return choose(settings, recipe)


def epochs_for(num_batches: int, kind: str) -> int:
    """Return how often the data are seen: often where they are few.

    Example:
        >>> epochs_for(463, "stream"), epochs_for(5, "text"), epochs_for(9000, "series")
        (18, 60, 8)
    """
    return min(MOST_EPOCHS[kind], max(FEWEST_EPOCHS, -(-WANTED_STEPS[kind] // num_batches)))


def refuse_settings_of_other_tasks(settings: Settings, kind: str) -> None:
    """Raise ConfigError for a setting that says nothing here."""
    if settings.tokens == "spaces":
        raise ConfigError(
            "tokens = 'spaces' forgets what white space stood where, so nothing could be written; choose "
            "words, characters or subwords."
        )
    if settings.bidirectional:
        raise ConfigError(
            "generate reads in one direction: a network of two has read what it is to predict "
            "(leave --bidirectional out)."
        )
    for name, owner in (("pooling", "classify"), ("max_length", "classify"), ("crf", "tag")):
        if getattr(settings, name) is not None and getattr(settings, name) is not False:
            raise ConfigError(f"{name} is for --task {owner}; generate says what comes next at every step.")
    if settings.characters not in (None, "none") or settings.pairs:
        raise ConfigError(
            "characters and pairs add to what a word is read as, but what generate writes it must read "
            "again, token by token; leave them out."
        )
    if settings.tied and (kind == "series" or settings.embedding in ("one-hot", "sparse")):
        raise ConfigError("tied weights are those of trained token vectors, but there are none (--no-tied).")
    if settings.condition is not None and settings.initial_state != "zeros":
        raise ConfigError("the condition makes the initial state; leave --initial-state out.")


def _num_characters(example: Example) -> int:
    return len(example.input) if isinstance(example.input, str) else sum(map(len, example.input))


def _hidden_size(size: int) -> int:
    return HIDDEN_SIZES[(size >= SMALL) + (size >= LARGE)]
