"""TRIAL: one training of a search, scored on the validation part alone, and stopped early where that pays.

The test part is never looked at here: a file of it is not even read, and a share of the training data is
set aside and dropped.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from elman.config import Settings, make_settings
from elman.dataset import Dataset, read_dataset
from elman.errors import (
    ConfigError,
    DataError,
    ElmanError,
    Interrupted,
    TrainingError,
)
from elman.run_train import fresh_model, plan_of, use_threads
from elman.tasks import TASKS
from elman.tasks.task import Task
from elman.training.loop import fit
from elman.training.plan import Observer, Outcome, Plan, Progress
from elman.tuning.study import RUNGS, Study

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
"""What torch says in a RuntimeError when there is no memory left."""

Watch = Callable[[], "ElmanError | None"]
"""Called at every step: the error that is to end a trial, or None."""


def prepare_torch() -> None:
    """Keep oneDNN from keeping what it compiled for every shape, as every training does."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")


class Pruned(Exception):
    """A trial is worse than half of those before it at the same share of its training."""


class OutOfTime(ElmanError, TimeoutError):
    """The time of a search is over."""


@dataclass(frozen=True)
class Workbench:
    """The data of a search, read once, and the settings that all its trials share.

    Args:
        settings: as given, or with the metric and the threads of the search.
        dataset: training and validation part; no test part.
        columns: of series, the settings that were found by reading them.
    """

    settings: Settings
    dataset: Dataset
    columns: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, settings: Settings, given: Mapping[str, Any]) -> "Workbench":
        """Read the data without the test part.

        Args:
            settings: what the user gave.
            given: parts that are rows in memory.
        """
        settings, given = without_test(settings, given)
        dataset = replace(read_dataset(settings, given), test=())
        read = dataset.settings.model_dump() if dataset.settings is not None else {}
        columns = {name: value for name, value in read.items() if value != getattr(settings, name)}
        return cls(settings, dataset, columns)

    def settings_of(self, values: Mapping[str, Any]) -> Settings:
        """Return the settings of a trial."""
        return make_settings(self.settings.model_dump(exclude_unset=True) | dict(values), source="trial")

    def prepare(self, values: Mapping[str, Any]) -> tuple[Task, Any]:
        """Return the task with every choice made, and its training batches."""
        settings, data = self.settings_of(values), self.dataset
        if data.settings is not None:  # else those of the search would take the place of the trial's
            data = replace(data, settings=settings.model_copy(update=dict(self.columns)))
        task = TASKS[str(settings.task)].prepare(data.name_columns(settings), data.train, data.kind)
        task.remember_validation(data.valid)
        batches = task.batches(data.train)
        task.choose_lengths(batches.num_batches)
        return task, batches

    def train(self, values: Mapping[str, Any], observers: Sequence[Observer] = ()) -> Outcome:
        """Train as `elman.train` does, but write nothing and score nothing but the validation part."""
        task, batches = self.prepare(values)
        with use_threads(task.chosen.threads), torch.random.fork_rng():
            model = fresh_model(task)
            return fit(
                model,
                batches,
                plan_of(task),
                evaluate=lambda: task.validate(model, self.dataset.valid),
                observers=observers,
            )


def without_test(settings: Settings, given: Mapping[str, Any]) -> tuple[Settings, Mapping[str, Any]]:
    """Return settings and rows in memory without a test part of their own.

    A share of the training data stays asked for: it must be set aside, or trials would train on it.
    """
    rows = {part: value for part, value in given.items() if part != "test"}
    if isinstance(settings.test, str):
        values = settings.model_dump(exclude_unset=True)
        del values["test"]
        settings = make_settings(values)
    return settings, rows


