"""TOLD: the trials of a search as lines and tables of text."""

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from elman.tables import clock, format_metric, text_table
from elman.tuning.search import Search
from elman.tuning.study import Study, Trial

SHOWN_TRIALS = 5
"""Best trials that are shown when a search is over."""


def differing(trial: Trial, defaults: Mapping[str, Any]) -> str:
    """Return the settings in which a trial differs from the recipe's choice, in words.

    Example:
        >>> differing(Trial(1, "done", {"dropout": 0.25, "cell": "gru"}), {"dropout": 0.5, "cell": "gru"})
        'dropout 0.25'
    """
    parts = [
        f"{name} {short(trial.values[name])}"
        for name, default in defaults.items()
        if name in trial.values and trial.values[name] != default
    ]
    return ", ".join(parts) or "as the recipe chooses"


def short(value: Any) -> str:
    """Return a value of a setting in a few characters.

    Example:
        >>> short(0.0031415), short(64), short("gru")
        ('0.00314', '64', 'gru')
    """
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def scored_by(search: Search, validated: int) -> str:
    """Return what trials are compared by, and where the data decided that, why.

    Args:
        search: the search; its settings name the metric, or leave it to the data.
        validated: examples of the validation part.
    """
    if search.settings.metric is not None:
        return f"scored by: validation {search.metric}"
    return (
        f"scored by: validation {search.metric}, which also picks each trial's weights, for {validated} "
        "validation examples are too few for a coarser figure (another: --metric)"
    )


def threads_told(search: Search, former: Search | None) -> str | None:
    """Return how many threads trials have; None where it is as for every training.

    Args:
        search: the search.
        former: the same as it stood before it was resumed; None: it is new.
    """
    if former is not None and former.threads != search.threads:
        return (
            f"threads: {_threads(search)}; the trials so far had {_threads(former)}, so scores may differ "
            "from theirs by rounding"
        )
    return f"threads: {_threads(search)}" if search.processes > 1 else None


def _threads(search: Search) -> str:
    count = "all" if search.threads is None else search.threads
    return f"{count} in " + (
        f"each of {search.processes} processes" if search.processes > 1 else "one process"
    )


def trial_line(trial: Trial, search: Search, best: Trial | None, left: float | None) -> str:
    """Return one trial that is over as a line: how it went, the best so far, the time left."""
    how = {
        "done": format_metric(search.metric, trial.score, 2),
        "pruned": f"stopped early at {format_metric(search.metric, trial.score, 2)}",
        "failed": f"failed: {trial.reason}",
    }[trial.state]
    width = len(str(search.trials - 1))
    parts = [f"{search.metric} {how}" if trial.state == "done" else how]
    if best is not None:
        parts.append(f"best {format_metric(search.metric, best.score, 2)} (trial {best.number})")
    if left is not None:
        parts.append(f"about {clock(left)} left")
    head = f"trial {trial.number:>{width}} of {search.trials}"
    return f"{head}: {', '.join(parts)}; {differing(trial, search.defaults)}"


class Teller:
    """Says of each trial once how it ended.

    Args:
        search: the search.
        study: its trials; those that are over already are not told.
        announce: takes a line.
    """

    def __init__(self, search: Search, study: Study, announce: Callable[[str], None]) -> None:
        self.search, self.study, self.announce = search, study, announce
        self.told = {trial.number for trial in study.trials() if trial.state != "running"}

    def __call__(self) -> None:
        """Tell what is new."""
        trials = self.study.trials()
        over = [trial for trial in trials if trial.state != "running"]
        for trial in over:
            if trial.number not in self.told:
                self.told.add(trial.number)
                left = seconds_left(over, self.search)
                self.announce(trial_line(trial, self.search, self.study.best(), left))


def seconds_left(over: Sequence[Trial], search: Search) -> float | None:
    """Return the time for the trials not yet over, at the mean of those that are; None at the end."""
    open_trials = search.trials - len(over)
    if open_trials <= 0 or not over:
        return None
    mean = sum(trial.seconds for trial in over) / len(over)
    return math.ceil(open_trials / search.processes) * mean


def ranked(trials: Sequence[Trial], search: Search) -> list[Trial]:
    """Return the trials that are done, the best first."""
    done = [trial for trial in trials if trial.state == "done" and trial.score is not None]
    sign = -1.0 if search.larger_is_better else 1.0
    return sorted(done, key=lambda trial: (sign * (trial.score or 0.0), trial.number))


def best_table(trials: Sequence[Trial], search: Search, width: int) -> str:
    """Return the best trials as a table of `width` columns, the recipe's own always among them."""
    order = ranked(trials, search)
    shown = order[:SHOWN_TRIALS]
    shown += [trial for trial in order[SHOWN_TRIALS:] if trial.number == 0]
    header = ["trial", f"validation {search.metric}", "differs from the recipe in"]
    room = max(len(header[2]), width - len(f"  {header[0]}  {header[1]}  "))
    rows = []
    for trial in shown:
        first, *more = textwrap.wrap(differing(trial, search.defaults), room)
        rows.append([str(trial.number), format_metric(search.metric, trial.score, 2), first])
        rows += [["", "", line] for line in more]
    return text_table(header, rows, left=3, width=width)


def importance_table(importances: Mapping[str, float]) -> str:
    """Return how much each setting mattered, as a table; what to do where too few trials say so."""
    if not importances:
        return "  what mattered cannot be said: too few trials, or all alike (more: --trials)"
    rows = [[name, f"{100 * share:.0f} %"] for name, share in importances.items()]
    return text_table(["what mattered", "share"], rows)


def ended(trials: Sequence[Trial]) -> str:
    """Return how many trials ended how.

    Example:
        >>> ended([Trial(0, "done", {}), Trial(1, "failed", {})])
        '2 trials: 1 done, 0 stopped early, 1 failed'
    """
    counts = {state: sum(trial.state == state for trial in trials) for state in ("done", "pruned", "failed")}
    return (
        f"{len(trials)} trials: {counts['done']} done, {counts['pruned']} stopped early, "
        f"{counts['failed']} failed"
    )
