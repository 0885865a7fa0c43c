"""ACCURACY: published sets, one default recipe, beside the baselines that a result must beat.

    python benchmarks/accuracy.py --data FOLDER                      every set, seed 0
    python benchmarks/accuracy.py --data FOLDER --sets surnames,banking77 --seeds 0,1,2
    python benchmarks/accuracy.py --table                            the table alone, from what was measured

FOLDER holds one folder for each set as it is published (`sets.py` names them). Each set is trained through
`elman.train` as a user would, told only the task, the files and the columns. A (set, seed) that was measured
is not measured again, so the work can be done in pieces; `--again` measures it anew. The figures go to
results/accuracy.jsonl, and the table made from them to results/accuracy.md.
"""

import argparse
import json
import shutil
import statistics
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from records import add_row, made_by, read_rows
from sets import SETS, prepare

HERE = Path(__file__).parent
RECORDS = HERE / "results" / "accuracy.jsonl"
TABLE = HERE / "results" / "accuracy.md"

# The figures of a task that are kept, whichever of them the set is judged by.
METRICS = ("accuracy", "f1", "precision", "recall", "macro_f1")


def read_records() -> list[dict[str, Any]]:
    """Return every measurement so far, the last one for each (set, seed, kind) alone."""
    rows = read_rows(RECORDS)
    return list({(row["set"], row["kind"], row.get("seed")): row for row in rows}.values())


def measure_elman(name: str, problem: dict[str, Any], seed: int, work: Path, threads: int | None) -> None:
    """Train on a set with nothing but its problem and a seed, and record the test figures."""
    import elman

    out = work / name / f"run-{seed}"
    shutil.rmtree(out, ignore_errors=True)
    began = time.perf_counter()
    settings: dict[str, Any] = {**problem, "seed": seed, "out": str(out)}
    if threads is not None:
        settings["threads"] = threads
    run = elman.train(**settings)
    seconds = time.perf_counter() - began
    test, baseline = run.result["test"], run.result["test"]["baseline"]
    figures = {key: test[key] for key in METRICS if key in test}
    add_row(
        RECORDS,
        {
            "set": name,
            "kind": "elman",
            "seed": seed,
            "test": figures,
            "valid": {key: run.result["valid"][key] for key in figures},
            "baseline": {key: baseline[key] for key in ("name", *figures) if key in baseline},
            "seconds": round(seconds, 1),
            "parameters": run.result["parameters"],
            "best": run.result["best"],
            "threads": threads,
            "cell": run.info()["chosen"]["cell"],
            "versions": json.loads((out / "config.json").read_text(encoding="utf-8"))["versions"],
        },
    )
    print(f"{name} seed {seed}: {figures} in {seconds:.0f} s; baseline {baseline}", flush=True)


def measure_rival(name: str, problem: dict[str, Any]) -> None:
    """Fit the logistic regressions of a set and record the chosen one."""
    from logistic import fit_rival, fit_tag_rival

    tagged = problem["task"] == "tag"
    figures = fit_tag_rival(problem, SETS[name].metric) if tagged else fit_rival(problem)
    add_row(RECORDS, {"set": name, "kind": "logistic", **asdict(figures)})
    print(f"{name} logistic regression: {figures}", flush=True)


def percent(value: float | None) -> str:
    """Return a fraction as a percentage with two decimals, or a dash."""
    return "-" if value is None else f"{100 * value:.2f}"


def table_row(name: str, rows: list[dict[str, Any]]) -> list[str]:
    """Return the cells of one set's line."""
    metric = SETS[name].metric
    runs = sorted((row for row in rows if row["kind"] == "elman"), key=lambda row: row["seed"])
    rivals = [row for row in rows if row["kind"] == "logistic"]
    tests = [row["test"][metric] for row in runs]
    first = next((row["test"][metric] for row in runs if row["seed"] == 0), None)
    middle = f"{percent(statistics.median(tests))} ({len(tests)})" if tests else "-"
    spread = f"{percent(min(tests))} to {percent(max(tests))}" if len(tests) > 1 else "-"
    baseline = runs[0]["baseline"] if runs else {}
    simple = f"{percent(baseline.get(metric))} {baseline.get('name', '')}".strip()
    same, more = (rivals[0]["test_train_only"], rivals[0]["test"]) if rivals else (None, None)
    rival = f"{percent(same)} / {percent(more)}: {rivals[0]['chosen']}" if rivals else "-"
    seconds = f"{statistics.median([row['seconds'] for row in runs]):.0f}" if runs else "-"
    parameters = f"{runs[0]['parameters']:,}" if runs else "-"
    label = {"accuracy": "accuracy", "f1": "span F1"}[metric]
    return [name, label, percent(first), middle, spread, simple, rival, seconds, parameters]


def write_table() -> None:
    """Write the Markdown table of everything measured so far."""
    records = read_records()
    head = ["set", "test figure, %", "seed 0", "median (seeds)", "range", "baseline"]
    head += ["logistic regression: trained on train / and on validation data", "seconds", "parameters"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name in SETS:
        rows = [row for row in records if row["set"] == name]
        if rows:
            lines.append("| " + " | ".join(table_row(name, rows)) + " |")
    lines += made_by("accuracy.py", records)
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(TABLE.read_text(encoding="utf-8"))


def main() -> None:
    """Measure what is asked for and was not measured yet, then write the table."""
    parser = argparse.ArgumentParser(description="Measure elman on published sets.")
    parser.add_argument("--data", type=Path, help="folder that holds one folder for each published set")
    parser.add_argument("--sets", default=",".join(SETS), help="which, by name: a,b (default: all)")
    parser.add_argument("--seeds", default="0", help="of elman's runs: 0,1,2 (default: 0)")
    parser.add_argument("--threads", type=int, help="of elman's runs (default: all cores)")
    parser.add_argument("--work", type=Path, default=HERE / "work", help="where converted files and runs go")
    parser.add_argument("--again", action="store_true", help="measure anew what was measured already")
    parser.add_argument("--rivals", action="store_true", help="fit the logistic regressions alone")
    parser.add_argument("--table", action="store_true", help="only write the table")
    options = parser.parse_args()
    done = {(row["set"], row["kind"], row.get("seed")) for row in read_records()}
    for name in [] if options.table else options.sets.split(","):
        if options.data is None:
            parser.error("--data FOLDER is needed to measure anything")
        problem = prepare(name, options.data, options.work)
        if options.again or (name, "logistic", None) not in done:
            measure_rival(name, problem)
        for seed in [] if options.rivals else [int(text) for text in options.seeds.split(",")]:
            if options.again or (name, "elman", seed) not in done:
                measure_elman(name, problem, seed, options.work, options.threads)
    write_table()


if __name__ == "__main__":
    main()
