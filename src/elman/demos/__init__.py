"""DEMOS: whole worked examples on data that comes with an installed package.

Each one writes a data file as a user would have it, trains on it by the way that `elman train` takes, and
says which command line does the same.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Demo:
    """One worked example.

    Args:
        about: what it does, in a line.
        time: how long it takes on two cores, in words.
        module: the module whose `run(folder, seed, is_numbered)` does it.
    """

    about: str
    time: str
    module: str

    def run(self, folder: Path, seed: int = 0, *, is_numbered: bool = False) -> None:
        """Do it, with the run in `folder`, or where `is_numbered` in the first of its kind that is free."""
        importlib.import_module(self.module).run(folder, seed, is_numbered=is_numbered)


DEMOS: dict[str, Demo] = {
    "names": Demo(
        about="which language is this surname from? (characters in, one of about twenty languages out)",
        time="1-3 min",
        module="elman.demos.names",
    ),
    "cantonese": Demo(
        about="the part of speech of each word of spoken Cantonese (words in, one tag a word out)",
        time="1-3 min",
        module="elman.demos.cantonese",
    ),
    "poet": Demo(
        about="new verses after the Psalms (characters in, the next character out)",
        time="1-3 min",
        module="elman.demos.poet",
    ),
    "inflect": Demo(
        about="the form of an English word for a tag: go + VBD gives went (letters in, letters out)",
        time="2-4 min",
        module="elman.demos.inflect",
    ),
    "iris": Demo(
        about="which kind of iris is this flower? (four lengths in, one label out)",
        time="10-30 s",
        module="elman.demos.iris",
    ),
    "digits": Demo(
        about="which digit is this, read row by row? (eight steps of eight numbers in, one label out)",
        time="30-90 s",
        module="elman.demos.digits",
    ),
    "sunspots": Demo(
        about="how many sunspots will there be in the coming years? (three centuries in, eleven years out)",
        time="10-30 s",
        module="elman.demos.sunspots",
    ),
}
