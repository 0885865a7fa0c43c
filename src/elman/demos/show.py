"""SHOW: what the demos have in common: the same path as `elman train`, and the command line that takes it."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import torch

from elman import progress, tables, terminal
from elman.config import make_settings
from elman.dataset import PARTS, read_dataset
from elman.errors import ElmanError, RunError
from elman.run import Run, load
from elman.run_folder import read_config, read_json, settings_to_store
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


def train_and_show(settings: dict[str, Any], *, is_numbered: bool = False) -> Run:
    """Train as `elman train` would, and show what it shows; what was trained before is shown again.

    Args:
        settings: those of `elman train`; `out` is the folder to begin with.
        is_numbered: whether another number is put behind that folder's name where it is taken.
    """
    base = Path(settings["out"])
    for folder in numbered(base) if is_numbered else [base]:
        if not is_taken(folder):
            break
        earlier = finished_run(settings | {"out": str(folder)})
        if earlier is not None:
            progress.say(
                f"{folder} holds this very run, trained before: here it is again. To train anew, delete that "
                "folder, or name another one with --out."
            )
            print(terminal.outcome(earlier))
            return earlier
    by_hand = next(place for place in numbered(Path(f"{folder}-by-hand")) if not is_taken(place))
    progress.say(f"the same by hand:\n  {command_line(settings | {'out': str(by_hand)})}\n")
    with progress.display() as shown:
        run = train_run(
            make_settings(settings | {"out": str(folder)}), observers=[shown], announce=progress.announce
        )
    print(terminal.outcome(run))
    return run


def numbered(folder: Path) -> Iterator[Path]:
    """Yield the folder, and the same name with -2, -3, ... behind it."""
    yield folder
    for number in count(2):
        yield folder.with_name(f"{folder.name}-{number}")


def is_taken(folder: Path) -> bool:
    """Say whether there is something in a folder."""
    return folder.exists() and any(folder.iterdir())


def finished_run(settings: dict[str, Any]) -> Run | None:
    """Return the run in the folder `out` if these very settings and data made it, and it came to its end."""
    wanted = make_settings(settings)
    folder = Path(settings["out"])
    try:
        config, result = read_config(folder), read_json(folder / "result.json")
        if result.get("stopped") == "time" or not _are_alike(config["settings"], settings_to_store(wanted)):
            return None
        dataset = read_dataset(wanted, {})
        then, now = config.get("data", {}), dataset.to_json()
        if any(then.get(part, {}).get("sha256") != now[part]["sha256"] for part in now):
            return None
        run = load(folder)
    except ElmanError:
        return None
    run.held_out = dataset.test or dataset.valid
    return run


def _are_alike(then: dict[str, Any], now: dict[str, Any]) -> bool:
    """Compare settings but for where folders and files are; what is in the files is compared elsewhere."""
    places = {name for name in ("out", *PARTS) if isinstance(now.get(name), str)}
    return {name: value for name, value in then.items() if name not in places} == {
        name: value for name, value in now.items() if name not in places
    }


def show_confusions(run: Run) -> None:
    """Show which labels the held-out part confuses most."""
    with torch.inference_mode():
        evaluation = run.task.evaluate(run.model, run.held_out)
    if evaluation.confusion is not None:
        table = tables.confusions_table(evaluation.confusion.tolist(), evaluation.labels)
        print(f"\nmost often confused:\n{table}")
