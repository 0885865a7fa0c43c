"""ONE TO ONE: recurrent layers on plain vectors, beside scikit-learn's perceptron and linear model.

    python benchmarks/one_to_one.py                       every set, seed 0
    python benchmarks/one_to_one.py --sets iris --seeds 0,1,2 --threads 1
    python benchmarks/one_to_one.py --table               the table alone, from what was measured

Iris, digits and diabetes are those that scikit-learn ships. Each is cut into five folds (stratified where
there are labels), the same for all; the seed decides the folds and every draw. On each fold `elman.train`
gets the other four as a user would give them, told the task alone; a tenth of those picks the weights. The
perceptron is scikit-learn's with one layer of as many units (128), on columns standardised on the same four
folds, with its own stopping, and once more stopped early on a tenth of them, as elman is; the linear model
is logistic regression or ridge with scikit-learn's defaults. Nothing is tuned on test folds. A (set, seed,
fold) that was measured is not measured again; figures go to results/one_to_one.jsonl, the table to
results/one_to_one.md.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import elman

HERE = Path(__file__).parent
RECORDS = HERE / "results" / "one_to_one.jsonl"
TABLE = HERE / "results" / "one_to_one.md"

SETS = {"iris": "accuracy", "digits": "accuracy", "diabetes": "rmse"}
FOLDS, UNITS = 5, 128

RIVALS = ("perceptron", "stopped", "linear")

T_95 = {4: 2.776, 9: 2.262, 14: 2.145, 24: 2.064}
"""Student's t for an interval of 95 %, by degrees of freedom; 2 for others."""

Floats = NDArray[np.float64]


def load_set(name: str) -> tuple[Floats, NDArray[Any]]:
    """Return the vectors of a set and their labels (texts) or numbers."""
    from sklearn import datasets

    data = getattr(datasets, f"load_{name}")()
    if name == "diabetes":
        return data.data, data.target
    return data.data, np.array([str(data.target_names[label]) for label in data.target])


def folds_of(name: str, data: Floats, target: NDArray[Any], seed: int) -> list[tuple[Any, Any]]:
    """Return (train, test) rows of each fold."""
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = KFold if SETS[name] == "rmse" else StratifiedKFold
    return list(kind(FOLDS, shuffle=True, random_state=seed).split(data, target))


