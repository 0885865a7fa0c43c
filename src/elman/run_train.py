"""TRAIN: from settings to a finished run, in one order: read, split, prepare, fit, score, report.

The work is done in the other rooms; this file is the order of it. A resumed run goes the same way again
and meets its checkpoint in `fit`, which is why it ends in the same bytes.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Unpack

import torch

from elman import progress
from elman.config import Settings, make_settings, unknown_name
from elman.dataset import PARTS, Dataset, read_dataset
from elman.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    ElmanError,
    MissingExtraError,
    TrainingError,
)
from elman.metrics import SMALLER_IS_BETTER
from elman.patterns.pattern import Pattern
from elman.report import ReportData, write_report
from elman.run import Run, score
from elman.run_folder import (
    FORMAT,
    absent_folders,
    give_back,
    make_folder,
    read_config,
    read_journal,
    read_json,
    settings_to_store,
    versions,
    write_json,
)
from elman.run_resume import check_rows_are_given, same_data, settings_to_resume
from elman.series_backtest import backtest
from elman.tasks import TASKS
from elman.tasks.foreign_settings import refuse_foreign_settings, refuse_without_validation
from elman.tasks.prediction import Evaluation
from elman.tasks.task import Task
from elman.train_arguments import TrainArguments, are_rows, in_python, plain
from elman.training.checkpoint import load_weights, save_weights
from elman.training.lock import RunLock
from elman.training.loop import fit, to_plain
from elman.training.plan import Observer, Outcome, Plan
from elman.training.store import Store
from elman.xray_records import FILE, XrayRecords, refuse_unseen

Announce = Callable[[str], None]


def train(**arguments: Unpack[TrainArguments]) -> Run:
    """Train a model from a file, or from rows in memory, and return the finished run.

    Args:
        arguments: the fields of `elman.config.Settings`. `train`, `valid` and `test` also take pairs
            (input, target), dicts, or a pandas or polars data frame. Without `out` nothing is written.

    Raises:
        ElmanError: one of its children, with a message that says how to mend it.

    Example:
        >>> import elman
        >>> rows = [("good fun", "yes"), ("no good", "no")] * 10
        >>> run = elman.train(task="classify", train=rows, valid=rows, epochs=1, hidden_size=4)
        >>> sorted(run.predict(["good fun"])[0].probabilities)
        ['no', 'yes']
    """
    values = {name: plain(value) for name, value in arguments.items()}
    given = {part: values.pop(part) for part in PARTS if are_rows(values.get(part))}
    try:
        settings = make_settings(values, source="arguments")
        with progress.display() as shown:
            return train_run(settings, data=given, observers=[shown], announce=progress.announce)
    except ElmanError as error:
        error.args = (in_python(str(error)), *error.args[1:])
        raise


def train_run(
    settings: Settings,
    *,
    data: Mapping[str, Any] | None = None,
    observers: Sequence[Observer] = (),
    announce: Announce = lambda line: None,
    keeps_when_interrupted: bool = False,
) -> Run:
    """Train as the settings say; `elman.train` and the command line both end here.

    Args:
        settings: what the user gave; with `resume`, a run folder and perhaps `RESUMABLE` settings.
        data: parts of the data that are objects in memory: {"train": rows}.
        observers: who is told of each step and epoch (a progress bar).
        announce: takes one line for each thing that was chosen or counted.
        keeps_when_interrupted: on Ctrl-C return the run with the best weights so far, instead of raising.
    """
    data = data or {}
    # oneDNN keeps what it compiled for each shape; sequences have so many that it would keep gigabytes.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    resume, made = settings.resume is not None, absent_folders(settings.out or ".")
    if settings.resume is not None:
        folder: Path | None = Path(settings.resume)
        settings = settings_to_resume(settings)
    elif settings.task is None:
        raise ConfigError(f"no task; name one with --task {{{','.join(TASKS)}}}.")
    elif settings.backtest is not None and settings.task != "forecast":
        raise ConfigError(
            f"backtest is for --task forecast, whose parts follow each other in time; leave it out of "
            f"--task {settings.task}."
        )
    else:
        refuse_foreign_settings(settings)
        refuse_without_validation(settings)
        refuse_unseen(settings)
        folder = make_folder(settings.out) if settings.out is not None else None
    with RunLock(folder) if folder else nullcontext():
        try:
            return _train(settings, data, folder, resume, observers, announce, keeps_when_interrupted)
        except (ConfigError, DataError, CheckpointError, TrainingError, MissingExtraError):
            if folder and not resume:
                give_back(folder, made)
            raise


def _train(
    settings: Settings,
    given: Mapping[str, Any],
    folder: Path | None,
    resume: bool,
    observers: Sequence[Observer],
    announce: Announce,
    keeps_when_interrupted: bool,
) -> Run:
    """Read, prepare, fit and score; a resumed run goes the same way again."""
    started = time.perf_counter()
    stored = read_config(folder) if folder and resume else {}
    config: dict[str, Any] = {
        "format": FORMAT,
        "settings": settings_to_store(settings),
        "versions": versions(),
    }
    if folder and not resume:
        write_json(folder / "config.json", config)
    if resume:
        check_rows_are_given(folder, stored.get("data", {}), settings, given)
    dataset = read_dataset(settings, given)
    for line in (f"data: {dataset.counts()}", *dataset.notes):
        announce(line)
    data = same_data(folder, stored, dataset.to_json(), settings)
    task = TASKS[str(settings.task)].prepare(dataset.name_columns(settings), dataset.train, dataset.kind)
    task.remember_validation(dataset.valid)
    batches = task.batches(dataset.train)
    task.choose_lengths(batches.num_batches)
    for line in task.choices(settings):
        announce(line)
    config |= {"chosen": settings_to_store(task.chosen, chosen=True), "data": data | task.sizes()}
    if folder:
        write_json(folder / "vocab.json", task.to_json())
        write_json(folder / "config.json", config)
    with use_threads(task.chosen.threads), torch.random.fork_rng():
        baseline = task.choose_baseline(dataset.train, dataset.valid)
        if folder:
            save_weights(folder / "baseline.safetensors", baseline.to_tensors(), {})
        store = Store(folder) if folder else None
        goes_on = resume and store is not None and store.has_checkpoints()
        model = fresh_model(task, goes_on)
        if folder and task.chosen.xray_every:
            observers = [*observers, XrayRecords(folder / FILE, task.chosen.xray_every, model, batches)]
        outcome = fit(
            model,
            batches,
            plan_of(task, keeps_when_interrupted),
            evaluate=(lambda: task.validate(model, dataset.valid)) if dataset.valid else None,
            store=store,
            observers=observers,
            resume=resume,
        )
        run = Run(
            folder, settings, task, model.eval(), baseline, data=config["data"], versions=config["versions"]
        )
        blocks = _backtest(settings, given, task) if task.chosen.backtest else []
        _finish(run, dataset, outcome, time.perf_counter() - started, blocks)
    return run


def _backtest(settings: Settings, given: Mapping[str, Any], task: Task) -> list[dict[str, Any]]:
    """Train a model before each block of the test part, and return the blocks' scores."""
    metric = task.chosen.metric or task.metric
    return backtest(settings, given, metric=metric, train=lambda once, data: train_run(once, data=data))


