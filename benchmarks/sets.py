"""SETS: published data turned into the files a user would have, split once and for all.

Each function reads a set as it is published and writes train, validation (where one is published or asked
for) and test files. What it returns is the problem alone: the task, its files and columns. No network, no
number of epochs, nothing tuned: those are the default recipe's.
"""

import csv
import json
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORDS = re.compile(r"\w+|[^\w\s]")

Problem = dict[str, Any]
"""Arguments of `elman.train`: task, train, valid, test, input, target."""


def write_csv(path: Path, rows: Iterable[tuple[str, str]]) -> str:
    """Write (text, label) rows under a header and return the path as text."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(rows)
    return str(path)


def write_conll(path: Path, sentences: Iterable[list[tuple[str, str]]]) -> str:
    """Write sentences of (word, tag), one word a line, and return the path as text."""
    blocks = ("\n".join(f"{word}\t{tag}" for word, tag in sentence) for sentence in sentences)
    path.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return str(path)


def hold_out(groups: dict[str, list[Any]], share: float, seed: int = 0) -> tuple[list[Any], list[Any]]:
    """Split items, stratum by stratum, into those kept and a share held out.

    Args:
        groups: stratum to its items.
        share: part of each stratum to hold out, 0..1 (rounded to whole items).
        seed: of the shuffle.
    """
    generator = random.Random(seed)
    kept, held = [], []
    for stratum in sorted(groups):
        items = sorted(groups[stratum])
        generator.shuffle(items)
        count = round(share * len(items))
        held += items[:count]
        kept += items[count:]
    generator.shuffle(kept)
    return kept, held


def by_label(rows: Iterable[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
    """Group (text, label) rows by label."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for text, label in rows:
        groups.setdefault(label, []).append((text, label))
    return groups


def treebank(prefix: str, train: str) -> Callable[[Path, Path], Problem]:
    """Make the function for a Universal Dependencies treebank: its files as they are."""

    def prepare(source: Path, work: Path) -> Problem:
        files = {
            "train": f"{prefix}-{train}",
            "valid": f"{prefix}-dev.conllu",
            "test": f"{prefix}-test.conllu",
        }
        return {"task": "tag", "target": "upos", **{part: str(source / name) for part, name in files.items()}}

    return prepare


def wnut17(source: Path, work: Path) -> Problem:
    """Entities in tweets: the three parts as published, word and tag alone, blank lines made really blank."""
    problem: Problem = {"task": "tag", "input": "1", "target": "2"}
    names = {"train": "wnut17train.conll", "valid": "emerging.dev.conll", "test": "emerging.test.annotated"}
    for part, name in names.items():
        sentences: list[list[tuple[str, str]]] = [[]]
        for line in (source / name).read_text(encoding="utf-8").splitlines():
            if line.strip():
                word, tag = line.split("\t")
                sentences[-1].append((word, tag))
            elif sentences[-1]:
                sentences.append([])
        problem[part] = write_conll(work / f"{part}.conll", (s for s in sentences if s))
    return problem


@dataclass(frozen=True, slots=True)
class Utterance:
    """A sentence of snips: its text, what it asks for, and the slots as (start, end, name) in characters."""

    text: str
    intent: str
    slots: tuple[tuple[int, int, str], ...]

    def tags(self) -> list[tuple[str, str]]:
        """Return (token, BIO tag), tokens cut from the whole text: slot borders leave no trace in it."""
        tagged = []
        seen: set[int] = set()
        for match in WORDS.finditer(self.text):
            slot = next((s for s in self.slots if s[0] <= match.start() < s[1]), None)
            if slot is None:
                tagged.append((match[0], "O"))
            else:
                tagged.append((match[0], f"{'I' if slot[0] in seen else 'B'}-{slot[2]}"))
                seen.add(slot[0])
        return tagged


