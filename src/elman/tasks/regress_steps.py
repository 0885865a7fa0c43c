"""REGRESS STEPS: many-to-many, aligned. One or several numbers for each step, of series or of tokens."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from elman.baselines import Baseline, Mean, RidgeSteps, Rivals, TokenMeans
from elman.baselines.rivals import score_all
from elman.config import Settings
from elman.data.batches import Batches
from elman.data.example import Example
from elman.data.vocab import Vocab
from elman.errors import ConfigError, DataError
from elman.losses import distance
from elman.metrics.regression import SCORES, regression
from elman.padded import Padded
from elman.patterns.regress_steps import StepRegressor
from elman.tasks.classify import TEXT_RECIPES
from elman.tasks.inputs import Inputs, TokenInputs, inputs_from_json, make_inputs, plain_inputs
from elman.tasks.measures import RECIPE, TargetScale, check_all, target_names
from elman.tasks.one_to_one import given_input, note_categories
from elman.tasks.prediction import Evaluation, Measured, Prediction
from elman.tasks.regress import refuse_label_settings
from elman.tasks.task import Task, choose, inference_batches, with_vectors


class RegressSteps(Task):
    """Numbers for each step of a sequence: a price at each hour, an angle at each frame."""

    name = "regress_steps"
    min_epochs = 20
    metric_names = ("loss", *SCORES)

    def __init__(self, chosen: Settings, inputs: Inputs, targets: TargetScale) -> None:
        super().__init__(chosen, inputs, Vocab.build([], specials=()))
        self.targets = targets
        self.metric = "rmse" if len(targets.names) == 1 else "r2"

    @classmethod
    def prepare(cls, settings: Settings, train: Sequence[Example], kind: str) -> "RegressSteps":
        """Choose what is open, and measure the targets and the inputs."""
        refuse_label_settings(settings, "regress_steps")
        for name in ("pooling", "max_length"):
            if getattr(settings, name) is not None:
                raise ConfigError(
                    f"{name} is for --task classify and regress; regress_steps reads every step."
                )
        check_all(train, "step")
        is_text = isinstance(train[0].input, str)
        targets = TargetScale.fit(train, target_names(settings, train), "step")
        recipe = dict(RECIPE)
        if kind == "text":
            recipe |= TEXT_RECIPES["words"] | {"tokens": "words", "pairs": False, "input_dropout": 0.2}
        else:
            recipe |= {"input_dropout": 0.0, "batch_size": 16}
        if settings.cell == "lstm":
            recipe["forget_bias"] = 1.0
        chosen = choose(settings, recipe | {"kind": kind})
        inputs = make_inputs(chosen, train)
        if isinstance(inputs, TokenInputs) and is_text:  # cut at white space, to stay beside their numbers
            inputs = make_inputs(chosen, [replace(row, input=tuple(row.input.split())) for row in train])
            assert isinstance(inputs, TokenInputs)
            inputs = replace(inputs, cut="spaces")
        task = with_vectors(cls(chosen, inputs, targets))
        task._check_aligned(train)
        task.notes += note_categories(task.inputs)
        return task

    @classmethod
    def from_json(cls, chosen: Settings, values: dict[str, Any]) -> "RegressSteps":
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
        """Return the examples as ids or numbers, with their scaled targets where all have some."""
        encoded, spellings = self.inputs.encode(examples)
        if all(example.target is not None for example in examples):
            self._check_aligned(examples)
            encoded = [
                replace(row, target=self.targets.apply(example))
                for row, example in zip(encoded, examples, strict=True)
            ]
        return self.batched(encoded, spellings)

    def build(self) -> StepRegressor:
        """Return a network of the right sizes."""
        inputs = self.input_layer()
        return StepRegressor(
            inputs,
            self.encoder(inputs.output_size),
            num_targets=len(self.targets.names),
            dropout=self.chosen.dropout or 0.0,
            input_dropout=self.chosen.input_dropout or 0.0,
            loss=str(self.chosen.loss),
        )

    def predict(self, pattern: StepRegressor, examples: Sequence[Example]) -> list[Prediction]:
        """Return the numbers of each step of each example, in their own units."""
        bare = [replace(example, target=None) for example in examples]
        numbers, _ = self._numbers(pattern, bare)
        return [
            Prediction(
                input=given_input(example, self.inputs),
                prediction=self.targets.present(rows),
                tokens=self.inputs.tokens_of(example) if isinstance(self.inputs, TokenInputs) else None,
            )
            for example, rows in zip(examples, numbers, strict=True)
        ]

    def evaluate(self, pattern: StepRegressor, examples: Sequence[Example]) -> Evaluation:
        """Score the network over all steps with a target, in the targets' own units."""
        self._check_aligned(examples)
        predicted, loss = self._numbers(pattern, examples)
        gold = [example.target for example in examples]
        scores = regression(np.concatenate(gold), np.concatenate(predicted), self.targets.names)
        return Evaluation(
            metrics={"loss": loss} | scores,
            lengths=[len(row) for row in gold],
            measured=Measured(self.targets.names, gold, predicted, True),
        )

    def fit_baseline(self, train: Sequence[Example]) -> Baseline:
        """Fit ridge regression on neighbouring steps, or each token's mean; and beside it the mean of all."""
        inputs, gold = plain_inputs(self.inputs, train), [example.target for example in train]
        is_text = isinstance(self.inputs, TokenInputs)
        first: Baseline = TokenMeans.fit(inputs, gold) if is_text else RidgeSteps.fit(inputs, gold)
        return Rivals([first, Mean.fit(inputs, gold, is_per_step=True)])

    def evaluate_baseline(self, baseline: Baseline, examples: Sequence[Example]) -> dict[str, Any]:
        """Return the baselines' mae, rmse and r2 over all steps with a target."""
        gold = np.concatenate([example.target for example in examples])

        def score(predicted: list[np.ndarray]) -> dict[str, float]:
            scores = regression(gold, np.concatenate(predicted), self.targets.names)
            return {name: scores[name] for name in SCORES}

        return score_all(baseline, plain_inputs(self.inputs, examples), score)

    def _check_aligned(self, examples: Sequence[Example]) -> None:
        """Raise DataError unless each step has its place among the targets."""
        for example in examples:
            self.targets.check(example)
            steps = example.input
            if isinstance(self.inputs, TokenInputs):
                steps = self.inputs.tokens_of(example)
            if len(steps) != len(example.target):
                raise DataError(
                    f"{example.where}: {len(steps)} steps but {len(example.target)} targets; give every step "
                    "one (null where it is not known)."
                )

    def _numbers(self, pattern: StepRegressor, examples: Sequence[Example]) -> tuple[list[np.ndarray], float]:
        """Return the numbers of each step in their own units, [T, K], and the mean loss of scaled ones."""
        out: list[np.ndarray] = [np.zeros((0, len(self.targets.names))) for _ in examples]
        total, count = 0.0, 0
        for batch in inference_batches(self.batches(examples), pattern):
            scores = pattern.scores(batch)
            for row, steps in zip(batch.rows, scores.unpad(), strict=True):
                out[row] = self.targets.invert(steps.double().cpu().numpy())
            if isinstance(batch.target, Padded):
                kind = str(self.chosen.loss)
                total += float(distance(scores, batch.target, kind=kind, reduction="sum"))
                count += int((~batch.target.data.isnan())[batch.target.mask].sum())
        return out, total / count if count else float("nan")
