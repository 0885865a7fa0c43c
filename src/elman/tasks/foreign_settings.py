"""FOREIGN SETTINGS: what is said of settings that are for another task, or for another kind of input."""

from elman.config import Settings
from elman.errors import ConfigError

TRANSLATE_ONLY = (
    "attention",
    "target_tokens",
    "shared_vocab",
    "max_target_length",
    "label_smoothing",
    "beam_size",
    "length_penalty",
)
"""Settings that say nothing to other tasks; so does a teacher forcing other than "always"."""


def refuse_translate_settings(settings: Settings) -> None:
    """Raise ConfigError where a setting for translate is given to another task."""
    given = [name for name in TRANSLATE_ONLY if getattr(settings, name) is not None]
    given += ["teacher_forcing"] * (settings.teacher_forcing != "always")
    if given:
        raise ConfigError(f"{given[0]} is for --task translate; {settings.task} writes no sequence.")


def refuse_text_settings(settings: Settings) -> None:
    """Raise ConfigError where a setting for text is given for series of numbers."""
    for name in (
        "tokens",
        "vectors",
        "embedding_size",
        "lowercase",
        "min_count",
        "max_vocab",
        "unknown_rate",
        "max_length",
        "pairs",
    ):
        if getattr(settings, name) is not None:
            raise ConfigError(f"{name} is for text, but the input is a series of numbers; leave it out.")
