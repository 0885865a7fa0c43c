"""RUN RESUME: what must be the same, and what may change, when an interrupted run goes on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elman.config import Settings, make_settings
from elman.dataset import IN_MEMORY, PARTS
from elman.errors import ConfigError, DataError
from elman.run_folder import read_config

RESUMABLE = ("train", "valid", "test", "vectors", "max_minutes")
"""Settings that may be given anew with `resume`: where the same data lie now, and how long to go on."""


def settings_to_resume(settings: Settings) -> Settings:
    """Return the stored settings of the run, with those that may be given anew replaced."""
    folder = str(settings.resume)
    given = settings.model_dump(exclude_unset=True)
    given.pop("resume")
    refused = [name for name in given if name not in RESUMABLE]
    if refused:
        raise ConfigError(
            f"{refused[0]} cannot change when a run is resumed (only {', '.join(RESUMABLE)} may be given); "
            "leave it out, or train a new run."
        )
    stored = read_config(Path(folder))["settings"]
    stored.pop("max_minutes", None)
    return make_settings(stored | given, source=f"{folder}/config.json")


def check_rows_are_given(
    folder: Path | None, stored: Mapping[str, Any], settings: Settings, given: Mapping[str, Any]
) -> None:
    """Refuse to go on without rows that were in memory when the run began: the run does not hold them."""
    for part in PARTS:
        was_in_memory = stored[part]["file"] == IN_MEMORY if part in stored else part == "train"
        if was_in_memory and part not in given and getattr(settings, part) is None:
            raise DataError(
                f"{folder}: its {part} data were rows in memory, which a run does not keep; give the same "
                f"rows again, from Python: elman.train(resume={str(folder)!r}, {part}=rows)"
            )


def same_data(
    folder: Path | None, stored: Mapping[str, Any], data: dict[str, Any], settings: Settings
) -> dict[str, Any]:
    """Return what is known of the data, as it was written down when the run began; refuse other data."""
    if stored.get("data") and ("valid" in stored["data"]) != ("valid" in data):
        began = "a" if "valid" in stored["data"] else "no"
        raise DataError(
            f"{folder}: the run began with {began} validation part, which cannot change when it is resumed; "
            "leave out valid, or train a new run."
        )
    for part, now in data.items():
        then = stored.get("data", {}).get(part, now)
        if then["sha256"] != now["sha256"]:
            raise DataError(
                f"{folder}: the {part} data have changed since the run began "
                f"({then['examples']} examples then, {now['examples']} now); "
                "restore them to resume, or train a new run."
            )
        if stored and stored["settings"].get(part) == getattr(settings, part):
            now["file"] = then["file"]
    return data
