"""STUDY: the trials of a search in a file of JSON lines, which several processes read and write at once.

The file is Optuna's journal, and every line of it is written under a lock that the system frees however a
process ends. What is drawn next follows from the seed, the number of the trial and those before it, so a
search that was killed and resumed tries the same as one that was not (with one process).
"""

import fcntl
import hashlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from elman.errors import MissingExtraError
from elman.tuning.search_space import Dimension

State = Literal["done", "pruned", "failed", "running"]

NAME = "elman"
"""The one study of a journal."""

RUNGS = 10
"""Trainings are compared at tenths of their lengths: with another batch size they have other epochs."""

FIRST_PRUNED, FIRST_RUNG = 4, 2
"""Trials that are finished before one is stopped early, and tenths of a training that each may have."""

RANDOM_TRIALS = 8
"""Trials before the first that is drawn by what was learnt."""

MOST_ATTEMPTS = 3
"""How often a trial is begun again whose process was killed."""

FEWEST_FOR_IMPORTANCE, GOOD_SHARE = 8, 0.25
"""Finished trials without which nothing is said of importance; the share of them that counts as good."""


@dataclass(frozen=True)
class Trial:
    """One trial of a search.

    Args:
        number: 0 is the recipe's own choice.
        state: done, pruned (stopped early), failed or running.
        values: the searched settings.
        score: the best validation score; of a pruned trial, the last one.
        reason: why it failed.
        seconds: how long it took.
    """

    number: int
    state: State
    values: Mapping[str, Any]
    score: float | None = None
    reason: str | None = None
    seconds: float = 0.0


