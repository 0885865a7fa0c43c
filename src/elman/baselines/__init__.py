"""BASELINES: what a network must beat, fitted on the same training examples in seconds.

A baseline is made by `fit`, is asked by `predict`, and is kept as plain tensors (`to_tensors`,
`from_tensors`), so that its score can be taken again on other data. Its `description` says what it is,
wherever its score is shown.
"""

import json

from torch import Tensor

from elman.baselines.bag_of_words import BagOfWords
from elman.baselines.baseline import Baseline
from elman.baselines.column_markov import ColumnMarkov
from elman.baselines.counting import Majority, MostFrequentTag
from elman.baselines.forecasting import SimpleForecasts
from elman.baselines.frame_means import FrameMeans
from elman.baselines.means import Mean, TokenMeans
from elman.baselines.nearest_source import NearestSource
from elman.baselines.neighbours import NeighbourCounts
from elman.baselines.ngram import NGram
from elman.baselines.perceptron import Perceptron
from elman.baselines.ridge import RidgeBag, RidgeSeries, RidgeSteps
from elman.baselines.rivals import Rivals
from elman.errors import CheckpointError

BASELINES: dict[str, type[Baseline]] = {
    "Majority": Majority,
    "MostFrequentTag": MostFrequentTag,
    "BagOfWords": BagOfWords,
    "FrameMeans": FrameMeans,
    "NGram": NGram,
    "ColumnMarkov": ColumnMarkov,
    "NearestSource": NearestSource,
    "NeighbourCounts": NeighbourCounts,
    "Mean": Mean,
    "TokenMeans": TokenMeans,
    "RidgeSeries": RidgeSeries,
    "RidgeSteps": RidgeSteps,
    "RidgeBag": RidgeBag,
    "Perceptron": Perceptron,
    "Rivals": Rivals,
    "SimpleForecasts": SimpleForecasts,
}

__all__ = [
    "BASELINES",
    "BagOfWords",
    "Baseline",
    "ColumnMarkov",
    "FrameMeans",
    "Majority",
    "Mean",
    "MostFrequentTag",
    "NGram",
    "NearestSource",
    "NeighbourCounts",
    "Perceptron",
    "RidgeBag",
    "RidgeSeries",
    "RidgeSteps",
    "Rivals",
    "SimpleForecasts",
    "TokenMeans",
    "from_tensors",
]


def from_tensors(tensors: dict[str, Tensor]) -> Baseline:
    """Return the baseline that `to_tensors` described.

    Raises:
        CheckpointError: these are not the tensors of a baseline.

    Example:
        >>> fitted = Majority.fit(["a", "b"], ["no", "no"])
        >>> from_tensors(fitted.to_tensors()).predict(["c"])
        ['no']
    """
    try:
        info = json.loads(tensors["info"].numpy().tobytes())
        kind = BASELINES[info["baseline"]]
        if kind is Rivals:
            return Rivals.from_parts(tensors, info, BASELINES)
        return kind._from_state(tensors, info)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"the baseline is damaged or not one of ours ({type(error).__name__}: {error}); "
            "train again to make it."
        ) from error
