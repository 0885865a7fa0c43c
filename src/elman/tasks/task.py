"""TASK: what `--task` names. A task introduces the data to the network.

It chooses what the user left open (`recipe`), makes the vocabularies, builds the pattern from their
sizes, turns examples into ids and scores back into predictions, and names the metrics and the baseline.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch

from elman.baselines import Baseline
from elman.config import Settings, unknown_name
from elman.data.batches import Batch, Batches, Encoded, StreamBatches
from elman.data.example import Example
from elman.data.vectors import Vectors, read_vectors
from elman.data.vocab import Vocab
from elman.errors import ConfigError, DataError
from elman.nn.dropout import Regularisation
from elman.nn.embedding import (
    INITIAL_STD,
    CharacterSummary,
    InputLayer,
    NumberInput,
    TokenEmbedding,
    WordEmbedding,
)
from elman.nn.encoder import Encoder
from elman.patterns.pattern import Pattern
from elman.tasks.inputs import Inputs, SeriesInputs, SpellingTable, TokenInputs, inputs_from_json
from elman.tasks.prediction import Evaluation, Prediction

TaskType = TypeVar("TaskType", bound="Task")

MAX_EPOCHS, WANTED_STEPS = 40, 3000
"""Too few updates cost a small set more than too many cost a large one."""

MOST_EPOCHS = 200
"""Passes over a set that is so small that `fewest_steps` asks for more than `MAX_EPOCHS`."""

WARMUP_STEPS = 50
"""Steps over which the rate rises, or a tenth of all steps where those are few."""

SPELLING_SIZE, CHARACTER_SIZE = 100, 32
"""Numbers that sum up a word's spelling, and numbers in a character's vector."""


INFERENCE_BATCH, INFERENCE_STEPS = 128, 128 * 256
"""Sequences, and steps with their padding, that a batch has at most when nothing is learned.