def require_optuna() -> Any:
    """Return the package, quiet, or say how to install it.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import optuna
        import optuna.storages.journal
    except ImportError:
        raise MissingExtraError(
            "tuning draws its trials with the package optuna, which is not installed; install the extra: "
            "pip install 'elman[tune]'."
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


class FileLock:
    """Holds a file locked; the system frees it however the process ends.

    Args:
        path: the file; made where it is not there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     lock = FileLock(Path(folder) / "lock")
        ...     lock.acquire(), lock.release()
        (True, None)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        """Let the next one have it."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


class Study:
    """The trials of a search, drawn, told and read back.

    Args:
        path: the journal; made where it is not there.
        space: what is searched.
        larger_is_better: whether more of the metric is better.
        seed: of what is drawn.
    """

    def __init__(self, path: Path, space: Sequence[Dimension], *, larger_is_better: bool, seed: int) -> None:
        self.optuna = require_optuna()
        self.path, self.space, self.seed, self.larger_is_better = path, space, seed, larger_is_better
        journal = self.optuna.storages.journal
        backend = journal.JournalFileBackend(str(path), lock_obj=FileLock(path.with_suffix(".lock")))
        with self._asking():
            mend(path)
            self.study = self.optuna.create_study(
                storage=self.optuna.storages.JournalStorage(backend),
                study_name=NAME,
                direction="maximize" if larger_is_better else "minimize",
                pruner=self.optuna.pruners.MedianPruner(
                    n_startup_trials=FIRST_PRUNED, n_warmup_steps=FIRST_RUNG
                ),
                load_if_exists=True,
            )
            if not self.study.get_trials(deepcopy=False):
                default = {dimension.name: dimension.default for dimension in space}
                self.study.enqueue_trial(default, user_attrs={"number": 0})

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Hold back other processes, so that no two of them take the same number."""
        lock = FileLock(self.path.with_suffix(".asking"))
        lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def ask(self, wanted: int) -> Any | None:
        """Return Optuna's next trial; None where `wanted` were begun."""
        with self._asking():
            begun = len(self.trials())
            if begun >= wanted:
                return None
            waiting = [trial for trial in self._all() if trial.state.name == "WAITING"]
            number = waiting[0].user_attrs["number"] if waiting else begun
            self.study.sampler = self.optuna.samplers.TPESampler(
                seed=seed_of(self.seed, number), n_startup_trials=RANDOM_TRIALS
            )
            trial = self.study.ask(self._distributions())
            if "number" not in trial.user_attrs:
                trial.set_user_attr("number", number)
            return trial

    def _distributions(self) -> dict[str, Any]:
        kinds = self.optuna.distributions
        return {
            one.name: kinds.CategoricalDistribution(one.choices)
            if one.choices
            else kinds.FloatDistribution(one.low, one.high, log=one.is_log)
            for one in self.space
        }

    def finish(self, trial: Any, score: float) -> None:
        """Note the score of a trial."""
        self.study.tell(trial, score)

    def prune(self, trial: Any) -> None:
        """Note that a trial was stopped early."""
        self.study.tell(trial, state=self.optuna.trial.TrialState.PRUNED)

    def fail(self, trial: Any, reason: str) -> None:
        """Note that a trial failed, and why."""
        trial.set_user_attr("reason", reason)
        self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)

    def try_again(self, trial: Any) -> None:
        """Put a trial back that was broken off: it does not count, and its settings come next."""
        self._give_up(self._all()[trial.number])

    def take_back_broken(self, *, again: bool) -> int:
        """Deal with trials whose processes are gone; nobody else may be at work. Return how many there were.

        Args:
            again: whether to try them again, if they were not begun too often already.
        """
        broken = [trial for trial in self._all() if trial.state.name == "RUNNING"]
        for trial in broken:
            if again and trial.user_attrs.get("attempts", 1) < MOST_ATTEMPTS:
                self._give_up(trial)
            else:
                self.study.tell(trial.number, state=self.optuna.trial.TrialState.FAIL)
        return len(broken)

    def _give_up(self, trial: Any) -> None:
        """Queue a trial again, then close it: killed in between, it is begun twice and counted once."""
        values = trial.system_attrs.get("fixed_params", {}) | trial.params
        if "number" in trial.user_attrs and set(values) == {dimension.name for dimension in self.space}:
            attempts = trial.user_attrs.get("attempts", 1) + 1
            again = {"number": trial.user_attrs["number"], "attempts": attempts}
            self.study.enqueue_trial(values, user_attrs=again)
        # One that was not drawn to the end has no number yet: its number draws the same again.
        self.study.tell(trial.number, state=self.optuna.trial.TrialState.FAIL)

    def _all(self) -> list[Any]:
        return list(self.study.get_trials(deepcopy=False))

    def trials(self) -> list[Trial]:
        """Return the trials that count, by number: the last attempt of each that was begun."""
        found: dict[int, Trial] = {}
        waiting = {trial.user_attrs["number"] for trial in self._all() if trial.state.name == "WAITING"}
        for trial in self._all():
            number = trial.user_attrs.get("number")
            if number is not None and number not in waiting and trial.state.name != "WAITING":
                found[number] = _read(trial, number)
        return [found[number] for number in sorted(found)]

    def best(self) -> Trial | None:
        """Return the best trial that is done; of equal ones the first."""
        done = [trial for trial in self.trials() if trial.state == "done" and trial.score is not None]
        sign = -1.0 if self.larger_is_better else 1.0
        return min(done, key=lambda trial: (sign * (trial.score or 0.0), trial.number), default=None)

    def importances(self) -> dict[str, float]:
        """Return how much each setting decides whether a trial is among the good ones, as shares of one.

        Nothing where too few trials are done, or where so many score alike that none is worse than the good.

        Source: Watanabe, Bansal and Hutter 2023, "PED-ANOVA: Efficiently Quantifying Hyperparameter
        Importance in Arbitrary Subspaces".
        """
        scores = [trial.score for trial in self.trials() if trial.state == "done" and trial.score is not None]
        scores.sort(reverse=self.larger_is_better)
        if (
            len(scores) < FEWEST_FOR_IMPORTANCE
            or scores[math.ceil(GOOD_SHARE * len(scores)) - 1] == scores[-1]
        ):
            return {}
        evaluator = self.optuna.importance.PedAnovaImportanceEvaluator(target_quantile=GOOD_SHARE)
        shares = self.optuna.importance.get_param_importances(self.study, evaluator=evaluator)
        return {name: float(share) for name, share in shares.items() if share == share}


def _read(trial: Any, number: int) -> Trial:
    """Return Optuna's trial as one of ours."""
    names: dict[str, State] = {"COMPLETE": "done", "PRUNED": "pruned", "FAIL": "failed"}
    state = names.get(trial.state.name, "running")
    seen = trial.intermediate_values
    score = trial.value if state == "done" else seen[max(seen)] if seen else None
    reason = None
    if state == "failed":
        reason = trial.user_attrs.get("reason", "its process was killed (for want of memory?)")
    return Trial(number, state, dict(trial.params), score, reason, trial.user_attrs.get("seconds", 0.0))


def seed_of(seed: int, number: int) -> int:
    """Return the seed by which a trial is drawn: neighbouring trials get seeds that have nothing in common.

    Example:
        >>> seed_of(0, 1) == seed_of(0, 1), seed_of(0, 1) == seed_of(1, 0)
        (True, False)
    """
    return int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:4])


def mend(path: Path) -> None:
    """Cut off a last line that a kill left unfinished; all before it is whole.

    Args:
        path: the journal; nothing is done where it is not there.
    """
    if not path.exists():
        return
    with open(path, "r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)
            file.flush()
            os.fsync(file.fileno())
