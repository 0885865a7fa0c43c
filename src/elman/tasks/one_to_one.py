"""ONE TO ONE: vectors, that is sequences of length one: what is chosen for them, and how they are shown.

A recurrent layer reads a vector as its first and only step, from an initial state of zeros: a layer of gated
units. So the tasks that read sequences read tables of plain numbers too, and every pattern is whole.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from elman.data.example import Example
from elman.tasks.inputs import Inputs, SeriesInputs

VECTOR_RECIPE: dict[str, Any] = {"bidirectional": False, "pooling": "last", "dropout": 0.0}
"""One step has one direction, and no steps to pool."""


FEWEST_STEPS = 1000
"""Updates by which labels of vectors are learned: 40 passes over a hundred vectors are 280, far too few.

Numbers of vectors are learned sooner: on inner folds of diabetes's training parts more passes gained nothing.
"""

FEW_VALIDATED = 100
"""With fewer validation vectors than this, one of them moves the accuracy by more than a point.

A network that has hardly learned may have all of a dozen right by luck, and would be kept; its loss is still
high, so the loss picks the weights there.
"""


def are_vectors(examples: Sequence[Example]) -> bool:
    """Say whether every input is one step of numbers."""
    return all(isinstance(example.input, np.ndarray) and len(example.input) == 1 for example in examples)


def given_input(example: Example, inputs: Inputs) -> Any:
    """Return an input as a prediction shows it: as it was given, the names of a vector among its numbers."""
    if not isinstance(inputs, SeriesInputs) or not example.categories:
        return example.input
    cells = example.input[0].tolist() if len(example.input) == 1 else [example.input.tolist()]
    for place, name in sorted(zip(inputs.category_columns, example.categories, strict=True)):
        cells.insert(place, name)
    return cells


def note_categories(inputs: Inputs) -> list[str]:
    """Return lines that say which columns are read as names, and which lack values."""
    if not isinstance(inputs, SeriesInputs):
        return []
    lines = [
        f"input column {place + 1} holds names ({len(names)}): one number for each"
        for place, names in zip(inputs.category_columns, inputs.categories, strict=True)
    ]
    if inputs.gaps:
        lines.append(
            f"missing values in {len(inputs.gaps)} of {inputs.num_columns} columns: read as marked gaps"
        )
    return lines
