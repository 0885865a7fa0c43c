"""TAG: many-to-many, aligned. One tag for each token: parts of speech, names, slots."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from elman import metrics
from elman.baselines import Baseline, MostFrequentTag
from elman.config import Settings
from elman.data.batches import Batches
from elman.data.example import Example
from elman.data.vocab import Vocab
from elman.errors import ConfigError, DataError
from elman.patterns.tag import Tagger
from elman.tasks.inputs import TokenInputs, make_inputs
from elman.tasks.prediction import Evaluation, Mistake, Prediction
from elman.tasks.task import Task, choose, inference_batches, with_vectors

RECIPE: dict[str, Any] = {
    "tokens": "words",
    "lowercase": True,
    "min_count": 1,
    "unknown_rate": 0.25,
    "embedding_size": 100,
    "characters": "convolution",
    "pairs": False,
    "hidden_size": 128,
    "num_layers": 2,
    "bidirectional": True,
    "dropout": 0.5,
    "input_dropout": 0.4,
    "batch_size": 32,
    "learning_rate": 2e-3,
    "decay": "linear",
    "clip_norm": 5.0,
    "init": "orthogonal",
}
"""What is chosen where the user says nothing; `crf` follows from the tags."""

SPAN_SCORES = ("precision", "recall", "f1")


class Tag(Task):
    """One tag for each token of a sequence."""

    name = "tag"
    min_epochs = 20
    inputs: TokenInputs

    def __init__(
        self, chosen: Settings, inputs: TokenInputs, labels: Vocab, constrained: bool = True
    ) -> None:
        super().__init__(chosen, inputs, labels)
        self.constrained = constrained
        """Whether illegal spans are forbidden; not where the training tags themselves have some."""
        self.scheme = metrics.tag_scheme(labels.tokens)
        self.metric = "f1" if self.scheme else "accuracy"
        self.metric_names = ("loss", "accuracy", *(SPAN_SCORES if self.scheme else ()))

    @classmethod
    def prepare(cls, settings: Settings, train: Sequence[Example], kind: str) -> "Tag":
        """Choose what is open, and make the vocabularies of words, characters and tags."""
        if kind != "text":
            raise DataError(f"{train[0].where}: tag reads tokens, but the input is a series of numbers.")
        for name in ("pooling", "max_length"):
            if getattr(settings, name) is not None:
                raise ConfigError(f"{name} is for --task classify; a tagger gives every token its tag.")
        if settings.tokens in ("subwords", "spaces"):
            raise ConfigError(
                f"tokens = {settings.tokens!r} is for --task translate; a tag stands on a word."
            )
        is_cut_at_spaces = isinstance(train[0].input, str)
        train = [_aligned(example) for example in train]
        labels = Vocab.build((tag for example in train for tag in example.target), specials=())
        if len(labels) < 2:
            raise DataError(
                f"{train[0].where}: every token of the training data has the same tag; "
                "a tagger needs at least two (is --target the right column?)."
            )
        recipe = RECIPE | {"kind": kind, "crf": metrics.tag_scheme(labels.tokens) is not None}
        if settings.tokens == "characters":
            recipe |= {"characters": "none", "lowercase": False, "unknown_rate": 0.0}
        if settings.cell == "lstm" and settings.init != "chrono":
            recipe["forget_bias"] = 1.0
        chosen = choose(settings, recipe)
        inputs = make_inputs(chosen, train)
        assert isinstance(inputs, TokenInputs)
        if is_cut_at_spaces:  # as the training texts were, to stay beside their tags
            inputs = replace(inputs, cut="spaces")
        scheme = metrics.tag_scheme(labels.tokens)
        constrained = all(metrics.is_legal(example.target, scheme) for example in train)
        return with_vectors(cls(chosen, inputs, labels, constrained))

    @classmethod
    def from_json(cls, chosen: Settings, values: dict[str, Any]) -> "Tag":
        """Return the task of a run, from its settings as chosen and what `to_json` gave."""
        inputs, labels = TokenInputs.from_json(values["inputs"]), Vocab.from_json(values["labels"])
        return cls(chosen, inputs, labels, values["constrained"])

    def to_json(self) -> dict[str, Any]:
        """Return what `vocab.json` holds."""
        return super().to_json() | {"constrained": self.constrained}

    def batches(self, examples: Sequence[Example]) -> Batches:
        """Return the examples as ids with the ids of their tags; -1 for a tag unseen in training."""
        aligned = [_aligned(example) if example.target is not None else example for example in examples]
        encoded, spellings = self.inputs.encode(aligned)
        encoded = [
            row
            if example.target is None
            else replace(
                row, target=np.array([self.label_ids.get(tag, -1) for tag in example.target], np.int64)
            )
            for row, example in zip(encoded, aligned, strict=True)
        ]
        return self.batched(encoded, spellings)

    def build(self) -> Tagger:
        """Return a network of the right sizes; its decoder never makes an illegal span."""
        inputs = self.input_layer()
        return Tagger(
            inputs,
            self.encoder(inputs.output_size),
            num_labels=len(self.labels),
            dropout=self.chosen.dropout or 0.0,
            input_dropout=self.chosen.input_dropout or 0.0,
            crf=bool(self.chosen.crf),
            legal=metrics.legal_transitions(self.labels.tokens) if self.constrained else None,
        )

    def predict(self, pattern: Tagger, examples: Sequence[Example]) -> list[Prediction]:
        """Return the tags of each example and, for BIO tags, the spans."""
        bare = [Example(example.input, None, example.where) for example in examples]
        tags, _, _ = self._decode(pattern, bare)
        out = []
        for example, row in zip(bare, tags, strict=True):
            tokens = self.inputs.tokens_of(example)
            spans = None
            if self.scheme:
                spans = [
                    {"start": start, "end": end, "label": label, "text": " ".join(tokens[start:end])}
                    for start, end, label in metrics.spans(row)
                ]
            out.append(Prediction(example.input, row, tokens=tokens, tags=row, spans=spans))
        return out

    def evaluate(self, pattern: Tagger, examples: Sequence[Example]) -> Evaluation:
        """Score the network by token and, for BIO tags, by span; a tag unseen in training is an error."""
        examples = [_aligned(example) for example in examples]
        predicted, sure, loss = self._decode(pattern, examples)
        gold = [list(example.target) for example in examples]
        flat_gold = [tag for row in gold for tag in row]
        flat_predicted = [tag for row in predicted for tag in row]
        labels = self.labels_with(flat_gold)
        scores: dict[str, Any] = {"loss": loss} | metrics.tagging(gold, predicted, labels)
        if self.scheme:
            scores |= metrics.span_scores(gold, predicted)
        return Evaluation(
            metrics=scores,
            labels=labels,
            confusion=metrics.confusion(flat_gold, flat_predicted, labels),
            mistakes=_mistakes(examples, predicted, sure),
            lengths=[len(row) for row in gold],
        )

    def fit_baseline(self, train: Sequence[Example]) -> Baseline:
        """Fit the most frequent tag of each word."""
        aligned = [_aligned(example) for example in train]
        return MostFrequentTag.fit(
            [example.input for example in aligned], [example.target for example in aligned]
        )

    def evaluate_baseline(self, baseline: Baseline, examples: Sequence[Example]) -> dict[str, float]:
        """Return the baseline's accuracy and, for BIO tags, its span scores."""
        aligned = [_aligned(example) for example in examples]
        predicted = baseline.predict([example.input for example in aligned])
        gold = [list(example.target) for example in aligned]
        labels = self.labels_with(tag for row in gold for tag in row)
        scores = {"accuracy": metrics.tagging(gold, predicted, labels)["accuracy"]}
        if self.scheme:
            spans = metrics.span_scores(gold, predicted)
            scores |= {name: spans[name] for name in SPAN_SCORES}
        return scores

    def _decode(
        self, pattern: Tagger, examples: Sequence[Example]
    ) -> tuple[list[list[str]], list[np.ndarray], float]:
        """Return the tags of each example, the probability of each tag, and the mean loss of known tags."""
        tags: list[list[str]] = [[] for _ in examples]
        sure: list[np.ndarray] = [np.zeros(0) for _ in examples]
        total, count = 0.0, 0
        for batch in inference_batches(self.batches(examples), pattern):
            decoded = pattern.decode(batch)
            for row, ids, probability in zip(batch.rows, decoded.tags, decoded.probabilities, strict=True):
                tags[row] = [self.labels.tokens[label] for label in ids]
                sure[row] = probability
            if batch.target is not None:
                loss, steps = pattern.loss_and_steps(batch, decoded.scores)
                total += loss
                count += steps
        return tags, sure, total / count if count else float("nan")


