"""SHOW: what the demos have in common: the same path as `elman train`, and the command line that takes it."""

from pathlib import Path
from typing import Any

import torch

from elman import progress, tables, terminal
from elman.config import make_settings
from elman.errors import RunError
from elman.run import Run
from elman.run_train import train_run


def data_folder(folder: Path) -> Path:
    """Return the folder for a demo's data, beside that of its run.

    Raises:
        RunError: it cannot be made.
    """
    path = folder.with_name(f"{folder.name}-data")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be made ({error.strerror}); name another folder with --out."
        ) from None
    return path


def command_line(settings: dict[str, Any]) -> str:
    """Return the `elman train` command that does what the settings say.

    Example:
        >>> command_line({"task": "tag", "crf": False, "hidden_size": 64, "train": "my data.conll"})
        "elman train --task tag --no-crf --hidden-size 64 --train 'my data.conll'"
    """
    words = ["elman train"]
    for name, value in settings.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words.append(f"--{flag} {terminal.quoted(str(value))}")
    return " ".join(words)


def announce_command(what: str, command: str) -> None:
    """Say which command line does what was just done."""
    print(f"\n{what}\n  {command}")


def train_and_show(settings: dict[str, Any]) -> Run:
    """Train as `elman train` would, and show what it shows."""
    progress.say(f"the same by hand:\n  {command_line(settings)}\n")
    with progress.display() as shown:
        run = train_run(make_settings(settings), observers=[shown], announce=progress.announce)
    print(terminal.outcome(run))
    return run


def show_confusions(run: Run) -> None:
    """Show which labels the held-out part confuses most."""
    with torch.inference_mode():
        evaluation = run.task.evaluate(run.model, run.held_out)
    if evaluation.confusion is not None:
        table = tables.confusions_table(evaluation.confusion.tolist(), evaluation.labels)
        print(f"\nmost often confused:\n{table}")