def rivals_of(name: str, seed: int) -> dict[str, Any]:
    """Return the models of scikit-learn, ready to fit on scaled columns."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    options: dict[str, Any] = {"hidden_layer_sizes": (UNITS,), "max_iter": 1000, "random_state": seed}
    if SETS[name] == "rmse":
        models: dict[str, Any] = {
            "perceptron": MLPRegressor(**options),
            "stopped": MLPRegressor(early_stopping=True, **options),
            "linear": Ridge(),
        }
        for kind in ("perceptron", "stopped"):  # its rate is made for targets of deviation 1
            models[kind] = TransformedTargetRegressor(models[kind], transformer=StandardScaler())
    else:
        models = {
            "perceptron": MLPClassifier(**options),
            "stopped": MLPClassifier(early_stopping=True, **options),
            "linear": LogisticRegression(max_iter=1000),
        }
    return {kind: make_pipeline(StandardScaler(), model) for kind, model in models.items()}


def score(name: str, said: NDArray[Any], truth: NDArray[Any]) -> float:
    """Return the accuracy, or the root of the mean squared error."""
    if SETS[name] == "rmse":
        return float(np.sqrt(np.mean(np.square(said - truth))))
    return float(np.mean(said == truth))


def measure(name: str, seed: int, fold: int, threads: int) -> dict[str, Any]:
    """Train and score everything on one fold."""
    data, target = load_set(name)
    train, test = folds_of(name, data, target, seed)[fold]
    values = target.tolist()
    rows = [(data[row][None], values[row]) for row in train]
    began = time.perf_counter()
    run = elman.train(
        task="regress" if SETS[name] == "rmse" else "classify", train=rows, seed=seed, threads=threads
    )
    seconds = time.perf_counter() - began
    said = np.array([row.prediction for row in run.predict([data[row][None] for row in test])])
    figures = {"elman": score(name, said, target[test])}
    clocks = {"elman": round(seconds, 2)}
    for rival, model in rivals_of(name, seed).items():
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a perceptron that stops at max_iter
            model.fit(data[train], target[train])
        clocks[rival] = round(time.perf_counter() - began, 2)
        figures[rival] = score(name, model.predict(data[test]), target[test])
    valid = run.result["valid"][run.result["metric"]]
    return {"figures": figures, "seconds": clocks, "parameters": run.result["parameters"], "valid": valid}


def read_records() -> list[dict[str, Any]]:
    """Return every measurement so far, the last one for each (set, seed, fold) alone."""
    if not RECORDS.exists():
        return []
    rows = [json.loads(line) for line in RECORDS.read_text(encoding="utf-8").splitlines()]
    return list({(row["set"], row["seed"], row["fold"]): row for row in rows}.values())


def write_record(row: dict[str, Any]) -> None:
    """Add a measurement to the file, with where, when and with what it was made."""
    import sklearn

    stamp = {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "versions": {
            "elman": elman.__version__,
            "torch": torch.__version__,
            "scikit-learn": sklearn.__version__,
            "python": platform.python_version(),
        },
    }
    RECORDS.parent.mkdir(exist_ok=True)
    with open(RECORDS, "a", encoding="utf-8") as file:
        file.write(json.dumps(row | stamp) + "\n")


def interval(values: list[float]) -> str:
    """Return mean and 95 % interval of the mean, over folds."""
    if len(values) < 2:
        return f"{values[0]:.4g}"
    half = T_95.get(len(values) - 1, 2.0) * statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.mean(values):.4g} +- {half:.2g}"


def write_table() -> None:
    """Write the table: means over folds, and differences fold by fold (above zero: elman is better)."""
    head = ["set", "figure", "folds", "elman", "perceptron", "perceptron, stopped early", "linear"]
    head += ["better than the perceptron by", "than the stopped one by", "than the linear model by"]
    head += ["seconds a fold"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, figure in SETS.items():
        rows = [row for row in read_records() if row["set"] == name]
        if not rows:
            continue
        sign, scale = (-1.0, 1.0) if figure == "rmse" else (1.0, 100.0)
        columns = {kind: [scale * row["figures"][kind] for row in rows] for kind in ("elman", *RIVALS)}
        ahead = [
            [sign * (own - other) for own, other in zip(columns["elman"], columns[kind], strict=True)]
            for kind in RIVALS
        ]
        cells = [name, f"{figure}{', %' if figure == 'accuracy' else ''}", str(len(rows))]
        cells += [interval(columns[kind]) for kind in columns] + [interval(each) for each in ahead]
        cells.append(f"{statistics.median([row['seconds']['elman'] for row in rows]):.1f}")
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        "Intervals are of 95 % over folds (Student's t); folds of one set share training rows, so they are "
        "somewhat too narrow. Made by `benchmarks/one_to_one.py`.",
    ]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(TABLE.read_text(encoding="utf-8"))


def main() -> None:
    """Measure what is asked for and was not measured yet, then write the table."""
    parser = argparse.ArgumentParser(description="Measure one-to-one classification and regression.")
    parser.add_argument("--sets", default=",".join(SETS), help="which, by name: a,b (default: all)")
    parser.add_argument("--seeds", default="0", help="of folds and draws: 0,1,2 (default: 0)")
    parser.add_argument("--threads", type=int, default=1, help="of elman's runs (default: 1)")
    parser.add_argument("--again", action="store_true", help="measure anew what was measured already")
    parser.add_argument("--table", action="store_true", help="only write the table")
    options = parser.parse_args()
    done = {(row["set"], row["seed"], row["fold"]) for row in read_records()}
    for name in [] if options.table else options.sets.split(","):
        for seed in [int(text) for text in options.seeds.split(",")]:
            for fold in range(FOLDS):
                if not options.again and (name, seed, fold) in done:
                    continue
                row = measure(name, seed, fold, options.threads)
                write_record({"set": name, "seed": seed, "fold": fold, "threads": options.threads, **row})
                print(f"{name} seed {seed} fold {fold}: {row['figures']}", flush=True)
    write_table()


if __name__ == "__main__":
    main()
