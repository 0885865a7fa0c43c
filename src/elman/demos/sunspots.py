"""SUNSPOTS: how many there will be in the coming eleven years. Three centuries of yearly counts in.

The counts (1700 to 2008, public domain) are those that the package `statsmodels` ships; its file is read here
directly, without importing the package. The sun's cycle lasts about eleven years, but neither its length nor
its height stays the same: that is what makes it hard for a method that repeats the last cycle.

Source: National Geophysical Data Center, "Solar data services: sunspot numbers".
"""

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from elman import progress, terminal
from elman.demos.show import announce_command, data_folder, train_and_show
from elman.errors import MissingExtraError

TRAINING: dict[str, Any] = {"season": 11, "horizon": 11, "test": 0.2, "valid": 0.15, "threads": 1}
"""Settings beside task, data and folder; what is not said is chosen as for anybody's series."""


def run(folder: Path, seed: int = 0, *, is_numbered: bool = False) -> None:
    """Copy the counts, train, and show the scores and the years to come.

    Args:
        folder: for the run; the counts go into the folder of that name with "-data" behind it.
        seed: seed of every random choice of the training.
        is_numbered: whether a number is put behind the folder's name where another run is in it.
    """
    path = data_folder(folder) / "sunspots.csv"
    shutil.copyfile(counts_file(), path)
    progress.say(f"sunspots of each year from 1700 to 2008: {path}")
    settings = {"task": "forecast", "train": str(path)} | TRAINING | {"seed": seed, "out": str(folder)}
    trained = train_and_show(settings, is_numbered=is_numbered)
    print("\nthe years after the last count:\n")
    print("\n".join(terminal.one_prediction(said) for said in trained.predict_file(path)))
    announce_command("ask it again with", f"elman predict {trained.folder} --data {path}")


def counts_file() -> Path:
    """Return where the counts are.

    Raises:
        MissingExtraError: the package is not installed, or without its data.
    """
    spec = find_spec("statsmodels")
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / "datasets" / "sunspots" / "sunspots.csv"
        if path.is_file():
            return path
    raise MissingExtraError(
        "this demo reads the yearly sunspots in the package statsmodels, which is not installed; install the "
        "extra: pip install 'elman[demo]'."
    )
