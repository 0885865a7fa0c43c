"""GENERATE: one-to-many. What comes next in a running text, in texts of their own, or in frames of 0 and 1.

Token 0 (`<pad>`, a zero vector) is the boundary of a sequence: a text of its own is read as 0, w1 ... wn and
predicts w1 ... wn, 0, so that the model knows where texts begin and end. A running text has no boundaries:
every token but the first is predicted, and the state is carried from the first to the last.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.baselines import Baseline, ColumnMarkov, NGram
from elman.config import Settings
from elman.data.batches import Batches, Encoded, StreamBatches
from elman.data.example import Example
from elman.data.series import Standardiser
from elman.data.streams import Lanes
from elman.data.vocab import Vocab
from elman.errors import ConfigError, DataError
from elman.nn.condition import ConditionedStart
from elman.nn.embedding import vector_std
from elman.patterns.generate import LanguageModel
from elman.search.sampling import Sampling
from elman.tasks.generate_recipe import (
    choose_generate,
    epochs_for,
    refuse_settings_of_other_tasks,
)
from elman.tasks.inputs import Inputs, SeriesInputs, TokenInputs, inputs_from_json, make_token_inputs
from elman.tasks.prediction import Evaluation, Prediction
from elman.tasks.stream_scores import nearly_stream_nats, stream_nats
from elman.tasks.task import Task, inference_batches, with_vectors
from elman.tasks.writing import Writing, write

BOUNDARY = 0
"""The token that begins and ends a text of its own."""

NGRAM_ORDERS = {"characters": 5, "words": 3}
"""Tokens that the baseline counts together; other tokens: as words."""

TOKEN_METRICS = ("nats_per_token", "bits_per_token", "perplexity")

SAMPLE_TEMPERATURES = (0.5, 0.8, 1.0)
SAMPLE_LENGTH = 400


class Generate(Task):
    """Say what comes next: a language model of characters or words, or a model of frames (music)."""

    name = "generate"

    def __init__(
        self,
        chosen: Settings,
        inputs: Inputs,
        labels: Vocab,
        condition_size: int = 0,
        are_given: bool = False,
    ) -> None:
        super().__init__(chosen, inputs, labels)
        self.condition_size = condition_size
        self.are_given = are_given
        self.is_text = isinstance(inputs, TokenInputs)
        self.metric = "nats_per_token" if self.is_text else "nll_per_step"
        self.metric_names = ("loss", *(TOKEN_METRICS if self.is_text else (self.metric,)))

    @classmethod
    def prepare(cls, settings: Settings, train: Sequence[Example], kind: str) -> "Generate":
        """Choose what is open, and make the vocabulary of tokens, and of classes where there are some."""
        refuse_settings_of_other_tasks(settings, kind)
        are_given = not isinstance(train[0].input, str)
        chosen = choose_generate(settings, train, kind)
        labels, condition_size = _conditions_of(train, bool(settings.condition))
        if kind == "series":
            for example in train:
                _check_frames(example)
            width = train[0].input.shape[1]
            # Zeros and ones stay as they are.
            inputs: Inputs = SeriesInputs(Standardiser(np.zeros(width), np.ones(width)))
            return cls(chosen, inputs, labels, condition_size)
        keeps_spaces = chosen.tokens == "words" and not are_given
        cut = "spaced words" if keeps_spaces else chosen.tokens
        inputs = make_token_inputs(chosen.model_copy(update={"tokens": cut}), train)
        if len(inputs.vocab) < 4:
            only = repr(inputs.vocab.tokens[2]) if len(inputs.vocab) > 2 else "nothing"
            raise DataError(
                f"{train[0].where}: the training text holds no token but {only}; "
                "a model of what comes next needs at least two different ones."
            )
        task = with_vectors(cls(chosen, inputs, labels, condition_size, are_given))
        if task.is_stream:
            lanes = task.lanes(len(inputs.tokens_of(train[0])))
            task.notes.append(
                f"running text: {lanes.num_tokens:,} tokens in {lanes.num_lanes} lanes of {lanes.steps:,} "
                f"steps, read in windows of {min(lanes.window, lanes.steps)}"
            )
        return task

    @classmethod
    def from_json(cls, chosen: Settings, values: dict[str, Any]) -> "Generate":
        """Return the task of a run, from its settings as chosen and what `to_json` gave."""
        inputs, labels = inputs_from_json(values["inputs"]), Vocab.from_json(values["labels"])
        return cls(chosen, inputs, labels, values["condition_size"], values["are_given"])

    def to_json(self) -> dict[str, Any]:
        """Return what `vocab.json` holds."""
        return super().to_json() | {"condition_size": self.condition_size, "are_given": self.are_given}

    @property
    def is_stream(self) -> bool:
        """Whether the training data are one running text."""
        return self.chosen.kind == "stream"

    def vector_std(self) -> float:
        """Return the deviation of fresh vectors; those that also write tokens start small."""
        if isinstance(self.inputs, TokenInputs) and not self.chosen.tied:
            return vector_std(len(self.inputs.vocab))
        return super().vector_std()

    def sizes(self) -> dict[str, int]:
        """Return the number of tokens or columns, and of classes where there are some."""
        return {name: size for name, size in super().sizes().items() if name != "labels" or size}

    def choose_lengths(self, num_batches: int) -> None:
        """Fill in how long training and its warm-up last."""
        if self.chosen.epochs is None:
            epochs = epochs_for(num_batches, str(self.chosen.kind))
            self.chosen = self.chosen.model_copy(update={"epochs": epochs})
        super().choose_lengths(num_batches)

    def lanes(self, num_tokens: int) -> Lanes:
        """Return how a running text is cut for training."""
        chosen = self.chosen
        return Lanes(num_tokens, chosen.batch_size or 1, chosen.bptt_window or num_tokens, chosen.seed)

    def batches(self, examples: Sequence[Example]) -> Batches | StreamBatches:
        """Return a running text as lanes; else each example with what follows each of its steps."""
        if self.is_stream:
            ids = self._ids(examples[0])
            return StreamBatches(ids, self.lanes(len(ids)))
        return self._rows(examples)

    def build(self) -> LanguageModel:
        """Return a network of the right sizes."""
        inputs = self.input_layer()
        encoder = self.encoder(inputs.output_size)
        start = None
        if self.condition_size:
            start = ConditionedStart(encoder, size=self.condition_size)
        elif len(self.labels):
            start = ConditionedStart(encoder, num_classes=len(self.labels))
        return LanguageModel(
            inputs,
            encoder,
            num_outputs=self.sizes()["vocabulary" if self.is_text else "columns"],
            dropout=self.chosen.dropout or 0.0,
            input_dropout=self.chosen.input_dropout,
            tied=bool(self.chosen.tied),
            start=start,
        )

    def predict(self, pattern: LanguageModel, examples: Sequence[Example]) -> list[Prediction]:
        """Refuse: this model writes, and gives no label."""
        raise ConfigError(
            "this run generates, and has no label to predict; let it write with: elman generate RUN --prompt "
            "TEXT (from Python: run.generate(prompt))."
        )

    def remember_validation(self, valid: Sequence[Example]) -> None:
        """Refuse, before training, a validation part that nothing can be scored on."""
        if valid and not self.is_text:
            _check_scored(valid)

    def write(self, pattern: LanguageModel, prompts: Sequence[str], how: Writing) -> list[str]:
        """Return what the network writes after each prompt; of frames, see `Writing`."""
        return ["".join(pieces) for pieces in zip(*write(self, pattern, prompts, how), strict=True)]

    def text_of(self, tokens: Sequence[str]) -> str:
        """Return tokens as text: the one place that knows how this model's tokens are joined."""
        assert isinstance(self.inputs, TokenInputs)  # frames are no text
        return " ".join(tokens) if self.are_given else self.inputs.join(tokens)

    def samples(self, pattern: LanguageModel) -> list[tuple[str, str]]:
        """Return what the network writes from nothing at several temperatures; nothing for frames."""
        if not self.is_text or self.condition_size:
            return []
        condition = self.labels.tokens[0] if len(self.labels) else None
        out = []
        for temperature in SAMPLE_TEMPERATURES:
            how = Writing(SAMPLE_LENGTH, Sampling(temperature), self.chosen.seed, condition=condition)
            out.append((f"temperature {temperature:g}", self.write(pattern, [""], how)[0]))
        return out

    def evaluate(self, pattern: LanguageModel, examples: Sequence[Example]) -> Evaluation:
        """Score the network by the probability that it gives to what really comes next."""
        if self.is_stream:
            nats = np.concatenate([stream_nats(pattern, self._stream_ids(each)) for each in examples])
            return Evaluation(self._scores_of(nats, examples))
        batches = self._rows(examples)
        parts, is_first = [np.zeros(0)], [np.zeros(0, np.bool_)]
        for batch in inference_batches(batches, pattern):
            parts.append(pattern.nats(batch)[0].cpu().numpy())
            is_first += [np.arange(length) == 0 for length in batch.lengths.tolist()]
        nats, first = np.concatenate(parts), np.concatenate(is_first)
        lengths = [row.length for row in batches.encoded]
        if self.is_text:
            return Evaluation(self._scores_of(nats, examples), lengths=lengths)
        _check_scored(examples)
        scored = nats[~first]
        scores = {"loss": _mean(nats), "nll_per_step": _mean(scored)}
        return Evaluation(scores, lengths=lengths)

    def validate(self, pattern: LanguageModel, examples: Sequence[Example]) -> dict[str, float]:
        """Return the scores that choose the best weights; of a running text, nearly so."""
        if not self.is_stream:
            return self.evaluate(pattern, examples).scalars
        parts = [nearly_stream_nats(pattern, self._stream_ids(each)) for each in examples]
        return token_scores(np.concatenate(parts))

    def fit_baseline(self, train: Sequence[Example]) -> Baseline:
        """Fit an n-gram model of the tokens, or each column of the frames by itself."""
        if not self.is_text:
            return ColumnMarkov.fit([example.input for example in train])
        order = NGRAM_ORDERS.get(str(self.chosen.tokens), NGRAM_ORDERS["words"])
        sequences = [self._scored_ids(example) for example in train]
        return NGram.fit(sequences, num_tokens=self.sizes()["vocabulary"], order=order)

    def evaluate_baseline(self, baseline: Baseline, examples: Sequence[Example]) -> dict[str, float]:
        """Return the baseline's scores on the same steps."""
        if self.is_text:
            found = baseline.predict([self._scored_ids(example) for example in examples])
        else:
            found = baseline.predict([_check_frames(example) for example in examples])
        nats = -np.concatenate([np.zeros(0), *(np.asarray(row) for row in found)])
        return token_scores(nats) if self.is_text else {"nll_per_step": _mean(nats)}

    def condition_of(self, value: Any, where: str) -> int | NDArray[np.float32]:
        """Return the id of a class, or the numbers of a vector.

        Raises:
            DataError: the class is unknown, or the vector has another size; or none is there.
        """
        if not self.condition_size:
            if not isinstance(value, str):
                known = ", ".join(self.labels.tokens[:8])
                raise DataError(
                    f"{where}: no class is named; this model makes a sequence of one of: {known}."
                )
            return int(self.labels.ids([value], where=where)[0])
        try:
            numbers = np.array([float(number) for number in ([] if value is None else value)], np.float32)
        except (TypeError, ValueError):
            numbers = np.zeros(0, np.float32)
        if len(numbers) != self.condition_size or not np.isfinite(numbers).all():
            raise DataError(
                f"{where}: the condition is {value!r}; a list of {self.condition_size} numbers was expected."
            )
        return numbers

    @property
    def is_conditioned(self) -> bool:
        """Whether each sequence is made from a class or a vector."""
        return bool(self.condition_size or len(self.labels))

    def _ids(self, example: Example) -> NDArray[np.int64]:
        assert isinstance(self.inputs, TokenInputs)
        encoded: NDArray[np.int64] | None = self.inputs.encode([example])[0][0].tokens
        assert encoded is not None
        return encoded

    def _scored_ids(self, example: Example) -> NDArray[np.int64]:
        """Return the ids of a text, of which every one but the first is predicted."""
        ids = self._ids(example)
        return ids if self.is_stream else np.concatenate([[BOUNDARY], ids, [BOUNDARY]])

    def _rows(self, examples: Sequence[Example]) -> Batches:
        """Return each example as what is read and what comes after each step of it."""
        rows = []
        for example in examples:
            condition = self.condition_of(example.target, example.where) if self.is_conditioned else None
            if self.is_text:
                ids = self._scored_ids(example)
                row = Encoded(len(ids) - 1, tokens=ids[:-1], target=ids[1:], condition=condition)
            else:
                frames = self.inputs.encode([example])[0][0].numbers
                assert frames is not None
                _check_frames(example)
                shifted = np.concatenate([np.zeros_like(frames[:1]), frames[:-1]])
                row = Encoded(len(frames), numbers=shifted, target=frames, condition=condition)
            rows.append(row)
        return self.batched(rows, None)

    def _stream_ids(self, example: Example) -> NDArray[np.int64]:
        """Return the ids of a running text of which something can be scored."""
        ids = self._ids(example)
        if len(ids) < 2:
            raise DataError(
                f"{example.where}: has {len(ids)} token(s); at least two are needed to score what comes next."
            )
        return ids

    def _scores_of(self, nats: NDArray[np.float64], examples: Sequence[Example]) -> dict[str, Any]:
        """Return the scores, and how many tokens training never saw, where there are some."""
        assert isinstance(self.inputs, TokenInputs)
        unknown = self.inputs.vocab.unknown
        count = sum(int((self._ids(example) == unknown).sum()) for example in examples)
        return token_scores(nats) | ({"unknown_tokens": count} if count else {})