def _aligned(example: Example) -> Example:
    """Return the example with one tag a token, cutting both sides at spaces where they are texts."""
    words, tags = example.input, example.target
    if tags is None:
        raise DataError(f"{example.where}: has no tags; tag needs one for each token.")
    if isinstance(words, str) and isinstance(tags, str):
        words, tags = tuple(words.split()), tuple(tags.split())
    hint = " For one label a sequence use --task classify." if isinstance(tags, str) or len(tags) == 1 else ""
    if isinstance(words, str) or isinstance(tags, str):
        one, other = ("tokens", "a text") if isinstance(tags, str) else ("a text", "a list of tags")
        raise DataError(
            f"{example.where}: the input is {one}, the target {other}; tag needs two lists, tokens and tags, "
            f"or two texts cut at spaces.{hint}"
        )
    if len(words) != len(tags):
        said = "tag" if len(tags) == 1 else "tags"
        raise DataError(
            f"{example.where}: {len(words)} tokens but {len(tags)} {said}; give every token one tag.{hint}"
        )
    return Example(tuple(words), tuple(tags), example.where)


def _mistakes(
    examples: Sequence[Example], predicted: Sequence[Sequence[str]], sure: Sequence[np.ndarray]
) -> list[Mistake]:
    """Return one mistake a wrong token, the surest first; the token stands in brackets in its sentence."""
    out = []
    for example, tags, probabilities in zip(examples, predicted, sure, strict=True):
        for step, (gold, said) in enumerate(zip(example.target, tags, strict=True)):
            if gold != said:
                words = list(example.input)
                words[step] = f"[{words[step]}]"
                out.append(Mistake(" ".join(words), gold, said, float(probabilities[step]), example.where))
    return sorted(out, key=lambda mistake: -mistake.probability)
