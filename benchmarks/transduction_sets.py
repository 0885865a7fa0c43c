"""TRANSDUCTION SETS: published pairs of sequences as the files a user would have, split once and for all.

What each function returns is the problem alone: task, files, columns, and what the data call for (the NFD
form for Korean, subwords for sentences). Nothing tuned on a set.
"""

import json
import random
import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

Problem = dict[str, Any]

HELD_OUT = 2000
"""Sentences of each held-out part of tatoeba, by distinct English sentence."""


def write_pairs(path: Path, pairs: Iterable[tuple[Any, str]]) -> str:
    """Write {"source", "target"} lines and return the path as text; a source may be a list of tokens."""
    with open(path, "w", encoding="utf-8") as file:
        for source, target in pairs:
            file.write(json.dumps({"source": source, "target": target}, ensure_ascii=False) + "\n")
    return str(path)


def problem_of(work: Path, parts: Mapping[str, Iterable[tuple[Any, str]]], **settings: Any) -> Problem:
    """Write the parts and return the problem."""
    files = {part: write_pairs(work / f"{part}.jsonl", pairs) for part, pairs in parts.items()}
    return {"task": "translate", "input": "source", "target": "target", **files, **settings}


def cmudict(source: Path, work: Path) -> Problem:
    """English words to sounds: stress stripped, split by word 90/5/5 with seed 0."""
    sounds: dict[str, list[str]] = defaultdict(list)
    for line in (source / "cmudict.dict").read_text(encoding="utf-8").splitlines():
        fields = line.split("#")[0].split()
        word, said = re.sub(r"\(\d+\)$", "", fields[0]), re.sub(r"\d", "", " ".join(fields[1:]))
        if said not in sounds[word]:
            sounds[word].append(said)
    words = sorted(sounds)
    random.Random(0).shuffle(words)
    twentieth = len(words) // 20
    parts = {
        "test": words[:twentieth],
        "valid": words[twentieth : 2 * twentieth],
        "train": words[2 * twentieth :],
    }
    pairs = {name: [(word, said) for word in part for said in sounds[word]] for name, part in parts.items()}
    return problem_of(work, pairs)


def inflection(source: Path, work: Path) -> Problem:
    """Spanish lemma and tags to the form (CoNLL-SIGMORPHON 2018, high): the tags behind the letters."""
    files = {"train": "spanish-train-high", "valid": "spanish-dev", "test": "spanish-test"}
    parts = {}
    for part, name in files.items():
        rows = [line.split("\t") for line in (source / name).read_text(encoding="utf-8").splitlines() if line]
        parts[part] = [([*lemma, *tags.split(";")], form) for lemma, form, tags in rows]
    return problem_of(work, parts)


def sigmorphon(language: str, **settings: Any) -> Callable[[Path, Path], Problem]:
    """Make the function for one language of SIGMORPHON 2021, grapheme to phoneme."""

    def prepare(source: Path, work: Path) -> Problem:
        parts = {}
        for part, name in {"train": "train", "valid": "dev", "test": "test"}.items():
            text = (source / f"{language}_{name}.tsv").read_text(encoding="utf-8")
            rows = [line.split("\t") for line in text.splitlines() if line]
            parts[part] = [(word, sounds) for word, sounds in rows]
        return problem_of(work, parts, **settings)

    return prepare


def tatoeba(source: Path, work: Path, most: int | None = None, **settings: Any) -> Problem:
    """English to French sentences; no English sentence stands in two parts."""
    with zipfile.ZipFile(source / "fra-eng.zip") as archive:
        name = next(name for name in archive.namelist() if name.endswith("fra.txt"))
        lines = archive.read(name).decode("utf-8").splitlines()
    french: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        fields = line.split("\t")
        french[fields[0]].append(fields[1].replace("\u202f", " ").replace("\u00a0", " "))
    english = sorted(french)
    random.Random(0).shuffle(english)
    parts = {
        "test": english[:HELD_OUT],
        "valid": english[HELD_OUT : 2 * HELD_OUT],
        "train": english[2 * HELD_OUT :][:most],
    }
    pairs = {name: [(one, other) for one in part for other in french[one]] for name, part in parts.items()}
    return problem_of(work, pairs, **({"tokens": "subwords", "target_tokens": "subwords"} | settings))


def few_sentences(source: Path, work: Path) -> Problem:
    """Three thousand English sentences to French, by words: long outputs that are hard to get right."""
    return tatoeba(source, work, 3_000, tokens="words", target_tokens="words")


SETS: dict[str, tuple[str, Callable[[Path, Path], Problem]]] = {
    "cmudict": ("cmudict", cmudict),
    "inflection": ("inflection_conll2018", inflection),
    "kor": ("sigmorphon2021_g2p", sigmorphon("kor", normal_form="nfd")),
    "fre": ("sigmorphon2021_g2p", sigmorphon("fre")),
    "geo": ("sigmorphon2021_g2p", sigmorphon("geo")),
    "dut": ("sigmorphon2021_g2p", sigmorphon("dut")),
    "tatoeba": ("tatoeba_eng_fra", tatoeba),
    "few_sentences": ("tatoeba_eng_fra", few_sentences),
}
"""Name -> its folder among the data, and the function that makes the problem."""


def prepare_pairs(name: str, data: Path, work: Path) -> Problem:
    """Write the files of a set under `work` and return its problem."""
    folder, prepare = SETS[name]
    (work / name).mkdir(parents=True, exist_ok=True)
    return prepare(data / folder, work / name)
