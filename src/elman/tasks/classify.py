"""CLASSIFY: many-to-one. One label for a whole sequence, of text or of numbers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from elman import metrics
from elman.baselines import BagOfWords, Baseline, FrameMeans, Perceptron, Rivals
from elman.baselines.rivals import score_all
from elman.config import Settings
from elman.data.batches import Batches
from elman.data.example import Example
from elman.data.vocab import Vocab
from elman.errors import ConfigError, DataError
from elman.losses import cross_entropy
from elman.patterns.classify import Classifier
from elman.tasks.inputs import TokenInputs, choose_cut, make_inputs, plain_inputs
from elman.tasks.one_to_one import (
    FEW_VALIDATED,
    FEWEST_STEPS,
    VECTOR_RECIPE,
    are_vectors,
    given_input,
    note_categories,
)
from elman.tasks.prediction import Evaluation, Mistake, Prediction
from elman.tasks.task import Task, choose, describe_input, inference_batches, with_vectors

RECIPE: dict[str, Any] = {
    "hidden_size": 128,
    "num_layers": 1,
    "bidirectional": True,
    "pooling": "mean+max",
    "dropout": 0.5,
    "batch_size": 64,
    "learning_rate": 2e-3,
    "decay": "linear",
    "clip_norm": 5.0,
    "init": "orthogonal",
}
"""What is chosen where the user says nothing; `TEXT_RECIPES` adds what depends on the tokens."""

TEXT_RECIPES: dict[str, dict[str, Any]] = {
    "words": {
        "embedding_size": 100,
        "lowercase": True,
        "characters": "convolution",
        "pairs": False,
        "unknown_rate": 0.25,
        "input_dropout": 0.5,
        "min_count": 1,
    },
    "characters": {
        "embedding_size": 64,
        "lowercase": False,
        "characters": "none",
        "pairs": True,
        "unknown_rate": 0.0,
        "input_dropout": 0.2,
        "min_count": 1,
    },
}


class Classify(Task):
    """One label for a sequence: sentiment, intent, language, speaker."""

    name = "classify"
    metric = "accuracy"
    metric_names = ("loss", "accuracy", "macro_f1")

    @classmethod
    def prepare(cls, settings: Settings, train: Sequence[Example], kind: str) -> "Classify":
        """Choose what is open, and make the vocabularies of tokens and labels."""
        if settings.pairs and settings.embedding == "one-hot":
            raise ConfigError("pairs adds vectors to those of tokens; one-hot tokens have none (--no-pairs).")
        if settings.crf:
            raise ConfigError("crf is for --task tag; a classifier gives one label a sequence.")
        _check_targets(train)
        recipe = dict(RECIPE)
        if kind == "text":
            tokens = choose_cut(settings, train)
            recipe |= {"tokens": tokens} | TEXT_RECIPES[tokens]
            recipe["pairs"] = recipe["pairs"] and settings.embedding != "one-hot"
        else:
            # Sets of series are small: more steps to a pass.
            recipe |= {"input_dropout": 0.0, "batch_size": 16}
            recipe |= VECTOR_RECIPE if are_vectors(train) else {}
        if settings.cell == "lstm" and settings.init != "chrono":
            recipe["forget_bias"] = 1.0
        chosen = choose(settings, recipe | {"kind": kind})
        labels = Vocab.build((example.target for example in train), specials=())
        if len(labels) < 2:
            raise DataError(
                f"{train[0].where}: every training example has the label {labels.tokens[0]!r}; "
                "a classifier needs at least two labels (is --target the right column?)."
            )
        task = with_vectors(cls(chosen, make_inputs(chosen, train), labels))
        if isinstance(task.inputs, TokenInputs):
            task.notes += task.inputs.note_cut(train)
        task.fewest_steps = FEWEST_STEPS if are_vectors(train) else 0
        task.notes += note_categories(task.inputs)
        return task

    def remember_validation(self, valid: Sequence[Example]) -> None:
        """Let the loss pick the weights where a few vectors alone are held out."""
        if valid and len(valid) < FEW_VALIDATED and are_vectors(valid) and self.chosen.metric is None:
            self.kept_by = "loss"
            self.notes.append(f"{len(valid)} validation vectors are few: the loss on them picks the weights")

    def batches(self, examples: Sequence[Example]) -> Batches:
        """Return the examples as ids or numbers with the id of their label; -1: unseen in training."""
        _check_targets(examples, needed=False)
        encoded, spellings = self.inputs.encode(examples)
        encoded = [
            replace(row, target=self.label_ids.get(example.target, -1))
            for row, example in zip(encoded, examples, strict=True)
        ]
        return self.batched(encoded, spellings)

    def build(self) -> Classifier:
        """Return a network of the right sizes."""
        inputs = self.input_layer()
        return Classifier(
            inputs,
            self.encoder(inputs.output_size),
            num_labels=len(self.labels),
            pooling=str(self.chosen.pooling),
            dropout=self.chosen.dropout or 0.0,
            input_dropout=self.chosen.input_dropout or 0.0,
            class_weights=self._class_weights(),
        )

    def predict(self, pattern: Classifier, examples: Sequence[Example]) -> list[Prediction]:
        """Return the most probable label of each example, with the probability of every label."""
        probabilities, _ = self._probabilities(pattern, examples)
        return [
            Prediction(
                input=given_input(example, self.inputs),
                prediction=self.labels.tokens[int(row.argmax())],
                probabilities=dict(zip(self.labels.tokens, row.tolist(), strict=True)),
            )
            for example, row in zip(examples, probabilities, strict=True)
        ]

    def evaluate(self, pattern: Classifier, examples: Sequence[Example]) -> Evaluation:
        """Score the network; a label that training never saw counts as an error, and has no loss."""
        probabilities, loss = self._probabilities(pattern, examples)
        gold = [example.target for example in examples]
        chosen = probabilities.argmax(axis=1)
        predicted = [self.labels.tokens[label] for label in chosen]
        labels = self.labels_with(gold)
        mistakes = [
            Mistake(describe_input(example), example.target, said, float(row[label]), example.where)
            for example, said, row, label in zip(examples, predicted, probabilities, chosen, strict=True)
            if said != example.target
        ]
        return Evaluation(
            metrics={"loss": loss} | metrics.classification(gold, predicted, labels),
            labels=labels,
            confusion=metrics.confusion(gold, predicted, labels),
            mistakes=sorted(mistakes, key=lambda mistake: -mistake.probability),
            lengths=[row.length for row in self.inputs.encode(examples)[0]],
        )

    def fit_baseline(self, train: Sequence[Example]) -> Baseline:
        """Fit logistic regression on a bag of words or characters, or on the frame means of series.

        Where every series is one vector, a perceptron stands beside it.
        """
        inputs, gold = plain_inputs(self.inputs, train), [example.target for example in train]
        if isinstance(self.inputs, TokenInputs):
            return BagOfWords.fit(inputs, gold)
        frame_means = FrameMeans.fit(inputs, gold)
        return Rivals([frame_means, Perceptron.fit(inputs, gold)]) if are_vectors(train) else frame_means

    def evaluate_baseline(self, baseline: Baseline, examples: Sequence[Example]) -> dict[str, Any]:
        """Return the baseline's accuracy and macro F1."""
        gold = [example.target for example in examples]

        def score(predicted: list[str]) -> dict[str, float]:
            scores = metrics.classification(gold, predicted, self.labels_with(gold))
            return {name: scores[name] for name in ("accuracy", "macro_f1")}

        return score_all(baseline, plain_inputs(self.inputs, examples), score)

    def _probabilities(self, pattern: Classifier, examples: Sequence[Example]) -> tuple[np.ndarray, float]:
        """Return each label's probability, [examples, labels], and the mean loss of known labels."""
        out = np.zeros((len(examples), len(self.labels)), dtype=np.float64)
        total, count = 0.0, 0
        for batch in inference_batches(self.batches(examples), pattern):
            scores = pattern.scores(batch)
            out[batch.rows] = scores.double().softmax(1).cpu().numpy()
            assert isinstance(batch.target, torch.Tensor)  # of Classify.batches, -1 where nothing is known
            known = batch.target >= 0
            total += float(cross_entropy(scores[known], batch.target[known], reduction="sum"))
            count += int(known.sum())
        return out, total / count if count else float("nan")

    def _class_weights(self) -> torch.Tensor | None:
        """Return weights in inverse proportion to how often a label occurs, 1 on average over examples."""
        if self.chosen.class_weights == "none":
            return None
        counts = torch.tensor(self.labels.counts, dtype=torch.float32)
        return counts.sum() / (len(counts) * counts)


def _check_targets(examples: Sequence[Example], needed: bool = True) -> None:
    for example in examples:
        if not isinstance(example.target, str) and (needed or example.target is not None):
            if example.target is None:
                raise DataError(f"{example.where}: has no label; classify needs one a sequence.")
            raise DataError(
                f"{example.where}: the target is a list of {len(example.target)} labels; classify needs one "
                "label a sequence. For one label a token use --task tag."
            )
