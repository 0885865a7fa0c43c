"""RUN: a trained model with everything that is known of it, brought back from its folder by `load`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from elman.baselines import Baseline, from_tensors
from elman.config import Settings, make_settings
from elman.data.categories import separate
from elman.data.example import Example
from elman.data.timestamps import Clock
from elman.data.values import to_array
from elman.dataset import read_part
from elman.errors import CheckpointError, ConfigError, DataError, RunError
from elman.patterns.generate import LanguageModel
from elman.patterns.pattern import Pattern
from elman.run_folder import read_config, read_journal, read_json
from elman.run_xray import ROWS, examine_run, own_examples
from elman.search.sampling import Sampling
from elman.tasks import task_from_json
from elman.tasks.forecast_inputs import ForecastInputs
from elman.tasks.generate import Generate
from elman.tasks.inputs import Inputs, SeriesInputs, TokenInputs
from elman.tasks.prediction import Evaluation, Prediction
from elman.tasks.task import Task
from elman.tasks.translate import Translate
from elman.tasks.writing import Writing, write, write_frames
from elman.training.checkpoint import load_weights
from elman.xray.layer_flow import Tell
from elman.xray.run_xray import RunXray


@dataclass
class Run:
    """A trained model with everything that is known of it.

    Args:
        folder: where it is kept; None for a run that was never written.
        settings: the settings as given.
        task: the task with its vocabularies and the settings as chosen.
        model: the network with its best weights, in eval mode.
        baseline: the fitted baseline.
        result: what `result.json` holds.
        history: the rows of `metrics.jsonl`.
        timing: the rows of `timing.jsonl`.
        data: what `config.json` tells of the data.
        versions: what it tells of the software that trained the model.
        held_out: the test examples (validation where there are none), right after training only.
    """

    folder: Path | None
    settings: Settings
    task: Task
    model: Pattern
    baseline: Baseline
    result: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    timing: list[dict[str, Any]] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    held_out: Sequence[Example] = ()

    @property
    def _clock(self) -> Clock | None:
        """The steps in time of a forecast's training data."""
        inputs: object = self.task.inputs
        return inputs.clock if isinstance(inputs, ForecastInputs) else None

    @property
    def chosen(self) -> Settings:
        """The settings with every choice made."""
        return self.task.chosen

    def predict(
        self, inputs: Sequence[Any], *, beam_size: int | None = None, n_best: int | None = None
    ) -> list[Prediction]:
        """Return a prediction for each input, in their order.

        Args:
            inputs: texts (cut into tokens as the training texts were), lists of tokens, or arrays [T, I] of
                numbers; where the model reads several numbers a step, [I] is a vector, a single step. A
                forecast takes histories [T], NaN where a value is missing.
            beam_size: translate: candidates that search follows (default: as the run's settings say).
            n_best: translate: list so many outputs for each input.

        Raises:
            ConfigError: a single text was given instead of a list of texts; a search for another task.
            DataError: an input is of another kind than the training inputs; the row is named.
        """
        if isinstance(inputs, str):
            raise ConfigError("predict takes a list of inputs; for one text write predict([text]).")
        return self.predict_examples(
            [_as_example(raw, row, self.task.inputs) for row, raw in enumerate(inputs, 1)],
            beam_size=beam_size,
            n_best=n_best,
        )

    def predict_file(
        self, path: str | Path, *, beam_size: int | None = None, n_best: int | None = None
    ) -> list[Prediction]:
        """Return a prediction for each example of a file, in its order; targets are not needed."""
        reading = read_part(
            self.chosen, path, kind=self.task.inputs.kind, need_target=False, clock=self._clock
        )
        return self.predict_examples(reading.examples, beam_size=beam_size, n_best=n_best)

    def predict_examples(
        self, examples: Sequence[Example], *, beam_size: int | None = None, n_best: int | None = None
    ) -> list[Prediction]:
        """Return a prediction for each example, in their order; see `predict`."""
        task: Any = self.task  # each task's pattern is its own kind
        model = self.model.eval()
        with torch.inference_mode():
            if isinstance(self.task, Translate):
                return task.predict(model, examples, beam_size=beam_size, n_best=n_best)
            for name, value in (("beam_size", beam_size), ("n_best", n_best)):
                if value is not None:
                    raise ConfigError(
                        f"{name} is for models of --task translate; this one is for {task.name}."
                    )
            return task.predict(model, examples)

    def generate(
        self,
        prompt: str | Sequence[str] = "",
        *,
        length: int = 300,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        repetition_penalty: float = 1.0,
        greedy: bool = False,
        seed: int = 0,
        count: int = 1,
        stop: str | None = None,
        condition: Any = None,
    ) -> list[Prediction]:
        """Return what the model writes after each prompt, `count` times; of a model of frames, the frames.

        Args:
            prompt: a text, or several; "": from nothing. A model of frames has no prompt.
            length: tokens (or frames) to write, at most.
            temperature, top_k, top_p, repetition_penalty, greedy: see `elman.search.sampling.Sampling`.
            seed: the same seed writes the same.
            count: texts after each prompt.
            stop: end a text before this.
            condition: the class or the numbers that a sequence is made from.

        Raises:
            ConfigError: the run does not generate, or a value does not fit the model.
            DataError: a prompt holds what training never saw.
        """
        sampling = Sampling(temperature, top_k, top_p, repetition_penalty, greedy)
        how = Writing(length, sampling, seed, stop, condition)
        return self.write([prompt] if isinstance(prompt, str) else list(prompt), how, count=count)

    def write(self, prompts: Sequence[str], how: Writing, *, count: int = 1) -> list[Prediction]:
        """Return what the model writes after each prompt, `count` times; see `generate`."""
        task, model = self.generating_task(), self._language_model()
        if count < 1:
            raise ConfigError(f"count is {count}; at least 1 was expected.")
        if not task.is_text:
            if any(prompts):
                raise ConfigError("this model makes frames from silence and takes no prompt; leave it out.")
            made = write_frames(task, model, count * len(prompts), how)
            return [Prediction(input="", prediction=frames) for frames in made]
        repeated = [each for each in prompts for _ in range(count)]
        written = task.write(model, repeated, how) if repeated else []
        return [Prediction(each, text) for each, text in zip(repeated, written, strict=True)]

    def stream(self, prompt: str, how: Writing) -> Iterator[str]:
        """Yield what the model writes after a prompt, piece by piece as it forms."""
        task, model = self.generating_task(), self._language_model()
        return (pieces[0] for pieces in write(task, model, [prompt], how))

    def generating_task(self) -> Generate:
        """Return the task of a run that writes.

        Raises:
            ConfigError: it is of another task.
        """
        if not isinstance(self.task, Generate):
            raise ConfigError(
                f"this run is of the task {self.task.name} and writes nothing; use its labels: elman predict "
                "RUN (from Python: run.predict(inputs))."
            )
        return self.task

    def _language_model(self) -> LanguageModel:
        assert isinstance(self.model, LanguageModel)  # of Generate.build
        return self.model.eval()

    def evaluate(self, data: Any) -> Evaluation:
        """Return the scores of the model, and of its baseline, on a labelled file or labelled rows.

        Args:
            data: a path, or pairs, dicts or a data frame with the columns of the training data.
        """
        return score(self.task, self.model, self.baseline, self.examples(data))

    def xray(self, data: Any = None, *, rows: int = ROWS, tell: Tell | None = None) -> RunXray:
        """Look inside the model while it reads a few examples, and say what ails it.

        Args:
            data: a labelled file, or labelled rows; None: the run's own validation data.
            rows: examples to look at, at most.
            tell: is called with the name of each layer before it is measured, which may take seconds.

        Raises:
            DataError: the run's own data are not there any more.
            ConfigError: a layer cannot be looked at.
        """
        examples = self.held_out if data is None else self.examples(data)
        return examine_run(
            self.task,
            self.model.eval(),
            examples or own_examples(self.settings, self.data, self.folder),
            folder=self.folder,
            result=self.result,
            history=self.history,
            rows=rows,
            tell=tell,
        )

    def examples(self, data: Any) -> Sequence[Example]:
        """Return labelled examples from a file or rows."""
        kind = str(self.chosen.kind) if isinstance(self.task, Generate) else self.task.inputs.kind
        return read_part(self.chosen, data, kind=kind, clock=self._clock).examples

    def neighbours(self, word: str, count: int = 10) -> list[tuple[str, float]]:
        """Return the tokens whose vectors point most nearly the same way, with the cosine of the angle.

        Args:
            word: a token of the vocabulary.
            count: how many to return.

        Raises:
            ConfigError: the model has no token vectors, or the word is not in its vocabulary.
        """
        return self.task.neighbours(self.model, word, count)

    def layers(self) -> list[dict[str, Any]]:
        """Return name, kind and number of parameters of each part of the network that has some of its own."""
        rows = []
        for name, module in self.model.named_modules():
            own = sum(value.numel() for value in module.parameters(recurse=False))
            if own:
                kind = f"{type(module).__name__}({module.extra_repr()})"
                rows.append({"name": name or "pattern", "kind": kind, "parameters": own})
        return rows

    def info(self) -> dict[str, Any]:
        """Return settings, layers, sizes and scores as one JSON-able object."""
        return {
            "folder": str(self.folder) if self.folder else None,
            "task": self.task.name,
            "parameters": sum(value.numel() for value in self.model.parameters()),
            "layers": self.layers(),
            "settings": self.settings.model_dump(exclude_none=True, exclude_unset=True),
            "chosen": self.chosen.model_dump(exclude_none=True),
            "data": self.data,
            "versions": self.versions,
            "result": self.result,
        }

    def samples(self, count: int = 3) -> list[tuple[Any, Any]]:
        """Return the input and target of the first held-out examples; none after `load`."""
        return [(example.input, example.target) for example in self.held_out[:count]]

    def summary(self) -> str:
        """Return the network as text: its layers, the shape of each weight, and the number of parameters."""
        rows = [
            (name, str(list(value.shape)), value.numel()) for name, value in self.model.named_parameters()
        ]
        width = max(len(name) for name, _, _ in rows)
        lines = [f"{self.task.name}: {self.chosen.cell}, {sum(n for _, _, n in rows):,} parameters"]
        lines += [f"  {name:<{width}}  {shape:<14} {number:>10,}" for name, shape, number in rows]
        return "\n".join(lines)