def fresh_model(task: Task, goes_on: bool = False) -> Pattern:
    """Return the network with its initial weights: drawn from the seed, or those of another run.

    Where a checkpoint will replace them (`goes_on`), the other run is not needed any more.
    """
    torch.manual_seed(task.chosen.seed)
    model = task.build_fresh()
    if task.chosen.start_from is not None and not goes_on:
        path = Path(task.chosen.start_from) / "model.safetensors"
        if not path.exists():
            raise ConfigError(
                f"start_from: {path.parent} holds no trained model; name the folder of a finished run."
            )
        _check_same_ids(task, Path(task.chosen.start_from))
        tensors, _ = load_weights(path)
        own = model.state_dict()
        wrong = [name for name in own if name not in tensors or tensors[name].shape != own[name].shape]
        if wrong:
            there = list(tensors[wrong[0]].shape) if wrong[0] in tensors else "absent"
            raise ConfigError(
                f"start_from: {path} does not fit this network: {wrong[0]} is {there}, expected "
                f"{list(own[wrong[0]].shape)}; use the same data columns, vocabulary and sizes as that run."
            )
        model.load_state_dict({name: tensors[name] for name in own})
    return model.to(torch.device(task.chosen.device))


def _check_same_ids(task: Task, folder: Path) -> None:
    """Refuse weights whose rows stand for other labels or tokens, though their shapes be the same."""
    then, now = read_json(folder / "vocab.json"), task.to_json()
    for name, there, here in (
        ("targets", *(values.get("targets", {}).get("names") for values in (then, now))),
        ("input columns of names or gaps", *(_columns_read(values["inputs"]) for values in (then, now))),
    ):
        if there != here:
            raise ConfigError(
                f"start_from: {folder} has other {name} than these training data, so its weights would stand "
                "for other things; use that run's data columns."
            )
    then, now = then["inputs"] | {"labels": then["labels"]}, now["inputs"] | {"labels": now["labels"]}
    for name in ("labels", "vocab", "characters", "pairs"):
        if (then.get(name) or {}).get("tokens") != (now.get(name) or {}).get("tokens"):
            raise ConfigError(
                f"start_from: {folder} has other {name} than these training data, or in another order, so "
                "its weights would stand for other things; use that run's data columns and settings."
            )