def token_scores(nats: NDArray[np.float64]) -> dict[str, float]:
    """Return the metrics of a language model from the negative log-probability of each token.

    Example:
        >>> token_scores(np.log([2.0, 8.0]))["perplexity"]
        4.0
    """
    mean = _mean(nats)
    perplexity = math.exp(mean) if not mean >= 700 else math.inf
    return {
        "loss": mean,
        "nats_per_token": mean,
        "bits_per_token": mean / math.log(2),
        "perplexity": perplexity,
    }


def _mean(nats: NDArray[np.float64]) -> float:
    return float(nats.mean()) if len(nats) else math.nan


def _conditions_of(train: Sequence[Example], is_wanted: bool) -> tuple[Vocab, int]:
    """Return the classes that sequences are made from, or how many numbers they are made from."""
    nothing = Vocab.build([], specials=())
    if not is_wanted:
        return nothing, 0
    for example in train:
        if isinstance(example.target, tuple) and not example.target:
            raise DataError(
                f"{example.where}: the condition is an empty list; a class or a list of numbers was "
                "expected. Fill it in or leave the row out."
            )
    if isinstance(train[0].target, tuple):
        return nothing, len(train[0].target)
    for example in train:
        if not isinstance(example.target, str):
            raise DataError(f"{example.where}: a list of numbers stands here, but other rows have a class.")
    return Vocab.build((example.target for example in train), specials=()), 0


def _check_scored(pieces: Sequence[Example]) -> None:
    """Refuse pieces of which none has a second frame: the first of each is not scored."""
    if pieces and all(len(piece.input) < 2 for piece in pieces):
        raise DataError(
            f"{pieces[0].where}: no piece of this part has a second frame, and scores are of what follows "
            "the first; give longer pieces, or for training without validation --valid 0."
        )


def _check_frames(example: Example) -> NDArray[np.float32]:
    """Return the frames of an example, having seen that they hold zeros and ones alone."""
    frames = example.input
    if isinstance(frames, str) or np.ndim(frames) != 2:
        raise DataError(f"{example.where}: is no list of frames; steps of zeros and ones were expected.")
    wrong = (frames != 0) & (frames != 1)
    if wrong.any():
        step, column = (int(place) for place in np.argwhere(wrong)[0])
        raise DataError(
            f"{example.where}: step {step + 1}, column {column + 1} is {frames[step, column]:g}; generate "
            "reads frames of zeros and ones (which keys sound). For other numbers use another task."
        )
    made: NDArray[np.float32] = np.asarray(frames, np.float32)
    return made