def load(folder: str | Path) -> Run:
    """Return the run in a folder, ready to predict and evaluate.

    Raises:
        RunError: there is no run, or no trained model in it yet.
        CheckpointError: a file of it is damaged.
    """
    folder = Path(folder)
    config = read_config(folder)
    if "chosen" not in config or not (folder / "model.safetensors").exists():
        raise RunError(
            f"{folder}: holds no trained model yet; go on training it with: elman train --resume {folder} "
            f"(from Python: elman.train(resume={str(folder)!r}))"
        )
    task = task_from_json(
        make_settings(config["chosen"], source=str(folder / "config.json")), read_json(folder / "vocab.json")
    )
    model = task.build()
    tensors, _ = load_weights(folder / "model.safetensors")
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{folder}/model.safetensors does not fit config.json: {error}") from None
    result = read_json(folder / "result.json") if (folder / "result.json").exists() else {}
    return Run(
        folder=folder,
        settings=make_settings(config["settings"], source=str(folder / "config.json")),
        task=task,
        model=model.eval(),
        baseline=from_tensors(load_weights(folder / "baseline.safetensors")[0]),
        result=result,
        history=read_journal(folder / "metrics.jsonl"),
        timing=read_journal(folder / "timing.jsonl"),
        data=config.get("data", {}),
        versions=config["versions"],
    )


