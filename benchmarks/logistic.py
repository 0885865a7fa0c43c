"""THE RIVAL: logistic regression on n-grams (or frame means), made as strong as an afternoon allows.

Candidates differ in their features (word 1-2-grams, character n-grams, both) and in C; the validation part
chooses, once. What is chosen is then fitted again on training and validation data together, as GridSearchCV
would: the rival sees every labelled row that elman sees, and learns from more of them.
"""

import csv
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

STRENGTHS = (1.0, 8.0, 64.0)


@dataclass(frozen=True, slots=True)
class Figures:
    """What the rival reached.

    Args:
        chosen: the winner's name ("characters, C=8").
        valid: its accuracy on the validation part.
        accuracy: on the test part, fitted on training and validation data.
        macro_f1: the same.
        accuracy_train_only: on the test part, fitted on the training part alone.
        seconds: for all candidates and both fits.
    """

    chosen: str
    valid: float
    accuracy: float
    macro_f1: float
    accuracy_train_only: float
    seconds: float


def read_rows(path: str, problem: dict[str, Any]) -> tuple[list[Any], list[str]]:
    """Return the inputs and labels of a converted file: texts of a table, or frame statistics of a jsonl."""
    with open(path, encoding="utf-8", newline="") as file:
        if path.endswith(".jsonl"):
            rows = [json.loads(line) for line in file]
            series = [np.asarray(row[problem["input"]]) for row in rows]
            return [frames.mean(axis=0) for frames in series], [row[problem["target"]] for row in rows]
        rows = list(csv.DictReader(file))
    return [row[problem["input"]] for row in rows], [row[problem["target"]] for row in rows]


def candidates(numbers: bool, words: bool) -> dict[str, BaseEstimator]:
    """Return the models to choose from.

    Args:
        numbers: inputs are vectors (frame means), not texts.
        words: texts have several words, so word n-grams may serve.
    """
    if numbers:
        features: dict[str, Any] = {"frame means": StandardScaler}
    else:
        features = {
            "characters 1-5": lambda: TfidfVectorizer(
                analyzer="char_wb", ngram_range=(1, 5), sublinear_tf=True
            )
        }
        if words:
            token = r"(?u)\b\w+\b|[^\w\s]"  # one-letter words and punctuation count too
            features["words 1-2"] = lambda: TfidfVectorizer(
                ngram_range=(1, 2), token_pattern=token, sublinear_tf=True
            )
            both = (features["words 1-2"], features["characters 1-5"])
            features["words 1-2 and characters 1-5"] = lambda: make_union(both[0](), both[1]())
    return {
        f"{name}, C={strength:g}": make_pipeline(make(), LogisticRegression(C=strength, max_iter=2000))
        for name, make in features.items()
        for strength in STRENGTHS
    }


def fit_rival(problem: dict[str, Any]) -> Figures:
    """Choose on the validation part, fit on everything, score on the test part.

    Args:
        problem: of a classify set, from `sets.prepare`; without a validation file a stratified tenth serves.
    """
    began = time.perf_counter()
    inputs, labels = read_rows(problem["train"], problem)
    if "valid" in problem:
        valid_inputs, valid_labels = read_rows(problem["valid"], problem)
    else:
        inputs, valid_inputs, labels, valid_labels = train_test_split(
            inputs, labels, test_size=0.1, stratify=labels, random_state=0
        )
    test_inputs, test_labels = read_rows(problem["test"], problem)
    numbers = Path(problem["train"]).suffix == ".jsonl"
    words = not numbers and np.median([len(text.split()) for text in inputs]) > 1

    best: tuple[float, str] = (-1.0, "")
    models = candidates(numbers, bool(words))
    for name, model in models.items():
        score = float(model.fit(inputs, labels).score(valid_inputs, valid_labels))
        best = max(best, (score, name), key=lambda pair: pair[0])
    winner = models[best[1]]
    train_only = float(winner.score(test_inputs, test_labels))
    predicted = winner.fit(inputs + valid_inputs, labels + valid_labels).predict(test_inputs)
    accuracy = float(np.mean([p == t for p, t in zip(predicted, test_labels, strict=True)]))
    macro_f1 = float(f1_score(test_labels, predicted, average="macro"))
    return Figures(best[1], best[0], accuracy, macro_f1, train_only, time.perf_counter() - began)
