"""REGRESS: many-to-one, and one-to-one. Numbers for a whole sequence, of text or of numbers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from elman.baselines import Baseline, Mean, Perceptron, RidgeBag, RidgeSeries, Rivals
from elman.baselines.rivals import score_all
from elman.config import Settings
from elman.data.batches import Batches
from elman.data.example import Example
from elman.data.vocab import Vocab
from elman.errors import ConfigError
from elman.losses import distance
from elman.metrics.regression import SCORES, regression
from elman.patterns.regress import Regressor
from elman.tasks.classify import TEXT_RECIPES
from elman.tasks.inputs import Inputs, TokenInputs, choose_cut, inputs_from_json, make_inputs, plain_inputs
from elman.tasks.measures import RECIPE, TargetScale, check_all, target_names
from elman.tasks.one_to_one import VECTOR_RECIPE, are_vectors, given_input, note_categories
from elman.tasks.prediction import Evaluation, Measured, Prediction
from elman.tasks.task import Task, choose, inference_batches, with_vectors


class Regress(Task):
    """Numbers for a sequence: a price, a rating, the wear of a machine."""

    name = "regress"
    metric_names = ("loss", *SCORES)

    def __init__(self, chosen: Settings, inputs: Inputs, targets: TargetScale) -> None:
        super().__init__(chosen, inputs, Vocab.build([], specials=()))
        self.targets = targets
        # Of several targets, whose units may differ, the mean r2 is the one figure that has none.
        self.metric = "rmse" if len(targets.names) == 1 else "r2"

    @classmethod
    def prepare(cls, settings: Settings, train: Sequence[Example], kind: str) -> "Regress":
        """Choose what is open, and measure the targets and the inputs."""
        refuse_label_settings(settings, "regress")
        check_all(train, "sequence")
        targets = TargetScale.fit(train, target_names(settings, train), "sequence")
        recipe = RECIPE | {"pooling": "mean+max"}
        if kind == "text":
            tokens = choose_cut(settings, train)
            recipe |= TEXT_RECIPES[tokens] | {"tokens": tokens, "input_dropout": 0.2}
            recipe["pairs"] = recipe["pairs"] and settings.embedding != "one-hot"
        else:
            recipe |= {"input_dropout": 0.0, "batch_size": 16}
            recipe |= VECTOR_RECIPE if are_vectors(train) else {}
        if settings.cell == "lstm":
            recipe["forget_bias"] = 1.0
        chosen = choose(settings, recipe | {"kind": kind})
        task = with_vectors(cls(chosen, make_inputs(chosen, train), targets))
        if isinstance(task.inputs, TokenInputs):
            task.notes += task.inputs.note_cut(train)
        task.notes += note_categories(task.inputs)
        return task

    @classmethod
    def from_json(cls, chosen: Settings, values: dict[str, Any]) -> "Regress":
        """Return the task of a run, from its settings as chosen and what `to_json` gave."""
        return cls(chosen, inputs_from_json(values["inputs"]), TargetScale.from_json(values["targets"]))

    def to_json(self) -> dict[str, Any]:
        """Return what `vocab.json` holds."""
        return super().to_json() | {"targets": self.targets.to_json()}

    def sizes(self) -> dict[str, int]:
        """Return the number of targets, and of tokens or columns."""
        sizes = super().sizes()
        sizes.pop("labels")
        return {"targets": len(self.targets.names)} | sizes

    def batches(self, examples: Sequence[Example]) -> Batches:
        """Return the examples as ids or numbers, with their scaled targets where all have one."""
        encoded, spellings = self.inputs.encode(examples)
        if all(example.target is not None for example in examples):
            encoded = [
                replace(row, measures=self.targets.apply(example))
                for row, example in zip(encoded, examples, strict=True)
            ]
        return self.batched(encoded, spellings)

    def build(self) -> Regressor:
        """Return a network of the right sizes."""
        inputs = self.input_layer()
        return Regressor(
            inputs,
            self.encoder(inputs.output_size),
            num_targets=len(self.targets.names),
            pooling=str(self.chosen.pooling),
            dropout=self.chosen.dropout or 0.0,
            input_dropout=self.chosen.input_dropout or 0.0,
            loss=str(self.chosen.loss),
        )

    def predict(self, pattern: Regressor, examples: Sequence[Example]) -> list[Prediction]:
        """Return the numbers of each example, in their own units."""
        bare = [replace(example, target=None) for example in examples]
        numbers, _ = self._numbers(pattern, bare)
        return [
            Prediction(input=given_input(example, self.inputs), prediction=self.targets.present(row[None]))
            for example, row in zip(examples, numbers, strict=True)
        ]

    def evaluate(self, pattern: Regressor, examples: Sequence[Example]) -> Evaluation:
        """Score the network in the targets' own units; the loss is that of the scaled targets."""
        predicted, loss = self._numbers(pattern, examples)
        gold = self._gold(examples)
        return Evaluation(
            metrics={"loss": loss} | regression(gold, predicted, self.targets.names),
            lengths=[row.length for row in self.inputs.encode(examples)[0]],
            measured=Measured(self.targets.names, list(gold[:, None]), list(predicted[:, None]), False),
        )

    def fit_baseline(self, train: Sequence[Example]) -> Baseline:
        """Fit ridge regression, and beside it the mean, and for vectors a perceptron."""
        gold = list(self._gold(train))
        inputs = plain_inputs(self.inputs, train)
        if isinstance(self.inputs, TokenInputs):
            return Rivals([RidgeBag.fit(inputs, gold), Mean.fit(inputs, gold)])
        members: list[Baseline] = [RidgeSeries.fit(inputs, gold), Mean.fit(inputs, gold)]
        if are_vectors(train):
            members.append(Perceptron.fit(inputs, gold))
        return Rivals(members)

    def evaluate_baseline(self, baseline: Baseline, examples: Sequence[Example]) -> dict[str, Any]:
        """Return the baselines' mae, rmse and r2."""
        gold = self._gold(examples)

        def score(predicted: list[np.ndarray]) -> dict[str, float]:
            scores = regression(gold, np.stack(predicted), self.targets.names)
            return {name: scores[name] for name in SCORES}

        return score_all(baseline, plain_inputs(self.inputs, examples), score)

    def _gold(self, examples: Sequence[Example]) -> np.ndarray:
        """Return the targets in their own units, [N, K]."""
        for example in examples:
            self.targets.check(example)
        return np.stack([example.target for example in examples])

    def _numbers(self, pattern: Regressor, examples: Sequence[Example]) -> tuple[np.ndarray, float]:
        """Return each example's numbers in their own units, [N, K], and the mean loss of the scaled ones."""
        out = np.zeros((len(examples), len(self.targets.names)), dtype=np.float64)
        total, count = 0.0, 0
        for batch in inference_batches(self.batches(examples), pattern):
            scores = pattern.scores(batch)
            out[batch.rows] = self.targets.invert(scores.double().cpu().numpy())
            if batch.target is not None:
                total += float(distance(scores, batch.target, kind=str(self.chosen.loss), reduction="sum"))
                count += scores.numel()
        return out, total / count if count else float("nan")


def refuse_label_settings(settings: Settings, task: str) -> None:
    """Raise ConfigError where a setting of labels is given for a task of numbers."""
    if settings.crf:
        raise ConfigError(f"crf is for --task tag; {task} predicts numbers.")
    if settings.pairs and settings.embedding == "one-hot":
        raise ConfigError("pairs adds vectors to those of tokens; one-hot tokens have none (--no-pairs).")
