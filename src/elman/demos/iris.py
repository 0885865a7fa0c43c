"""IRIS: which of three kinds of iris is this flower? Four lengths in, one label out: one-to-one.

The 150 flowers were measured by Edgar Anderson and made famous by R. A. Fisher (1936); scikit-learn ships
them. A row is a sequence of length one. With three kinds and four numbers a linear model does about as well;
the demo shows both.
"""

import csv
from pathlib import Path
from typing import Any

from elman import progress, terminal
from elman.demos.show import announce_command, data_folder, show_confusions, train_and_show
from elman.errors import MissingExtraError
from elman.run import Run

COLUMNS = ("sepal_length", "sepal_width", "petal_length", "petal_width")

TRAINING: dict[str, Any] = {"threads": 1}
"""Settings beside task, data and folder; what is not said is chosen as for anybody's table."""

ASKED = ([5.0, 3.4, 1.5, 0.2], [6.0, 2.7, 4.5, 1.4], [6.1, 2.8, 4.9, 1.7], [7.4, 3.0, 6.2, 2.1])
"""Made-up flowers to try when the model is trained: two clear ones, one between two kinds, a large one."""


def run(folder: Path, seed: int = 0, *, is_numbered: bool = False) -> None:
    """Write the table, train, show the scores beside the baselines', and try a few flowers.

    Args:
        folder: for the run; the table goes into the folder of that name with "-data" behind it.
        seed: seed of every random choice of the training.
        is_numbered: whether a number is put behind the folder's name where another run is in it.
    """
    path = data_folder(folder) / "iris.csv"
    write_table(path, collect())
    progress.say(f"150 flowers of three kinds, as scikit-learn ships them: {path}")
    settings = {
        "task": "classify",
        "train": str(path),
        "input": ",".join(COLUMNS),
        "target": "species",
        "test": 0.3,
        **TRAINING,
        "seed": seed,
        "out": str(folder),
    }
    trained = train_and_show(settings, is_numbered=is_numbered)
    show_confusions(trained)
    show_flowers(trained)
    announce_command("ask it again with", f'elman predict {trained.folder} "[6.1, 2.8, 4.9, 1.7]"')


def collect() -> list[list[Any]]:
    """Return four lengths in centimetres and the name of each flower.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_iris
    except ImportError:
        raise MissingExtraError(
            "this demo takes its flowers from the package scikit-learn, which is not installed; "
            "install the extra: pip install 'elman[demo]'."
        ) from None
    flowers = load_iris()
    names = [str(name) for name in flowers.target_names]
    return [
        [*lengths, names[kind]]
        for lengths, kind in zip(flowers.data.tolist(), flowers.target.tolist(), strict=True)
    ]


def write_table(path: Path, rows: list[list[Any]]) -> None:
    """Write the flowers as a table with a header."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "species"])
        writer.writerows(rows)


def show_flowers(trained: Run) -> None:
    """Show what the model says of a few flowers that nobody measured."""
    print(f"\nmade-up flowers ({', '.join(COLUMNS)}, in cm):\n")
    for prediction in trained.predict([list(flower) for flower in ASKED]):
        print(terminal.one_prediction(prediction, count=3))
