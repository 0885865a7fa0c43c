"""DIGITS: which digit is this, read row by row? A series of eight steps of eight numbers in, one label out.

The 1,797 digits were written by 13 people, scanned, and brought to eight rows of eight grey values
(E. Alpaydin and C. Kaynak, 1998, CC BY 4.0); scikit-learn ships them.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from elman import progress
from elman.demos.show import announce_command, data_folder, show_confusions, train_and_show
from elman.errors import MissingExtraError
from elman.run import Run

TRAINING: dict[str, Any] = {"threads": 1}
"""Settings beside task, data and folder; what is not said is chosen as for anybody's table."""

GREYS = " .:-=+*#%@"
"""Characters from white to black."""

SHOWN = 3


def run(folder: Path, seed: int = 0, *, is_numbered: bool = False) -> None:
    """Write the digits as series, train, show the scores and the confusions, and draw a few digits.

    Args:
        folder: for the run; the data go into the folder of that name with "-data" behind it.
        seed: seed of every random choice of the training.
        is_numbered: whether a number is put behind the folder's name where another run is in it.
    """
    path = data_folder(folder) / "digits.jsonl"
    rows = collect()
    write_series(path, rows)
    progress.say(f"{len(rows):,} handwritten digits, eight rows of eight numbers each: {path}")
    settings = {
        "task": "classify",
        "train": str(path),
        "input": "rows",
        "target": "digit",
        "test": 0.2,
        **TRAINING,
        "seed": seed,
        "out": str(folder),
    }
    trained = train_and_show(settings, is_numbered=is_numbered)
    show_confusions(trained)
    show_digits(trained)
    announce_command("label a file with", f"elman predict {trained.folder} --data {path}")


def collect() -> list[dict[str, Any]]:
    """Return the rows of each digit, grey values from 0 to 16, and which it is.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtraError(
            "this demo takes its digits from the package scikit-learn, which is not installed; "
            "install the extra: pip install 'elman[demo]'."
        ) from None
    digits = load_digits()
    return [
        {"rows": image, "digit": str(label)}
        for image, label in zip(digits.images.tolist(), digits.target.tolist(), strict=True)
    ]


def write_series(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one JSON object a digit."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def draw(image: Any) -> str:
    """Return a digit as eight lines of characters.

    Example:
        >>> print(draw([[0, 8], [16, 4]]))
          ==
        @@::
    """
    levels = np.clip(np.asarray(image) / 16 * (len(GREYS) - 1), 0, len(GREYS) - 1).astype(int)
    return "\n".join("".join(GREYS[level] * 2 for level in row) for row in levels.tolist())


def show_digits(trained: Run) -> None:
    """Draw a few held-out digits beside what the model says of them."""
    examples = list(trained.held_out[:SHOWN])
    for example, said in zip(examples, trained.predict_examples(examples), strict=True):
        share = (said.probabilities or {}).get(said.prediction, 0.0)
        print(
            f"\n{draw(example.input)}\n  a {example.target}; the model says {said.prediction} ({share:.0%})"
        )
