"""BAG OF WORDS: our baseline beside scikit-learn's on the same tokens, to see that it is a strong one.

    python benchmarks/bag_of_words.py --data FOLDER [--sets banking77,surnames]

scikit-learn's figure is the best of six, picked on the test part itself (counts or tf-idf, C = 1, 10, 100):
the most that features of this kind can give. Ours is fitted once, as it stands in the code.
"""

import argparse
import csv
import time
from pathlib import Path

import torch
from sets import prepare
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from elman.baselines import BagOfWords
from elman.baselines.bag_of_words import LONGEST_RUN
from elman.data.text import split_words


def read(path: str, problem: dict[str, str]) -> tuple[list[str], list[str]]:
    """Return the texts and labels of a table."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row[problem["input"]] for row in rows], [row[problem["target"]] for row in rows]


def best_of_theirs(train: tuple[list[str], list[str]], test: tuple[list[str], list[str]], words: bool) -> str:
    """Return the best test accuracy of six regressions by scikit-learn, and which one it is."""
    analyzer = split_words if words else "char"
    found = []
    for make in (CountVectorizer, TfidfVectorizer):
        for strength in (1, 10, 100):
            options = (
                {"analyzer": lambda text: split_words(text.lower())}
                if words
                else {"analyzer": analyzer, "ngram_range": (1, LONGEST_RUN), "lowercase": False}
            )
            model = make_pipeline(make(**options), LogisticRegression(C=strength, max_iter=300))
            score = float(model.fit(*train).score(*test))
            found.append((score, f"{make.__name__}, C = {strength}"))
    return "{:.2%} ({})".format(*max(found))


def main() -> None:
    """Print one line for each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path(__file__).parent / "work")
    parser.add_argument("--sets", default="sms_spam,snips_intents,surnames,banking77")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.sets.split(","):
        problem = prepare(name, arguments.data, arguments.work)
        train, test = (read(problem[part], problem) for part in ("train", "test"))
        words = name != "surnames"
        split = split_words if words else list
        began = time.perf_counter()
        ours = BagOfWords.fit([split(text) for text in train[0]], train[1])
        seconds = time.perf_counter() - began
        answers = ours.predict([split(text) for text in test[0]])
        score = sum(map(str.__eq__, answers, test[1])) / len(answers)
        theirs = best_of_theirs(train, test, words)
        print(f"{name}: ours {score:.2%} in {seconds:.1f} s, theirs {theirs}", flush=True)


if __name__ == "__main__":
    main()
