"""NAMES: which language is this surname from? Characters in, one label out.

The surnames are those that the package `faker` ships for each locale, to make up addresses with: those
written in Latin letters, or that it ships romanised. The lists are made by hand, of very different lengths
and care: the model learns what is in them, which is not what is in the world.
"""

import csv
import importlib
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType
from typing import Any

from elman import progress, terminal
from elman.demos.show import announce_command, data_folder, show_confusions, train_and_show
from elman.errors import MissingExtraError
from elman.run import Run

# Language -> the lists that hold its surnames: locale and attribute of faker's provider.
SOURCES = MappingProxyType({
    "Azerbaijani": [("az_AZ", "last_names")],
    "Chinese": [("zh_CN", "last_romanized_names"), ("zh_TW", "last_romanized_names")],
    "Croatian": [("hr_HR", "last_names")],
    "Czech": [("cs_CZ", "last_names")],
    "Dutch": [("nl_NL", "last_names")],
    "English": [("en_GB", "last_names")],
    "Estonian": [("et_EE", "last_names_est")],
    "Finnish": [("fi_FI", "last_names")],
    "French": [("fr_FR", "last_names"), ("fr_QC", "last_names")],
    "German": [("de_DE", "last_names"), ("de_AT", "last_names")],
    "Hungarian": [("hu_HU", "last_names")],
    "Indonesian": [("id_ID", "last_names")],
    "Irish": [("ga_IE", "last_names")],
    "Italian": [("it_IT", "last_names")],
    "Latvian": [("lv_LV", "last_names")],
    "Polish": [("pl_PL", "male_last_names"), ("pl_PL", "unisex_last_names")],
    "Portuguese": [("pt_PT", "last_names"), ("pt_BR", "last_names")],
    "Slovak": [("sk_SK", "last_names")],
    "Slovenian": [("sl_SI", "last_names")],
    "Spanish": [("es_ES", "last_names"), ("es_MX", "last_names")],
    "Swedish": [("sv_SE", "last_names")],
    "Uzbek": [("uz_UZ", "last_names")],
})  # fmt: skip

TRAINING: dict[str, Any] = {"threads": 1}
"""Settings beside task, data and folder; what is not said is chosen as for anybody's table.

One thread, for names are short: a second one gains little on an idle machine and loses much on a busy one.
"""

ASKED = ("Kowalczewski", "Ó Dubhthaigh", "Mäkiniemi", "Passalacqua", "Wolkenstein", "Bengtzén")
"""Names to try when the model is trained; those that it was trained on are left out."""


def run(folder: Path, seed: int = 0, *, is_numbered: bool = False) -> None:
    """Write the table, train, show the scores and the confusions, and ask for names.

    Args:
        folder: for the run; the table goes into the folder of that name with "-data" behind it.
        seed: seed of every random choice of the training.
        is_numbered: whether a number is put behind the folder's name where another run is in it.
    """
    names, dropped = collect()
    path = data_folder(folder) / "surnames.csv"
    write_table(path, names)
    total = sum(len(group) for group in names.values())
    progress.say(f"{total:,} surnames of {len(names)} languages, from the lists that faker ships: {path}")
    progress.say(f"left out: {dropped:,} names that stand in the lists of more than one language")
    settings = {
        "task": "classify",
        "train": str(path),
        "input": "name",
        "target": "language",
        "test": 0.15,
        **TRAINING,
        "seed": seed,
        "out": str(folder),
    }
    trained = train_and_show(settings, is_numbered=is_numbered)
    show_confusions(trained)
    known = {name for group in names.values() for name in group}
    show_names(trained, [name for name in ASKED if name not in known])
    announce_command("ask it again with", f'elman predict {trained.folder} "Kowalczewski"')
    if sys.stdin.isatty() and sys.stdout.isatty():
        ask_for_names(trained, known)


def collect() -> tuple[dict[str, list[str]], int]:
    """Return the surnames of each language, each name in one language only, and how many were in several.

    Raises:
        MissingExtraError: faker is not installed.
    """
    # "De Vries" and "de Vries" are one name: the key is the same, the last spelling in the alphabet stays.
    found = {
        language: {name.casefold(): name for name in sorted(_names_of(sources))}
        for language, sources in SOURCES.items()
    }
    counts = Counter(key for group in found.values() for key in group)
    names = {}
    for language, group in found.items():
        names[language] = sorted(name for key, name in group.items() if counts[key] == 1)
    return names, sum(1 for count in counts.values() if count > 1)


def _names_of(sources: Iterable[tuple[str, str]]) -> Iterable[str]:
    try:
        import faker.providers.person  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            "this demo takes its surnames from the package faker, which is not installed; "
            "install the extra: pip install 'elman[demo]'."
        ) from None
    for locale, attribute in sources:
        provider: Any = importlib.import_module(f"faker.providers.person.{locale}").Provider
        for raw in getattr(provider, attribute):
            name = unicodedata.normalize("NFC", raw.strip())
            if is_latin(name):
                yield name.title() if name.isupper() else name


def is_latin(name: str) -> bool:
    """Say whether every letter of a name is Latin; apostrophes, hyphens and spaces may stand between them.

    Example:
        >>> is_latin("O'Brien"), is_latin("Łęcki"), is_latin("Иванов")
        (True, True, False)
    """
    return bool(name) and all(
        character in " '’-." or unicodedata.name(character, "").startswith("LATIN") for character in name
    )


def write_table(path: Path, names: dict[str, list[str]]) -> None:
    """Write name and language as a table with a header."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "language"])
        writer.writerows((name, language) for language, group in names.items() for name in group)


def show_names(trained: Run, names: list[str]) -> None:
    """Show what the model says of a few names that it has not seen."""
    print("\nnames that are not in the lists:\n")
    for prediction in trained.predict(names):
        print(terminal.one_prediction(prediction, count=3))


def ask_for_names(trained: Run, known: set[str]) -> None:
    """Ask a person for names until an empty line."""
    print("\nYour turn: type a surname; an empty line ends.")
    while True:
        try:
            name = unicodedata.normalize("NFC", input("surname: ").strip())
        except EOFError:
            print()
            return
        if not name:
            return
        print(terminal.one_prediction(trained.predict([name])[0], count=3))
        if name in known:
            print("  (this name is in the lists, so the model may have been trained on it)")
