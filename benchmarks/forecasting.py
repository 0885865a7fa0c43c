"""FORECASTING: published sets beside simple forecasts, and how time and memory grow with the data.

    python benchmarks/forecasting.py --data FOLDER                          everything, seed 0
    python benchmarks/forecasting.py --data FOLDER --sets etth1,m4_hourly --seeds 0,1,2
    python benchmarks/forecasting.py --sets scale                           drawn data; no folder needed

- **etth1**: hourly load and oil temperature, 7 columns; 8,640 / 2,880 / 2,880 rows, 24 hours ahead from every
  hour of the test part, the context reaching back over the split; figures on columns standardised by the
  training part. Repeating the last day must give 0.4244: that checks the protocol.
- **m4_hourly**: 414 series of the M4 competition, one model for all, 48 hours ahead from each end; OWA.
  The seasonal naive method must give sMAPE 13.912 and MASE 1.193.
- **scale**: seconds and memory of training on 1,000 and 10,000 short series, and on one series of 1 and 10
  million steps, each in a process of its own.

Nothing is chosen on a test part. A (set, seed) that was measured is not measured again, so the work can be
done in pieces; `--again` measures it anew. The figures go to results/forecasting.jsonl.
"""

import argparse
import csv
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from records import add_row, read_rows

HERE = Path(__file__).parent
RECORDS = HERE / "results" / "forecasting.jsonl"

ETTH1_PARTS = {"train": (0, 8640), "valid": (8640, 11520), "test": (11520, 14400)}
FLOORS = {"etth1": ("scaled_mse", 0.42444), "m4_hourly": ("owa", 0.62750)}
"""What the seasonal naive method must give, to the last figure shown."""

SCALES = {
    "1000 series": (1_000, 60),
    "10000 series": (10_000, 60),
    "1e6 steps": (1, 1_000_000),
    "1e7 steps": (1, 10_000_000),
}
"""Name -> number of drawn series, and their length."""


