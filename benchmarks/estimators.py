"""ESTIMATORS: cross-validated accuracy inside scikit-learn, beside pipelines that its users would write.

    python benchmarks/estimators.py                                   iris and digits
    python benchmarks/estimators.py --data FOLDER                     surnames, too
    python benchmarks/estimators.py --sets surnames --data FOLDER --seeds 0,1,2 --threads 1

FOLDER holds `surnames/names/*.txt`, one file a language. Every method runs on the same stratified folds,
which the seed cuts. Surnames are distinct ones, so that none is trained and tested on; those of several
languages, or of languages with too few to cut, are left out. elman's settings are the recipe's. A (set,
method, seed) that was measured is not measured again. Figures go to results/estimators.jsonl.
"""

import argparse
import datetime
import json
import os
import platform
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
from sklearn.datasets import load_digits, load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import elman
from elman.estimators import SequenceClassifier

RECORDS = Path(__file__).parent / "results" / "estimators.jsonl"

FOLDS = 5


def read_surnames(folder: Path) -> tuple[list[str], list[str]]:
    """Return the distinct surnames of one language each, and the language."""
    languages: dict[str, set[str]] = {}
    for path in sorted((folder / "surnames" / "names").glob("*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip():
                languages.setdefault(line.strip(), set()).add(path.stem)
    alone = {name: next(iter(found)) for name, found in languages.items() if len(found) == 1}
    counts = Counter(alone.values())
    kept = {name: language for name, language in alone.items() if counts[language] >= FOLDS}
    return list(kept), list(kept.values())


def rivals(name: str) -> dict[str, Callable[[], Any]]:
    """Return the pipelines beside elman on a set."""
    if name == "surnames":
        return {
            "tf-idf of characters 1-5, logistic regression": lambda: make_pipeline(
                TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 5), sublinear_tf=True),
                LogisticRegression(C=10, max_iter=300),
            )
        }
    return {
        "scaled, logistic regression": lambda: make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=1000)
        )
    }


def measure(name: str, method: str, model: Any, X: Any, y: Any, seed: int, threads: int) -> dict[str, Any]:
    """Return the figures of a method on the folds of a set."""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    started = time.perf_counter()
    scores = cross_val_score(model, X, y, cv=folds)
    return {
        "set": name,
        "method": method,
        "seed": seed,
        "threads": threads,
        "accuracy": round(float(np.mean(scores)), 5),
        "folds": [round(float(score), 5) for score in scores],
        "examples": len(y),
        "seconds": round(time.perf_counter() - started, 1),
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


def read_records() -> list[dict[str, Any]]:
    """Return every measurement so far."""
    if not RECORDS.exists():
        return []
    return [json.loads(line) for line in RECORDS.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    """Measure what is asked for and was not measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with the set surnames")
    parser.add_argument("--sets", help="of iris, digits, surnames (default: all that are there)")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    names = (arguments.sets or ("iris,digits,surnames" if arguments.data else "iris,digits")).split(",")
    done = {(row["set"], row["method"], row["seed"]) for row in read_records()}
    for name in names:
        if name == "surnames" and arguments.data is None:
            parser.error("surnames needs --data FOLDER")
        loaders: dict[str, Callable[[], tuple[Any, Any]]] = {
            "iris": lambda: load_iris(return_X_y=True),
            "digits": lambda: load_digits(return_X_y=True),
            "surnames": lambda: read_surnames(arguments.data),
        }
        if name not in loaders:
            parser.error(f"{name} is no set; known: {', '.join(loaders)}")
        X, y = loaders[name]()
        for seed in map(int, arguments.seeds.split(",")):
            own = {"elman": lambda seed=seed: SequenceClassifier(threads=arguments.threads, seed=seed)}
            for method, make in (own | rivals(name)).items():
                if (name, method, seed) in done:
                    continue
                row = measure(name, method, make(), X, y, seed, arguments.threads)
                RECORDS.parent.mkdir(exist_ok=True)
                with open(RECORDS, "a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print(
                    f"{name}, seed {seed}, {method}: {100 * row['accuracy']:.2f} % in {row['seconds']} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