class Rungs(Observer):
    """Tells a study how a trial goes, at tenths of its training, and ends it where it should end.

    Args:
        trial: Optuna's trial.
        may_prune: whether it may be stopped early; the recipe's own trial never is.
        watch: asked at every step whether to go on.
    """

    def __init__(self, trial: Any, *, may_prune: bool, watch: Watch) -> None:
        self.trial, self.may_prune, self.watch = trial, may_prune, watch
        self.metric, self.epochs, self.rung = "", 1, 0

    def on_start(self, progress: Progress, plan: Plan, num_batches: int) -> None:
        """Note by what the training is scored, and how long it is."""
        self.metric, self.epochs = plan.metric, plan.epochs

    def on_step(self, progress: Progress, loss: float, norm: float, sequences: int) -> None:
        """End the trial where the search is to end."""
        error = self.watch()
        if error is not None:
            raise error

    def on_epoch(self, row: dict[str, Any], timing: dict[str, Any], is_best: bool) -> None:
        """Report the score at each tenth that the epoch reached."""
        value, reached = row["valid"].get(self.metric), RUNGS * row["epoch"] // self.epochs
        if value is not None:
            for rung in range(self.rung + 1, reached + 1):
                self.trial.report(value, rung)
            is_over = reached >= RUNGS  # what is left to save?
            if self.may_prune and not is_over and reached > self.rung and self.trial.should_prune():
                raise Pruned
        self.rung = reached


def run_trial(bench: Workbench, study: Study, trial: Any, watch: Watch) -> None:
    """Train one trial and tell the study how it ended.

    Raises:
        Interrupted, OutOfTime: it was broken off; it is to be tried again.
        ElmanError: the recipe's own choice cannot be trained with these settings or data.
    """
    number = trial.user_attrs["number"]
    values = {} if number == 0 else trial.params
    began = time.perf_counter()
    rungs = Rungs(trial, may_prune=number > 0, watch=watch)

    def note_time() -> None:
        trial.set_user_attr("seconds", round(time.perf_counter() - began, 1))

    try:
        outcome = bench.train(values, [rungs])
    except Pruned:
        note_time()
        study.prune(trial)
    except (Interrupted, OutOfTime):
        raise
    except (TrainingError, ConfigError, DataError, MemoryError, RuntimeError) as error:
        is_users = isinstance(error, ConfigError | DataError) and number == 0
        is_memory = any(words in str(error).lower() for words in OUT_OF_MEMORY)
        if is_users or not (isinstance(error, ElmanError | MemoryError) or is_memory):
            raise
        note_time()
        study.fail(trial, str(error).strip() or "out of memory")
    else:
        note_time()
        score = outcome.metrics.get(rungs.metric)
        if score is None:
            study.fail(trial, f"no finite {rungs.metric} on the validation part")
        else:
            study.finish(trial, score)


def work(bench: Workbench, study: Study, *, wanted: int, watch: Watch, tell: Callable[[], None]) -> None:
    """Run trials until `wanted` were begun by all processes together.

    Args:
        bench: the data.
        study: the trials.
        wanted: how many, the recipe's own among them.
        watch: asked at every step whether to go on.
        tell: called after each trial.

    Raises:
        Interrupted: a signal came; the trial that ran is queued again.
        OutOfTime: the time is over; the same.
    """
    while (trial := study.ask(wanted)) is not None:
        try:
            error = watch()
            if error is not None:
                raise error
            run_trial(bench, study, trial, watch)
        except BaseException:
            study.try_again(trial)
            raise
        tell()


def deadline_watch(deadline: float | None, study: Study, parent: int | None = None) -> Watch:
    """Return what ends a trial: the time, or the end of the process that started this one.

    The recipe's own trial is waited for, for without it there is nothing to compare with.

    Args:
        deadline: `time.time()` at the end; None: none.
        study: the trials.
        parent: that process; None: there is none to wait for.
    """
    has_result = False

    def watch() -> ElmanError | None:
        nonlocal has_result
        if parent is not None and os.getppid() != parent:
            return OutOfTime("the search that started this process is gone.")
        if deadline is None or time.time() < deadline:
            return None
        has_result = has_result or study.best() is not None
        return OutOfTime("the time of the search is over.") if has_result else None

    return watch


def check_test_is_there(settings: Settings) -> None:
    """Refuse a test file that is missing before hours are spent; nothing of it is read.

    Raises:
        ConfigError: there is no such file.
    """
    if isinstance(settings.test, str) and not Path(settings.test).exists():
        raise ConfigError(
            f"test: {settings.test}: there is no such file; name the file with --test (it is read when the "
            "search is over)."
        )
