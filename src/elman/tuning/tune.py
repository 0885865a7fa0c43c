"""TUNE: from settings to the best run of a search: prepare, try, train the best, show.

The validation part decides everything. The test part is read once, when the search is over, to score the
best run; that run is trained by the same code as any other, and stands in the folder `best`.
"""

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Unpack

from elman import progress
from elman.config import Settings, make_settings
from elman.dataset import PARTS
from elman.errors import ConfigError, ElmanError, Interrupted, RunError, TrainingError
from elman.run import Run, load
from elman.run_folder import make_folder, read_config, settings_to_store, write_bytes, write_json
from elman.run_train import train_run
from elman.tasks import TASKS
from elman.tasks.foreign_settings import refuse_foreign_settings, refuse_tuning_without_validation
from elman.train_arguments import TrainArguments, are_rows, in_python, plain
from elman.training.lock import RunLock
from elman.training.plan import Observer
from elman.tuning.picture import write_picture
from elman.tuning.search import (
    FILE,
    MAY_CHANGE,
    PLACES,
    Search,
    check_same_data,
    new_search,
    search_to_resume,
)
from elman.tuning.study import Study, Trial, require_optuna
from elman.tuning.told import Teller, ended, scored_by, threads_told
from elman.tuning.toml import to_toml
from elman.tuning.trial import OutOfTime, Workbench, check_test_is_there, deadline_watch, prepare_torch, work
from elman.tuning.worker import supervise

Announce = Callable[[str], None]

TRIALS = 20
"""Trials where nobody says how many."""


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Args:
        run: the best run, trained anew and scored on the test part where there is one.
        search: what was searched.
        trials: every trial, by number; 0 is the recipe's own choice.
        best: the best of them.
        importances: how much each setting mattered, as shares of one; empty where too few trials are done.
    """

    run: Run
    search: Search
    trials: Sequence[Trial]
    best: Trial
    importances: Mapping[str, float] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the search is kept."""
        return self.search.folder

    @property
    def default(self) -> Trial:
        """The trial of the recipe's own choice."""
        return self.trials[0]


def tune(
    *,
    trials: int | None = None,
    processes: int | None = None,
    timeout: float | None = None,
    **arguments: Unpack[TrainArguments],
) -> Tuned:
    """Search settings around the recipe's, and return the best run with every trial.

    Args:
        trials: trainings to try, the recipe's own among them (default 20).
        processes: how many at once (default 1); the threads are divided among them.
        timeout: minutes after which no more is tried (default: none).
        arguments: those of `elman.train`; `out` or `resume` is needed. What is given is not searched.

    Raises:
        ElmanError: one of its children, with a message that says how to mend it.

    Example:
        >>> import tempfile, elman
        >>> rows = [("good fun", "yes"), ("no good", "no")] * 10
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = elman.tune(task="classify", train=rows, valid=rows, out=folder, trials=2,
        ...                        epochs=1, hidden_size=4, cell="gru", pooling="max")
        >>> len(found.trials), found.default.number, found.run.chosen.cell
        (2, 0, 'gru')
    """
    values = {name: plain(value) for name, value in arguments.items()}
    given = {part: values.pop(part) for part in PARTS if are_rows(values.get(part))}
    try:
        settings = make_settings(values, source="arguments")
        with progress.display() as shown:
            return tune_run(
                settings,
                trials=plain(trials),
                processes=plain(processes),
                timeout=plain(timeout),
                data=given,
                observers=[shown],
                announce=progress.announce,
            )
    except ElmanError as error:
        error.args = (in_python(str(error)), *error.args[1:])
        raise