def read_snips(path: Path, intent: str) -> list[Utterance]:
    """Read one file of utterances; all are UTF-8 but one, which is Latin-1."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    utterances = []
    for item in json.loads(text)[intent]:
        position, slots = 0, []
        for chunk in item["data"]:
            end = position + len(chunk["text"])
            if "entity" in chunk:
                slots.append((position, end, chunk["entity"]))
            position = end
        whole = "".join(chunk["text"] for chunk in item["data"])
        utterances.append(Utterance(whole, intent, tuple(slots)))
    return utterances


def split_snips(source: Path) -> dict[str, list[Utterance]]:
    """Return train, valid (100 an intent, seed 0) and test; a text of train stands nowhere else."""
    kept: list[Utterance] = []
    held: list[Utterance] = []
    test: list[Utterance] = []
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        validate = read_snips(folder / f"validate_{folder.name}.json", folder.name)
        seen = {" ".join(WORDS.findall(utterance.text)).casefold() for utterance in validate}
        unique = []
        for suffix in ("_full", ""):
            for utterance in read_snips(folder / f"train_{folder.name}{suffix}.json", folder.name):
                key = " ".join(WORDS.findall(utterance.text)).casefold()
                if key not in seen:
                    seen.add(key)
                    unique.append(utterance)
        random.Random(0).shuffle(unique)
        test += validate
        held += unique[:100]
        kept += unique[100:]
    random.Random(0).shuffle(kept)
    return {"train": kept, "valid": held, "test": test}


def snips_slots(source: Path, work: Path) -> Problem:
    """Slots of spoken requests, as BIO tags over words and punctuation."""
    parts = split_snips(source)
    paths = {
        part: write_conll(work / f"{part}.conll", (u.tags() for u in rows)) for part, rows in parts.items()
    }
    return {"task": "tag", "input": "1", "target": "2", **paths}


def snips_intents(source: Path, work: Path) -> Problem:
    """Which of seven things a spoken request asks for."""
    parts = split_snips(source)
    paths = {p: write_csv(work / f"{p}.csv", ((u.text, u.intent) for u in rows)) for p, rows in parts.items()}
    return {"task": "classify", "input": "text", "target": "label", **paths}


def banking77(source: Path, work: Path) -> Problem:
    """Which of 77 things a customer of a bank asks: both files as they are."""
    files = {part: str(source / f"{part}.csv") for part in ("train", "test")}
    return {"task": "classify", "input": "text", "target": "category", **files}


def sms_spam(source: Path, work: Path) -> Problem:
    """Spam or not; a fifth of each label is held out for the test, seed 0."""
    rows = []
    for line in (source / "SMSSpamCollection").read_text(encoding="utf-8").split("\n"):
        if line.strip():
            label, text = line.split("\t")[:2]
            if len(text) > 1 and text[0] == text[-1] == '"':
                text = text[1:-1].replace('""', '"')
            rows.append((text, label))
    train, test = hold_out(by_label(rows), 0.2)
    return {
        "task": "classify",
        "input": "text",
        "target": "label",
        "train": write_csv(work / "train.csv", train),
        "test": write_csv(work / "test.csv", test),
    }


def surnames(source: Path, work: Path) -> Problem:
    """Which of 18 languages a name is from; a fifth is held out, and no name stands on both sides.

    A name that several languages share keeps all of them, one row each, all on one side.
    """
    languages: dict[str, set[tuple[str, str]]] = {}
    for path in sorted((source / "names").glob("*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if name := line.strip():
                languages.setdefault(name.casefold(), set()).add((name, path.stem))
    strata: dict[str, list[str]] = {}
    for key, pairs in languages.items():
        strata.setdefault(min(language for _, language in pairs), []).append(key)
    parts = zip(("train", "test"), hold_out(strata, 0.2), strict=True)
    rows = {part: [pair for key in keys for pair in sorted(languages[key])] for part, keys in parts}
    paths = {part: write_csv(work / f"{part}.csv", pairs) for part, pairs in rows.items()}
    return {"task": "classify", "input": "text", "target": "label", **paths}


def japanese_vowels(source: Path, work: Path) -> Problem:
    """Which of nine speakers says two vowels: 12 numbers a frame, 7 to 29 frames."""
    problem: Problem = {"task": "classify", "input": "frames", "target": "speaker"}
    for part in ("train", "test"):
        lines = (source / f"JapaneseVowels_{part.upper()}.ts").read_text(encoding="utf-8").splitlines()
        with open(work / f"{part}.jsonl", "w", encoding="utf-8") as file:
            for line in lines[lines.index("@data") + 1 :]:
                *columns, speaker = line.split(":")
                series = [[float(number) for number in column.split(",")] for column in columns]
                frames = [list(frame) for frame in zip(*series, strict=True)]
                file.write(json.dumps({"frames": frames, "speaker": speaker}) + "\n")
        problem[part] = str(work / f"{part}.jsonl")
    return problem


@dataclass(frozen=True, slots=True)
class Set:
    """A published set: its folder, the figure it is judged by, and the function that makes its files."""

    folder: str
    metric: str
    prepare: Callable[[Path, Path], Problem]


SETS: dict[str, Set] = {
    "ud_english_ewt": Set("ud_english_ewt", "accuracy", treebank("en_ewt-ud", "train.rebuilt.conllu")),
    "ud_english_atis": Set("ud_english_atis", "accuracy", treebank("en_atis-ud", "train.conllu")),
    "snips_slots": Set("snips_nlu", "f1", snips_slots),
    "wnut17": Set("wnut17", "f1", wnut17),
    "snips_intents": Set("snips_nlu", "accuracy", snips_intents),
    "banking77": Set("banking77", "accuracy", banking77),
    "sms_spam": Set("sms_spam", "accuracy", sms_spam),
    "surnames": Set("surnames", "accuracy", surnames),
    "japanese_vowels": Set("japanese_vowels", "accuracy", japanese_vowels),
}


def prepare(name: str, data: Path, work: Path) -> Problem:
    """Make the files of a set and return its problem.

    Args:
        name: a key of `SETS`.
        data: folder that holds one folder for each published set.
        work: where converted files go; the set's own folder is made in it.
    """
    chosen = SETS[name]
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    return chosen.prepare(data / chosen.folder, folder)