def _columns_read(inputs: Mapping[str, Any]) -> list[Any]:
    """Return which of the numbers that a network reads mark gaps and names."""
    return [inputs.get("gaps", []), inputs.get("categories", []), inputs.get("category_columns", [])]


def plan_of(task: Task, keeps_when_interrupted: bool = False) -> Plan:
    """Return what the training loop needs of the settings."""
    chosen = task.chosen
    metric = chosen.metric or task.kept_by or task.metric
    if metric not in task.metric_names:
        raise ConfigError(unknown_name("metric", metric, list(task.metric_names)))
    return Plan(
        epochs=chosen.epochs or 1,
        learning_rate=chosen.learning_rate or 0.0,
        optimizer=chosen.optimizer,
        weight_decay=chosen.weight_decay,
        warmup=chosen.warmup or 0,
        decay=chosen.decay or "none",
        clip_norm=chosen.clip_norm or 0.0,
        bptt_window=chosen.bptt_window,
        teacher_forcing=chosen.teacher_forcing,
        teacher_forcing_end=chosen.teacher_forcing_end,
        metric=metric,
        is_stream=task.is_stream,
        larger_is_better=metric not in SMALLER_IS_BETTER,
        patience=chosen.patience,
        max_minutes=chosen.max_minutes,
        keeps_when_interrupted=keeps_when_interrupted,
    )


def _finish(
    run: Run, dataset: Dataset, outcome: Outcome, seconds: float, blocks: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Score the best weights and the baseline on each held-out part, and write the result and the report."""
    run.result = {
        "metric": run.chosen.metric or run.task.metric,
        "best": {"epoch": outcome.best_epoch, "step": outcome.best_step},
        "kept": "best" if dataset.valid else "last",
        "kept_by": (run.chosen.metric or run.task.kept_by or run.task.metric) if dataset.valid else None,
        "stopped": outcome.reason,
        "skipped": outcome.skipped,
        "seconds": round(seconds, 1),
        "parameters": sum(value.numel() for value in run.model.parameters()),
    }
    evaluation, part = None, "valid"
    for name in ("valid", "test"):
        examples = getattr(dataset, name)
        if examples:
            evaluation, part = score(run.task, run.model, run.baseline, examples), name
            run.result[name] = to_plain(evaluation.metrics)  # a part of unseen labels has no loss
            run.held_out = examples
    if blocks:
        run.result["backtest"] = list(blocks)
    if run.folder is None:
        return
    run.history = read_journal(run.folder / "metrics.jsonl")
    run.timing = read_journal(run.folder / "timing.jsonl")
    write_json(run.folder / "result.json", run.result)
    write_report_of(run, run.folder, evaluation, part)


def write_report_of(run: Run, folder: Path, evaluation: Evaluation | None, part: str) -> None:
    """Write `report.html` of a run.

    Args:
        run: with its result and history.
        folder: where to.
        evaluation: the scores on a held-out part; None: there is none.
        part: which part that is.
    """
    write_report(
        folder / "report.html",
        ReportData(
            title=folder.name,
            task=run.task.name,
            metric=run.result["metric"],
            settings=run.settings.model_dump(exclude_none=True, exclude_unset=True),
            chosen=run.chosen.model_dump(exclude_none=True),
            data=run.data,
            versions=run.versions,
            result=run.result,
            history=run.history,
            timing=run.timing,
            evaluation=evaluation,
            split=part,
            samples=run.task.samples(run.model),
        ),
    )


@contextmanager
def use_threads(count: int | None) -> Iterator[None]:
    """Use so many threads inside the block, and what was set before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
