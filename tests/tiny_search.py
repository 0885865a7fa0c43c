"""Small searches: settings under which a trial takes a fraction of a second, and what is left of one."""

from pathlib import Path

from tiny import mood_rows, write_csv

from elman.tuning.search import Search

FAST = {
    "task": "classify",
    "threads": 1,
    "epochs": 4,
    "hidden_size": 4,
    "embedding_size": 4,
    "characters": "none",
}
WORDS = [
    "--task",
    "classify",
    "--threads",
    "1",
    "--epochs",
    "4",
    "--hidden-size",
    "4",
    "--characters",
    "none",
]


def write_moods(folder: Path) -> Path:
    """Write sixty labelled sentences."""
    return write_csv(folder / "mood.csv", mood_rows(60))


def bare(folder: Path) -> list[tuple]:
    """Return the trials of a search without their times."""
    return [
        (one.number, one.state, dict(one.values), one.score) for one in Search.read(folder).study().trials()
    ]