def tune_run(
    settings: Settings,
    *,
    trials: int | None = None,
    processes: int | None = None,
    timeout: float | None = None,
    data: Mapping[str, Any] | None = None,
    observers: Sequence[Observer] = (),
    announce: Announce = lambda line: None,
) -> Tuned:
    """Search as the settings say; `elman.tune` and the command line both end here.

    Args:
        settings: what the user gave: those of a training, or `resume` with the folder of a search.
        trials, processes, timeout: see `tune`.
        data: parts of the data that are objects in memory.
        observers: who is told of the training of the best run.
        announce: takes one line for each thing that is to be said.
    """
    given = data or {}
    _check_numbers(trials=trials, processes=processes, timeout=timeout)
    require_optuna()
    prepare_torch()
    deadline = None if timeout is None else time.time() + 60 * timeout
    former: Search | None = None
    if settings.resume is not None:
        former = Search.read(Path(settings.resume))
        search = search_to_resume(settings, given, trials=trials, processes=processes)
        bench = Workbench.read(search.settings, given)
        check_same_data(search, bench)
    else:
        search, bench = _begin(settings, given, trials or TRIALS, processes or 1)
    if search.processes > 1 and given:
        raise ConfigError(
            "rows in memory cannot be shared with other processes; write them to a file and name that, or "
            "leave processes out."
        )
    check_test_is_there(search.settings)
    search.folder.mkdir(parents=True, exist_ok=True)  # new or empty, or that of the search to resume
    with RunLock(search.folder):
        search.write()
        study = search.study()
        study.take_back_broken(again=True)
        _announce(search, former, bench, study, announce)
        _search(search, bench, study, deadline, announce)
        return _finish(search, study, given, observers, announce)


def _check_numbers(**numbers: float | None) -> None:
    """Refuse numbers of trials, processes or minutes that are not above zero."""
    for name, number in numbers.items():
        least = "a number above 0" if name == "timeout" else "at least 1"
        is_whole = name == "timeout" or isinstance(number, int | None)
        if number is not None and not (is_whole and 0 < number < float("inf")):
            raise ConfigError(f"--{name} is {number}; {least} was expected.")


def _begin(
    settings: Settings, given: Mapping[str, Any], trials: int, processes: int
) -> tuple[Search, Workbench]:
    """Return a new search and its data, having checked everything that can be wrong."""
    if settings.task is None:
        raise ConfigError(f"no task; name one with --task {{{','.join(TASKS)}}}.")
    if settings.out is None:
        raise ConfigError("no folder for the search; name a new or empty one with --out FOLDER.")
    refuse_foreign_settings(settings)
    refuse_tuning_without_validation(settings)
    folder = Path(settings.out)
    if (folder / FILE).exists():
        raise RunError(
            f"{folder}: holds a search already; name another folder with --out, delete this one, or go on "
            f"with it: elman tune --resume {folder}"
        )
    if folder.exists():
        make_folder(folder)  # which refuses one that is not empty
    check_test_is_there(settings)
    bench = Workbench.read(make_settings(settings.model_dump(exclude_unset=True, exclude={"out"})), given)
    search = new_search(settings, bench, folder, trials=trials, processes=processes, in_memory=given.keys())
    return search, bench


def _announce(
    search: Search, former: Search | None, bench: Workbench, study: Study, announce: Announce
) -> None:
    """Say what will be done; `former`: the search as it stood when it was broken off."""
    for line in (f"data: {bench.dataset.counts()}", *bench.dataset.notes):
        announce(line)
    announce(scored_by(search, len(bench.dataset.valid)))
    announce(f"searched: {', '.join(dimension.told() for dimension in search.space)}")
    shared_out = threads_told(search, former)
    if shared_out:
        announce(shared_out)
    over = sum(trial.state != "running" for trial in study.trials())
    if over:
        announce(f"going on after {over} of {search.trials} trials")


