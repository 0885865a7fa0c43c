"""Small data sets that a model can learn in a second, drawn from a seed; written as the files a user has."""

import csv
import json
import random
from pathlib import Path

PLACES = ["Munich", "Paris", "Lima", "Oslo"]
PEOPLE = ["Ada", "Pankaj", "Elman", "Grace"]
VERBS = ["likes", "visits", "leaves"]
MOODS = {"good": "yes", "great": "yes", "bad": "no", "awful": "no"}


def mood_rows(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return (sentence, label) pairs; one word of the sentence decides the label."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        mood = draw.choice(list(MOODS))
        words = ["the", draw.choice(["film", "book", "song"]), "was", mood] + ["indeed"] * draw.randrange(3)
        rows.append((" ".join(words), MOODS[mood]))
    return rows


def write_csv(path: Path, rows: list[tuple[str, str]]) -> Path:
    """Write text,label rows with a header."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(rows)
    return path


def tagged_sentences(count: int, seed: int = 0) -> list[tuple[list[str], list[str]]]:
    """Return (words, BIO tags) pairs: people and places."""
    draw = random.Random(seed)
    out = []
    for _ in range(count):
        words, tags = [draw.choice(PEOPLE)], ["B-PER"]
        if draw.random() < 0.5:
            words.append(draw.choice(PEOPLE))
            tags.append("I-PER")
        words += [draw.choice(VERBS), draw.choice(PLACES), "."]
        tags += ["O", "B-LOC", "O"]
        out.append((words, tags))
    return out


def write_conll(path: Path, sentences: list[tuple[list[str], list[str]]]) -> Path:
    """Write word TAB tag lines, a blank line after each sentence."""
    blocks = [
        "".join(f"{word}\t{tag}\n" for word, tag in zip(*sentence, strict=True)) for sentence in sentences
    ]
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


def series_rows(count: int, seed: int = 0) -> list[dict]:
    """Return rows whose two-column series rises or falls."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        sign = draw.choice([-1, 1])
        steps = [[sign * t + draw.gauss(0, 0.3), draw.gauss(5, 1)] for t in range(draw.randrange(4, 9))]
        rows.append({"series": steps, "label": "up" if sign > 0 else "down"})
    return rows


def write_jsonl(path: Path, rows: list[dict]) -> Path:
    """Write one JSON object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
