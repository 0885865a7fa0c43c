"""START-UP: how long `elman --help` and each command's own help take, in a fresh process each time.

    python benchmarks/help_time.py [--repeats 15]

The interpreter's own start is shown beside them. The first run of each may read from the disk; it is shown
apart from the median of the rest. Promised: under 0.3 s for `--help`, under 0.8 s for a command's help.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

ELMAN = Path(sys.executable).with_name("elman")
COMMANDS: dict[str, tuple[list[str], float | None]] = {
    "python -c pass": ([sys.executable, "-c", "pass"], None),
    "elman --help": ([str(ELMAN), "--help"], 0.3),
    "elman train --help": ([str(ELMAN), "train", "--help"], 0.8),
    "elman predict --help": ([str(ELMAN), "predict", "--help"], 0.8),
    "elman demo": ([str(ELMAN), "demo"], 0.8),
}


def time_once(command: list[str]) -> float:
    """Return the seconds that a command takes from start to exit."""
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def main() -> int:
    """Print the table; the exit code is 1 where a promise is not kept."""
    parser = argparse.ArgumentParser(description="Time elman's start-up.")
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    kept = True
    print("| command | first, s | median, s | slowest, s | promised |\n|---|---|---|---|---|")
    for name, (command, limit) in COMMANDS.items():
        first = time_once(command)
        times = [time_once(command) for _ in range(repeats)]
        median = statistics.median(times)
        kept = kept and (limit is None or median <= limit)
        promise = "" if limit is None else f"{limit} s"
        print(f"| `{name}` | {first:.3f} | {median:.3f} | {max(times):.3f} | {promise} |", flush=True)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