def _search(
    search: Search, bench: Workbench, study: Study, deadline: float | None, announce: Announce
) -> None:
    """Run trials until there are as many as are wanted, or the time is over."""
    bench = replace(bench, settings=search.settings_of_trials())
    tell, received = Teller(search, study, announce), None
    try:
        if search.processes == 1:
            watch = deadline_watch(deadline, study)
            work(bench, study, wanted=search.trials, watch=watch, tell=tell)
        else:
            received = supervise(search, deadline, tell)
            study.take_back_broken(again=received is not None)
            tell()
    except OutOfTime:
        pass
    except Interrupted as stop:
        received = stop.exit_code - 128
    except KeyboardInterrupt:
        received = 2
    over = len(study.trials())
    if received is not None:
        raise Interrupted(_stopped(search, over), received)
    if over < search.trials:
        announce(
            f"the time is over after {over} of {search.trials} trials; go on with: elman tune --resume "
            f"{search.folder}"
        )


def _stopped(search: Search, over: int) -> str:
    return (
        f"stopped after {over} of {search.trials} trials, all of them are saved; go on with: elman tune "
        f"--resume {search.folder}"
    )


def _finish(
    search: Search,
    study: Study,
    given: Mapping[str, Any],
    observers: Sequence[Observer],
    announce: Announce,
) -> Tuned:
    """Train the best trial as an ordinary run, and write down what the search found."""
    trials, best = study.trials(), study.best()
    if best is None:
        failed = next((trial for trial in trials if trial.state == "failed"), None)
        why = f"the first says: {failed.reason}" if failed else "none was finished."
        raise TrainingError(f"{search.folder}: no trial came to a score ({ended(trials)}); {why}")
    values = {} if best.number == 0 else dict(best.values)
    folder = search.folder / "best"
    shared = search.settings_of_trials().model_dump(exclude_unset=True)
    settings = make_settings(shared | values | {"out": str(folder)})
    announce(f"{ended(trials)}; training the best, trial {best.number}, in {folder}")
    try:
        run = _train_best(settings, folder, given, observers, announce)
    except Interrupted as stop:
        raise Interrupted(_stopped(search, len(trials)), stop.exit_code - 128) from None
    # As trials are scored: of some tasks the finished run is scored by a wider search for outputs.
    kept = next((row for row in run.history if row["step"] == run.result["best"]["step"]), {})
    score = (kept.get("valid") or {}).get(search.metric)
    if score is not None and score != best.score:
        announce(
            f"trained again the best run has a validation {search.metric} of {score:g} instead of "
            f"{best.score:g}: this machine or its load rounds otherwise"
        )
    found = Tuned(run, search, trials, best, study.importances())
    stored = settings_to_store(settings)
    del stored["out"]
    write_bytes(search.folder / "best.toml", to_toml(stored).encode())
    write_json(search.folder / "trials.json", _to_json(found))
    write_picture(search.folder / "tune.html", search, trials, best, found.importances, run.result)
    return found


def _train_best(
    settings: Settings,
    folder: Path,
    given: Mapping[str, Any],
    observers: Sequence[Observer],
    announce: Announce,
) -> Run:
    """Return the best run: as it stands there, gone on with, or trained."""
    if (folder / "config.json").exists():
        then, now = (
            _without_places(one) for one in (read_config(folder)["settings"], settings_to_store(settings))
        )
        if then != now:
            is_better = any(then.get(name) != now.get(name) for name in {*then, *now} - {*MAY_CHANGE})
            why = "a better trial was found" if is_better else "other data were given"
            announce(f"{why}: the former best run is replaced")
            shutil.rmtree(folder)
        elif (folder / "result.json").exists():
            return load(folder)
        else:
            settings = make_settings({"resume": str(folder)})
    return train_run(settings, data=given, observers=observers, announce=announce)


def _without_places(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored settings without the run's own folder and threads, paths of data without detours."""
    return {
        name: os.path.normpath(value) if name in PLACES and isinstance(value, str) else value
        for name, value in settings.items()
        if name not in ("out", "threads")
    }


def _to_json(found: Tuned) -> dict[str, Any]:
    """Return what `trials.json` holds."""
    keys = ("number", "state", "values", "score", "reason", "seconds")
    return {
        "metric": found.search.metric,
        "best": found.best.number,
        "importances": dict(found.importances),
        "trials": [{key: getattr(trial, key) for key in keys} for trial in found.trials],
    }
