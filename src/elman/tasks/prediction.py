"""PREDICTIONS and EVALUATIONS: what a model says, how good that is, and what a report shows of it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

IN_JSON = (
    "probabilities", "tokens", "tags", "spans", "score", "cut", "n_best", "gaps", "timestamps", "quantiles",
)  # fmt: skip
"""What `Prediction.to_json` gives beside input and prediction, where there is some."""


@dataclass(frozen=True)
class Prediction:
    """What a model says of one input.

    Args:
        input: the input as it was given.
        prediction: the label (classify), the list of tags (tag), a text (translate; fill, without gaps), the
            number (regress) or a list of one number a step (regress_steps, forecast); of several targets,
            name -> such a number or list.
        probabilities: label -> probability, summing to 1 (classify).
        tokens: the tokens that were tagged (tag), or all of them, gaps filled (fill).
        tags: one tag a token (tag).
        spans: {"start", "end", "label", "text"} of each span, end exclusive, in tokens (BIO tags).
        score: the log-probability of the whole output, in nats (translate).
        n_best: {"prediction", "score"} of the best outputs, the best first (translate, where asked for).
        cut: True where the output reached the longest length before it ended; else None (translate).
        attention: what the decoder looked at for each token that it wrote (translate); not in `to_json`.
        timestamps: when each coming value is (forecast).
        quantiles: level, such as "0.1", -> one value a step (forecast).
        history: the last values before, for a picture; not in the JSON (forecast).
        gaps: {"place", "probabilities"} of each gap: its token's number, and the likeliest tokens (fill).
    """

    input: Any
    prediction: Any
    probabilities: dict[str, float] | None = None
    tokens: list[str] | None = None
    tags: list[str] | None = None
    spans: list[dict[str, Any]] | None = None
    score: float | None = None
    n_best: list[dict[str, Any]] | None = None
    attention: "Attention | None" = None
    cut: bool | None = None
    gaps: list[dict[str, Any]] | None = None
    timestamps: list[str] | None = None
    quantiles: dict[str, list[float]] | None = None
    history: list[float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields that say something, ready for `json.dumps`."""
        raw = self.input.tolist() if isinstance(self.input, np.ndarray) else self.input
        out: dict[str, Any] = {"input": raw, "prediction": self.prediction}
        for name in IN_JSON:
            value = getattr(self, name)
            if value is not None:
                out[name] = value
        return out


@dataclass(frozen=True)
class Attention:
    """Where a decoder looked.

    Args:
        source: the tokens of the input, S.
        target: the tokens of the output, U, the stop token last.
        weights [U, S]: each row sums to 1.
    """

    source: list[str]
    target: list[str]
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class Mistake:
    """One wrong prediction, with the probability that the model gave it and where the example stands."""

    input: str
    gold: str
    predicted: str
    probability: float
    where: str


@dataclass(frozen=True)
class Measured:
    """True and predicted numbers.

    Args:
        names: of the targets, K.
        gold: of each example *[N, K]*, N being 1, or its steps; NaN where one is missing.
        predicted: alike.
        is_per_step: whether each step has numbers of its own.
    """

    names: list[str]
    gold: list[NDArray[np.float64]]
    predicted: list[NDArray[np.float64]]
    is_per_step: bool


@dataclass(frozen=True)
class Evaluation:
    """Scores of a model on labelled examples, and what a report needs to show them.

    Args:
        metrics: the metrics of `result.json`; numbers, and one table of numbers a class.
        labels: the labels, in the order of `confusion`.
        confusion: how often each label (row) was given each label (column); None where it says nothing.
        mistakes: the surest wrong predictions first.
        lengths: steps of each example.
        measured: the true and the predicted numbers, of tasks that predict numbers.
        charts: curves that only this task draws, by name, as `report.charts.curve` makes them.
        views: what the report of one task alone shows, by name, as plain data.
    """

    metrics: dict[str, Any]
    labels: list[str] = field(default_factory=list)
    confusion: NDArray[np.int64] | None = None
    mistakes: list[Mistake] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    measured: Measured | None = None
    charts: dict[str, Any] = field(default_factory=dict)
    views: dict[str, Any] = field(default_factory=dict)

    @property
    def scalars(self) -> dict[str, float]:
        """The metrics that are one number."""
        return {name: value for name, value in self.metrics.items() if isinstance(value, int | float)}