def prepare_etth1(data: Path, work: Path) -> dict[str, Any]:
    """Write the three parts as files of their own, and return the settings that train on them."""
    lines = (data / "etth1" / "ETTh1.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    settings: dict[str, Any] = {"horizon": 24}
    for part, (start, stop) in ETTH1_PARTS.items():
        path = work / f"{part}.csv"
        path.write_text("".join([lines[0], *lines[1 + start : 1 + stop]]), encoding="utf-8")
        settings[part] = str(path)
    return settings


def prepare_m4(data: Path, work: Path) -> dict[str, Any]:
    """Write M4's row a series as a row a value, and return the settings that train on it."""
    settings: dict[str, Any] = {"series_id": "series", "target": "value", "season": 24, "horizon": 48}
    for part in ("train", "test"):
        path = work / f"{part}.csv"
        with (
            open(data / "m4_hourly" / f"Hourly-{part}.csv", encoding="utf-8", newline="") as source,
            open(path, "w", encoding="utf-8", newline="") as file,
        ):
            rows = csv.reader(source)
            next(rows)
            writer = csv.writer(file)
            writer.writerow(["series", "value"])
            for name, *values in rows:
                writer.writerows([name, value] for value in values if value)
        settings[part] = str(path)
    # Of 700 to 960 hours, the last 48; the point forecast is a median, which both of OWA's errors ask for.
    return settings | {"valid": 0.05, "point": "mae"}


SETS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {"etth1": prepare_etth1, "m4_hourly": prepare_m4}


def all_rivals(found: dict[str, Any]) -> dict[str, Any]:
    """Return the scores of every simple forecast by its name."""
    best = found["baseline"]
    return {best["name"]: best} | best["others"]


def measure_set(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train on a set with its recipe and a seed, and return the figures."""
    import elman

    work: Path = options.work / name
    work.mkdir(parents=True, exist_ok=True)
    settings: Any = {"task": "forecast", "seed": seed} | SETS[name](options.data, work)
    if options.threads is not None:
        settings["threads"] = options.threads
    out = work / f"run-{seed}"
    shutil.rmtree(out, ignore_errors=True)
    began = time.perf_counter()
    run = elman.train(**settings, out=str(out))
    seconds = time.perf_counter() - began
    test, metric, floor = run.result["test"], *FLOORS[name]
    rivals = {method: found.get(metric) for method, found in all_rivals(test).items()}
    if abs(rivals["seasonal naive"] - floor) > 1e-5:
        raise SystemExit(f"{name}: seasonal naive gives {rivals['seasonal naive']:.5f}, not {floor:.5f}")
    trained = run.timing[-1]["seconds"]
    print(
        f"{name} seed {seed}: {metric} {test[metric]:.4f}, {rivals}, {trained:.0f} s of training", flush=True
    )
    return {
        "metric": metric,
        "test": {key: value for key, value in test.items() if key != "baseline"},
        "valid": {key: value for key, value in run.result["valid"].items() if key != "baseline"},
        "baselines": all_rivals(test),
        "linear": test["baseline"]["description"],
        "seconds": round(seconds, 1),
        "training_seconds": round(trained, 1),
        "parameters": run.result["parameters"],
        "best": run.result["best"],
        "threads": options.threads,
        "context": run.chosen.context,
        "difference": run.chosen.difference,
        "versions": json.loads((out / "config.json").read_text(encoding="utf-8"))["versions"],
    }


def measure_scale(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train on drawn series in a process of its own, and return its seconds and peak of memory."""
    number, length = SCALES[name]
    path = options.work / "scale" / f"{number}x{length}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draw_series(path, number, length)
    command = [sys.executable, __file__, "--one", str(path), "--threads", str(options.threads or 2)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"{name}: {found}", flush=True)
    return {"points": number * length, "threads": options.threads or 2} | found


def draw_series(path: Path, number: int, length: int) -> None:
    """Write series with a season of 12 and noise, a row a value."""
    random = np.random.default_rng(0)
    season = np.sin(np.arange(length) * 2 * np.pi / 12)
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write("series,value\n")
        for one in range(number):
            values = season + 0.3 * random.standard_normal(length) + one % 7
            file.writelines(f"s{one},{value:.4f}\n" for value in values.tolist())


def train_one(path: Path, threads: int) -> None:
    """Train two epochs on a drawn file without a run folder; print seconds and memory as JSON."""
    import elman

    began = time.perf_counter()
    run = elman.train(
        task="forecast", train=str(path), series_id="series", target="value", season=12, horizon=12,
        context=24, epochs=2, threads=threads,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    score = run.result["valid"]["scaled_mse"]
    found = {"seconds": round(seconds, 1), "peak_mib": peak_mib(), "valid_scaled_mse": score}
    print(json.dumps(found))


def peak_mib() -> int:
    """Return the most memory that this process has held, in MiB.

    getrusage would count what the process that started this one held.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1024
    raise SystemExit("the peak of memory is read from /proc/self/status, which this system does not have")


def main() -> None:
    """Measure what is asked for and was not measured yet."""
    parser = argparse.ArgumentParser(description="Measure forecasts on published sets.")
    parser.add_argument("--data", type=Path, help="folder that holds one folder for each published set")
    parser.add_argument("--sets", default="etth1,m4_hourly,scale", help="which, by name: a,b (default: all)")
    parser.add_argument("--seeds", default="0", help="of the runs: 0,1,2 (default: 0)")
    parser.add_argument("--threads", type=int, help="of the runs (default: all cores)")
    parser.add_argument(
        "--work", type=Path, default=HERE / "work" / "forecasting", help="where converted files and runs go"
    )
    parser.add_argument("--again", action="store_true", help="measure anew what was measured already")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        train_one(options.one, options.threads)
        return
    done = {(row["set"], row["seed"]) for row in read_rows(RECORDS)}
    for name in options.sets.split(","):
        wanted: list[Any] = (
            list(SCALES) if name == "scale" else [int(text) for text in options.seeds.split(",")]
        )
        for seed in wanted:
            if (name, seed) in done and not options.again:
                continue
            if name != "scale" and options.data is None:
                parser.error("--data FOLDER is needed to measure published sets")
            found = (
                measure_scale(str(seed), options)
                if name == "scale"
                else measure_set(name, int(seed), options)
            )
            add_row(RECORDS, {"set": name, "seed": seed} | found)


if __name__ == "__main__":
    main()
