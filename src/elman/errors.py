"""Everything that can go wrong because of something a user did, one class for each kind.

Each class derives from `ElmanError` and from the builtin it specialises, so `except ElmanError` and
`except ValueError` both work. A message has three parts: what happened and where, what was expected,
and how to mend it. The command line prints the message alone, without a traceback, and exits with
`ElmanError.exit_code`.
"""


class ElmanError(Exception):
    """Any error that elman raises on purpose; the message says how to mend it."""

    exit_code = 1


class ConfigError(ElmanError, ValueError):
    """A setting (flag, TOML key or argument) is unknown, malformed, or does not fit another one."""

    exit_code = 2


class DataError(ElmanError, ValueError):
    """A file or a row of data cannot be used; the message names the file and the line or row."""


class ShapeError(ElmanError, ValueError):
    """A tensor does not have the shape, dtype or lengths that were expected."""


class RunError(ElmanError, OSError):
    """A run folder cannot be made, written, locked or found."""


class CheckpointError(ElmanError, ValueError):
    """A checkpoint or a model file is damaged or was made by something else."""


class TrainingError(ElmanError, ArithmeticError):
    """Training cannot go on: losses or gradients are no longer finite."""


class MissingExtraError(ElmanError, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""


class Interrupted(ElmanError, KeyboardInterrupt):
    """Training was asked to stop by a signal; the run has been saved and can be resumed.

    Args:
        message: what was saved and how to go on.
        signal_number: the signal that asked for it (2 for Ctrl-C, 15 for terminate).
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
