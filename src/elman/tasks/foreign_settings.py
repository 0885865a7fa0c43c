"""FOREIGN SETTINGS: what is said of settings that are for another task, or for another kind of input.

A setting that would do nothing is refused before anything is read: who wrote it expected something of it.
"""

from elman.config import Settings
from elman.errors import ConfigError

LABELS = ("classify", "tag")
ONE_FOR_ALL = ("classify", "regress")
READ_TOKENS = ("classify", "tag", "regress", "regress_steps", "fill", "generate", "translate")
FORECAST, TRANSLATE, GENERATE, FILL = ("forecast",), ("translate",), ("generate",), ("fill",)

TASKS_OF: dict[str, tuple[str, ...]] = {
    "categories": ("classify", "regress", "regress_steps"),
    "condition": GENERATE,
    "time": FORECAST,
    "series_id": FORECAST,
    "known_future": FORECAST,
    "static": FORECAST,
    "backtest": FORECAST,
    "embedding": READ_TOKENS,
    "embedding_size": READ_TOKENS,
    "vectors": READ_TOKENS,
    "characters": READ_TOKENS,
    "pairs": READ_TOKENS,
    "tokens": READ_TOKENS,
    "lowercase": READ_TOKENS,
    "min_count": READ_TOKENS,
    "max_vocab": READ_TOKENS,
    "unknown_rate": READ_TOKENS,
    "normal_form": READ_TOKENS,
    "tied": GENERATE,
    "attention": TRANSLATE,
    "hide_rate": FILL,
    "gap": FILL,
    "horizon": FORECAST,
    "context": FORECAST,
    "season": FORECAST,
    "patch": FORECAST,
    "difference": FORECAST,
    "recursive": FORECAST,
    "calendar": FORECAST,
    "point": FORECAST,
    "interval": FORECAST,
    "quantiles": FORECAST,
    "target_tokens": TRANSLATE,
    "shared_vocab": TRANSLATE,
    "max_target_length": TRANSLATE,
    "label_smoothing": TRANSLATE,
    "teacher_forcing": TRANSLATE,
    "teacher_forcing_end": TRANSLATE,
    "beam_size": TRANSLATE,
    "length_penalty": TRANSLATE,
    "loss": ("regress", "regress_steps"),
    "class_weights": ("classify",),
}
"""Settings that say something to some tasks only, and to which; all others say something to every task."""


NEITHER = "coverage_80"
"""The one metric of which neither more nor less is better: the widest intervals hold every value."""


def refuse_foreign_settings(settings: Settings) -> None:
    """Raise ConfigError for a setting that was given and says nothing to the task.

    Example:
        >>> from elman.config import make_settings
        >>> refuse_foreign_settings(make_settings({"task": "tag", "beam_size": 5}))
        Traceback (most recent call last):
        elman.errors.ConfigError: beam_size is for --task translate and says nothing to tag; leave it out.
    """
    for name, tasks in TASKS_OF.items():
        is_given = getattr(settings, name, None) != Settings.model_fields[name].default
        if is_given and settings.task not in tasks:
            of = f"--task {tasks[0]}" if len(tasks) == 1 else f"the tasks {', '.join(tasks)}"
            raise ConfigError(f"{name} is for {of} and says nothing to {settings.task}; leave it out.")
    if settings.metric == NEITHER and settings.task in FORECAST:
        raise ConfigError(
            f"metric {NEITHER!r} is best at 0.8: more of it is not better, so nothing can be chosen by it; "
            "'pinball' is better the sharper and truer intervals are."
        )


def refuse_without_validation(settings: Settings) -> None:
    """Raise ConfigError where nothing is held out for validation and something given needs it.

    Example:
        >>> from elman.config import make_settings
        >>> refuse_without_validation(make_settings({"task": "tag", "valid": 0, "patience": 3}))
        Traceback (most recent call last):
        elman.errors.ConfigError: patience looks at the validation part, and valid = 0 holds none out; ...
    """
    if settings.valid != 0:
        return
    for name in ("patience", "metric"):
        if getattr(settings, name) is not None:
            raise ConfigError(
                f"{name} looks at the validation part, and valid = 0 holds none out; leave out one or the "
                "other (with valid = 0 the weights of the last epoch are kept)."
            )
    if settings.task == "forecast":
        raise ConfigError(
            "valid = 0 is not for --task forecast: its intervals are calibrated on the validation part; give "
            "a small share instead, such as 0.05."
        )


def refuse_tuning_without_validation(settings: Settings) -> None:
    """Raise ConfigError where a search has nothing to compare its trials by.

    Example:
        >>> from elman.config import make_settings
        >>> refuse_tuning_without_validation(make_settings({"task": "tag", "valid": 0}))
        Traceback (most recent call last):
        elman.errors.ConfigError: a search compares its trials on the validation part, and valid = 0 holds ...
    """
    if settings.valid == 0:
        raise ConfigError(
            "a search compares its trials on the validation part, and valid = 0 holds none out; leave it "
            "out. The settings that are found may then train on all data, by elman train with valid = 0."
        )


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
