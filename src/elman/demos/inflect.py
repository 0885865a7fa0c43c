"""INFLECT: the form of an English word that a tag asks for: "go VBD" becomes "went". Letters in, letters out.

The forms are those that the package `lemminflect` (MIT licence) looks up, in a table made from the SPECIALIST
lexicon of the US National Library of Medicine.
"""

import gzip
import json
import random
from importlib.resources import files
from pathlib import Path
from typing import Any

from elman import progress, terminal
from elman.demos.show import announce_command, data_folder, train_and_show
from elman.errors import MissingExtraError
from elman.run import Run

TABLE = "infl_lu.csv.gz"
"""The package's table of forms, in its folder `resources`: lemma, part of speech, forms."""

TAGS = {"verb": ("VBD", "", "VBG", "VBZ"), "noun": ("NNS",), "adj": ("JJR", "JJS")}
"""Penn Treebank tag of each column of forms; past participles are left out."""

NUM_LEMMAS = 6000
"""Words drawn from the table; each gives a pair for every form that it has."""

TRAINING: dict[str, Any] = {"threads": 1, "epochs": 8, "hidden_size": 128, "embedding_size": 64}
"""Settings beside task, data and folder: a small network learns spelling in two minutes."""

ASKED = (("blorp", "VBD"), ("wug", "NNS"), ("hoppy", "JJS"), ("strimp", "VBG"), ("smorgle", "VBZ"))
"""Words that no lexicon has, to try when the model is trained."""


def run(folder: Path, seed: int = 0, *, is_numbered: bool = False) -> None:
    """Write the pairs, train, show the scores, and inflect words that do not exist.

    Args:
        folder: for the run; the pairs go into the folder of that name with "-data" behind it.
        seed: seed of every random choice of the training.
        is_numbered: whether a number is put behind the folder's name where another run is in it.
    """
    parts = split_by_lemma(collect())
    place = data_folder(folder)
    for name, pairs in parts.items():
        write_pairs(place / f"{name}.jsonl", pairs)
    counts = ", ".join(f"{name} {len(pairs):,}" for name, pairs in parts.items())
    progress.say(f"English words and their forms, from the table of lemminflect: {counts} pairs in {place}")
    settings = {
        "task": "translate",
        **{name: str(place / f"{name}.jsonl") for name in parts},
        **TRAINING,
        "seed": seed,
        "out": str(folder),
    }
    trained = train_and_show(settings, is_numbered=is_numbered)
    show_forms(trained)
    announce_command("ask it again with", f'elman predict {trained.folder} "w u g NNS"')


def collect() -> list[tuple[str, str, str]]:
    """Return (lemma, tag, form) triples, the same every time; of a form with variants, each of them.

    Raises:
        MissingExtraError: lemminflect is not installed.
    """
    try:
        content = (files("lemminflect") / "resources" / TABLE).read_bytes()
    except ModuleNotFoundError:
        raise MissingExtraError(
            "this demo takes its words from the package lemminflect, which is not installed; "
            "install the extra: pip install 'elman[demo]'."
        ) from None
    found = []
    for line in gzip.decompress(content).decode("utf-8").splitlines():
        lemma, kind, *columns = line.split(",")
        if lemma.isalpha() and lemma.isascii() and lemma.islower():
            for tag, forms in zip(TAGS.get(kind, ()), columns, strict=False):
                found += [(lemma, tag, form) for form in forms.split("/") if tag and form]
    return found


def split_by_lemma(triples: list[tuple[str, str, str]]) -> dict[str, list[tuple[str, str, str]]]:
    """Return train, valid and test: 80, 10 and 10 % of `NUM_LEMMAS` lemmas, no lemma in two of them."""
    lemmas = sorted({lemma for lemma, _, _ in triples})
    random.Random(0).shuffle(lemmas)
    lemmas = lemmas[:NUM_LEMMAS]
    tenth = len(lemmas) // 10
    chosen = {"train": lemmas[2 * tenth :], "valid": lemmas[tenth : 2 * tenth], "test": lemmas[:tenth]}
    part_of = {lemma: part for part, group in chosen.items() for lemma in group}
    parts: dict[str, list[tuple[str, str, str]]] = {part: [] for part in chosen}
    for triple in triples:
        if triple[0] in part_of:
            parts[part_of[triple[0]]].append(triple)
    return parts


def write_pairs(path: Path, triples: list[tuple[str, str, str]]) -> None:
    """Write one JSON object a line: the letters and the tag as tokens, and the form as a text."""
    with open(path, "w", encoding="utf-8") as file:
        for lemma, tag, form in triples:
            file.write(json.dumps({"source": [*lemma, tag], "target": form}) + "\n")


def show_forms(trained: Run) -> None:
    """Show the forms that the model gives to words that it cannot know."""
    print("\nwords that no lexicon has:\n")
    for said in trained.predict([[*lemma, tag] for lemma, tag in ASKED]):
        print(terminal.prediction_line(said))
