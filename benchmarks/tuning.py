"""TUNING: the default recipe against the best of a search, on the validation and on the test part.

    python benchmarks/tuning.py --data FOLDER                                    all sets, seeds 0, 1 and 2
    python benchmarks/tuning.py --data FOLDER --sets japanese_vowels --seeds 0,1,2 --trials 20
    python benchmarks/tuning.py --table                                          the table alone

FOLDER holds one folder for each set as it is published. The sets are small, so that all fits in an hour of
one core: of the surnames and of the questions to a bank 1,500 train and validate, and all that are held out
are the test. Default and best are trained on the same parts with the same seed. A (set, seed, trials) that
was measured is not measured again, a search that was broken off is gone on with. The figures go to
results/tuning.jsonl, and the table to results/tuning.md.
"""

import argparse
import csv
import random
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from records import add_row, made_by, read_rows
from sets import prepare

HERE = Path(__file__).parent
RECORDS = HERE / "results" / "tuning.jsonl"
TABLE = HERE / "results" / "tuning.md"

Problem = dict[str, Any]


def few_of(name: str, most: int) -> Callable[[Path, Path], Problem]:
    """Return a maker of a set with so many of its training texts, drawn with seed 0; a fifth validates."""

    def make(data: Path, work: Path) -> Problem:
        problem = prepare(name, data, work)
        columns = [problem["input"], problem["target"]]
        with open(problem["train"], encoding="utf-8", newline="") as file:
            rows = [[row[column] for column in columns] for row in csv.DictReader(file)]
        few = work / f"{name}_{most}.csv"
        with open(few, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([columns, *random.Random(0).sample(rows, most)])
        return problem | {"train": str(few), "valid": 0.2}

    return make


def japanese_vowels(data: Path, work: Path) -> Problem:
    """Return the spoken vowels; a third of their 270 training examples validates."""
    return prepare("japanese_vowels", data, work) | {"valid": 0.33}


SETS: dict[str, Callable[[Path, Path], Problem]] = {
    "japanese_vowels": japanese_vowels,
    "surnames_1500": few_of("surnames", 1500),
    "banking77_1500": few_of("banking77", 1500),
}


def read_records() -> list[dict[str, Any]]:
    """Return every measurement so far, the last one for each (set, seed, trials) alone."""
    rows = read_rows(RECORDS)
    return list({(row["set"], row["seed"], row["trials"]): row for row in rows}.values())


def measure(name: str, problem: Problem, seed: int, options: argparse.Namespace) -> None:
    """Train the default and search, and record both runs' figures."""
    import elman

    out = options.work / "tuning" / f"{name}-{seed}-{options.trials}"
    settings: dict[str, Any] = {**problem, "seed": seed, "threads": options.threads}
    shutil.rmtree(out / "default", ignore_errors=True)
    began = time.perf_counter()
    default = elman.train(**settings, out=str(out / "default"))
    middle = time.perf_counter()
    if (out / "search" / "search.json").exists():
        found = elman.tune(resume=str(out / "search"), trials=options.trials)
    else:
        found = elman.tune(**settings, out=str(out / "search"), trials=options.trials)
    end = time.perf_counter()
    metric = found.search.metric
    states = [trial.state for trial in found.trials]
    row = {
        "set": name,
        "seed": seed,
        "trials": options.trials,
        "threads": options.threads,
        "metric": metric,
        "default": {part: default.result[part][metric] for part in ("valid", "test")},
        "tuned": {part: found.run.result[part][metric] for part in ("valid", "test")},
        "best_trial": found.best.number,
        "best_settings": dict(found.best.values),
        "importances": dict(found.importances),
        "states": {state: states.count(state) for state in sorted(set(states))},
        "trial_seconds": round(sum(trial.seconds for trial in found.trials), 1),
        "seconds": {"default": round(middle - began, 1), "search": round(end - middle, 1)},
        "versions": found.run.versions,
    }
    add_row(RECORDS, row)
    print(f"{name} seed {seed}: {metric} default {row['default']}, tuned {row['tuned']}", flush=True)


def percent(values: list[float]) -> str:
    """Return the median of fractions in percent, and their range."""
    shown = [100 * value for value in (statistics.median(values), min(values), max(values))]
    return f"{shown[0]:.2f} ({shown[1]:.2f} to {shown[2]:.2f})"


def write_table() -> None:
    """Write the Markdown table of everything measured so far."""
    records = read_records()
    head = ["set", "trials", "seeds", "validation: default", "tuned", "test: default", "tuned"]
    head += ["seconds: one training", "the search"]
    lines = ["Accuracy in %, median and range over the seeds.", ""]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, trials in sorted({(row["set"], row["trials"]) for row in records}):
        rows = [row for row in records if (row["set"], row["trials"]) == (name, trials)]
        cells = [name, str(trials), str(len(rows))]
        for part in ("valid", "test"):
            cells += [percent([row[who][part] for row in rows]) for who in ("default", "tuned")]
        cells += [f"{statistics.median(row['seconds']['default'] for row in rows):.0f}"]
        cells += [f"{statistics.median(row['trial_seconds'] for row in rows):.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    lines += made_by("tuning.py", records)
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(TABLE.read_text(encoding="utf-8"))


def main() -> None:
    """Measure what is asked for and was not measured yet, then write the table."""
    parser = argparse.ArgumentParser(description="Measure what tuning is worth.")
    parser.add_argument("--data", type=Path, help="folder that holds one folder for each published set")
    parser.add_argument("--sets", default=",".join(SETS), help="which, by name: a,b (default: all)")
    parser.add_argument("--seeds", default="0,1,2", help="0,1,2 (default)")
    parser.add_argument("--trials", type=int, default=20, help="of each search (default: 20)")
    parser.add_argument("--threads", type=int, default=1, help="of each training (default: 1)")
    parser.add_argument("--work", type=Path, default=HERE / "work", help="where converted files and runs go")
    parser.add_argument("--again", action="store_true", help="measure anew what was measured already")
    parser.add_argument("--table", action="store_true", help="only write the table")
    options = parser.parse_args()
    done = {(row["set"], row["seed"], row["trials"]) for row in read_records()}
    for name in [] if options.table else options.sets.split(","):
        if name not in SETS:
            parser.error(f"--sets: {name!r} is none of {', '.join(SETS)}")
        if options.data is None:
            parser.error("--data FOLDER is needed to measure anything")
        problem = SETS[name](options.data, options.work)
        for seed in [int(text) for text in options.seeds.split(",")]:
            if (name, seed, options.trials) in done and not options.again:
                continue
            if options.again:
                shutil.rmtree(options.work / "tuning" / f"{name}-{seed}-{options.trials}", ignore_errors=True)
            measure(name, problem, seed, options)
    write_table()


if __name__ == "__main__":
    main()