A step of two layers and directions of 128 units takes some ten kilobytes, a batch a few hundred megabytes. A
single longer sequence is a batch by itself.
"""


class Task(ABC):
    """One row of the table of tasks.

    Args:
        chosen: the settings with every choice made.
        inputs: how an input becomes ids or numbers.
        labels: the labels or tags.
    """

    name: ClassVar[str]
    min_epochs: ClassVar[int] = 8
    """Passes over a set however large; more where each step of a sequence is an example."""
    metric: str
    """The validation metric that picks the best weights."""
    metric_names: tuple[str, ...]
    """The metrics that `evaluate` gives as one number."""

    def __init__(self, chosen: Settings, inputs: Inputs, labels: Vocab) -> None:
        self.chosen = chosen
        self.inputs = inputs
        self.labels = labels
        self.label_ids = {label: index for index, label in enumerate(labels.tokens)}
        self.fewest_steps = 0
        """Updates that training makes even where `MAX_EPOCHS` passes hold fewer; set by `prepare`."""
        self.kept_by: str | None = None
        """The metric that picks the best weights where that is not `metric`; set by `remember_validation`."""
        self.notes: list[str] = []
        """What the user should know of the data, in lines to be printed."""
        self.vectors: Vectors | None = None
        """Pre-trained vectors to start from; not kept after training, for the weights then hold them."""

    @classmethod
    @abstractmethod
    def prepare(cls, settings: Settings, train: Sequence[Example], kind: str) -> "Task":
        """Choose what `settings` leaves open and make the vocabularies, from training examples alone."""

    @abstractmethod
    def build(self) -> Pattern:
        """Return a network of the right sizes."""

    @classmethod
    def from_json(cls, chosen: Settings, values: dict[str, Any]) -> "Task":
        """Return the task of a run, from its settings as chosen and what `to_json` gave."""
        return cls(chosen, inputs_from_json(values["inputs"]), Vocab.from_json(values["labels"]))

    @abstractmethod
    def batches(self, examples: Sequence[Example]) -> Batches | StreamBatches:
        """Return the examples as ids or numbers, to be taken in batches."""

    @abstractmethod
    def predict(self, pattern: Any, examples: Sequence[Example]) -> list[Prediction]:
        """Return a prediction for each example, in the same order."""

    @abstractmethod
    def evaluate(self, pattern: Any, examples: Sequence[Example]) -> Evaluation:
        """Score the network on labelled examples."""

    def validate(self, pattern: Any, examples: Sequence[Example]) -> dict[str, float]:
        """Return the metrics that are taken after each epoch: those of `evaluate`, or cheaper ones."""
        return self.evaluate(pattern, examples).scalars

    @abstractmethod
    def fit_baseline(self, train: Sequence[Example]) -> Baseline:
        """Fit the simple method that the network must beat."""

    def choose_baseline(self, train: Sequence[Example], valid: Sequence[Example]) -> Baseline:
        """Fit that method, with what it leaves open chosen on the validation part where it can be."""
        return self.fit_baseline(train)

    @abstractmethod
    def evaluate_baseline(self, baseline: Baseline, examples: Sequence[Example]) -> dict[str, Any]:
        """Return the baseline's scores on labelled examples, under the same names as the network's.

        Those of further baselines stand under "others", by name.
        """

    @property
    def is_stream(self) -> bool:
        """Whether the training data are one running sequence, through which the state is carried."""
        return False

    def samples(self, pattern: Any) -> list[tuple[str, str]]:
        """Return what the network makes by itself, (how, what), for the report; nothing for most tasks."""
        return []

    def remember_validation(self, valid: Sequence[Example]) -> None:  # noqa: B027
        """Note what a run must know of its validation part later; nothing for most tasks."""

    def ask(self, examples: Sequence[Example]) -> list[Example]:
        """Return held-out examples as a person would put them, with what is right as their target."""
        return list(examples)

    def build_fresh(self) -> Pattern:
        """Return a network with initial weights: drawn, and pre-trained vectors where they were given."""
        pattern = self.build()
        if self.vectors is not None:
            weight = pattern.token_vectors()
            found = torch.from_numpy(self.vectors.found)
            with torch.no_grad():
                weight *= self.vectors.matrix[self.vectors.found].std() or 1.0
                weight[found] = torch.from_numpy(self.vectors.matrix)[found]
        return pattern

    def input_layer(self) -> InputLayer:
        """Return the layer that turns ids, spellings or numbers into the steps that the encoder reads."""
        inputs, chosen = self.inputs, self.chosen
        if isinstance(inputs, SeriesInputs):
            return NumberInput(inputs.num_features)
        tokens = TokenEmbedding(
            len(inputs.vocab),
            None if chosen.embedding == "one-hot" else chosen.embedding_size,
            kind=chosen.embedding,
            counts=torch.tensor(inputs.vocab.counts),
            unknown_rate=chosen.unknown_rate or 0.0,
            std=self.vector_std(),
        )
        pairs = None
        if inputs.pairs is not None:
            pairs = TokenEmbedding(
                len(inputs.pairs),
                tokens.output_size,
                kind="sparse" if chosen.embedding == "sparse" else "trainable",
            )
        if inputs.characters is None:
            return WordEmbedding(tokens, pairs=pairs)
        spelling = CharacterSummary(
            len(inputs.characters),
            SPELLING_SIZE,
            kind=str(chosen.characters),
            embedding_size=CHARACTER_SIZE,
            cell=chosen.cell,
        )
        return WordEmbedding(tokens, spelling, pairs)

    def vector_std(self) -> float:
        """Return the deviation of fresh token vectors."""
        return INITIAL_STD

    def encoder(self, input_size: int) -> Encoder:
        """Return the recurrent layers."""
        chosen = self.chosen
        return Encoder(
            input_size,
            chosen.hidden_size or 1,
            cell=chosen.cell,
            num_layers=chosen.num_layers or 1,
            bidirectional=bool(chosen.bidirectional),
            dropout=chosen.dropout or 0.0,
            initial_state=chosen.initial_state,
            nonlinearity=chosen.nonlinearity,
            init=str(chosen.init),
            memory_steps=chosen.memory_steps,
            forget_bias=chosen.forget_bias,
            regularisation=self.regularisation(),
        )

    def regularisation(self) -> Regularisation:
        """Return what the recurrent layers do against learning by heart, besides plain dropout."""
        chosen = self.chosen
        return Regularisation(
            dropout_kind=chosen.dropout_kind,
            recurrent_dropout=chosen.recurrent_dropout,
            weight_drop=chosen.weight_drop or 0.0,
            zoneout=chosen.zoneout,
            layer_norm=chosen.layer_norm,
        )

    def choose_lengths(self, num_batches: int) -> None:
        """Fill in how long training and its warm-up last.

        A small set gets enough updates, and a large one no more than it needs.
        """
        epochs, warmup = self.chosen.epochs, self.chosen.warmup
        if epochs is None:
            epochs = min(MAX_EPOCHS, max(self.min_epochs, -(-WANTED_STEPS // num_batches)))
            epochs = max(epochs, min(MOST_EPOCHS, -(-self.fewest_steps // num_batches)))
        if warmup is None:
            warmup = min(WARMUP_STEPS, epochs * num_batches // 10)
        self.chosen = self.chosen.model_copy(update={"epochs": epochs, "warmup": warmup})

    def choices(self, settings: Settings) -> list[str]:
        """Return what was chosen for the user, in lines to be printed."""
        skip = ("threads", "resume", "out")
        chosen = self.chosen.model_dump(exclude_none=True, exclude=set(skip))
        mine = {name: value for name, value in chosen.items() if getattr(settings, name) is None}
        lines = (
            [f"chosen: {', '.join(f'{name} {_short(value)}' for name, value in mine.items())}"]
            if mine
            else []
        )
        if self.vectors is not None:
            lines.append(
                f"vectors: {int(self.vectors.found.sum()):,} of {len(self.vectors.found):,} tokens have one"
            )
        return [*lines, *self.notes, ", ".join(f"{name} {value:,}" for name, value in self.sizes().items())]

    def labels_with(self, gold: Iterable[str]) -> list[str]:
        """Return the labels, and after them those in `gold` that training never saw."""
        return list(self.labels.tokens) + sorted(set(gold) - set(self.labels.tokens))

    def sizes(self) -> dict[str, int]:
        """Return the number of labels, tokens and characters, or of columns."""
        sizes = {"labels": len(self.labels)}
        if isinstance(self.inputs, SeriesInputs):
            return sizes | {"columns": self.inputs.num_columns}
        sizes["vocabulary"] = len(self.inputs.vocab)
        if self.inputs.characters:
            sizes["characters"] = len(self.inputs.characters)
        if self.inputs.pairs:
            sizes["pairs"] = len(self.inputs.pairs)
        return sizes

    def to_json(self) -> dict[str, Any]:
        """Return what `vocab.json` holds."""
        return {"labels": self.labels.to_json(), "inputs": self.inputs.to_json()}

    def batched(self, encoded: Sequence[Encoded], spellings: SpellingTable | None) -> Batches:
        """Return encoded examples as batches of the chosen size, in an order that the seed decides."""
        return Batches(encoded, self.chosen.batch_size or 1, seed=self.chosen.seed, spelling_table=spellings)

    def neighbours(self, pattern: Pattern, word: str, count: int) -> list[tuple[str, float]]:
        """Return the tokens nearest to a word by the cosine of their vectors, nearest first."""
        if not isinstance(self.inputs, TokenInputs) or self.chosen.embedding == "one-hot":
            raise ConfigError("neighbours: this model has no trained token vectors.")
        vocab = self.inputs.vocab
        form = word.lower() if self.inputs.lowercase else word
        if form not in vocab or form in vocab.specials:
            raise DataError(
                f"{unknown_name('token', form, vocab.tokens)} Only tokens of the training data have a vector."
            )
        vectors = pattern.token_vectors().detach().double()
        vectors = vectors / vectors.norm(dim=1, keepdim=True).clamp_min(1e-12)
        cosines = vectors @ vectors[vocab.id(form)]
        cosines[[vocab.id(form), *range(len(vocab.specials))]] = -2.0
        values, ids = cosines.topk(min(count, len(vocab) - len(vocab.specials) - 1))
        return [
            (vocab.tokens[index], value) for index, value in zip(ids.tolist(), values.tolist(), strict=True)
        ]


def choose(settings: Settings, recipe: dict[str, Any]) -> Settings:
    """Return the settings with everything that is open filled in from a recipe."""
    if settings.init == "chrono":  # which draws the forget gates' biases itself
        recipe = {name: value for name, value in recipe.items() if name != "forget_bias"}
    open_ = {name: value for name, value in recipe.items() if getattr(settings, name) is None}
    return settings.model_copy(update=open_)


def with_vectors(task: TaskType) -> TaskType:
    """Read the pre-trained vectors that the settings name, and take their width as the embedding size."""
    chosen = task.chosen
    if chosen.embedding == "frozen" and chosen.vectors is None:
        raise ConfigError(
            "embedding = 'frozen' keeps pre-trained vectors as they are; name their file with vectors."
        )
    if chosen.vectors is not None:
        assert isinstance(task.inputs, TokenInputs)
        task.vectors = read_vectors(chosen.vectors, task.inputs.vocab.tokens)
        task.chosen = chosen.model_copy(update={"embedding_size": task.vectors.matrix.shape[1]})
    return task


def inference_batches(batches: Batches, pattern: Pattern) -> Iterator[Batch]:
    """Yield all examples in batches of similar length, on the pattern's device.

    `batch.rows` says which examples they are. The grouping is for speed alone: a row's scores do not
    depend on its batch-mates.
    """
    device = next(pattern.parameters()).device
    for rows in inference_order([row.length for row in batches.encoded]):
        yield batches.batch(rows).to(device)


def inference_order(lengths: Sequence[int]) -> list[list[int]]:
    """Return the rows of each batch: in order of length, bounded in rows and in steps.

    Example:
        >>> [len(rows) for rows in inference_order([4] * 130 + [20_000, 10_000, 10_000, 50_000])]
        [128, 3, 1, 1, 1]
    """
    order: list[list[int]] = []
    for row in np.argsort(np.asarray(lengths, np.int64), kind="stable").tolist():
        # Sorted by length: this row is the batch's longest, and all would be padded to it.
        grown = len(order[-1]) + 1 if order else INFERENCE_BATCH + 1
        if grown <= INFERENCE_BATCH and grown * lengths[row] <= INFERENCE_STEPS:
            order[-1].append(row)
        else:
            order.append([row])
    return order


def describe_input(example: Example) -> str:
    """Return an input as one line of text, for a table of mistakes."""
    if isinstance(example.input, str):
        return example.input
    if isinstance(example.input, np.ndarray):
        return f"series of {len(example.input)} steps"
    return " ".join(example.input)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
