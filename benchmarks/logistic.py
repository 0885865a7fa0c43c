"""THE RIVAL: logistic regression on n-grams (or frame means), made as strong as an afternoon allows.

Candidates differ in their features (word 1-2-grams, character n-grams, both) and in C; the validation part
chooses, once. What is chosen is then fitted again on training and validation data together, as GridSearchCV
would: the rival sees every labelled row that elman sees, and learns from more of them. Of a tagged set each
token is one row: its word, its ends, its shape and its neighbours within two steps; tags are chosen singly.
"""

import csv
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from elman import metrics
from elman.data.read import read_examples

STRENGTHS = (1.0, 8.0, 64.0)
DECAYS = (1e-5, 3e-6, 1e-6)
PASSES = 12


@dataclass(frozen=True, slots=True)
class Figures:
    """What the rival reached.

    Args:
        chosen: the winner's name ("characters, C=8").
        metric: what the set is judged by: "accuracy", or "f1" of spans.
        valid: the metric on the validation part.
        test: on the test part, fitted on training and validation data.
        test_train_only: on the test part, fitted on the training part alone.
        seconds: for all candidates and both fits.
    """

    chosen: str
    metric: str
    valid: float
    test: float
    test_train_only: float
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
    test = float(winner.fit(inputs + valid_inputs, labels + valid_labels).score(test_inputs, test_labels))
    return Figures(best[1], "accuracy", best[0], test, train_only, time.perf_counter() - began)


def describe_tokens(sentence: Sequence[str]) -> list[list[str]]:
    """Return the features of each token of a sentence, as strings.

    Example:
        >>> describe_tokens(["Hi"])[0][:3]
        ['word=Hi', 'lower=hi', 'shape=Xx']
    """
    lower = [word.lower() for word in sentence]
    padded = ["<", "<", *lower, ">", ">"]
    shapes = [re.sub(r"(.)\1+", r"\1", re.sub(r"[^\W\d_]", _case, re.sub(r"\d", "9", w))) for w in sentence]
    rows = []
    for step, word in enumerate(sentence):
        row = [f"word={word}", f"lower={lower[step]}", f"shape={shapes[step]}"]
        row += [f"end{n}={lower[step][-n:]}" for n in range(1, 5)] + [
            f"start{n}={lower[step][:n]}" for n in range(1, 4)
        ]
        near = {offset: padded[step + 2 + offset] for offset in (-2, -1, 1, 2)}
        row += [f"at{offset}={other}" for offset, other in near.items()]
        row += [f"end{offset}={near[offset][-3:]}" for offset in (-1, 1)]
        row += [
            f"pair-1={near[-1]} {lower[step]}",
            f"pair+1={lower[step]} {near[1]}",
            f"around={near[-1]} {near[1]}",
        ]
        rows.append(row)
    return rows


def _case(letter: re.Match[str]) -> str:
    return "X" if letter[0].isupper() else "x"


def fit_tag_rival(problem: dict[str, Any], metric: str) -> Figures:
    """Do the same for a tagged set: a row a token, one tag at a time.

    Args:
        problem: of a tag set, from `sets.prepare`.
        metric: "accuracy" of tokens or "f1" of spans.
    """
    began = time.perf_counter()
    hasher = FeatureHasher(2**20, input_type="string", alternate_sign=False)
    rows: dict[str, Any] = {}
    tags: dict[str, list[list[str]]] = {}
    for part in ("train", "valid", "test"):
        columns = {"input": [problem["input"]] if "input" in problem else None, "target": problem["target"]}
        examples = read_examples(problem[part], **columns).examples
        rows[part] = hasher.transform(row for example in examples for row in describe_tokens(example.input))
        tags[part] = [list(example.target) for example in examples]
    flat = {part: [tag for sentence in sentences for tag in sentence] for part, sentences in tags.items()}

    def score(model: SGDClassifier, part: str) -> float:
        predicted = iter(model.predict(rows[part]))
        guessed = [[str(next(predicted)) for _ in sentence] for sentence in tags[part]]
        if metric == "f1":
            return float(metrics.span_scores(tags[part], guessed)["f1"])
        right = sum(g == t for g, t in zip((tag for row in guessed for tag in row), flat[part], strict=True))
        return right / len(flat[part])

    best: tuple[float, float] = (-1.0, 0.0)
    models = {
        decay: SGDClassifier(
            loss="log_loss", alpha=decay, max_iter=PASSES, tol=None, average=True, n_jobs=1, random_state=0
        )
        for decay in DECAYS
    }
    for decay, model in models.items():
        best = max(best, (score(model.fit(rows["train"], flat["train"]), "valid"), decay))
    winner = models[best[1]]
    train_only = score(winner, "test")
    winner.fit(sparse.vstack([rows["train"], rows["valid"]]), flat["train"] + flat["valid"])
    name = f"words, ends, shapes, neighbours, alpha={best[1]:g}"
    return Figures(name, metric, best[0], score(winner, "test"), train_only, time.perf_counter() - began)
