"""CONTESTANT: a run as it is compared with others: what the small files of its folder tell."""

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elman.run_folder import read_config, read_journal, read_json
from elman.tables import is_number

OWN_TO_A_RUN = frozenset({"out", "resume", "max_minutes"})
"""Settings in which two runs of the same thing differ."""


@dataclass(frozen=True)
class Contestant:
    """A run as it is compared.

    Args:
        letter: what it is called in tables and pictures: A, B, ...
        folder: where it lies, as it was named.
        task: the name of its task.
        state: "finished", or how far it came.
        settings: all settings with what was chosen, but for those that are its own.
        versions: of what made it.
        data: counts and fingerprints of each part.
        result: as in `result.json`; empty while it is not finished.
        history: the rows of `metrics.jsonl`.
        speed: sequences a second, the median over epochs; None where none is known.
    """

    letter: str
    folder: str
    task: str
    state: str
    settings: dict[str, Any]
    versions: dict[str, str]
    data: dict[str, Any]
    result: dict[str, Any]
    history: list[dict[str, Any]]
    speed: float | None

    def score(self, part: str, metric: str) -> float | None:
        """Return a metric of a part; None where it was not measured."""
        value = (self.result.get(part) or {}).get(metric)
        return value if is_number(value) else None


def read_contestant(folder: str, place: int) -> Contestant:
    """Return what the small files of a run folder tell; no weights are read.

    Args:
        folder: of the run.
        place: of the run among those that are compared, from 0.

    Raises:
        RunError, CheckpointError: the folder holds no run, or a damaged one.
    """
    path = Path(folder)
    config = read_config(path)
    result = read_json(path / "result.json") if (path / "result.json").exists() else {}
    history = read_journal(path / "metrics.jsonl")
    timing = read_journal(path / "timing.jsonl")
    chosen = config.get("chosen") or config.get("settings") or {}
    speeds = [row["sequences_per_second"] for row in timing if is_number(row.get("sequences_per_second"))]
    planned = chosen.get("epochs")
    begun = f"unfinished, {len(history)} of {planned} epochs" if planned else "not begun"
    return Contestant(
        letter=_letter(place),
        folder=folder,
        task=str(chosen.get("task")),
        state="finished" if result else begun,
        settings={name: value for name, value in chosen.items() if name not in OWN_TO_A_RUN},
        versions=config.get("versions") or {},
        data=config.get("data") or {},
        result=result,
        history=history,
        speed=statistics.median(speeds) if speeds else None,
    )


def _letter(place: int) -> str:
    """Return A, B, ... Z, AA, AB, ...

    Example:
        >>> _letter(0), _letter(25), _letter(26)
        ('A', 'Z', 'AA')
    """
    first, last = divmod(place, 26)
    return (_letter(first - 1) if first else "") + chr(ord("A") + last)