def score(task: Task, model: Pattern, baseline: Baseline, examples: Sequence[Example]) -> Evaluation:
    """Return the scores of the model, with those of its baseline under "baseline"."""
    with torch.inference_mode():
        evaluation = task.evaluate(model.eval(), examples)
    scores = {"name": baseline.name, "description": baseline.description}
    evaluation.metrics["baseline"] = scores | task.evaluate_baseline(baseline, examples)
    return evaluation


def _as_example(raw: Any, row: int, inputs: Inputs) -> Example:
    """Return what a person gave as an example; numbers are checked as those of a file are."""
    where, is_list = f"row {row}", isinstance(raw, list | tuple)
    names: tuple[str, ...] = ()
    if isinstance(inputs, TokenInputs | ForecastInputs) or isinstance(raw, str):
        return Example(tuple(raw) if is_list and isinstance(inputs, TokenInputs) else raw, where=where)
    if inputs.categories:
        raw, names = _separated(raw, where, inputs)
    try:
        numbers = to_array(raw if is_list else np.asarray(raw), where, may_miss=bool(inputs.gaps))
        is_flat = np.ndim(raw[0] if is_list and raw else raw) == (0 if is_list and raw else 1)
    except DataError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:  # of whatever gives itself out for an array
        raise DataError(f"{where}: is no array of numbers ({error}); {_expected(inputs)}.") from None
    if is_flat and inputs.num_columns > 1:
        if len(numbers) not in (0, inputs.num_columns):
            raise DataError(f"{where}: is a list of {len(numbers)} numbers; {_expected(inputs)}.")
        numbers = numbers.reshape(-1, inputs.num_columns)  # a vector: one step
    return Example(numbers, where=where, categories=names)


def _separated(raw: Any, where: str, inputs: SeriesInputs) -> tuple[Any, tuple[str, ...]]:
    """Return the numbers of a row that was given by hand, and its names."""
    wanted = inputs.num_columns + len(inputs.categories)
    count = len(raw) if isinstance(raw, list | tuple | np.ndarray) else 0
    # A series beside its names is one value, whatever its columns.
    has_series = count == 1 + len(inputs.categories) and any(isinstance(c, list | np.ndarray) for c in raw)
    places = ", ".join(str(place + 1) for place in inputs.category_columns)
    if count != wanted and not has_series:
        raise DataError(
            f"{where}: {wanted} values were expected, with names as number {places}: as the columns of the "
            "training data stand."
        )
    numbers, names = separate(list(raw), inputs.category_columns, where)
    return [numbers] if inputs.num_columns == 1 and not isinstance(numbers[0], list) else numbers, names


def _expected(inputs: SeriesInputs) -> str:
    """Return which numbers a model takes, in words."""
    count = inputs.num_columns
    if count == 1:
        return "a series was expected, one number a step: [0.1, 0.2, ...]"
    return (
        f"steps of {count} numbers each were expected, an array [T, {count}]; "
        f"a list of {count} numbers is a single step"
    )
