"""Small series that a model can learn in a second, drawn from a seed."""

import csv
import datetime
from pathlib import Path

import numpy as np

FAST = {
    "task": "forecast",
    "threads": 1,
    "epochs": 1,
    "hidden_size": 4,
    "context": 12,
    "horizon": 3,
    "season": 6,
}
START = datetime.datetime(2024, 1, 1)


def seasonal(count: int, seed: int = 0, *, season: int = 6, noise: float = 0.1) -> np.ndarray:
    """Return a season with noise around a level."""
    random = np.random.default_rng(seed)
    return 10 + np.sin(np.arange(count) * 2 * np.pi / season) + noise * random.normal(size=count)


def random_walk(count: int, seed: int = 0) -> np.ndarray:
    """Return the sum of independent steps: its last value is the best forecast."""
    return np.cumsum(np.random.default_rng(seed).normal(size=count))


def write_series(path: Path, start: int = 0, **columns: np.ndarray) -> Path:
    """Write columns as a wide table, a row an hour; NaN is an empty cell."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["time", *columns])
        for row, values in enumerate(zip(*columns.values(), strict=True)):
            time = START + datetime.timedelta(hours=start + row)
            writer.writerow(
                [time.isoformat(), *("" if np.isnan(value) else repr(float(value)) for value in values)]
            )
    return path
