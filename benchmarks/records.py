"""RECORDS: measurements as lines of JSON, each with where and when it was made."""

import datetime
import json
import os
import platform
from pathlib import Path
from typing import Any


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return every measurement in a file, in the order in which they were made."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def add_row(path: Path, row: dict[str, Any]) -> None:
    """Add a measurement to a file."""
    stamp = {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }
    path.parent.mkdir(exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row | stamp) + "\n")


def made_by(script: str, rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines under a table that say what made it, where and when; none without measurements."""
    made = sorted({(row["date"], row["cores"], row["machine"]) for row in rows})
    if not made:
        return []
    date, cores, machine = made[-1]
    return ["", f"Made by `benchmarks/{script}` on {date}, {cores} CPU cores ({machine})."]
