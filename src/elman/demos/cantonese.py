"""CANTONESE: the part of speech of each word of spoken Hong Kong Cantonese. Words in, one tag a word out.

The recordings (58 conversations and radio programmes) are the Hong Kong Cantonese Corpus, CC BY, as the
package `pycantonese` below version 4 ships it; its files are read here directly, in CHAT format.

Source: K. K. Luke and May L. Y. Wong, "The Hong Kong Cantonese Corpus: Design and Uses", Journal of Chinese
Linguistics, 2015.
"""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from elman import progress
from elman.demos.show import announce_command, data_folder, show_confusions, train_and_show
from elman.errors import DataError, MissingExtraError

PUNCTUATION = "PUNCT"
"""Tag of what the corpus gives no tag: full stops, commas, question marks."""

TRAINING: dict[str, Any] = {"epochs": 5}
"""Settings beside task, data and folder; what is not said is chosen as for anybody's sentences."""

Sentence = list[tuple[str, str]]


def run(folder: Path, seed: int = 0, *, is_numbered: bool = False) -> None:
    """Write the three parts, train, and show the scores and the confusions.

    Args:
        folder: for the run; the parts go into the folder of that name with "-data" behind it.
        seed: seed of every random choice of the training.
        is_numbered: whether a number is put behind the folder's name where another run is in it.
    """
    recordings = sorted(corpus_folder().glob("*.cha"))
    if not recordings:
        raise DataError(
            f"{corpus_folder()}: holds no recording (.cha); install pycantonese anew, below version 4."
        )
    data = data_folder(folder)
    paths = {}
    for part, files in split(recordings).items():
        sentences = [sentence for file in files for sentence in read_chat(file)]
        paths[part] = data / f"{part}.conll"
        write_conll(paths[part], sentences)
        words = sum(len(sentence) for sentence in sentences)
        progress.say(f"{part}: {len(files)} recordings, {len(sentences):,} utterances, {words:,} words")
    settings: dict[str, Any] = {"task": "tag"} | {part: str(path) for part, path in paths.items()}
    settings |= TRAINING | {"seed": seed, "out": str(folder)}
    trained = train_and_show(settings, is_numbered=is_numbered)
    show_confusions(trained)
    announce_command("ask it again with", f'elman predict {trained.folder} "我 聽日 去 旅行 啊"')


def corpus_folder() -> Path:
    """Return where the recordings are, without importing the package (it needs modules that Python has lost).

    Raises:
        MissingExtraError: the package is not installed, or a version without the corpus is.
    """
    spec = find_spec("pycantonese")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "data" / "hkcancor"
        if folder.is_dir():
            return folder
    raise MissingExtraError(
        "this demo reads the corpus in the package pycantonese below version 4, which is not installed; "
        "install the extra: pip install 'elman[demo]'."
    )


def split(recordings: Sequence[Path]) -> dict[str, list[Path]]:
    """Return recordings for training, validation and test; no conversation is in two of them.

    Example:
        >>> {part: len(files) for part, files in split([Path(str(n)) for n in range(58)]).items()}
        {'train': 47, 'valid': 6, 'test': 5}
    """
    parts: dict[str, list[Path]] = {"train": [], "valid": [], "test": []}
    for number, path in enumerate(recordings):
        parts["valid" if number % 10 == 4 else "test" if number % 10 == 9 else "train"].append(path)
    return parts


def read_chat(path: Path) -> Iterator[Sentence]:
    """Yield the utterances of a recording as (word, tag) pairs.

    An utterance is a line "*WHO:" with its words, followed by a line "%mor:" with "tag|sound" for each; a
    line that begins with a tab goes on with the one before.

    Raises:
        DataError: words and tags are not equally many.
    """
    words: list[str] = []
    for number, line in enumerate(_whole_lines(path), 1):
        mark, _, rest = line.partition("\t")
        if mark.startswith("*"):
            words = rest.split()
        elif mark == "%mor:":
            tags = [tag.partition("|")[0] if "|" in tag else PUNCTUATION for tag in rest.split()]
            if len(words) != len(tags):
                raise DataError(f"{path}: utterance {number} has {len(words)} words and {len(tags)} tags.")
            if words:
                yield list(zip(words, tags, strict=True))


def _whole_lines(path: Path) -> list[str]:
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("\t") and lines:
            lines[-1] += " " + line.strip()
        else:
            lines.append(line)
    return lines


def write_conll(path: Path, sentences: Sequence[Sentence]) -> None:
    """Write a word and its tag a line, and an empty line after each utterance."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for sentence in sentences:
            file.writelines(f"{word}\t{tag}\n" for word, tag in sentence)
            file.write("\n")
